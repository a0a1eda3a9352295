"""The demo's rendered streets, damaged as cameras are damaged, and in weather that damages nothing."""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest

from bench.damage import DAMAGES, TURNS, WEATHERS, nightfall, viewed
from bench.quality import TIMELINES
from citybrain.demo.footage import compose, load
from citybrain.domain.detection import Usable
from citybrain.evaluation.disturbed import as_picture, with_grain
from ingest.quality import Diagnosis, Usability, sight_of

AT = datetime(2026, 11, 21, 8, tzinfo=UTC)
LEARNT, LOOKS = 15, 20
EVERY = timedelta(seconds=2)


@cache
def street(look, camera="quiet"):
    return compose(load(TIMELINES / f"{camera}.yaml"), at=look * 2.0)


def judged(usability, picture, look) -> Diagnosis:
    return usability.judge(sight_of(as_picture(picture)), AT + look * EVERY)


@cache
def _learnt() -> Usability:
    usability = Usability()
    for look in range(LEARNT):
        assert judged(usability, with_grain(viewed(street(look)), look), look).usable is Usable.OK
    return usability


@pytest.fixture
def known():
    return deepcopy(_learnt())


def through(usability, change, *, looks=LOOKS):
    """What is told of each look while the footage is changed so."""
    return [judged(usability, change(street(look), look), look) for look in range(LEARNT, LEARNT + looks)]


def back(usability, look=LEARNT + LOOKS):
    return [judged(usability, with_grain(viewed(street(n)), n), n).usable for n in range(look, look + 4)][-1]


@pytest.mark.parametrize("name", [name for name, damage in DAMAGES.items() if damage.tells])
def test_damage_is_called_by_its_name_and_ends_when_it_ends(known, name):
    damage = DAMAGES[name]
    told = through(known, lambda whole, look: damage.change(viewed(whole), look, damage.strengths[-1]))
    assert told[-1].usable is damage.tells
    assert back(known) is Usable.OK


@pytest.mark.parametrize("name", [name for name, damage in DAMAGES.items() if damage.finding])
def test_what_does_not_blind_is_told_beside_the_verdict(known, name):
    damage = DAMAGES[name]
    told = through(known, lambda whole, look: damage.change(viewed(whole), look, damage.strengths[-1]))
    assert {each.usable for each in told} == {Usable.OK}
    assert damage.finding in told[-1].findings
    assert not told[3].findings


@pytest.mark.parametrize(("name", "turn"), [(name, turn) for name, turns in TURNS.items() for turn in turns], ids=str)
def test_a_camera_that_was_moved_says_so_until_it_is_turned_back(known, name, turn):
    told = through(known, lambda whole, look: with_grain(viewed(whole, **turn), look), looks=8)
    assert told[-1].usable is Usable.MOVED, name
    assert back(known, LEARNT + 8) is Usable.OK


def test_a_view_that_people_accepted_is_judged_by_from_then_on(known):
    turn = {"pan": 0.12}
    assert (
        through(known, lambda whole, look: with_grain(viewed(whole, **turn), look), looks=8)[-1].usable is Usable.MOVED
    )
    accepted = Usability()
    told = through(accepted, lambda whole, look: with_grain(viewed(whole, **turn), look), looks=8)
    assert {each.usable for each in told} == {Usable.OK}


@pytest.mark.parametrize("name", WEATHERS)
def test_weather_and_traffic_blind_nobody(known, name):
    change, strengths = WEATHERS[name]
    told = through(known, lambda whole, look: change(viewed(whole), look - LEARNT, strengths[-1]))
    assert {each.usable for each in told} == {Usable.OK}


def test_dusk_is_followed_into_the_night_and_back(known):
    for step in range(60):
        share = min(1.0, 1.5 - abs(step - 30) / 20)
        picture = nightfall(viewed(street(step)), step, max(0.0, share))
        at = AT + timedelta(hours=1) + timedelta(minutes=4 * step)
        assert known.judge(sight_of(as_picture(picture)), at).usable is Usable.OK


def test_sodium_light_is_no_colour_cast():
    usability = Usability()
    told = [judged(usability, nightfall(viewed(street(look)), look, 1.0), look) for look in range(30)]
    assert {(each.usable, each.findings) for each in told} == {(Usable.OK, ())}


def test_a_frozen_street_is_frozen_although_the_cameras_clock_runs_on(known):
    still = with_grain(viewed(street(LEARNT)), LEARNT)

    def with_clock(_, look):
        shown = still.copy()
        shown[8:20, 8:70] = 20 + look * 9
        return shown

    assert through(known, with_clock, looks=8)[-1].usable is Usable.FROZEN


def test_a_bus_that_passes_before_the_lens_is_over_before_it_is_told(known):
    told = through(
        known, lambda whole, look: DAMAGES["hand"].change(viewed(whole), look, 1.0 if look < LEARNT + 2 else 0.0)
    )
    assert {each.usable for each in told} == {Usable.OK}
