"""Looking at the part that changed tells what looking at the whole would: what moved, what stays, what cannot be told so."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from citybrain.domain.detection import Detection
from citybrain.domain.geometry import Box
from citybrain.ports import InputSpec
from detectors.batching import Detector
from detectors.config import backend_file
from detectors.windows import Part, Size, covered, cut, merged, outwards, plan, sizes
from tests.unit.detectors.drawing import GREEN, RED, canvas, detector, draw, picture

HALF = Size(0.5, 0.5, 0.25)
SMALL = Size(0.3, 0.4, 0.12)


def cells(*changed: tuple[int, int]) -> np.ndarray:
    grid = np.zeros((9, 16), bool)
    for row, column in changed:
        grid[row, column] = True
    return grid


def thing(label: str, *box: float, confidence: float = 0.8) -> Detection:
    return Detection(label, confidence, Box(*box))


def around(row: int, column: int, *, wide: float = 0.02, high: float = 0.04) -> tuple[float, float, float, float]:
    """A box in the middle of a cell."""
    x, y = (column + 0.5) / 16, (row + 0.5) / 9
    return x - wide / 2, y - high / 2, x + wide / 2, y + high / 2


def boxes(part: Part, *offered: Size) -> list[Box]:
    return [window.box for window in plan(part, offered or (HALF,)) or ()]


def contains(window: Box, box: Box) -> bool:
    return window.x1 <= box.x1 and window.y1 <= box.y1 and window.x2 >= box.x2 and window.y2 >= box.y2


@pytest.mark.parametrize("at", [(0, 0), (4, 8), (8, 15), (2, 14)])
def test_one_change_is_seen_in_one_window_within_the_picture(at):
    (window,) = boxes(Part(cells(at), ()))
    assert contains(window, Box(*around(*at)))
    assert (window.x2 - window.x1, window.y2 - window.y1) == pytest.approx((0.5, 0.5))


def test_changes_far_apart_are_seen_in_two_windows():
    windows = boxes(Part(cells((1, 1), (7, 14)), ()))
    assert len(windows) == 2
    assert all(any(contains(each, Box(*around(*at))) for each in windows) for at in ((1, 1), (7, 14)))


@pytest.mark.parametrize(
    "changed",
    [[(0, 0), (0, 15), (8, 0), (8, 15)], [(4, column) for column in range(16)]],
    ids=["everywhere", "all across"],
)
def test_what_few_windows_cannot_show_is_looked_at_whole(changed):
    assert plan(Part(cells(*changed), ()), [HALF]) is None


def test_where_nothing_changed_nothing_is_looked_at():
    assert plan(Part(cells(), ()), [HALF]) == ()


def test_what_stood_where_something_moved_is_seen_in_full():
    bus = thing("bus", 0.05, 0.4, 0.45, 0.7)
    (window,) = boxes(Part(cells((4, 1)), (bus,)))
    assert contains(window, bus.box)


def test_a_car_on_a_flooded_road_does_not_ask_for_a_look_at_all_the_water():
    water, car = thing("water", 0.0, 0.3, 1.0, 1.0), thing("car", *around(5, 6))
    part = Part(cells((5, 6)), (water,))
    windows = boxes(part)
    cut_water = thing("water", windows[0].x1, windows[0].y1, windows[0].x2, windows[0].y2)
    assert merged(part, windows, [[car, cut_water]]) == [water, car]


def test_what_moved_is_where_it_is_now_and_what_stayed_is_told_again():
    stays, went = thing("car", 0.8, 0.8, 0.9, 0.9, confidence=0.9), thing("person", *around(3, 3))
    part = Part(cells((3, 3), (3, 4)), (stays, went))
    windows = boxes(part)
    came = thing("person", *around(3, 4))
    assert merged(part, windows, [[came]]) == [stays, came]


def test_what_went_is_gone():
    part = Part(cells((3, 3)), (thing("person", *around(3, 3)),))
    assert merged(part, boxes(part), [[]]) == []


def test_where_nothing_changed_nothing_new_is_believed():
    """An awning seen without the street around it may pass for a stall."""
    part = Part(cells((3, 3)), ())
    assert merged(part, boxes(part), [[thing("stall", 0.30, 0.55, 0.36, 0.60)]]) == []


def test_a_thing_cut_by_a_windows_edge_is_looked_at_whole():
    part = Part(cells((4, 8)), ())
    (window,) = boxes(part)
    assert merged(part, [window], [[thing("bus", window.x1, 0.4, 0.6, 0.6)]]) is None


def test_a_thing_seen_in_two_windows_is_told_once():
    part = Part(cells((4, 5), (4, 10)), ())
    windows = (Box(0.1, 0.3, 0.6, 0.8), Box(0.3, 0.3, 0.8, 0.8))
    twice = [thing("car", *around(4, 5)), thing("car", *around(4, 5), confidence=0.7)]
    assert merged(part, windows, [[twice[0]], [twice[1]]]) == [twice[0]]


def test_only_cells_that_lie_wholly_in_a_window_were_looked_at():
    looked_at = covered([Box(0.03, 0.0, 0.5, 0.5)], (9, 16))
    assert looked_at[:4, 1:8].all()
    assert looked_at.sum() == 4 * 7


@given(width=st.integers(64, 1920), height=st.integers(64, 1080), x=st.floats(0, 0.49), y=st.floats(0, 0.49))
def test_a_window_is_cut_out_where_it_says(width, height, x, y):
    rgb = canvas(width, height)
    part, place = cut(picture(rgb), Box(x, y, x + 0.5, y + 0.5))
    assert (part.width % 2, part.height % 2) == (0, 0)
    assert part.u.shape == ((part.height + 1) // 2, (part.width + 1) // 2)
    assert (place.x2 - place.x1) * width == pytest.approx(part.width)
    back = outwards(Box(0.0, 0.0, 1.0, 1.0), place)
    assert (back.x1, back.y1) == (place.x1, place.y1)
    assert (back.x2, back.y2) == pytest.approx((place.x2, place.y2))


def test_small_changes_are_seen_in_small_windows_and_near_ones_together():
    apart = plan(Part(cells((1, 1), (7, 14)), ()), [SMALL, HALF]) or ()
    assert [window.size for window in apart] == [0, 0]
    near = plan(Part(cells((4, 5), (4, 7)), ()), [SMALL, HALF]) or ()
    assert [window.size for window in near] == [0]
    wide = plan(Part(cells((4, 4), (4, 5), (4, 6), (4, 7), (4, 8), (4, 9)), ()), [SMALL, HALF]) or ()
    assert [window.size for window in wide] == [1]


def test_without_windows_on_offer_what_changed_is_looked_at_whole():
    assert plan(Part(cells((4, 4)), ()), []) is None


def test_a_window_shows_things_at_the_scale_of_the_whole():
    (half,) = sizes(704, 576, InputSpec(640, 480, "i420"), [InputSpec(320, 256, "i420")])
    assert half.width * 704 * (480 / 576) == pytest.approx(320, rel=0.01)
    assert half.height * 480 == pytest.approx(256, rel=0.01)
    assert half.cost == pytest.approx(0.267, abs=0.001)


class Counting:
    """The scripted backend, counting what it is fed by width."""

    def __init__(self, inner):
        self._inner, self.fed = inner, []

    def __getattr__(self, name):
        return getattr(self._inner, name)

    def infer(self, batch, n, spec):
        self.fed += [spec.width] * n
        return self._inner.infer(batch, n, spec)


def street(*drawn):
    rgb = canvas(640, 480)
    for box, colour in drawn:
        draw(rgb, box, colour)
    return picture(rgb)


@pytest.mark.parametrize("wanted", [True, False])
def test_looking_at_what_changed_tells_what_looking_at_the_whole_does(tmp_path, wanted):
    settings = detector(tmp_path, backend="scripted", windows=wanted)
    backend = Counting(backend_file("scripted").build(settings.for_backend()))
    looking = Detector(settings, backend)
    parked, fire = Box(0.1, 0.6, 0.2, 0.7), Box(0.70, 0.20, 0.76, 0.28)
    (before,) = looking.detect([street((parked, GREEN))])
    now = street((parked, GREEN), (fire, RED))
    backend.fed.clear()
    (look,) = looking.detect_changes([now], [Part(cells((1, 11), (2, 11), (2, 12)), before)])
    (whole,) = looking.detect([now])
    assert sorted(each.label for each in look.detections) == sorted(each.label for each in whole) == ["car", "fire"]
    for each in look.detections:
        assert any(each.label == other.label and each.box.overlap(other.box) > 0.8 for other in whole)
        assert each.look
    assert (backend.fed[0] == 320) is wanted
    assert (look.cells is not None) is wanted


def test_without_a_part_a_picture_is_looked_at_whole(tmp_path):
    settings = detector(tmp_path, backend="scripted")
    backend = Counting(backend_file("scripted").build(settings.for_backend()))
    (look,) = Detector(settings, backend).detect_changes([street((Box(0.1, 0.6, 0.2, 0.7), GREEN))], [None])
    assert (backend.fed, look.cells) == ([640], None)
    assert [each.label for each in look.detections] == ["car"]
