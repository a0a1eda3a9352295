"""Reports: they become part of the case they are near, or a case that cameras join later; what people said is never lost."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citybrain.domain.case import CaseAction, CaseState, Origin, Report
from citybrain.domain.command import Act, Delivered, Reported
from citybrain.domain.episode import ChangeKind, EpisodeChange, Evidence
from pipeline.cases.actions import act
from pipeline.cases.episodes import advance_episode, withdraw
from pipeline.cases.notices import delivered
from pipeline.cases.passing import tick
from pipeline.cases.records import LocalityState
from pipeline.cases.reports import MOST_REPORTS, report
from pipeline.dispatch import Reason
from pipeline.state import read_locality, write_locality
from tests.flows.street import FIRE, HOUR, MINUTE, SECOND, START, A, B, camera, city, scene

FLOOD = FIRE | {"id": "waterlogging", "group": {"radius_m": 60}}
TOWN = city([scene(), scene(FLOOD), scene(FIRE, status="trial")], [camera("gd-1"), camera("gd-2")])
HERE = (102.7, 25.0)  # where the cameras stand
CELL = "530111001001003"
METRE = 1 / 111_195  # degrees of latitude


def north(metres: float):
    return HERE[0], HERE[1] + metres * METRE


def said(n=1, *, at=0, where=HERE, origin=Origin.HOTLINE, scene="illegal_parking", sensor="", ended=False, **more):
    when = START + at * SECOND
    id = f"report-{n}"
    fields: dict[str, Any] = {
        "grid_cell": CELL,
        "actor": "platform",
        "label": sensor.partition("-")[0] or "report",
    } | more
    return Reported(
        id=f"{id}-over" if ended else id,
        scene=scene,
        locality=f"cell:{CELL}",
        place=f"sensor/{sensor}" if sensor else f"report/{id}",
        location=where,
        report=Report(id, origin, when, "on the pavement", f"12345-{n}", where),
        at=when + 5 * SECOND,
        ended=ended,
        **fields,
    )


def sensed(n=1, *, at=0, sensor="smoke-1", **more):
    return said(n, at=at, origin=Origin.SENSOR, sensor=sensor, **{"scene": "waterlogging"} | more)


def seen(kind=ChangeKind.BEGAN, *, camera="gd-1", place="kerb/one", began=0, at=300, ground=None, **more):
    when = START + at * SECOND
    fields: dict[str, Any] = {
        "scene": "illegal_parking",
        "box": A,
        "evidence": (Evidence(f"{camera}-{at}.jpg", camera, when, "first"),),
    }
    return EpisodeChange(
        kind=kind,
        camera=camera,
        zone=place.partition("/")[0],
        place=f"{camera}/{place}",
        locality=f"cell:{CELL}",
        began_at=START + began * SECOND,
        at=when,
        label="car",
        confidence=0.9,
        observed_s=290.0,
        assumed_s=10.0,
        unseen_s=0.0,
        ground=ground,
        stamps={"captured": when, "confirmed": when},
        **fields | more,
    )


class Cell:
    """A grid cell's cases, and everything that was told of them."""

    def __init__(self, town=TOWN):
        self.town, self.state, self.why, self.told = town, LocalityState(), "", []

    def hears(self, *what):
        """Reports and episodes, in this order; the words of what was told."""
        words = []
        for each in what:
            if isinstance(each, Reported):
                self.state, told, self.why = report(self.state, each, self.town)
            else:
                self.state, told = advance_episode(self.state, each, self.town)
            self.told += told
            words += [one.event.type.value.rpartition(".")[2] for one in told]
        stored = write_locality(self.state)
        assert write_locality(read_locality(stored)) == stored
        return words

    def acts(self, action, *, at=60):
        command = Act(f"act-{at}", self.case.id, self.case.locality, CaseAction(action), "li", START + at * SECOND)
        self.state, _, self.why = act(self.state, command, self.town)

    @property
    def cases(self):
        return [record.case for record in self.state.records]

    @property
    def case(self):
        return self.cases[-1]


@pytest.fixture
def cell():
    return Cell()


def test_a_report_where_nothing_is_known_is_a_case_without_a_camera(cell):
    picture = Evidence("field/1.jpg", "field", START, "report")
    assert cell.hears(said(evidence=(picture,))) == ["filed"]
    case = cell.case
    assert (case.origin, case.cameras, case.zone, case.place) == (Origin.HOTLINE, (), "", "report/report-1")
    assert (case.label, case.confidence, case.title.en, case.code) == ("report", 1.0, "Illegal parking", "05-05")
    assert (case.began_at, case.filed_at) == (START, START + 5 * SECOND)
    assert case.due_at == case.filed_at + 2 * HOUR
    assert (case.unit, case.actor, case.grid_cell, case.location) == ("traffic_order", "platform", CELL, HERE)
    assert case.evidence == (picture,)
    assert [each.words for each in case.reports] == ["on the pavement"]
    assert cell.told[0].dispatch
    assert cell.told[0].event.cause == "report-1"


def test_its_delivery_has_no_latency_for_nothing_was_captured(cell):
    cell.hears(said())
    case, when = cell.case, START + MINUTE
    command = Delivered("d", case.id, case.locality, f"{case.id}-1", when, when, when, "D-7")
    cell.state, _ = delivered(cell.state, command)
    assert (cell.case.state, cell.case.latency_s) == (CaseState.DISPATCHED, None)


def test_a_report_said_twice_changes_nothing(cell):
    cell.hears(said())
    before = cell.state
    assert cell.hears(said()) == []
    assert cell.state is before
    cell.acts("close")
    before = cell.state
    assert cell.hears(said()) == []
    assert cell.state is before


def test_a_second_report_near_is_part_of_the_case(cell):
    assert cell.hears(said(), said(2, at=60, where=north(49), origin=Origin.INSPECTOR)) == ["filed", "merged"]
    assert [each.origin for each in cell.case.reports] == [Origin.HOTLINE, Origin.INSPECTOR]
    assert cell.case.reason == "reported: inspector"


def test_a_report_further_away_is_another_case(cell):
    assert cell.hears(said(), said(2, at=60, where=north(51))) == ["filed", "filed"]


def test_a_report_of_another_scene_is_another_case(cell):
    assert cell.hears(said(), said(2, scene="waterlogging")) == ["filed", "filed"]


def test_of_two_cases_near_a_report_is_of_the_nearer(cell):
    cell.hears(said(), said(2, where=north(60)), said(3, where=north(40)))
    assert [len(each.reports) for each in cell.cases] == [1, 2]


def test_what_is_reported_of_a_case_that_a_camera_saw_is_shown_with_it(cell):
    cell.hears(seen())
    assert cell.hears(said(at=400, evidence=(Evidence("field/1.jpg", "field", START, "report"),))) == ["merged"]
    case = cell.case
    assert (case.origin, case.cameras, case.confidence) == (Origin.CAMERA, ("gd-1",), 0.9)
    assert [each.role for each in case.evidence] == ["first", "report"]


def test_a_camera_that_sees_what_was_reported_joins_its_case(cell):
    assert cell.hears(said(where=north(30)), seen()) == ["filed", "merged"]
    case = cell.case
    assert (case.origin, case.cameras, case.zone, case.reason) == (
        Origin.HOTLINE,
        ("gd-1",),
        "kerb",
        "seen by a camera too",
    )
    assert cell.hears(seen(ChangeKind.ENDED, at=900)) == ["cleared"]


def test_the_ground_that_a_camera_sees_decides_and_not_where_it_stands(cell):
    assert cell.hears(said(), seen(ground=north(80))) == ["filed", "filed"]
    assert cell.hears(said(2, where=north(90))) == ["merged"]
    assert [len(each.reports) for each in cell.cases] == [1, 1]


def test_a_second_car_is_a_second_case_although_one_was_reported(cell):
    assert cell.hears(said(), seen(), seen(place="kerb/two", box=B)) == ["filed", "merged", "filed"]


def test_a_report_of_a_cell_alone_says_enough_of_water_and_too_little_of_a_car(cell):
    assert cell.hears(seen(), said(at=400, where=None)) == ["filed", "filed"]
    assert cell.hears(seen(scene="waterlogging", place="road"), said(2, at=400, where=None, scene="waterlogging")) == [
        "filed",
        "merged",
    ]


def test_who_reports_after_it_was_seen_to_be_gone_says_that_it_is_there(cell):
    cell.hears(seen(), seen(ChangeKind.ENDED, at=900), said(at=600))
    assert not cell.case.present  # said of a time before
    cell.hears(said(2, at=1000))
    assert cell.case.present
    assert cell.case.cleared_at is None
    cell.state, _ = tick(cell.state, START + 13 * HOUR, TOWN)
    assert cell.case.state.is_open  # it does not close by itself any more
    assert cell.hears(said(at=600), said(2, at=1000)) == []


def test_only_the_newest_reports_are_shown_and_an_old_one_again_changes_nothing(cell):
    cell.hears(*(said(n, at=n) for n in range(MOST_REPORTS + 3)))
    assert [each.id for each in cell.case.reports] == [f"report-{n}" for n in range(3, MOST_REPORTS + 3)]
    before = cell.case
    assert cell.hears(said(1, at=1)) == []
    assert cell.case == before


def test_a_closed_case_is_the_past_of_the_next_report(cell):
    flood = {"scene": "waterlogging"}
    cell.hears(said(**flood))
    cell.acts("close")
    first = cell.case
    assert cell.hears(said(2, at=600, **flood)) == ["filed"]
    assert cell.case.recurrence_of == first.id


def test_a_report_of_what_was_made_part_of_another_case_adds_to_that_one(cell):
    cell.hears(said(), said(2, where=north(500)))
    one, other = cell.state.records
    part = replace(other.case, state=CaseState.CLOSED, merged_into=one.case.id)
    cell.state = LocalityState([one, replace(other, case=part)])
    assert cell.hears(said(3, at=60, where=north(510))) == ["merged"]
    assert [len(each.reports) for each in cell.cases] == [2, 1]


def test_another_car_reported_there_later_is_no_recurrence(cell):
    cell.hears(said())
    cell.acts("close")
    assert cell.hears(said(2, at=600)) == ["filed"]
    assert cell.case.recurrence_of is None


def test_what_people_rejected_silences_sensors_there_for_a_while_but_never_people(cell):
    cell.hears(sensed())
    cell.acts("reject", at=60)
    assert cell.hears(sensed(at=90, sensor="smoke-2", n=2)) == []
    assert cell.state.counts["suppressed:rejected before"] == 1
    assert cell.hears(said(3, at=100, scene="waterlogging")) == ["filed"]


def test_a_sensor_is_heard_again_when_the_quiet_is_over(cell):
    cell.hears(sensed())
    cell.acts("reject", at=60)
    assert cell.hears(sensed(2, at=60 + 31 * 60)) == ["filed"]


def test_a_sensor_that_says_that_it_is_over_clears_its_case(cell):
    assert cell.hears(sensed(), sensed(at=300, ended=True)) == ["filed", "cleared"]
    assert (cell.case.label, cell.case.origin, cell.case.present) == ("smoke", Origin.SENSOR, False)
    assert cell.hears(sensed(at=300, ended=True)) == []
    assert cell.hears(sensed(2, at=600)) == ["merged"]
    assert cell.case.present


def test_a_sensor_that_comes_back_after_its_case_was_closed_clears_the_new_one(cell):
    cell.hears(sensed(), sensed(at=60, ended=True))
    cell.acts("close", at=90)
    assert cell.hears(sensed(2, at=600), sensed(2, at=700, ended=True)) == ["filed", "cleared"]
    assert not cell.case.present


def test_a_sensor_sees_what_no_camera_can_see_any_more(cell):
    flood = {"scene": "waterlogging", "place": "road"}
    cell.hears(seen(**flood), seen(ChangeKind.UNSEEN, at=400, **flood))
    assert cell.case.unseen_since is not None
    cell.hears(sensed(at=500))
    assert cell.case.unseen_since is None


def test_water_at_one_shared_place_is_one_case_however_far_its_ends_are(cell):
    square = {"locality": "place:square"}
    flood = replace(seen(scene="waterlogging", place="road", ground=HERE), **square)
    report = replace(said(at=400, where=north(90), scene="waterlogging"), **square)
    assert cell.hears(flood, report) == ["filed", "merged"]
    assert Cell().hears(report, flood) == ["filed", "merged"]


def test_a_sensor_that_was_never_on_ends_nothing(cell):
    before = cell.state
    assert cell.hears(sensed(ended=True)) == []
    assert cell.state is before


def test_a_case_is_there_as_long_as_a_camera_or_a_sensor_says_so(cell):
    flood = {"scene": "waterlogging", "place": "road"}
    assert cell.hears(seen(**flood), sensed(at=310), seen(ChangeKind.ENDED, at=900, **flood)) == ["filed", "merged"]
    assert cell.case.present
    assert cell.hears(sensed(at=1000, ended=True)) == ["cleared"]


def test_a_sensor_goes_on_being_believed_when_the_configuration_changes(cell):
    cell.hears(sensed())
    state, told = withdraw(cell.state, key=f"cell:{CELL}", at=START, city=replace(TOWN, cameras={}), cause="configured")
    assert (state, told) == (cell.state, [])


def test_a_report_for_a_scene_on_trial_is_a_case_that_nobody_is_told_of(cell):
    cell.hears(said(scene="fire_risk"))
    assert (cell.case.trial, cell.case.reason, cell.told[0].dispatch) == (True, Reason.TRIAL.value, False)


@pytest.mark.parametrize("town", [city([scene(FIRE)]), city([scene(status="draft")])])
def test_a_report_of_a_scene_that_nobody_looks_for_is_set_aside(town):
    cell = Cell(town)
    assert cell.hears(said()) == []
    assert cell.why == "no scene 'illegal_parking' is looked for"


@given(
    st.permutations(["hotline", "inspector", "sensor", "camera"]),
    st.lists(st.floats(-12, 12), min_size=4, max_size=4),
    st.sampled_from(["illegal_parking", "waterlogging"]),
    st.booleans(),
)
def test_the_order_in_which_a_problem_is_told_does_not_change_how_many_cases_it_makes(order, metres, scene, surveyed):
    tellings = {
        "hotline": said(1, where=north(metres[0]), scene=scene),
        "inspector": said(2, where=north(metres[1]), scene=scene, origin=Origin.INSPECTOR),
        "sensor": sensed(3, where=north(metres[2]), scene=scene),
        "camera": seen(ground=north(metres[3]) if surveyed else None, scene=scene),
    }
    cell = Cell()
    cell.hears(*(tellings[each] for each in order))
    assert len(cell.cases) == 1
    assert len(cell.case.reports) == 3
    assert cell.case.cameras == ("gd-1",)
    counted = write_locality(cell.state)
    cell.hears(*(tellings[each] for each in reversed(order)))
    assert write_locality(cell.state) == counted  # and telling it again changes nothing


@given(st.permutations(["report", "one", "two"]), st.sampled_from(["illegal_parking", "waterlogging"]))
def test_what_is_told_from_far_apart_makes_as_many_cases_in_any_order(order, scene):
    tellings = {
        "report": said(1, where=north(500), scene=scene),
        "one": seen(ground=north(0), scene=scene),
        "two": seen(camera="gd-2", ground=north(1000), scene=scene),
    }
    cell = Cell()
    cell.hears(*(tellings[each] for each in order))
    assert len(cell.cases) == 3
