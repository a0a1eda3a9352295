"""A unit says that it is done: who is asked, how often, whose answer counts, and who is not waited for."""

from dataclasses import replace

import pytest

from citybrain.domain.case import CaseEventType, CaseState
from citybrain.domain.command import LookAgain
from citybrain.domain.episode import Evidence
from pipeline.cases.records import LocalityState
from pipeline.grouping import Sighting
from pipeline.state import read_locality, write_locality
from tests.flows.street import SECOND, START, camera, city, scene
from tests.unit.pipeline.corner import KIND, TOWN, Corner, change

ASKED = 400


@pytest.fixture
def corner():
    """A case that two cameras see, whose unit has just said that it is done."""
    town = city([scene()], [camera("gd-1", place="corner"), camera("gd-2", place="corner")])
    corner = Corner(town)
    corner.sees(change(shared_place="corner"), change(place="gd-2/kerb/x", shared_place="corner", began=5))
    corner.acts("verify", at=ASKED)
    return corner


def answer(kind, *, place="gd-1/kerb/one", at=ASKED + 60, asked=ASKED, picture="after.jpg"):
    shown = (Evidence(f"{place}/{picture}", place.partition("/")[0], START + at * SECOND, "after"),)
    return change(
        kind, place=place, began=asked, at=at, evidence=shown if kind in (KIND.SEEN_GONE, KIND.STILL_THERE) else ()
    )


def gone(place="gd-1/kerb/one", **more):
    return answer(KIND.SEEN_GONE, place=place, **more)


def test_every_place_is_asked_about_its_camera_with_one_instant(corner):
    questions = corner.asks(since=replace_verification(corner, None))
    assert all(isinstance(each, LookAgain) for each in questions)
    assert [(each.camera, each.place) for each in questions] == [("gd-1", "gd-1/kerb/one"), ("gd-2", "gd-2/kerb/x")]
    assert {each.asked_at for each in questions} == {START + ASKED * SECOND}
    assert len({each.id for each in questions}) == 2


def replace_verification(corner, verification):
    return LocalityState([replace(each, verification=verification) for each in corner.state.records])


def test_who_has_not_answered_is_asked_again_each_half_minute(corner):
    before = corner.state
    assert corner.is_asked_again(ASKED + 29) == []
    assert corner.state == before
    corner.sees(gone())
    before = corner.state
    corner.is_asked_again(ASKED + 30)
    (question,) = corner.asks(since=before)
    assert (question.camera, question.asked_at, question.at) == (
        "gd-2",
        START + ASKED * SECOND,
        START + (ASKED + 30) * SECOND,
    )


def test_all_have_to_see_it_gone_and_then_it_is_verified_and_closed(corner):
    assert corner.sees(gone()) == []
    assert corner.sees(gone("gd-2/kerb/x", at=ASKED + 70)) == ["verified", "closed"]
    case = corner.case
    at = START + (ASKED + 70) * SECOND
    assert (case.state, case.verified_at, case.closed_at, case.cleared_at) == (CaseState.CLOSED, at, at, at)
    assert (case.present, case.reason, case.actor) == (False, "seen to be gone", "citybrain")
    assert [each.ref for each in case.evidence if each.role == "after"] == [
        "gd-1/kerb/one/after.jpg",
        "gd-2/kerb/x/after.jpg",
    ]
    assert corner.events[-2].event.type is CaseEventType.VERIFIED
    assert corner.events[-2].event.case.state is CaseState.VERIFYING
    assert corner.sees(gone("gd-2/kerb/x", at=ASKED + 80)) == []


def test_one_that_still_sees_it_decides_and_later_answers_come_too_late(corner):
    corner.sees(gone())
    assert corner.sees(answer(KIND.STILL_THERE, place="gd-2/kerb/x")) == ["status"]
    case = corner.case
    assert (case.state, case.reason, case.done_at, case.present) == (CaseState.HANDLING, "still there", None, True)
    assert corner.events[-1].dispatch, "the desk is told"
    assert corner.sees(gone("gd-2/kerb/x")) == []
    corner.acts("verify", at=600)
    assert corner.sees(gone("gd-2/kerb/x", at=700)) == [], "that was an answer to the question before"
    assert corner.case.state is CaseState.VERIFYING


def test_one_that_goes_blind_is_not_waited_for_and_blind_alone_is_no_answer(corner):
    assert corner.sees(answer(KIND.UNSEEN)) == []
    assert corner.sees(answer(KIND.UNSEEN, place="gd-2/kerb/x")) == ["status"]
    assert (corner.case.state, corner.case.unseen_since) == (CaseState.VERIFYING, START + (ASKED + 60) * SECOND)
    assert corner.sees(answer(KIND.SEEN_AGAIN, place="gd-2/kerb/x", at=ASKED + 90)) == ["status"]
    assert corner.case.unseen_since is None
    assert corner.sees(gone("gd-2/kerb/x", at=ASKED + 95)) == ["verified", "closed"]


def test_a_camera_that_still_had_it_open_and_goes_blind_is_not_waited_for_either(corner):
    corner.sees(gone("gd-2/kerb/x"))
    told = corner.sees(change(KIND.UNSEEN, at=ASKED + 100))
    assert told[-2:] == ["verified", "closed"]


def test_what_is_back_while_it_is_verified_is_asked_about_with_all_the_others(corner):
    corner.sees(gone())
    assert corner.sees(change(began=ASKED + 20, at=ASKED + 50, shared_place="corner")) == ["merged"]
    assert corner.sees(gone("gd-2/kerb/x", at=ASKED + 60)) == [], "that was asked before"
    (record,) = corner.state.records
    assert sorted(record.verification.waiting) == ["gd-1/kerb/one", "gd-2/kerb/x"]
    assert record.verification.asked_at == START + (ASKED + 50) * SECOND
    told = corner.sees(answer(KIND.STILL_THERE, asked=ASKED + 50, at=ASKED + 80))
    assert (told, corner.case.state) == (["status"], CaseState.HANDLING)


def test_a_camera_that_was_removed_is_not_waited_for(corner):
    corner.sees(gone())
    corner.town = city([scene()], [camera("gd-1", place="corner")])
    assert corner.is_asked_again(ASKED + 30) == ["verified", "closed"]


def test_without_any_camera_left_it_waits_for_people(corner):
    corner.town = city([scene()], [camera("gd-9")])
    assert corner.is_asked_again(ASKED + 30) == []
    assert corner.is_asked_again(ASKED + 90) == []
    assert corner.case.state is CaseState.VERIFYING
    assert corner.acts("close", at=ASKED + 100) == ["closed"]


def test_a_sensor_that_says_that_it_is_there_keeps_it_open(corner):
    (record,) = corner.state.records
    sensor = Sighting("", START, None, None, None)
    corner.state = LocalityState([replace(record, sightings={**record.sightings, "sensor/7": sensor})])
    assert corner.sees(gone()) == []
    assert corner.sees(gone("gd-2/kerb/x")) == []
    over = change(KIND.ENDED, place="sensor/7/x", at=ASKED + 90)
    assert corner.sees(replace(over, place="sensor/7")) == ["cleared", "verified", "closed"]


def test_people_who_take_it_back_up_end_the_question(corner):
    corner.acts("handle", at=ASKED + 10)
    assert corner.state.records[0].verification is None
    assert corner.sees(gone()) == []


def test_what_was_being_verified_before_anybody_was_asked_is_asked_about_now(corner):
    corner.state = replace_verification(corner, None)
    before = corner.state
    corner.is_asked_again(ASKED + 500)
    assert len(corner.asks(since=before)) == 2


def test_a_case_that_no_camera_sees_asks_nobody():
    corner = Corner(TOWN)
    corner.sees(change())
    (record,) = corner.state.records
    corner.state = LocalityState([replace(record, sightings={}, case=replace(record.case, cameras=()))])
    corner.acts("verify")
    assert corner.state.records[0].verification is None
    assert corner.is_asked_again(9000) == []


def test_what_is_stored_of_the_loop_is_read_again_and_an_older_state_too(corner):
    corner.sees(gone(), answer(KIND.UNSEEN, place="gd-2/kerb/x"))
    corner.state = LocalityState(corner.state.records, {"filed": 1})
    assert read_locality(write_locality(corner.state)).records[0].case.state is CaseState.CLOSED
    again = Corner(corner.town)
    again.sees(change())
    again.acts("confirm")
    again.acts("verify")
    stored = read_locality(write_locality(again.state))
    assert stored.records[0].verification == again.state.records[0].verification
    raw = write_locality(again.state)
    for key in ('"undo":', '"absorbed":', '"verification":', '"into_locality":'):
        raw = raw.replace(key.encode(), key.replace('":', '_unknown":').encode())
    older = read_locality(raw).records[0]
    assert (older.undo, older.absorbed, older.verification) == (None, (), None)
