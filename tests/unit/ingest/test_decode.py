"""Decoding: one decoder for all cameras, what is whole comes out whole, and what is damaged is refused."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from fractions import Fraction

import av
import numpy as np
import pytest

from citybrain.demo.rtsp_clip import Clip, is_parameter, read_clip
from citybrain.domain.frame import Frame
from citybrain.errors import Unreadable
from ingest.decode import Decoder, planes
from tests.unit.ingest.clips import jpeg, make_clip, street

AT = datetime(2026, 11, 21, 8, tzinfo=UTC)


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> dict[str, Clip]:
    folder = tmp_path_factory.mktemp("clips")
    return {codec: read_clip(make_clip(folder / f"{codec}.mp4", codec=codec, seconds=3)) for codec in ("h264", "hevc")}


def frame_of(codec: str, *packets: bytes, camera: str = "a", extradata: bytes = b"") -> Frame:
    return Frame(camera, codec, packets, AT, AT, extradata=extradata)


def annex_b(units) -> bytes:
    return b"".join(b"\0\0\0\1" + unit for unit in units)


def keyframes(clip: Clip) -> list[bytes]:
    return [annex_b(each.units) for each in clip.samples if each.keyframe]


def luma(index: int, seed: int = 0) -> np.ndarray:
    frame = av.VideoFrame.from_ndarray(street(index, seed=seed), format="rgb24")
    return planes(frame).y.astype(int)


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_every_keyframe_comes_out_as_the_picture_it_was(clips, codec):
    decoder = Decoder()
    for index, key in enumerate(keyframes(clips[codec])):
        picture = decoder.decode(frame_of(codec, key))
        assert (picture.width, picture.height) == (320, 192)
        assert picture.u.shape == picture.v.shape == (96, 160)
        assert np.abs(picture.y.astype(int) - luma(index * 5)).mean() < 6


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_cameras_share_a_decoder_without_losing_a_picture(clips, codec):
    decoder = Decoder()
    keys = keyframes(clips[codec])
    shapes = [decoder.decode(frame_of(codec, key, camera=camera)).y.shape for key in keys for camera in ("a", "b", "c")]
    assert shapes == [(192, 320)] * len(keys) * 3


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_a_group_gives_its_last_picture(clips, codec):
    group = [annex_b(each.units) for each in clips[codec].samples[:5]]
    picture = Decoder().decode(frame_of(codec, *group))
    assert np.abs(picture.y.astype(int) - luma(4)).mean() < np.abs(picture.y.astype(int) - luma(0)).mean()


def test_parameter_sets_that_came_with_the_description_are_used(clips):
    clip = clips["h264"]
    bare = annex_b(unit for unit in clip.samples[0].units if not is_parameter("h264", unit))
    with pytest.raises(Unreadable):
        Decoder().decode(frame_of("h264", bare))
    assert Decoder().decode(frame_of("h264", bare, extradata=annex_b(clip.parameters))).width == 320


def damaged(clip: Clip, how: str, draw: random.Random) -> bytes:
    units = []
    for unit in clip.samples[0].units:
        body = bytearray(unit)
        if not is_parameter(clip.codec, unit):
            if how == "halved":
                body = body[: len(body) // 2]
            else:
                for at in range(16, len(body), 11):
                    body[at] = draw.getrandbits(8)
        units.append(bytes(body))
    return annex_b(units)


# H.265 shows no more than a quarter of scrambled slices: arithmetic decoding makes a picture of anything.
@pytest.mark.parametrize(("codec", "how"), [("h264", "halved"), ("h264", "scrambled"), ("hevc", "halved")])
def test_a_damaged_keyframe_is_refused_and_the_next_one_is_whole_again(clips, codec, how):
    decoder, clip = Decoder(), clips[codec]
    with pytest.raises(Unreadable, match=codec):
        decoder.decode(frame_of(codec, damaged(clip, how, random.Random(1))))
    assert decoder.decode(frame_of(codec, keyframes(clip)[0])).width == 320


@pytest.mark.parametrize("codec", ["h264", "hevc", "mjpeg", "png"])
def test_noise_is_refused_whatever_it_is_called(codec):
    with pytest.raises(Unreadable):
        Decoder().decode(frame_of(codec, random.Random(2).randbytes(3000)))


@pytest.mark.parametrize("packets", [(), (b"",)])
def test_nothing_is_no_picture(packets):
    with pytest.raises(Unreadable, match="got nothing"):
        Decoder().decode(frame_of("h264", *packets))


def test_a_codec_that_does_not_exist_is_named():
    with pytest.raises(Unreadable, match="h999"):
        Decoder().decode(frame_of("h999", b"x"))


def test_a_halved_jpeg_is_refused():
    whole = jpeg(street(0))
    assert Decoder().decode(frame_of("mjpeg", whole)).width == 320
    with pytest.raises(Unreadable):
        Decoder().decode(frame_of("mjpeg", whole[: len(whole) // 2]))


def test_a_picture_beyond_all_cameras_is_refused(clips):
    with pytest.raises(Unreadable):
        Decoder(max_pixels=10_000).decode(frame_of("h264", keyframes(clips["h264"])[0]))


def test_a_strip_is_no_cameras_picture():
    with pytest.raises(Unreadable, match="160×16"):
        Decoder().decode(frame_of("mjpeg", jpeg(street(0)[:16, :160])))


def test_a_size_is_believed_when_it_is_said_twice(clips, tmp_path):
    small = keyframes(read_clip(make_clip(tmp_path / "small.mp4", width=160, height=96, seconds=1)))
    large = keyframes(clips["h264"])
    decoder = Decoder()
    decoder.decode(frame_of("h264", large[0]))
    with pytest.raises(Unreadable, match="320×192 as before, got 160×96"):
        decoder.decode(frame_of("h264", small[0]))
    assert decoder.decode(frame_of("h264", large[1])).width == 320
    with pytest.raises(Unreadable):
        decoder.decode(frame_of("h264", small[0]))
    assert decoder.decode(frame_of("h264", small[1])).width == 160


@pytest.mark.parametrize("format_", ["yuv420p", "yuvj420p", "yuv422p", "yuv444p", "yuvj444p", "gray", "rgb24", "nv12"])
def test_every_layout_becomes_planes_of_video_range(format_):
    frame = av.VideoFrame.from_ndarray(street(0), format="rgb24").reformat(format=format_)
    picture = planes(frame)
    assert picture.y.shape == (192, 320)
    assert picture.u.shape == picture.v.shape == (96, 160)
    assert np.abs(picture.y.astype(int) - luma(0)).mean() < 3
    if format_ == "gray":
        assert set(np.unique(picture.u)) == {128}


def test_a_picture_of_odd_size_keeps_its_last_row_and_column():
    frame = av.VideoFrame.from_ndarray(street(0)[:191, :319], format="rgb24")
    picture = planes(frame)
    assert (picture.y.shape, picture.u.shape) == ((191, 319), (96, 160))


def test_mutated_streams_end_in_a_picture_or_a_reason(clips):
    draw, decoder, told = random.Random(3), Decoder(), 0
    for _ in range(150):
        codec = draw.choice(["h264", "hevc"])
        body = bytearray(draw.choice(keyframes(clips[codec])))
        for _ in range(draw.randint(1, 40)):
            body[draw.randrange(len(body))] = draw.getrandbits(8)
        try:
            picture = decoder.decode(frame_of(codec, bytes(body)))
            assert Fraction(picture.width, picture.height) > 0
        except Unreadable as error:
            told += str(error).startswith("expected")
    assert told > 50
