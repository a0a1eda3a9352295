"""Subscriptions, what waits for them, what the last attempts met, and which replica tells which of them."""

import sqlalchemy as sa
from alembic import op

from citybrain.database import BIG, TEXT

revision = "0001"
down_revision = None

# `if_not_exists`: files made before there were versions have all but the shares.


def upgrade() -> None:
    op.create_table(
        "subscriptions",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("owner", TEXT, nullable=False),
        sa.Column("of_platform", sa.Integer, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("url", TEXT, nullable=False),
        sa.Column("filters", TEXT, nullable=False),
        sa.Column("cursor", BIG, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("revision", BIG, nullable=False),
        sa.Column("secret", TEXT, nullable=False),
        sa.Column("previous_secret", TEXT),
        sa.Column("previous_until", sa.Double),
        sa.Column("paused_at", sa.Double),
        sa.Column("paused_reason", TEXT, nullable=False),
        sa.Column("failing_since", sa.Double),
        sa.UniqueConstraint("owner", "name"),
        if_not_exists=True,
    )
    op.create_table(
        "attempts",
        sa.Column("endpoint", TEXT, primary_key=True),
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("posted_at", sa.Double, nullable=False),
        sa.Column("answered_at", sa.Double, nullable=False),
        sa.Column("status", sa.Integer),
        sqlite_with_rowid=False,
        if_not_exists=True,
    )
    op.create_table(
        "outbox",
        sa.Column("n", BIG, primary_key=True, autoincrement=True),
        sa.Column("id", TEXT, nullable=False),
        sa.Column("endpoint", TEXT, nullable=False),
        sa.Column("case_id", TEXT, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("state", TEXT, nullable=False, server_default="waiting"),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("committed_at", sa.Double, nullable=False),
        sa.Column("waiting_since", sa.Double, nullable=False),
        sa.Column("due_at", sa.Double, nullable=False),
        sa.Column("settled_at", sa.Double),
        sa.Column("reason", TEXT, nullable=False, server_default=""),
        sa.Column("external_id", TEXT),
        sa.CheckConstraint("state IN ('waiting', 'delivered', 'dead')"),
        sa.UniqueConstraint("endpoint", "id"),
        sqlite_autoincrement=True,
        if_not_exists=True,
    )
    for name, columns, state in (
        ("outbox_in_order", ["endpoint", "case_id", "n"], "waiting"),
        ("outbox_by_due", ["endpoint", "due_at", "n", "case_id"], "waiting"),
        ("outbox_delivered", ["settled_at"], "delivered"),
        ("outbox_dead", ["settled_at"], "dead"),
    ):
        where = sa.text(f"state = '{state}'")
        op.create_index(name, "outbox", columns, sqlite_where=where, postgresql_where=where, if_not_exists=True)
    op.create_index("outbox_by_state", "outbox", ["endpoint", "state"], if_not_exists=True)
    op.create_table(
        "replicas",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("beat", BIG, nullable=False),
    )
    op.create_table(
        "told_by",
        sa.Column("subscription", TEXT, primary_key=True),
        sa.Column("replica", TEXT, nullable=False, index=True),
    )
