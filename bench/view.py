"""The case view in a file and in PostgreSQL, beside the same written by hand for sqlite3: ten thousand events in, pages out.

All three take the same batches and answer the same questions in turn, so that whatever else the machine does meets all of them;
of what is asked often the quickest time counts, for whatever else the machine does only adds.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

from bench.fleet import Fleet
from bench.machine import machine
from bench.servers import start_postgres
from bench.wall_city import WallCity
from citybrain.clock import SystemClock, iso
from citybrain.database import Database
from citybrain.wire import CASE_EVENTS, read_case_event
from events_api.ports import LoggedEvent, StoredEvent, Wanted
from events_api.store.sql import SqlCases

COUNT = 10_000
_BATCH = 500
_SINGLE = 200
_TIMES = 200
_PAGE, _EVENTS = 50, 200
_CLOCK = SystemClock()


class View(Protocol):
    """What is measured of a CaseStore."""

    def apply(self, batch: Sequence[LoggedEvent], *, cursor: int, after: int) -> object: ...
    def cases(self, wanted: Wanted, *, limit: int) -> list[Any]: ...
    def events(self, *, after: int, limit: int) -> list[StoredEvent]: ...
    def timeline(self, id: str) -> list[StoredEvent]: ...
    def close(self) -> None: ...


class ByHand:
    """One connection of sqlite3, a statement for each row, and no checks: as little as it can be done with."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.executescript(
            """
            PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
            CREATE TABLE cases (id TEXT PRIMARY KEY, version INTEGER, scene TEXT, state TEXT, is_open INTEGER, severity TEXT,
                grid_cell TEXT, filed_at TEXT, words TEXT, body TEXT);
            CREATE INDEX newest ON cases (filed_at, id);
            CREATE INDEX by_scene ON cases (scene, state, filed_at, id);
            CREATE INDEX open ON cases (filed_at, id) WHERE is_open;
            CREATE TABLE cameras (camera TEXT, id TEXT, PRIMARY KEY (camera, id)) WITHOUT ROWID;
            CREATE TABLE evidence (ref TEXT, id TEXT, PRIMARY KEY (ref, id)) WITHOUT ROWID;
            CREATE TABLE events (cursor INTEGER PRIMARY KEY, id TEXT UNIQUE, type TEXT, scene TEXT, case_id TEXT, cause TEXT,
                body TEXT, severity TEXT, grid_cell TEXT);
            CREATE INDEX of_case ON events (case_id, cursor);
            CREATE TABLE read_to (cursor INTEGER);
            INSERT INTO read_to VALUES (0);
            """
        )

    def apply(self, batch: Sequence[LoggedEvent], *, cursor: int, after: int) -> None:
        db = self._db
        db.execute("BEGIN IMMEDIATE")
        for each in batch:
            event, case = each.event, each.event.case
            place = (case.scene, case.id, event.cause, each.raw, case.severity, case.grid_cell)
            db.execute(
                "INSERT OR IGNORE INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (each.cursor, event.id, event.type.value, *place),
            )
            words = "\n".join([case.id, case.title.zh, case.title.en, case.code, case.place, *case.cameras]).casefold()
            body = json.dumps(json.loads(each.raw)["data"], ensure_ascii=False, separators=(",", ":"))
            now = (case.state.value, case.state.is_open, case.severity, case.grid_cell, iso(case.filed_at), words, body)
            db.execute(
                "INSERT INTO cases VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET version = excluded.version,"
                " state = excluded.state, words = excluded.words, body = excluded.body WHERE excluded.version > cases.version",
                (case.id, case.version, case.scene, *now),
            )
            db.executemany("INSERT OR IGNORE INTO cameras VALUES (?, ?)", [(name, case.id) for name in case.cameras])
            db.executemany("INSERT OR IGNORE INTO evidence VALUES (?, ?)", [(e.ref, case.id) for e in case.evidence])
        db.execute("UPDATE read_to SET cursor = ? WHERE cursor = ?", (cursor, after))
        db.execute("COMMIT")

    def cases(self, wanted: Wanted, *, limit: int) -> list[Any]:
        conditions = ["1"] + ["is_open"] * bool(wanted.open) + ["instr(words, ?) > 0"] * len(wanted.words)
        rows = self._db.execute(
            f"SELECT body FROM cases WHERE {' AND '.join(conditions)} ORDER BY filed_at DESC, id DESC LIMIT ?",  # noqa: S608
            (*wanted.words, limit),
        )
        return [json.loads(body) for (body,) in rows.fetchall()]

    def events(self, *, after: int, limit: int) -> list[StoredEvent]:
        return self._events("cursor > ? ORDER BY cursor LIMIT ?", after, limit)

    def timeline(self, id: str) -> list[StoredEvent]:
        return self._events("case_id = ? ORDER BY cursor", id)

    def close(self) -> None:
        self._db.close()

    def _events(self, which: str, *values: object) -> list[StoredEvent]:
        columns = "cursor, type, scene, case_id, cause, body, severity, grid_cell"
        rows = self._db.execute(f"SELECT {columns} FROM events WHERE {which}", values)  # noqa: S608 - our own text
        return [StoredEvent(*row) for row in rows.fetchall()]


def measure(_given: argparse.Namespace) -> dict[str, Any]:
    """Seconds for 10,000 events in batches, milliseconds for one by one and for each question."""
    with _views() as (folder, views):
        log = _log(folder, COUNT + _SINGLE)
        batches_s = dict.fromkeys(views, 0.0)
        for first in range(0, COUNT, _BATCH):
            batch, after = log[first : first + _BATCH], log[first - 1].cursor if first else 0
            for name, view in views.items():
                batches_s[name] += _took_s(partial(view.apply, batch, cursor=batch[-1].cursor, after=after))
        singles: dict[str, list[float]] = {name: [] for name in views}
        for before, each in pairwise(log[COUNT - 1 :]):
            for name, view in views.items():
                singles[name].append(_took_s(partial(view.apply, [each], cursor=each.cursor, after=before.cursor)))
        middle, case = log[COUNT // 2].cursor, log[77].event.case.id
        questions: Mapping[str, Callable[[View], list[Any]]] = {
            f"{_PAGE} newest cases": lambda view: view.cases(Wanted(), limit=_PAGE),
            f"{_PAGE} newest open cases": lambda view: view.cases(Wanted(open=True), limit=_PAGE),
            "a search that finds nothing": lambda view: view.cases(Wanted(words=("gd-0001", "no such")), limit=_PAGE),
            f"{_EVENTS} events": lambda view: view.events(after=middle, limit=_EVENTS),
            "a case's timeline": lambda view: view.timeline(case),
        }
        answers_ms = {what: _answers_ms(views, ask) for what, ask in questions.items()}
        one_ms = {name: round(min(took) * 1000, 2) for name, took in singles.items()}
    return {
        "machine": machine(),
        "events": COUNT,
        "in_batches_s": {name: round(took_s, 2) for name, took_s in batches_s.items()},
        "one_by_one_ms": one_ms,
        **answers_ms,
        "times_by_hand": {
            "in_batches": round(batches_s["file"] / batches_s["by hand"], 2),
            "one_by_one": round(one_ms["file"] / one_ms["by hand"], 2),
            **{what: round(ms["file"] / ms["by hand"], 2) for what, ms in answers_ms.items()},
        },
    }


def _answers_ms(views: Mapping[str, View], ask: Callable[[View], list[Any]]) -> dict[str, float]:
    took: dict[str, list[float]] = {name: [] for name in views}
    answers = [ask(view) for view in views.values()]
    assert all(len(each) == len(answers[0]) for each in answers)
    for _ in range(_TIMES):
        for name, view in views.items():
            took[name].append(_took_s(partial(ask, view)))
    return {name: round(min(each) * 1000, 3) for name, each in took.items()}


def _took_s(do: Callable[[], object]) -> float:
    began_s = _CLOCK.monotonic()
    do()
    return _CLOCK.monotonic() - began_s


def _log(folder: Path, count: int) -> list[LoggedEvent]:
    city = WallCity(folder, cameras=500)
    city.build(count)
    found: list[LoggedEvent] = []
    while len(found) < count:
        messages = city.bus.read([CASE_EVENTS], after=found[-1].cursor if found else 0, limit=_BATCH)
        found += [LoggedEvent(each.offset, read_case_event(each.value), each.value.decode()) for each in messages]
    city.close()
    return found


@contextmanager
def _views() -> Iterator[tuple[Path, dict[str, View]]]:
    home = Path(tempfile.mkdtemp(prefix="citybrain-view-"))  # PostgreSQL's own: it may belong to nobody
    fleet = Fleet(home)
    try:
        with tempfile.TemporaryDirectory(prefix="citybrain-view-") as name:
            folder = Path(name)
            views: dict[str, View] = {
                "by hand": ByHand(folder / "by-hand.db"),
                "file": SqlCases.file(folder / "view.db"),
                "postgresql": SqlCases(Database.open(start_postgres(fleet, home))),
            }
            yield folder, views
            for each in views.values():
                each.close()
    finally:
        fleet.close()
        shutil.rmtree(home, ignore_errors=True)
