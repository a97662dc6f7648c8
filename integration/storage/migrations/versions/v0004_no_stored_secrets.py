"""Secrets of subscriptions are reckoned and no longer stored.

Those that were stored are deleted, and who had one can't be told anything that he could verify: his subscription is
given up, and he subscribes again, from the time of this migration. The stream goes on. A dispatcher of the version
before delivers no events beside this one; its messages wait.

Revision ID: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Drop the secrets, and give up who had one."""
    op.add_column("subscriptions", sa.Column("secret_generation", sa.BigInteger, nullable=True))
    op.add_column("subscriptions", sa.Column("secret_made_at_us", sa.BigInteger, nullable=True))
    op.add_column("subscriptions", sa.Column("former_until_us", sa.BigInteger, nullable=True))
    op.drop_column("subscriptions", "secret")
    op.execute("UPDATE subscriptions SET status = 'given_up' WHERE url <> 'stream:' AND status = 'active'")


def downgrade() -> None:
    """Back to a column without secrets: the version before signs with what was agreed for the channel."""
    op.add_column("subscriptions", sa.Column("secret", sa.Text, nullable=False, server_default=""))
    for column in ("former_until_us", "secret_made_at_us", "secret_generation"):
        op.drop_column("subscriptions", column)
