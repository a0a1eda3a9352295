"""Our RTSP client against a server that is not ours: GStreamer's."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import av
import pytest
from pydantic import SecretStr

from citybrain.domain.frame import Frame
from citybrain.errors import CameraGone
from ingest.decode import Decoder
from ingest.sources import rtsp
from tests.unit.ingest.clips import make_clip

PYTHON = "/usr/bin/python3"
_ASK = """
import gi
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gst, GstRtspServer
Gst.init(None)
assert all(Gst.ElementFactory.find(name) for name in ("qtdemux", "h264parse", "rtph265pay", "jpegenc"))
"""


@pytest.fixture(scope="module")
def footage(tmp_path_factory) -> Path:
    if subprocess.run([PYTHON, "-c", _ASK], capture_output=True, check=False).returncode != 0:
        pytest.skip("GStreamer's RTSP server is not installed (.ci/system-packages)")
    folder = tmp_path_factory.mktemp("footage")
    make_clip(folder / "street.mp4", seconds=20, group=5)
    make_clip(folder / "street265.mp4", codec="hevc", seconds=20, group=5)
    return folder


@contextmanager
def serving(folder: Path, *login: str) -> Iterator[int]:
    script = Path(__file__).with_name("gstreamer_server.py")
    process = subprocess.Popen([PYTHON, str(script), str(folder), *login], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


@pytest.fixture(scope="module")
def port(footage) -> Iterator[int]:
    with serving(footage) as port:
        yield port


async def frames_of(url: str, count: int) -> tuple[list[Frame], rtsp.Rtsp]:
    camera = rtsp.build(rtsp.Config(camera="a", url=SecretStr(url)))
    frames: list[Frame] = []
    async with asyncio.timeout(40), aclosing(camera.frames()) as stream:
        async for frame in stream:
            frames.append(frame)
            if len(frames) == count:
                break
    return frames, camera


def see(frames: list[Frame]) -> None:
    decoder = Decoder()
    for frame in frames:
        assert decoder.decode(frame).width == 320
    assert frames
    for one, other in pairwise(frames):
        assert other.captured_at > one.captured_at


@pytest.mark.parametrize("way", ["", "#transport=udp"])
@pytest.mark.parametrize("clip", ["street", "street265"])
async def test_every_way_to_pack_a_picture_is_understood(port, clip, way):
    ways = ["plain", "outside", "small", "together"]
    each = await asyncio.gather(*(frames_of(f"rtsp://127.0.0.1:{port}/{clip}/{pack}{way}", 4) for pack in ways))
    for pack, (frames, camera) in zip(ways, each, strict=True):
        see(frames)
        assert {frame.codec for frame in frames} == {"h264" if clip == "street" else "hevc"}, pack
        assert camera.through == ("rtsp-udp" if way else "rtsp")


async def test_its_clock_is_known_as_soon_as_it_is_told(port):
    frames, _ = await frames_of(f"rtsp://127.0.0.1:{port}/street/plain", 16)  # it tells after some five seconds
    see(frames)
    assert frames[-1].clock_ok
    assert abs(frames[-1].captured_at - frames[-1].received_at) < timedelta(seconds=2)


async def test_everything_between_keyframes_is_kept(port):
    camera = rtsp.build(rtsp.Config(camera="a", url=SecretStr(f"rtsp://127.0.0.1:{port}/street/small")))
    async with asyncio.timeout(40), aclosing(camera.frames()) as stream:
        first = await anext(stream)
        for _ in range(4):
            await anext(stream)
        kept = camera.footage(first.captured_at)
    assert kept is not None
    context = av.CodecContext.create("h264", "r")
    assert isinstance(context, av.VideoCodecContext)
    pictures = [picture for unit in kept.units for picture in context.decode(av.Packet(unit.data))]
    pictures += context.decode(None)
    assert len(pictures) == len(kept.units) >= 21
    assert not any(picture.is_corrupt for picture in pictures)


@pytest.mark.parametrize("way", ["", "#transport=udp"])
async def test_a_clip_that_is_over_has_ended(footage, way, tmp_path):
    make_clip(tmp_path / "short.mp4", seconds=2, group=5)
    with serving(tmp_path) as port, pytest.raises(CameraGone) as gone:
        await frames_of(f"rtsp://127.0.0.1:{port}/short/plain{way}", 500)
    assert gone.value.reason in ("ended", "silent")


async def test_a_password_is_asked_for(footage):
    with serving(footage, "admin", "secret 7731") as port:
        at = f"127.0.0.1:{port}/street/plain"
        frames, _ = await frames_of(f"rtsp://admin:secret%207731@{at}", 2)
        see(frames)
        for login in ("admin:wrong@", ""):
            with pytest.raises(CameraGone, match="wrong password"):
                await frames_of(f"rtsp://{login}{at}", 1)


async def test_what_is_not_there_is_not_found(port):
    with pytest.raises(CameraGone, match="not found"):
        await frames_of(f"rtsp://127.0.0.1:{port}/nowhere", 1)


async def test_pictures_of_another_codec_come_through_libav(port):
    frames, camera = await frames_of(f"rtsp://127.0.0.1:{port}/jpeg", 3)
    assert camera.through == "libav"
    assert {frame.codec for frame in frames} == {"mjpeg"}
    see(frames)
