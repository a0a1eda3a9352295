"""Looking closer, end to end: a simulated camera with a keyframe each two seconds, the real worker, a scripted detector."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from pydantic import SecretStr

from citybrain import assembly, wire
from citybrain.briefing import plan_of
from citybrain.bus.local import LocalBus
from citybrain.clock import SystemClock
from citybrain.demo.simulator import Simulator
from citybrain.domain.camera import Camera, Text
from citybrain.domain.detection import Detections
from citybrain.hot.sqlite import SqliteHot
from citybrain.ports import CloserSource
from ingest.config import CameraSettings
from ingest.network import Network
from ingest.worker_port import Began
from ingest.workers import WorkerPool, python
from pipeline.flow import Pipeline
from pipeline.runners.replay import Replay
from tests.unit.ingest.clips import CODECS, street

CONFIG = Path(__file__).parents[1] / "configs" / "folders" / "good"
FPS, GROUP, SECONDS, FIRE_FROM = 12, 24, 24, 6.5
HOLD = timedelta(seconds=3)
KEYFRAMES = timedelta(seconds=2)


def burning(path: Path, codec: str, *, b_frames: int = 0) -> Path:
    """A street in which a fire, to the scripted detector a red rectangle, begins between two keyframes."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(CODECS[codec], rate=FPS)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt, stream.time_base = 320, 192, "yuv420p", Fraction(1, FPS)
        said = f"keyint={GROUP}:min-keyint={GROUP}:scenecut=0:bframes={b_frames}:open-gop=0"
        key = "x265-params" if codec == "hevc" else "x264-params"
        stream.options = {key: said + (":log-level=none" if codec == "hevc" else ""), "preset": "ultrafast"}
        for index in range(SECONDS * FPS):
            picture = np.repeat(street(index, seed=3).mean(2, keepdims=True), 3, 2).astype(np.uint8)
            if index >= FIRE_FROM * FPS:
                picture[40:120, 100:220] = (250, 10, 10)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


class Told:
    """Who would film what began."""

    def __init__(self) -> None:
        self.began: dict[str, Began] = {}

    def begin(self, camera: str, began: Began, source: CloserSource) -> None:
        self.began.setdefault(camera, began)

    def figures(self) -> dict[str, int]:
        return {}


class City:
    """A network process with one worker, and what they left on the bus."""

    def __init__(self, data: Path, simulator: Simulator, *names: str) -> None:
        configuration = assembly.load(CONFIG)
        cameras = [
            CameraSettings(
                Camera(name, Text(name, name)),
                "rtsp",
                SecretStr(url),
                url,
                KEYFRAMES,
                configuration.cameras[0].detector,
            )
            for name in names
            for url in [simulator.url(name)]
        ]
        self.configuration = replace(configuration, cameras=cameras)
        self.bus, self.told = LocalBus(data / "citybrain.db"), Told()
        command = python("citybrain.worker", "--data", str(data), "--fd", "{fd}", "--worker", "{worker}")
        self.pool = WorkerPool(command, count=1)
        self.network = Network(
            plan_of(self.configuration),
            workers=self.pool,
            bus=self.bus,
            hot=SqliteHot(data / "hot.db"),
            clock=SystemClock(),
            clips=self.told,
        )

    def looks(self, camera: str) -> list[Detections]:
        messages = self.bus.read([wire.DETECTIONS], after=0, limit=5000)
        return [each for each in (wire.read_detections(each.value) for each in messages) if each.camera == camera]

    async def until(self, claim: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not claim():  # noqa: ASYNC110  # it is seen in figures and on a bus that tells nobody
                await asyncio.sleep(0.05)


@asynccontextmanager
async def running(city: City) -> AsyncIterator[City]:
    stop = asyncio.Event()
    task = asyncio.create_task(city.network.run(stop))
    try:
        yield city
    finally:
        stop.set()
        await asyncio.wait_for(task, 15)


@pytest.fixture(scope="module")
def footage(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("footage")
    burning(folder / "h264.mp4", "h264")
    burning(folder / "hevc.mp4", "hevc")
    burning(folder / "reordered.mp4", "h264", b_frames=2)
    return folder


@pytest.fixture
async def simulator(footage) -> AsyncIterator[Simulator]:
    async with Simulator(footage) as simulator:
        yield simulator


def between(looks: list[Detections], began: Began) -> list[Detections]:
    return [each for each in looks if began.began_at < each.captured_at <= began.confirmed_at]


CLIPS = ("h264", "hevc", "reordered")


async def test_a_fire_between_keyframes_is_confirmed_by_several_looks_a_second(simulator, tmp_path):
    async with running(City(tmp_path, simulator, *CLIPS)) as city:
        await city.until(lambda: len(city.told.began) == len(CLIPS))
    for name in CLIPS:
        began, looks = city.told.began[name], city.looks(name)
        # The keyframe after the hold comes a second late: this was not it.
        assert timedelta() <= began.confirmed_at - began.began_at - HOLD < timedelta(seconds=0.8)
        # Twelve; on a machine that is behind they come further apart, and never as far as keyframes do.
        assert len(between(looks, began)) >= 4
        assert [each.captured_at for each in looks] == sorted({each.captured_at for each in looks})
        assert [each.seq for each in looks] == list(range(1, len(looks) + 1))
        assert all(any(box.label == "fire" for box in each.detections) for each in between(looks, began))
        idle = [each for each in looks if each.captured_at <= began.began_at]
        assert all(b.captured_at - a.captured_at > KEYFRAMES * 0.9 for a, b in pairwise(idle))
        # What the worker saw begin is what the pipeline makes of its looks.
        (filed,) = Replay(Pipeline(city.configuration.city)).run(wire.write_detections(each) for each in looks)
        assert (filed.case.began_at, filed.case.confirmed_at) == (began.began_at, began.confirmed_at)


async def test_a_worker_killed_while_it_follows_a_fire_costs_one_look_and_the_fire_is_confirmed(simulator, tmp_path):
    async with running(City(tmp_path, simulator, "h264")) as city:
        await city.until(lambda: city.network.load().attended == 1)
        (pid,) = city.pool.pids
        os.kill(pid, signal.SIGKILL)
        await city.until(lambda: "h264" in city.told.began)
    (state,), looks, began = city.network.states(), city.looks("h264"), city.told.began["h264"]
    assert state.lost_looks <= 1
    assert state.reconnects == 0
    assert len(between(looks, began)) >= 4
    # A look that was told just before the worker died counts as lost, and leaves no gap.
    assert sum(b.seq - a.seq - 1 for a, b in pairwise(looks)) <= state.lost_looks
