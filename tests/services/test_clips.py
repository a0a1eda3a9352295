"""A fire in front of simulated cameras, as ingest and pipeline run: its case has a clip, which is what the camera sent."""

from __future__ import annotations

import asyncio
import io
import shutil
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from citybrain import assembly
from citybrain.bus.local import LocalBus
from citybrain.clock import SystemClock
from citybrain.demo.rtsp_clip import is_parameter, read_clip, split_units
from citybrain.demo.simulator import Simulator
from citybrain.domain.case import CaseEvent, CaseEventType
from citybrain.domain.detection import Usable
from citybrain.domain.episode import Evidence, EvidenceKind
from citybrain.evidence.files import FileEvidence
from citybrain.wire import CASE_EVENTS, DETECTIONS, read_case_event, read_detections
from ingest.clips import AFTER, BEFORE
from pipeline.runners.embedded import Embedded

ROOT = Path(__file__).parents[2]
FPS, GROUP, LENGTH_S, FIRE_FROM_S, FIRE_UNTIL_S = 10, 10, 40, 14, 30
CAMERA = """
  - id: %s
    name: {zh: 院子, en: Yard}
    url: %s
    location: {lon: 102.7, lat: 25.0}
    detector: city
    look_every: 500ms
    zones: [{id: view, kind: any, polygon: [[0, 0], [1, 0], [1, 1], [0, 1]]}]
"""


def burning(path: Path, codec: str, *, length_s: int = LENGTH_S) -> Path:
    """A grey yard in which something red stands for a while, as the camera codes it; a short clip ends before it burns."""
    noise = np.random.default_rng(7)
    with av.open(str(path), "w") as container:
        stream = container.add_stream({"h264": "libx264", "hevc": "libx265"}[codec], rate=FPS)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt, stream.time_base = 640, 360, "yuv420p", Fraction(1, FPS)
        parameters = f"keyint={GROUP}:min-keyint={GROUP}:scenecut=0:bframes=0"
        quiet = {"h264": {"x264-params": parameters}, "hevc": {"x265-params": f"{parameters}:log-level=none"}}
        stream.options = {"preset": "ultrafast", **quiet[codec]}
        still = noise.integers(70, 150, (45, 80)).repeat(8, 0).repeat(8, 1)[..., None].repeat(3, 2)
        for index in range(length_s * FPS):
            picture = still + noise.integers(-4, 5, still.shape)
            if FIRE_FROM_S <= index / FPS < FIRE_UNTIL_S:
                picture[120:240, 200:360] = (255, 0, 0)
            frame = av.VideoFrame.from_ndarray(picture.astype(np.uint8), format="rgb24")
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def configured(folder: Path, simulator: Simulator) -> Path:
    """The demo city's fire, the simulated cameras, and a detector that calls red a fire."""
    others = ("footage", "illegal_parking.yaml", "stall_spillover.yaml", "waterlogging.yaml")
    shutil.copytree(ROOT / "configs" / "demo", folder, ignore=shutil.ignore_patterns(*others))
    fire = folder / "scenes" / "fire_risk.yaml"
    fire.write_text(fire.read_text(encoding="utf-8").replace("[fire, smoke]", "[fire]"), encoding="utf-8")
    (folder / "cameras.yaml").write_text(
        "cameras:" + "".join(CAMERA % (name, simulator.url(name)) for name in simulator.names), encoding="utf-8"
    )
    (folder / "detectors" / "city.yaml").write_text("backend: scripted\n", encoding="utf-8")
    (folder / "routes.yaml").write_text("timezone: Asia/Shanghai\nroutes: []\n", encoding="utf-8")
    return folder


@contextmanager
def ingesting(config: Path, data: Path):
    command = [sys.executable, "-m", "citybrain", "ingest", "--config", str(config), "--data", str(data)]
    process = subprocess.Popen([*command, "--workers", "1"], cwd=ROOT)
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=60)


async def looked_at(data: Path, cameras: list[str]) -> None:
    """Wait until each of them has been seen: by then whoever looks is up."""
    bus = LocalBus(data / "citybrain.db")
    try:
        async with asyncio.timeout(120):
            while True:
                looks = bus.read((DETECTIONS,), after=0)
                if {each.key for each in looks if read_detections(each.value).usable is Usable.OK} == set(cameras):
                    return
                await asyncio.sleep(0.1)
    finally:
        bus.close()


async def told(data: Path, config: Path, *, cases: int, within_s: float = 120) -> list[CaseEvent]:
    """The case events, by the embedded pipeline, until so many cases have been filmed."""
    evidence, bus = FileEvidence(data / "evidence"), LocalBus(data / "citybrain.db")
    pipeline = assembly.load(config).pipeline()
    embedded = Embedded(data / "citybrain.db", pipeline, clock=SystemClock(), notifiers={}, evidence=evidence)
    try:
        async with asyncio.timeout(within_s):
            while True:
                embedded.catch_up()
                found = [read_case_event(each.value) for each in bus.read((CASE_EVENTS,), after=0)]
                if sum((each.cause or "").startswith("filmed-") for each in found) == cases:
                    return found
                await asyncio.sleep(0.1)
    finally:
        embedded.close()
        bus.close()


@pytest.mark.timeout(400)
async def test_a_fire_has_a_case_and_some_seconds_later_a_clip_that_is_what_the_camera_sent(tmp_path):
    clips, before, data = tmp_path / "clips", tmp_path / "before", tmp_path / "data"
    for folder in (clips, before, data):
        folder.mkdir()
    sent = {codec: read_clip(burning(clips / f"{codec}.mp4", codec)) for codec in ("h264", "hevc")}
    for codec in sent:
        burning(before / f"{codec}.mp4", codec, length_s=4)
    with ExitStack() as running:
        async with Simulator(before) as simulator:
            config = configured(tmp_path / "config", simulator)
            running.enter_context(ingesting(config, data))
            await looked_at(data, simulator.names)
        epoch = SystemClock().now()  # only now, for on a busy machine it would burn before anybody looks
        async with Simulator(clips, port=simulator.port, epoch=epoch):
            events = await told(data, config, cases=2)
    for codec, coded in sent.items():
        filed, filmed = (each for each in events if each.case.cameras == (codec,))
        assert (filed.type, filmed.type) == (CaseEventType.FILED, CaseEventType.STATUS)
        *pictures, clip = filmed.case.evidence
        assert tuple(pictures) == filed.case.evidence
        assert (data / "evidence" / "kept" / clip.ref).is_file(), "kept as long as its case"
        shows(clip, epoch, filed.case.confirmed_at)
        held = network_units(FileEvidence(data / "evidence").get(clip.ref), codec)
        samples = [[each for each in sample.units if not is_parameter(codec, each)] for sample in coded.samples]
        first = samples.index(held[0])
        assert coded.samples[first].keyframe
        assert held == samples[first : first + len(held)], "nothing is coded again and nothing is missing"


def shows(clip: Evidence, epoch: datetime, confirmed_at: datetime) -> None:
    """The clip begins at a keyframe some seconds before the look that confirmed, and ends some seconds after."""
    assert clip.kind is EvidenceKind.CLIP
    assert clip.until_at is not None
    second = timedelta(seconds=1)
    assert confirmed_at - BEFORE - (GROUP / FPS + 0.2) * second < clip.captured_at <= confirmed_at - BEFORE
    assert clip.captured_at < epoch + FIRE_FROM_S * second < confirmed_at, "it shows how it began"
    assert abs(clip.until_at - (confirmed_at + AFTER)) < 2 * second / FPS


def network_units(clip: bytes, codec: str) -> list[list[bytes]]:
    with av.open(io.BytesIO(clip), "r") as container:
        stream = container.streams.video[0]
        annex_b = av.BitStreamFilterContext(f"{codec}_mp4toannexb", stream)
        found = []
        for packet in container.demux(stream):
            if packet.size:
                units = split_units(b"".join(bytes(each) for each in annex_b.filter(packet)))
                found.append([each for each in units if not is_parameter(codec, each)])
        return found
