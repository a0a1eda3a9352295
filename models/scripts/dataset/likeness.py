"""Knows which pictures look alike, so that near-duplicates are dropped and never stand on both sides of a split."""

from __future__ import annotations

from collections.abc import Sequence

from citybrain.mining.likeness import DUPLICATE, distance, held_out, perceptual_hash

__all__ = ["DUPLICATE", "SAME_VIEW", "distance", "held_out", "perceptual_hash", "views", "without_duplicates"]

SAME_VIEW = 12
"""Bits of 64 within which two pictures are taken to show the same place, and go into the same split."""


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
