"""Knows which pictures look alike, so that near-duplicates are dropped and never stand on both sides of a split."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Sequence
from typing import Any

import cv2
import numpy as np

DUPLICATE = 5
"""Bits of 64 that two pictures may differ in and still be the same one."""
SAME_VIEW = 12
"""Bits of 64 within which two pictures are taken to show the same place, and go into the same split."""


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


def without_duplicates(hashes: Sequence[int]) -> list[int]:
    """Indices of the pictures to keep: the first of each set of near-duplicates."""
    kept: list[int] = []
    for index, code in enumerate(hashes):
        if all(distance(code, hashes[other]) > DUPLICATE for other in kept):
            kept.append(index)
    return kept


def views(hashes: Sequence[int]) -> list[int]:
    """For each picture the index of the first one of its view; views are linked by likeness, also through others."""
    parent = list(range(len(hashes)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    for one in range(len(hashes)):
        for other in range(one):
            if distance(hashes[one], hashes[other]) <= SAME_VIEW:
                low, high = sorted((root(one), root(other)))
                parent[high] = low
    return [root(index) for index in range(len(hashes))]


def held_out(key: Hashable, *, share: float) -> bool:
    """Whether the group `key` belongs to the held-out split: the same answer on every machine, for ever."""
    digest = hashlib.sha256(str(key).encode()).digest()
    return int.from_bytes(digest[:4], "big") / 2**32 < share
