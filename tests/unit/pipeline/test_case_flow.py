"""Cases: how episodes become them, what people, the desk and the clock do to them, and which views are of one problem."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from citybrain.domain.case import ALLOWED, CaseAction, CaseState, Light, allowed_actions
from citybrain.domain.episode import Evidence
from citybrain.domain.geometry import Box
from pipeline.cases.deadlines import light_at
from pipeline.cases.records import REMEMBER, case_id
from pipeline.routes import Routes
from tests.flows.street import HOUR, MINUTE, SECOND, START, B, camera, city, scene
from tests.unit.pipeline.corner import KIND, METRE, Corner, change


@pytest.fixture
def corner():
    corner = Corner()
    corner.sees(change())
    return corner


def test_an_episode_that_begins_files_a_case_whose_id_is_derived_from_it(corner):
    case = corner.case
    assert case.id == case_id("illegal_parking", "gd-1/kerb/one", START) == corner.events[0].event.case.id
    assert (case.state, case.version, case.unit) == (CaseState.FILED, 1, "traffic_order")
    assert case.due_at == case.filed_at + 2 * HOUR
    assert corner.events[0].event.id == f"{case.id}-1"
    assert corner.events[0].dispatch


def test_a_change_said_twice_changes_nothing(corner):
    corner.sees(change(KIND.UNSEEN, at=400), change(KIND.SEEN_AGAIN, at=500), change(KIND.ENDED, at=600))
    for kind, at in ((KIND.BEGAN, 300), (KIND.ENDED, 600), (KIND.UNSEEN, 400)):
        before = corner.state
        assert corner.sees(change(kind, at=at)) == []
        assert corner.state == before


def test_the_case_says_since_when_nobody_can_see_it(corner):
    assert corner.sees(change(KIND.UNSEEN, at=400)) == ["status"]
    assert corner.case.unseen_since == START + 400 * SECOND
    assert corner.sees(change(KIND.SEEN_AGAIN, at=1240, unseen_s=840.0)) == ["status"]
    assert (corner.case.unseen_since, corner.case.unseen_s) == (None, 840)


def test_it_clears_when_the_last_camera_saw_it_gone():
    corner = Corner()
    corner.sees(change(shared_place="corner"), change(place="gd-2/kerb/x", shared_place="corner", began=5))
    assert corner.sees(change(KIND.ENDED, at=500)) == []
    assert corner.case.present
    assert corner.sees(change(KIND.ENDED, place="gd-2/kerb/x", began=5, at=520)) == ["cleared"]
    assert (corner.case.present, corner.case.cleared_at) == (False, START + 520 * SECOND)


def test_one_camera_that_can_see_is_enough():
    corner = Corner()
    corner.sees(change(shared_place="corner"), change(place="gd-2/kerb/x", shared_place="corner", began=5))
    assert corner.sees(change(KIND.UNSEEN, at=400)) == []
    assert corner.sees(change(KIND.UNSEEN, place="gd-2/kerb/x", began=5, at=410)) == ["status"]
    assert corner.sees(change(KIND.SEEN_AGAIN, at=500)) == ["status"]


# -- one problem, one case --------------------------------------------------------------------------------------------


def test_two_cars_in_one_camera_are_two_cases():
    corner = Corner()
    assert corner.sees(
        change(shared_place="corner"), change(place="gd-1/kerb/two", box=B, shared_place="corner", began=3)
    ) == ["filed", "filed"]


def test_two_cameras_of_one_place_make_one_case_with_two_pieces_of_evidence():
    corner = Corner()
    told = corner.sees(change(shared_place="corner"), change(place="gd-2/kerb/x", shared_place="corner", began=12))
    assert told == ["filed", "merged"]
    assert corner.case.cameras == ("gd-1", "gd-2")
    assert [each.camera for each in corner.case.evidence] == ["gd-1", "gd-2"]
    assert corner.state.counts == {"filed": 1, "merged": 1}


@pytest.mark.parametrize(("apart", "told"), [(20, "merged"), (21, "filed")])
def test_unsurveyed_views_are_of_one_vehicle_when_it_came_at_one_time(apart, told):
    corner = Corner()
    corner.sees(change(shared_place="corner"))
    assert corner.sees(change(place="gd-2/kerb/x", shared_place="corner", began=apart)) == [told]


@pytest.mark.parametrize(("metres", "told"), [(0, "merged"), (5.9, "merged"), (6.1, "filed")])
def test_surveyed_views_are_of_one_vehicle_when_it_stands_in_one_spot(metres, told):
    corner = Corner()
    corner.sees(change(ground=(102.7, 25.0)))
    other = change(place="gd-2/kerb/x", ground=(102.7, 25.0 + metres * METRE), began=200)
    assert corner.sees(other) == [told]


def test_two_cars_seen_by_two_cameras_are_two_cases_each_with_both():
    corner = Corner()
    near, far = (102.7, 25.0), (102.7, 25.0 + 5 * METRE)
    corner.sees(
        change(ground=near),
        change(place="gd-1/kerb/two", box=B, ground=far),
        change(place="gd-2/kerb/x", ground=(102.7, 25.0 + 4.5 * METRE)),
        change(place="gd-2/kerb/y", ground=(102.7, 25.0 + 0.5 * METRE)),
    )
    assert [list(record.sightings) for record in corner.state.records] == [
        ["gd-1/kerb/one", "gd-2/kerb/y"],
        ["gd-1/kerb/two", "gd-2/kerb/x"],
    ]


def test_views_without_survey_or_shared_place_are_two_problems():
    corner = Corner()
    assert corner.sees(change(), change(place="gd-2/kerb/x")) == ["filed", "filed"]


def test_another_scene_in_the_same_zone_is_another_problem_with_its_own_end():
    corner = Corner()
    corner.sees(change(place="gd-1/view"), change(place="gd-1/view", scene="fire_risk"))
    assert [record.case.scene for record in corner.state.records] == ["illegal_parking", "fire_risk"]
    corner.sees(change(KIND.ENDED, place="gd-1/view", scene="fire_risk", at=500))
    assert [record.case.present for record in corner.state.records] == [True, False]


def test_what_comes_back_while_its_case_is_open_joins_it(corner):
    corner.sees(change(KIND.ENDED, at=600))
    assert corner.sees(change(began=900, at=1200)) == ["merged"]
    assert (corner.case.present, corner.case.cleared_at, corner.case.reason) == (True, None, "back again")


def test_what_comes_back_after_its_case_was_closed_is_a_recurrence(corner):
    first = corner.case.id
    corner.sees(change(KIND.ENDED, at=600))
    corner.acts("close")
    assert corner.sees(change(began=900, at=1200)) == ["filed"]
    assert corner.case.recurrence_of == first


def test_another_car_on_the_same_spot_recurs_as_well_but_not_beside_it(corner):
    first = corner.case.id
    corner.sees(change(KIND.ENDED, at=600))
    corner.acts("close")
    corner.sees(change(place="gd-1/kerb/new", began=900, at=1200))
    assert corner.case.recurrence_of == first
    corner.sees(change(place="gd-1/kerb/far", box=Box(0.7, 0.5, 0.85, 0.65), began=900, at=1200))
    assert corner.case.recurrence_of is None


def test_after_a_month_a_closed_case_is_forgotten(corner):
    corner.sees(change(KIND.ENDED, at=600))
    corner.acts("close", at=700)
    later = int(REMEMBER.total_seconds()) + 701
    corner.sees(change(began=later, at=later))
    assert len(corner.state.records) == 1
    assert corner.case.recurrence_of is None


@pytest.mark.parametrize(("minutes", "told"), [(29, []), (31, ["filed"])])
def test_a_place_where_it_was_nothing_stays_quiet_for_a_while(corner, minutes, told):
    corner.acts("reject", at=400)
    corner.sees(change(KIND.ENDED, at=600))
    at = 400 + minutes * 60
    assert corner.sees(change(began=at - 300, at=at)) == told
    assert ("suppressed:rejected before" in corner.state.counts) is (told == [])


def test_a_scene_that_is_gone_from_the_configuration_tells_nothing():
    corner = Corner()
    assert corner.sees(change(scene="fog")) == []
    assert corner.state.counts == {"set_aside:scene removed": 1}


# -- people -----------------------------------------------------------------------------------------------------------

STATE_AFTER = {
    "confirm": "filed",
    "reject": "rejected",
    "handle": "handling",
    "verify": "verifying",
    "close": "closed",
    "escalate": "filed",
    "defer": "deferred",
}


@pytest.mark.parametrize(("action", "state"), STATE_AFTER.items())
def test_an_action_does_what_it_says_and_names_who_and_why(corner, action, state):
    told = {"reject": "rejected", "close": "closed", "escalate": "escalated"}.get(action, "status")
    assert corner.acts(action, reason="because", note="备注") == [told]
    case = corner.case
    assert (case.state.value, case.actor, case.reason, case.note) == (state, "li", "because", "备注")
    assert corner.events[-1].event.cause == "act-1"
    assert case.judged == {"confirm": "confirmed", "reject": "rejected"}.get(action)
    assert case.severity == ("high" if action == "escalate" else "normal")
    assert (case.closed_at is not None) is (action in ("close", "reject"))


REACHED_BY = {
    CaseState.FILED: [],
    CaseState.HANDLING: ["handle"],
    CaseState.VERIFYING: ["verify"],
    CaseState.DEFERRED: ["defer"],
    CaseState.RETURNED: ["return"],
    CaseState.CLOSED: ["close"],
    CaseState.REJECTED: ["reject"],
}


NEEDS: dict[CaseAction, dict[str, Any]] = {
    CaseAction.RETURN: {"reason": "not ours"},
    CaseAction.ASSIGN: {"unit": "urban_order"},
    CaseAction.EXTEND: {"until": START + 9 * HOUR},
    CaseAction.MERGE: {"into": "case-other", "into_locality": "cell:530111001001003"},
}


@pytest.mark.parametrize("action", CaseAction)
@pytest.mark.parametrize("state", REACHED_BY)
def test_each_action_is_possible_or_refused_with_the_reason(corner, state, action):
    for step in REACHED_BY[state]:
        corner.acts(step, reason="so")
    undoable = corner.case.undoable
    told = corner.acts(action, **NEEDS.get(action, {}))
    assert corner.case.state.is_open or corner.case.closed_at
    if action is CaseAction.UNDO and undoable is None:
        assert corner.why == "there is nothing to undo"
    elif state in ALLOWED[action]:
        assert told
        assert corner.why == ""
    else:
        assert corner.why == f"cannot {action} a case that is {state}"
    assert (action in allowed_actions(state, undoable=undoable)) is bool(told)


def test_every_state_has_something_that_people_can_do():
    assert all(allowed_actions(state) for state in CaseState)


def test_a_command_said_twice_acts_once(corner):
    assert corner.acts("escalate", id="x") == ["escalated"]
    assert corner.acts("escalate", id="x") == []
    assert corner.why == ""
    assert corner.case.severity == "high"


def test_an_action_on_no_case_is_refused(corner):
    corner.acts("close", case="case-none")
    assert corner.why == "no such case"


def test_a_reopened_case_knows_whether_the_thing_is_there_and_stays_open(corner):
    corner.acts("reject")
    assert corner.sees(change(KIND.ENDED, at=600)) == []
    assert corner.acts("reopen") == ["reopened"]
    assert (corner.case.present, corner.case.state, corner.case.judged) == (False, CaseState.FILED, None)
    assert corner.case.closed_at is None
    corner.ticks(13 * HOUR)
    assert corner.case.state is CaseState.FILED


def test_a_case_that_was_at_the_desk_is_reopened_there(corner):
    corner.is_delivered()
    corner.acts("close")
    corner.acts("reopen")
    assert corner.case.state is CaseState.DISPATCHED


# -- the desk and the clock -------------------------------------------------------------------------------------------


def test_the_desk_that_has_it_gives_it_a_number_and_its_latency(corner):
    assert corner.is_delivered() == ["dispatched"]
    case = corner.case
    assert (case.state, case.external_id, case.latency_s) == (CaseState.DISPATCHED, "D-7", 11.0)
    assert list(case.stamps) == ["captured", "confirmed", "filed", "posted", "acknowledged"]
    assert not corner.events[-1].dispatch, "the desk need not be told that it was told"


def test_only_the_first_notice_counts_and_only_once(corner):
    assert corner.is_delivered(version=2) == []
    assert corner.is_delivered() == ["dispatched"]
    assert corner.is_delivered(at=900) == []


def test_a_case_rejected_on_its_way_to_the_desk_stays_rejected(corner):
    corner.acts("reject", at=305)
    assert corner.is_delivered() == ["dispatched"]
    assert corner.case.state is CaseState.REJECTED


@pytest.mark.parametrize(
    ("share", "light"),
    [(0, Light.GREEN), (0.79, Light.GREEN), (0.8, Light.YELLOW), (1.0, Light.YELLOW), (1.01, Light.RED)],
)
def test_the_light_says_how_much_of_the_time_is_used(corner, share, light):
    case = corner.case
    assert light_at(case, case.filed_at + (case.due_at - case.filed_at) * share) is light
    assert light_at(replace(case, due_at=None), case.filed_at + 99 * HOUR) is Light.GREEN


def test_a_light_that_changes_is_told_once_and_a_closed_case_has_no_more(corner):
    assert corner.ticks(300 + 90 * 60) == []
    assert corner.ticks(300 + 97 * 60) == ["status"]
    assert corner.ticks(300 + 98 * 60) == []
    corner.acts("close")
    assert corner.ticks(300 + 130 * 60) == []


@pytest.mark.parametrize(("later", "told"), [(12 * HOUR - SECOND, ["status"]), (12 * HOUR, ["closed"])])
def test_what_was_seen_gone_long_enough_closes_by_itself(corner, later, told):
    corner.sees(change(KIND.ENDED, at=600))
    assert corner.ticks(600 * SECOND + later) == told


@pytest.mark.parametrize("action", ["confirm", "handle", "verify", "defer", "escalate"])
def test_a_case_that_people_took_up_is_theirs_to_close(corner, action):
    corner.acts(action)
    corner.sees(change(KIND.ENDED, at=600))
    corner.ticks(600 * SECOND + 20 * HOUR)
    assert corner.case.state.is_open


def test_what_is_there_never_closes_by_itself(corner):
    corner.ticks(timedelta(days=9))
    assert corner.case.state is CaseState.FILED


# -- whether anybody is told ------------------------------------------------------------------------------------------


def test_a_scene_on_trial_files_cases_that_nobody_is_told_of():
    corner = Corner(city([scene(status="trial")], [camera("gd-1")]))
    corner.sees(change())
    assert (corner.case.trial, corner.case.reason, corner.events[0].dispatch) == (True, "trial", False)
    corner.acts("confirm")
    assert not corner.events[-1].dispatch


def test_a_silenced_case_says_who_silenced_it_and_why():
    silence = {"since": "2026-11-21T00:00:00Z", "until": "2026-11-22T00:00:00Z", "author": "li", "reason": "fair"}
    corner = Corner(city([scene()], [camera("gd-1")], Routes.model_validate({"silences": [silence]})))
    corner.sees(change())
    assert (corner.case.reason, corner.case.note, corner.case.trial) == ("silenced", "li: fair", False)
    assert not corner.events[0].dispatch


def test_pictures_are_bounded_and_the_first_ones_stay(corner):
    for n in range(1, 30):
        corner.sees(change(KIND.ENDED, began=0 if n == 1 else n * 1000 - 1000, at=n * 1000))
        picture = Evidence(f"p{n}.jpg", "gd-1", START + n * MINUTE, "first")
        corner.sees(change(began=n * 1000, at=n * 1000 + 300, evidence=(picture,)))
    refs = [each.ref for each in corner.case.evidence]
    assert len(refs) == 12
    assert refs[0] == "gd-1/kerb/one-began.jpg"
    assert refs[-1] == "p29.jpg"


# -- clips ------------------------------------------------------------------------------------------------------------


def clips(corner):
    return [each.ref for each in corner.case.evidence if each.until_at]


def test_a_clip_of_the_episode_becomes_evidence_of_its_case_and_the_desk_is_told(corner):
    before = corner.case
    assert corner.is_filmed() == ["status"]
    assert [each.ref for each in corner.case.evidence] == ["gd-1/kerb/one-began.jpg", "clip.mp4"]
    assert corner.events[-1].dispatch
    assert corner.events[-1].event.cause == "filmed-clip.mp4"
    assert replace(corner.case, evidence=before.evidence, version=1) == before, "nobody said anything of it"


def test_a_clip_said_twice_is_told_once(corner):
    assert corner.is_filmed() == ["status"]
    assert corner.is_filmed() == []
    assert corner.why == ""


def test_a_clip_finds_its_case_where_the_episode_was_merged():
    corner = Corner()
    corner.sees(change(shared_place="corner"), change(place="gd-2/kerb/two", began=10, at=400, shared_place="corner"))
    assert len(corner.state.records) == 1
    assert corner.is_filmed(place="gd-2/kerb/two", confirmed=400, ref="two.mp4") == ["status"]
    assert corner.is_filmed(ref="one.mp4") == ["status"]
    assert clips(corner) == ["two.mp4", "one.mp4"]


def test_a_clip_by_an_ingest_that_saw_only_the_rest_of_the_hold_is_of_the_same_episode(corner):
    assert corner.is_filmed(began_at=START + 120 * SECOND, confirmed=420, at=430) == ["status"]


@pytest.mark.parametrize("other", [{"scene": "fire_risk"}, {"place": "gd-1/kerb/none"}, {"confirmed": -1}])
def test_a_clip_of_what_no_case_knows_says_so(corner, other):
    assert corner.is_filmed(**other) == []
    assert corner.why == "no case has the episode that was filmed"


@pytest.mark.parametrize(("action", "state"), [("close", "closed"), ("reject", "rejected")])
def test_a_clip_that_comes_after_the_case_was_answered_says_so(corner, action, state):
    corner.acts(action, at=305)
    assert corner.is_filmed() == []
    assert corner.why == f"a clip came when the case was already {state}"


def test_a_case_that_came_again_has_the_new_clip_not_the_closed_one(corner):
    corner.sees(change(KIND.ENDED, at=600))
    corner.acts("close", at=700)
    corner.sees(change(began=900, at=1200))
    assert corner.is_filmed(confirmed=1200, at=1210, ref="again.mp4") == ["status"]
    assert clips(corner) == ["again.mp4"]


def test_a_case_keeps_the_first_clip_and_the_newest_whatever_is_said_again(corner):
    for n in (1, 3, 2, 5, 4, 3, 1):
        corner.is_filmed(ref=f"{n}.mp4", since=n * 100, at=n * 100 + 10)
    assert clips(corner) == ["1.mp4", "4.mp4", "5.mp4"]


def test_clips_push_out_no_picture(corner):
    corner.is_filmed()
    for n in range(1, 30):
        corner.sees(change(KIND.ENDED, began=0 if n == 1 else n * 1000 - 1000, at=n * 1000))
        picture = Evidence(f"p{n}.jpg", "gd-1", START + n * MINUTE, "first")
        corner.sees(change(began=n * 1000, at=n * 1000 + 300, evidence=(picture,)))
    assert len(corner.case.evidence) == 13
    assert clips(corner) == ["clip.mp4"]
