"""Mesh building without operators: one Shape collects primitives and becomes one object with several materials."""

import math
from collections.abc import Sequence

import bpy

Point = tuple[float, float, float]
Material = bpy.types.Material


class Shape:
    """Primitives in metres, z up; `build` makes the object. Smooth faces own their vertices, so edges stay crisp."""

    def __init__(self) -> None:
        self._points: list[Point] = []
        self._faces: list[tuple[list[int], int, bool]] = []
        self._materials: list[Material] = []

    def _slot(self, material: Material) -> int:
        if material not in self._materials:
            self._materials.append(material)
        return self._materials.index(material)

    def face(self, corners: Sequence[Point], material: Material) -> None:
        start = len(self._points)
        self._points.extend(corners)
        self._faces.append((list(range(start, start + len(corners))), self._slot(material), False))

    def loft(
        self,
        rings: Sequence[Sequence[Point]],
        material: Material | list[list[Material]],
        *,
        caps: bool = True,
        smooth: bool = True,
        cap_material: Material | None = None,
    ) -> None:
        """Joins rings of equal length; `material` may name one for each interval and segment."""
        sides = len(rings[0])
        start = len(self._points)
        for ring in rings:
            self._points.extend(ring)
        for i in range(len(rings) - 1):
            for j in range(sides):
                a, b = start + i * sides + j, start + i * sides + (j + 1) % sides
                chosen = material[i][j] if isinstance(material, list) else material
                self._faces.append(([a, b, b + sides, a + sides], self._slot(chosen), smooth))
        if caps:
            last = material[0][0] if isinstance(material, list) else material
            self.face(list(reversed(rings[0])), cap_material or last)
            self.face(list(rings[-1]), cap_material or last)

    def box(self, size: Point, at: Point, material: Material) -> None:
        """A box standing on `at` (the centre of its underside)."""
        w, d, h = size[0] / 2, size[1] / 2, size[2]
        x, y, z = at
        low = [(x - w, y - d, z), (x + w, y - d, z), (x + w, y + d, z), (x - w, y + d, z)]
        self.loft([low, [(a, b, z + h) for a, b, _ in low]], material, smooth=False)

    def rounded_box(self, size: Point, at: Point, material: Material, *, radius: float = 0.1) -> None:
        """A box standing on `at` with rounded vertical edges and a rounded rim."""
        rings = []
        steps = [(0.0, 0.6), (radius * 0.5, 0.1), (radius, 0.0)]
        levels = [*steps, *[(size[2] - z, inset) for z, inset in reversed(steps)]]
        for z, inset in levels:
            w, d, r = size[0] / 2 - inset * radius, size[1] / 2 - inset * radius, radius
            ring = []
            for cx, cy, turn in ((w - r, d - r, 0), (-w + r, d - r, 1), (-w + r, -d + r, 2), (w - r, -d + r, 3)):
                for k in range(4):
                    a = (turn + k / 3) * math.pi / 2
                    ring.append((at[0] + cx + r * math.cos(a), at[1] + cy + r * math.sin(a), at[2] + z))
            rings.append(ring)
        self.loft(rings, material)

    def tube(
        self, a: Point, b: Point, radius: float, material: Material, *, end: float | None = None, sides: int = 14
    ) -> None:
        """A cylinder or cone from `a` to `b`."""
        axis = [b[i] - a[i] for i in range(3)]
        length = math.sqrt(sum(v * v for v in axis)) or 1e-6
        axis = [v / length for v in axis]
        other = (0.0, 0.0, 1.0) if abs(axis[2]) < 0.9 else (1.0, 0.0, 0.0)
        u = _cross(axis, other)
        v = _cross(axis, u)
        rings = []
        for centre, r in ((a, radius), (b, radius if end is None else end)):
            rings.append(
                [
                    tuple(centre[i] + r * (math.cos(t) * u[i] + math.sin(t) * v[i]) for i in range(3))
                    for t in (2 * math.pi * k / sides for k in range(sides))
                ]
            )
        self.loft(rings, material)

    def ball(self, at: Point, radius: Point | float, material: Material, *, rows: int = 7, sides: int = 12) -> None:
        r = (radius, radius, radius) if isinstance(radius, int | float) else radius
        rings = []
        for i in range(rows + 1):
            polar = math.pi * min(max(i / rows, 0.01), 0.99)
            rings.append(
                [
                    (
                        at[0] + r[0] * math.sin(polar) * math.cos(t),
                        at[1] + r[1] * math.sin(polar) * math.sin(t),
                        at[2] - r[2] * math.cos(polar),
                    )
                    for t in (2 * math.pi * k / sides for k in range(sides))
                ]
            )
        self.loft(rings, material)

    def build(self, name: str) -> bpy.types.Object:
        mesh = bpy.data.meshes.new(name)
        mesh.from_pydata(self._points, [], [face for face, _, _ in self._faces])
        for material in self._materials:
            mesh.materials.append(material)
        mesh.polygons.foreach_set("material_index", [slot for _, slot, _ in self._faces])
        mesh.polygons.foreach_set("use_smooth", [smooth for _, _, smooth in self._faces])
        mesh.update()
        thing = bpy.data.objects.new(name, mesh)
        bpy.context.scene.collection.objects.link(thing)
        return thing


def _cross(a: Sequence[float], b: Sequence[float]) -> list[float]:
    c = [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
    length = math.sqrt(sum(v * v for v in c)) or 1e-6
    return [v / length for v in c]
