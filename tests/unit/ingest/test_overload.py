"""A worker with too many cameras, in simulated time: late by a bound, late evenly, and it knows how late."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.budget import FIRST_GUESS_S, Capacity, Costs, Load, together
from ingest.sampler import ATTENTION_SHARE, Sampler
from tests.unit.ingest.street_clock import BATCH, Simulated, Street

PATIENCES = {"fire": 2.0, "water": 10.0, "parking": 20.0}
COST = 0.019  # the mean of what Simulated looks cost
LONGEST_BATCH = BATCH * 0.030


def city(overload: float, *, fires: float = 0.5, waters: float = 0.2) -> list[Simulated]:
    """So many cameras that one worker reaches each once in `overload` times its patience."""
    share = {"fire": fires, "water": waters, "parking": 1 - fires - waters}
    count = overload / (COST * sum(share[kind] / PATIENCES[kind] for kind in share))
    return [
        Simulated(f"{kind}{index}", 1.0, PATIENCES[kind])
        for kind in share
        for index in range(round(count * share[kind]))
    ]


def kind_of(camera: str) -> str:
    return camera.rstrip("0123456789")


@pytest.mark.parametrize("overload", [0.9, 2.0, 4.0])
def test_every_camera_is_late_by_the_same_factor_of_its_own_patience(overload):
    street = Street(city(overload))
    street.run(50 * overload)
    for each in street.cameras:
        # They all began at one instant: it takes some rounds until those of long patience no longer come in waves.
        assert street.longest_gap(each.id, since=0.0) <= max(1.0, overload) * each.patience * 1.2 + LONGEST_BATCH
    street.run(50 * overload)
    warm = street.now
    street.run(50 * overload)
    worst = dict.fromkeys(PATIENCES, 0.0)
    for each in street.cameras:
        # A look ends with its batch, and who is next was chosen before it.
        late = (street.longest_gap(each.id, since=warm) - LONGEST_BATCH) / each.patience
        worst[kind_of(each.id)] = max(worst[kind_of(each.id)], late)
    load = street.sampler.load(street.now)
    assert load.stretch == pytest.approx(overload, rel=0.05)
    assert max(worst.values()) <= load.stretch * 1.08
    if overload > 1:
        assert min(worst.values()) >= load.stretch * 0.95, "a stretch is what cameras wait, not what they might"


@pytest.mark.parametrize("overload", [2.0, 4.0])
def test_within_a_class_nobody_is_looked_at_more_than_once_more_than_another(overload):
    street = Street(city(overload))
    street.run(30 * overload)
    before = Counter({camera: len(looks) for camera, looks in street.looks.items()})
    street.run(60 * overload)
    for kind in PATIENCES:
        same = [each.id for each in street.cameras if kind_of(each.id) == kind]
        looks = [len(street.looks[camera]) - before[camera] for camera in same]
        assert min(looks) >= 1
        assert max(looks) - min(looks) <= 1


@pytest.mark.parametrize("overload", [0.9, 2.0, 4.0])
@pytest.mark.parametrize("share", [0.02, 0.5, 1.0])
def test_a_storm_of_questions_makes_the_idle_late_by_half_as_much_again_and_no_more(overload, share):
    street = Street(city(overload))
    street.run(80 * overload)
    began = street.now
    asked = [each.id for each in street.cameras[:: round(1 / share)]]
    for _ in range(4):
        street.attend(asked, every=0.25, lasts=15.0)
        street.run(15.0)
    for each in street.cameras:
        bound = max(1.0, overload / (1 - ATTENTION_SHARE)) * each.patience
        assert street.longest_gap(each.id, since=began) <= bound * 1.08 + LONGEST_BATCH


@pytest.mark.parametrize("overload", [2.0, 4.0])
def test_a_question_is_looked_at_closely_however_many_cameras_wait(overload):
    street = Street(city(overload))
    street.run(25 * overload)
    began = street.now
    street.attend(["fire7"], every=0.25, lasts=10.0)
    street.run(9.0)
    assert street.longest_gap("fire7", since=began) <= 0.25 * overload * 1.1 + 2 * LONGEST_BATCH


@pytest.mark.parametrize(("overload", "apart"), [(0.9, 0.25), (2.0, 0.5), (8.0, 1.0)])
def test_close_looks_come_further_apart_while_the_others_are_late_and_at_most_a_second(overload, apart):
    street = Street(city(overload))
    street.run(25 * overload)
    before = Counter({"fire7": len(street.looks["fire7"])})
    street.attend(["fire7"], every=0.25, lasts=41.0)
    street.run(40.0)
    assert len(street.looks["fire7"]) - before["fire7"] == pytest.approx(40.0 / apart, rel=0.15)


def test_more_questions_than_there_is_time_for_are_looked_at_evenly():
    street = Street(city(2.0))
    street.run(25.0)
    asked = [f"fire{index}" for index in range(80)]
    street.attend(asked, every=0.25, lasts=60.0)
    street.run(5.0)
    before = Counter({camera: len(street.looks[camera]) for camera in asked})
    street.run(40.0)
    looks = [len(street.looks[camera]) - before[camera] for camera in asked]
    assert min(looks) >= 8
    assert max(looks) - min(looks) <= 0.2 * max(looks)


def test_a_district_that_comes_back_at_once_makes_nobody_later_than_the_new_load_does():
    here = city(0.5)
    back = [Simulated(f"back{index}", 1.0, 20.0) for index in range(400)]
    street = Street(here)
    street.run(30.0)
    began = street.now
    for each in back:
        street.by_id[each.id] = each
        street.sampler.add(each.id, every=each.every, patience=each.patience)
        street._begin(each)
    street.run(40.0)
    stretch = 0.5 + 400 * COST / 20
    for each in here:
        # Those that came all begin as though they had been unseen for their patience.
        assert street.longest_gap(each.id, since=began) <= (1 + stretch) * each.patience
    assert all(street.looks[each.id] for each in back)


@settings(max_examples=25, deadline=None)
@given(
    cameras=st.lists(
        st.tuples(
            st.sampled_from([0.5, 1.0, 2.0]),
            st.sampled_from([1.0, 2.0, 5.0, 20.0]),
            st.sampled_from([0.04, 1.0, 2.0, 4.0]),
        ),
        min_size=1,
        max_size=60,
    ),
    cost=st.sampled_from([0.005, 0.05, 0.2]),
    seed=st.integers(0, 99),
)
def test_whatever_the_cameras_nobody_waits_longer_than_the_load_says(cameras, cost, seed):
    street = Street(
        [
            Simulated(f"c{index}", every, patience, gives_each, (cost, cost))
            for index, (every, patience, gives_each) in enumerate(cameras)
        ],
        seed=seed,
    )
    rounds = cost * len(cameras)
    street.run(60 + 10 * rounds)
    warm = street.now
    street.run(60 + 10 * rounds)
    stretch = max(1.0, sum(cost / max(each.every, each.patience) for each in street.cameras))
    for each in street.cameras:
        patience = max(each.every, each.patience)
        # A camera that gives a picture only now and then is not to blame on us: its own interval comes on top.
        bound = stretch * patience + each.gives_each + each.every + BATCH * cost * 2
        assert street.longest_gap(each.id, since=warm) <= bound * 1.05


# -- what a look costs --------------------------------------------------------------------------------------------------


def test_a_camera_costs_what_its_own_looks_cost_and_a_stranger_what_all_do():
    costs = Costs()
    assert costs.of("new") == FIRST_GUESS_S
    for _ in range(200):
        costs.spent("large", 0.080)
        costs.spent("small", 0.010)
    assert costs.of("large") == pytest.approx(0.080)
    assert costs.of("small") == pytest.approx(0.010)
    assert costs.of("new") == pytest.approx(0.045, rel=0.05)
    costs.forget("large")
    assert costs.of("large") == costs.of("new")


def test_a_closer_look_is_counted_apart():
    costs = Costs()
    costs.spent("a", 0.010)
    assert costs.of("a", closer=True) == pytest.approx(0.010)
    costs.spent("a", 0.070, closer=True)
    assert costs.of("a", closer=True) == pytest.approx(0.070)
    assert costs.of("b", closer=True) == pytest.approx(0.070)
    assert costs.of("a") == pytest.approx(0.010)


def test_time_that_passes_between_process_and_process_is_no_capacity():
    capacity = Capacity()
    for _ in range(300):
        capacity.turned_around(looks_s=0.08, in_s=0.1)
    assert capacity.share == pytest.approx(0.8, abs=0.01)


def test_a_load_counts_what_cameras_give_and_not_what_they_are_asked_for():
    sampler = Sampler()
    for camera, gives_each in (("often", 0.5), ("seldom", 4.0), ("never", 0.0)):
        sampler.add(camera, every=1.0, patience=2.0)
        at = 0.0
        while gives_each and at <= 40.0:
            sampler.offer(camera, at)
            for taken in sampler.take(at, 1):
                sampler.looked(taken, at, 0.1)
            at += gives_each
    load = sampler.load(40.0)
    assert load.demand == pytest.approx(0.1 / 1 + 0.1 / 4)
    assert load.stretch == pytest.approx((0.1 / 2 + 0.1 / 4) / load.capacity)
    assert (load.cameras, load.attended) == (3, 0)
    silent = sampler.load(140.0)
    assert silent.demand == pytest.approx(2 * 0.1 / 100, rel=0.05)


def test_the_load_of_several_workers_is_their_sum_and_its_stretch_that_of_the_worst():
    one, other = Load(0.6, 0.1, 1.0, 0.4, 30, 1), Load(3.0, 0.0, 0.9, 2.5, 150, 0)
    both = together([one, other])
    assert both == Load(3.6, 0.1, 1.9, 2.5, 180, 1)
    assert both.share == pytest.approx(3.7 / 1.9)
    assert together([]).share == 0.0
