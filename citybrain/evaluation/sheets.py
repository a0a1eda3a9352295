"""Contact sheets: pictures in which something was missed or told falsely, what is there and what was told drawn on them.

A sheet is one SVG with the pictures in it, made small: it can be looked at and passed on without anything else. Whoever may
not see the pictures may not see a sheet.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import cv2

from citybrain.domain.geometry import Box
from citybrain.evaluation.frames import Measured
from citybrain.evaluation.matching import Outcome, Question

MOST = 24
"""Pictures on a sheet."""
_WIDE, _HIGH, _CAPTION, _GAP, _COLUMNS = 320, 240, 34, 8, 4
_QUALITY = 74

_HALO = ' stroke="#0f172a" stroke-width="2.5" paint-order="stroke" font-weight="600"'

MISSED, FALSE, FOUND, TOLD, IGNORED = "#f59e0b", "#dc2626", "#22c55e", "#38bdf8", "#cbd5e1"
"""There and not found; told and not there; there and found; told rightly; where nothing is judged."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """`svg` shows the worst of `of` pictures; there is none where nothing went wrong."""

    svg: str
    shown: int
    of: int


def missed(measured: Measured, question: Question) -> Sheet | None:
    """Pictures with it in which it is not told at all, then those in which most things were missed."""
    outcomes = measured.counted_outcomes(question)
    wrong = [
        ((bool(each.matches), -len(each.missed), measured.pictures[index].name), index)
        for index, each in enumerate(outcomes)
        if each.there and (not each.matches or (each.complete and each.missed))
    ]
    return _sheet(measured, question, [index for _, index in sorted(wrong)])


def false(measured: Measured, question: Question) -> Sheet | None:
    """Pictures without it in which it is told, surest first, then those with it in which something else was taken for it."""
    outcomes = measured.counted_outcomes(question)
    wrong = []
    for index, each in enumerate(outcomes):
        surest = max((one.detection.confidence for one in each.matches if not one.hit), default=0.0)
        if surest and (each.complete or each.there is False):
            wrong.append(((each.there is True, -surest, measured.pictures[index].name), index))
    return _sheet(measured, question, [index for _, index in sorted(wrong)])


def _sheet(measured: Measured, question: Question, indices: Sequence[int]) -> Sheet | None:
    if not indices:
        return None
    counted, anyhow = measured.counted_outcomes(question), measured.outcomes(question)
    shown = indices[:MOST]
    columns = min(_COLUMNS, len(shown))
    rows = -(-len(shown) // columns)
    width, height = columns * (_WIDE + _GAP) + _GAP, rows * (_HIGH + _CAPTION + _GAP) + _GAP
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        ' font-family="system-ui, sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="#0f172a"/>',
    ]
    for place, index in enumerate(shown):
        left = _GAP + place % columns * (_WIDE + _GAP)
        top = _GAP + place // columns * (_HIGH + _CAPTION + _GAP)
        picture = measured.pictures[index]
        parts += _tile(picture.path, counted[index], picture.truth.ignored, left=left, top=top)
        parts += _caption(f"{picture.source}: {picture.name}", anyhow[index], left=left, top=top + _HIGH)
    return Sheet("\n".join([*parts, "</svg>\n"]), len(shown), len(indices))


def _tile(path: Path, seen: Outcome, ignored: Sequence[Box], *, left: int, top: int) -> list[str]:
    picture = cv2.imread(str(path))
    if picture is None:  # it was decoded a moment ago: somebody took it away
        return [f'<text x="{left}" y="{top + 20}" fill="#fff">{escape(path.name)}: ?</text>']
    scale = min(_WIDE / picture.shape[1], _HIGH / picture.shape[0])
    width, height = max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale))
    small = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    content = base64.b64encode(cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes()).decode()
    left, top = left + (_WIDE - width) // 2, top + (_HIGH - height) // 2

    def drawn(box: Box, colour: str, *, dashes: str = "", words: str = "") -> str:
        x, y = left + box.x1 * width, top + box.y1 * height
        wide, high = (box.x2 - box.x1) * width, (box.y2 - box.y1) * height
        dash = f' stroke-dasharray="{dashes}"' if dashes else ""
        # Words stay within their picture: its neighbour has words of its own.
        anchor, at = ("end", min(left + width - 2, x + wide)) if x > left + 0.7 * width else ("start", x + 2)
        where = f'x="{at:.1f}" y="{max(top + 10, y - 3):.1f}" text-anchor="{anchor}"'
        text = f'<text {where} fill="{colour}"{_HALO}>{words}</text>' if words else ""
        return (
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{high:.1f}" fill="none" stroke="{colour}"'
            f' stroke-width="2"{dash}/>{text}'
        )

    lost = {id(each) for each in seen.missed}
    parts = [f'<image x="{left}" y="{top}" width="{width}" height="{height}" href="data:image/jpeg;base64,{content}"/>']
    parts += [drawn(each, IGNORED, dashes="2 4") for each in ignored]
    parts += [drawn(each.box, FOUND) for each in seen.things if id(each) not in lost]
    parts += [drawn(each.box, MISSED, dashes="6 3") for each in seen.missed]
    for match in seen.matches:
        found = match.detection
        words = escape(f"{found.label} {found.confidence:.2f}")
        parts.append(drawn(found.box, TOLD if match.hit else FALSE, words=words))
    return parts


def _caption(name: str, seen: Outcome, *, left: int, top: int) -> list[str]:
    said = f"{seen.score:.2f}" if seen.matches else "–"
    return [
        f'<text x="{left}" y="{top + 14}" fill="#e2e8f0">{escape(name[-52:])}</text>',
        f'<text x="{left}" y="{top + 29}" fill="#94a3b8">最高置信度 surest: {said}</text>',
    ]
