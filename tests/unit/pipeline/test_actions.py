"""What people do about a case: what each action changes, what it needs, and what can be taken back."""

from dataclasses import replace

import pytest

from citybrain.domain.case import CaseState, Light
from citybrain.domain.command import Absorb
from citybrain.domain.episode import Evidence
from citybrain.domain.geometry import Box
from tests.flows.street import HOUR, SECOND, START, B
from tests.unit.pipeline.corner import KIND, Corner, change

ELSEWHERE = "cell:530111001001003"
HOME = "place:corner"


@pytest.fixture
def corner():
    corner = Corner()
    corner.sees(change())
    return corner


@pytest.fixture
def pair():
    """Two cases of one locality, the second seen by the same camera."""
    corner = Corner()
    corner.sees(change(), change(place="gd-1/kerb/two", box=B, began=1))
    return corner, corner.state.records[0].case, corner.state.records[1].case


def by_id(corner, id):
    return next(record.case for record in corner.state.records if record.case.id == id)


# -- what the unit does -----------------------------------------------------------------------------------------------


def test_who_takes_it_is_there_and_says_that_it_is_done_leaves_each_instant(corner):
    corner.acts("handle", at=400)
    corner.acts("arrive", at=500)
    corner.acts("verify", at=600)
    case = corner.case
    assert (case.accepted_at, case.arrived_at, case.done_at) == tuple(START + at * SECOND for at in (400, 500, 600))
    assert case.state is CaseState.VERIFYING


def test_it_is_taken_once_and_being_there_twice_is_being_there_first(corner):
    corner.acts("arrive", at=400)
    assert (corner.case.state, corner.case.accepted_at) == (CaseState.HANDLING, START + 400 * SECOND)
    corner.acts("arrive", at=500)
    corner.acts("verify", at=600)
    corner.acts("handle", at=700)
    case = corner.case
    assert (case.accepted_at, case.arrived_at) == (START + 400 * SECOND, START + 400 * SECOND)
    assert (case.state, case.done_at) == (CaseState.HANDLING, None), "it says no more that it is done"


def test_what_is_returned_needs_a_reason_and_waits_for_another_unit(corner):
    corner.acts("handle")
    assert corner.acts("return") == []
    assert corner.why == "to return a case needs a reason"
    assert corner.acts("return", reason="private ground") == ["status"]
    case = corner.case
    assert (case.state, case.unit, case.accepted_at) == (CaseState.RETURNED, "traffic_order", None)
    assert corner.acts("assign") == []
    assert corner.why == "to assign a case needs a unit"
    assert corner.acts("assign", unit="urban_order") == ["status"]
    assert (corner.case.state, corner.case.unit) == (CaseState.DISPATCHED, "urban_order")
    assert corner.events[-1].dispatch, "the desk is told whose it is now"


def test_another_unit_has_to_take_it_anew(corner):
    corner.acts("arrive")
    corner.acts("assign", unit="urban_order")
    case = corner.case
    assert (case.state, case.accepted_at, case.arrived_at) == (CaseState.DISPATCHED, None, None)
    corner.acts("defer")
    corner.acts("assign", unit="sanitation")
    assert corner.case.state is CaseState.DEFERRED


def test_pictures_taken_on_the_spot_become_evidence_whatever_is_done(corner):
    taken = Evidence("field/1.jpg", "field", START + 500 * SECOND, "whatever")
    corner.acts("handle", evidence=(taken,))
    assert corner.case.evidence[-1] == replace(taken, role="field")


# -- time -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("until", [None, START, START + 2 * HOUR])
def test_more_time_is_later_than_now_and_than_what_there_was(corner, until):
    assert corner.acts("extend", until=until) == []
    assert corner.why.startswith("to extend a case needs a time")


def test_more_time_moves_the_warning_and_the_light(corner):
    corner.ticks(300 + 110 * 60)
    assert corner.case.light is Light.YELLOW
    until = corner.case.due_at + 8 * HOUR
    corner.acts("extend", at=300 + 111 * 60, until=until)
    case = corner.case
    assert (case.due_at, case.light) == (until, Light.GREEN)
    assert case.warn_at == case.filed_at + (until - case.filed_at) * 0.8


def test_not_now_says_until_when_or_for_ever_but_never_until_before(corner):
    assert corner.acts("defer", until=START) == []
    assert corner.why.startswith("to defer a case needs a time")
    assert corner.acts("defer", until=START + HOUR) == ["status"]
    corner.ticks(HOUR)
    assert corner.case.state is CaseState.FILED


# -- taken back -------------------------------------------------------------------------------------------------------


def test_a_rejection_taken_back_leaves_the_case_as_it_stood_but_for_what_happened_since(corner):
    corner.acts("confirm")
    corner.acts("reject", reason="glare", at=410)
    assert (corner.case.state, corner.case.undoable) == (CaseState.REJECTED, "reject")
    corner.is_delivered(at=420)
    corner.sees(change(KIND.ENDED, at=500))
    assert corner.acts("undo", at=510) == ["reopened"]
    case = corner.case
    assert (case.state, case.judged, case.closed_at) == (CaseState.DISPATCHED, "confirmed", None)
    assert (case.present, case.undoable, case.reason) == (False, None, "reject taken back")
    assert corner.sees(change(began=600, at=900)) == ["merged"], "the place is not quiet, for it was something"


def test_a_word_taken_back_is_unsaid(corner):
    corner.acts("handle")
    corner.acts("confirm")
    assert corner.case.undoable == "confirm"
    assert corner.acts("undo") == ["status"]
    assert (corner.case.judged, corner.case.state, corner.case.undoable) == (None, CaseState.HANDLING, None)


def test_only_the_last_thing_done_can_be_taken_back_and_only_once(corner):
    corner.acts("confirm")
    corner.acts("handle")
    assert corner.case.undoable is None
    corner.acts("undo")
    assert corner.why == "there is nothing to undo"
    corner.acts("reject", id="r")
    corner.acts("undo", id="u")
    assert corner.acts("undo", id="u") == []
    assert corner.why == ""
    corner.acts("undo", id="v")
    assert corner.why == "there is nothing to undo"


def test_what_the_world_tells_takes_no_undo_away(corner):
    corner.acts("confirm")
    corner.sees(change(KIND.UNSEEN, at=450))
    corner.is_delivered()
    assert corner.case.undoable == "confirm"


# -- merging ----------------------------------------------------------------------------------------------------------


def merge(corner, case, into, **more):
    return corner.acts("merge", case=case.id, into=into.id, into_locality=into.locality, **more)


def test_a_merged_case_closes_into_the_other_which_gets_what_it_had(pair):
    corner, one, two = pair
    before = corner.state
    assert merge(corner, two, one) == ["closed"]
    merged = by_id(corner, two.id)
    assert (merged.state, merged.merged_into, merged.reason) == (CaseState.CLOSED, one.id, "merged")
    (asked,) = corner.asks(since=before)
    assert isinstance(asked, Absorb)
    assert (asked.case, asked.locality, asked.other.id, asked.undone) == (one.id, HOME, two.id, False)
    assert corner.absorbs(merged, into=one.id) == ["merged"]
    after = by_id(corner, one.id)
    assert [each.ref for each in after.evidence] == ["gd-1/kerb/one-began.jpg", "gd-1/kerb/two-began.jpg"]
    assert after.version == one.version + 1
    assert corner.absorbs(merged, into=one.id) == [], "said twice, it is told once"


def test_a_merge_taken_back_gives_each_what_was_its_own(pair):
    corner, one, two = pair
    merge(corner, two, one)
    corner.absorbs(by_id(corner, two.id), into=one.id)
    before = corner.state
    assert corner.acts("undo", case=two.id) == ["reopened"]
    assert by_id(corner, two.id).merged_into is None
    (asked,) = corner.asks(since=before)
    assert (asked.case, asked.undone) == (one.id, True)
    assert corner.absorbs(by_id(corner, two.id), into=one.id, undone=True) == ["status"]
    assert by_id(corner, one.id).evidence == one.evidence
    assert corner.absorbs(by_id(corner, two.id), into=one.id, undone=True) == []


def test_reopening_a_merged_case_takes_the_merge_back_too(pair):
    corner, one, two = pair
    merge(corner, two, one)
    before = corner.state
    corner.acts("reopen", case=two.id)
    assert [each.undone for each in corner.asks(since=before)] == [True]


@pytest.mark.parametrize(
    ("into", "locality", "why"),
    [
        (None, None, "to merge a case needs the case that it is part of"),
        ("other", None, "to merge a case needs the case that it is part of"),
        ("itself", HOME, "a case is no part of itself"),
        ("case-none", HOME, "there is no such case to merge it into"),
        ("fire", HOME, "a case of illegal_parking is no part of one of fire_risk"),
        ("closed", HOME, "the case to merge it into is closed"),
    ],
)
def test_a_case_is_merged_into_an_open_one_of_the_same_scene_that_is_another(corner, into, locality, why):
    first = corner.case
    corner.sees(change(place="gd-1/view", scene="fire_risk"))
    fire = corner.case
    corner.sees(change(place="gd-1/kerb/two", box=B, began=1))
    corner.acts("close")
    ids = {"itself": first.id, "fire": fire.id, "closed": corner.case.id}
    assert corner.acts("merge", case=first.id, into=ids.get(into, into), into_locality=locality) == []
    assert corner.why == why


def test_where_the_other_case_lies_elsewhere_is_found_out_there(corner):
    assert corner.acts("merge", into="case-elsewhere", into_locality=ELSEWHERE) == ["closed"]
    other = Corner()
    other.sees(change())
    other.acts("close")
    case = replace(corner.case, merged_into=other.case.id)
    assert other.absorbs(case, into=other.case.id) == []
    assert other.why == "the case to merge it into is closed"
    assert other.absorbs(case, into="case-none") == []
    assert other.why == "there is no such case to merge it into"


def test_what_takes_another_case_in_can_no_longer_take_back_its_own_last_word(pair):
    corner, one, two = pair
    corner.acts("confirm", case=one.id)
    merge(corner, two, one)
    corner.absorbs(by_id(corner, two.id), into=one.id)
    corner.acts("undo", case=one.id)
    assert corner.why == "there is nothing to undo"


def test_while_the_thing_of_a_merged_case_stands_there_another_sight_of_it_opens_nothing():
    corner = Corner()
    ground = (102.7, 25.0)
    corner.sees(change(ground=ground))
    one = corner.case
    corner.acts("merge", case=one.id, into="case-elsewhere", into_locality=ELSEWHERE)
    assert corner.sees(change(place="gd-2/kerb/x", ground=ground, began=450, at=800)) == []
    assert list(corner.state.records[0].sightings) == ["gd-1/kerb/one", "gd-2/kerb/x"]
    corner.sees(change(KIND.ENDED, at=900), change(KIND.ENDED, place="gd-2/kerb/x", began=450, at=900))
    assert corner.sees(change(began=1000, at=1300)) == ["filed"]
    assert corner.case.recurrence_of == "case-elsewhere", "of a merged case the one that it is part of is meant"


# -- recurrence -------------------------------------------------------------------------------------------------------


def test_what_was_rejected_was_no_problem_that_could_recur(corner):
    corner.acts("reject", reason="a wedding", at=400)
    corner.sees(change(KIND.ENDED, at=600))
    corner.sees(change(began=9000, at=9300))
    assert corner.case.recurrence_of is None


def test_another_box_on_the_same_spot_recurs_only_within_the_scenes_time(corner):
    first = corner.case.id
    corner.sees(change(KIND.ENDED, at=600))
    corner.acts("close", at=700)
    month = 30 * 24 * 3600
    corner.sees(change(place="gd-1/kerb/new", began=month, at=month + 600))
    assert corner.case.recurrence_of == first
    corner.sees(change(KIND.ENDED, place="gd-1/kerb/new", began=month, at=month + 700))
    corner.acts("close", at=month + 800)
    later = 2 * month + 900
    corner.sees(change(place="gd-1/kerb/far", box=Box(0.16, 0.5, 0.31, 0.65), began=later, at=later + 300))
    assert corner.case.recurrence_of is None
