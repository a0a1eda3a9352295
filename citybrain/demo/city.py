"""The bundled demo city: simulated cameras, the whole of citybrain, and a dispatch desk, as processes of one machine."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from citybrain.clock import iso
from citybrain.demo import footage_clip
from citybrain.demo.desk import EVENTS, SECRET_VARIABLE
from citybrain.deployment import DataFolder, Deployment
from citybrain.supervisor import citybrain

CONFIG = Path(__file__).parents[2] / "configs" / "demo"
USER = "demo"
COURSE = ("accepted=2s", "handling=10s", "arrived=25s", "done=2m", "traffic_order:done=40s")
"""What units do with a case: most say that it is done when it is gone; who removes cars says so too early, and then again."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the three servers listen, all on loopback; cameras.yaml of the demo reads the cameras' from the environment."""

    wall: int = 8000
    cameras: int = 8554
    desk: int = 9100


@dataclass(frozen=True)
class DemoCity:
    """What is started with which words. `epoch` is when all clips began; `footage` is where the clips are built."""

    data: Path
    footage: Path
    epoch: datetime
    host: str = "127.0.0.1"
    ports: Ports = field(default_factory=Ports)
    config: Path = CONFIG
    workers: int | None = None
    password: str = field(default_factory=lambda: secrets.token_urlsafe(12), repr=False)

    @property
    def wall(self) -> str:
        return f"http://{self.host}:{self.ports.wall}"

    @property
    def desk(self) -> str:
        return f"http://127.0.0.1:{self.ports.desk}"

    def build_footage(self, progress: Callable[[str, float], None]) -> list[Path]:
        """Compose and encode the clips that are missing or out of date; without timelines, those that lie there are shown."""
        self.footage.mkdir(parents=True, exist_ok=True)
        if not (self.config / "footage").is_dir():
            return sorted(self.footage.glob("*.mp4"))
        return footage_clip.build(self.config / "footage", self.footage, progress=progress)

    def environment(self) -> Mapping[str, str]:
        """What the processes find in their environment."""
        return {
            **os.environ,
            "DEMO_RTSP_PORT": str(self.ports.cameras),
            "DEMO_CAMERA_PASSWORD": self.password,
            SECRET_VARIABLE: Deployment(DataFolder(self.data)).dispatch_secret(),
        }

    def commands(self) -> Mapping[str, Sequence[str]]:
        """The command lines by name: cameras, desk, up."""
        up = ["up", "--config", str(self.config), "--data", str(self.data)]
        up += ["--host", self.host, "--port", str(self.ports.wall), "--dispatch", f"{self.desk}{EVENTS}"]
        if self.workers is not None:
            up += ["--workers", str(self.workers)]
        return {
            "cameras": self._module(
                "simulator",
                *("--folder", str(self.footage), "--port", str(self.ports.cameras)),
                *("--epoch", iso(self.epoch), "--user", f"{USER}:{self.password}"),
            ),
            "desk": self._module(
                "desk",
                *("--port", str(self.ports.desk), "--data", str(self.data / "desk.db"), "--callback", self.wall),
                *("--course", *COURSE),
            ),
            "up": citybrain(*up),
        }

    def begin_at(self, epoch: datetime) -> DemoCity:
        """The same city with its clips begun at another instant."""
        return replace(self, epoch=epoch)

    @staticmethod
    def _module(name: str, *arguments: str) -> list[str]:
        return [sys.executable, "-m", f"citybrain.demo.{name}", *arguments]
