"""Coordinates as Chinese maps give them, brought back to EPSG:4326.

GCJ-02 (maps of Amap, Tencent, Google China) is WGS 84 shifted by some hundred metres; BD-09 (Baidu) is GCJ-02 shifted once more.
Neither is published by those who made it: the formulas are those that the open libraries eviltransform
(github.com/googollee/eviltransform) and coordtransform (github.com/wandergis/coordtransform) agree on; their test points are
ours. Outside China GCJ-02 is WGS 84.
"""

from __future__ import annotations

from enum import StrEnum
from math import atan2, cos, pi, sin, sqrt

from citybrain.domain.geometry import Point

_A = 6378245.0  # Krasovsky 1940, semi-major axis in metres
_EE = 0.00669342162296594323  # and its squared eccentricity
_BD = pi * 3000.0 / 180.0
_STEPS = 10  # each shrinks the error some thousandfold: below a centimetre after three


class Crs(StrEnum):
    WGS84 = "wgs84"
    GCJ02 = "gcj02"
    BD09 = "bd09"


def to_wgs84(point: Point, crs: Crs) -> Point:
    """(longitude, latitude) in EPSG:4326."""
    if crs is Crs.WGS84:
        return point
    return _gcj02_to_wgs84(_bd09_to_gcj02(point) if crs is Crs.BD09 else point)


def in_china(point: Point) -> bool:
    """Whether it lies in the rectangle around China within which GCJ-02 shifts."""
    lon, lat = point
    return 72.004 <= lon <= 137.8347 and 0.8293 <= lat <= 55.8271


def wgs84_to_gcj02(point: Point) -> Point:
    """The way there; the way back is found by trying."""
    if not in_china(point):
        return point
    lon, lat = point
    x, y = lon - 105.0, lat - 35.0
    wave = 20.0 * sin(6.0 * x * pi) + 20.0 * sin(2.0 * x * pi)
    north = -100.0 + 2.0 * x + 3.0 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * sqrt(abs(x))
    north += (wave + 20.0 * sin(y * pi) + 40.0 * sin(y / 3.0 * pi)) * 2.0 / 3.0
    north += (160.0 * sin(y / 12.0 * pi) + 320.0 * sin(y / 30.0 * pi)) * 2.0 / 3.0
    east = 300.0 + x + 2.0 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * sqrt(abs(x))
    east += (wave + 20.0 * sin(x * pi) + 40.0 * sin(x / 3.0 * pi)) * 2.0 / 3.0
    east += (150.0 * sin(x / 12.0 * pi) + 300.0 * sin(x / 30.0 * pi)) * 2.0 / 3.0
    along = lat / 180.0 * pi
    bend = 1 - _EE * sin(along) ** 2
    return (
        lon + east * 180.0 / (_A / sqrt(bend) * cos(along) * pi),
        lat + north * 180.0 / (_A * (1 - _EE) / (bend * sqrt(bend)) * pi),
    )


def _gcj02_to_wgs84(point: Point) -> Point:
    lon, lat = point
    for _ in range(_STEPS):
        shifted = wgs84_to_gcj02((lon, lat))
        lon, lat = lon + point[0] - shifted[0], lat + point[1] - shifted[1]
    return lon, lat


def _bd09_to_gcj02(point: Point) -> Point:
    x, y = point[0] - 0.0065, point[1] - 0.006
    far = sqrt(x * x + y * y) - 0.00002 * sin(y * _BD)
    turn = atan2(y, x) - 0.000003 * cos(x * _BD)
    return far * cos(turn), far * sin(turn)
