"""What chroma tells: no colour at all (infrared), a cast over everything, or a card that a device draws for want of a signal."""

from __future__ import annotations

import numpy as np

from ingest.quality.sight import NEUTRAL, Sight
from ingest.quality.views import Shown

_GREY = 3.0  # chroma that rounding and coding leave in a picture without colour
_CAST, _NARROW = 9.0, 1.5  # mean distance from neutral, and how often the spread around the mean fits into it
_LAMPLIGHT = 70.0  # mean luma below which orange is the light of lamps
_FLAT, _LEVEL, _CARD = (
    0.8,
    3.0,
    0.75,
)  # no noise in a cell, no slope between cells, and the share of the view that is so
_BLACK = 30.0
_SNOW, _ROUGH = (
    3.5,
    15.0,
)  # fine detail over all contrast: of white noise 6, of a street up to 2; deviation in nearly every cell


def is_grey(sight: Sight) -> bool:
    """Infrared or a camera without colour: every chroma sample is neutral."""
    u, v = sight.u.astype(np.int16) - NEUTRAL, sight.v.astype(np.int16) - NEUTRAL
    return float((np.maximum(np.abs(u), np.abs(v)) > _GREY).mean()) < 0.01


def has_cast(sight: Sight, mean_luma: float) -> bool:
    """One hue over everything, neutral things included.

    A street has grey in it: road, walls, sky. Without a cast colours lie around neutral; with one all are displaced by more
    than they are spread (the ratio of Wang et al., D / M). Light itself may have a hue: orange in the dark is sodium.
    """
    u, v = (plane[::2, ::2].astype(np.float32) - NEUTRAL for plane in (sight.u, sight.v))
    mean_u, mean_v = float(np.median(u)), float(np.median(v))
    distance = float(np.hypot(mean_u, mean_v))
    if distance < _CAST:
        return False
    if mean_luma < _LAMPLIGHT and mean_u < 0 < mean_v:
        return False
    spread = float(np.median(np.hypot(u - mean_u, v - mean_v)))
    return distance > _NARROW * spread + 2.0


def is_card(sight: Sight, now: Shown) -> bool:
    """A picture that no sensor took: one even colour with at most a line of text on it, or the snow of no signal.

    A covered lens has the sensor's noise and the shade of what covers it; a night sky is as even, but black.
    """
    means, deviations = now.means, now.deviations
    if float((deviations > _ROUGH).mean()) > 0.9 and min(float(np.median(each)) for each in now.fine) > _SNOW:
        return True
    level = float(np.median(means))
    even = (deviations < _FLAT) & (np.abs(means - level) < _LEVEL)
    if float(even.mean()) < _CARD:
        return False
    u, v = float(np.median(sight.u)) - NEUTRAL, float(np.median(sight.v)) - NEUTRAL
    return level > _BLACK or float(np.hypot(u, v)) > 25
