"""How clips are played: once, over and over, in parts, forwards and backwards, and pictures one after the other."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest

from citybrain.errors import Unreadable
from citybrain.evaluation.played import lasts, played
from citybrain.evaluation.truth import load
from tests.unit.evaluation.scene_set import TRUTH, filmed, written

START = datetime(2026, 1, 1, tzinfo=UTC)
LOOPED = "looped: {lasts: 30s}\n    disturbances: *grain"


@pytest.fixture
def grey(tmp_path):
    """What a looped clip of five seconds shows, a second each: each second of the film is brighter by 20."""

    def shown(looped: str, *, until: timedelta | None = None) -> list[int]:
        folder = written(tmp_path / "set", truth=TRUTH.replace(LOOPED, f"looped: {looped}"))
        filmed(folder / "street.mp4", [np.full((96, 160, 3), 40 + 20 * (n // 2), np.uint8) for n in range(10)])
        given = load(folder)
        clip, camera = given.truth.clips["street"], given.camera("street")
        looks = list(played(clip, camera, start=START, until=until or lasts(clip, camera)))
        assert [at for at, _ in looks] == [START + timedelta(seconds=n) for n in range(len(looks))]
        # Luma of video range: 16 + 219/255 of the grey.
        return [round(((picture.y.mean() - 16) * 255 / 219 - 40) / 20) for _, picture in looks]

    return shown


def test_a_loop_begins_again(grey):
    assert grey("{lasts: 12s}") == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1]


def test_a_loop_to_and_fro_never_jumps(grey):
    shown = grey("{lasts: 12s, way: to_and_fro}")
    assert shown[:5] == [0, 1, 2, 3, 4]
    assert max(abs(a - b) for a, b in pairwise(shown)) == 1


def test_parts_are_played_one_after_the_other(grey):
    assert grey("{lasts: 7s, parts: [[3, 5], [0, 1]]}") == [3, 4, 0, 3, 4, 0, 3]


def test_another_turn_meets_other_pictures_when_its_length_is_no_multiple_of_the_looks(grey):
    assert grey("{lasts: 6s, parts: [[0, 2.5]]}") == [0, 1, 2, 0, 1, 0]


def test_a_loop_lasts_as_long_as_it_is_told(grey):
    assert len(grey("{lasts: 12s}", until=timedelta(seconds=21))) == 21


def test_a_part_beyond_the_clips_end_is_told(grey):
    with pytest.raises(Unreadable, match="expected pictures from 8 to 9 s, found none"):
        grey("{lasts: 12s, parts: [[8, 9]]}")


def test_pictures_are_shown_one_after_the_other_and_over_and_over(tmp_path):
    truth = TRUTH.replace("stills: {each: 10s}", "stills: {each: 2s}\n    looped: {lasts: 9s}")
    given = load(written(tmp_path / "set", truth=truth))
    clip, camera = given.truth.clips["yard"], given.camera("yard")
    # The second picture burns: red has more of v.
    red = [int(picture.v.max()) > 200 for _, picture in played(clip, camera, start=START, until=lasts(clip, camera))]
    assert red == [False, False, True, True, False, False, True, True, False]


def test_of_a_folder_those_are_shown_whose_names_fit(tmp_path):
    truth = TRUTH.replace("stills: {each: 10s}", 'stills: {each: 3s, files: "1.*"}')
    given = load(written(tmp_path / "set", truth=truth))
    clip, camera = given.truth.clips["yard"], given.camera("yard")
    looks = list(played(clip, camera, start=START, until=lasts(clip, camera)))
    assert [int(picture.v.max()) > 200 for _, picture in looks] == [True] * 3


def test_what_disturbs_is_other_noise_at_each_look_and_the_same_each_time(tmp_path):
    given = load(written(tmp_path / "set"))
    clip, camera = given.truth.clips["yard"], given.camera("yard")
    first, again = (
        [picture.y for _, picture in played(clip, camera, start=START, until=timedelta(seconds=4))] for _ in range(2)
    )
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert (first[0] != first[1]).any()


def test_a_video_played_once_is_what_a_replay_sees(tmp_path):
    given = load(written(tmp_path / "set"))
    clip, camera = given.truth.clips["kerb"], given.camera("kerb")
    assert lasts(clip, camera) is None
    assert [at for at, _ in played(clip, camera, start=START, until=None)] == [
        START + timedelta(seconds=n) for n in range(12)
    ]
