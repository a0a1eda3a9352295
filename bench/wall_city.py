"""A city behind its wall without a pipeline: so many cases, cameras and pictures in a folder, the API that serves them, more cases.

python -m bench.wall_city FOLDER PORT CAMERAS     serves what `build` put there
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import cv2
import numpy as np

from citybrain.bus.local import LocalBus
from citybrain.clock import Clock, SystemClock, iso
from citybrain.database import Database
from citybrain.domain.camera import Camera, Text
from citybrain.domain.case import STAMPS, Case, CaseEvent, CaseEventType, CaseState
from citybrain.domain.episode import Evidence
from citybrain.domain.geometry import Box
from citybrain.evidence.files import FileEvidence
from citybrain.hot.sqlite import SqliteHot
from citybrain.wire import CASE_EVENTS, dumps, write_case_event
from events_api.app import create_app
from events_api.ports import SceneInfo
from events_api.server import Server
from events_api.store.sql import SqlCases
from events_api.subscriptions.store import Subscriptions

SCENES = {
    "illegal_parking": (Text("机动车乱停放", "Illegal parking"), "normal"),
    "waterlogging": (Text("道路积水", "Waterlogging"), "high"),
    "fire_risk": (Text("烟火", "Fire risk"), "critical"),
}
_PICTURES = 200
_AT_ONCE = 500
_STAGES_MS = (0, 60, 110, 190, 240, 260, 900, 1100)


class WallCity:
    """The pipeline's side of the folder: what it writes, the API serves."""

    def __init__(self, folder: Path, *, cameras: int, clock: Clock | None = None) -> None:
        self.folder = folder
        self.cameras = cameras
        self.clock = clock or SystemClock()
        self.bus = LocalBus(folder / "citybrain.db", clock=self.clock)
        self.pictures = [_picture(n) for n in range(_PICTURES)]
        self.evidence = FileEvidence(folder / "evidence")
        self.filed = 0

    def build(self, cases: int) -> None:
        """So many open cases, one a second until now, and each camera's state and latest picture."""
        now = self.clock.now()
        refs = [self.evidence.put("gd-0001", now, picture) for picture in self.pictures]
        for first in range(0, cases, _AT_ONCE):
            for n in range(first, min(cases, first + _AT_ONCE)):
                at = now - timedelta(seconds=cases - n)
                self._tell(self._case(at, refs[n % len(refs)]))
        hot = SqliteHot(self.folder / "hot.db", clock=self.clock)
        for camera in cameras(self.cameras):
            hot.put(f"camera/{camera.id}", dumps({"state": "live", "at": iso(now)}))
        hot.put("heartbeat/ingest/0", dumps({"at": iso(now), "pid": 1, "figures": {}}))
        hot.close()

    def file(self) -> Case:
        """One more case, with a picture of its own."""
        now = self.clock.now()
        n = self.filed % len(self.pictures)
        ref = self.evidence.put(f"gd-{n + 1:04}", now, self.pictures[n])
        case = self._case(now, ref)
        self._tell(case)
        return case

    def change(self, case: Case) -> Case:
        """The case, posted or confirmed."""
        after = replace(case, version=case.version + 1, judged="confirmed", state=CaseState.DISPATCHED)
        self._tell(after, CaseEventType.STATUS)
        return after

    def close(self) -> None:
        self.bus.close()

    def _case(self, at: datetime, ref: str) -> Case:
        self.filed += 1
        scene = list(SCENES)[self.filed % len(SCENES)]
        title, severity = SCENES[scene]
        camera = f"gd-{self.filed % self.cameras + 1:04}"
        captured = at - timedelta(milliseconds=_STAGES_MS[5])
        return Case(
            id=f"{scene}-{self.filed:06}",
            scene=scene,
            code="05-05",
            title=title,
            severity=severity,
            state=CaseState.FILED,
            cameras=(camera,),
            zone="kerb",
            place=f"{camera}/kerb",
            locality=f"{scene}:{camera}",
            began_at=at - timedelta(minutes=3),
            confirmed_at=captured,
            filed_at=at,
            label="car",
            confidence=0.8,
            observed_s=150.0,
            assumed_s=30.0,
            unseen_s=0.0,
            grid_cell=f"530111001{self.filed % 100:06}",
            location=(102.74 + self.filed % 100 / 1000, 25.01),
            due_at=at + timedelta(hours=2),
            stamps={
                name: captured + timedelta(milliseconds=ms)
                for name, ms in list(zip(STAMPS, _STAGES_MS, strict=True))[:6]
            },
            evidence=(Evidence(ref, camera, captured, "confirming", Box(0.25, 0.4, 0.5, 0.7)),),
            version=1,
        )

    def _tell(self, case: Case, type: CaseEventType = CaseEventType.FILED) -> None:
        event = CaseEvent(f"{case.id}-v{case.version}", type, case, self.clock.now())
        self.bus.publish(CASE_EVENTS, case.locality, write_case_event(event))


def cameras(count: int) -> Iterator[Camera]:
    for n in range(1, count + 1):
        yield Camera(f"gd-{n:04}", Text(f"{n} 号点位", f"Camera {n}"), (102.74, 25.01), f"530111001{n % 100:06}", ())


def serve(folder: Path, *, port: int, count: int) -> None:
    """Serve the folder until the process is told to end."""
    clock = SystemClock()
    app = create_app(
        bus=LocalBus(folder / "citybrain.db", clock=clock),
        store=SqlCases.file(folder / "view.db"),
        subscriptions=Subscriptions(Database.file(folder / "subscriptions.db"), clock=clock),
        hot=SqliteHot(folder / "hot.db", clock=clock),
        evidence=FileEvidence(folder / "evidence"),
        cameras=cameras(count),
        scenes=[SceneInfo(id, title, "live", severity, code="05-05") for id, (title, severity) in SCENES.items()],
        clock=clock,
    )
    Server(app, host="127.0.0.1", port=port).run()


def _picture(n: int) -> bytes:
    """What a street camera's JPEG weighs: 1280×720 with some texture, no two alike."""
    chance = np.random.default_rng(n)
    coarse = chance.integers(40, 200, (45, 80, 3), np.uint8)
    picture = cv2.resize(coarse, (1280, 720), interpolation=cv2.INTER_CUBIC)
    return bytes(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes())


if __name__ == "__main__":
    serve(Path(sys.argv[1]), port=int(sys.argv[2]), count=int(sys.argv[3]))
