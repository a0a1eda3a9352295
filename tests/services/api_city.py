"""A small city behind the events API: a real bus, a real view, a real server, and a pipeline that obeys at once."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from citybrain.bus.local import LocalBus
from citybrain.clock import Clock, SystemClock, iso
from citybrain.database import Database
from citybrain.domain.camera import Camera, Text, Zone, ZoneKind
from citybrain.domain.case import ALLOWED, STAMPS, Case, CaseAction, CaseEvent, CaseEventType, CaseState, Light
from citybrain.domain.command import Act
from citybrain.domain.episode import Evidence
from citybrain.domain.geometry import Box, Polygon
from citybrain.evidence.files import FileEvidence
from citybrain.hot.sqlite import SqliteHot
from citybrain.ports import EvidenceStore, HotStore
from citybrain.wire import CASE_EVENTS, COMMANDS, dumps, read_command, write_case_event
from events_api.app import create_app
from events_api.audit import AuditTrail
from events_api.personal import Reporters
from events_api.ports import CaseStore, DeadLetter, SceneInfo
from events_api.routes import cases as cases_routes
from events_api.security import Keys
from events_api.server import Server
from events_api.store.choice import open_cases, open_keys
from events_api.subscriptions.store import Subscriptions

START = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
TITLES = {
    "illegal_parking": Text("机动车乱停放", "Illegal parking"),
    "waterlogging": Text("道路积水", "Waterlogging"),
    "fire_risk": Text("烟火", "Fire risk"),
    "street_stall": Text("店外经营", "Street-stall spillover"),
}
SEVERITIES = {"fire_risk": "critical", "waterlogging": "high"}
SCENES = tuple(
    SceneInfo(id, title, "trial" if id == "street_stall" else "live", SEVERITIES.get(id, "normal"), code="05-05")
    for id, title in TITLES.items()
)
STAGES_MS = dict(zip(STAMPS, (0, 60, 110, 190, 240, 260, 900, 1100), strict=True))


class MemoryDeadLetters:
    """Dead letters in a list."""

    def __init__(self, *letters: DeadLetter) -> None:
        self.letters = list(letters)
        self.resent: list[str] = []

    def all(self, *, limit: int) -> list[DeadLetter]:
        return self.letters[:limit]

    def count(self) -> int:
        return len(self.letters)

    def resend(self, id: str) -> bool:
        found = any(letter.id == id for letter in self.letters)
        self.resent += [id] if found else []
        return found


def camera(n: int, zh: str = "关上中路口", en: str = "Guanshang junction") -> Camera:
    zone = Zone("kerb", ZoneKind.NO_PARKING, Polygon(((0.1, 0.55), (0.48, 0.52), (0.6, 0.98), (0.05, 0.98))))
    return Camera(f"gd-{n:04}", Text(zh, en), (102.7411, 25.0142), f"53011100100100{n % 10}", (zone,))


def case(n: int = 1, *, scene: str = "illegal_parking", at: datetime = START, camera: str = "gd-0001", **more) -> Case:
    """The n-th case, just filed at that instant."""
    captured = at - timedelta(milliseconds=STAGES_MS["filed"])
    known = {
        "id": f"case-{scene}-{n:05}",
        "scene": scene,
        "code": "05-05",
        "title": TITLES[scene],
        "severity": SEVERITIES.get(scene, "normal"),
        "state": CaseState.FILED,
        "cameras": (camera,),
        "zone": "kerb",
        "place": f"{camera}/kerb",
        "locality": f"{scene}:{camera}",
        "began_at": at - timedelta(minutes=3),
        "confirmed_at": captured,
        "filed_at": at,
        "label": "car",
        "confidence": 0.83,
        "observed_s": 150.0,
        "assumed_s": 30.0,
        "unseen_s": 0.0,
        "grid_cell": "530111001001003",
        "location": (102.7411, 25.0142),
        "due_at": at + timedelta(hours=2),
        "stamps": {name: captured + timedelta(milliseconds=STAGES_MS[name]) for name in STAMPS[:6]},
        "evidence": (Evidence(f"{camera}/{n}.jpg", camera, captured, "confirming", Box(0.25, 0.4, 0.5, 0.7)),),
        "model": "city-n@1",
        "version": 1,
    }
    return Case(**{**known, **more})


def posted(before: Case, *, after_ms: int = 900) -> Case:
    """The case once the dispatch system has it."""
    captured = before.stamps["captured"]
    at = captured + timedelta(milliseconds=after_ms)
    return replace(
        before,
        state=CaseState.DISPATCHED,
        posted_at=at,
        stamps={**before.stamps, "posted": at, "acknowledged": at + timedelta(milliseconds=200)},
        latency_s=after_ms / 1000,
        external_id=f"WX-{before.id[-5:]}",
        unit="traffic police",
        version=before.version + 1,
    )


def event(of: Case, type: CaseEventType = CaseEventType.FILED, *, cause: str | None = None) -> CaseEvent:
    return CaseEvent(f"{of.id}-v{of.version}", type, of, of.filed_at + timedelta(seconds=of.version - 1), cause)


_TOLD = {
    CaseAction.REJECT: CaseEventType.REJECTED,
    CaseAction.CLOSE: CaseEventType.CLOSED,
    CaseAction.MERGE: CaseEventType.CLOSED,
    CaseAction.REOPEN: CaseEventType.REOPENED,
    CaseAction.ESCALATE: CaseEventType.ESCALATED,
}
_UNDOABLE = (CaseAction.CONFIRM, CaseAction.REJECT, CaseAction.MERGE)


def obey(before: Case, act: Act, undone: Case | None = None) -> CaseEvent:
    """What the pipeline would say to an action, told simply. `undone` is the case before what undo takes back."""
    changed: dict[CaseAction, dict[str, Any]] = {
        CaseAction.CONFIRM: {"judged": "confirmed"},
        CaseAction.REJECT: {"judged": "rejected", "state": CaseState.REJECTED, "closed_at": act.at},
        CaseAction.HANDLE: {"state": CaseState.HANDLING, "accepted_at": act.at},
        CaseAction.ARRIVE: {"state": CaseState.HANDLING, "arrived_at": act.at},
        CaseAction.VERIFY: {"state": CaseState.VERIFYING, "done_at": act.at},
        CaseAction.RETURN: {"state": CaseState.RETURNED},
        CaseAction.ASSIGN: {"unit": act.unit},
        CaseAction.EXTEND: {"due_at": act.until},
        CaseAction.CLOSE: {"state": CaseState.CLOSED, "closed_at": act.at},
        CaseAction.REOPEN: {"state": CaseState.FILED, "closed_at": None},
        CaseAction.ESCALATE: {
            "light": Light.RED,
            "escalation": before.escalation + 1,
            "escalated_to": "Guanshang street",
        },
        CaseAction.DEFER: {"state": CaseState.DEFERRED, "due_at": act.until or before.due_at},
        CaseAction.MERGE: {"state": CaseState.CLOSED, "closed_at": act.at, "merged_into": act.into},
        CaseAction.UNDO: {}
        if undone is None
        else {name: getattr(undone, name) for name in ("state", "judged", "closed_at", "merged_into")},
    }
    said = {"reason": act.reason, "note": act.note, "actor": act.actor, "version": before.version + 1}
    undoable = act.action.value if act.action in _UNDOABLE else None
    after = replace(before, **{**said, "undoable": undoable, **changed[act.action]})
    kind = _TOLD.get(act.action, CaseEventType.STATUS)
    return CaseEvent(f"{after.id}-v{after.version}", kind, after, act.at, act.id)


class City:
    """The API's surroundings in a folder. `pipeline` is the other side of the bus, as another process would open it.

    With a `database` what the API keeps lies there, as it does where replicas share it.
    """

    def __init__(
        self,
        folder: Path,
        *,
        clock: Clock | None = None,
        secret: str | None = None,
        cameras: int = 3,
        database: str | None = None,
    ) -> None:
        self.folder = folder
        self.clock = clock or SystemClock()
        self.bus = LocalBus(folder / "citybrain.db", clock=self.clock)
        self.pipeline = LocalBus(folder / "citybrain.db", clock=self.clock)
        shared = None if database is None else Database.open(database)
        self.store: CaseStore = open_cases(shared, folder / "view.db")
        subscriptions = shared or Database.file(folder / "subscriptions.db", durable=False)
        self.subscriptions = Subscriptions(subscriptions, clock=self.clock)
        self.trail = AuditTrail(shared or Database.memory(), clock=self.clock)
        self.reporters = Reporters(shared or Database.memory())
        self.hot: HotStore = SqliteHot(folder / "hot.db", clock=self.clock)
        self.evidence: EvidenceStore = FileEvidence(folder / "evidence")
        self.keys: Keys = open_keys(shared, folder / "keys.json", clock=self.clock)
        self.letters = MemoryDeadLetters()
        self.secret = secret
        self.cameras = [camera(n) for n in range(1, cameras + 1)]
        self.cases: dict[str, Case] = {}
        self.acts: list[Act] = []
        self._read_to = 0
        self._stop = threading.Event()
        self._obeying: threading.Thread | None = None

    def app(self, **more):
        more = {"trail": self.trail, "reporters": self.reporters, **more}
        return create_app(
            bus=self.bus,
            store=self.store,
            subscriptions=self.subscriptions,
            hot=self.hot,
            evidence=self.evidence,
            cameras=self.cameras,
            scenes=SCENES,
            keys=self.keys,
            clock=self.clock,
            dead_letters=self.letters,
            dispatch_secret=self.secret,
            **more,
        )

    def tell(self, *events: CaseEvent) -> int:
        """Log case events as the pipeline does; returns the last one's cursor."""
        cursor = 0
        for each in events:
            self.cases[each.case.id] = each.case
            cursor = self.pipeline.publish(CASE_EVENTS, each.case.locality, write_case_event(each))
        return cursor

    def file(self, *cases: Case) -> int:
        return self.tell(*(event(each) for each in cases))

    def beat(self, role: str = "pipeline", *, at: datetime | None = None, **figures: float) -> None:
        """A role's heartbeat: without `at` an hour ahead, for on a busy machine it would be silent before a test is over."""
        report = {"at": iso(at or self.clock.now() + timedelta(hours=1)), "pid": 1, "figures": figures}
        self.hot.put(f"heartbeat/{role}/0", dumps(report))

    def commands(self) -> list[Act]:
        """Actions on the bus that were not read yet."""
        messages = self.pipeline.read([COMMANDS], after=self._read_to)
        found = [command for message in messages if isinstance(command := read_command(message.value), Act)]
        self._read_to = messages[-1].offset if messages else self._read_to
        self.acts += found
        return found

    @contextlib.contextmanager
    def obeying(self) -> Iterator[None]:
        """Answer every possible action with its event, as the pipeline does, until the block ends.

        Whoever acts waits for the effect as long as it takes: a machine may be too busy for the three seconds of a person.
        """
        self._stop.clear()
        thread = threading.Thread(target=self._obey, name="obeying")
        before, cases_routes.EFFECT_WITHIN = cases_routes.EFFECT_WITHIN, timedelta(minutes=1)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()
            cases_routes.EFFECT_WITHIN = before

    def _obey(self) -> None:
        done: set[str] = set()
        was: dict[str, Case] = {}
        while not self._stop.is_set():
            for act in self.commands():
                before = self.cases[act.case]
                if act.id not in done and before.state in ALLOWED[act.action]:
                    done.add(act.id)
                    self.tell(obey(before, act, was.get(act.case)))
                    was[act.case] = before
            self.pipeline.wait(timedelta(milliseconds=50))

    def close(self) -> None:
        self.store.close()
        self.hot.close()
        self.bus.close()
        self.pipeline.close()


@contextlib.contextmanager
def serving(app, *, port: int = 0, send_buffer: int | None = None) -> Iterator[str]:
    """A real server on a free port of this machine; gives its address. `send_buffer`: what the kernel keeps for a client."""
    with socket.socket() as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if send_buffer is not None:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
        bound.bind(("127.0.0.1", port))
        server = Server(app, host="127.0.0.1", port=bound.getsockname()[1])
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, name="serving")
        thread.start()
        address = f"http://127.0.0.1:{bound.getsockname()[1]}"
        try:
            with httpx.Client(transport=httpx.HTTPTransport(retries=20)) as client:
                client.get(f"{address}/healthz", timeout=60).raise_for_status()
            yield address
        finally:
            server.should_exit = True
            thread.join(timeout=60)
            assert not thread.is_alive(), "the server does not stop"
