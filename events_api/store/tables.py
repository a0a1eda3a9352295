"""The tables of the case view, as the scripts in events_api/migrations/cases leave them (a test compares the two)."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Double, Identity, Index, MetaData, Table

from citybrain.database import BIG, TEXT, Migrations

MIGRATIONS = Migrations("cases", "events_api.migrations.cases")

TABLES = MetaData()


def _texts(*names: str) -> list[Column[str]]:
    return [Column(name, TEXT, nullable=False) for name in names]


def _maybe(*names: str) -> list[Column[str]]:
    return [Column(name, TEXT) for name in names]


cases = Table(
    "cases",
    TABLES,
    Column("id", TEXT, primary_key=True),
    Column("version", BIG, nullable=False),
    *_texts("scene", "state"),
    Column("is_open", Boolean, nullable=False),
    *_texts("severity", "light"),
    *_maybe("grid_cell", "unit", "judged", "silenced"),
    *_texts("filed_at"),
    Column("latency_s", Double),
    *_texts("words", "body"),
)
Index("cases_newest", cases.c.filed_at, cases.c.id)
Index("cases_by_scene", cases.c.scene, cases.c.state, cases.c.filed_at, cases.c.id)
Index("cases_open", cases.c.filed_at, cases.c.id, sqlite_where=cases.c.is_open, postgresql_where=cases.c.is_open)


def _link(name: str, column: str) -> Table:
    """Which cases name that camera, picture or silence: found by it, once for each case."""
    keys: list[Column[str]] = [Column(each, TEXT, primary_key=True) for each in (column, "case_id")]
    return Table(name, TABLES, *keys, sqlite_with_rowid=False)


cameras = _link("case_cameras", "camera")
evidence = _link("case_evidence", "ref")
held_back = _link("case_silences", "silence")

silences = Table(
    "silences",
    TABLES,
    Column("n", BIG, Identity(), primary_key=True),
    Column("id", TEXT, nullable=False, unique=True),
    *_texts("body"),
)

events = Table(
    "case_events",
    TABLES,
    Column("cursor", BIG, primary_key=True, autoincrement=False),
    Column("id", TEXT, nullable=False, unique=True),
    *_texts("type", "scene", "case_id"),
    *_maybe("cause"),
    *_texts("body", "severity"),
    *_maybe("grid_cell"),
)
Index("case_events_of_case", events.c.case_id, events.c.cursor)
_caused = events.c.cause.is_not(None)
Index("case_events_by_cause", events.c.cause, sqlite_where=_caused, postgresql_where=_caused)

aside = Table(
    "case_events_aside",
    TABLES,
    Column("cursor", BIG, primary_key=True, autoincrement=False),
    *_texts("reason", "body"),
)

read_to = Table(
    "cases_read_to",
    TABLES,
    Column("only", BIG, primary_key=True, autoincrement=False),
    Column("cursor", BIG, nullable=False),
    Column("silence_cursor", BIG, nullable=False),
)
"""One row: how far the log was read. Whoever takes in a batch holds it, so one process at a time does."""
