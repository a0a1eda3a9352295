"""Standing water on a street: the flooded picture and, for each pixel of the water, how early it is covered."""

from pathlib import Path

import bpy
import numpy as np
from materials import Colour, flood_water
from shapes import Shape
from street import FAR, NEAR, Street
from studio import HEIGHT, WIDTH, Array, part_mask, shoot


def flood(
    street: Street,
    matrix: Array,
    scratch: Path,
    *,
    samples: int,
    reach: tuple[float, float],
    level: float = 0.09,
    colour: Colour = (0.10, 0.075, 0.05),
) -> tuple[Array, Array, Array]:
    """Floods the built street between the y of `reach`; answers picture, mask 0..255 and rise 0..255 (0 floods first).

    The rise follows the road: its crown is covered last, its gutters first, broken up by the unevenness of the ground.
    """
    shape = Shape()
    half = street.half + (0 if level < 0.14 else 6)
    shape.face(
        [(-half, NEAR, level), (half, NEAR, level), (half, FAR, level), (-half, FAR, level)],
        flood_water(colour, seed=street.seed % 17),
    )
    water = shape.build("water")
    picture = shoot(scratch, samples=samples)
    mask = part_mask([water], scratch)
    bpy.data.objects.remove(water)
    rise = _rise(street, matrix, reach)
    mask = (mask * (rise < 1)).astype(np.uint8)
    return picture, mask, (np.clip(rise, 0, 1) * 255).astype(np.uint8)


def _rise(street: Street, matrix: Array, reach: tuple[float, float]) -> Array:
    ground = np.linalg.inv(matrix[:, [0, 1, 3]])
    columns, rows = np.meshgrid(np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5)
    seen = np.stack([columns, rows, np.ones_like(rows)], -1) @ ground.T
    x, y = seen[..., 0] / seen[..., 2], seen[..., 1] / seen[..., 2]
    across = 1 - np.clip(np.abs(x) / street.half, 0, 1) ** 2
    middle, length = sum(reach) / 2, (reach[1] - reach[0]) / 2
    along = np.clip(np.abs(y - middle) / length, 0, 3) ** 2
    phases = np.random.default_rng(street.seed).uniform(0, 6.28, 6)
    uneven = (
        sum(
            np.sin(x * f + phases[i]) * np.sin(y * g + phases[i + 3])
            for i, (f, g) in enumerate(((0.9, 0.5), (1.7, 1.1), (3.1, 2.3)))
        )
        / 3
    )
    behind = (matrix[2, 0] * x + matrix[2, 1] * y + matrix[2, 3]) < 1
    return np.where(behind, 9.0, 0.35 * across + 0.5 * along + 0.14 * uneven + 0.1)
