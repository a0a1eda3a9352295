"""Measures a shipped model on held-out pictures and prints the figures that its card states.

    python models/scripts/evaluate.py --registry models/registry.yaml --tables train/*.csv --markdown

Per class and source: pictures (is it in the picture at all?), boxes (IoU 0.5, precision and recall at the operating
point, AP50), and for water how much of the area under the boxes is right. Intervals are 95 % bootstrap intervals over
pictures. Where people and vehicles were labelled by a COCO model the figures are agreement with it, not truth.

    python models/scripts/evaluate.py --registry models/registry.yaml --tables train/*.csv --compare

AP50 by class over all sources, of the 8-bit graphs beside the others, on the same pictures. The interval of the difference
is over resampled pictures, the same for both sides.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE / "dataset")]

import boxes  # noqa: E402 - scripts are run as files; their folder is put on the path first
import manifest  # noqa: E402
from city_head import CLASSES  # noqa: E402
from shipped import Found, ShippedModel  # noqa: E402

LEAST = 0.05
"""Confidence below which nothing is looked at, for AP too."""
RESAMPLES = 1000


class Looked(NamedTuple):
    """One held-out picture: where it is from, what is in it and what was found."""

    source: str
    truth: list[boxes.Box]
    found: list[Found]


def interval(pairs: Sequence[tuple[int, int]], *, seed: int = 1) -> tuple[float | None, float, float]:
    """Hits over tries, a pair for each picture, with the 95 % bootstrap interval; None when nothing was tried."""
    counts = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    hits, tries = counts.sum(axis=0).tolist()
    if not tries:
        return None, 0.0, 1.0
    drawn = np.random.default_rng(seed).integers(0, len(counts), (RESAMPLES, len(counts)))
    sums = counts[drawn].sum(axis=1)
    sums = sums[sums[:, 1] > 0]
    low, high = np.percentile(sums[:, 0] / sums[:, 1], (2.5, 97.5))
    return hits / tries, float(low), float(high)


def matched(truth: list[boxes.Box], found: list[Found], label: int, *, least_iou: float = 0.5) -> list[bool]:
    """For each finding of a class, best first, whether it meets a thing of that class that none before it met."""
    left = [box for box in truth if box.label == label]
    answers = []
    for one in sorted((item for item in found if item.label == label), key=lambda item: -item.confidence):
        box = boxes.Box(label, one.left, one.top, one.right, one.bottom)
        best = max(left, key=lambda other: boxes.iou(box, other), default=None)
        hit = best is not None and boxes.iou(box, best) >= least_iou
        if hit and best is not None:
            left.remove(best)
        answers.append(hit)
    return answers


def average_precision(looked: list[Looked], label: int) -> float | None:
    """AP50: the area under precision over recall, precision made monotone."""
    total = sum(box.label == label for look in looked for box in look.truth)
    if not total:
        return None
    scored = []
    for look in looked:
        own = sorted((item for item in look.found if item.label == label), key=lambda item: -item.confidence)
        scored += zip((item.confidence for item in own), matched(look.truth, own, label), strict=True)
    scored.sort(key=lambda pair: -pair[0])
    hits = np.cumsum([hit for _, hit in scored]) if scored else np.zeros(0)
    recall = np.concatenate([[0.0], hits / total])
    precision = np.concatenate([[1.0], hits / np.arange(1, len(scored) + 1)])
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(recall) * precision[1:]))


def covered(sides: Sequence[Sequence[float]], *, grid: int = 96) -> np.ndarray[Any, Any]:
    """The union of boxes (left, top, right, bottom; 0..1) on a coarse grid."""
    mask = np.zeros((grid, grid), bool)
    for left, top, right, bottom in sides:
        mask[round(top * grid) : round(bottom * grid), round(left * grid) : round(right * grid)] = True
    return mask


def area_agreement(look: Looked, label: int, confidence: float) -> tuple[int, int]:
    """Cells under both truth and findings, and under either."""
    truth = covered([box[1:] for box in look.truth if box.label == label])
    found = covered([item[2:] for item in look.found if item.label == label and item.confidence >= confidence])
    return int((truth & found).sum()), int((truth | found).sum())


def shown(figure: tuple[float | None, float, float]) -> str:
    """A figure with its interval, or a dash."""
    value, low, high = figure
    return "–" if value is None else f"{value:.2f} ({low:.2f}–{high:.2f})"


def rows(looked: list[Looked], confidence: float) -> list[list[str]]:
    """The table: a row for each source and class that its truth or the model names; the others were neither."""
    table = []
    for source in sorted({look.source for look in looked}):
        own = [look for look in looked if look.source == source]
        for label, name in enumerate(CLASSES):
            there = [any(box.label == label for box in look.truth) for look in own]
            said = [any(item.label == label and item.confidence >= confidence for item in look.found) for look in own]
            if not any(there) and not any(said):
                continue
            pairs = list(zip(there, said, strict=True))
            false_share = interval([(int(s), 1) for t, s in pairs if not t])
            hits = [matched(look.truth, [f for f in look.found if f.confidence >= confidence], label) for look in own]
            counts = [sum(box.label == label for box in look.truth) for look in own]
            area: tuple[float | None, float, float] = (None, 0.0, 1.0)
            if name == "water" and any(there):
                area = interval([area_agreement(look, label, confidence) for look in own])
            table.append(
                [
                    source,
                    name,
                    f"{sum(there)}/{len(own)}",
                    shown(interval([(int(s), 1) for t, s in pairs if t])),
                    shown(false_share),
                    shown(interval([(sum(h), len(h)) for h in hits])) if any(there) else "–",
                    shown(interval([(sum(h), c) for h, c in zip(hits, counts, strict=True)])),
                    "–" if (ap := average_precision(own, label)) is None else f"{ap:.2f}",
                    shown(area),
                ]
            )
    return table


def compared(looked: list[Looked], other: list[Looked], *, resamples: int = 200, seed: int = 1) -> list[list[str]]:
    """A row for each class, and one for their mean: AP50 of both sides, and what the second loses, in points."""
    present = [label for label in range(len(CLASSES)) if average_precision(looked, label) is not None]

    def of(pictures: Sequence[int], side: list[Looked]) -> dict[int, float]:
        own = [side[index] for index in pictures]
        return {label: ap for label in present if (ap := average_precision(own, label)) is not None}

    everything = range(len(looked))
    one, two = of(everything, looked), of(everything, other)
    drawn = np.random.default_rng(seed).integers(0, len(looked), (resamples, len(looked)))
    lost: list[dict[int, float]] = []
    for pictures in drawn.tolist():
        first, second = of(pictures, looked), of(pictures, other)
        lost.append({label: 100 * (first[label] - second[label]) for label in first})
    table = []
    for label in present:
        spread = np.percentile([each[label] for each in lost if label in each], (2.5, 97.5))
        table.append([CLASSES[label], *_beside(one[label], two[label], spread)])
    means = np.percentile([float(np.mean(list(each.values()))) for each in lost], (2.5, 97.5))
    table.append(["all", *_beside(float(np.mean(list(one.values()))), float(np.mean(list(two.values()))), means)])
    return table


def _beside(one: float, two: float, spread: np.ndarray[Any, Any]) -> list[str]:
    return [f"{one:.3f}", f"{two:.3f}", f"{100 * (one - two):.1f} ({spread[0]:.1f} to {spread[1]:.1f})"]


COMPARED = ("class", "AP50", "AP50 in 8 bits", "lost, points")
HEADINGS = (
    "source",
    "class",
    "pictures with it",
    "picture recall",
    "false share of pictures without it",
    "box precision",
    "box recall",
    "AP50",
    "water area IoU",
)


def main() -> int:
    """Print the table; 0 when there was something to measure, 1 when not."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--registry", type=Path, required=True)
    parser.add_argument("--tables", type=Path, nargs="+", required=True)
    parser.add_argument("--confidence", type=float, default=0.4, help="the operating point")
    parser.add_argument("--split", default="test", help="`train` only to choose an operating point")
    parser.add_argument("--sources", nargs="*", help="only these")
    parser.add_argument("--markdown", action="store_true", help="a table for the card")
    parser.add_argument("--compare", action="store_true", help="the 8-bit graphs beside the others")
    arguments = parser.parse_args()

    entries = [
        entry
        for entry in manifest.read(arguments.tables)
        if entry.split == arguments.split and (not arguments.sources or entry.source in arguments.sources)
    ]
    looked = _looked(ShippedModel(arguments.registry), entries)
    if not looked:
        print(
            f"no picture of the split {arguments.split!r} in {', '.join(map(str, arguments.tables))}", file=sys.stderr
        )
        return 1
    if arguments.compare:
        other = _looked(ShippedModel(arguments.registry, form="openvino_int8"), entries)
        table = [list(COMPARED), *compared(looked, other)]
    else:
        table = [list(HEADINGS), *rows(looked, arguments.confidence)]
    if arguments.markdown:
        table.insert(1, ["---"] * len(table[0]))
        print("\n".join(f"| {' | '.join(row)} |" for row in table))
    else:
        widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
        print("\n".join("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) for row in table))
    return 0


def _looked(model: ShippedModel, entries: Sequence[manifest.Entry]) -> list[Looked]:
    """What the model finds in every picture that can be read."""
    looked = []
    for entry in entries:
        picture = cv2.imread(str(entry.picture))
        if picture is not None:
            looked.append(Looked(entry.source, boxes.read(entry.labels), model.find(picture, confidence=LEAST)))
    return looked


if __name__ == "__main__":
    sys.exit(main())
