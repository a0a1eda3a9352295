"""What weather, light, masts, sensors and encoders do to footage, done to it by code: the same for the same seed.

Everything is a function of the seed and of where in the playing a look is, so that an hour is made look by look, at the
looks' instants only. Strengths are 0..1; what 1 means is said beside each.

    rain, light ─► the camera shakes ─► noise of the sensor ─► compression
"""

from __future__ import annotations

import math
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import Field

from citybrain.configuration import Section
from citybrain.ports import Picture

Bgr = npt.NDArray[np.uint8]

SHIFT, TURN_DEG = 0.008, 0.4
"""How far a camera shakes at strength 1: a share of the picture's width, and degrees."""
DUSK, DUSK_LASTS_S = 0.55, (300.0, 840.0)
"""How much light a slow change takes at strength 1, and within what time it goes and comes back."""
STEP, STEPS_APART_S, STEP_LASTS_S = 0.4, 60.0, (2.0, 45.0)
"""How much light a sudden change gives or takes at strength 1, how long until the next, on average, and how long it stays."""
GRAIN = 8.0
"""The noise's standard deviation at strength 1, of 255."""
FINEST, COARSEST, BREATHES = 92, 22, 8
"""The JPEG quality at strengths 0 and 1, and by how much it goes up and down from look to look. Blocks and ringing, as a stream
short of bits shows them."""

_LOOKS_APART = 1_000_003  # seeds lie so far apart that no two share their looks' draws


class Disturbance(Section):
    """One thing that happens to a picture: which of all its courses (`seed`), and how much of it (`strength`)."""

    seed: int = Field(ge=0, le=1_000_000)
    strength: float = Field(gt=0, le=1)


class Disturbances(Section):
    """Everything that happens to a camera's pictures. `drift` is the slow change of light, `switches` the sudden one."""

    jitter: Disturbance | None = None
    drift: Disturbance | None = None
    switches: Disturbance | None = None
    rain: Disturbance | None = None
    noise: Disturbance | None = None
    compression: Disturbance | None = None


class Disturber:
    """Does the same to the same look of the same playing, whatever it was asked before."""

    def __init__(self, does: Disturbances) -> None:
        self._does = does
        self._steps = _Steps(does.switches) if does.switches else None

    def __call__(self, picture: Picture, *, at_s: float, look: int) -> Picture:
        """The picture as a camera would have given it `at_s` seconds into the playing, with that look's noise."""
        does = self._does
        shown = as_bgr(picture)
        if does.rain:
            shown = rain(shown, does.rain.seed * _LOOKS_APART + look, does.rain.strength)
        if does.drift or does.switches:
            shown = self._lit(shown, at_s)
        if does.jitter:
            shown = shaken(shown, at_s, does.jitter)
        if does.noise:
            shown = with_grain(shown, does.noise.seed * _LOOKS_APART + look, GRAIN * does.noise.strength)
        return as_picture(shown, quality=quality(look, does.compression) if does.compression else None)

    def _lit(self, picture: Bgr, at_s: float) -> Bgr:
        light, warmth = 1.0, 0.0
        if self._does.drift:
            gone = dusk(at_s, self._does.drift)
            light, warmth = light * (1 - DUSK * gone), 0.25 * gone
        if self._steps:
            light *= self._steps.light(at_s)
        levels = np.arange(256, dtype=np.float32)[:, None] * light * np.array([1 - warmth, 1.0, 1 + warmth / 2])
        return _bgr(cv2.LUT(picture, np.clip(levels, 0, 255).astype(np.uint8)[:, None, :]))


def shaken(picture: Bgr, at_s: float, by: Disturbance) -> Bgr:
    """A mast in the wind: shifted and turned about its middle, by sines whose periods have no common multiple."""
    draw = np.random.default_rng(by.seed)
    height, width = picture.shape[:2]
    moves = [_sway(draw, at_s) * by.strength for _ in range(3)]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), moves[2] * TURN_DEG, 1.0)
    turn[:, 2] += np.array(moves[:2]) * SHIFT * width
    return _bgr(cv2.warpAffine(picture, turn, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT))


def dusk(at_s: float, by: Disturbance) -> float:
    """The share of the slow change that has come: 0, up to the strength, and back."""
    draw = np.random.default_rng(by.seed)
    period, phase = draw.uniform(*DUSK_LASTS_S), draw.uniform(0, 2 * math.pi)
    return float(by.strength * (0.5 - 0.5 * math.cos(2 * math.pi * at_s / period + phase)))


class _Steps:
    """Sudden changes of light, drawn one after the other as far as somebody asks."""

    def __init__(self, by: Disturbance) -> None:
        self._by, self._draw = by, np.random.default_rng(by.seed)
        self._drawn: list[tuple[float, float, float]] = []

    def light(self, at_s: float) -> float:
        """The factor of the light: 1, or what a change has made of it."""
        while not self._drawn or self._drawn[-1][1] <= at_s:
            before = self._drawn[-1][1] if self._drawn else 0.0
            begins = before + float(self._draw.exponential(STEPS_APART_S))
            ends = begins + float(self._draw.uniform(*STEP_LASTS_S))
            share = float(self._draw.uniform(0.4, 1.0)) * STEP * self._by.strength
            self._drawn.append((begins, ends, 1 + share if self._draw.random() < 0.5 else 1 - share))
        return next((light for begins, ends, light in self._drawn if begins <= at_s < ends), 1.0)


def rain(picture: Bgr, look: int, strength: float) -> Bgr:
    """Streaks over a duller picture; another shower for each look. At strength 1 it pours."""
    height, width = picture.shape[:2]
    draw = np.random.default_rng(look)
    streaks = np.zeros((height, width), np.float32)
    for _ in range(int(900 * strength)):
        x, y, length = draw.integers(0, width), draw.integers(0, height), draw.integers(height // 40, height // 12)
        cv2.line(streaks, (int(x), int(y)), (int(x + length // 5), int(y + length)), 1.0, 1)
    dull = picture * (1 - 0.35 * strength) + 30 * strength
    return with_grain(_bgr(np.clip(dull + 60 * streaks[:, :, None], 0, 255)), look)


def quality(look: int, by: Disturbance) -> int:
    """The JPEG quality of a look: an encoder gives one picture more bits than another."""
    breath = float(np.random.default_rng(by.seed * _LOOKS_APART + look).uniform(-BREATHES, BREATHES))
    return round(FINEST - (FINEST - COARSEST) * by.strength + breath)


def with_grain(picture: Bgr, look: int, deviation: float = 1.5) -> Bgr:
    """A sensor's noise, another for each look."""
    height, width = picture.shape[:2]
    bank = _noise(height, width)
    draw = np.random.default_rng(look)
    y, x = (int(draw.integers(0, size)) for size in (height, width))
    noise = cv2.convertScaleAbs(bank[y : y + height, x : x + width], alpha=deviation)
    signs = bank[y : y + height, x : x + width] < 0
    brighter = cv2.add(picture, _bgr(cv2.merge([np.where(signs, 0, noise)] * 3)))
    return _bgr(cv2.subtract(brighter, _bgr(cv2.merge([np.where(signs, noise, 0)] * 3))))


def as_bgr(picture: Picture) -> Bgr:
    """A decoded picture as OpenCV draws on it; an odd last row or column is left out."""
    height, width = picture.height // 2 * 2, picture.width // 2 * 2
    chroma = [plane[: height // 2, : width // 2].reshape(-1) for plane in (picture.u, picture.v)]
    planar = np.concatenate([picture.y[:height, :width].reshape(-1), *chroma]).reshape(height * 3 // 2, width)
    return np.asarray(cv2.cvtColor(planar, cv2.COLOR_YUV2BGR_I420), np.uint8)


def as_picture(bgr: Bgr, *, quality: int | None = 80) -> Picture:
    """The picture as a decoder gives it, coded once as coarsely as a camera does: by JPEG of this quality, or not at all."""
    height, width = bgr.shape[0] // 2 * 2, bgr.shape[1] // 2 * 2
    if quality is not None:
        _, coded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
        bgr = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)
    planar = np.asarray(cv2.cvtColor(bgr[:height, :width], cv2.COLOR_BGR2YUV_I420), np.uint8)
    u, v = planar[height:].reshape(2, height // 2, width // 2)
    return Picture(planar[:height], u, v)


@lru_cache(maxsize=8)
def _noise(height: int, width: int) -> npt.NDArray[np.float32]:
    return np.random.default_rng(1).standard_normal((2 * height, 2 * width), np.float32)


def _sway(draw: np.random.Generator, at_s: float) -> float:
    """Between -1 and 1: slow, quick and quicker, each with its own period and beginning."""
    periods = draw.uniform((5.0, 1.1, 0.35), (9.0, 2.3, 0.8))
    phases = draw.uniform(0, 2 * math.pi, 3)
    return float(np.dot((0.5, 0.3, 0.2), np.sin(2 * math.pi * at_s / periods + phases)))


def _bgr(values: npt.NDArray[np.generic] | cv2.typing.MatLike) -> Bgr:
    return np.asarray(values).astype(np.uint8)
