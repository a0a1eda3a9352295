"""A clip is what the camera sent, in a file that a browser plays: nothing decoded, nothing coded again."""

import io
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import av
import pytest

from citybrain.demo.rtsp_clip import is_parameter, split_units
from citybrain.errors import Unreadable
from citybrain.ports import Footage, Unit
from ingest.remux import in_mp4, remuxed, times
from tests.unit.ingest.footage import EIGHT, footage

STREAMS = [("h264", False, 0), ("h264", True, 0), ("h264", False, 2), ("hevc", False, 0), ("hevc", True, 2)]


def pictures_of(codec: str, data: bytes) -> list[bytes]:
    """The network units but for parameter sets, which a file keeps in its index."""
    return [each for each in split_units(data) if not is_parameter(codec, each)]


def seconds(timed) -> float:
    return float(timed.pts * timed.time_base)


@pytest.mark.parametrize(("codec", "out_of_band", "b_frames"), STREAMS)
def test_the_clip_holds_the_cameras_own_bytes_and_plays_from_its_first_picture_on(codec, out_of_band, b_frames):
    sent = footage(codec, out_of_band=out_of_band, b_frames=b_frames)
    with av.open(io.BytesIO(in_mp4(sent)), "r") as clip:
        stream = clip.streams.video[0]
        annex_b = av.BitStreamFilterContext(f"{codec}_mp4toannexb", stream)
        keyframes, shown, held = [], [], []
        for packet in clip.demux(stream):
            if packet.size:
                keyframes.append(packet.is_keyframe)
                shown.append(seconds(packet))
                held.append(b"".join(bytes(part) for part in annex_b.filter(packet)))
    assert keyframes[0]
    assert keyframes == [unit.keyframe for unit in sent.units]
    assert shown == pytest.approx([(unit.captured_at - EIGHT).total_seconds() for unit in sent.units], abs=0.001)
    assert [pictures_of(codec, each) for each in held] == [pictures_of(codec, unit.data) for unit in sent.units]
    with av.open(io.BytesIO(in_mp4(sent)), "r") as clip:
        shown = [seconds(picture) for picture in clip.decode(clip.streams.video[0])]
    assert shown == pytest.approx([n / 10 for n in range(120)], abs=0.001)


@pytest.mark.parametrize(("codec", "tag"), [("h264", b"avc1"), ("hevc", b"hvc1")])
def test_the_index_comes_first_and_the_codec_is_named_as_players_know_it(codec, tag):
    clip = in_mp4(footage(codec))
    assert clip[4:8] == b"ftyp"
    assert clip.index(b"moov") < clip.index(b"mdat")
    assert tag in clip[: clip.index(b"mdat")]


def test_the_same_footage_gives_the_same_bytes():
    assert in_mp4(footage()) == in_mp4(footage())


def test_pauses_between_pictures_are_the_cameras_own():
    units = tuple(unit for unit in footage().units if not 2 <= (unit.captured_at - EIGHT).total_seconds() < 5)
    with av.open(io.BytesIO(in_mp4(replace(footage(), units=units))), "r") as clip:
        assert clip.duration == 12_000_000
        shown = [seconds(picture) for picture in clip.decode(clip.streams.video[0])]
    assert max(after - before for before, after in pairwise(shown)) == pytest.approx(3.1)


def test_pictures_of_one_instant_are_decoded_one_after_the_other():
    coded = [unit[1] for unit in times([Unit(b"", EIGHT, keyframe=n == 0) for n in range(4)])]
    assert coded == sorted(set(coded))


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        (Footage("h264", b"", ()), "begins with a keyframe"),
        (replace(footage(), units=footage().units[1:]), "begins with a keyframe"),
        (replace(footage(out_of_band=True), extradata=b""), "parameter sets"),
        (Footage("h264", b"", (Unit(b"\0\0\0\1\x67" + bytes(99), EIGHT, keyframe=True),)), "expected"),
        (Footage("h264", b"", (Unit(b"\0\0\0\x05\x65abcd", EIGHT, keyframe=True),)), "Annex B"),
        (
            replace(
                footage(), units=(*footage().units, Unit(b"\0\0\1\x41", EIGHT - timedelta(hours=1), keyframe=False))
            ),
            "disorder",
        ),
    ],
    ids=["nothing", "no keyframe", "no parameter sets", "garbage", "no Annex B", "clock set back"],
)
def test_what_makes_no_clip_says_why(broken, why):
    with pytest.raises(Unreadable, match=why):
        in_mp4(broken)


async def test_the_process_of_its_own_gives_the_same_file():
    sent = footage("hevc", out_of_band=True)
    assert await remuxed(sent) == in_mp4(sent)


async def test_the_process_says_why_there_is_none_and_other_codecs_need_no_process():
    with pytest.raises(Unreadable, match="parameter sets"):
        await remuxed(replace(footage(out_of_band=True), extradata=b""))
    with pytest.raises(Unreadable, match="mjpeg"):
        await remuxed(replace(footage(), codec="mjpeg"))
