"""Every kind of source keeps the same promises: looks in order, pictures that can be decoded, an end that says why."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from pydantic import SecretStr

from citybrain import plugins
from citybrain.demo.simulator import Simulator
from citybrain.domain.frame import Frame
from citybrain.errors import CameraGone
from citybrain.ports import CloserSource
from ingest.decode import Decoder
from ingest.reasons import REASONS
from tests.unit.ingest.clips import jpeg, make_clip, street

SOURCES = plugins.offered("ingest.sources")
LIVE = ["libav", "rtsp"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("footage")
    make_clip(folder / "street.mp4", seconds=2)
    make_clip(folder / "avenue.mp4", codec="hevc", seconds=2, seed=1)
    (folder / "images").mkdir()
    for index in range(3):
        (folder / "images" / f"{index}.jpg").write_bytes(jpeg(street(index)))
    (folder / "nothing").mkdir()
    (folder / "noise.mp4").write_bytes(bytes(range(256)) * 40)
    return folder


@pytest.fixture
async def addresses(folder):
    """An address of each kind that works and ends, and one that does not work."""
    async with Simulator(folder) as simulator:
        yield {
            "rtsp": (simulator.url("street", fault="fin:2.5"), simulator.url("nowhere"), "not found"),
            "libav": (simulator.url("street", fault="fin:2.5"), simulator.url("nowhere"), "not found"),
            "file": (f"file://{folder}/street.mp4", f"file://{folder}/noise.mp4", "unreadable"),
            "images": (f"images://{folder}/images", f"images://{folder}/nothing", "no such file"),
        }


async def watch(source: str, url: str, *, look_every: timedelta = timedelta(milliseconds=300), limit: int = 50):
    """The frames until the end, and how it ended."""
    plugin = plugins.load("ingest.sources", source)
    config = plugin.Config(camera="gd-0001", url=SecretStr(url), look_every=look_every)
    frames: list[Frame] = []
    try:
        async with asyncio.timeout(30), aclosing(plugin.build(config).frames()) as stream:
            async for frame in stream:
                frames.append(frame)
                if len(frames) == limit:
                    return frames, None
    except CameraGone as gone:
        return frames, gone
    pytest.fail("a source ended without saying why")


@pytest.mark.parametrize("source", SOURCES)
async def test_frames_come_in_order_and_each_can_be_decoded(source, addresses):
    frames, gone = await watch(source, addresses[source][0])
    assert gone is not None
    assert gone.reason == "ended"
    assert len(frames) >= 3
    decoder = Decoder()
    for frame in frames:
        assert frame.camera == "gd-0001"
        assert frame.captured_at.tzinfo is not None
        assert frame.captured_at <= frame.received_at + timedelta(seconds=5)
        picture = decoder.decode(frame)
        assert (picture.width, picture.height) == (320, 192)
    instants = [frame.captured_at for frame in frames]
    assert instants == sorted(set(instants))


@pytest.mark.parametrize("source", SOURCES)
async def test_what_does_not_work_says_why_in_both_languages(source, addresses):
    _, url, reason = addresses[source]
    frames, gone = await watch(source, url)
    assert frames == []
    assert gone is not None
    assert gone.reason == reason
    assert gone.reason in REASONS


@pytest.mark.parametrize("source", SOURCES)
async def test_a_source_that_nobody_asks_any_more_can_be_opened_anew(source, addresses):
    for _ in range(2):
        frames, gone = await watch(source, addresses[source][0], limit=1)
        assert gone is None
        assert len(frames) == 1


@pytest.mark.parametrize("source", ["file", "images"])
async def test_a_loop_goes_on_where_it_began_and_time_goes_on_too(source, addresses):
    frames, gone = await watch(source, addresses[source][0] + "?loop=1", limit=9)
    assert gone is None
    instants = [frame.captured_at for frame in frames]
    assert instants == sorted(set(instants))


async def test_pictures_between_keyframes_are_looked_at_where_groups_are_long(tmp_path):
    make_clip(tmp_path / "long.mp4", seconds=2, group=20)
    frames, _ = await watch("file", f"file://{tmp_path}/long.mp4", look_every=timedelta(milliseconds=500))
    assert [len(frame.packets) for frame in frames] == [1, 6, 11, 16]
    first, last = Decoder().decode(frames[0]), Decoder().decode(frames[-1])
    assert (first.y != last.y).any()


@pytest.mark.parametrize("source", LIVE)
async def test_a_stream_of_h265_is_watched_like_one_of_h264(folder, source):
    async with Simulator(folder) as simulator:
        frames, gone = await watch(source, simulator.url("avenue"), limit=2)
    assert gone is None
    assert {frame.codec for frame in frames} == {"hevc"}
    assert Decoder().decode(frames[-1]).width == 320


@pytest.mark.parametrize("codec", ["street", "avenue"])
@pytest.mark.parametrize("name", LIVE)
async def test_a_live_source_can_be_looked_at_closer_between_its_keyframes(folder, name, codec):
    async with Simulator(folder) as simulator:
        plugin = plugins.load("ingest.sources", name)
        source = plugin.build(plugin.Config(camera="gd-0001", url=SecretStr(simulator.url(codec))))
        assert isinstance(source, CloserSource)
        assert source.closer(None) is None
        assert source.footage(simulator.epoch) is None
        async with asyncio.timeout(30), aclosing(source.frames()) as stream:  # type: ignore[type-var]
            await anext(stream)  # libav times what follows the first keyframe by its arrival, which may be late
            first = await anext(stream)
            looks: list[Frame] = []
            while len(looks) < 2 or sum(len(look.packets) for look in looks) < 4:
                following = (looks[-1].group, looks[-1].since + len(looks[-1].packets)) if looks else None
                look = source.closer(following)
                if look is None or (looks and look.since == 0):
                    looks = [] if look is not None else looks
                    await asyncio.sleep(0.02)
                    continue
                looks.append(look)
            for _ in range(3):
                await anext(stream)
            footage = source.footage(first.captured_at)
    assert first.group > 0
    assert looks[0].since == 0
    for one, other in pairwise(looks):
        assert other.group == one.group
        assert other.since == one.since + len(one.packets)
        assert other.captured_at > one.captured_at
    whole = replace(looks[0], packets=tuple(packet for look in looks for packet in look.packets))
    keyframe = replace(looks[0], packets=looks[0].packets[:1])
    assert (Decoder().decode(whole).y != Decoder().decode(keyframe).y).any()
    assert footage is not None
    assert footage.codec == first.codec
    assert footage.units[0].keyframe
    assert footage.units[0].data == first.packets[0]
    instants = [unit.captured_at for unit in footage.units]
    assert instants == sorted(set(instants))
    assert sum(unit.keyframe for unit in footage.units) >= 3
    # What the clip of ten pictures a second showed is all there: nothing between the keyframes is missing.
    assert max((b - a).total_seconds() for a, b in pairwise(instants)) < 0.15
    assert source.footage(first.captured_at) is None
