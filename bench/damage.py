"""What happens to cameras, done to pictures by code: damage that must be told, and weather that must not be taken for it.

Every function takes a BGR picture, the look's number and a strength, and answers a picture of the same size. The same
look gives the same picture.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from citybrain.domain.detection import Finding, Usable
from citybrain.evaluation.disturbed import Bgr, rain, with_grain

Change = Callable[[Bgr, int, float], Bgr]

MARGIN = 0.12
"""What a view leaves out on each side of its footage, so that a camera can be turned in it."""


@dataclass(frozen=True, slots=True)
class Damage:
    """`tells`: the verdict that names it; None where the look can still be judged by and only a finding is due."""

    change: Change
    strengths: tuple[float, ...]
    tells: Usable | None
    finding: Finding | None = None


def viewed(whole: Bgr, *, pan: float = 0.0, tilt: float = 0.0, roll: float = 0.0, zoom: float = 1.0) -> Bgr:
    """What a camera shows of the footage: its middle; `pan` and `tilt` in shares of the view, `roll` in degrees."""
    height, width = whole.shape[:2]
    out_width, out_height = (int(size * (1 - 2 * MARGIN)) // 2 * 2 for size in (width, height))
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), roll, zoom)
    turn[0, 2] += out_width / 2 - width / 2 - pan * out_width
    turn[1, 2] += out_height / 2 - height / 2 - tilt * out_height
    return _bgr(
        cv2.warpAffine(whole, turn, (out_width, out_height), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REFLECT)
    )


# -- damage to the picture --------------------------------------------------------------------------------------------


def darken(picture: Bgr, look: int, strength: float) -> Bgr:
    return with_grain(_bgr(picture * (1 - strength)), look)


def overexpose(picture: Bgr, look: int, strength: float) -> Bgr:
    return with_grain(_bgr(np.clip(picture.astype(np.float32) * strength + 10 * strength, 0, 255)), look, 0.7)


def defocus(picture: Bgr, look: int, strength: float) -> Bgr:
    return with_grain(_bgr(cv2.GaussianBlur(picture, (0, 0), strength * picture.shape[1])), look)


def shake(picture: Bgr, look: int, strength: float) -> Bgr:
    """Motion blur along a slant."""
    size = max(3, int(strength * picture.shape[1]) | 1)
    kernel = np.zeros((size, size), np.float32)
    cv2.line(kernel, (0, size // 3), (size - 1, size - 1 - size // 3), 1.0)
    return with_grain(_bgr(cv2.filter2D(picture, -1, kernel / kernel.sum())), look)


def tint(blue: float, green: float, red: float) -> Change:
    def change(picture: Bgr, look: int, strength: float) -> Bgr:
        gains = 1 + (np.array([blue, green, red]) - 1) * strength
        return with_grain(_bgr(np.clip(picture * gains, 0, 255)), look)

    return change


def cover_by_hand(picture: Bgr, look: int, strength: float) -> Bgr:
    """Skin before the lens, far out of focus, from the left over `strength` of the view."""
    height, width = picture.shape[:2]
    alpha = np.zeros((height, width), np.float32)
    cv2.rectangle(alpha, (-width, -height), (int(width * strength * 1.06), 2 * height), 1.0, -1)
    alpha = np.asarray(cv2.GaussianBlur(alpha, (0, 0), width * 0.02), np.float32)[:, :, None]
    shade = np.linspace(0.6, 1.0, width, dtype=np.float32)[None, :, None]
    return with_grain(_bgr(picture * (1 - alpha) + alpha * shade * np.array([60, 75, 120])), look)


def cover_by_leaf(picture: Bgr, look: int, strength: float) -> Bgr:
    """One large leaf before the lens that sways a little."""
    height, width = picture.shape[:2]
    alpha = np.zeros((height, width), np.float32)
    centre = (int(width * (0.5 + 0.01 * np.sin(look))), int(height * 0.5))
    reach = float(np.sqrt(strength / np.pi * 4)) / 2 * 1.13
    cv2.ellipse(alpha, centre, (int(width * reach), int(height * reach)), 20, 0, 360, 1.0, -1)
    alpha = np.asarray(cv2.GaussianBlur(alpha, (0, 0), width * 0.015), np.float32)[:, :, None]
    veins = np.zeros((height, width), np.float32)
    for offset in range(-4, 5):
        cv2.line(veins, (0, height // 2), (width, height // 2 + offset * height // 6), 1.0, max(1, width // 160))
    leaf = np.array([35, 95, 60]) + 8 * cv2.GaussianBlur(veins, (0, 0), width * 0.01)[:, :, None]
    return with_grain(_bgr(picture * (1 - alpha) + alpha * leaf), look)


def spray(picture: Bgr, look: int, strength: float) -> Bgr:
    """Paint from a can: blots that run together, thick in the middle."""
    height, width = picture.shape[:2]
    draw = np.random.default_rng(7)
    alpha = np.zeros((height, width), np.float32)
    blots = int(strength * 60)
    for _ in range(blots):
        x, y = draw.normal(0.5, 0.25) * width, draw.normal(0.5, 0.25) * height
        cv2.circle(alpha, (int(x), int(y)), int(width * draw.uniform(0.05, 0.14)), 1.0, -1)
    alpha = np.asarray(cv2.GaussianBlur(alpha, (0, 0), width * 0.01), np.float32)[:, :, None]
    return with_grain(_bgr(picture * (1 - alpha) + alpha * np.array([40, 40, 45])), look)


def blue_card(picture: Bgr, look: int, strength: float) -> Bgr:
    return _card(picture, (200, 20, 10), look, strength)


def grey_card(picture: Bgr, look: int, strength: float) -> Bgr:
    return _card(picture, (110, 110, 110), look, strength)


def _card(picture: Bgr, colour: tuple[int, int, int], look: int, strength: float) -> Bgr:
    """A recorder's card for want of a signal; its text wanders."""
    card = np.empty_like(picture)
    card[:] = colour
    height, width = card.shape[:2]
    if strength > 0:
        at = (int(width * (0.1 + 0.05 * (look % 5))), int(height * (0.3 + 0.06 * (look % 7))))
        cv2.putText(card, "NO SIGNAL", at, cv2.FONT_HERSHEY_SIMPLEX, width * strength / 320, (230, 230, 230), 2)
    return card


def analogue_snow(picture: Bgr, look: int, strength: float) -> Bgr:
    noise = np.random.default_rng(look).integers(0, 256, picture.shape[:2])[:, :, None]
    return _bgr(picture * (1 - strength) + noise * strength)


def smear(picture: Bgr, look: int, strength: float) -> Bgr:
    """Packets lost: from some row on the decoder repeats what it has."""
    out = with_grain(picture, look)
    row = int(out.shape[0] * (1 - strength))
    out[row:] = out[max(0, row - 1)]
    return out


# -- weather and traffic ----------------------------------------------------------------------------------------------


def nightfall(picture: Bgr, look: int, strength: float) -> Bgr:
    """The same street by lamps: dim, orange, noisy."""
    height, width = picture.shape[:2]
    lamps = np.zeros((height, width), np.float32)
    for x, y in ((0.2, 0.3), (0.55, 0.25), (0.85, 0.35)):
        cv2.circle(lamps, (int(x * width), int(y * height)), width // 40, 1.0, -1)
    pools = np.asarray(cv2.GaussianBlur(lamps, (0, 0), width * 0.08), np.float32)
    glow = np.asarray(cv2.GaussianBlur(lamps, (0, 0), width * 0.006), np.float32)
    light = (1 - strength * 0.88) + strength * 5 * pools[:, :, None]
    hue = 1 - strength * np.array([0.45, 0.2, 0.0])
    shown = picture * light * hue + 255 * strength * glow[:, :, None] * np.array([0.6, 0.85, 1.0])
    return with_grain(_bgr(np.clip(shown, 0, 255)), look, 1.5 + 2.5 * strength)


def headlights(picture: Bgr, look: int, strength: float) -> Bgr:
    """Two cars at night, their beams over the road and into the lens."""
    dim = nightfall(picture, look, 1.0).astype(np.float32)
    height, width = dim.shape[:2]
    beams = np.zeros((height, width), np.float32)
    for car in range(2):
        x, y = int(width * ((look * 0.17 + car * 0.45) % 1)), int(height * (0.6 + 0.15 * car))
        cv2.ellipse(beams, (x, y), (width // 8, height // 10), 0, 0, 360, 0.7, -1)
        cv2.circle(beams, (x, y), width // 30, 2.0, -1)
    soft = np.asarray(cv2.GaussianBlur(beams, (0, 0), width * 0.02), np.float32)[:, :, None]
    return _bgr(np.clip(dim + 200 * strength * soft, 0, 255))


def fog(picture: Bgr, look: int, strength: float) -> Bgr:
    """Haze that thickens with distance, which in a street is upwards."""
    height = picture.shape[0]
    depth = np.linspace(1.0, 0.45, height, dtype=np.float32)[:, None, None]
    thick = 1 - np.exp(-2.2 * strength * depth)
    return with_grain(_bgr(picture * (1 - thick) + 175 * thick), look)


def bus(picture: Bgr, look: int, strength: float) -> Bgr:
    """A bus that stops before the camera for twenty looks: `strength` of the view, with windows and a stripe."""
    height, width = picture.shape[:2]
    out = picture.copy()
    if look % 40 < 20:
        right, top = int(width * strength), int(height * 0.12)
        out[top:, :right] = (60, 140, 200)
        for x in range(width // 40, right - width // 12, width // 9):
            cv2.rectangle(out, (x, int(height * 0.22)), (x + width // 12, int(height * 0.5)), (50, 45, 40), -1)
        out[int(height * 0.62) : int(height * 0.66), :right] = (240, 240, 240)
    return with_grain(out, look)


def snowfall(picture: Bgr, look: int, strength: float) -> Bgr:
    """Snow that settles on the ground and on ledges within sixty looks."""
    share = min(1.0, look / 60) * strength
    height, width = picture.shape[:2]
    ground = np.clip((np.linspace(0, 1, height, dtype=np.float32) - 0.4) * 4, 0, 1)[:, None, None]
    clutter = np.random.default_rng(3).random((height // 16, width // 16)).astype(np.float32)
    patches = cv2.resize(clutter, (width, height), interpolation=cv2.INTER_CUBIC)[:, :, None]
    white = 190 + 25 * patches + 0.1 * (picture - 128.0)
    cover = ground * share * 0.9
    return with_grain(_bgr(np.clip(picture * (1 - cover) + white * cover, 0, 255)), look)


def infrared(picture: Bgr, look: int, strength: float) -> Bgr:
    """The filter swings away: no colour, bright leaves, a lit middle and dark edges."""
    height, width = picture.shape[:2]
    blue, green, red = cv2.split(picture.astype(np.float32))
    grey = 0.15 * blue + 0.45 * green + 0.5 * red
    x, y = np.linspace(-1, 1, width)[None], np.linspace(-1, 1, height)[:, None]
    spot = np.exp(-(x * x + y * y) * strength).astype(np.float32)
    return with_grain(_bgr(np.repeat((grey * spot * 0.9)[:, :, None], 3, axis=2)), look, 3.0)


def clouds(picture: Bgr, look: int, strength: float) -> Bgr:
    """A cloud's shadow that wanders over half of the view."""
    height, width = picture.shape[:2]
    x = np.arange(width, dtype=np.float32)[None] / width
    y = np.arange(height, dtype=np.float32)[:, None] / height
    edge = 1 / (1 + np.exp(-12 * (np.sin(0.35 * look) * 0.7 + 0.5 - x - 0.3 * y)))
    return with_grain(_bgr(picture * (1 - strength * edge[:, :, None])), look)


def lamp_flicker(picture: Bgr, look: int, strength: float) -> Bgr:
    """Mains light against the shutter: bands that drift, and the whole a little brighter or darker."""
    height = picture.shape[0]
    phase = look * 1.7
    bands = 1 + strength * np.sin(np.arange(height, dtype=np.float32) / height * 6 + phase)[:, None, None]
    return with_grain(_bgr(np.clip(picture * bands * (1 + strength * np.sin(phase * 0.6)), 0, 255)), look)


def sway(picture: Bgr, look: int, strength: float) -> Bgr:
    """A mast in the wind: `strength` of the width to and fro."""
    shift = strength * picture.shape[1] * np.sin(look * 1.3)
    move = np.array([[1, 0, shift], [0, 1, shift / 2]], np.float32)
    size = (picture.shape[1], picture.shape[0])
    return with_grain(_bgr(cv2.warpAffine(picture, move, size, borderMode=cv2.BORDER_REFLECT)), look)


def _bgr(values: npt.NDArray[np.generic] | cv2.typing.MatLike) -> Bgr:
    return np.asarray(values).astype(np.uint8)


DAMAGES: Mapping[str, Damage] = {
    "dark": Damage(darken, (0.97, 0.995), Usable.DARK),
    "overexposed": Damage(overexpose, (4.0, 8.0, 16.0), Usable.OVEREXPOSED),
    "defocus": Damage(defocus, (0.008, 0.015, 0.03), Usable.BLURRED),
    "shaken": Damage(shake, (0.03, 0.06), Usable.BLURRED),
    "hand": Damage(cover_by_hand, (0.7, 1.0), Usable.OCCLUDED),
    "leaf": Damage(cover_by_leaf, (0.7, 1.0), Usable.OCCLUDED),
    "spray": Damage(spray, (0.7, 1.0), Usable.OCCLUDED),
    "blue card": Damage(blue_card, (0.0, 1.0), Usable.NO_SIGNAL),
    "grey card": Damage(grey_card, (0.0, 1.0), Usable.NO_SIGNAL),
    "analogue snow": Damage(analogue_snow, (0.8, 1.0), Usable.NO_SIGNAL),
    "smear": Damage(smear, (0.7, 0.9), Usable.BLURRED),
    "part covered": Damage(cover_by_hand, (0.35, 0.45), None, Finding.PARTLY_OCCLUDED),
    "part washed out": Damage(overexpose, (2.5,), None, Finding.PARTLY_OVEREXPOSED),
    "cast, blue weak": Damage(tint(0.3, 1.0, 1.0), (0.5, 0.75, 1.0), None, Finding.COLOUR_CAST),
    "cast, red weak": Damage(tint(1.0, 1.0, 0.3), (0.5, 0.75, 1.0), None, Finding.COLOUR_CAST),
    "cast, pink": Damage(tint(1.1, 0.5, 1.3), (0.5, 0.75, 1.0), None, Finding.COLOUR_CAST),
}
"""Damage that is done to a picture. What is done to the camera (frozen, turned) needs the footage: bench/quality.py."""

TURNS: Mapping[str, tuple[dict[str, float], ...]] = {
    "pan": ({"pan": 0.02}, {"pan": 0.05}, {"pan": 0.12}, {"pan": 0.5}),
    "tilt": ({"tilt": 0.03}, {"tilt": 0.08}, {"tilt": 0.15}),
    "roll": ({"roll": 3.0}, {"roll": 5.0}, {"roll": 8.0}, {"roll": 15.0}),
    "zoom": ({"zoom": 1.06}, {"zoom": 1.12}, {"zoom": 1.3}),
}

WEATHERS: Mapping[str, tuple[Change, tuple[float, ...]]] = {
    "headlights": (headlights, (0.5, 1.0)),
    "rain": (rain, (0.5, 1.0)),
    "fog": (fog, (0.3, 0.6)),
    "bus": (bus, (0.5,)),
    "snow on the ground": (snowfall, (0.6, 1.0)),
    "infrared": (infrared, (0.3, 1.0)),
    "clouds": (clouds, (0.3, 0.5)),
    "lamp flicker": (lamp_flicker, (0.05, 0.15)),
    "wind": (sway, (0.002, 0.004)),
}
"""What must never read as unusable for long."""
