"""Who reported, masked, by the report's id."""

import sqlalchemy as sa
from alembic import op

from citybrain.database import TEXT

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "reporters",
        sa.Column("report", TEXT, primary_key=True),
        sa.Column("shown", TEXT, nullable=False),
        if_not_exists=True,  # files made before there were versions
    )
