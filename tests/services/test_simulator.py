"""The simulated cameras as a viewer meets them: one story, the same for all, whenever they come."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from datetime import timedelta
from itertools import pairwise

import av
import pytest
from pydantic import SecretStr

from citybrain.clock import SystemClock
from citybrain.demo.simulator import Simulator
from citybrain.domain.frame import Frame
from citybrain.errors import CameraGone
from ingest.sources import rtsp
from tests.unit.ingest.clips import make_clip


@pytest.fixture(scope="module")
def footage(tmp_path_factory):
    folder = tmp_path_factory.mktemp("footage")
    make_clip(folder / "street.mp4", seconds=3, group=5)
    return folder


async def frames_of(url: str, count: int) -> list[Frame]:
    frames: list[Frame] = []
    source = rtsp.build(rtsp.Config(camera="a", url=SecretStr(url)))
    async with asyncio.timeout(60), aclosing(source.frames()) as stream:
        async for frame in stream:
            frames.append(frame)
            if len(frames) == count:
                break
    return frames


async def test_all_viewers_see_the_same_pictures_at_the_same_time(footage):
    first: list[Frame] = []

    async def look_on(url: str) -> None:
        source = rtsp.build(rtsp.Config(camera="a", url=SecretStr(url)))
        async with aclosing(source.frames()) as stream:
            async for frame in stream:
                first.append(frame)  # noqa: PERF401  # each is looked at as it comes

    async with Simulator(footage) as simulator, asyncio.timeout(60):
        looking_on = asyncio.create_task(look_on(simulator.url("street")))
        while not first:  # noqa: ASYNC110  # they come by themselves
            await asyncio.sleep(0.05)
        second = await frames_of(simulator.url("street"), 3)
        while first[-1].captured_at < second[-1].captured_at:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        looking_on.cancel()
        await asyncio.gather(looking_on, return_exceptions=True)
    shown = [(frame.packets[0], frame.captured_at) for frame in first]
    for frame in second:
        apart = [abs(frame.captured_at - at) for packet, at in shown if packet == frame.packets[0]]
        assert min(apart) < timedelta(milliseconds=50)


async def test_who_comes_back_finds_the_story_where_it_would_have_been(footage):
    """The clip has six keyframes in its three seconds; the epoch says which of them is shown when."""
    epoch = SystemClock().now() - timedelta(hours=5, seconds=1.1)
    shown: dict[bytes, list[float]] = {}
    for _ in range(2):  # two servers, one epoch: a restart of the simulator changes nothing either
        async with Simulator(footage, epoch=epoch) as simulator:
            for frame in await frames_of(simulator.url("street"), 7):
                within = (frame.captured_at - epoch).total_seconds() % 3.0
                shown.setdefault(frame.packets[0], []).append(within)
    assert len(shown) == 6
    for times in shown.values():
        assert len(times) >= 2
        apart = max(times) - min(times)
        assert min(apart, 3.0 - apart) < 0.05


async def test_many_cameras_of_one_clip_need_not_be_in_step(footage):
    async with Simulator(footage) as simulator:
        here, ahead = await asyncio.gather(
            frames_of(simulator.url("street"), 7), frames_of(simulator.url("street~1.3"), 7)
        )
    shown = {frame.packets[0]: frame.captured_at for frame in here}
    apart = [(shown[frame.packets[0]] - frame.captured_at).total_seconds() for frame in ahead]
    assert all(min(abs(seconds % 3 - 1.3), 3 - abs(seconds % 3 - 1.3)) < 0.05 for seconds in apart)


async def test_who_sets_up_the_sound_too_gets_the_pictures(footage):
    """OpenCV and libav do by default; the simulator describes a sound of which it sends nothing."""

    def first(url: str) -> bool:
        with av.open(url, options={"rtsp_transport": "tcp", "probesize": "32", "analyzeduration": "1"}) as container:
            assert [stream.type for stream in container.streams] == ["audio", "video"]
            return next(container.demux(video=0)).is_keyframe

    async with Simulator(footage) as simulator:
        assert await asyncio.to_thread(first, simulator.url("street"))


async def test_time_goes_on_across_the_end_of_the_clip(footage):
    async with Simulator(footage) as simulator:
        frames = await frames_of(simulator.url("street"), 9)
    steps = [(b.captured_at - a.captured_at).total_seconds() for a, b in pairwise(frames)]
    assert steps == pytest.approx([0.5] * 8, abs=0.03)
    assert all(frame.clock_ok for frame in frames)


@pytest.mark.parametrize("fault", ["noreports", "clock:3600", "clock:-30"])
async def test_a_camera_without_a_clock_or_with_a_wrong_one_is_timed_by_arrival(footage, fault):
    async with Simulator(footage) as simulator:
        frames = await frames_of(simulator.url("street", fault=fault), 3)
    assert not any(frame.clock_ok for frame in frames)
    assert all(abs(frame.captured_at - frame.received_at) < timedelta(seconds=1) for frame in frames)


async def test_a_camera_that_is_cut_drops_its_viewers_and_nobody_elses(footage, tmp_path):
    make_clip(footage / "yard.mp4", seconds=2, seed=4)
    async with Simulator(footage) as simulator:
        cut = asyncio.create_task(frames_of(simulator.url("street"), 50))
        kept = asyncio.create_task(frames_of(simulator.url("yard"), 5))
        while simulator.viewers("street") + simulator.viewers("yard") < 2:  # noqa: ASYNC110  # they connect by themselves
            await asyncio.sleep(0.05)
        simulator.cut("street", for_s=60)
        with pytest.raises(CameraGone):
            await cut
        with pytest.raises(CameraGone):
            await frames_of(simulator.url("street"), 1)
        assert len(await kept) == 5
        simulator.blackout("street", False)
        assert len(await frames_of(simulator.url("street"), 1)) == 1


async def test_a_fault_may_be_set_and_taken_back(footage):
    async with Simulator(footage, faults={"street": "404"}) as simulator:
        with pytest.raises(CameraGone, match="not found"):
            await frames_of(simulator.url("street"), 1)
        simulator.set_fault("street", None)
        assert len(await frames_of(simulator.url("street"), 1)) == 1


@pytest.mark.parametrize("name", ["../secret", "..%2Fsecret", "street/../../secret"])
async def test_nothing_outside_the_folder_is_shown(footage, name):
    make_clip(footage.parent / "secret.mp4", seconds=1)
    async with Simulator(footage) as simulator:
        with pytest.raises(CameraGone, match="not found"):
            await frames_of(f"rtsp://127.0.0.1:{simulator.port}/{name}", 1)
