"""Draws curves as self-contained SVG: lines over two axes, marks on them, a legend in two languages.

A chart is text: nothing is loaded to look at it, and it reads on paper, too (lines differ in dashes as well as in colour).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from citybrain.domain.camera import Text

COLOURS = ("#1763b6", "#c2410c", "#15803d", "#7e22ce", "#0f766e", "#a16207", "#be123c", "#475569")
"""Apart for most who see colours differently, and dark enough on white."""
DASHES = ("", "6 3", "2 3", "8 3 2 3")

_WIDTH, _HEIGHT = 460, 340
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 14, 34, 52
_LEGEND_LINE = 18


@dataclass(frozen=True, slots=True)
class Line:
    """A line through points, joined in their order."""

    name: Text
    points: Sequence[tuple[float, float]]
    colour: str = COLOURS[0]
    dashes: str = ""


@dataclass(frozen=True, slots=True)
class Mark:
    """A point to be looked at: `dot` for what was measured, `cross` for what is wanted."""

    name: Text
    x: float
    y: float
    colour: str = COLOURS[0]
    shape: str = "dot"


@dataclass(frozen=True, slots=True)
class Axis:
    """From where to where, in how many steps, and of what."""

    name: Text
    low: float = 0.0
    high: float = 1.0
    steps: int = 5


def chart(
    title: Text, lines: Sequence[Line], *, x: Axis, y: Axis, marks: Sequence[Mark] = (), upright: Sequence[float] = ()
) -> str:
    """The SVG. `upright` are thresholds: thin upright lines at these x."""
    names = [(each.name, each.colour, each.dashes, "line") for each in lines]
    names += [(each.name, each.colour, "", each.shape) for each in marks]
    height = _HEIGHT + _LEGEND_LINE * len(names)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}"'
        f' role="img" aria-label="{escape(_both(title))}" font-family="system-ui, sans-serif" font-size="12">',
        f'<rect width="{_WIDTH}" height="{height}" fill="#fff"/>',
        f'<text x="{_LEFT}" y="20" font-size="14" font-weight="600" fill="#111">{escape(_both(title))}</text>',
        *_grid(x, y),
    ]
    for at in upright:
        px = _x(at, x)
        parts.append(
            f'<line x1="{px}" x2="{px}" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}" stroke="#475569" stroke-dasharray="3 3"/>'
        )
    for line in lines:
        where = " ".join(f"{_x(px, x)},{_y(py, y)}" for px, py in line.points)
        dashes = f' stroke-dasharray="{line.dashes}"' if line.dashes else ""
        parts.append(
            f'<polyline points="{where}" fill="none" stroke="{line.colour}" stroke-width="2"{dashes}'
            ' stroke-linejoin="round"/>'
        )
    parts += [_mark(each.shape, _x(each.x, x), _y(each.y, y), each.colour) for each in marks]
    for index, (name, colour, dashes, shape) in enumerate(names):
        parts += _legend(name, colour, dashes, shape, at=_HEIGHT + _LEGEND_LINE * index)
    return "\n".join([*parts, "</svg>\n"])


def _grid(x: Axis, y: Axis) -> list[str]:
    parts = []
    bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    for step in range(x.steps + 1):
        value = x.low + (x.high - x.low) * step / x.steps
        at = _x(value, x)
        parts.append(f'<line x1="{at}" x2="{at}" y1="{_TOP}" y2="{bottom}" stroke="#e2e8f0"/>')
        parts.append(f'<text x="{at}" y="{bottom + 16}" text-anchor="middle" fill="#475569">{value:g}</text>')
    for step in range(y.steps + 1):
        value = y.low + (y.high - y.low) * step / y.steps
        at = _y(value, y)
        parts.append(f'<line x1="{_LEFT}" x2="{right}" y1="{at}" y2="{at}" stroke="#e2e8f0"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{at + 4}" text-anchor="end" fill="#475569">{value:g}</text>')
    middle = (_TOP + bottom) / 2
    parts.append(
        f'<text x="{(_LEFT + right) / 2}" y="{bottom + 34}" text-anchor="middle" fill="#111">{escape(_both(x.name))}</text>'
    )
    parts.append(
        f'<text x="14" y="{middle}" text-anchor="middle" transform="rotate(-90 14 {middle})" fill="#111">'
        f"{escape(_both(y.name))}</text>"
    )
    return parts


def _legend(name: Text, colour: str, dashes: str, shape: str, *, at: int) -> list[str]:
    words = f'<text x="{_LEFT + 34}" y="{at + 4}" fill="#111">{escape(_both(name))}</text>'
    if shape != "line":
        return [_mark(shape, _LEFT + 13, at, colour), words]
    dash = f' stroke-dasharray="{dashes}"' if dashes else ""
    line = f'<line x1="{_LEFT}" x2="{_LEFT + 26}" y1="{at}" y2="{at}" stroke="{colour}" stroke-width="2"{dash}/>'
    return [line, words]


def _mark(shape: str, x: float, y: float, colour: str) -> str:
    if shape == "cross":
        return (
            f'<path d="M{x - 5} {y - 5}L{x + 5} {y + 5}M{x - 5} {y + 5}L{x + 5} {y - 5}" stroke="{colour}"'
            ' stroke-width="2.5" fill="none"/>'
        )
    return f'<circle cx="{x}" cy="{y}" r="5" fill="{colour}" stroke="#fff" stroke-width="1.5"/>'


def _x(value: float, axis: Axis) -> float:
    return round(_LEFT + (_WIDTH - _LEFT - _RIGHT) * _share(value, axis), 1)


def _y(value: float, axis: Axis) -> float:
    return round(_HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * _share(value, axis), 1)


def _share(value: float, axis: Axis) -> float:
    return min(1.0, max(0.0, (value - axis.low) / ((axis.high - axis.low) or 1.0)))


def _both(text: Text) -> str:
    return text.en if text.zh == text.en else f"{text.zh} {text.en}"
