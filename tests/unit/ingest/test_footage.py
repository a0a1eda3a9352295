"""A recording read for a replay: one picture a step, by its own times, the same each time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import cv2
import numpy as np
import pytest

from citybrain.errors import Unreadable
from ingest.footage import instant_of, pictures
from tests.unit.ingest.clips import jpeg, make_clip, street

AT = datetime(2026, 11, 21, 8, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(("codec", "b_frames"), [("h264", 0), ("h264", 2), ("hevc", 0)])
def test_a_video_gives_one_picture_a_step(tmp_path, codec, b_frames):
    clip = make_clip(tmp_path / "clip.mp4", codec=codec, seconds=4, b_frames=b_frames)
    seen = list(pictures(clip, start=AT, every=SECOND))
    assert [at - AT for at, _ in seen] == [SECOND * index for index in range(4)]
    assert all((picture.width, picture.height) == (320, 192) for _, picture in seen)
    assert not np.array_equal(seen[0][1].y, seen[1][1].y)


def test_reading_it_again_gives_the_same(tmp_path):
    clip = make_clip(tmp_path / "clip.mp4", seconds=2)
    first, second = (list(pictures(clip, start=AT, every=SECOND / 2)) for _ in range(2))
    assert len(first) == 4
    for (at, picture), (other_at, other) in zip(first, second, strict=True):
        assert at == other_at
        assert np.array_equal(picture.y, other.y)


@pytest.mark.parametrize("ending", ["avi", "mkv"])
def test_other_containers_are_read_too(tmp_path, ending):
    clip = make_clip(tmp_path / f"clip.{ending}", seconds=2)
    assert len(list(pictures(clip, start=AT, every=SECOND))) == 2


def test_a_step_longer_than_the_clip_gives_its_first_picture(tmp_path):
    clip = make_clip(tmp_path / "clip.mp4", seconds=1)
    assert len(list(pictures(clip, start=AT, every=timedelta(minutes=1)))) == 1


def test_images_are_a_step_apart_or_when_their_names_say(tmp_path):
    for name in ("a.jpg", "b.jpg", "20261121T093000Z.jpg"):
        (tmp_path / name).write_bytes(jpeg(street(0)))
    seen = [at for at, _ in pictures(tmp_path, start=AT, every=SECOND)]
    assert seen == [datetime(2026, 11, 21, 9, 30, tzinfo=UTC), AT + SECOND, AT + 2 * SECOND]


@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_each_image_is_its_own_picture_and_no_difference_to_the_one_before(tmp_path, ending):
    greys = (90, 200, 40)
    for number, grey in enumerate(greys):
        cv2.imwrite(str(tmp_path / f"{number}.{ending}"), np.full((96, 160, 3), grey, np.uint8))
    seen = [float(picture.y.mean()) for _, picture in pictures(tmp_path, start=AT, every=SECOND)]
    # Luma of video range: 16 + 219/255 of the grey.
    assert seen == pytest.approx([16 + grey * 219 / 255 for grey in greys], abs=1)


@pytest.mark.parametrize("name", ["20261121T080000Z", "2026-11-21T08-00-00Z", "2026-11-21T08-00-00.000Z"])
def test_a_name_may_be_an_instant(tmp_path, name):
    assert instant_of(tmp_path / f"{name}.png") == AT
    assert instant_of(tmp_path / "street.png") is None


def test_what_is_no_video_says_so(tmp_path):
    (tmp_path / "notes.mp4").write_text("nothing to see here" * 50)
    with pytest.raises(Unreadable, match=r"notes\.mp4"):
        list(pictures(tmp_path / "notes.mp4", start=AT, every=SECOND))
    with pytest.raises(Unreadable, match="no such file"):
        list(pictures(tmp_path / "gone.mp4", start=AT, every=SECOND))
    (tmp_path / "folder").mkdir()
    with pytest.raises(Unreadable, match="found none"):
        list(pictures(tmp_path / "folder", start=AT, every=SECOND))
