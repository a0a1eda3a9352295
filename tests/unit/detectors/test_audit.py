"""Which skipped looks are looked at all the same, and what then counts as a miss."""

import pytest

from citybrain.domain.detection import Detection
from citybrain.domain.geometry import Box
from detectors.audit import ONE_IN, is_audited, is_miss

CAR = Detection("car", 0.8, Box(0.2, 0.2, 0.4, 0.4))
LABELS = {"car", "fire"}


def test_the_same_recording_audits_the_same_looks_and_about_the_share_agreed():
    drawn = [seq for seq in range(1, 20_001) if is_audited("gd-0001", seq)]
    assert drawn == [seq for seq in range(1, 20_001) if is_audited("gd-0001", seq)]
    assert len(drawn) == pytest.approx(20_000 / ONE_IN, rel=0.15)


def test_cameras_are_not_audited_in_step():
    assert [is_audited("gd-0001", seq) for seq in range(500)] != [is_audited("gd-0002", seq) for seq in range(500)]


@pytest.mark.parametrize(
    ("repeated", "seen"),
    [
        ((), (CAR,)),
        ((CAR,), ()),
        ((CAR,), (CAR, Detection("fire", 0.6, Box(0.7, 0.7, 0.8, 0.8)))),
        ((CAR,), (Detection("car", 0.8, Box(0.6, 0.2, 0.8, 0.4)),)),
    ],
    ids=["a car came", "a car went", "a fire beside it", "a car elsewhere"],
)
def test_what_came_or_went_is_a_miss(repeated, seen):
    assert is_miss(repeated, seen, LABELS)


@pytest.mark.parametrize(
    ("repeated", "seen"),
    [
        ((CAR,), (CAR,)),
        ((CAR,), (Detection("car", 0.26, CAR.box),)),
        ((), (Detection("car", 0.4, CAR.box),)),
        ((), (Detection("dog", 0.9, CAR.box),)),
    ],
    ids=["the same", "less sure of it", "hardly anything", "nothing that a scene asks for"],
)
def test_what_comes_and_goes_with_the_detector_is_none(repeated, seen):
    assert not is_miss(repeated, seen, LABELS)
