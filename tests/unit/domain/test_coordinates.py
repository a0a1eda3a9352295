"""Chinese map coordinates: the points by which the open libraries are tested come out where they say, and the way back is exact."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citybrain.domain.coordinates import Crs, in_china, to_wgs84, wgs84_to_gcj02
from citybrain.domain.geometry import metres_between

# eviltransform's own test points: (latitude, longitude) WGS 84, then GCJ-02
POINTS = [
    ((31.1774276, 121.5272106), (31.17530398364597, 121.531541859215)),  # Shanghai
    ((22.543847, 113.912316), (22.540796131694766, 113.9171764808363)),  # Shenzhen
    ((39.911954, 116.377817), (39.91334545536069, 116.38404722455657)),  # Beijing
]


@pytest.mark.parametrize(("wgs", "gcj"), POINTS)
def test_a_published_point_is_shifted_as_published(wgs, gcj):
    assert wgs84_to_gcj02(wgs[::-1]) == pytest.approx(gcj[::-1], abs=1e-9)
    assert metres_between(to_wgs84(gcj[::-1], Crs.GCJ02), wgs[::-1]) < 0.01


def test_a_baidu_point_becomes_what_coordtransform_says():
    # bd09togcj02(116.404, 39.915) = [116.39762729119315, 39.90865673957631]
    through_gcj = to_wgs84((116.39762729119315, 39.90865673957631), Crs.GCJ02)
    assert metres_between(to_wgs84((116.404, 39.915), Crs.BD09), through_gcj) < 0.01


@given(st.floats(74, 134), st.floats(4, 53))
def test_the_way_back_is_exact_wherever_a_camera_may_stand(lon, lat):
    assert metres_between(to_wgs84(wgs84_to_gcj02((lon, lat)), Crs.GCJ02), (lon, lat)) < 0.01


def test_outside_china_nothing_is_shifted():
    assert not in_china((2.35, 48.85))
    assert to_wgs84((2.35, 48.85), Crs.GCJ02) == (2.35, 48.85)
    assert to_wgs84((102.7, 25.0), Crs.WGS84) == (102.7, 25.0)
