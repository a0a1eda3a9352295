"""Where a report is kept: with the nearest camera that looks at such things, else in its cell, else in its square."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citybrain.domain.camera import VIEW, Camera, Text, Zone, ZoneKind
from citybrain.domain.geometry import Homography, Polygon, metres_between, metres_to_area
from citybrain.domain.locality import Kept, kept_at, locality_of, spot_of

HERE = (102.7, 25.0)
METRE = 1 / 111_195
SQUARE = Polygon(((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)))


def at(east: float, north: float):
    return HERE[0] + east * METRE / 0.9063, HERE[1] + north * METRE  # cos 25°


def camera(id="gd-1", *, where=HERE, cell="530111001001003", surveyed_at=None, place=None):
    ground = None
    if surveyed_at is not None:
        east, north = surveyed_at
        corners = [at(east, north + 20), at(east + 20, north + 20), at(east + 20, north), at(east, north)]
        ground = Homography.fit(SQUARE.points, corners)
    return Camera(id, Text("路", "road"), where, cell, (Zone("road", ZoneKind.ROADWAY, SQUARE, place, ground),))


def kept(location, *cameras, cell=None, kind=ZoneKind.ROADWAY, reach_m=50):
    return kept_at(location, cell, cameras=cameras, kind=kind, reach_m=reach_m)


def test_a_zones_locality_is_its_place_else_the_cell_else_the_camera():
    shared = camera(place="square")
    assert locality_of(shared, shared.zones[0]) == "place:square"
    assert locality_of(shared, VIEW) == "cell:530111001001003"
    assert locality_of(camera(cell=None), VIEW) == "camera:gd-1"


def test_a_report_near_a_camera_is_kept_where_the_camera_keeps_its_own():
    assert kept(at(30, 0), camera()) == Kept("cell:530111001001003", "530111001001003")
    assert kept(at(30, 0), camera(place="square")) == Kept("place:square", "530111001001003")


def test_a_cell_that_the_report_names_is_its_cell_although_the_nearest_camera_keeps_it_elsewhere():
    assert kept(at(30, 0), camera(), cell="530111001001004") == Kept("cell:530111001001003", "530111001001004")


def test_of_two_cameras_the_nearer_counts_and_what_they_see_counts_for_more_than_where_they_stand():
    far = camera("gd-2", where=at(0, 400), cell="530111001001009", surveyed_at=(10, -10))
    assert kept(at(15, 0), camera(), far).locality == "cell:530111001001009"
    assert kept(at(-15, 0), camera(), far).locality == "cell:530111001001003"


def test_a_camera_that_does_not_look_at_such_things_keeps_nothing_of_them():
    assert kept(at(5, 0), camera(), kind=ZoneKind.PAVEMENT, cell="1").locality == "cell:1"
    assert kept(at(5, 0), camera(place="square"), kind=ZoneKind.ANY).locality == "cell:530111001001003"


def test_out_of_reach_it_is_kept_in_its_cell_or_else_in_its_square():
    assert kept(at(60, 0), camera(), cell="530111001001004") == Kept("cell:530111001001004", "530111001001004")
    assert kept((102.70149, 25.00049), camera(where=None)) == Kept("spot:102.701,25.000", None)
    assert kept(None, camera(), cell="530111001001004").locality == "cell:530111001001004"


def test_a_report_from_nowhere_is_none():
    with pytest.raises(ValueError, match="expected a location or a grid cell"):
        kept(None, camera())


def test_a_camera_looks_at_the_middle_of_its_surveyed_zone_or_around_itself():
    assert spot_of(camera(), ZoneKind.ROADWAY) == HERE
    middle = spot_of(camera(surveyed_at=(100, 0)), ZoneKind.ROADWAY)
    assert middle is not None
    assert metres_between(middle, at(110, 10)) < 0.1


@given(st.floats(-100, 100), st.floats(-100, 100))
def test_the_distance_to_an_area_is_none_within_and_that_to_its_edge_outside(east, north):
    corners = [at(-20, -10), at(20, -10), at(20, 10), at(-20, 10)]
    beside = max(0.0, abs(east) - 20), max(0.0, abs(north) - 10)
    assert metres_to_area(at(east, north), corners) == pytest.approx((beside[0] ** 2 + beside[1] ** 2) ** 0.5, abs=0.2)
