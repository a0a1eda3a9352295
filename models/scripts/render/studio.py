"""The camera over the street and the renders it makes: plates, masks, cut-outs with shadow, projected polygons."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import bpy
import cv2
import numpy as np
from materials import plain
from mathutils import Vector

WIDTH, HEIGHT = 640, 360
Array = np.ndarray


@dataclass(frozen=True)
class View:
    """A surveillance camera: where it hangs, where it looks, its lens' focal length on a 36 mm sensor."""

    place: tuple[float, float, float]
    target: tuple[float, float, float]
    lens: float = 28.0

    def matrix(self) -> Array:
        """3x4: metres in the world to pixels (homogeneous); the third row gives the distance along the axis."""
        forward = np.subtract(self.target, self.place).astype(float)
        forward /= np.linalg.norm(forward)
        right = np.cross(forward, (0, 0, 1))
        right /= np.linalg.norm(right)
        down = np.cross(forward, right)
        f = self.lens / 36.0 * WIDTH
        inner = np.array([[f, 0, WIDTH / 2], [0, f, HEIGHT / 2], [0, 0, 1]])
        turn = np.stack([right, down, forward])
        return inner @ np.hstack([turn, -turn @ np.array(self.place, float)[:, None]])


def new_scene(*, samples: int = 24, threads: int = 2) -> bpy.types.Scene:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = WIDTH, HEIGHT, 100
    scene.render.threads_mode, scene.render.threads = "FIXED", threads
    scene.render.use_persistent_data = True
    scene.render.image_settings.file_format = "PNG"
    scene.render.image_settings.compression = 0
    scene.view_settings.view_transform, scene.view_settings.look = "Filmic", "Medium High Contrast"
    scene.view_settings.exposure = 0.45
    cycles = scene.cycles
    cycles.samples, cycles.use_denoising, cycles.denoiser = samples, True, "OPENIMAGEDENOISE"
    cycles.use_adaptive_sampling, cycles.adaptive_threshold = True, 0.05
    cycles.max_bounces, cycles.diffuse_bounces, cycles.glossy_bounces = 4, 2, 2
    cycles.transmission_bounces = cycles.volume_bounces = 0
    cycles.caustics_reflective = cycles.caustics_refractive = False
    cycles.sample_clamp_indirect = 4.0
    return scene


def aim(view: View) -> None:
    scene = bpy.context.scene
    if scene.camera is None:
        scene.camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
        scene.collection.objects.link(scene.camera)
    scene.camera.location = view.place
    direction = Vector(view.target) - Vector(view.place)
    scene.camera.rotation_euler = direction.to_track_quat("-Z", "Y").to_euler()
    scene.camera.data.lens, scene.camera.data.sensor_width = view.lens, 36.0
    scene.camera.data.clip_end = 400


def shoot(
    path: Path, *, samples: int, transparent: bool = False, border: tuple[int, int, int, int] | None = None
) -> Array:
    """Renders to `path` (PNG) and reads it: BGR, or BGRA when transparent. `border` is x0, y0, x1, y1 in pixels."""
    scene = bpy.context.scene
    scene.cycles.samples = samples
    scene.render.film_transparent = transparent
    scene.render.image_settings.color_mode = "RGBA" if transparent else "RGB"
    scene.render.use_border = scene.render.use_crop_to_border = border is not None
    if border is not None:
        x0, y0, x1, y1 = border
        scene.render.border_min_x, scene.render.border_max_x = x0 / WIDTH, x1 / WIDTH
        scene.render.border_min_y, scene.render.border_max_y = 1 - y1 / HEIGHT, 1 - y0 / HEIGHT
    scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)
    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    path.unlink()
    return picture


def part_mask(part: Sequence[bpy.types.Object], path: Path) -> Array:
    """Where `part` is what the camera sees: 0..255."""
    others = [o for o in bpy.context.scene.objects if o.type == "MESH" and o not in part]
    for o in others:
        o.is_holdout = True
    denoise, bounces = bpy.context.scene.cycles.use_denoising, bpy.context.scene.cycles.max_bounces
    bpy.context.scene.cycles.use_denoising, bpy.context.scene.cycles.max_bounces = False, 0
    mask = shoot(path, samples=6, transparent=True)[:, :, 3]
    bpy.context.scene.cycles.use_denoising, bpy.context.scene.cycles.max_bounces = denoise, bounces
    for o in others:
        o.is_holdout = False
    return mask


class Stage:
    """The street hidden from the camera (things still mirror it), its ground catching shadows; for good."""

    def __init__(self, parts: dict[str, list[bpy.types.Object]], view: View, sun: tuple[float, float] | None) -> None:
        self._matrix, self._sun = view.matrix(), sun
        for o in parts["rest"]:  # seen in mirrors only: its shade is in the plate already
            o.visible_camera = o.visible_shadow = o.visible_diffuse = False
            o.hide_render = o.name.startswith("markings")
        matt = plain((0.2, 0.2, 0.2), rough=1.0, gloss=0.0)  # a mirror would catch reflections of the houses as shade
        for o in (*parts["road"], *parts["pavement"]):
            o.is_shadow_catcher = True
            o.data.materials.clear()
            o.data.materials.append(matt)

    def cut_out(
        self,
        thing: bpy.types.Object,
        at: tuple[float, float, float],
        path: Path,
        *,
        heading: float = 0.0,
        samples: int = 10,
    ) -> dict[str, object] | None:
        """Renders `thing` standing at `at`: BGRA `picture` at `corner` px, `box` px of the body, `depth` in metres."""
        thing.location, thing.rotation_euler = at, (0, 0, math.radians(heading))
        thing.hide_render = False
        bpy.context.view_layer.update()
        corners = np.array([v.co[:] for v in thing.data.vertices]) @ np.array(thing.matrix_world.to_3x3()).T + np.array(
            at
        )
        body = project(self._matrix, corners)
        if (body[:, 2] < 1.0).any():
            return None
        reach = [body]
        if self._sun is not None:
            elevation, azimuth = (math.radians(v) for v in self._sun)
            run = np.minimum(corners[:, 2:3], 2.6) / math.tan(max(elevation, 0.3))
            flat = corners + np.hstack([-run * math.sin(azimuth), -run * math.cos(azimuth), -corners[:, 2:3]])
            reach.append(project(self._matrix, flat))
        pixels = np.concatenate(reach)[:, :2]
        x0, y0 = np.floor(pixels.min(0) - 10).astype(int)
        x1, y1 = np.ceil(pixels.max(0) + 10).astype(int)
        x0, y0, x1, y1 = max(x0, 0), max(y0, 0), min(x1, WIDTH), min(y1, HEIGHT)
        if x1 - x0 < 8 or y1 - y0 < 8:
            thing.hide_render = True
            return None
        picture = shoot(path, samples=samples, transparent=True, border=(x0, y0, x1, y1))
        thing.hide_render = True
        picture = _without_haze(picture)
        seen = picture[:, :, 3] > 6
        if not seen.any():
            return None
        rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
        top, left = rows[0], columns[0]
        picture = picture[top : rows[-1] + 1, left : columns[-1] + 1]
        low, high = body[:, :2].min(0), body[:, :2].max(0)
        foot = project(self._matrix, np.array([at]))[0]
        return {
            "picture": picture,
            "corner": (int(x0 + left), int(y0 + top)),
            "box": (*low.tolist(), *high.tolist()),
            "foot": foot[:2].tolist(),
            "depth": float(foot[2]),
        }


def _without_haze(picture: Array) -> Array:
    """Takes away the faint shade that a thing casts on all ground around it, whose edge would show as a rectangle."""
    height, width = picture.shape[:2]
    rows, columns = (np.minimum(np.arange(n), np.arange(n)[::-1]) for n in (height, width))
    edge = np.minimum(rows[:, None], columns[None])
    alpha = picture[:, :, 3].astype(np.float32)
    clear = np.clip((alpha - 16) / (255 - 16), 0, 1) * 255
    shade = picture[:, :, :3].max(2) < 8
    clear = np.where(shade, clear * np.clip(edge / 6, 0, 1), clear)
    return np.dstack([picture[:, :, :3], clear.astype(np.uint8)])


def project(matrix: Array, points: Array) -> Array:
    """World points (n, 3) to (n, 3): x px, y px, distance."""
    seen = np.hstack([points, np.ones((len(points), 1))]) @ matrix.T
    return np.column_stack([seen[:, 0] / seen[:, 2], seen[:, 1] / seen[:, 2], seen[:, 2]])


def outline(matrix: Array, polygon: Sequence[tuple[float, float]], *, z: float = 0.0) -> list[list[float]]:
    """A polygon on the ground as the camera sees it, clipped to the picture, 0..1; empty when out of sight."""
    points = np.array([(x, y, z, 1.0) for x, y in polygon]) @ matrix.T
    points = _clip(points, lambda p: p[2] - 1.0)
    for side in (lambda p: p[0], lambda p: WIDTH * p[2] - p[0], lambda p: p[1], lambda p: HEIGHT * p[2] - p[1]):
        points = _clip(points, side)
    # Clipped to the picture, so a negative figure can only be a rounded zero.
    return [[round(abs(float(p[0] / p[2] / WIDTH)), 4), round(abs(float(p[1] / p[2] / HEIGHT)), 4)] for p in points]


def _clip(points: Sequence[Array], inside) -> list[Array]:  # type: ignore[no-untyped-def]
    out: list[Array] = []
    for a, b in zip(points, [*points[1:], *points[:1]], strict=True):
        da, db = inside(a), inside(b)
        if da >= 0:
            out.append(a)
        if (da >= 0) != (db >= 0):
            out.append(a + (b - a) * (da / (da - db)))
    return out
