"""Weather by code: the same for the same seed, another for another, really there, and never so much that nothing is left."""

from itertools import pairwise

import cv2
import numpy as np
import pytest

from citybrain.evaluation.disturbed import (
    DUSK,
    SHIFT,
    STEP,
    Disturbance,
    Disturbances,
    Disturber,
    as_bgr,
    as_picture,
    dusk,
    shaken,
)

NAMES = list(Disturbances.model_fields)


def street():
    """Edges, colours and texture, as a decoder would give them."""
    noise = np.random.default_rng(5).integers(60, 160, (180, 320, 3), dtype=np.uint8)
    image = np.asarray(cv2.GaussianBlur(noise, (0, 0), 2), np.uint8)
    for n in range(8):
        cv2.rectangle(image, (n * 40 + 4, 60), (n * 40 + 24, 130), (20 * n, 200 - 20 * n, 90), -1)
    return as_picture(image, quality=None)


def doing(name, strength=0.5, seed=1):
    return Disturber(Disturbances(**{name: Disturbance(seed=seed, strength=strength)}))


def done(disturber, at_s=33.0, look=33):
    return disturber(street(), at_s=at_s, look=look).y.astype(np.int16)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_does_the_same_whatever_was_asked_before(name):
    early = doing(name)
    for look in (700, 3, 120):
        done(early, at_s=look, look=look)
    assert (done(early) == done(doing(name))).all()


@pytest.mark.parametrize("name", NAMES)
def test_another_seed_does_something_else(name):
    """Over some minutes at least: a cloud may be away at one instant for two seeds."""
    times = range(0, 600, 20)
    assert any((done(doing(name), n, n) != done(doing(name, seed=2), n, n)).any() for n in times)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_really_there_and_more_of_it_is_more(name):
    before = street().y.astype(np.int16)
    times = range(0, 600, 20)

    def change(strength):
        return max(float(np.abs(done(doing(name, strength), n, n) - before).mean()) for n in times)

    assert change(1.0) > change(0.2) > 0.2


@pytest.mark.parametrize("name", ["rain", "noise", "compression"])
def test_each_look_has_its_own(name):
    assert (done(doing(name), look=1) != done(doing(name), look=2)).any()


def test_light_changes_within_its_bounds():
    grey = as_picture(np.full((90, 160, 3), 120, np.uint8), quality=None)
    slow, sudden = doing("drift", 1.0), doing("switches", 1.0)
    slowly = [float(as_bgr(slow(grey, at_s=n, look=n))[:, :, 1].mean()) for n in range(0, 900, 5)]
    suddenly = [float(as_bgr(sudden(grey, at_s=n, look=n))[:, :, 1].mean()) for n in range(900)]
    assert 120 * (1 - DUSK) - 3 <= min(slowly) < 75
    assert max(slowly) <= 123
    assert max(abs(a - b) for a, b in pairwise(slowly)) < 6
    assert 120 * (1 - STEP) - 3 <= min(suddenly) < max(suddenly) <= 120 * (1 + STEP) + 3
    assert max(abs(a - b) for a, b in pairwise(suddenly)) > 15
    assert sum(abs(each - 120) < 3 for each in suddenly) > 300, "most of the time the light is as it is"


def test_dusk_comes_slowly_and_goes_again():
    course = [dusk(n, Disturbance(seed=3, strength=0.8)) for n in range(900)]
    assert min(course) == pytest.approx(0.0, abs=0.01)
    assert max(course) == pytest.approx(0.8, abs=0.01)


def test_a_mast_sways_no_further_than_its_strength():
    dot = np.zeros((180, 320, 3), np.uint8)
    cv2.circle(dot, (160, 90), 3, (255, 255, 255), -1)
    middles = []
    for n in range(120):
        moved = shaken(dot, n * 0.5, Disturbance(seed=4, strength=1.0))[:, :, 0].astype(float)
        middles.append((moved * np.arange(320)).sum() / moved.sum())
    assert 0.3 * SHIFT * 320 < max(abs(each - 160) for each in middles) <= SHIFT * 320 + 0.5


def test_a_picture_keeps_its_size_and_planes():
    everything = Disturber(Disturbances(**{name: Disturbance(seed=1, strength=1.0) for name in NAMES}))
    shown = everything(street(), at_s=5, look=5)
    assert (shown.y.shape, shown.u.shape, shown.v.shape) == ((180, 320), (90, 160), (90, 160))
    untouched = as_picture(as_bgr(street()), quality=None)
    assert np.abs(untouched.y.astype(int) - street().y).max() <= 4
