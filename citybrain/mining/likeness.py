"""Which pictures look alike, and on which side of a split somebody belongs: the same answers on every machine, for ever."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable
from typing import Any

import cv2
import numpy as np

DUPLICATE = 5
"""Bits of 64 that two pictures may differ in and still be the same one."""


def perceptual_hash(picture: np.ndarray[Any, Any]) -> int:
    """64 bits of a picture's coarse structure (pHash: signs of the lowest 8×8 cosine terms against their median)."""
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY) if picture.ndim == 3 else picture
    small = cv2.resize(grey, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32)
    low = cv2.dct(small)[:8, :8].flatten()
    bits = low > np.median(low[1:])
    return int("".join("1" if bit else "0" for bit in bits), 2)


def distance(one: int, other: int) -> int:
    """Bits in which two hashes differ."""
    return (one ^ other).bit_count()


def held_out(key: Hashable, *, share: float) -> bool:
    """Whether the group `key` belongs to the held-out split: the same answer on every machine, for ever."""
    digest = hashlib.sha256(str(key).encode()).digest()
    return int.from_bytes(digest[:4], "big") / 2**32 < share
