"""The log of business events, who subscribed to them, and the span in which a message was put.

Revision ID: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_ROW_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create the tables, and the column, which stays empty in messages that are there already."""
    op.add_column("outbox", sa.Column("span_id", sa.Text, nullable=True))
    op.create_table(
        "events",
        sa.Column("position", _ROW_ID, autoincrement=True, nullable=False),
        sa.Column("event_id", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.Column("correlation_id", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("position"),
        sa.UniqueConstraint("event_id"),
    )
    op.create_index("events_of_subject", "events", ["subject", "position"])
    op.create_index("events_by_time", "events", ["at_us"])
    op.create_table(
        "subscriptions",
        sa.Column("subscription_id", sa.Text, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("secret", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("created_at_us", sa.BigInteger, nullable=False),
        sa.Column("failures", sa.BigInteger, nullable=False),
        sa.Column("failing_since_us", sa.BigInteger, nullable=True),
        sa.Column("paused_until_us", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("subscription_id"),
        sa.UniqueConstraint("channel", "url"),
    )
    op.create_table(
        "subscription_types",
        sa.Column("subscription_id", sa.Text, sa.ForeignKey("subscriptions.subscription_id"), nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("type", "subscription_id"),
    )
    op.create_table(
        "availability_told",
        sa.Column("node", sa.Text, nullable=False),
        sa.Column("sku", sa.Text, nullable=False),
        sa.Column("available", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("sku", "node"),
    )


def downgrade() -> None:
    """Drop them: processes of the version before do without."""
    for table in ("availability_told", "subscription_types", "subscriptions", "events"):
        op.drop_table(table)
    op.drop_column("outbox", "span_id")
