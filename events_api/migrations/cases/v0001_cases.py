"""The case view: cases with what they are sought by, events by their place in the log, and how far the log was read."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from citybrain.database import BIG, TEXT

revision = "0001"
down_revision = None


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, TEXT, nullable=False) for name in names]


def _maybe(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, TEXT) for name in names]


def upgrade() -> None:
    op.create_table(
        "cases",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("version", BIG, nullable=False),
        *_texts("scene", "state"),
        sa.Column("is_open", sa.Boolean, nullable=False),
        *_texts("severity", "light"),
        *_maybe("grid_cell", "unit", "judged", "silenced"),
        *_texts("filed_at"),
        sa.Column("latency_s", sa.Double),
        *_texts("words", "body"),
    )
    op.create_index("cases_newest", "cases", ["filed_at", "id"])
    op.create_index("cases_by_scene", "cases", ["scene", "state", "filed_at", "id"])
    is_open = sa.column("is_open", sa.Boolean)
    op.create_index("cases_open", "cases", ["filed_at", "id"], sqlite_where=is_open, postgresql_where=is_open)
    for table, name in (("case_cameras", "camera"), ("case_evidence", "ref"), ("case_silences", "silence")):
        op.create_table(
            table,
            sa.Column(name, TEXT, primary_key=True),
            sa.Column("case_id", TEXT, primary_key=True),
            sqlite_with_rowid=False,
        )
    op.create_table(
        "silences",
        sa.Column("n", BIG, sa.Identity(), primary_key=True),
        sa.Column("id", TEXT, nullable=False, unique=True),
        *_texts("body"),
    )
    op.create_table(
        "case_events",
        sa.Column("cursor", BIG, primary_key=True, autoincrement=False),
        sa.Column("id", TEXT, nullable=False, unique=True),
        *_texts("type", "scene", "case_id"),
        *_maybe("cause"),
        *_texts("body", "severity"),
        *_maybe("grid_cell"),
    )
    op.create_index("case_events_of_case", "case_events", ["case_id", "cursor"])
    caused = sa.column("cause").is_not(None)
    op.create_index("case_events_by_cause", "case_events", ["cause"], sqlite_where=caused, postgresql_where=caused)
    op.create_table(
        "case_events_aside", sa.Column("cursor", BIG, primary_key=True, autoincrement=False), *_texts("reason", "body")
    )
    read = op.create_table(
        "cases_read_to",
        sa.Column("only", BIG, primary_key=True, autoincrement=False),
        sa.Column("cursor", BIG, nullable=False),
        sa.Column("silence_cursor", BIG, nullable=False),
    )
    op.bulk_insert(read, [{"only": 1, "cursor": 0, "silence_cursor": 0}])
