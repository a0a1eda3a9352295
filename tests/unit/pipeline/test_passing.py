"""What time does to cases: working hours run, who is in charge is told level by level, deferrals and silences end."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citybrain.domain.area import Area
from citybrain.domain.camera import Text
from citybrain.domain.case import CaseAction, CaseState, Light
from citybrain.domain.command import Act, Delivered, Silence, Silenced, Tick
from citybrain.domain.episode import ChangeKind, EpisodeChange
from citybrain.wire import COMMANDS, case_fields, read_case, write_command
from pipeline.areas import Areas, next_level
from pipeline.calendar import WEEKDAYS, Calendar, Counts
from pipeline.cases.deadlines import light_at
from pipeline.cases.episodes import advance_episode
from pipeline.codes import Allowed
from pipeline.flow import Pipeline
from pipeline.pace import Pace
from pipeline.routes import Routes
from pipeline.runners.memory import HeldStates
from pipeline.state import read_locality, read_silences, write_locality, write_silences
from tests.flows.street import A, B, camera, city, scene

HOUR, MINUTE, SECOND, DAY = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1), timedelta(days=1)
EIGHT = datetime(2026, 11, 23, 0, tzinfo=UTC)  # Monday, 08:00 in Shanghai
CELL = "530111001001003"
NAME = Text("某地", "somewhere")
DISTRICT = Area(
    "530111",
    NAME,
    "district",
    "district",
    areas=(
        Area(
            "530111001",
            NAME,
            "street",
            "street",
            {"illegal_parking": "street_traffic"},
            (Area("530111001001", NAME, "community", areas=(Area(CELL, NAME, "unit", "cell"),)),),
        ),
    ),
)
AREAS = Areas((DISTRICT,))
WEEK = Calendar("Asia/Shanghai", dict.fromkeys(WEEKDAYS[:5], ((8 * 60, 12 * 60), (14 * 60, 18 * 60))))
PLACE = "place:corner"


class Corner:
    """A city with one camera, and everything that was told of its cases."""

    def __init__(self, *, like=None, routes=None, cell=CELL, **more):
        self.town = city([like or scene()], [camera("gd-1", grid_cell=cell)], routes, **more)
        self.pipeline, self.states, self.told, self.aside = Pipeline(self.town), HeldStates(), [], []

    def sees(self, at, kind=ChangeKind.BEGAN, *, place="one", began=None, box=A):
        change = EpisodeChange(
            kind,
            "illegal_parking",
            "gd-1",
            "kerb",
            f"gd-1/kerb/{place}",
            PLACE,
            began or at,
            at,
            "car",
            0.9,
            box,
            1.0,
            0.0,
            0.0,
            stamps={"captured": at, "confirmed": at},
        )
        state, told = advance_episode(
            self.states.locality(PLACE), change, replace(self.town, silences=self.states.silences())
        )
        self.states.held[PLACE] = state
        return self._tell(told)

    def ticks(self, at):
        return self._asks(Tick(f"tick-{at}", at))

    def acts(self, action, at, **more):
        return self._asks(Act(f"act-{at}", self.case.id, PLACE, CaseAction(action), "li", at, **more))

    def silences(self, at, *, id="silence-1", since=None, until=None, **match):
        since = since or at
        silence = Silence(id, since, until or since + HOUR, "li", "a fair", **match)
        return self._asks(Silenced(f"{id}-{at}", silence, at))

    def is_delivered(self, event, at):
        return self._asks(Delivered("d", self.case.id, PLACE, event, at, at + SECOND, at + 2 * SECOND, "D-7"))

    def _asks(self, command):
        effects = self.pipeline.step(COMMANDS, write_command(command), self.states)
        self.states.take(effects)
        self.aside += effects.set_aside
        return self._tell(effects.told)

    def _tell(self, told):
        self.told += told
        return [each.event.type.value.rpartition(".")[2] for each in told]

    @property
    def case(self):
        return self.states.locality(PLACE).records[-1].case

    @property
    def desk(self):
        """What the dispatch system was told, in order."""
        return [each.event for each in self.told if each.dispatch]


# -- the time allowed -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("route", "category", "hours", "counts"),
    [
        ({}, None, 2, Counts.ALWAYS),
        ({}, Allowed(deadline=4 * HOUR), 4, Counts.ALWAYS),
        ({}, Allowed(deadline=4 * HOUR, clock=Counts.WORKING_HOURS), 4, Counts.WORKING_HOURS),
        ({"deadline": "1h"}, Allowed(deadline=4 * HOUR, clock=Counts.WORKING_HOURS), 1, Counts.WORKING_HOURS),
        (
            {"deadline": "1h", "clock": "always"},
            Allowed(deadline=4 * HOUR, clock=Counts.WORKING_HOURS),
            1,
            Counts.ALWAYS,
        ),
        ({"clock": "working_hours"}, None, 2, Counts.WORKING_HOURS),
    ],
)
def test_the_route_says_the_time_allowed_else_the_category_else_the_scene(route, category, hours, counts):
    routes = Routes.model_validate({"routes": [route | {"unit": "patrol"}]})
    corner = Corner(routes=routes, calendar=WEEK, allowed={"05-05": category} if category else {})
    corner.sees(EIGHT + 9 * HOUR)  # 17:00: an hour is left of the working day
    late = counts is Counts.WORKING_HOURS and hours > 1
    night = 14 * HOUR if late else timedelta()
    assert corner.case.due_at == EIGHT + 9 * HOUR + hours * HOUR + night
    warn = 0.8 * hours * HOUR
    assert corner.case.warn_at == EIGHT + 9 * HOUR + warn + (night if warn > HOUR else timedelta())


def test_a_case_of_friday_evening_turns_red_on_the_working_day_after_the_festival():
    festival = {date(2026, 11, 30) + n * DAY: NAME for n in range(3)}  # Monday to Wednesday
    calendar = replace(WEEK, holidays=festival)
    corner = Corner(calendar=calendar, allowed={"05-05": Allowed(deadline=2 * HOUR, clock=Counts.WORKING_HOURS)})
    friday = EIGHT + 4 * DAY + 9 * HOUR
    corner.sees(friday)
    assert corner.case.due_at == EIGHT + 10 * DAY + HOUR  # Thursday, 09:00
    assert corner.case.warn_at == EIGHT + 10 * DAY + 36 * MINUTE
    for at in (friday + HOUR, friday + 2 * DAY, EIGHT + 9 * DAY, EIGHT + 10 * DAY):
        assert corner.ticks(at) == []
    assert corner.ticks(EIGHT + 10 * DAY + 36 * MINUTE) == ["status"]
    lights = [corner.case.light]
    for after in (HOUR, HOUR + SECOND):
        corner.ticks(EIGHT + 10 * DAY + after)
        lights.append(corner.case.light)
    assert lights == [Light.YELLOW, Light.YELLOW, Light.RED]


def test_a_case_stored_before_it_had_a_warning_has_one_at_four_fifths():
    corner = Corner()
    corner.sees(EIGHT)
    fields = case_fields(corner.case)
    old = read_case({name: value for name, value in fields.items() if name != "warn_at"})
    assert light_at(old, EIGHT + 95 * MINUTE) is Light.GREEN
    assert light_at(old, EIGHT + 96 * MINUTE) is Light.YELLOW


def test_more_time_moves_the_warning_too():
    corner = Corner(calendar=WEEK, allowed={"05-05": Allowed(deadline=2 * HOUR, clock=Counts.WORKING_HOURS)})
    corner.sees(EIGHT)
    corner.acts(
        "extend", EIGHT + HOUR, until=EIGHT + 12 * HOUR, reason="parts are ordered"
    )  # after work: eight hours of it
    assert corner.case.due_at == EIGHT + 12 * HOUR
    assert corner.case.warn_at == EIGHT + 8.4 * HOUR


# -- up the tree ----------------------------------------------------------------------------------------------------------


def test_when_time_runs_out_whoever_is_in_charge_is_told_level_by_level():
    corner = Corner(areas=AREAS)
    corner.sees(EIGHT)
    corner.ticks(EIGHT + 2 * HOUR)
    assert corner.case.escalation == 0
    assert corner.ticks(EIGHT + 2 * HOUR + SECOND) == ["escalated"]
    case = corner.case
    assert (case.escalation, case.escalated_to, case.reason, case.light) == (1, "cell", "time ran out", Light.RED)
    assert corner.desk[-1].type.value == "citybrain.case.escalated"
    assert corner.ticks(EIGHT + 3 * HOUR) == []
    assert corner.ticks(EIGHT + 3 * HOUR + SECOND) == ["escalated"]  # half of the two hours allowed later
    assert corner.case.escalated_to == "street"  # the community has nobody in charge
    corner.ticks(EIGHT + 4 * HOUR + SECOND)
    assert (corner.case.escalation, corner.case.escalated_to) == (3, "district")
    assert corner.ticks(EIGHT + 50 * HOUR) == []


def test_whoever_looks_late_tells_every_level_that_should_know():
    corner = Corner(areas=AREAS)
    corner.sees(EIGHT)
    assert corner.ticks(EIGHT + DAY) == ["escalated"] * 3
    assert [each.case.escalated_to for each in corner.desk[1:]] == ["cell", "street", "district"]


def test_the_time_between_levels_is_the_routes_or_the_areas_own():
    areas = replace(AREAS, escalate_every=3 * HOUR)
    for routes, every in (({}, 3), ({"routes": [{"unit": "a", "escalate_every": "5h"}]}, 5)):
        corner = Corner(areas=areas, routes=Routes.model_validate(routes))
        corner.sees(EIGHT)
        corner.ticks(EIGHT + 2 * HOUR + SECOND)
        assert corner.ticks(EIGHT + 2 * HOUR + every * HOUR) == []
        assert corner.ticks(EIGHT + 2 * HOUR + every * HOUR + SECOND) == ["escalated"]


def test_the_time_between_levels_runs_by_the_cases_clock():
    allowed = {"05-05": Allowed(deadline=4 * HOUR, clock=Counts.WORKING_HOURS)}
    corner = Corner(areas=AREAS, calendar=WEEK, allowed=allowed)
    corner.sees(EIGHT)
    assert corner.ticks(EIGHT + 5 * HOUR) == ["escalated"]  # 13:00: nobody works, and nobody is told
    assert corner.ticks(EIGHT + 8 * HOUR) == []
    assert corner.ticks(EIGHT + 8 * HOUR + SECOND) == ["escalated"]  # 16:00: two hours of work later


def test_people_escalate_to_the_same_next_level_before_time_does():
    corner = Corner(areas=AREAS)
    corner.sees(EIGHT)
    assert next_level(corner.case, AREAS) == "cell"
    corner.acts("escalate", EIGHT + HOUR)
    assert (corner.case.escalation, corner.case.escalated_to) == (1, "cell")
    corner.ticks(EIGHT + 2 * HOUR + SECOND)
    assert (corner.case.escalation, corner.case.escalated_to) == (2, "street")


@pytest.mark.parametrize("cell", [None, "530112001001003"])
def test_where_nobody_is_in_charge_nobody_is_told(cell):
    corner = Corner(areas=AREAS, cell=cell)
    corner.sees(EIGHT)
    assert corner.ticks(EIGHT + 9 * HOUR) == ["status"]
    assert corner.case.escalation == 0
    assert next_level(corner.case, AREAS) is None


def test_a_scene_on_trial_troubles_nobody():
    corner = Corner(areas=AREAS, like=scene(status="trial"))
    corner.sees(EIGHT)
    corner.ticks(EIGHT + 9 * HOUR)
    assert (corner.case.escalation, corner.desk) == (0, [])


def test_the_lowest_area_that_names_a_unit_for_the_scene_has_it_unless_a_route_does():
    corner = Corner(areas=AREAS)
    corner.sees(EIGHT)
    assert corner.case.unit == "street_traffic"
    corner = Corner(areas=AREAS, routes=Routes.model_validate({"routes": [{"unit": "patrol"}]}))
    corner.sees(EIGHT)
    assert corner.case.unit == "patrol"


def test_a_reopened_case_has_all_its_time_and_begins_at_the_lowest_level_again():
    corner = Corner(areas=AREAS)
    corner.sees(EIGHT)
    corner.ticks(EIGHT + 3 * HOUR + SECOND)
    corner.acts("close", EIGHT + 4 * HOUR)
    corner.acts("reopen", EIGHT + 9 * DAY, reason="not_gone")
    case = corner.case
    assert (case.due_at, case.light) == (EIGHT + 9 * DAY + 2 * HOUR, Light.GREEN)
    assert (case.escalation, case.escalated_to) == (0, None)
    assert corner.ticks(EIGHT + 9 * DAY + HOUR) == []
    corner.ticks(EIGHT + 9 * DAY + 2 * HOUR + SECOND)
    assert corner.case.escalated_to == "cell"


def test_a_case_stored_before_its_time_was_known_keeps_what_it_has():
    corner = Corner(areas=AREAS)
    corner.sees(EIGHT)
    state = corner.states.locality(PLACE)
    corner.states.held[PLACE] = replace(state, records=[replace(each, pace=Pace()) for each in state.records])
    corner.acts("close", EIGHT + HOUR)
    corner.acts("reopen", EIGHT + 9 * DAY, reason="not_gone")
    assert corner.case.due_at == EIGHT + 2 * HOUR
    assert corner.ticks(EIGHT + 9 * DAY + HOUR) == ["status"]
    corner.acts("extend", EIGHT + 10 * DAY, until=EIGHT + 11 * DAY, reason="parts are ordered")
    assert corner.ticks(EIGHT + 12 * DAY) == ["escalated"]


# -- deferred -------------------------------------------------------------------------------------------------------------


def test_no_time_runs_while_a_case_is_deferred_and_what_was_left_is_left_after():
    corner = Corner(areas=AREAS)
    corner.sees(EIGHT)
    corner.acts("defer", EIGHT + HOUR, reason="the road is dug up")
    assert corner.ticks(EIGHT + 9 * DAY) == []
    assert (corner.case.state, corner.case.light, corner.case.escalation) == (CaseState.DEFERRED, Light.GREEN, 0)
    corner.acts("handle", EIGHT + 9 * DAY)
    assert corner.case.due_at == EIGHT + 9 * DAY + HOUR
    assert corner.case.warn_at == EIGHT + 9 * DAY + 36 * MINUTE
    assert corner.ticks(EIGHT + 9 * DAY + HOUR + SECOND) == ["escalated"]


def test_a_deferral_ends_by_itself_on_the_day_it_was_deferred_to():
    corner = Corner()
    corner.sees(EIGHT)
    corner.is_delivered(f"{corner.case.id}-1", EIGHT)
    corner.acts("defer", EIGHT + HOUR, until=EIGHT + 3 * DAY)
    assert corner.ticks(EIGHT + 3 * DAY - SECOND) == []
    assert corner.ticks(EIGHT + 3 * DAY + 5 * SECOND) == ["status"]
    assert (corner.case.state, corner.case.reason) == (CaseState.DISPATCHED, "deferral over")
    assert corner.case.due_at == EIGHT + 3 * DAY + HOUR
    assert corner.ticks(EIGHT + 3 * DAY + 10 * SECOND) == []


def test_a_deferral_after_time_ran_out_changes_nothing_of_that():
    corner = Corner(areas=AREAS)
    corner.sees(EIGHT)
    corner.ticks(EIGHT + 2 * HOUR + SECOND)
    corner.acts("defer", EIGHT + 2.5 * HOUR)
    corner.acts("handle", EIGHT + 10 * HOUR)
    assert corner.case.due_at == EIGHT + 2 * HOUR
    assert corner.case.light is Light.RED
    assert corner.ticks(EIGHT + 10.5 * HOUR) == []
    assert corner.ticks(EIGHT + 10.5 * HOUR + SECOND) == ["escalated"]


# -- silences -------------------------------------------------------------------------------------------------------------


def test_a_silenced_case_is_filed_and_shown_and_the_desk_hears_nothing():
    corner = Corner(areas=AREAS)
    corner.silences(EIGHT, scene="illegal_parking")
    assert corner.sees(EIGHT + MINUTE) == ["filed"]
    case = corner.case
    assert (case.state, case.silenced, case.reason, case.note) == (
        CaseState.FILED,
        "silence-1",
        "silenced",
        "li: a fair",
    )
    assert not case.trial
    assert corner.desk == []
    assert corner.states.locality(PLACE).counts == {"filed:silenced": 1}


def test_when_the_silence_ends_while_the_thing_is_there_it_is_told_then_with_all_its_time():
    corner = Corner()
    corner.silences(EIGHT)
    corner.sees(EIGHT + MINUTE)
    assert corner.ticks(EIGHT + HOUR - SECOND) == []
    assert corner.ticks(EIGHT + HOUR) == ["status"]
    case = corner.case
    assert (case.silenced, case.reason, case.stamps["released"]) == (None, "silence over", EIGHT + HOUR)
    assert case.stamps["filed"] == EIGHT + MINUTE
    assert case.due_at == EIGHT + 3 * HOUR
    (first,) = corner.desk
    assert first.case == case
    assert corner.is_delivered(first.id, EIGHT + HOUR + 5 * SECOND) == ["dispatched"]
    case = corner.case
    assert case.state is CaseState.DISPATCHED
    assert case.latency_s == (59 * MINUTE + 6 * SECOND).total_seconds()  # late, and saying so
    assert (case.stamps["filed"], case.stamps["released"]) == (EIGHT + MINUTE, EIGHT + HOUR + 5 * SECOND)
    assert corner.ticks(EIGHT + 2 * HOUR) == []


def test_when_the_silence_is_ended_early_it_is_told_at_once():
    corner = Corner()
    corner.silences(EIGHT)
    corner.sees(EIGHT + MINUTE)
    assert corner.silences(EIGHT + 10 * MINUTE, since=EIGHT, until=EIGHT + 10 * MINUTE) == ["status"]
    assert len(corner.desk) == 1
    assert corner.told[-1].event.cause is not None
    assert corner.sees(EIGHT + 11 * MINUTE, place="two", box=B) == ["filed"]
    assert corner.case.silenced is None


def test_what_was_over_by_itself_is_never_told_unless_it_comes_back():
    corner = Corner()
    corner.silences(EIGHT)
    corner.sees(EIGHT + MINUTE)
    corner.sees(EIGHT + 30 * MINUTE, ChangeKind.ENDED, began=EIGHT + MINUTE)
    assert corner.ticks(EIGHT + 2 * HOUR) == []
    assert corner.desk == []
    assert corner.sees(EIGHT + 3 * HOUR) == ["merged"]
    assert corner.ticks(EIGHT + 3 * HOUR + 10 * SECOND) == ["status"]
    assert len(corner.desk) == 1


def test_what_people_rejected_meanwhile_is_never_told():
    corner = Corner()
    corner.silences(EIGHT)
    corner.sees(EIGHT + MINUTE)
    corner.acts("reject", EIGHT + 2 * MINUTE, reason="not_there")
    assert corner.ticks(EIGHT + 2 * HOUR) == []
    assert corner.desk == []


def test_no_time_runs_out_while_a_silence_holds():
    corner = Corner(areas=AREAS)
    corner.silences(EIGHT, until=EIGHT + 9 * HOUR)
    corner.sees(EIGHT + MINUTE)
    assert corner.ticks(EIGHT + 8 * HOUR) == []
    assert (corner.case.light, corner.case.escalation) == (Light.GREEN, 0)


def test_what_was_told_before_a_silence_goes_on_being_told():
    corner = Corner()
    corner.sees(EIGHT)
    corner.silences(EIGHT + MINUTE)
    corner.sees(EIGHT + 2 * MINUTE, ChangeKind.ENDED, began=EIGHT)
    assert [each.type.value.rpartition(".")[2] for each in corner.desk] == ["filed", "cleared"]


def test_another_silence_takes_over_what_the_first_held():
    corner = Corner()
    corner.silences(EIGHT)
    corner.sees(EIGHT + MINUTE)
    corner.silences(EIGHT + 2 * MINUTE, id="silence-2", until=EIGHT + 5 * HOUR, grid_cell="530111")
    assert corner.ticks(EIGHT + HOUR) == ["status"]
    assert corner.case.silenced == "silence-2"
    assert corner.desk == []
    assert corner.ticks(EIGHT + 5 * HOUR) == ["status"]
    assert len(corner.desk) == 1


def test_a_silence_of_the_configuration_ends_when_it_is_taken_out():
    said = {"since": "2026-11-23T00:00:00Z", "until": "2026-11-24T00:00:00Z", "author": "li", "reason": "a fair"}
    corner = Corner(routes=Routes.model_validate({"silences": [said]}))
    corner.sees(EIGHT)
    assert corner.case.silenced == corner.town.routes.kept_silent[0].id
    corner.pipeline = Pipeline(city([scene()], [camera("gd-1", grid_cell=CELL)]))
    assert corner.ticks(EIGHT + MINUTE) == ["status"]
    assert len(corner.desk) == 1


@pytest.mark.parametrize(
    ("match", "silent"),
    [
        ({}, True),
        ({"scene": "fire_risk"}, False),
        ({"camera": "gd-1"}, True),
        ({"camera": "gd-2"}, False),
        ({"grid_cell": "530111001"}, True),
        ({"grid_cell": "530112"}, False),
    ],
)
def test_a_silence_holds_what_it_is_about(match, silent):
    corner = Corner()
    corner.silences(EIGHT, **match)
    corner.sees(EIGHT + MINUTE)
    assert (corner.case.silenced is not None) is silent


def test_a_silence_that_is_to_come_holds_nothing_before_and_can_be_taken_back():
    corner = Corner()
    corner.silences(EIGHT, since=EIGHT + HOUR)
    corner.sees(EIGHT + MINUTE)
    assert corner.case.silenced is None
    corner.silences(EIGHT + 2 * MINUTE, since=EIGHT + HOUR, until=EIGHT + HOUR)
    corner.sees(EIGHT + HOUR + MINUTE, place="two", box=B)
    assert corner.case.silenced is None


def test_a_silence_that_is_over_is_not_made_longer_and_none_is_made_of_the_past():
    corner = Corner()
    corner.silences(EIGHT)
    corner.silences(EIGHT + 2 * HOUR, since=EIGHT, until=EIGHT + 9 * HOUR)
    corner.silences(EIGHT + 2 * HOUR, id="silence-2", since=EIGHT, until=EIGHT + HOUR)
    assert [each.reason for each in corner.aside] == [
        "the silence is over",
        "the silence was over when it was asked for",
    ]
    corner.sees(EIGHT + 3 * HOUR)
    assert len(corner.desk) == 1


def test_silences_and_paces_are_stored_as_they_are():
    corner = Corner(calendar=WEEK, allowed={"05-05": Allowed(deadline=HOUR, clock=Counts.WORKING_HOURS)})
    corner.silences(EIGHT, scene="illegal_parking", grid_cell="5301")
    corner.sees(EIGHT + MINUTE)
    corner.acts("defer", EIGHT + 2 * MINUTE, until=EIGHT + DAY)
    state, silences = corner.states.locality(PLACE), corner.states.silences()
    assert read_silences(write_silences(silences)) == silences
    stored = read_locality(write_locality(state))
    assert stored.records[0].pace == state.records[0].pace
    assert stored.records[0].pace.counts is Counts.WORKING_HOURS


@given(
    st.datetimes(datetime(2026, 11, 1), datetime(2026, 12, 1)),  # noqa: DTZ001 - made aware below
    st.integers(1, 10**9),
    st.sampled_from(Counts),
    st.integers(0, 10**8),
)
def test_a_restart_moves_no_instant_of_a_case_by_so_much_as_a_microsecond(since, allowed_ms, counts, wait_ms):
    filed_at = since.replace(tzinfo=UTC, microsecond=since.microsecond // 1000 * 1000)
    allowed = allowed_ms * timedelta(milliseconds=1)
    corner = Corner(areas=AREAS, calendar=WEEK, allowed={"05-05": Allowed(deadline=allowed, clock=counts)})
    corner.sees(filed_at)
    corner.acts("defer", filed_at + wait_ms * timedelta(milliseconds=1))
    corner.acts("handle", filed_at + DAY + wait_ms * timedelta(milliseconds=1))
    corner.ticks(filed_at + 40 * DAY)
    state = corner.states.locality(PLACE)
    assert read_locality(write_locality(state)) == state
