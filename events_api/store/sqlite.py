"""The case view in one SQLite file: cases with their search columns, events by offset, how far the log was read."""

from __future__ import annotations

import contextlib
import json
import logging
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from citybrain.clock import iso
from citybrain.domain.case import Case
from citybrain.domain.command import Silence
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

_log = logging.getLogger(__name__)

_VERSION = 3  # raised with the schema: a view of another version is thrown away and made anew from the log

_SCHEMA = """
CREATE TABLE cases (
    id TEXT PRIMARY KEY, version INTEGER NOT NULL, scene TEXT NOT NULL, state TEXT NOT NULL, is_open INTEGER NOT NULL,
    severity TEXT NOT NULL, grid_cell TEXT, judged TEXT, filed_at TEXT NOT NULL, latency_s REAL, words TEXT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX cases_newest ON cases (filed_at, id);
CREATE INDEX cases_by_scene ON cases (scene, state, filed_at, id);
CREATE INDEX cases_open ON cases (filed_at, id) WHERE is_open;
CREATE TABLE case_cameras (camera TEXT, case_id TEXT, PRIMARY KEY (camera, case_id)) WITHOUT ROWID;
CREATE TABLE case_evidence (ref TEXT, case_id TEXT, PRIMARY KEY (ref, case_id)) WITHOUT ROWID;
CREATE TABLE case_silences (silence TEXT, case_id TEXT, PRIMARY KEY (silence, case_id)) WITHOUT ROWID;
CREATE TABLE silences (n INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, body TEXT NOT NULL);
CREATE TABLE events (
    cursor INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, type TEXT NOT NULL, scene TEXT NOT NULL, case_id TEXT NOT NULL,
    cause TEXT, body TEXT NOT NULL, severity TEXT NOT NULL, grid_cell TEXT
);
CREATE INDEX events_of_case ON events (case_id, cursor);
CREATE INDEX events_by_cause ON events (cause) WHERE cause IS NOT NULL;
CREATE TABLE set_aside (cursor INTEGER PRIMARY KEY, reason TEXT NOT NULL, body TEXT NOT NULL);
CREATE TABLE projection (
    only INTEGER PRIMARY KEY CHECK (only = 1), cursor INTEGER NOT NULL, silence_cursor INTEGER NOT NULL
);
INSERT INTO projection VALUES (1, 0, 0);
"""

_TABLES = ("cases", "case_cameras", "case_evidence", "case_silences", "silences", "events", "set_aside", "projection")
_EVENT = "cursor, type, scene, case_id, cause, body, severity, grid_cell"
_KEPT_OF_UNREADABLE = 2000
_IDLE = 8  # connections kept open between calls


class SqliteCases:
    """A CaseStore in a file. Each call has a connection to itself, so readers never wait for the projector."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._idle: list[sqlite3.Connection] = []
        self._writing = threading.Lock()
        try:
            self._prepare()
        except sqlite3.DatabaseError as error:
            # The log has everything: a damaged view is thrown away rather than mended.
            _log.warning("%s cannot be read (%s); it is made anew from the log", path, error)
            self.close()
            for each in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
                each.unlink(missing_ok=True)
            self._prepare()

    def cursor(self) -> int:
        return int(self._query("SELECT cursor FROM projection")[0][0])

    def apply(self, batch: Sequence[LoggedEvent | SetAside], *, cursor: int) -> list[StoredEvent]:
        with self._transaction() as db:
            new = [stored for each in batch if (stored := _take_in(db, each)) is not None]
            db.execute("UPDATE projection SET cursor = max(cursor, ?)", (cursor,))
        return new

    def reset(self) -> None:
        with self._transaction() as db:
            for table in _TABLES[:-1]:
                db.execute(f"DELETE FROM {table}")  # noqa: S608 - the names are those above
            db.execute("UPDATE projection SET cursor = 0, silence_cursor = 0")

    def case(self, id: str) -> Fields | None:
        rows = self._query("SELECT body FROM cases WHERE id = ?", (id,))
        return json.loads(rows[0][0]) if rows else None

    def cases(self, wanted: Wanted, *, limit: int, after: PageKey | None = None) -> list[Fields]:
        conditions, values = _conditions(wanted)
        if after is not None:
            conditions.append("(filed_at, id) < (?, ?)")
            values += after
        where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
        rows = self._query(
            f"SELECT body FROM cases {where} ORDER BY filed_at DESC, id DESC LIMIT ?",  # noqa: S608 - values are bound
            (*values, limit),
        )
        return [json.loads(body) for (body,) in rows]

    def timeline(self, id: str) -> list[StoredEvent]:
        return self._events("case_id = ? ORDER BY cursor", (id,))

    def events(self, *, after: int, limit: int, wanted: EventFilter = EVERYTHING) -> list[StoredEvent]:
        conditions: list[str] = ["cursor > ?"]
        values: list[object] = [after]
        for column, among in (("scene", wanted.scenes), ("type", wanted.types), ("severity", wanted.severities)):
            if among:
                conditions.append(f"{column} IN ({_marks(among)})")
                values += among
        for codes in (wanted.grid_cells, wanted.areas):
            if codes:
                conditions.append(f"({' OR '.join(['substr(grid_cell, 1, length(?)) = ?'] * len(codes))})")
                values += [each for code in codes for each in (code, code)]
        return self._events(f"{' AND '.join(conditions)} ORDER BY cursor LIMIT ?", (*values, limit))

    def effects(self, cause_prefix: str) -> list[StoredEvent]:
        return self._events(
            "cause >= ? AND cause < ? || char(0x10ffff) AND cause IS NOT NULL ORDER BY cursor",
            (cause_prefix, cause_prefix),
        )

    def has_evidence(self, ref: str) -> bool:
        return bool(self._query("SELECT 1 FROM case_evidence WHERE ref = ?", (ref,)))

    def counts(self) -> dict[tuple[str, str], int]:
        rows = self._query("SELECT scene, state, count(*) FROM cases GROUP BY scene, state")
        return {(scene, state): count for scene, state, count in rows}

    def latencies(self, *, since: datetime | None = None) -> list[float]:
        rows = self._query(
            "SELECT latency_s FROM cases WHERE filed_at >= ? AND latency_s IS NOT NULL ORDER BY latency_s",
            ("" if since is None else iso(since),),
        )
        return [latency for (latency,) in rows]

    def open_by_cell(self) -> dict[tuple[str | None, str], int]:
        rows = self._query(
            "SELECT grid_cell, json_extract(body, '$.light'), count(*) FROM cases WHERE is_open GROUP BY 1, 2"
        )
        return {(cell, light): count for cell, light, count in rows}

    def silence_cursor(self) -> int:
        return int(self._query("SELECT silence_cursor FROM projection")[0][0])

    def take_silences(self, batch: Sequence[Silence], *, cursor: int) -> None:
        with self._transaction() as db:
            moved = db.execute("UPDATE projection SET silence_cursor = ? WHERE silence_cursor < ?", (cursor, cursor))
            if moved.rowcount == 0:  # another thread was quicker, and may have taken in later ones
                return
            db.executemany(
                "INSERT INTO silences (id, body) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET body = excluded.body",
                [(each.id, json.dumps(silence_fields(each))) for each in batch],
            )

    def silences(self) -> list[KeptSilence]:
        counts = self.silenced()
        found = [read_silence(json.loads(body)) for (body,) in self._query("SELECT body FROM silences ORDER BY n")]
        return [KeptSilence(each, *counts.get(each.id, (0, 0))) for each in found]

    def silenced(self) -> dict[str, tuple[int, int]]:
        rows = self._query(
            "SELECT silence, count(*), sum(is_open AND json_extract(body, '$.silenced') IS silence)"
            " FROM case_silences JOIN cases ON id = case_id GROUP BY silence"
        )
        return {silence: (held, holding) for silence, held, holding in rows}

    def set_aside(self) -> int:
        return int(self._query("SELECT count(*) FROM set_aside")[0][0])

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()

    # -- inside ---------------------------------------------------------------------------------------------------

    def _events(self, condition: str, values: Sequence[object]) -> list[StoredEvent]:
        rows = self._query(f"SELECT {_EVENT} FROM events WHERE {condition}", values)  # noqa: S608 - values are bound
        return [StoredEvent(*row) for row in rows]

    @contextlib.contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        connection = self._idle.pop() if self._idle else self._connect()
        try:
            yield connection
        finally:
            if len(self._idle) < _IDLE:
                self._idle.append(connection)
            else:
                connection.close()

    def _connect(self) -> sqlite3.Connection:
        # Threads come and go, connections go from hand to hand: one thread at a time has each.
        connection = sqlite3.connect(self._path, timeout=10, isolation_level=None, check_same_thread=False)
        # NORMAL: a power cut may take the last transactions, whole; the cursor goes with them, and the log has them.
        connection.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA temp_store = MEMORY;")
        return connection

    def _query(self, statement: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        with self._connection() as db:
            return db.execute(statement, values).fetchall()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._writing, self._connection() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
            except BaseException:
                db.execute("ROLLBACK")
                raise
            db.execute("COMMIT")

    def _prepare(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if self._query("PRAGMA user_version")[0][0] == _VERSION:
            self._query("SELECT cursor FROM projection")
            return
        with self._transaction() as db:
            for table in _TABLES:
                db.execute(f"DROP TABLE IF EXISTS {table}")
            for statement in _SCHEMA.split(";"):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {_VERSION}")


def _take_in(db: sqlite3.Connection, each: LoggedEvent | SetAside) -> StoredEvent | None:
    if isinstance(each, SetAside):
        db.execute(
            "INSERT OR IGNORE INTO set_aside VALUES (?, ?, ?)",
            (each.cursor, each.reason, each.raw[:_KEPT_OF_UNREADABLE]),
        )
        return None
    event, case = each.event, each.event.case
    stored = StoredEvent(
        each.cursor, event.type.value, case.scene, case.id, event.cause, each.raw, case.severity, case.grid_cell
    )
    # The id is derived from case and version: the same fact logged twice keeps its first place.
    written = db.execute(
        f"INSERT OR IGNORE INTO events (id, {_EVENT}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - our own text
        (
            event.id,
            stored.cursor,
            stored.type,
            stored.scene,
            stored.case,
            stored.cause,
            each.raw,
            stored.severity,
            stored.grid_cell,
        ),
    )
    if written.rowcount == 0:
        return None
    _write_case(db, case, each.raw)
    return stored


def _write_case(db: sqlite3.Connection, case: Case, raw: str) -> None:
    body = json.dumps(json.loads(raw)["data"], ensure_ascii=False, separators=(",", ":"))
    db.execute(
        """INSERT INTO cases VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
           ON CONFLICT (id) DO UPDATE SET version = excluded.version, scene = excluded.scene, state = excluded.state,
               is_open = excluded.is_open, severity = excluded.severity, grid_cell = excluded.grid_cell,
               judged = excluded.judged, filed_at = excluded.filed_at, latency_s = excluded.latency_s,
               words = excluded.words, body = excluded.body
           WHERE excluded.version > cases.version""",
        (
            case.id,
            case.version,
            case.scene,
            case.state.value,
            case.state.is_open,
            case.severity,
            case.grid_cell,
            case.judged,
            iso(case.filed_at),
            case.latency_s,
            _words(case),
            body,
        ),
    )
    db.executemany("INSERT OR IGNORE INTO case_cameras VALUES (?, ?)", [(camera, case.id) for camera in case.cameras])
    db.executemany("INSERT OR IGNORE INTO case_evidence VALUES (?, ?)", [(each.ref, case.id) for each in case.evidence])
    if case.silenced is not None:
        db.execute("INSERT OR IGNORE INTO case_silences VALUES (?, ?)", (case.silenced, case.id))


def _words(case: Case) -> str:
    said = (case.id, case.title.zh, case.title.en, case.code, case.place, case.grid_cell, case.unit, case.external_id)
    return "\n".join(str(each) for each in (*said, *case.cameras, case.note, case.reason) if each).casefold()


def _conditions(wanted: Wanted) -> tuple[list[str], list[object]]:
    conditions: list[str] = []
    values: list[object] = []
    for column, among in (("scene", wanted.scenes), ("state", wanted.states), ("severity", wanted.severities)):
        if among:
            conditions.append(f"{column} IN ({_marks(among)})")
            values += among
    if wanted.units:
        conditions.append(f"json_extract(body, '$.unit') IN ({_marks(wanted.units)})")
        values += wanted.units
    if wanted.cameras:
        marks = _marks(wanted.cameras)
        conditions.append(f"id IN (SELECT case_id FROM case_cameras WHERE camera IN ({marks}))")  # noqa: S608 - marks
        values += wanted.cameras
    if wanted.silence is not None:
        conditions.append("id IN (SELECT case_id FROM case_silences WHERE silence = ?)")
        values.append(wanted.silence)
    if wanted.grid_cell is not None:
        conditions.append("substr(grid_cell, 1, length(?)) = ?")
        values += [wanted.grid_cell, wanted.grid_cell]
    for condition, at in (("filed_at >= ?", wanted.since), ("filed_at < ?", wanted.until)):
        if at is not None:
            conditions.append(condition)
            values.append(iso(at))
    if wanted.open is not None:
        conditions.append("is_open" if wanted.open else "NOT is_open")
    if wanted.judged is not None:
        conditions.append("judged IS ?")
        values.append(None if wanted.judged == "none" else wanted.judged)
    for word in wanted.words:
        conditions.append("instr(words, ?) > 0")
        values.append(word.casefold())
    return conditions, values


def _marks(values: Sequence[str]) -> str:
    return ", ".join("?" * len(values))
