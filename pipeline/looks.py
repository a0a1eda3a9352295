"""Whether two small pictures of a thing show the same thing, whatever the light."""

from __future__ import annotations

import math


def likeness(a: bytes, b: bytes) -> float:
    """Zero-mean normalised cross-correlation of two luma thumbnails, -1..1; gain and offset of the light cancel out.

    A flat picture is like nothing: 0. (Lewis, Fast Normalized Cross-Correlation, 1995, eq. 2.)
    """
    size = len(a)
    mean_a, mean_b = sum(a) / size, sum(b) / size
    product = square_a = square_b = 0.0
    for x, y in zip(a, b, strict=True):
        dx, dy = x - mean_a, y - mean_b
        product += dx * dy
        square_a += dx * dx
        square_b += dy * dy
    if square_a < size or square_b < size:  # less than one grey level of contrast
        return 0.0
    return product / math.sqrt(square_a * square_b)
