"""Who handles a case and by when, and whether they are told: by scene, camera, grid cell, hour and silence."""

from datetime import UTC, date, datetime, timedelta

import pytest
from pydantic import ValidationError

from citybrain.domain.camera import Text
from pipeline.calendar import EVERY_HOUR, WEEKDAYS, Calendar
from pipeline.dispatch import Reason, decide
from pipeline.routes import Route, Routes, Spot
from tests.flows.street import camera, city, scene

PARKING, HERE = scene(), camera(grid_cell="530111001001003")
EIGHT = datetime(2026, 11, 21, 8, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


def decision(routes=(), silences=(), *, at=EIGHT, where=HERE, what=PARKING, town=None, **more):
    spot = Spot(where.id, where.grid_cell)
    said = Routes.model_validate({"routes": routes, "silences": silences} | more)
    return decide(what, spot, at, city=city(routes=said, **(town or {})))


def test_without_a_route_the_scene_says_who_and_by_when():
    found = decision()
    assert (found.dispatch, found.reason, found.unit) == (True, Reason.FIRST_NOTICE, "traffic_order")
    assert found.due_at == EIGHT + 2 * HOUR


@pytest.mark.parametrize(
    ("hours", "shanghai", "on"),
    [
        ("08:00-18:00", "07:59", False),
        ("08:00-18:00", "08:00", True),
        ("08:00-18:00", "17:59", True),
        ("08:00-18:00", "18:00", False),
        ("22:00-06:00", "21:59", False),
        ("22:00-06:00", "22:00", True),
        ("22:00-06:00", "00:00", True),
        ("22:00-06:00", "05:59", True),
        ("22:00-06:00", "06:00", False),
    ],
)
def test_hours_are_the_citys_own_and_may_pass_midnight(hours, shanghai, on):
    hour, minute = map(int, shanghai.split(":"))
    at = datetime(2026, 11, 21, hour, minute, tzinfo=UTC) - 8 * HOUR
    found = decision([{"hours": hours, "unit": "patrol", "deadline": "1h"}], at=at)
    assert (found.unit == "patrol") is on
    assert found.due_at == at + (1 if on else 2) * HOUR


def test_another_citys_hours_are_its_own():
    route = {"hours": "08:00-09:00", "unit": "patrol"}
    assert decision([route], timezone="UTC").unit == "patrol"
    assert decision([route], timezone="Europe/Berlin").unit == "traffic_order"


@pytest.mark.parametrize(
    ("match", "fits"),
    [
        ({}, True),
        ({"scene": "illegal_parking"}, True),
        ({"scene": "fire_risk"}, False),
        ({"camera": "gd-1"}, True),
        ({"camera": "gd-2"}, False),
        ({"grid_cell": "530111"}, True),
        ({"grid_cell": "530112"}, False),
        ({"scene": "illegal_parking", "camera": "gd-2"}, False),
    ],
)
def test_what_a_route_does_not_say_matches_everything(match, fits):
    assert (decision([match | {"unit": "patrol"}]).unit == "patrol") is fits
    assert (decision([match | {"unit": "patrol"}], where=camera()).unit == "patrol") is (
        fits and "grid_cell" not in match
    )


def test_a_place_that_no_camera_sees_is_routed_by_its_cell():
    routes = Routes.model_validate({"routes": [{"camera": "gd-1", "unit": "a"}, {"grid_cell": "530111", "unit": "b"}]})
    assert decide(PARKING, Spot(None, "530111001001003"), EIGHT, city=city(routes=routes)).unit == "b"
    assert decide(PARKING, Spot(None, None), EIGHT, city=city(routes=routes)).unit == "traffic_order"


def test_the_first_route_that_matches_wins():
    routes = [{"camera": "gd-2", "unit": "b"}, {"scene": "illegal_parking", "unit": "c"}, {"unit": "d"}]
    assert decision(routes).unit == "c"


def silence(since="2026-11-21T15:00:00+08:00", until="2026-11-21T17:00:00+08:00", **match):
    return {"since": since, "until": until, "author": "li", "reason": "a fair"} | match


@pytest.mark.parametrize(
    ("at", "told"),
    [(EIGHT - HOUR - timedelta(seconds=1), True), (EIGHT - HOUR, False), (EIGHT, False), (EIGHT + HOUR, True)],
)
def test_a_silence_lasts_from_its_since_to_its_until(at, told):
    found = decision(silences=[silence()], at=at)
    assert found.dispatch is told
    assert found.reason is (Reason.FIRST_NOTICE if told else Reason.SILENCED)
    assert found.note == ("" if told else "li: a fair")


def test_a_silence_about_another_camera_silences_nothing():
    assert decision(silences=[silence(camera="gd-2")]).dispatch


def test_a_scene_on_trial_is_told_to_nobody_and_says_so():
    found = decision(what=scene(status="trial"))
    assert (found.dispatch, found.reason) == (False, Reason.TRIAL)


@pytest.mark.parametrize(
    "wrong",
    [
        {"routes": [{"unit": "a", "hours": "8:00-18:00"}]},
        {"routes": [{"unit": "a", "hours": "08:00-24:00"}]},
        {"routes": [{"unit": "a", "deadline": "0s"}]},
        {"routes": [{"deadline": "1h"}]},
        {"routes": [{"unit": "a", "grid_cell": "53011x"}]},
        {"silences": [silence(since="2026-11-21T15:00:00")]},
        {"silences": [silence(since=datetime(2026, 11, 21, 15))]},  # noqa: DTZ001  # as YAML gives one without offset
        {"silences": [silence(until="2026-11-21T15:00:00+08:00")]},
        {"timezone": "Mars/Olympus"},
    ],
)
def test_what_is_no_route_or_silence_is_refused(wrong):
    with pytest.raises(ValidationError):
        Routes.model_validate(wrong)


def test_an_hour_of_no_length_is_never_on():
    route = Route(unit="a", hours="08:00-08:00")
    assert not any(route.is_on(EIGHT + minute * MINUTE, EVERY_HOUR) for minute in range(1440))


# -- days -----------------------------------------------------------------------------------------------------------------

SHANGHAI = timedelta(hours=8)
FESTIVAL = Text("国庆节", "National Day")
WORKED = Calendar(
    "Asia/Shanghai",
    dict.fromkeys(WEEKDAYS[:5], ((8 * 60, 18 * 60),)),
    {date(2026, 10, 1): FESTIVAL, date(2026, 10, 2): FESTIVAL},
    {date(2026, 10, 10): WEEKDAYS[0]},
)


@pytest.mark.parametrize(
    ("days", "hours", "at", "on"),
    [
        ("working", None, "2026-11-23 10:00", True),
        ("working", None, "2026-11-22 10:00", False),
        ("working", None, "2026-10-10 10:00", True),  # a Saturday that is worked
        ("off", None, "2026-11-22 10:00", True),
        ("off", None, "2026-10-01 10:00", True),
        ("holiday", None, "2026-10-01 10:00", True),
        ("holiday", None, "2026-11-22 10:00", False),
        (["saturday", "sunday"], None, "2026-11-22 10:00", True),
        (["saturday", "holiday"], None, "2026-10-02 10:00", True),
        ("holiday", "08:00-18:00", "2026-10-01 19:00", False),
        ("friday", "22:00-06:00", "2026-11-20 23:00", True),
        ("friday", "22:00-06:00", "2026-11-21 05:59", True),  # of the night that began on Friday
        ("saturday", "22:00-06:00", "2026-11-21 05:59", False),
        ("friday", "22:00-06:00", "2026-11-20 05:59", False),
        ("friday", "22:00-06:00", "2026-11-20 12:00", False),
        ("friday", None, "2026-11-20 23:59", True),
    ],
)
def test_a_route_may_hold_on_some_days_alone(days, hours, at, on):
    when = datetime.fromisoformat(f"{at}+00:00") - SHANGHAI
    route = {"unit": "patrol", "days": days} | ({"hours": hours} if hours else {})
    assert (decision([route], at=when, town={"calendar": WORKED}).unit == "patrol") is on
