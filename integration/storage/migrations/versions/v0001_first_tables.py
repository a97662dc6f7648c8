"""The tables of the first version.

Revision ID: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create them."""
    _orders()
    _fulfillments()
    _stock()
    _messages()
    _reference_data()


def downgrade() -> None:
    """Nothing comes before the first version."""
    raise NotImplementedError("there is no version before 0001: drop the database instead")


def _text(name: str, *, null: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=null)


def _number(name: str, *, null: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=null)


def _row_id(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False)


def _partial_index(name: str, table: str, columns: list[str], where: str) -> None:
    op.create_index(name, table, columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))


def _orders() -> None:
    op.create_table(
        "orders",
        _text("order_id"),
        _text("customer_id"),
        _text("order_reference"),
        _text("channel"),
        _text("status"),
        _number("version"),
        _text("fill_policy"),
        _text("service"),
        _text("currency"),
        _number("net_minor"),
        _number("tax_minor"),
        _number("total_minor"),
        _text("ship_to"),
        _text("correlation_id"),
        _number("accepted_at_us"),
        _number("booked_at_us", null=True),
        _text("erp_order_id", null=True),
        _text("hold_reason", null=True),
        sa.PrimaryKeyConstraint("order_id"),
        sa.UniqueConstraint("customer_id", "order_reference"),
    )
    op.create_index("orders_by_booking", "orders", ["customer_id", "booked_at_us"])
    _partial_index("orders_on_hold", "orders", ["accepted_at_us"], where="hold_reason IS NOT NULL")
    op.create_table(
        "order_lines",
        _text("order_id"),
        _number("line_no"),
        _text("sku"),
        _number("ordered"),
        _number("confirmed"),
        _number("backordered"),
        _number("shipped"),
        _number("cancelled"),
        _number("short"),
        _number("unit_price_minor"),
        _number("tax_rate_bp"),
        sa.PrimaryKeyConstraint("order_id", "line_no"),
        sa.ForeignKeyConstraint(["order_id"], ["orders.order_id"]),
    )
    _partial_index("order_lines_backordered", "order_lines", ["sku"], where="backordered > 0")


def _fulfillments() -> None:
    op.create_table(
        "fulfillments",
        _text("fulfillment_id"),
        _text("order_id"),
        _text("customer_id"),
        _text("order_reference"),
        _text("node"),
        _text("status"),
        _number("event_sequence"),
        _text("correlation_id"),
        _number("created_at_us"),
        _number("updated_at_us"),
        sa.PrimaryKeyConstraint("fulfillment_id"),
    )
    op.create_index("fulfillments_by_node", "fulfillments", ["node", "status"])
    op.create_index("fulfillments_of_order", "fulfillments", ["order_id"])
    op.create_table(
        "fulfillment_lines",
        _text("fulfillment_id"),
        _number("line_no"),
        _text("sku"),
        _number("quantity"),
        _number("picked"),
        _number("short"),
        _number("shipped"),
        _number("cancelled"),
        _number("reserved"),
        sa.PrimaryKeyConstraint("fulfillment_id", "line_no"),
        sa.ForeignKeyConstraint(["fulfillment_id"], ["fulfillments.fulfillment_id"]),
    )
    op.create_table(
        "parcels",
        _text("parcel_id"),
        _text("fulfillment_id"),
        _number("weight_g"),
        _text("lines"),
        _text("tracking_number", null=True),
        _text("label_id", null=True),
        _text("tracking_status", null=True),
        _number("tracking_sequence"),
        sa.PrimaryKeyConstraint("parcel_id"),
    )
    op.create_index("parcels_by_tracking", "parcels", ["tracking_number"])
    op.create_index("parcels_of_fulfillment", "parcels", ["fulfillment_id"])
    op.create_table(
        "shipments",
        _text("shipment_id"),
        _text("fulfillment_id"),
        _text("order_id"),
        _text("node"),
        _number("shipped_at_us"),
        _text("lines"),
        _text("tracking_numbers"),
        _number("confirmed_at_us", null=True),
        _text("invoice_id", null=True),
        sa.PrimaryKeyConstraint("shipment_id"),
    )
    op.create_index("shipments_of_fulfillment", "shipments", ["fulfillment_id"])
    op.create_index("shipments_of_order", "shipments", ["order_id"])


def _stock() -> None:
    op.create_table(
        "stock",
        _text("node"),
        _text("sku"),
        _number("on_hand"),
        _number("held"),
        _number("reserved"),
        _number("safety"),
        sa.PrimaryKeyConstraint("sku", "node"),
    )
    op.create_table(
        "stock_deltas",
        _row_id("delta_id"),
        _text("node"),
        _number("sequence"),
        _text("sku"),
        _number("on_hand_delta"),
        _number("held_delta"),
        sa.PrimaryKeyConstraint("delta_id"),
    )
    op.create_index("stock_deltas_by_sequence", "stock_deltas", ["node", "sequence"])
    op.create_table(
        "stock_sync",
        _text("node"),
        _number("as_of_sequence"),
        _number("synced_at_us"),
        sa.PrimaryKeyConstraint("node"),
    )


def _messages() -> None:
    op.create_table(
        "idempotency",
        _text("scope"),
        _text("key"),
        _text("fingerprint"),
        _number("status"),
        _text("headers"),
        _text("body"),
        _number("created_at_us"),
        sa.PrimaryKeyConstraint("scope", "key"),
    )
    op.create_table(
        "outbox",
        _row_id("message_id"),
        _text("lane"),
        _text("kind"),
        _text("business_key"),
        _text("payload"),
        _text("correlation_id"),
        _text("state"),
        _number("attempts"),
        _number("next_attempt_at_us"),
        _number("lease_until_us"),
        _text("error_class", null=True),
        _text("last_error", null=True),
        _number("created_at_us"),
        sa.PrimaryKeyConstraint("message_id"),
    )
    op.create_index("outbox_by_business_key", "outbox", ["business_key"])
    _partial_index("outbox_dead", "outbox", ["lane"], where="state = 'dead'")
    _partial_index("outbox_ready", "outbox", ["lane", "next_attempt_at_us"], where="state = 'ready'")
    op.create_table(
        "inbox",
        _text("source"),
        _text("message_id"),
        _number("received_at_us"),
        sa.PrimaryKeyConstraint("source", "message_id"),
    )
    op.create_table(
        "audit",
        _row_id("audit_id"),
        _number("at_us"),
        _text("correlation_id"),
        _text("order_id"),
        _text("entity"),
        _text("entity_id"),
        _text("event"),
        _text("from_state", null=True),
        _text("to_state", null=True),
        _text("detail"),
        sa.PrimaryKeyConstraint("audit_id"),
    )
    op.create_index("audit_of_order", "audit", ["order_id"])


def _reference_data() -> None:
    op.create_table(
        "customers",
        _text("customer_id"),
        _text("name"),
        _text("status"),
        _text("segment"),
        _text("country"),
        _text("tax_jurisdiction"),
        _text("currency"),
        _text("price_list"),
        _number("credit_limit_minor"),
        _number("credit_exposure_minor"),
        _number("updated_at_us"),
        sa.PrimaryKeyConstraint("customer_id"),
    )
    op.create_table(
        "items",
        _text("sku"),
        _text("description"),
        _text("status"),
        _text("tax_category"),
        _number("weight_g"),
        _number("updated_at_us"),
        sa.PrimaryKeyConstraint("sku"),
    )
    op.create_table(
        "item_units",
        _text("sku"),
        _text("unit"),
        _number("factor"),
        sa.PrimaryKeyConstraint("sku", "unit"),
    )
    op.create_table(
        "prices",
        _text("price_list"),
        _text("sku"),
        _number("unit_price_minor"),
        _text("currency"),
        _number("valid_from_us"),
        _number("valid_to_us", null=True),
        _number("updated_at_us"),
        sa.PrimaryKeyConstraint("price_list", "sku", "valid_from_us"),
    )
    op.create_table(
        "tax_rates",
        _text("jurisdiction"),
        _text("tax_category"),
        _number("rate_bp"),
        _number("updated_at_us"),
        sa.PrimaryKeyConstraint("jurisdiction", "tax_category"),
    )
    op.create_table(
        "reference_sync",
        _text("kind"),
        _number("synced_at_us"),
        sa.PrimaryKeyConstraint("kind"),
    )
