"""The parked car of a bad day: vans in front, a lost camera, restarts, half the looks; it is one case until it is seen gone."""

import pytest

from citybrain.domain.camera import Zone, ZoneKind
from citybrain.domain.detection import Usable
from citybrain.domain.geometry import Box, Polygon
from tests.flows.street import IN_FRONT_OF_A, A, B, C, Street, Thing, camera, city, messages, replay, scene, told

LEFT, RIGHT = Box(0.0, 0.42, 0.12, 0.75), Box(0.70, 0.42, 0.98, 0.75)


def van(since, *, seconds=6, who="van"):
    return Thing(LEFT, since, since + seconds, "truck", who, to=RIGHT)


def kinds(events):
    return [kind for kind, _ in told(events)]


BAD_DAY = Street(
    things=[
        Thing(A, 20, 1500, who="ours"),
        *(van(at, who=f"van {at}") for at in (60, 200, 340, 700, 718, 900)),
        Thing(IN_FRONT_OF_A, 1000, 1040, "truck", "stops for a moment in front"),
    ],
    blind=[(720, 840, Usable.LOST)],
    restarts=[150, 400, 1100],
    missed=0.1,
)


@pytest.mark.parametrize("every", [0.5, 1, 2, 4, 10])
def test_it_is_one_case_however_often_the_camera_is_looked_at(every):
    events = replay(messages(BAD_DAY.looks(every=every, until=2000)))
    filed = [event for event in events if event.type.value.endswith("filed")]
    assert len(filed) == 1
    case = events[-1].case
    assert kinds(events) == ["filed", "status", "status", "cleared"]
    assert abs((filed[0].case.confirmed_at - filed[0].case.began_at).total_seconds() - 300) <= 2 * every + 1
    first, last = told(events)[0][1], told(events)[-1][1]
    # A look or two may miss it at either end; a verdict may come a look later, never earlier than it was true.
    assert 320 <= first <= 320 + 4 * every
    assert abs(last - 1620) <= 3 * every
    assert not case.present
    assert {event.case.id for event in events} == {case.id}


@pytest.mark.parametrize("seed", range(8))
def test_it_is_one_case_when_the_sampling_is_halved_in_the_middle(seed):
    street = Street(BAD_DAY.things, BAD_DAY.blind, restarts=BAD_DAY.restarts, missed=0.1, seed=seed)
    looks = [*street.looks(every=1, until=600), *street.looks(every=2, until=2000, since=600)]
    assert kinds(replay(messages(looks))) == ["filed", "status", "status", "cleared"]


def test_a_van_that_passes_just_as_the_camera_is_lost_takes_nobodys_place():
    over = Box(A.x1 - 0.01, A.y1 - 0.02, A.x2 + 0.02, A.y2 + 0.02)
    street = Street([Thing(A, until=700), Thing(over, 400, 402, "truck", "van")], [(402, 520, Usable.LOST)], missed=0)
    assert kinds(replay(messages(street.looks(until=900)))) == ["filed", "status", "status", "cleared"]


def test_it_clears_although_a_car_beside_it_leans_over_its_place():
    beside = Box(A.x1 + 0.085, A.y1 + 0.01, A.x2 + 0.085, A.y2 + 0.01)
    street = Street([Thing(A, until=600), Thing(beside, who=2)], missed=0)
    assert kinds(replay(messages(street.looks(until=900)))) == ["filed", "filed", "cleared"]


def test_it_clears_although_a_car_that_may_stand_there_leans_over_its_place():
    half = Zone("kerb", ZoneKind.NO_PARKING, Polygon(((0.05, 0.3), (0.3, 0.3), (0.3, 0.95), (0.05, 0.95))))
    allowed = Thing(Box(A.x1 + 0.085, A.y1, A.x2 + 0.085, A.y2), who=2)
    street = Street([Thing(A, until=600), allowed], missed=0)
    events = replay(messages(street.looks(until=900)), city(cameras=[camera(zones=(half,))]))
    assert kinds(events) == ["filed", "cleared"]


def test_it_clears_although_what_leans_over_its_place_is_nothing_the_scene_asks_for():
    stall = Thing(Box(A.x1 + 0.085, A.y1, A.x2 + 0.085, A.y2), label="stall", who="stall")
    street = Street([Thing(A, until=600), stall], missed=0)
    assert kinds(replay(messages(street.looks(until=900)))) == ["filed", "cleared"]


def test_another_car_in_its_place_is_another_case():
    street = Street([Thing(A, until=600), Thing(A, 660, who=2)], missed=0)
    events = replay(messages(street.looks(until=1500)))
    assert kinds(events) == ["filed", "status", "cleared", "filed"]
    assert events[2].case.reason == "replaced"
    assert events[3].case.id != events[0].case.id
    assert (events[3].case.confirmed_at - events[3].case.began_at).total_seconds() == 300, "its stay is its own"


def test_another_car_that_came_while_the_camera_was_lost_is_another_case():
    street = Street([Thing(A, until=650), Thing(A, 655, who=2)], [(640, 700, Usable.LOST)], missed=0)
    events = replay(messages(street.looks(until=1500)))
    assert kinds(events).count("filed") == 2
    assert len({event.case.id for event in events}) == 2


def test_a_car_that_returns_within_the_hour_joins_its_own_open_case():
    street = Street([Thing(A, until=600), Thing(A, 1200, 2000)], missed=0)
    events = replay(messages(street.looks(until=2400)))
    assert kinds(events) == ["filed", "cleared", "merged", "cleared"]
    assert {event.case.id for event in events} == {events[0].case.id}


def test_three_cars_are_three_cases_and_passing_traffic_is_none():
    passing = [van(at, who=at) for at in range(30, 1200, 17)]
    street = Street([Thing(A, who=1), Thing(B, who=2), Thing(C, 30, who=3), *passing], missed=0.02)
    events = replay(messages(street.looks(until=1200)), city([scene()]))
    assert kinds(events) == ["filed"] * 3


def test_a_night_in_which_nothing_moves_tells_one_case_not_a_hundred():
    street = Street([Thing(A)], [(7200, 10800, Usable.DARK)], missed=0.1)
    assert kinds(replay(messages(street.looks(every=4, until=6 * 3600)))) == ["filed", "status", "status"]
