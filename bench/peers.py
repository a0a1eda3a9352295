"""How many cameras one machine keeps fresh, through ours and through what people use: same cameras, model and freshness.

A side carries a number of cameras when 99 of 100 spells between two pictures looked at are within 2 s, and 99 of 100
pictures are no older than 3 s when it is known what they show. The largest number is searched for each side. The cameras
take turns with four streets; where the content matters, to ours alone, the liveliest of them is measured alone as well.
"""

from __future__ import annotations

import argparse
import logging
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import yaml

from bench import footage, peer_ultralytics
from bench.footage import GROUP
from bench.freshness import EVERY_S, OLDEST_S, Freshness, Sight, freshness, largest
from bench.machine import machine
from bench.peer_processes import Listener, Simulated, peer_environment, simulated, started, usage
from citybrain.bus.local import LocalBus
from citybrain.clock import SystemClock
from citybrain.deployment import DataFolder
from citybrain.domain.detection import Looked
from citybrain.errors import UsageError
from citybrain.supervisor import citybrain
from citybrain.wire import DETECTIONS, read_detections
from detectors.registry import openvino_files

log = logging.getLogger(__name__)

SHIPPED = Path(__file__).parents[1] / "configs"
LEAST = 8.0
"""How many times the cameras of ultralytics' multi-stream loader ours must carry."""

SHAPES: Mapping[str, tuple[int, int]] = {"sub": (480, 640), "main": (384, 640)}
"""704×576 and 1080p, and the (height, width) that the model sees them in: the same for every side."""

_SECONDS = 20.0
_WARM_S = 25.0  # ours compiles for larger batches when it first has them, torch chooses its kernels
_DRAIN_S = OLDEST_S + EVERY_S
_SHARE_OUT = 0.618034  # of a clip: cameras are nowhere in step, however many there are
_CLOCK = SystemClock()


class Watching(Protocol):
    """A side that watches its cameras now."""

    process: subprocess.Popen[bytes]

    def now_s(self) -> float:
        """On the clock of its sights."""
        ...

    def sights(self) -> Mapping[str, Sequence[Sight]]:
        """All that was told so far, by camera."""
        ...

    def details(self) -> dict[str, Any]: ...


class Side(Protocol):
    """One way to watch cameras."""

    @property
    def name(self) -> str: ...

    @property
    def first(self) -> int:
        """The number of cameras that the search begins with."""
        ...

    def watch(self, simulator: Simulated, stream: str, count: int, folder: Path) -> Any:
        """A context with a Watching of so many cameras of the stream `sub` or `main`."""
        ...


@dataclass(frozen=True)
class Probe:
    """One number of cameras, watched for a while."""

    cameras: int
    seen: Freshness | None
    cores: float = 0.0
    simulator: float = 0.0
    details: Mapping[str, Any] | None = None

    @property
    def holds(self) -> bool:
        return self.seen is not None and self.seen.holds

    def told(self) -> dict[str, Any]:
        if self.seen is None:
            return {"cameras": self.cameras, "unseen": "not all came up"}
        cores = {"cores": round(self.cores, 2), "simulator_cores": round(self.simulator, 2)}
        return {"cameras": self.cameras, **self.seen.told(), **cores, **(self.details or {})}


def measure(given: argparse.Namespace) -> dict[str, Any]:
    """Some 75 minutes. `--only` names sides or streams, `--seconds` how long a probe lasts, `--python` who has `inference`."""
    seconds = given.seconds or _SECONDS
    clips = footage.clips([name for stream in SHAPES for name in footage.CITY[stream]], source=given.clips)
    folder = next(iter(clips.values())).parent
    sides, missing = _sides(given.python)
    wanted = _wanted(given.only or (), sides)
    streams = {}
    for stream in SHAPES:
        if stream not in wanted:
            continue
        found = {side.name: search(side, stream, folder, seconds) for side in sides if side.name in wanted}
        streams[stream] = {**found, **ratios(found)}
    held = [row["to_loadstreams"] for row in streams.values() if row["to_loadstreams"] is not None]
    return {
        "machine": machine(),
        "model": peer_ultralytics.shipped().name,
        "seconds": seconds,
        "fresh": {"spell_p99_s": EVERY_S, "age_p99_s": OLDEST_S},
        "streams": streams,
        **({"not_measured": missing} if missing else {}),
        "limits": {"to_loadstreams": LEAST},
        **({"holds": all(ratio >= LEAST for ratio in held)} if held else {}),
    }


def ratios(found: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """How many times the cameras of each other side ours carries; `to_loadstreams` is to the best of its variants."""
    ours = found.get("ours", {}).get("cameras")
    others = {name: row["cameras"] for name, row in found.items() if not name.startswith("ours")}
    if ours is None:
        return {"times": {}, "to_loadstreams": None}
    loadstreams = max((cameras for name, cameras in others.items() if name.startswith("loadstreams")), default=0)
    return {
        "times": {name: round(ours / cameras, 1) if cameras else None for name, cameras in others.items()},
        "to_loadstreams": round(ours / loadstreams, 1) if loadstreams else None,
    }


def search(side: Side, stream: str, clips: Path, seconds: float) -> dict[str, Any]:
    """The largest number that the side carries, what it was like at that number, and the way there."""
    probes: dict[int, Probe] = {}

    def carries(count: int) -> bool:
        probes[count] = probe(side, stream, count, clips=clips, seconds=seconds)
        log.info("%s, %s: %s %s", side.name, stream, "carries" if probes[count].holds else "not", probes[count].told())
        return probes[count].holds

    cameras = largest(carries, first=side.first)
    steps = " ".join(f"{count}{'+' if each.holds else '-'}" for count, each in probes.items())
    beyond = min((count for count, each in probes.items() if count > cameras and not each.holds), default=None)
    return {
        **(probes[cameras].told() if cameras else {"cameras": 0}),
        "steps": steps,
        **({"beyond": probes[beyond].told()} if beyond else {}),
    }


def probe(side: Side, stream: str, count: int, *, clips: Path, seconds: float) -> Probe:
    """Start cameras and side, wait until all were seen, warm up, measure, and end both."""
    with (
        tempfile.TemporaryDirectory(prefix="citybrain-peers-") as folder,
        simulated(clips) as simulator,
        side.watch(simulator, stream, count, Path(folder)) as watching,
    ):
        if not _all_seen(watching, count, within_s=60 + 2.0 * count):
            return Probe(count, None)
        time.sleep(_WARM_S)
        before, simulated_before, since_s = usage(watching.process), usage(simulator.process), watching.now_s()
        time.sleep(seconds)
        after, simulated_after, until_s = usage(watching.process), usage(simulator.process), watching.now_s()
        time.sleep(_DRAIN_S)
        sights = watching.sights()
        seen = freshness(sights, since_s=since_s, until_s=until_s)
        details = watching.details()
    return Probe(count, seen, after.cores_since(before), simulated_after.cores_since(simulated_before), details)


def names(clips: Sequence[str], count: int) -> list[str]:
    """What the simulator calls so many cameras that take turns with the clips, each somewhere else in its own."""
    return [f"{clips[number % len(clips)]}~{number * _SHARE_OUT % 1 * 60:.2f}" for number in range(count)]


def _all_seen(watching: Watching, count: int, *, within_s: float) -> bool:
    until_s = _CLOCK.monotonic() + within_s
    while _CLOCK.monotonic() < until_s:
        if watching.process.poll() is not None:
            log.warning("a side ended with %s", watching.process.returncode)
            return False
        if sum(1 for each in watching.sights().values() if each) >= count:
            return True
        time.sleep(1.0)
    return False


@dataclass(frozen=True)
class Ours:
    """The ingest role as it ships, on a bus; without the gate every look is inferred, and inferred whole.

    `streets` is how many of the four the cameras take turns with, the liveliest first.
    """

    name: str
    gate: bool = True
    first: int = 64
    streets: int = 4

    @contextmanager
    def watch(self, simulator: Simulated, stream: str, count: int, folder: Path) -> Iterator[Watching]:
        urls = [simulator.url(name) for name in names(footage.CITY[stream][: self.streets], count)]
        config = _configuration(folder / "config", urls, gate=self.gate)
        data = DataFolder(folder / "data")
        data.make()
        command = citybrain("ingest", "--config", str(config), "--data", str(data.path))
        with started(command, {}, out=subprocess.DEVNULL, log=folder / "log") as process:
            yield _OnTheBus(process, data.database)


def _configuration(config: Path, urls: Sequence[str], *, gate: bool) -> Path:
    """Detector, scenes and all as they ship, with these cameras, and the gate perhaps off."""
    shutil.copytree(SHIPPED, config, ignore=shutil.ignore_patterns("demo", "cameras.yaml"))
    detector = config / "detectors" / "city.yaml"
    detector.write_text(yaml.safe_dump({**yaml.safe_load(detector.read_text()), "gate": gate}, allow_unicode=True))
    cameras = [
        {"id": f"cam-{number:04d}", "name": f"Camera {number}", "url": url, "detector": "city", "look_every": "2s"}
        for number, url in enumerate(urls)
    ]
    (config / "cameras.yaml").write_text(yaml.safe_dump({"cameras": cameras}))
    return config


class _OnTheBus:
    """Reads what was published."""

    def __init__(self, process: subprocess.Popen[bytes], database: Path) -> None:
        self.process = process
        self._bus, self._after = LocalBus(database), 0
        self._sights: dict[str, list[Sight]] = {}
        self._looked = {Looked.INFERRED: 0, Looked.UNCHANGED: 0}

    def now_s(self) -> float:
        return _CLOCK.now().timestamp()

    def sights(self) -> Mapping[str, Sequence[Sight]]:
        while messages := self._bus.read((DETECTIONS,), after=self._after, limit=2000):
            self._after = messages[-1].offset
            for message in messages:
                look = read_detections(message.value)
                if look.looked in self._looked:
                    self._looked[look.looked] += 1
                    sight = look.captured_at.timestamp(), message.logged_at.timestamp()
                    self._sights.setdefault(message.key, []).append(sight)
        return self._sights

    def details(self) -> dict[str, Any]:
        return {"inferred": round(self._looked[Looked.INFERRED] / max(1, sum(self._looked.values())), 2)}


@dataclass(frozen=True)
class Script:
    """A peer, driven by a small script of its own; `models` are the files it loads, by shape.

    It takes one picture of `every`: one each two seconds, or twice as many, so that it waits less for its slowest camera.
    """

    name: str
    module: str
    models: Mapping[tuple[int, int], Path]
    first: int
    every: int = GROUP
    python: str = sys.executable

    @contextmanager
    def watch(self, simulator: Simulated, stream: str, count: int, folder: Path) -> Iterator[Watching]:
        streams = folder / "cameras.streams"
        streams.write_text("\n".join(simulator.url(name) for name in names(footage.CITY[stream], count)) + "\n")
        height, width = SHAPES[stream]
        command = [self.python, "-m", self.module, "--streams", str(streams), "--every", str(self.every)]
        command += ["--model", str(self.models[height, width]), "--height", str(height), "--width", str(width)]
        with started(command, peer_environment(), out=subprocess.PIPE, log=folder / "log") as process:
            listener = _Told(process)
            listener.start()
            yield listener


class _Told(Listener):
    """Listens to a script."""

    def now_s(self) -> float:
        return _CLOCK.monotonic()

    def sights(self) -> Mapping[str, Sequence[Sight]]:
        return {camera: list(each) for camera, each in list(self.heard.items())}

    def details(self) -> dict[str, Any]:
        return {}


def _sides(python: Path | None) -> tuple[list[Side], dict[str, str]]:
    """Every side that can be measured here, ours first, and why the others cannot."""
    sides: list[Side] = [Ours("ours"), Ours("ours_liveliest", streets=1), Ours("ours_no_gate", gate=False, first=32)]
    missing: dict[str, str] = {}
    if _imports(sys.executable, "ultralytics"):
        pt = peer_ultralytics.weights(peer_ultralytics.shipped())
        as_pt = dict.fromkeys(SHAPES.values(), pt)
        as_openvino = {
            shape: peer_ultralytics.exported(pt, height=shape[0], width=shape[1], batch=None)
            for shape in SHAPES.values()
        }
        sides += [
            Script("loadstreams_pt", "bench.peer_loadstreams", as_pt, first=8),
            Script("loadstreams_pt_twice", "bench.peer_loadstreams", as_pt, first=8, every=GROUP // 2),
            Script("loadstreams_openvino", "bench.peer_loadstreams", as_openvino, first=8),
            Script("opencv_openvino", "bench.peer_opencv", as_openvino, first=16),
        ]
    else:
        missing["loadstreams, opencv"] = "ultralytics is not installed; `make install-ultralytics`"
    chosen = str(python or sys.executable)
    if _imports(chosen, "inference", "openvino"):
        sides.append(Script("inference_openvino", "bench.peer_inference", _graphs(), first=16, python=chosen))
    else:
        missing["inference"] = (
            f"{chosen} has no inference-cpu and openvino; install both in an environment of their own: --python PATH"
        )
    return sides, missing


def _graphs() -> dict[tuple[int, int], Path]:
    """The shipped graphs by (height, width), each beside weights of its own name, as OpenVINO looks for them."""
    found = {}
    peer_ultralytics.FOLDER.mkdir(parents=True, exist_ok=True)
    for shape, files in openvino_files(peer_ultralytics.shipped()).items():
        if shape in SHAPES.values():
            found[shape] = peer_ultralytics.FOLDER / f"{shape[0]}x{shape[1]}.xml"
            for path in files:
                shutil.copy(path, found[shape].with_suffix(path.suffix))
    return found


def _wanted(only: Sequence[str], sides: Sequence[Side]) -> set[str]:
    """The names of the sides and streams to be measured: where none of a sort is named, all of it."""
    known, streams = {side.name for side in sides}, set(SHAPES)
    unknown = [name for name in only if name not in known | streams]
    if unknown:
        raise UsageError(f"bench peers --only {unknown[0]}: expected one of {', '.join([*sorted(known), *streams])}")
    return (known & set(only) or known) | (streams & set(only) or streams)


def _imports(python: str, *modules: str) -> bool:
    """Whether that Python finds the modules; they are not imported."""
    code = "import sys, importlib.util as u; sys.exit(not all(u.find_spec(m) for m in sys.argv[1:]))"
    try:
        return subprocess.run([python, "-c", code, *modules], check=False, capture_output=True).returncode == 0
    except OSError:
        return False
