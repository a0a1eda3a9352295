"""Personal data at the door: what is kept and shown of a reporter's name and telephone, and of numbers in free words."""

from __future__ import annotations

import re

import sqlalchemy as sa

from citybrain.database import TEXT, Database, Migrations

_IDENTITY = re.compile(r"(?<![0-9A-Za-z])(\d{3})\d{11}(\d{3}[0-9Xx])(?![0-9A-Za-z])")
_MOBILE = re.compile(r"(?<!\d)((?:\+?86[ -]?)?1[3-9]\d)[ -]?\d{4}[ -]?(\d{4})(?!\d)")
_LANDLINE = re.compile(r"(?<!\d)(0\d{2,3})[ -]?\d{3,4}(\d{4})(?!\d)")
_NUMBER = re.compile(r"\+?[\d -]{7,}")

TABLES = Migrations("reporters", "events_api.migrations.reporters")
_reporters = sa.Table("reporters", sa.MetaData(), sa.Column("report", TEXT, primary_key=True), sa.Column("shown", TEXT))


def masked_reporter(said: str) -> str:
    """A name or telephone as it may be shown: 138****1234, 王**. It cannot be undone."""
    shown = masked_words(said)
    if shown == said and _NUMBER.fullmatch(said.strip()):  # a number of another country
        digits = re.sub(r"\D", "", said)
        return f"{digits[:3]}****{digits[-2:]}"
    return " ".join(each if "*" in each else f"{each[:1]}**" for each in shown.split())


def masked_words(said: str) -> str:
    """Free words without the telephone and identity numbers in them."""
    for pattern in (_IDENTITY, _MOBILE, _LANDLINE):
        said = pattern.sub(r"\1****\2", said)
    return said


class Reporters:
    """Who reported, masked already when it comes here: beside the events, so that it goes to nobody who is sent those."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.migrate(TABLES)

    def put(self, report: str, shown: str) -> None:
        """The first word counts: a report that is said again has its reporter."""
        with self._database.writing() as db:
            told = self._database.insert(_reporters).values(report=report, shown=shown)
            db.execute(told.on_conflict_do_nothing())

    def get(self, report: str) -> str | None:
        with self._database.reading() as db:
            shown: str | None = db.scalar(sa.select(_reporters.c.shown).where(_reporters.c.report == report))
        return shown
