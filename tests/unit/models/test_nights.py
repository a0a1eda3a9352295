"""Nights that training is shown: what is dark, what burns too bright for the sensor, and which lamps are none of it."""

from importlib import import_module

import cv2
import numpy as np
import pytest

compose = import_module("compose")
effects = import_module("effects")
nights = import_module("nights")
pasted = import_module("pasted")
streets = import_module("streets")

STREET = (np.random.default_rng(3).random((12, 20, 3)) * 160 + 40).astype(np.uint8).repeat(32, 0).repeat(32, 1)
HEIGHT, WIDTH = STREET.shape[:2]
WHITE = 200


def widths(core):
    """How wide each connected part of a mask is."""
    _, _, stats, _ = cv2.connectedComponentsWithStats((core > 0.5).astype(np.uint8))
    return [int(stat[2]) for stat in stats[1:]]


def grown(mask, by):
    """A mask that reaches so many pixels farther."""
    return cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8), iterations=by).astype(bool)


@pytest.mark.parametrize("seed", range(8))
def test_a_night_is_darker_and_paler_than_its_day(seed):
    night = nights.by_night(STREET, np.random.default_rng(seed))
    assert night.mean() < 0.7 * STREET.mean()
    saturation = [cv2.cvtColor(each, cv2.COLOR_BGR2HSV)[..., 2].std() for each in (STREET, night)]
    assert saturation[1] < saturation[0]


@pytest.mark.parametrize("seed", range(12))
def test_what_burns_too_bright_is_white_within_its_box_and_lights_the_street_about_it(seed):
    random = np.random.default_rng(seed)
    night = nights.by_night(STREET, random)
    picture = night.copy()
    left, top, right, bottom = nights.blaze(picture, (300.0, 260.0), 120.0, random)
    assert 0 <= left < right <= WIDTH
    assert 0 <= top < bottom <= HEIGHT
    assert right - left >= nights.LEAST_BLAZE * WIDTH
    white = picture.max(axis=2) >= WHITE
    inside = np.zeros((HEIGHT, WIDTH), bool)
    inside[round(top) : round(bottom), round(left) : round(right)] = True
    assert white[inside].mean() > 0.3
    about, far = grown(inside, 12) & ~inside, ~grown(inside, 90)
    gained = picture.astype(int) - night
    assert gained[about].mean() > gained[far].mean()


def test_a_blaze_out_of_view_has_no_box():
    picture = STREET.copy()
    assert nights.blaze(picture, (-900.0, 200.0), 60.0, np.random.default_rng(1)) is None


@pytest.mark.parametrize("lamps", [nights.street_lamps, nights.headlights])
def test_no_lamp_is_as_wide_as_the_smallest_blaze(lamps):
    found = [width for seed in range(40) for width in widths(lamps((HEIGHT, WIDTH), np.random.default_rng(seed)))]
    assert len(found) >= 40
    assert max(found) < nights.LEAST_BLAZE * WIDTH


def test_windows_are_as_wide_as_blazes():
    found = [
        width
        for seed in range(40)
        for width in widths(nights.shop_window((HEIGHT, WIDTH), np.random.default_rng(seed)))
    ]
    assert max(found) > 2 * nights.LEAST_BLAZE * WIDTH


def test_lamps_shine_into_the_lens():
    for seed in range(20):
        picture = np.full((HEIGHT, WIDTH, 3), 20, np.uint8)
        nights.dazzle(picture, np.random.default_rng(seed))
        assert picture.max() > 80
        assert picture.min() >= 20


def test_a_scene_made_dark_names_its_fire_and_no_lamp():
    plate = pasted.plate_of("street", STREET.copy(), np.random.default_rng(1))

    def named(burning):
        scenes = [streets.Scene(STREET.copy()) for _ in range(30)]
        for seed, scene in enumerate(scenes):
            compose.fall_dark(scene, plate, np.random.default_rng(seed), burning=burning)
            assert scene.picture.shape == STREET.shape
        return [label for scene in scenes for label, _ in scene.things]

    assert named(0.0) == []
    assert named(1.0).count(streets.FIRE) >= 15


def test_blank_walls_are_grey_and_unnamed():
    for seed in range(20):
        patch = effects.wall(80, 60, np.random.default_rng(seed))
        solid = patch[patch[..., 3] > 250][:, :3].astype(int)
        assert len(solid) > 0.6 * 80 * 60
        assert np.ptp(solid, axis=1).max() <= 60
    scene = streets.Scene(STREET.copy())
    compose.set_walls(scene, np.random.default_rng(2))
    assert (scene.picture != STREET).any()
    assert scene.labels() == []


def test_the_same_seed_makes_the_same_night():
    plate = pasted.plate_of("street", STREET.copy(), np.random.default_rng(1))
    scenes = [streets.Scene(STREET.copy()) for _ in range(2)]
    for scene in scenes:
        compose.fall_dark(scene, plate, np.random.default_rng(5), burning=1.0)
    assert np.array_equal(scenes[0].picture, scenes[1].picture)
    assert scenes[0].things == scenes[1].things
