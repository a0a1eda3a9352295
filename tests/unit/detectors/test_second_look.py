"""What seems to fill much of a view is told when it is there from further away, too; everything else as before."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from citybrain.domain.detection import Detection
from citybrain.domain.geometry import Box
from citybrain.ports import InputSpec, Picture
from detectors.batching import Detector
from detectors.config import Confidence, DetectorSettings, SecondLook
from detectors.letterbox import GREY_LUMA
from detectors.second_look import TwoLooks
from detectors.windows import Part
from tests.unit.detectors.drawing import detector

WHOLE, HALF = InputSpec(640, 384, "i420", max_batch=4), InputSpec(320, 192, "i420", max_batch=1)
LARGE, SMALL, ELSEWHERE = Box(0.125, 0.125, 0.625, 0.875), Box(0.125, 0.125, 0.25, 0.375), Box(0.75, 0.125, 1.0, 0.875)


class Eyes:
    """A backend that sees in a whole view what `near` says of its brightness, and from further away what `far` says."""

    classes = ("fire", "smoke", "car")
    revision = "eyes"

    def __init__(self, near, far, *, half: bool = True):
        self._near, self._far, self._half = near, far, half
        self.fed: list[np.ndarray] = []

    def input_for(self, width, height):
        return WHOLE

    def windows_for(self, spec):
        return [HALF] if self._half else []

    def warmup(self):
        pass

    def close(self):
        pass

    def infer(self, batch, n, spec):
        self.fed += [each.copy() for each in batch[:n]]
        return [self._seen(each, spec) for each in batch[:n]]

    def _seen(self, given, spec):
        luma = given[: spec.height]
        shrunk = spec == HALF or luma[spec.height // 2, 0] == GREY_LUMA != luma[spec.height // 2, spec.width // 2]
        answer = (self._far if shrunk else self._near).get(int(luma[spec.height // 2, spec.width // 2]), [])
        if not shrunk or spec == HALF:
            return answer
        return [Detection(each.label, each.confidence, each.box.toward(_middle(each.box), step=1)) for each in answer]


def _middle(box: Box) -> Box:
    """The box where it lies in an input whose middle half the picture takes."""
    return Box(*(0.25 + each / 2 for each in (box.x1, box.y1, box.x2, box.y2)))


def view(brightness: int) -> Picture:
    chroma = np.full((192, 320), 128, np.uint8)
    return Picture(np.full((384, 640), brightness, np.uint8), chroma, chroma)


@pytest.fixture
def settings(tmp_path) -> DetectorSettings:
    return detector(
        tmp_path,
        backend="scripted",
        confidence={"default": 0.25, "fire": 0.20, "smoke": 0.15},
        labels={"fire": "fire", "smoke": "smoke", "car": "car"},
        options={"colours": {"red": "fire", "yellow": "smoke", "green": "car"}},
        second_look={"labels": ["fire", "smoke"]},
    )


def told(settings: DetectorSettings, near: list[Detection], far: list[Detection], *, half: bool = True):
    eyes = Eyes({90: near}, {90: far}, half=half)
    (seen,) = Detector(settings, eyes, looks=()).detect([view(90)])
    return [(each.label, round(each.confidence, 4), each.box) for each in seen], len(eyes.fed)


@pytest.mark.parametrize("half", [True, False], ids=["in a form half as large", "with grey around it"])
def test_a_large_thing_that_both_looks_see_is_told_as_sure_as_both_make_it(settings, half):
    near, far = Detection("smoke", 0.11, LARGE), Detection("smoke", 0.07, Box(0.125, 0.125, 0.6, 0.8))
    seen, looks = told(settings, [near], [far], half=half)
    assert [(label, confidence) for label, confidence, _ in seen] == [("smoke", round(1 - 0.89 * 0.93, 4))]
    assert seen[0][2].overlap(LARGE) > 0.99
    assert looks == 2


def test_without_a_small_form_the_view_is_shown_half_as_large_with_grey_around_it(settings):
    eyes = Eyes({90: [Detection("smoke", 0.11, LARGE)]}, {}, half=False)
    Detector(settings, eyes, looks=()).detect([view(90)])
    near, far = (each[:384] for each in eyes.fed)
    assert (near == 90).all()
    assert (far[96:288, 160:480] == 90).all()
    assert (far == GREY_LUMA).sum() == far.size - 192 * 320


@pytest.mark.parametrize("far", [[], [Detection("smoke", 0.9, ELSEWHERE)], [Detection("car", 0.9, LARGE)]])
def test_a_large_thing_that_is_not_there_from_further_away_is_none_however_sure_the_first_look_was(settings, far):
    seen, looks = told(settings, [Detection("smoke", 0.6, LARGE)], far)
    assert [label for label, _, _ in seen if label == "smoke"] == []
    assert looks == 2


def test_fire_and_smoke_vouch_for_each_other(settings):
    seen, _ = told(settings, [Detection("smoke", 0.08, LARGE)], [Detection("fire", 0.12, LARGE)])
    assert seen == [("smoke", round(1 - 0.92 * 0.88, 4), LARGE)]


def test_what_two_looks_together_are_not_sure_enough_of_is_not_told(settings):
    assert told(settings, [Detection("fire", 0.09, LARGE)], [Detection("fire", 0.1, LARGE)]) == ([], 2)  # 0.181 of 0.20


def test_one_fire_about_which_there_are_several_boxes_is_told_once(settings):
    around, smoke = Box(0.125, 0.125, 0.5, 0.875), Detection("smoke", 0.3, LARGE)
    near = [Detection("fire", 0.4, LARGE), Detection("fire", 0.3, around), smoke, Detection("fire", 0.3, ELSEWHERE)]
    seen, looks = told(settings, near, [Detection("fire", 0.5, LARGE), Detection("fire", 0.5, ELSEWHERE)])
    assert [(label, box) for label, _, box in seen] == [("fire", LARGE), ("smoke", LARGE), ("fire", ELSEWHERE)]
    assert looks == 2


@pytest.mark.parametrize(
    ("near", "expected"),
    [
        ([Detection("fire", 0.21, SMALL)], [("fire", 0.21, SMALL)]),
        ([Detection("fire", 0.19, SMALL)], []),
        ([Detection("car", 0.26, LARGE)], [("car", 0.26, LARGE)]),
        ([Detection("car", 0.2, LARGE)], []),
    ],
    ids=["small and sure", "small and unsure", "of another kind", "of another kind and unsure"],
)
def test_small_things_and_other_kinds_are_left_to_the_first_look(settings, near, expected):
    assert told(settings, near, [Detection("fire", 0.9, SMALL)]) == (expected, 1)


def test_each_picture_of_a_batch_has_its_own_second_look(settings):
    near = {
        10 * at: [Detection("fire", 0.3, LARGE)] if at % 2 else [Detection("car", 0.5, SMALL)] for at in range(3, 9)
    }
    far = {each: [Detection("fire", each / 100, LARGE)] for each in near}
    eyes = Eyes(near, far)
    seen = Detector(settings, eyes, looks=()).detect([view(each) for each in near])
    expected = [("fire", round(1 - 0.7 * (1 - each / 100), 4)) if each // 10 % 2 else ("car", 0.5) for each in near]
    assert [(one.label, round(one.confidence, 4)) for (one,) in seen] == expected
    assert len(eyes.fed) == 6 + 3


def changed_in_a_corner() -> Part:
    cells = np.zeros((9, 16), bool)
    cells[2, 2] = True
    return Part(cells, ())


def test_a_large_thing_in_a_window_has_the_whole_looked_at(settings):
    spread = Detection("smoke", 0.08, Box(0.05, 0.05, 0.95, 0.95))  # of the window: a fifth of the whole
    eyes = Eyes({90: [Detection("smoke", 0.1, LARGE)]}, {90: [spread]})
    (look,) = Detector(settings, eyes, looks=()).detect_changes([view(90)], [changed_in_a_corner()])
    assert [each.shape[1] for each in eyes.fed] == [320, 640, 320]
    assert look.cells is None
    assert [(each.label, each.box) for each in look.detections] == [("smoke", LARGE)]


def test_a_small_thing_in_a_window_counts_as_elsewhere(settings):
    unsure, sure = Detection("fire", 0.1, Box(0.3, 0.3, 0.4, 0.4)), Detection("car", 0.4, Box(0.3, 0.4, 0.4, 0.6))
    eyes = Eyes({}, {90: [sure, unsure]})
    (look,) = Detector(settings, eyes, looks=()).detect_changes([view(90)], [changed_in_a_corner()])
    assert [each.label for each in look.detections] == ["car"]
    assert look.cells is not None
    assert [each.shape[1] for each in eyes.fed] == [320]


sides = st.tuples(st.floats(0, 0.5), st.floats(0, 0.5), st.floats(0.5, 1), st.floats(0.5, 1))
seen = st.lists(
    st.builds(Detection, st.sampled_from(["fire", "smoke", "car"]), st.floats(0.05, 1), sides.map(lambda s: Box(*s)))
)


@given(first=seen, second=seen)
def test_two_looks_never_tell_what_is_too_unsure_nor_invent_anything(first, second):
    counts = Confidence(0.25, {"fire": 0.2})
    looks = TwoLooks(SecondLook(labels=("fire", "smoke")), counts)
    after = looks.settled(first, second)
    assert [each.confidence for each in after] == sorted((each.confidence for each in after), reverse=True)
    for each in after:
        assert each.confidence >= counts.of(each.label)
        assert any(
            (one.label, one.box) == (each.label, each.box) and one.confidence <= each.confidence for one in first
        )
    if not looks.asks(first):
        assert after == sorted(looks.sure(first), key=lambda each: -each.confidence)


def test_candidates_are_asked_of_the_backend_from_where_a_second_look_begins(settings):
    assert settings.for_backend().floor == 0.05
    assert (settings.candidates().of("smoke"), settings.candidates().of("car")) == (0.05, 0.25)
