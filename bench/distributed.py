"""A city on the distributed engine, all of it on this machine: servers, roles and tellers in processes of their own."""

from __future__ import annotations

import json
import logging
import pickle
import shutil
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from bench.fleet import Fleet, Part
from bench.imagined import Imagined, as_camera
from bench.ports import free_port
from bench.running import asked, said
from bench.servers import in_batches, listens, start_broker, start_objects, start_postgres, start_redis
from citybrain.bus.address import KafkaAddress
from citybrain.bus.topics import create, layout
from citybrain.demo.desk import EVENTS, SECRET_VARIABLE
from citybrain.deployment import VARIABLES, Deployment
from citybrain.errors import Transient
from citybrain.ports import Bus
from citybrain.supervisor import citybrain
from citybrain.wire import CASE_EVENTS, loads

log = logging.getLogger(__name__)

SHIPPED = Path(__file__).parents[1] / "configs"
SCENE = "stall_spillover"
"""The scene that imagined problems are of."""
QUICK: Mapping[str, Any] = {
    "hold": "4s",
    "max_gap": "30s",
    "clear_after": "10s",
    "patience": "2s",
    "case": {"close_after_clear": "10s"},
}
_PAGE = 500


@dataclass(frozen=True)
class Engine:
    """What the city runs on. Not `distributed`: everything in one data folder, with one pipeline and one API."""

    distributed: bool = True
    lasting: bool = True
    partitions: int = 8
    pipelines: int = 2
    replicas: int = 2
    postgres: bool = True
    redis: bool = True
    desk: bool = True
    standbys: int | None = None
    """Workers have so many instead of what ships; then they post to nobody."""


@dataclass
class City:
    """A running city. Names of its processes: `broker`, `postgres`, `redis`, `desk`, `pipeline-a`…, `api-a`…, `teller-0`…"""

    fleet: Fleet
    engine: Engine
    folder: Path
    config: Path
    deployment: Deployment
    environment: Mapping[str, str]
    wall: list[str] = field(default_factory=list)
    desk: str = ""
    left: bool = False
    """Its folder stays, with what every process said; so it does when something fails."""
    _read_to: int = 0

    @property
    def data(self) -> Path:
        return self.deployment.data.path

    def names(self, role: str) -> list[str]:
        return [name for name in self.fleet.starts if name.partition("-")[0] == role]

    def get(self, path: str, *, of: str | None = None) -> Any:
        """A JSON answer of the first API, or of whoever `of` names. Raises Transient when there is none."""
        return asked(urllib.request.Request((of or self.wall[0]) + path))  # noqa: S310  # loopback, our own

    def set_desk(self, **fault: object) -> None:
        """Make the desk fail in some way: `mode=…`, see citybrain/demo/desk_faults.py."""
        said(self.desk + "/faults", fault, "PUT")

    def post(self, path: str, body: object) -> None:
        """To the first API."""
        said(self.wall[0] + path, body)

    def open_bus(self) -> Bus:
        return self.deployment.open_bus()

    def start_pipeline(self, name: str, *, fresh: bool = False) -> str:
        """A worker of the pipeline; `fresh` forgets what it had on its disk."""
        full = f"pipeline-{name}"
        if fresh:
            shutil.rmtree(self.data / "pipeline" / name, ignore_errors=True)
        where = ["--config", str(self.config), "--data", str(self.data)]
        command = citybrain("pipeline", *where, *(["--member", name] if self.engine.distributed else []))
        command += ["--dispatch", self.desk + EVENTS] if self.desk else []
        if self.engine.standbys is not None:
            words = [str(self.config), str(self.data), name, str(self.engine.standbys)]
            command = [sys.executable, "-m", "bench.kafka_worker", *words]
        self.fleet.start(Part(full, command, self.environment))
        return full

    def start_api(self, name: str) -> None:
        port = free_port()
        command = citybrain("api", "--config", str(self.config), "--data", str(self.data), "--port", str(port))
        url = f"http://127.0.0.1:{port}"
        self.fleet.start(Part(f"api-{name}", command, self.environment), ready=lambda: listens(port))
        self.wall.append(url)

    def start_tellers(self, imagined: Imagined, *, count: int = 1, batches: bool = False) -> None:
        """What they tell is in `figures-N.jsonl`. `batches`: as ingest produces where nobody has to read anew what was read."""
        bus = VARIABLES["bus"]
        environment = {**self.environment, **({bus: in_batches(self.environment[bus])} if batches else {})}
        city = self.folder / "imagined.pickle"
        city.write_bytes(pickle.dumps(imagined))
        for number in range(count):
            words = [str(city), str(self.data), str(self.figures(number)), f"{number}/{count}"]
            command = [sys.executable, "-m", "bench.teller", *words]
            self.fleet.start(Part(f"teller-{number}", command, environment))

    def figures(self, teller: int) -> Path:
        return self.folder / f"figures-{teller}.jsonl"

    def more_events(self, bus: Bus, events: list[dict[str, Any]]) -> None:
        """Add what the log of case events says beyond those that were read: page by page, so that none is read twice."""
        while page := bus.read((CASE_EVENTS,), after=self._read_to, limit=_PAGE):
            events += [loads(message.value) for message in page]
            self._read_to = page[-1].offset

    def cases(self, wall: str) -> list[dict[str, Any]]:
        """Every case as one API shows it."""
        found: list[dict[str, Any]] = []
        cursor: str | None = ""
        while cursor is not None:
            page = self.get(f"/v1/cases?limit=200{f'&cursor={cursor}' if cursor else ''}", of=wall)
            found += page["items"]
            cursor = page.get("next")
        return found


@contextmanager
def city(imagined: Imagined, engine: Engine) -> Iterator[City]:
    """Servers and topics are there, the desk too; roles and tellers are started by whoever asked. Ends with every process."""
    folder = Path(tempfile.mkdtemp(prefix="citybrain-distributed-"))
    home = Path(tempfile.mkdtemp(prefix="citybrain-bench-postgres-"))
    for each in ("log", "data"):
        (folder / each).mkdir(parents=True, exist_ok=True)
    fleet, left = Fleet(folder / "log"), True
    try:
        addresses: dict[str, str] = {}
        if engine.distributed:
            addresses["bus"] = start_broker(fleet, objects=start_objects(fleet) if engine.lasting else None)
            if engine.postgres:
                addresses["database"] = start_postgres(fleet, home)
            if engine.redis:
                addresses["hot"] = start_redis(fleet, folder)
            create(KafkaAddress.parse(addresses["bus"]), layout(engine.partitions), replicas=1)
        deployment = Deployment.told(folder / "data", environment={}, **addresses)
        deployment.data.make()
        environment = {VARIABLES[name]: address for name, address in addresses.items()}
        config = write_config(folder / "config", imagined_cameras(imagined))
        running = City(fleet, engine, folder, config, deployment, environment)
        if engine.desk:
            _start_desk(running)
        yield running
        left = running.left
    finally:
        fleet.close()
        shutil.rmtree(home, ignore_errors=True)
        if left:
            log.warning("what every process said is left in %s", folder / "log")
        else:
            shutil.rmtree(folder, ignore_errors=True)


def write_config(
    folder: Path,
    cameras: Sequence[Mapping[str, Any]],
    *,
    scenes: Mapping[str, Mapping[str, Any]] | None = None,
    shipped: Path = SHIPPED,
) -> Path:
    """A configuration of these cameras; `scenes` names the shipped scenes that are wanted, with the keys that differ."""
    wanted = {SCENE: QUICK} if scenes is None else scenes
    for each in ("detectors", "codes", "scenes"):
        shutil.copytree(shipped / each, folder / each)
    if (shipped / "calendar.yaml").exists():
        shutil.copy(shipped / "calendar.yaml", folder)
    for path in (folder / "scenes").iterdir():
        if path.stem not in wanted:
            path.unlink()
            continue
        said, else_said = yaml.safe_load(path.read_text()), wanted[path.stem]
        said = {**said, **else_said, "case": {**said["case"], **else_said.get("case", {})}}
        said["inhibited_by"] = [other for other in said.get("inhibited_by", ()) if other in wanted]
        path.write_text(yaml.safe_dump(said, allow_unicode=True))
    (folder / "routes.yaml").write_text("routes: []\n")
    # JSON is YAML, and much quicker to write.
    (folder / "cameras.yaml").write_text(json.dumps({"cameras": list(cameras)}, ensure_ascii=False))
    return folder


def imagined_cameras(imagined: Imagined) -> list[dict[str, Any]]:
    return [as_camera(one, camera) for one in imagined.classes for camera in one.cameras()]


def until(holds: Any, *, within_s: float, every_s: float = 0.5) -> bool:
    """Whether it came true in time; Transient answers count as not yet."""
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        with suppress(Transient):
            if holds():
                return True
        time.sleep(every_s)
    return False


def _start_desk(running: City) -> None:
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "citybrain.demo.desk",
        "--port",
        str(port),
        "--data",
        str(running.data / "desk.db"),
    ]
    secret = running.deployment.data.dispatch_secret()
    running.fleet.start(Part("desk", command, {SECRET_VARIABLE: secret}), ready=lambda: listens(port))
    running.desk = f"http://127.0.0.1:{port}"
