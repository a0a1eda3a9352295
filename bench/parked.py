"""The parked car of the demo: one case, whatever passes, dies or goes dark; cleared only when it is seen to be gone."""

from __future__ import annotations

import argparse
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from bench.machine import machine
from bench.running import Running, running
from citybrain.clock import SystemClock
from citybrain.demo.city import CONFIG

CAMERA = "kerb-a"
STAYS_LONGER_S = 270
LEAVES_AT_S = 150 + STAYS_LONGER_S
CLIP_S = 480
_CLOCK = SystemClock()


def measure(_given: argparse.Namespace) -> dict[str, Any]:
    """Eight minutes of one camera: vans pass, `up` is killed three times, the camera is lost for two minutes, looks are halved."""
    with _config() as config, running(config=config, footage=config / "clips") as city:
        done: list[str] = []
        steps: list[tuple[float, str, Callable[[], object]]] = [
            (70, "killed up", lambda: city.kill("up")),
            (98, "killed up while a van stood before the car", lambda: city.kill("up")),
            (150, "camera silent", lambda: city.send("cameras", signal.SIGSTOP)),
            (270, "camera back", lambda: city.send("cameras", signal.SIGCONT)),
            (300, "looks halved", lambda: _halve(config, city)),
            (340, "killed up", lambda: city.kill("up")),
        ]
        for at_s, what, do in steps:
            _sleep_until(city, at_s)
            do()
            done.append(f"{at_s:.0f} s {what}")
        _sleep_until(city, CLIP_S - 12)
        cases = city.get("/v1/cases")["items"]
        timeline = city.get(f"/v1/cases/{cases[0]['id']}/timeline")["items"] if cases else []
        desk = city.get("/cases", desk=True)["cases"]
        epoch = city.city.epoch
    cleared = [_since(epoch, each["time"]) for each in timeline if each["type"].endswith(".cleared")]
    return {
        "machine": machine(),
        "done": done,
        "cases": len(cases),
        "cases_at_desk": len(desk),
        "car_leaves_at_s": LEAVES_AT_S,
        "events": [f"{_since(epoch, each['time']):.0f} s {each['type'].rpartition('.')[2]}" for each in timeline],
        "unseen_s": cases[0]["unseen_s"] if cases else None,
        "holds": len(cases) == len(desk) == 1 and len(cleared) == 1 and cleared[0] > LEAVES_AT_S,
    }


@contextmanager
def _config() -> Iterator[Path]:
    """The demo with this camera alone, whose car stays longer."""
    folder = Path(tempfile.mkdtemp(prefix="citybrain-parked-"))
    try:
        shutil.copytree(CONFIG, folder, dirs_exist_ok=True)
        for path in (folder / "footage").glob("*.yaml"):
            if path.stem != CAMERA:
                path.unlink()
        clip = folder / "footage" / f"{CAMERA}.yaml"
        story = yaml.safe_load(clip.read_text())
        story["seconds"] = CLIP_S
        car = story["actors"][0]
        car["drive"] = [
            [at + STAYS_LONGER_S if at >= LEAVES_AT_S - STAYS_LONGER_S else at, way] for at, way in car["drive"]
        ]
        clip.write_text(yaml.safe_dump(story, allow_unicode=True))
        cameras = yaml.safe_load((folder / "cameras.yaml").read_text())
        cameras["cameras"] = [each for each in cameras["cameras"] if each["id"] == CAMERA]
        (folder / "cameras.yaml").write_text(yaml.safe_dump(cameras, allow_unicode=True))
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _halve(config: Path, city: Running) -> None:
    """Look every two seconds instead of every one; ingest reads it when it is started again."""
    path = config / "cameras.yaml"
    cameras = yaml.safe_load(path.read_text())
    for each in cameras["cameras"]:
        each["look_every"] = "2s"
    path.write_text(yaml.safe_dump(cameras, allow_unicode=True))
    city.kill("ingest")


def _sleep_until(city: Running, at_s: float) -> None:
    left = city.city.epoch + timedelta(seconds=at_s) - _CLOCK.now()
    time.sleep(max(0.0, left.total_seconds()))


def _since(epoch: datetime, at: str) -> float:
    return (datetime.fromisoformat(at) - epoch).total_seconds()
