"""The case view in a database: one PostgreSQL for all replicas of the API, or a file of one machine."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import starmap
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam, exc, select

from citybrain.clock import iso
from citybrain.database import HIGHEST, TEXT, Database
from citybrain.domain.case import Case
from citybrain.domain.command import Silence
from citybrain.errors import UsageError
from citybrain.wire import read_silence, silence_fields
from events_api.ports import (
    EVERYTHING,
    EventFilter,
    Fields,
    KeptSilence,
    LoggedEvent,
    PageKey,
    SetAside,
    StoredEvent,
    Wanted,
)
from events_api.store.tables import (
    MIGRATIONS,
    TABLES,
    aside,
    cameras,
    cases,
    events,
    evidence,
    held_back,
    read_to,
    silences,
)

_log = logging.getLogger(__name__)

# Statements are put together once: that costs more than what they do.
_EVENT = select(
    events.c.cursor,
    events.c.type,
    events.c.scene,
    events.c.case_id,
    events.c.cause,
    events.c.body,
    events.c.severity,
    events.c.grid_cell,
)
_CURSOR = select(read_to.c.cursor)
_MOVED = sa.update(read_to).where(read_to.c.cursor == bindparam("after")).values(cursor=bindparam("end"))
_SILENCE_CURSOR = select(read_to.c.silence_cursor)
_CASE = select(cases.c.body).where(cases.c.id == bindparam("case", type_=TEXT))
_NEWEST = select(cases.c.body).order_by(cases.c.filed_at.desc(), cases.c.id.desc()).limit(bindparam("most"))
_TIMELINE = _EVENT.where(events.c.case_id == bindparam("case", type_=TEXT)).order_by(events.c.cursor)
_EVENTS = _EVENT.where(events.c.cursor > bindparam("after")).order_by(events.c.cursor).limit(bindparam("most"))
_EFFECTS = _EVENT.where(
    events.c.cause >= bindparam("begin", type_=TEXT),
    events.c.cause < bindparam("end", type_=TEXT),
    events.c.cause.is_not(None),
).order_by(events.c.cursor)
_HAS_EVIDENCE = select(evidence.c.ref).where(evidence.c.ref == bindparam("sought", type_=TEXT)).limit(1)
_COUNTS = select(cases.c.scene, cases.c.state, sa.func.count()).group_by(cases.c.scene, cases.c.state)
_OPEN_BY_CELL = (
    select(cases.c.grid_cell, cases.c.light, sa.func.count())
    .where(cases.c.is_open)
    .group_by(cases.c.grid_cell, cases.c.light)
)
_SILENCED = (
    select(
        held_back.c.silence,
        sa.func.count(),
        sa.func.count().filter(sa.and_(cases.c.is_open, cases.c.silenced == held_back.c.silence)),
    )
    .join(cases, cases.c.id == held_back.c.case_id)
    .group_by(held_back.c.silence)
)
_KEPT_OF_UNREADABLE = 2000
_Row = dict[str, Any]


class SqlCases:
    """A CaseStore. Several processes may project into one and the same: each batch is taken in by one of them."""

    def __init__(self, database: Database) -> None:
        """Raises UsageError for tables of a newer version, DatabaseAway."""
        self._database = database
        tables = (events, aside, cameras, evidence, held_back)
        self._new = {table: database.insert(table).on_conflict_do_nothing() for table in tables}
        row = database.insert(cases)
        changed = {each.name: row.excluded[each.name] for each in cases.c if each.name != "id"}
        self._newer_case = row.on_conflict_do_update(
            index_elements=["id"], set_=changed, where=row.excluded.version > cases.c.version
        )
        database.migrate(MIGRATIONS)

    @classmethod
    def file(cls, path: Path) -> SqlCases:
        """The view of one machine. The log has everything: a file that is damaged, or of another version, is made anew from it."""
        # Not durable: a power cut may take the last transactions, whole; the cursor goes with them, and the log has them.
        database = Database.file(path, durable=False)
        try:
            made = cls(database)
            made.cursor()
            return made
        except (exc.DatabaseError, exc.NoResultFound, UsageError) as error:
            _log.warning("%s cannot be used (%s); it is made anew from the log", path, str(error).partition("\n")[0])
            database.close()
            for each in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
                each.unlink(missing_ok=True)
            return cls(Database.file(path, durable=False))

    def cursor(self) -> int:
        with self._database.reading() as db:
            return int(db.execute(_CURSOR).scalar_one())

    def apply(
        self, batch: Sequence[LoggedEvent | SetAside], *, cursor: int, after: int | None = None
    ) -> list[StoredEvent] | None:
        with self._database.writing() as db:
            at = db.execute(_CURSOR.with_for_update()).scalar_one() if after is None else after
            # Who moves the cursor holds its row until the commit: whoever would take in the same waits, and then sees it moved.
            moved = db.execute(_MOVED, {"after": at, "end": max(at, cursor)})
            return self._take_in(db, batch, at) if moved.rowcount else None

    def reset(self, *, at: int | None = None) -> None:
        with self._database.writing() as db:
            if at is not None and at != db.execute(_CURSOR.with_for_update()).scalar_one():
                return
            for table in TABLES.tables.values():
                if table is not read_to:
                    db.execute(sa.delete(table))
            db.execute(sa.update(read_to).values(cursor=0, silence_cursor=0))

    def case(self, id: str) -> Fields | None:
        with self._database.reading() as db:
            body = db.execute(_CASE, {"case": id}).scalar()
        return json.loads(body) if body is not None else None

    def cases(self, wanted: Wanted, *, limit: int, after: PageKey | None = None) -> list[Fields]:
        conditions = self._conditions(wanted)
        if after is not None:
            conditions.append(sa.tuple_(cases.c.filed_at, cases.c.id) < after)
        sought = _NEWEST.where(*conditions) if conditions else _NEWEST
        with self._database.reading() as db:
            bodies = db.execute(sought, {"most": limit}).scalars().all()
        return [json.loads(body) for body in bodies]

    def timeline(self, id: str) -> list[StoredEvent]:
        return self._events(_TIMELINE, case=id)

    def events(self, *, after: int, limit: int, wanted: EventFilter = EVERYTHING) -> list[StoredEvent]:
        found = _EVENTS
        for column, among in (
            (events.c.scene, wanted.scenes),
            (events.c.type, wanted.types),
            (events.c.severity, wanted.severities),
        ):
            if among:
                found = found.where(column.in_(among))
        for codes in (wanted.grid_cells, wanted.areas):
            if codes:
                found = found.where(sa.or_(*(_begins(events.c.grid_cell, code) for code in codes)))
        return self._events(found, after=after, most=limit)

    def effects(self, cause_prefix: str) -> list[StoredEvent]:
        return self._events(_EFFECTS, begin=cause_prefix, end=cause_prefix + HIGHEST)

    def has_evidence(self, ref: str) -> bool:
        with self._database.reading() as db:
            return db.execute(_HAS_EVIDENCE, {"sought": ref}).scalar() is not None

    def counts(self) -> dict[tuple[str, str], int]:
        with self._database.reading() as db:
            return {(scene, state): count for scene, state, count in db.execute(_COUNTS)}

    def latencies(self, *, since: datetime | None = None) -> list[float]:
        latency = cases.c.latency_s
        found = select(latency).where(latency.is_not(None)).order_by(latency)
        if since is not None:
            found = found.where(cases.c.filed_at >= iso(since))
        with self._database.reading() as db:
            return list(db.execute(found).scalars())

    def open_by_cell(self) -> dict[tuple[str | None, str], int]:
        with self._database.reading() as db:
            return {(cell, light): count for cell, light, count in db.execute(_OPEN_BY_CELL)}

    def silence_cursor(self) -> int:
        with self._database.reading() as db:
            return int(db.execute(_SILENCE_CURSOR).scalar_one())

    def take_silences(self, batch: Sequence[Silence], *, cursor: int) -> None:
        here = read_to.c.silence_cursor
        with self._database.writing() as db:
            moved = db.execute(sa.update(read_to).where(here < cursor).values(silence_cursor=cursor))
            if moved.rowcount == 0:  # another was quicker, and may have taken in later ones
                return
            row = self._database.insert(silences)
            row = row.on_conflict_do_update(index_elements=["id"], set_={"body": row.excluded.body})
            for each in batch:
                db.execute(row, {"id": each.id, "body": json.dumps(silence_fields(each))})

    def silences(self) -> list[KeptSilence]:
        counts = self.silenced()
        with self._database.reading() as db:
            bodies = db.execute(select(silences.c.body).order_by(silences.c.n)).scalars().all()
        found = [read_silence(json.loads(body)) for body in bodies]
        return [KeptSilence(each, *counts.get(each.id, (0, 0))) for each in found]

    def silenced(self) -> dict[str, tuple[int, int]]:
        with self._database.reading() as db:
            return {silence: (held, holding) for silence, held, holding in db.execute(_SILENCED)}

    def set_aside(self) -> int:
        with self._database.reading() as db:
            return int(db.execute(select(sa.func.count()).select_from(aside)).scalar_one())

    def close(self) -> None:
        self._database.close()

    # -- inside ---------------------------------------------------------------------------------------------------

    def _events(self, found: sa.Select[Any], **values: object) -> list[StoredEvent]:
        with self._database.reading() as db:
            return list(starmap(StoredEvent, db.execute(found, values).cursor.fetchall()))

    def _conditions(self, wanted: Wanted) -> list[sa.ColumnElement[bool]]:
        conditions: list[sa.ColumnElement[bool]] = [
            column.in_(among)
            for column, among in (
                (cases.c.scene, wanted.scenes),
                (cases.c.state, wanted.states),
                (cases.c.severity, wanted.severities),
                (cases.c.unit, wanted.units),
            )
            if among
        ]
        if wanted.cameras:
            conditions.append(cases.c.id.in_(select(cameras.c.case_id).where(cameras.c.camera.in_(wanted.cameras))))
        if wanted.silence is not None:
            held = select(held_back.c.case_id).where(held_back.c.silence == wanted.silence)
            conditions.append(cases.c.id.in_(held))
        if wanted.grid_cell is not None:
            conditions.append(_begins(cases.c.grid_cell, wanted.grid_cell))
        if wanted.since is not None:
            conditions.append(cases.c.filed_at >= iso(wanted.since))
        if wanted.until is not None:
            conditions.append(cases.c.filed_at < iso(wanted.until))
        if wanted.open is not None:
            conditions.append(cases.c.is_open if wanted.open else ~cases.c.is_open)
        if wanted.judged is not None:
            judged = cases.c.judged
            conditions.append(judged.is_(None) if wanted.judged == "none" else judged == wanted.judged)
        place = sa.func.strpos if self._database.postgres else sa.func.instr
        conditions += [place(cases.c.words, sa.literal(word.casefold(), TEXT)) > 0 for word in wanted.words]
        return conditions

    def _take_in(self, db: sa.Connection, batch: Sequence[LoggedEvent | SetAside], at: int) -> list[StoredEvent]:
        """A statement for each table, not for each event: what a batch costs is mostly that of its statements."""
        self._add(db, aside, [_aside(each) for each in batch if isinstance(each, SetAside)])
        logged: dict[str, LoggedEvent] = {}
        for each in batch:
            if isinstance(each, LoggedEvent):
                # The id is derived from case and version: the same fact logged twice keeps its first place.
                logged.setdefault(each.event.id, each)
        if self._add(db, events, [_event(each) for each in logged.values()]) < len(logged):
            kept = select(events.c.id).where(events.c.id.in_(list(logged)), events.c.cursor > at)
            kept = kept.where(events.c.cursor.in_([each.cursor for each in logged.values()]))
            logged = {id: logged[id] for id in db.execute(kept.order_by(events.c.cursor)).scalars() if id in logged}
        new = list(logged.values())
        self._write_cases(db, new)
        links: dict[sa.Table, set[tuple[str, str]]] = {cameras: set(), evidence: set(), held_back: set()}
        for case in (each.event.case for each in new):
            links[cameras].update((camera, case.id) for camera in case.cameras)
            links[evidence].update((each.ref, case.id) for each in case.evidence)
            if case.silenced is not None:
                links[held_back].add((case.silenced, case.id))
        for table, pairs in links.items():
            named, _ = table.c.keys()
            self._add(db, table, [{named: name, "case_id": id} for name, id in sorted(pairs)])
        return [_stored(each) for each in new]

    def _add(self, db: sa.Connection, table: sa.Table, rows: list[_Row]) -> int:
        """Those that are not there yet; how many."""
        return db.execute(self._new[table], rows).rowcount if rows else 0

    def _write_cases(self, db: sa.Connection, new: Iterable[LoggedEvent]) -> None:
        newest: dict[str, LoggedEvent] = {}
        for each in new:
            case = each.event.case
            if case.id not in newest or newest[case.id].event.case.version < case.version:
                newest[case.id] = each
        if newest:
            db.execute(self._newer_case, [_case(each.event.case, each.raw) for each in newest.values()])


def _aside(each: SetAside) -> _Row:
    return {"cursor": each.cursor, "reason": each.reason, "body": each.raw[:_KEPT_OF_UNREADABLE]}


def _event(each: LoggedEvent) -> _Row:
    stored = _stored(each)
    return {
        "cursor": stored.cursor,
        "id": each.event.id,
        "type": stored.type,
        "scene": stored.scene,
        "case_id": stored.case,
        "cause": stored.cause,
        "body": stored.raw,
        "severity": stored.severity,
        "grid_cell": stored.grid_cell,
    }


def _stored(each: LoggedEvent) -> StoredEvent:
    event, case = each.event, each.event.case
    return StoredEvent(
        each.cursor, event.type.value, case.scene, case.id, event.cause, each.raw, case.severity, case.grid_cell
    )


def _case(case: Case, raw: str) -> _Row:
    return {
        "id": case.id,
        "version": case.version,
        "scene": case.scene,
        "state": case.state.value,
        "is_open": case.state.is_open,
        "severity": case.severity,
        "light": case.light.value,
        "grid_cell": case.grid_cell,
        "unit": case.unit,
        "judged": case.judged,
        "silenced": case.silenced,
        "filed_at": iso(case.filed_at),
        "latency_s": case.latency_s,
        "words": _words(case),
        "body": json.dumps(json.loads(raw)["data"], ensure_ascii=False, separators=(",", ":")),
    }


def _words(case: Case) -> str:
    said = (case.id, case.title.zh, case.title.en, case.code, case.place, case.grid_cell, case.unit, case.external_id)
    return "\n".join(str(each) for each in (*said, *case.cameras, case.note, case.reason) if each).casefold()


def _begins(column: sa.Column[str], code: str) -> sa.ColumnElement[bool]:
    return sa.func.substr(column, 1, len(code), type_=TEXT) == code
