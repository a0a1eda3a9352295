"""When a view needs no new look: noise and light pass, things do not, and never for long."""

from datetime import UTC, datetime, timedelta

import cv2
import numpy as np
import pytest

from detectors.gate import Gate

EIGHT = datetime(2026, 11, 21, 8, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def street():
    """A luma thumbnail of a street: sky, houses with windows, a road with markings."""
    rng = np.random.default_rng(5)
    view = np.full((90, 160), 150, np.float32)
    view[:20] = 205
    view[60:] = 95
    for left in range(0, 160, 20):
        view[20 - left % 9 : 60, left : left + 17] = 80 + 70 * rng.random()
        view[28:56:7, left + 3 : left + 14 : 4] = 40
    view[74:76, ::12] = 190
    return cv2.GaussianBlur(view, (3, 3), 0)


def shown(view, *, noise=1.0, seed=0):
    view = view + np.random.default_rng(seed).normal(0, noise, view.shape)
    return np.clip(np.round(view), 0, 255).astype(np.uint8)


def with_thing(view, *, at, size, luma):
    view = view.copy()
    view[at[0] : at[0] + size[0], at[1] : at[1] + size[1]] = luma
    return view


@pytest.fixture
def gate():
    gate = Gate(10 * SECOND)
    gate.saw(shown(street()), EIGHT)
    return gate


def test_a_camera_never_looked_at_is_looked_at():
    assert not Gate(10 * SECOND).unchanged(shown(street()), EIGHT)


@pytest.mark.parametrize("noise", [0.0, 1.0, 3.0, 5.0])
def test_noise_is_no_change(noise):
    gate = Gate(10 * SECOND)
    gate.saw(shown(street(), noise=noise, seed=1), EIGHT)
    assert gate.unchanged(shown(street(), noise=noise, seed=2), EIGHT + SECOND)


@pytest.mark.parametrize("light", [0.7, 0.9, 1.1, 1.2])
def test_a_passing_cloud_is_no_change(gate, light):
    assert gate.unchanged(shown(street() * light, seed=2), EIGHT + SECOND)


@pytest.mark.parametrize("offset", [-20, 12, 25])
def test_a_camera_that_opens_its_iris_is_no_change(gate, offset):
    assert gate.unchanged(shown(street() + offset, seed=2), EIGHT + SECOND)


THINGS = {
    "a person far away": {"at": (52, 80), "size": (10, 4), "luma": 30},
    "a car": {"at": (64, 60), "size": (12, 26), "luma": 200},
    "a car of nearly the road's grey": {"at": (64, 60), "size": (12, 26), "luma": 112},
    "a bag of litter": {"at": (70, 100), "size": (4, 5), "luma": 150},
    "a flame": {"at": (50, 30), "size": (5, 4), "luma": 250},
    "water on a third of the road": {"at": (72, 0), "size": (18, 60), "luma": 125},
}


@pytest.mark.parametrize("thing", THINGS)
def test_a_thing_that_appears_is_a_change(gate, thing):
    assert not gate.unchanged(shown(with_thing(street(), **THINGS[thing]), seed=2), EIGHT + SECOND)


@pytest.mark.parametrize("thing", THINGS)
def test_a_thing_that_goes_is_a_change(thing):
    gate = Gate(10 * SECOND)
    gate.saw(shown(with_thing(street(), **THINGS[thing])), EIGHT)
    assert not gate.unchanged(shown(street(), seed=2), EIGHT + SECOND)


@pytest.mark.parametrize("light", [0.85, 1.15])
def test_a_person_under_a_passing_cloud_is_a_change(gate, light):
    seen = with_thing(street(), **THINGS["a person far away"]) * light
    assert not gate.unchanged(shown(seen, seed=2), EIGHT + SECOND)


def test_a_lorry_before_half_the_view_is_not_taken_for_light(gate):
    seen = with_thing(street(), at=(20, 40), size=(65, 80), luma=60)
    assert not gate.unchanged(shown(seen, seed=2), EIGHT + SECOND)


def test_a_camera_that_was_moved_is_a_change(gate):
    assert not gate.unchanged(shown(np.roll(street(), 5, axis=1), seed=2), EIGHT + SECOND)


def test_darkness_is_a_change(gate):
    assert not gate.unchanged(np.zeros((90, 160), np.uint8), EIGHT + SECOND)


def test_an_unchanged_view_stands_in_for_a_look_no_longer_than_agreed(gate):
    view = shown(street(), seed=2)
    assert gate.unchanged(view, EIGHT + timedelta(seconds=9.9))
    assert not gate.unchanged(view, EIGHT + 10 * SECOND)
    gate.saw(view, EIGHT + 10 * SECOND)
    assert gate.unchanged(view, EIGHT + 19 * SECOND)


def test_a_clock_that_went_back_asks_for_a_look(gate):
    assert not gate.unchanged(shown(street(), seed=2), EIGHT - SECOND)


def test_what_creeps_in_is_noticed_because_the_reference_is_the_last_view_inferred():
    gate = Gate(timedelta(hours=1))
    gate.saw(shown(street()), EIGHT)
    noticed = [
        not gate.unchanged(
            shown(with_thing(street(), at=(64, 60), size=(12, 26), luma=95 + step), seed=step), EIGHT + step * SECOND
        )
        for step in range(40)
    ]
    assert not any(noticed[:4])
    assert all(noticed[20:])


def test_a_gate_told_to_forget_asks_for_a_look(gate):
    gate.forget()
    assert not gate.unchanged(shown(street(), seed=2), EIGHT + SECOND)


def test_with_no_time_to_reaffirm_every_view_is_looked_at():
    gate = Gate(timedelta(0))
    gate.saw(shown(street()), EIGHT)
    assert not gate.unchanged(shown(street()), EIGHT)


def test_a_thumbnail_of_another_size_is_a_mistake(gate):
    with pytest.raises(ValueError, match="expected a thumbnail"):
        gate.unchanged(np.zeros((45, 80), np.uint8), EIGHT + SECOND)


def test_what_changed_is_told_by_cell(gate):
    assert not gate.changed(shown(street(), seed=1), EIGHT + SECOND).any()
    changed = gate.changed(shown(with_thing(street(), at=(62, 81), size=(14, 8), luma=240), seed=1), EIGHT + SECOND)
    rows, columns = np.nonzero(changed)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (6, 7, 8, 8)
    assert gate.changed(shown(street()), EIGHT + 11 * SECOND) is None
    assert Gate(10 * SECOND).changed(shown(street()), EIGHT) is None


def test_a_look_at_some_cells_leaves_the_others_as_they_were_seen_before(gate):
    """Water that rises by less than shows from one look to the next is seen when it has risen enough."""
    elsewhere = np.zeros((9, 16), bool)
    elsewhere[:3] = True
    for step in range(1, 4):
        rising = with_thing(street(), at=(70, 40), size=(10, 10), luma=95 + 1.5 * step)
        gate.saw(shown(rising, noise=0.3, seed=step), EIGHT + step * SECOND, only=elsewhere)
    risen = shown(with_thing(street(), at=(70, 40), size=(10, 10), luma=103), noise=0.3, seed=9)
    assert gate.changed(risen, EIGHT + 4 * SECOND)[7, 4]
    gate.saw(risen, EIGHT + 4 * SECOND, only=~elsewhere)
    assert not gate.changed(risen, EIGHT + 5 * SECOND).any()


def test_looks_at_parts_do_not_put_off_the_look_at_the_whole(gate):
    part = np.ones((9, 16), bool)
    part[0] = False
    gate.saw(shown(street()), EIGHT + 9 * SECOND, only=part)
    assert gate.changed(shown(street()), EIGHT + 11 * SECOND) is None
