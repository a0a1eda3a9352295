"""Whether the gate was right: of the looks that it would skip a few run through the detector all the same.

What the detector then sees is held against what the skipped look would have repeated. A thing that is surely there and
was not, or was surely there and is not, is a miss. How long one lasts is bounded by `reaffirm_for`; how often one
happens is counted.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Sequence

from citybrain.domain.detection import Detection

ONE_IN = 32
"""One skipped look in so many is audited: some 3 % of what the gate saves."""

SURE = 0.5
"""Confidence at which a thing counts: what comes and goes at the detector's threshold is no fault of the gate's."""

_SAME = 0.3  # overlap of boxes that show one thing


def is_audited(camera: str, seq: int, *, one_in: int = ONE_IN) -> bool:
    """Drawn by camera and look, so that a recording that is replayed audits the same looks again."""
    return zlib.crc32(f"{camera} {seq}".encode()) % one_in == 0


def is_miss(repeated: Sequence[Detection], seen: Sequence[Detection], labels: Collection[str]) -> bool:
    """Whether a look that repeats what was seen before would have hidden something of these labels come or gone."""
    return _unmatched(seen, repeated, labels) or _unmatched(repeated, seen, labels)


def _unmatched(sure: Sequence[Detection], others: Sequence[Detection], labels: Collection[str]) -> bool:
    return any(
        each.label in labels
        and each.confidence >= SURE
        and not any(other.label in labels and other.box.overlap(each.box) >= _SAME for other in others)
        for each in sure
    )
