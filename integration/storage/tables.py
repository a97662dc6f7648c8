"""Every table of the integration, as SQLAlchemy Core.

Times are microseconds since the Unix epoch, money is integer minor units, quantities are integer base units, JSON is
kept as text. No column has a default: who inserts a row says what is in it, and leaves out only what is null.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()

# SQLite numbers rows by itself only for a column declared INTEGER.
_ROW_ID = BigInteger().with_variant(Integer, "sqlite")


def _text(name: str, *, null: bool = False) -> Column[str]:
    return Column(name, Text, nullable=null)


def _number(name: str, *, null: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=null)


orders = Table(
    "orders",
    metadata,
    Column("order_id", Text, primary_key=True),
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
    UniqueConstraint("customer_id", "order_reference"),
)
Index("orders_by_booking", orders.c.customer_id, orders.c.booked_at_us)
Index("orders_on_hold", orders.c.accepted_at_us, sqlite_where=orders.c.hold_reason.is_not(None),
      postgresql_where=orders.c.hold_reason.is_not(None))  # fmt: skip

# ordered = confirmed + backordered + shipped + cancelled + short; confirmed and backordered are promises still open.
order_lines = Table(
    "order_lines",
    metadata,
    Column("order_id", Text, ForeignKey("orders.order_id"), nullable=False),
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
    PrimaryKeyConstraint("order_id", "line_no"),
)
Index("order_lines_backordered", order_lines.c.sku, sqlite_where=order_lines.c.backordered > 0,
      postgresql_where=order_lines.c.backordered > 0)  # fmt: skip

# status: planned released picked short packed labelled shipped cancel_requested cancelled rejected
fulfillments = Table(
    "fulfillments",
    metadata,
    Column("fulfillment_id", Text, primary_key=True),
    _text("order_id"),
    _text("customer_id"),
    _text("order_reference"),
    _text("node"),
    _text("status"),
    _number("event_sequence"),
    _text("correlation_id"),
    _number("created_at_us"),
    _number("updated_at_us"),
    Index("fulfillments_of_order", "order_id"),
    Index("fulfillments_by_node", "node", "status"),
)

# `reserved` is what this line still holds of the node's stock reservation.
fulfillment_lines = Table(
    "fulfillment_lines",
    metadata,
    Column("fulfillment_id", Text, ForeignKey("fulfillments.fulfillment_id"), nullable=False),
    _number("line_no"),
    _text("sku"),
    _number("quantity"),
    _number("picked"),
    _number("short"),
    _number("shipped"),
    _number("cancelled"),
    _number("reserved"),
    PrimaryKeyConstraint("fulfillment_id", "line_no"),
)

parcels = Table(
    "parcels",
    metadata,
    Column("parcel_id", Text, primary_key=True),
    _text("fulfillment_id"),
    _number("weight_g"),
    _text("lines"),
    _text("tracking_number", null=True),
    _text("label_id", null=True),
    _text("tracking_status", null=True),
    _number("tracking_sequence"),
    Index("parcels_of_fulfillment", "fulfillment_id"),
    Index("parcels_by_tracking", "tracking_number"),
)

shipments = Table(
    "shipments",
    metadata,
    Column("shipment_id", Text, primary_key=True),
    _text("fulfillment_id"),
    _text("order_id"),
    _text("node"),
    _number("shipped_at_us"),
    _text("lines"),
    _text("tracking_numbers"),
    _number("confirmed_at_us", null=True),
    _text("invoice_id", null=True),
    Index("shipments_of_order", "order_id"),
    Index("shipments_of_fulfillment", "fulfillment_id"),
)

# available = on_hand - held - safety - reserved; it may be negative after shrinkage and is published as 0 then.
stock = Table(
    "stock",
    metadata,
    _text("node"),
    _text("sku"),
    _number("on_hand"),
    _number("held"),
    _number("reserved"),
    _number("safety"),
    PrimaryKeyConstraint("sku", "node"),
)

# Deltas newer than the node's last snapshot; a snapshot deletes what it already contains.
stock_deltas = Table(
    "stock_deltas",
    metadata,
    Column("delta_id", _ROW_ID, primary_key=True, autoincrement=True),
    _text("node"),
    _number("sequence"),
    _text("sku"),
    _number("on_hand_delta"),
    _number("held_delta"),
    Index("stock_deltas_by_sequence", "node", "sequence"),
)

stock_sync = Table(
    "stock_sync",
    metadata,
    Column("node", Text, primary_key=True),
    _number("as_of_sequence"),
    _number("synced_at_us"),
)

idempotency = Table(
    "idempotency",
    metadata,
    _text("scope"),
    _text("key"),
    _text("fingerprint"),
    _number("status"),
    _text("headers"),
    _text("body"),
    _number("created_at_us"),
    PrimaryKeyConstraint("scope", "key"),
)

# state: ready done dead. `span_id` is where in the trace `correlation_id` a message was put, if traces are kept.
outbox = Table(
    "outbox",
    metadata,
    Column("message_id", _ROW_ID, primary_key=True, autoincrement=True),
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
    _text("span_id", null=True),
)
Index("outbox_ready", outbox.c.lane, outbox.c.next_attempt_at_us, sqlite_where=outbox.c.state == "ready",
      postgresql_where=outbox.c.state == "ready")  # fmt: skip
Index("outbox_dead", outbox.c.lane, sqlite_where=outbox.c.state == "dead",
      postgresql_where=outbox.c.state == "dead")  # fmt: skip
Index("outbox_by_business_key", outbox.c.business_key)

inbox = Table(
    "inbox",
    metadata,
    _text("source"),
    _text("message_id"),
    _number("received_at_us"),
    PrimaryKeyConstraint("source", "message_id"),
)

audit = Table(
    "audit",
    metadata,
    Column("audit_id", _ROW_ID, primary_key=True, autoincrement=True),
    _number("at_us"),
    _text("correlation_id"),
    _text("order_id"),
    _text("entity"),
    _text("entity_id"),
    _text("event"),
    _text("from_state", null=True),
    _text("to_state", null=True),
    _text("detail"),
    Index("audit_of_order", "order_id"),
)

customers = Table(
    "customers",
    metadata,
    Column("customer_id", Text, primary_key=True),
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
)

items = Table(
    "items",
    metadata,
    Column("sku", Text, primary_key=True),
    _text("description"),
    _text("status"),
    _text("tax_category"),
    _number("weight_g"),
    _number("updated_at_us"),
)

item_units = Table(
    "item_units",
    metadata,
    _text("sku"),
    _text("unit"),
    _number("factor"),
    PrimaryKeyConstraint("sku", "unit"),
)

prices = Table(
    "prices",
    metadata,
    _text("price_list"),
    _text("sku"),
    _number("unit_price_minor"),
    _text("currency"),
    _number("valid_from_us"),
    _number("valid_to_us", null=True),
    _number("updated_at_us"),
    PrimaryKeyConstraint("price_list", "sku", "valid_from_us"),
)

tax_rates = Table(
    "tax_rates",
    metadata,
    _text("jurisdiction"),
    _text("tax_category"),
    _number("rate_bp"),
    _number("updated_at_us"),
    PrimaryKeyConstraint("jurisdiction", "tax_category"),
)

# kind: customers items prices tax_rates
reference_sync = Table(
    "reference_sync",
    metadata,
    Column("kind", Text, primary_key=True),
    _number("synced_at_us"),
)

# What only live processes keep. `name` is the work that falls to one process at a time; it falls to another when
# `until_us` has passed.
duties = Table(
    "duties",
    metadata,
    Column("name", Text, primary_key=True),
    _text("holder"),
    _number("until_us"),
)

# Dispatchers that live: each renews its row and looks how many share the partners' rates. `breakers` is JSON, the state
# of each lane's circuit breaker by lane.
dispatchers = Table(
    "dispatchers",
    metadata,
    Column("process_id", Text, primary_key=True),
    _number("until_us"),
    _text("breakers"),
)

# What the business tells, in order of telling; `body` is the CloudEvent as it is sent. Events of one subject are
# numbered in the order in which their transactions held the subject.
events = Table(
    "events",
    metadata,
    Column("position", _ROW_ID, primary_key=True, autoincrement=True),
    _text("event_id"),
    _text("type"),
    _text("subject"),
    _number("at_us"),
    _text("correlation_id"),
    _text("body"),
    UniqueConstraint("event_id"),
    Index("events_of_subject", "subject", "position"),
    Index("events_by_time", "at_us"),
)

# status: active, gone (answered 410), given_up (failed for too long). `failures` counts those in a row; nothing is sent
# before `paused_until_us`. Its secret is no column: `secret_generation` says which one it is, null where none was ever
# made, and until `former_until_us` the one before holds, too.
subscriptions = Table(
    "subscriptions",
    metadata,
    Column("subscription_id", Text, primary_key=True),
    _text("channel"),
    _text("url"),
    _text("status"),
    _number("created_at_us"),
    _number("failures"),
    _number("failing_since_us", null=True),
    _number("paused_until_us"),
    _number("secret_generation", null=True),
    _number("secret_made_at_us", null=True),
    _number("former_until_us", null=True),
    UniqueConstraint("channel", "url"),
)

subscription_types = Table(
    "subscription_types",
    metadata,
    Column("subscription_id", Text, ForeignKey("subscriptions.subscription_id"), nullable=False),
    _text("type"),
    PrimaryKeyConstraint("type", "subscription_id"),
)

# The availability that subscribers were last told.
availability_told = Table(
    "availability_told",
    metadata,
    _text("node"),
    _text("sku"),
    _number("available"),
    PrimaryKeyConstraint("sku", "node"),
)
