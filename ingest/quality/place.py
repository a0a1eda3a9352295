"""Whether a view stands where it stood: blocks of its edges are looked for around their places, and vote.

reference        now                a block that finds itself where it was says "stays"; one that finds itself elsewhere
┌──┬──┬──┐      ┌──┬──┬──┐          gives a displacement; one that is hidden, or looks otherwise, says nothing.
│ ▪│ ▪│ ▪│  ──▸ │▪ │▪ │ ▪│          Displacements that agree on one pan, roll or zoom mean that the camera was moved:
└──┴──┴──┘      └──┴──┴──┘          a bus moves too, but the walls beside it do not.
"""

from __future__ import annotations

import cv2
import numpy as np

from ingest.quality.sight import HEIGHT, WIDTH, Floats, correlation

_BLOCK, _REACH = 20, 10  # values of the thumbnail: a block's side, and how far it is looked for
_DOWN, _ACROSS = (HEIGHT - 2 * _REACH) // _BLOCK, (WIDTH - 2 * _REACH) // _BLOCK
_CORNERS = [(_REACH + _BLOCK * row, _REACH + _BLOCK * column) for row in range(_DOWN) for column in range(_ACROSS)]
_AT = np.array([(x + _BLOCK / 2 - WIDTH / 2, y + _BLOCK / 2 - HEIGHT / 2) for y, x in _CORNERS])
_MARKED = 1.2  # deviation of edges within a block that can be recognised
_SETTLED = 0.75  # correlation of most blocks in place: nothing to look for
_SAME = 0.5  # correlation of a block that is where it was
_FOUND, _BETTER = 0.55, 0.15  # correlation of a block found elsewhere, and by how much that beats its own place
_FEW = 5  # blocks that must agree
_AGREE = 1.5  # values by which they may differ
_MOVED = 1.7  # values (17 px at 1600) by which the view must stand elsewhere, on average
# Median correlation, and share of blocks in place: of another view up to 0.15, in any weather 0.25 and more.
_FOREIGN = 0.2
_SURELY = 0.9  # one block that is surely where it was: behind a bus there is such a one, in another view none
_FAR, _PEAK = 4.0, 0.12  # with too few blocks, of the whole view: values, and how clear the peak must be
_STRANGE = 0.3  # then also the correlation of edges: of two streets up to 0.29
_WINDOW: Floats = np.asarray(cv2.createHanningWindow((WIDTH, HEIGHT), cv2.CV_32F), np.float32)


def edges(luma: Floats) -> Floats:
    """Strength of edges, evened out so that one headlight does not outweigh the street, and softened against noise."""
    soft = cv2.GaussianBlur(luma, (5, 5), 1.2)
    dx, dy = cv2.Sobel(soft, cv2.CV_32F, 1, 0), cv2.Sobel(soft, cv2.CV_32F, 0, 1)
    return np.asarray(cv2.sqrt(cv2.magnitude(dx, dy)), np.float32)


def has_moved(now: Floats, was: Floats, *, strange: bool = True) -> bool:
    """Whether the edges seen `now` are those that `was` shows, elsewhere, or (`strange`) those of another view altogether."""
    marked, stays = _in_place(now, was)
    if marked.sum() >= _FEW:
        median = float(np.median(stays[marked]))
        if median > _SETTLED:
            return False
        foreign = (
            median < _FOREIGN
            and float((stays[marked] > _SAME).mean()) < _FOREIGN
            and float(stays[marked].max()) < _SURELY
        )
        return (strange and foreign) or _displaced(now, was, marked, stays)
    # OpenCV applies the window to the very arrays it is given: it gets copies.
    (x, y), peak = cv2.phaseCorrelate(was.copy(), now.copy(), _WINDOW)
    if peak > _PEAK and float(np.hypot(x, y)) > _FAR:
        return True
    return strange and correlation(now, was) < _STRANGE


def is_in_place(now: Floats, was: Floats) -> bool:
    """Whether most of what could be recognised is where it was."""
    marked, stays = _in_place(now, was)
    return bool(marked.any()) and float((stays[marked] > _SAME).mean()) > 0.5


def _in_place(now: Floats, was: Floats) -> tuple[np.ndarray, np.ndarray]:
    """Which blocks could be recognised, and how each correlates with itself in its own place."""
    a, b = _blocks(now), _blocks(was)
    a = a - a.mean(axis=1, keepdims=True)
    b = b - b.mean(axis=1, keepdims=True)
    was_size = (b * b).sum(axis=1)
    size = np.sqrt((a * a).sum(axis=1) * was_size)
    stays = (a * b).sum(axis=1) / np.maximum(size, 1e-6)
    return np.sqrt(was_size / _BLOCK**2) > _MARKED, stays


def _blocks(values: Floats) -> Floats:
    inner = values[_REACH : _REACH + _DOWN * _BLOCK, _REACH : _REACH + _ACROSS * _BLOCK]
    tiles = inner.reshape(_DOWN, _BLOCK, _ACROSS, _BLOCK).transpose(0, 2, 1, 3)
    return tiles.reshape(_DOWN * _ACROSS, _BLOCK * _BLOCK)


def _displaced(now: Floats, was: Floats, marked: np.ndarray, stays: np.ndarray) -> bool:
    """Whether enough blocks agree on one pan, roll or zoom that takes the view elsewhere."""
    at, moves = [], []
    for index in np.flatnonzero(marked):
        y, x = _CORNERS[index]
        around = now[y - _REACH : y + _BLOCK + _REACH, x - _REACH : x + _BLOCK + _REACH]
        scores = cv2.matchTemplate(around, was[y : y + _BLOCK, x : x + _BLOCK], cv2.TM_CCOEFF_NORMED)
        _, best, _, (dx, dy) = cv2.minMaxLoc(scores)
        if best < _FOUND:
            continue
        stayed = best - stays[index] < _BETTER
        at.append(_AT[index])
        moves.append((0.0, 0.0) if stayed else (dx - _REACH, dy - _REACH))
    if len(at) < _FEW:
        return False
    return _agreed(np.array(at), np.array(moves, np.float64))


def _agreed(at: np.ndarray, moves: np.ndarray) -> bool:
    """Fit a similarity to the displacements by trimmed least squares and ask how far it takes the view."""
    x, y = at[:, 0], at[:, 1]
    zero, one = np.zeros_like(x), np.ones_like(x)
    rows = np.stack([np.stack([x, -y, one, zero], 1), np.stack([y, x, zero, one], 1)], 1)  # (n, 2, 4)
    chosen = np.ones(len(at), bool)
    fitted = np.zeros(4)
    for _ in range(4):
        fitted, *_ = np.linalg.lstsq(rows[chosen].reshape(-1, 4), moves[chosen].reshape(-1), rcond=None)
        off = np.hypot(*(rows @ fitted - moves).T)
        near = off < max(_AGREE, float(np.sort(off)[max(_FEW, len(off) * 2 // 3) - 1]) if len(off) > _FEW else _AGREE)
        if (near == chosen).all():
            break
        chosen = near
    agree = np.hypot(*(rows @ fitted - moves).T) < _AGREE
    far = float(np.hypot(*(rows @ fitted).T).mean())
    return bool(agree.sum() >= max(_FEW, 0.6 * len(at))) and far > _MOVED
