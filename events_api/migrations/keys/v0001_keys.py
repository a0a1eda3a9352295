"""Keys and the sessions opened with them, as hashes."""

import sqlalchemy as sa
from alembic import op

from citybrain.database import TEXT

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "keys",
        sa.Column("hash", TEXT, primary_key=True),
        sa.Column("name", TEXT, nullable=False, unique=True),
        sa.Column("role", TEXT, nullable=False),
        sa.Column("unit", TEXT),
        sa.Column("created_at", TEXT, nullable=False),
    )
    op.create_table(
        "sessions",
        sa.Column("hash", TEXT, primary_key=True),
        sa.Column("key", TEXT, sa.ForeignKey("keys.hash", ondelete="CASCADE"), nullable=False, index=True),
        sa.Column("until", TEXT, nullable=False),
    )
