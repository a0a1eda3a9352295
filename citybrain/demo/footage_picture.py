"""What a demo camera sees at a second: the empty street, water, things on their tracks, fire, light, the sensor."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from citybrain.demo.footage_art import Art, CutOut, Floats, Picture, Track, read
from citybrain.demo.footage_fire import add_flames, add_smoke
from citybrain.demo.footage_light import add_grain, add_headlights, add_signal, lay_water
from citybrain.demo.footage_timeline import (
    Actor,
    Cast,
    Dark,
    Exposure,
    Fire,
    Signal,
    Smoke,
    Timeline,
    Water,
    value_at,
)

Box = tuple[float, float, float, float]
"""left, top, right, bottom; each 0..1 of the picture where a caller sees it, pixels within this module."""

_HIDDEN = 0.85
"""A thing covered by nearer ones over more than this share of its box is no longer labelled."""


@dataclass(frozen=True)
class _Standing:
    """One actor at one second: which cut-out, where its foot is, how large."""

    cast: Cast
    cut_out: CutOut
    foot: tuple[float, float]
    depth: float
    scale: float
    alpha: float
    place: tuple[float, float, float]
    heading: float

    @property
    def box_px(self) -> Box:
        left, top = (f - self.scale * c for f, c in zip(self.foot, self.cut_out.foot, strict=True))
        x0, y0, x1, y1 = (self.scale * v for v in self.cut_out.box)
        return left + x0, top + y0, left + x1, top + y1


def compose(timeline: Timeline, *, at: float) -> Picture:
    """The picture (height, width, 3; BGR) at a second of the clip. The same second gives the same picture."""
    art = read(timeline.art)
    frame = art.plate.astype(np.float32)
    for effect in timeline.effects:
        if isinstance(effect, Water) and art.flooded is not None and art.rise is not None:
            lay_water(frame, art.flooded, art.rise, level=value_at(effect.level, at), at=at, seed=timeline.seed)
    standing = list(_on_stage(timeline, art, at))
    if timeline.mirror:
        for one in standing:
            if one.cast.lights:
                add_headlights(frame, art, one.place, one.heading, mirror=timeline.mirror)
    layers: list[tuple[float, _Standing | Fire | Smoke]] = [(one.depth, one) for one in standing]
    layers += [(art.project(e.at)[2], e) for e in timeline.effects if isinstance(e, Fire | Smoke)]
    for _, layer in sorted(layers, key=lambda item: -item[0]):
        if isinstance(layer, _Standing):
            _draw(frame, layer)
        else:
            _burn(frame, art, layer, at=at, seed=timeline.seed)
    for signal in (e for e in timeline.effects if isinstance(e, Signal)):
        add_signal(frame, art, signal.at, red=value_at(signal.red, at) > 0.5)
    frame *= _exposure(timeline, at)
    add_grain(frame, timeline.noise, number=round(at * 1000), seed=timeline.seed)
    return np.clip(frame, 0, 255).astype(np.uint8)


def boxes_at(timeline: Timeline, at: float) -> list[tuple[str, Box]]:
    """What can be seen at a second, with the exact box of each; nothing while the camera is dark."""
    art = read(timeline.art)
    if any(isinstance(e, Dark) and value_at(e.level, at) > 0.5 for e in timeline.effects):
        return []
    height, width = art.plate.shape[:2]
    labelled = [(one.cast.label, one.box_px, one.depth) for one in _on_stage(timeline, art, at) if one.alpha > 0.5]
    near = [(box, depth) for _, box, depth in labelled]
    seen: list[tuple[str, Box]] = [
        (label, box)
        for label, box, depth in labelled
        if label != "scenery" and _cover(box, [other for other, d in near if d < depth]) <= _HIDDEN
    ]
    for effect in timeline.effects:
        if isinstance(effect, Fire | Smoke):
            burning = _burn(np.zeros(art.plate.shape, np.float32), art, effect, at=at, seed=timeline.seed)
            if burning is not None:
                seen.append((effect.kind, burning))
        elif isinstance(effect, Water) and art.rise is not None:
            wet = np.argwhere(art.rise < value_at(effect.level, at))
            if len(wet) > 50:
                (top, left), (bottom, right) = wet.min(0), wet.max(0)
                seen.append(("water", (float(left), float(top), float(right + 1), float(bottom + 1))))
    out = []
    for label, (x0, y0, x1, y1) in seen:
        box = (max(0.0, x0 / width), max(0.0, y0 / height), min(1.0, x1 / width), min(1.0, y1 / height))
        if box[2] - box[0] > 0.004 and box[3] - box[1] > 0.004:
            out.append((label, box))
    return out


def _on_stage(timeline: Timeline, art: Art, at: float) -> Iterator[_Standing]:
    for actor in timeline.actors:
        begins, ends = actor.shown
        if not begins <= at <= ends:
            continue
        cast = timeline.cast[actor.cast]
        along = value_at(actor.drive, at)
        x, y, heading = Track(tuple(cast.track)).at(along)
        px, py, depth = art.project((x, y, cast.z))
        if depth < 1:
            continue
        cut_out = _nearest(art.cut_outs[actor.cast], along)
        scale, place = cut_out.depth / depth, (x, y, cast.z)
        yield _Standing(cast, cut_out, (px, py), depth, scale, _alpha(actor, at), place, heading)


def _exposure(timeline: Timeline, at: float) -> float:
    """The camera's gain at a second: it breathes a little, follows the timeline, and is next to nothing when dark."""
    gain = 1 + 0.012 * math.sin(at * 0.9 + timeline.seed) + 0.008 * math.sin(at * 0.23)
    for effect in timeline.effects:
        if isinstance(effect, Exposure):
            gain *= value_at(effect.gain, at)
        elif isinstance(effect, Dark):
            gain *= 1 - 0.985 * value_at(effect.level, at)
    return gain


def _nearest(cut_outs: list[CutOut], along: float) -> CutOut:
    """The render made closest by; one that the picture's edge cut off serves only very near to where it was made."""
    return min(cut_outs, key=lambda c: abs(c.along - along) + (0.0 if c.whole else 25.0))


def _alpha(actor: Actor, at: float) -> float:
    if not actor.fade:
        return 1.0
    begins, ends = actor.shown
    rising = 1.0 if begins == 0 else (at - begins) / actor.fade
    return max(0.0, min(1.0, rising, (ends - at) / actor.fade))


def _draw(frame: Floats, one: _Standing) -> None:
    cut_out, scale = one.cut_out, one.scale
    left, top = (f - scale * c for f, c in zip(one.foot, cut_out.foot, strict=True))
    rows, columns = cut_out.alpha.shape[:2]
    x0, y0 = math.floor(left), math.floor(top)
    height, width = frame.shape[:2]
    x1, y1 = min(width, math.ceil(left + columns * scale) + 1), min(height, math.ceil(top + rows * scale) + 1)
    cut_x, cut_y = max(0, x0), max(0, y0)
    if x1 <= cut_x or y1 <= cut_y:
        return
    shift = np.array([[scale, 0, left - cut_x], [0, scale, top - cut_y]], np.float32)
    size = (x1 - cut_x, y1 - cut_y)
    colour = cv2.warpAffine(cut_out.colour, shift, size, flags=cv2.INTER_LINEAR)
    cover = cv2.warpAffine(cut_out.alpha, shift, size, flags=cv2.INTER_LINEAR)[:, :, None] * one.alpha
    target = frame[cut_y:y1, cut_x:x1]
    target *= 1 - cover
    target += colour * one.alpha


def _burn(frame: Floats, art: Art, effect: Fire | Smoke, *, at: float, seed: int) -> Box | None:
    x, y, depth = art.project(effect.at)
    metre = float(np.linalg.norm(art.matrix[0, :3])) / depth
    strength = value_at(effect.strength, at)
    if isinstance(effect, Fire):
        size = (effect.width * metre, effect.height * metre)
        return add_flames(frame, (x, y), size, at=at, strength=strength, seed=seed)
    return add_smoke(
        frame,
        (x, y),
        effect.height * metre,
        at=at,
        strength=strength,
        started=effect.strength[0][0],
        grey=effect.grey,
        wind=effect.wind,
        seed=seed,
    )


def _cover(box: Box, others: list[Box]) -> float:
    """The share of `box` under any single one of `others`."""
    area = max(1e-6, (box[2] - box[0]) * (box[3] - box[1]))
    shares = [
        max(0.0, min(box[2], o[2]) - max(box[0], o[0])) * max(0.0, min(box[3], o[3]) - max(box[1], o[1])) / area
        for o in others
    ]
    return max(shares, default=0.0)
