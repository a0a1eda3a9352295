"""Boxes and polygons in a picture, and the way from the picture to the street."""

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from citybrain.domain.geometry import WHOLE_VIEW, Box, Homography, Polygon, metres_between

units = st.floats(0, 1, allow_nan=False)
TRIANGLE = Polygon(((0.0, 0.0), (1.0, 0.0), (0.0, 1.0)))
HOUSE = Polygon(((0.2, 0.2), (0.8, 0.2), (0.8, 0.8), (0.5, 0.5), (0.2, 0.8)))
"""Concave: a notch from below up to its middle."""


@st.composite
def boxes(draw):
    (x1, x2), (y1, y2) = sorted([draw(units), draw(units)]), sorted([draw(units), draw(units)])
    return Box(x1, y1, x2, y2)


@st.composite
def polygons(draw):
    """Star-shaped around a centre, so that no edges cross."""
    corners = draw(st.integers(3, 9))
    reach = [draw(st.floats(0.05, 0.4)) for _ in range(corners)]
    turn = draw(st.floats(0, math.tau))
    angles = [turn + math.tau * n / corners for n in range(corners)]
    return Polygon(tuple((0.5 + r * math.cos(a), 0.5 + r * math.sin(a)) for r, a in zip(reach, angles, strict=True)))


def test_a_box_knows_its_area_its_foot_and_its_centre():
    box = Box(0.2, 0.1, 0.6, 0.5)
    assert box.area == pytest.approx(0.16)
    assert box.foot == pytest.approx((0.4, 0.5))
    assert box.centre == pytest.approx((0.4, 0.3))


@pytest.mark.parametrize(
    "corners",
    [(0, 0, 1.01, 1), (-0.1, 0, 1, 1), (0, 0, math.nan, 1), (0, 0, math.inf, 1), (0.5, 0, 0.4, 1), (0, 1, 1, 0)],
)
def test_what_is_no_box_is_refused_with_what_was_found(corners):
    with pytest.raises(ValueError, match="box must be"):
        Box(*corners)


@pytest.mark.parametrize(
    ("other", "overlap", "covered"),
    [
        (Box(0.0, 0.0, 0.4, 0.4), 1.0, 1.0),
        (Box(0.2, 0.0, 0.6, 0.4), 1 / 3, 0.5),
        (Box(0.4, 0.0, 0.8, 0.4), 0.0, 0.0),  # they touch
        (Box(0.0, 0.0, 0.8, 0.8), 0.25, 1.0),
        (Box(0.1, 0.1, 0.2, 0.2), 1 / 16, 1 / 16),
        (Box(0.3, 0.3, 0.3, 0.3), 0.0, 0.0),
    ],
)
def test_overlap_and_cover_are_exact(other, overlap, covered):
    box = Box(0.0, 0.0, 0.4, 0.4)
    assert box.overlap(other) == pytest.approx(overlap)
    assert box.covered_by(other) == pytest.approx(covered)


def test_two_boxes_without_extent_overlap_in_nothing():
    assert Box(0.1, 0.1, 0.1, 0.1).overlap(Box(0.1, 0.1, 0.1, 0.1)) == 0


@given(boxes(), boxes())
def test_overlap_is_the_same_from_either_side_and_a_share(a, b):
    assert a.overlap(b) == pytest.approx(b.overlap(a))
    assert 0 <= a.overlap(b) <= 1 + 1e-9
    assert a.intersection(b) <= min(a.area, b.area) + 1e-9


@given(boxes(), boxes(), units)
def test_a_step_toward_another_box_is_a_box_between(a, b, step):
    between = a.toward(b, step=step)
    assert min(a.x1, b.x1) - 1e-9 <= between.x1 <= max(a.x1, b.x1) + 1e-9


def test_a_polygon_says_what_it_encloses():
    assert TRIANGLE.area == pytest.approx(0.5)
    assert HOUSE.area == pytest.approx(0.27)
    assert TRIANGLE.contains((0.2, 0.2))
    assert not TRIANGLE.contains((0.6, 0.6))
    assert not HOUSE.contains((0.5, 0.7)), "the notch is outside"


@pytest.mark.parametrize(
    ("points", "why"),
    [
        (((0, 0), (1, 1)), "at least 3 points"),
        (((0, 0), (1, 0), (2, 1)), "0..1"),
        (((0, 0), (0.5, 0.5), (1, 1)), "lie on a line"),
        (((0.1, 0.1), (0.9, 0.9), (0.9, 0.1), (0.1, 0.8)), "cross each other"),
    ],
)
def test_what_is_no_polygon_is_refused_with_the_reason(points, why):
    with pytest.raises(ValueError, match=why):
        Polygon(points)


@pytest.mark.parametrize(
    ("polygon", "box", "share"),
    [
        (TRIANGLE, Box(0.0, 0.0, 0.5, 0.5), 1.0),
        (TRIANGLE, Box(0.5, 0.5, 1.0, 1.0), 0.0),
        (TRIANGLE, Box(0.0, 0.0, 1.0, 1.0), 0.5),
        (TRIANGLE, Box(0.25, 0.25, 0.75, 0.75), 0.5),
        (HOUSE, Box(0.2, 0.5, 0.8, 0.8), 0.5),
        (WHOLE_VIEW, Box(0.3, 0.3, 0.4, 0.9), 1.0),
        (TRIANGLE, Box(0.1, 0.1, 0.1, 0.1), 1.0),
        (TRIANGLE, Box(0.9, 0.9, 0.9, 0.9), 0.0),
    ],
)
def test_the_share_of_a_box_in_a_zone_is_exact(polygon, box, share):
    assert polygon.share_inside(box) == pytest.approx(share, abs=1e-9)


@given(polygons(), boxes())
def test_the_share_of_a_box_in_a_zone_is_what_counting_points_gives(polygon, box):
    assume(box.area > 1e-3)
    steps = [(n + 0.5) / 40 for n in range(40)]
    points = [(box.x1 + (box.x2 - box.x1) * u, box.y1 + (box.y2 - box.y1) * v) for u in steps for v in steps]
    counted = sum(map(polygon.contains, points)) / len(points)
    assert polygon.share_inside(box) == pytest.approx(counted, abs=0.06)


def test_what_lies_over_a_zone_twice_is_counted_once():
    left, middle = Box(0.0, 0.0, 0.5, 1.0), Box(0.25, 0.0, 0.75, 1.0)
    assert WHOLE_VIEW.share_covered([left]) == pytest.approx(0.5, abs=0.02)
    assert WHOLE_VIEW.share_covered([left, middle]) == pytest.approx(0.75, abs=0.02)
    assert WHOLE_VIEW.share_covered([left, left]) == pytest.approx(0.5, abs=0.02)
    assert WHOLE_VIEW.share_covered([]) == 0
    assert HOUSE.share_covered([Box(0.0, 0.0, 1.0, 1.0)]) == 1


@given(polygons(), st.lists(boxes(), max_size=3))
def test_the_covered_share_of_a_zone_agrees_with_the_exact_share_of_one_box(polygon, covers):
    whole = polygon.share_covered(covers)
    assert 0 <= whole <= 1
    for box in covers:
        exact = polygon.share_inside(box) * box.area / polygon.area
        assert whole >= exact - 0.08


CORNERS = ((0.2, 0.4), (0.8, 0.4), (1.0, 1.0), (0.0, 1.0))
STREET = ((102.74100, 25.01430), (102.74120, 25.01430), (102.74120, 25.01415), (102.74100, 25.01415))


def test_the_surveyed_corners_of_a_zone_lie_where_they_were_surveyed():
    homography = Homography.fit(CORNERS, STREET)
    for corner, surveyed in zip(CORNERS, STREET, strict=True):
        assert metres_between(homography.ground(corner), surveyed) < 0.01


def test_what_looks_half_way_up_the_picture_is_nearer_than_half_way_down_the_street():
    homography = Homography.fit(CORNERS, STREET)
    half = homography.ground((0.5, 0.7))
    assert half[0] == pytest.approx(102.74110, abs=1e-7)
    depth = metres_between(half, (102.74110, 25.01415)) / metres_between(STREET[0], STREET[3])
    assert depth == pytest.approx(0.6 / (0.6 + 1.0)), "what is near takes more of the picture"


def test_a_fifth_corner_that_is_a_little_off_moves_the_rest_a_little():
    more, off = (*CORNERS, (0.5, 0.7)), Homography.fit(CORNERS, STREET).ground((0.5, 0.7))
    homography = Homography.fit(more, (*STREET, (off[0] + 1e-6, off[1])))
    for corner, surveyed in zip(CORNERS, STREET, strict=True):
        assert metres_between(homography.ground(corner), surveyed) < 0.3


@pytest.mark.parametrize(
    ("picture", "ground", "why"),
    [
        (CORNERS[:3], STREET[:3], "at least 4"),
        (CORNERS, STREET[:3], "at least 4"),
        (((0, 0), (0.1, 0.1), (0.5, 0.5), (1, 1)), STREET, "on a line"),
        (CORNERS, ((102.0, 25.0),) * 4, "on a line"),
    ],
)
def test_corners_that_survey_nothing_are_refused(picture, ground, why):
    with pytest.raises(ValueError, match=why):
        Homography.fit(picture, ground)


def test_a_degree_of_longitude_is_shorter_than_one_of_latitude():
    assert metres_between((102.0, 25.0), (102.0, 26.0)) == pytest.approx(111_195, abs=1)
    assert metres_between((102.0, 25.0), (103.0, 25.0)) == pytest.approx(111_195 * math.cos(math.radians(25)), abs=1)
    assert metres_between((102.0, 25.0), (102.0, 25.0)) == 0
