"""Whether a look can be judged by, on pictures damaged as cameras damage them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache

import cv2
import numpy as np
import pytest

from citybrain.domain.detection import Usable
from citybrain.errors import Unreadable
from citybrain.ports import Picture
from ingest.quality import Sight, Usability, sight_of

AT = datetime(2026, 11, 21, 8, tzinfo=UTC)
WIDTH, HEIGHT = 640, 360


@cache
def scene(seed: int = 0, *, wide: bool = False) -> np.ndarray:
    """A street as luma: sky, walls with windows, a road, kerbs and clutter; `wide` for turning in it."""
    draw = np.random.default_rng(seed)
    width = WIDTH * 2 if wide else WIDTH
    luma = np.full((HEIGHT, width), 190.0)
    x = 0
    while x < width:
        house, roof = int(draw.integers(50, 110)), int(draw.integers(30, 120))
        luma[roof:230, x : x + house] = draw.integers(60, 150)
        for wx in range(x + 8, x + house - 10, 18):
            for wy in range(roof + 10, 215, 26):
                luma[wy : wy + 14, wx : wx + 10] = draw.integers(30, 200)
        x += house
    luma[230:] = 95
    for index in range(40):
        cx, cy = int(draw.integers(0, width)), int(draw.integers(225, HEIGHT - 12))
        luma[cy : cy + 12, cx : cx + int(draw.integers(8, 60))] = 40 + (index * 37) % 180
    return cv2.GaussianBlur(luma, (0, 0), 0.8)


def look(luma: np.ndarray, *, noise: float = 2.0, seed: int = 1, u: int = 132, v: int = 125) -> Sight:
    noisy = luma + np.random.default_rng(seed).normal(0, noise, luma.shape)
    y = np.clip(np.rint(noisy), 16, 235).astype(np.uint8)
    chroma = np.random.default_rng(3).integers(-6, 7, (HEIGHT // 2, WIDTH // 2))
    return sight_of(Picture(y, (u + chroma).astype(np.uint8), (v - chroma).astype(np.uint8)))


def night(luma: np.ndarray) -> np.ndarray:
    """The same street with two lamps and a lit window."""
    dim = (luma - 16) * 0.12 + 16
    for x, y, size in ((150, 120, 14), (480, 110, 14), (330, 180, 8)):
        cv2.circle(dim, (x, y), size, 225.0, -1)
    return cv2.GaussianBlur(dim, (0, 0), 3)


@pytest.fixture
def known() -> Usability:
    """A camera that has seen its street for a while."""
    usability = Usability()
    for step in range(6):
        assert usability.judge(look(scene(), seed=step), AT + timedelta(seconds=10 * step)).usable is Usable.OK
    return usability


LATER = AT + timedelta(minutes=5)


def judged(usability: Usability, luma: np.ndarray, *, noise: float = 2.0, at: datetime = LATER) -> Usable:
    """What is told after eight seconds of it."""
    told = [
        usability.judge(look(luma, noise=noise, seed=99 + second), at + timedelta(seconds=second))
        for second in range(9)
    ]
    return told[-1].usable


@pytest.mark.parametrize(("height", "width"), [(360, 640), (1080, 1920), (576, 704), (97, 131), (640, 360), (2, 2)])
def test_a_thumbnail_is_the_same_size_whatever_the_picture(height, width):
    y = np.zeros((height, width), np.uint8)
    chroma = np.zeros(((height + 1) // 2, (width + 1) // 2), np.uint8)
    sight = sight_of(Picture(y, chroma, chroma))
    assert (sight.luma.shape, sight.u.shape, sight.v.shape) == ((90, 160), (45, 80), (45, 80))


def test_a_black_picture_is_dark(known):
    assert judged(known, np.full((HEIGHT, WIDTH), 17.0)) is Usable.DARK
    assert Usability().judge(look(np.full((HEIGHT, WIDTH), 17.0)), AT).usable is Usable.DARK


def test_a_street_at_night_is_not_dark(known):
    assert judged(known, night(scene())) is Usable.OK


def test_the_same_bits_for_ten_seconds_are_frozen():
    usability, still = Usability(), look(scene())
    verdicts = [usability.judge(still, AT + timedelta(seconds=second)).usable for second in range(12)]
    assert verdicts == [Usable.OK] * 10 + [Usable.FROZEN] * 2
    assert judged(usability, scene(), at=AT + timedelta(seconds=12)) is Usable.OK


def test_an_empty_street_with_a_sensors_noise_is_not_frozen():
    usability = Usability()
    for second in range(60):
        assert (
            usability.judge(look(scene(), noise=0.7, seed=second), AT + timedelta(seconds=second)).usable is Usable.OK
        )


@pytest.mark.parametrize("sigma", [5, 10, 25])
def test_a_lens_out_of_focus_is_blurred(known, sigma):
    assert judged(known, cv2.GaussianBlur(scene(), (0, 0), sigma), noise=1.0) is Usable.BLURRED


@pytest.mark.parametrize("shift", [24, 60, 150])
def test_a_camera_that_was_turned_is_moved(shift):
    usability, wide = Usability(), scene(3, wide=True)
    for second in range(10):
        usability.judge(look(wide[:, :WIDTH], seed=second), AT + timedelta(seconds=second))
    assert judged(usability, wide[:, shift : shift + WIDTH]) is Usable.MOVED


def test_a_camera_that_shows_another_street_is_moved(known):
    assert judged(known, scene(7)) is Usable.MOVED


def test_a_restart_does_not_take_the_new_view_for_the_old(known):
    after = Usability(known.baseline)
    assert judged(after, scene(7)) is Usable.MOVED
    assert judged(after, scene(), at=LATER + timedelta(minutes=1)) is Usable.OK


def test_a_turned_camera_that_is_turned_back_is_usable_again(known):
    assert judged(known, scene(7)) is Usable.MOVED
    assert judged(known, scene(), at=LATER + timedelta(minutes=1)) is Usable.OK


def test_a_covered_lens_is_occluded(known):
    assert judged(known, np.full((HEIGHT, WIDTH), 110.0)) is Usable.OCCLUDED
    mostly = scene().copy()
    mostly[:, : int(WIDTH * 0.85)] = 60
    assert judged(known, mostly) is Usable.OCCLUDED


def test_a_lorry_in_front_of_the_lens_is_no_occlusion(known):
    lorry = scene().copy()
    lorry[120:330, 180:400] = 200
    assert judged(known, lorry) is Usable.OK


@pytest.mark.parametrize("gain", [0.6, 0.8, 1.2])
def test_clouds_and_sun_change_nothing(known, gain):
    assert judged(known, (scene() - 16) * gain + 16) is Usable.OK


def test_dusk_is_followed_into_the_night(known):
    for step in range(60):
        share = step / 59
        luma = scene() * (1 - share) + night(scene()) * share
        assert known.judge(look(luma, seed=step), LATER + timedelta(seconds=60 * step)).usable is Usable.OK


def test_the_night_remembers_its_own_view_across_a_restart(known):
    judged(known, night(scene()))
    after = Usability(known.baseline)
    assert judged(after, night(scene())) is Usable.OK
    assert judged(after, scene(), at=LATER + timedelta(minutes=1)) is Usable.OK


def test_a_dome_on_patrol_has_no_view_to_keep():
    usability = Usability(fixed=False)
    for second, seed in enumerate((1, 2, 3)):
        assert usability.judge(look(scene(seed)), AT + timedelta(seconds=second)).usable is Usable.OK
    assert judged(usability, np.full((HEIGHT, WIDTH), 17.0)) is Usable.DARK


@pytest.mark.parametrize("baseline", [b"x", b"cbu1", b"cbu1\x00\x01", b"cbu1" + b"x" * 50])
def test_a_baseline_that_is_none_says_so(baseline):
    with pytest.raises(Unreadable, match="expected a camera's baseline"):
        Usability(baseline)
