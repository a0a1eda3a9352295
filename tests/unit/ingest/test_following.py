"""Decoding on from picture to picture: the same pictures as the whole clip gives, each at its own instant."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache

import av
import numpy as np
import pytest

from citybrain.domain.frame import Frame
from citybrain.errors import Unreadable
from citybrain.ports import Picture, Unit
from ingest.decode import Decoder, planes
from ingest.following import Following
from ingest.worker_port import FOLLOWED, NOTHING_NEWER, OUT_OF_STEP
from tests.unit.ingest.clips import street
from tests.unit.ingest.footage import footage

GROUP = 5
CODED = pytest.mark.parametrize(("codec", "b_frames"), [("h264", 0), ("hevc", 0), ("h264", 2), ("hevc", 2)])


@cache
def groups(codec: str, b_frames: int) -> list[list[Unit]]:
    """The clip's groups of pictures."""
    found: list[list[Unit]] = []
    for unit in footage(codec, seconds=4, b_frames=b_frames).units:
        if unit.keyframe:
            found.append([])
        found[-1].append(unit)
    return found


def step(codec: str, group: int, since: int, until: int, *, camera: str = "a", b_frames: int = 0) -> Frame:
    """What a source gives that was asked for packets `since` to `until` of a group."""
    units = groups(codec, b_frames)[group][since:until]
    newest = max(unit.captured_at for unit in units)
    instants = tuple(unit.captured_at for unit in units)
    packets = tuple(unit.data for unit in units)
    return Frame(camera, codec, packets, newest, newest, group=group + 1, since=since, instants=instants)


def index_of(at: datetime) -> int:
    """Which picture of the street was shown at an instant."""
    return round((at - footage().units[0].captured_at) / timedelta(seconds=0.1))


def shows(picture: Picture, index: int) -> bool:
    drawn = planes(av.VideoFrame.from_ndarray(street(index), format="rgb24")).y.astype(int)
    return bool(np.abs(picture.y.astype(int) - drawn).mean() < 6)


@CODED
def test_pictures_come_one_by_one_in_order_each_with_its_own_instant(codec, b_frames):
    following = Following(Decoder())
    seen: list[datetime] = []
    for group in range(4):
        for since in [0, *range(2, GROUP)]:
            frame = step(codec, group, since, 2 if since == 0 else since + 1, b_frames=b_frames)
            try:
                picture, at = following.decode(frame)
            except Unreadable as error:
                assert str(error) == NOTHING_NEWER  # noqa: PT017  # a picture that is held back comes later
                continue
            assert shows(picture, index_of(at))
            seen.append(at)
    assert seen == sorted(set(seen))
    assert len(seen) >= (16 if b_frames == 0 else 8)


@CODED
def test_catching_up_from_the_keyframe_gives_the_newest_picture(codec, b_frames):
    picture, at = Following(Decoder()).decode(step(codec, 1, 0, GROUP, b_frames=b_frames))
    assert shows(picture, index_of(at))
    assert index_of(at) >= (2 * GROUP - 1 if b_frames == 0 else GROUP + 1)


def test_what_does_not_go_on_where_the_decoder_stands_is_out_of_step_and_begins_anew_at_a_keyframe():
    following = Following(Decoder())
    following.decode(step("h264", 0, 0, 2))
    for wrong in (step("h264", 0, 3, 4), step("h264", 1, 2, 3), step("h264", 0, 2, 3, camera="b")):
        with pytest.raises(Unreadable, match=f"^{OUT_OF_STEP}$"):
            following.decode(wrong)
    with pytest.raises(Unreadable, match=f"^{OUT_OF_STEP}$"):
        following.decode(step("h264", 0, 2, 3))  # whoever was out of step once is not trusted any more
    picture, at = following.decode(step("h264", 0, 0, 4))
    assert shows(picture, index_of(at))
    assert index_of(at) == 3


def test_a_camera_that_is_followed_disturbs_no_other():
    decoder = Decoder()
    following = Following(decoder)
    for since in (0, 2, 3, 4):
        for camera in ("a", "b"):
            picture, at = following.decode(step("h264", 0, since, max(2, since + 1), camera=camera))
            assert shows(picture, index_of(at))
        assert shows(decoder.decode(step("h264", 2, 0, 1, camera="c")), 2 * GROUP)


def test_only_so_many_are_followed_and_who_was_longest_unseen_is_forgotten():
    following = Following(Decoder())
    for number in range(FOLLOWED + 1):
        following.decode(step("h264", 0, 0, 2, camera=f"camera {number}"))
    with pytest.raises(Unreadable, match=OUT_OF_STEP):
        following.decode(step("h264", 0, 2, 3, camera="camera 0"))
    following.decode(step("h264", 0, 2, 3, camera=f"camera {FOLLOWED}"))


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_damage_in_the_middle_ends_the_following_until_the_next_keyframe(codec):
    following = Following(Decoder())
    following.decode(step(codec, 0, 0, 2))
    whole = step(codec, 0, 2, 4)
    torn = replace(whole, packets=(whole.packets[0][:12], *whole.packets[1:]))
    with pytest.raises(Unreadable, match="expected a"):
        following.decode(torn)
    with pytest.raises(Unreadable, match=OUT_OF_STEP):
        following.decode(step(codec, 0, 4, 5))
    picture, at = following.decode(step(codec, 1, 0, 3))
    assert shows(picture, index_of(at))


def test_only_what_goes_on_within_a_group_is_followed():
    following = Following(Decoder())
    assert following.is_for(step("h264", 0, 0, 2))
    assert following.is_for(step("h264", 0, 3, 4))
    assert not following.is_for(step("h264", 0, 0, 1))
    assert not following.is_for(replace(step("h264", 0, 0, 3), group=0))  # a file's frame is complete in itself


def test_the_keyframe_of_a_later_group_ends_the_following():
    following = Following(Decoder())
    following.decode(step("h264", 0, 0, 2))
    assert not following.is_for(step("h264", 0, 0, 1))
    following.decode(step("h264", 0, 2, 3))
    assert not following.is_for(step("h264", 1, 0, 1))
    with pytest.raises(Unreadable, match=OUT_OF_STEP):
        following.decode(step("h264", 0, 3, 4))


def test_the_same_pictures_again_give_nothing_newer():
    following = Following(Decoder())
    following.decode(step("h264", 0, 0, 3))
    with pytest.raises(Unreadable, match=f"^{NOTHING_NEWER}$"):
        following.decode(step("h264", 0, 0, 3))
