"""Our RTSP client against simulated cameras, with every habit and fault of the field, one at a time."""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import av
import av.error
import pytest
from pydantic import SecretStr

from citybrain.demo.simulator import Simulator
from citybrain.domain.frame import Frame
from citybrain.errors import CameraGone
from ingest.decode import Decoder
from ingest.reasons import REASONS
from ingest.sources import rtsp
from tests.unit.ingest.clips import make_clip

PASSWORD = "planted: 7731/@"


@pytest.fixture(scope="module")
def footage(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("footage")
    make_clip(folder / "street.mp4", seconds=3, group=4)
    make_clip(folder / "wide.mp4", seconds=3, group=4, width=640, height=352, seed=3)
    make_clip(folder / "avenue.mp4", codec="hevc", seconds=3, group=4, seed=1)
    return folder


@pytest.fixture
async def simulator(footage):
    async with Simulator(footage) as simulator:
        yield simulator


def source(url: str) -> rtsp.Rtsp:
    return rtsp.build(rtsp.Config(camera="a", url=SecretStr(url)))


async def watch(url: str, count: int) -> tuple[list[Frame], CameraGone | None]:
    """So many frames of a camera, or those until it was gone, and why it was."""
    frames: list[Frame] = []
    try:
        async with asyncio.timeout(60), aclosing(source(url).frames()) as stream:
            async for frame in stream:
                frames.append(frame)
                if len(frames) == count:
                    return frames, None
    except CameraGone as gone:
        return frames, gone
    pytest.fail("a source ended without saying why")


def fault(*kinds: str) -> str:
    return "?" + "&".join(f"fault={kind}" for kind in kinds)


def see(frames: list[Frame]) -> None:
    """Each can be decoded, and time goes on."""
    decoder = Decoder()
    for frame in frames:
        decoder.decode(frame)
    for one, other in pairwise(frames):
        assert other.captured_at > one.captured_at
        assert other.group == one.group + 1


HABITS = {
    "sets only in the description": ["outofband"],
    "sets only in the stream": ["inband"],
    "small packets": ["fragments:90"],
    "units together": ["aggregate"],
    "headers with all they may carry": ["extended"],
    "no markers": ["markers:none"],
    "odd answers": ["odd"],
    "asks things itself": ["talkative"],
    "no datagrams": ["noudp"],
    "several at once": ["extended", "aggregate", "fragments:300", "odd", "talkative"],
}


@pytest.mark.parametrize("way", ["", "#transport=udp"])
@pytest.mark.parametrize("clip", ["street", "avenue"])
async def test_whatever_a_cameras_habits_its_keyframes_are_found(simulator, clip, way):
    watched = [watch(simulator.url(clip) + fault(*habits) + way, 3) for habits in HABITS.values()]
    for habit, (frames, gone) in zip(HABITS, await asyncio.gather(*watched), strict=True):
        assert gone is None, habit
        see(frames)
        assert {frame.codec for frame in frames} == {"h264" if clip == "street" else "hevc"}, habit
        # A report that is a datagram of its own is read a little later than the pictures, which a late loop has in one go.
        assert all(frame.clock_ok for frame in frames[-1 if way else 1 :]), habit


@pytest.mark.parametrize("clip", ["street", "avenue"])
async def test_a_camera_that_marks_every_packet_is_understood_after_its_first_keyframe(simulator, clip):
    frames, gone = await watch(simulator.url(clip) + fault("markers:all", "fragments:500"), 4)
    assert gone is None
    see(frames[1:])


@pytest.mark.parametrize("clip", ["street", "avenue"])
async def test_datagrams_that_overtake_each_other_are_put_in_order(simulator, clip):
    frames, gone = await watch(simulator.url(clip) + fault("reorder", "fragments:300") + "#transport=udp", 8)
    assert gone is None
    see(frames)
    timed = [frame for frame in frames if frame.clock_ok]  # those before by their arrival, which a machine may delay
    assert len(timed) >= 4
    steps = [(b.captured_at - a.captured_at).total_seconds() for a, b in pairwise(timed)]
    assert all(0 < step < 0.5 for step in steps)  # 0.4, and 0.2 at the clip's end: none is missing


async def test_a_camera_that_refuses_the_connection_for_its_packets_is_asked_for_datagrams(simulator):
    camera = source(simulator.url("street") + fault("notcp"))
    async with asyncio.timeout(20), aclosing(camera.frames()) as frames:
        await anext(frames)
        assert camera.through == "rtsp-udp"


@pytest.mark.parametrize("kind", ["basic", "md5", "md5-qop", "sha-256", "stale"])
async def test_each_kind_of_login_is_spoken(footage, kind):
    async with Simulator(footage, users={"admin": PASSWORD}) as simulator:
        right = simulator.url("street", user="admin", password=PASSWORD, fault=f"login:{kind}")
        frames, gone = await watch(right, 1)
        assert (len(frames), gone) == (1, None)
        wrong = simulator.url("street", user="admin", password=PASSWORD + "x", fault=f"login:{kind}")
        for url in (wrong, simulator.url("street", fault=f"login:{kind}")):
            _, gone = await watch(url, 1)
            assert gone is not None
            assert gone.reason == "wrong password"
            assert "planted" not in str(gone)


async def test_a_redirect_is_followed_and_the_password_stays_with_its_host(footage, caplog):
    async with Simulator(footage, users={"admin": PASSWORD}) as here, Simulator(footage) as there:
        for elsewhere in ("avenue", f"rtsp://127.0.0.1:{there.port}/avenue"):
            here.set_fault("street", f"redirect:{elsewhere}")
            frames, gone = await watch(here.url("street", user="admin", password=PASSWORD), 1)
            assert gone is None
            assert frames[0].codec == "hevc"
        asked: list[bytes] = []

        async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            asked.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(b'RTSP/1.0 401 No\r\nCSeq: 1\r\nWWW-Authenticate: Basic realm="x"\r\n\r\n')
            asked.append(await reader.read(4096))
            writer.close()

        # Another address of this machine stands for another host.
        async with await asyncio.start_server(listen, "127.0.0.2", 0) as stranger:
            port = stranger.sockets[0].getsockname()[1]
            here.set_fault("street", f"redirect:rtsp://127.0.0.2:{port}/street")
            _, gone = await watch(here.url("street", user="admin", password=PASSWORD), 1)
    assert gone is not None
    assert gone.reason == "wrong password"
    assert asked[0].startswith(b"OPTIONS")
    assert not any(b"uthorization" in each for each in asked)


async def test_a_camera_that_sends_us_in_circles_is_left(simulator):
    simulator.set_fault("street", "redirect:street")
    _, gone = await watch(simulator.url("street"), 1)
    assert gone is not None
    assert gone.reason == "rejected"


GONE = {
    "401": "wrong password",
    "404": "not found",
    "503": "unavailable",
    "silent": "silent",
    "garbage": "garbage",
    "stall:0": "silent",
    "stall:2": "silent",
    "noise:2": "garbage",
    "nokeyframe": "no keyframe",
    "fin:2": "ended",
    "rst:2": "broken",
    "bye:2": "ended",
    "codec:avenue@2": "codec changed",
    "session:0": "broken",
    "audio": "no video",
}


async def test_what_is_wrong_with_a_camera_is_told_in_the_same_words_whatever_it_is(simulator):
    async def reason(kind: str) -> str:
        extra = ["timeout:4"] if kind.startswith("session") else []
        frames, gone = await watch(simulator.url("street") + fault(kind, *extra), 500)
        assert gone is not None
        assert gone.reason in REASONS
        assert bool(frames) == (
            kind in ("stall:2", "noise:2", "fin:2", "rst:2", "bye:2", "codec:avenue@2", "session:0")
        )
        return gone.reason

    reasons = await asyncio.gather(*(reason(kind) for kind in GONE))
    assert dict(zip(GONE, reasons, strict=True)) == GONE


async def test_who_does_not_answer_at_all_or_says_no_is_told_apart(footage):
    async with Simulator(footage) as simulator:
        port = simulator.port
    _, gone = await watch(f"rtsp://127.0.0.1:{port}/street", 1)
    assert gone is not None
    assert gone.reason == "refused"
    _, gone = await watch("rtsp://camera.invalid/street", 1)
    assert gone is not None
    assert gone.reason == "unresolvable"


@pytest.mark.parametrize("way", ["", "#transport=udp"])
@pytest.mark.parametrize("clip", ["street", "avenue"])
async def test_of_what_arrives_with_gaps_only_whole_keyframes_are_handed_on(simulator, clip, way):
    camera = source(simulator.url(clip) + fault("loss:0.03", "fragments:500") + way)
    frames: list[Frame] = []
    async with asyncio.timeout(30), aclosing(camera.frames()) as stream:
        async for frame in stream:
            frames.append(frame)
            if len(frames) == 8:
                break
        assert camera._stream is not None
        counts = camera._stream.flow.counts
    decoder = Decoder()
    for frame in frames:
        decoder.decode(frame)
    assert counts.dropped > 0
    assert counts.lost > 0


async def test_a_camera_that_goes_on_as_another_sender_is_followed(simulator):
    frames, gone = await watch(simulator.url("street") + fault("sender:1"), 7)
    assert gone is None
    see(frames)


async def test_a_camera_that_changes_the_size_of_its_pictures_is_followed(simulator):
    frames, gone = await watch(simulator.url("street") + fault("codec:wide@1"), 6)
    assert gone is None
    widths = [Decoder().decode(frame).width for frame in frames]
    assert (widths[0], widths[-1]) == (320, 640)


@pytest.mark.parametrize("way", ["", "#transport=udp"])
async def test_a_server_that_hangs_up_on_silent_viewers_hears_from_us(simulator, way):
    frames, gone = await watch(simulator.url("street") + fault("timeout:2") + way, 14)  # longer than twice its patience
    assert gone is None
    assert len(frames) == 14


@pytest.mark.parametrize("kind", ["noreports", "clock:3600"])
async def test_a_camera_without_a_clock_is_timed_by_arrival(simulator, kind):
    frames, _ = await watch(simulator.url("street") + fault(kind), 3)
    assert not any(frame.clock_ok for frame in frames)
    assert all(frame.captured_at - frame.received_at < timedelta(seconds=1) for frame in frames)


async def test_what_we_do_not_speak_is_read_through_libav_and_said_once(simulator, caplog):
    caplog.set_level(logging.WARNING)
    rtsp._TOLD.clear()
    for _ in range(2):
        camera = source(f"http://127.0.0.1:{simulator.port}/street")
        with pytest.raises(CameraGone):  # it is no web server
            async with asyncio.timeout(30), aclosing(camera.frames()) as frames:
                await anext(frames)
        assert camera.through == "libav"
    said = [each.getMessage() for each in caplog.records if "libav" in each.getMessage()]
    assert said == ["camera a: our RTSP client does not speak http; it is read through libav"]


@pytest.mark.parametrize("clip", ["street", "avenue"])
async def test_between_keyframes_everything_is_kept_as_it_was_sent(simulator, footage, clip):
    camera = source(simulator.url(clip))
    async with asyncio.timeout(20), aclosing(camera.frames()) as frames:
        first = await anext(frames)
        for _ in range(4):
            await anext(frames)
        kept = camera.footage(first.captured_at)
    assert kept is not None
    assert kept.extradata
    with av.open(str(footage / f"{clip}.mp4")) as container:
        shown = sum(1 for packet in container.demux(video=0) if packet.size)
    context = av.CodecContext.create(kept.codec, "r")
    assert isinstance(context, av.VideoCodecContext)
    pictures = [picture for unit in kept.units for picture in context.decode(av.Packet(unit.data))]
    pictures += context.decode(None)
    assert shown == 30
    assert len(pictures) == len(kept.units) >= 16
    assert not any(picture.is_corrupt for picture in pictures)
    steps = {round((b.captured_at - a.captured_at).total_seconds(), 2) for a, b in pairwise(kept.units)}
    assert steps == {0.1}


@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize("clip", ["street", "avenue"])
async def test_the_simulator_is_a_fair_server_to_libav_too(simulator, clip, transport):
    def read() -> list[av.VideoFrame]:
        options = {"rtsp_transport": transport, "allowed_media_types": "video"}
        with av.open(simulator.url(clip), options=options, timeout=(10, 10)) as container:
            found = []
            for frame in container.decode(video=0):
                found.append(frame)
                if len(found) == 12:
                    return found
        return []

    frames = await asyncio.to_thread(read)
    assert len(frames) == 12
    assert {frame.width for frame in frames} == {320}
    assert not any(frame.is_corrupt for frame in frames)
