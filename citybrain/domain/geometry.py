"""Boxes and polygons in a picture, all coordinates 0..1 from the top left corner, and the step from picture to ground."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Point = tuple[float, float]

_GRID = 48  # cells a side when a polygon is sampled; the share of a zone is then right to about 1 %
_EARTH_RADIUS_M = 6_371_008.8  # the mean radius R1 of the IUGG
_METRES_PER_DEGREE = math.radians(_EARTH_RADIUS_M)


@dataclass(frozen=True, slots=True)
class Box:
    """An axis-aligned box: left, top, right, bottom, each 0..1. Raises ValueError when it is not one."""

    x1: float
    y1: float
    x2: float
    y2: float

    def __post_init__(self) -> None:
        for value in (self.x1, self.y1, self.x2, self.y2):
            if not (math.isfinite(value) and 0.0 <= value <= 1.0):
                raise ValueError(f"box must be 0..1, got {value}")
        if self.x2 < self.x1 or self.y2 < self.y1:
            raise ValueError(f"box must be left, top, right, bottom, got {[self.x1, self.y1, self.x2, self.y2]}")

    @property
    def area(self) -> float:
        return (self.x2 - self.x1) * (self.y2 - self.y1)

    @property
    def foot(self) -> Point:
        """The middle of the lower edge: where a thing touches the ground."""
        return ((self.x1 + self.x2) / 2, self.y2)

    @property
    def centre(self) -> Point:
        return ((self.x1 + self.x2) / 2, (self.y1 + self.y2) / 2)

    def intersection(self, other: Box) -> float:
        """The area two boxes share."""
        width = min(self.x2, other.x2) - max(self.x1, other.x1)
        height = min(self.y2, other.y2) - max(self.y1, other.y1)
        return width * height if width > 0 and height > 0 else 0.0

    def overlap(self, other: Box) -> float:
        """Intersection over union, 0..1."""
        shared = self.intersection(other)
        union = self.area + other.area - shared
        return shared / union if union > 0 else 0.0

    def covered_by(self, other: Box) -> float:
        """The share of this box that the other one hides, 0..1."""
        return self.intersection(other) / self.area if self.area > 0 else 0.0

    def toward(self, other: Box, *, step: float) -> Box:
        """This box moved a step (0..1) of the way to the other."""
        return Box(
            self.x1 + (other.x1 - self.x1) * step,
            self.y1 + (other.y1 - self.y1) * step,
            self.x2 + (other.x2 - self.x2) * step,
            self.y2 + (other.y2 - self.y2) * step,
        )

    def as_list(self) -> list[float]:
        return [round(value, 4) for value in (self.x1, self.y1, self.x2, self.y2)]


@dataclass(frozen=True, slots=True)
class Polygon:
    """A simple polygon of at least three points. Raises ValueError when it is not one."""

    points: tuple[Point, ...]

    def __post_init__(self) -> None:
        if len(self.points) < 3:
            raise ValueError(f"a polygon needs at least 3 points, got {len(self.points)}")
        for x, y in self.points:
            if not (0.0 <= x <= 1.0 and 0.0 <= y <= 1.0):
                raise ValueError(f"a polygon's points must be 0..1, got {[x, y]}")
        if self.area < 1e-5:
            raise ValueError("a polygon must enclose something; its points lie on a line")
        if _crosses_itself(self.points):
            raise ValueError("a polygon's edges must not cross each other")

    @property
    def area(self) -> float:
        """Enclosed area by the shoelace formula."""
        return abs(sum(_cross(a, b) for a, b in _edges(self.points))) / 2

    def contains(self, point: Point) -> bool:
        """Whether the point lies inside, by the even-odd rule."""
        x, y = point
        inside = False
        for (ax, ay), (bx, by) in _edges(self.points):
            if (ay > y) != (by > y) and x < (bx - ax) * (y - ay) / (by - ay) + ax:
                inside = not inside
        return inside

    def share_inside(self, box: Box) -> float:
        """The share of the box that lies inside the polygon, 0..1: exact, by clipping the polygon to the box."""
        if box.area <= 0:
            return 1.0 if self.contains(box.centre) else 0.0
        return min(1.0, _clipped_area(self.points, box) / box.area)

    def share_covered(self, boxes: Iterable[Box]) -> float:
        """The share of the polygon that the union of the boxes covers, 0..1: of one box exactly, of several to about 1 %."""
        covers = [box for box in boxes if box.area > 0]
        if not covers:
            return 0.0
        if len(covers) == 1:  # by far the most common, and some hundred times quicker
            return min(1.0, _clipped_area(self.points, covers[0]) / self.area)
        cells = self._cells()
        hit = sum(1 for x, y in cells if any(b.x1 <= x <= b.x2 and b.y1 <= y <= b.y2 for b in covers))
        return hit / len(cells)

    def _cells(self) -> list[Point]:
        xs, ys = [p[0] for p in self.points], [p[1] for p in self.points]
        left, top = min(xs), min(ys)
        width, height = max(xs) - left, max(ys) - top
        grid = [
            (left + (column + 0.5) / _GRID * width, top + (row + 0.5) / _GRID * height)
            for row in range(_GRID)
            for column in range(_GRID)
        ]
        return [point for point in grid if self.contains(point)] or [self.points[0]]


@dataclass(frozen=True, slots=True)
class Homography:
    """Maps a picture point on the ground plane to (longitude, latitude); row-major 3×3, last entry 1.

    Hartley & Zisserman, Multiple View Geometry, §4.1: the direct linear transform of four or more pairs.
    """

    rows: tuple[float, ...]

    def ground(self, point: Point) -> Point:
        h = self.rows
        x, y = point
        w = h[6] * x + h[7] * y + h[8]
        return ((h[0] * x + h[1] * y + h[2]) / w, (h[3] * x + h[4] * y + h[5]) / w)

    @classmethod
    def fit(cls, picture: Sequence[Point], ground: Sequence[Point]) -> Homography:
        """The homography that takes each picture point to its ground point, by least squares.

        Raises ValueError for fewer than four pairs, or when they lie on a line.
        """
        if len(picture) != len(ground) or len(picture) < 4:
            raise ValueError(f"needs at least 4 pairs of points, got {len(picture)} and {len(ground)}")
        # Degrees are tiny numbers with large offsets: solve around the first point, scaled, or the system is singular.
        lon, lat = ground[0]
        scale = 1e5
        rows: list[list[float]] = []
        right: list[float] = []
        for (x, y), (gx, gy) in zip(picture, ground, strict=True):
            u, v = (gx - lon) * scale, (gy - lat) * scale
            rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
            right += [u, v]
        h = [*_least_squares(rows, right), 1.0]
        for index in range(3):
            h[index] = h[index] / scale + lon * h[6 + index]
            h[3 + index] = h[3 + index] / scale + lat * h[6 + index]
        return cls(tuple(h))


def metres_between(a: Point, b: Point) -> float:
    """Distance of two (longitude, latitude) points in metres, equirectangular; exact enough below some kilometres."""
    mean = math.radians((a[1] + b[1]) / 2)
    east = math.radians(b[0] - a[0]) * math.cos(mean)
    north = math.radians(b[1] - a[1])
    return _EARTH_RADIUS_M * math.hypot(east, north)


def metres_to_area(location: Point, corners: Sequence[Point]) -> float:
    """How far a (longitude, latitude) lies from the area that the corners enclose in metres; 0 inside of it."""
    # The street seen from the location: metres east and north of it, so that it is the origin itself.
    east = math.cos(math.radians(location[1])) * _METRES_PER_DEGREE
    around = [((lon - location[0]) * east, (lat - location[1]) * _METRES_PER_DEGREE) for lon, lat in corners]
    edges = _edges(around)
    crossings = sum((ay > 0) != (by > 0) and (bx - ax) * -ay / (by - ay) + ax > 0 for (ax, ay), (bx, by) in edges)
    return 0.0 if crossings % 2 else min(_from_origin(a, b) for a, b in edges)


def _from_origin(a: Point, b: Point) -> float:
    along = (b[0] - a[0], b[1] - a[1])
    length = along[0] ** 2 + along[1] ** 2
    step = min(1.0, max(0.0, -(a[0] * along[0] + a[1] * along[1]) / length)) if length else 0.0
    return math.hypot(a[0] + step * along[0], a[1] + step * along[1])


def _edges(points: Sequence[Point]) -> list[tuple[Point, Point]]:
    return list(zip(points, [*points[1:], points[0]], strict=True))


def _cross(a: Point, b: Point) -> float:
    return a[0] * b[1] - a[1] * b[0]


def _turn(a: Point, b: Point, c: Point) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _crosses_itself(points: Sequence[Point]) -> bool:
    edges = _edges(points)
    for i, (a, b) in enumerate(edges):
        for c, d in edges[i + 1 :]:
            if len({a, b, c, d}) == 4 and _turn(a, b, c) * _turn(a, b, d) < 0 and _turn(c, d, a) * _turn(c, d, b) < 0:
                return True
    return False


def _clipped_area(points: Sequence[Point], box: Box) -> float:
    """Sutherland-Hodgman: the polygon clipped to the box, then its area."""
    clipped = list(points)
    for axis, bound, keep_above in ((0, box.x1, True), (0, box.x2, False), (1, box.y1, True), (1, box.y2, False)):
        if not clipped:
            return 0.0
        kept: list[Point] = []
        for a, b in _edges(clipped):
            a_in = a[axis] >= bound if keep_above else a[axis] <= bound
            b_in = b[axis] >= bound if keep_above else b[axis] <= bound
            if a_in:
                kept.append(a)
            if a_in != b_in:
                t = (bound - a[axis]) / (b[axis] - a[axis])
                kept.append((a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1])))
        clipped = kept
    return abs(sum(_cross(a, b) for a, b in _edges(clipped))) / 2 if len(clipped) >= 3 else 0.0


def _least_squares(rows: list[list[float]], right: list[float]) -> list[float]:
    """Solve the normal equations by Gaussian elimination with pivoting; eight unknowns, so no library is called for."""
    size = len(rows[0])
    matrix = [
        [sum(row[i] * row[j] for row in rows) for j in range(size)]
        + [sum(row[i] * value for row, value in zip(rows, right, strict=True))]
        for i in range(size)
    ]
    for column in range(size):
        pivot = max(range(column, size), key=lambda r: abs(matrix[r][column]))
        if abs(matrix[pivot][column]) < 1e-12:
            raise ValueError("the points lie on a line; give four corners of an area")
        matrix[column], matrix[pivot] = matrix[pivot], matrix[column]
        for r in range(size):
            if r != column:
                factor = matrix[r][column] / matrix[column][column]
                matrix[r] = [value - factor * top for value, top in zip(matrix[r], matrix[column], strict=True)]
    return [matrix[i][size] / matrix[i][i] for i in range(size)]


WHOLE_VIEW = Polygon(((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)))
