"""The ledger of outcomes: every detection that concerned a scene has one, with its reason."""

from citybrain.domain.detection import Usable
from pipeline import ledger as entries
from pipeline.camera_flow import CameraState, advance_camera, pending
from pipeline.ledger import Outcome
from tests.flows.street import FIRE, A, B, C, Street, Thing, camera, scene


def test_what_was_entered_and_not_settled_is_pending():
    ledger: entries.Ledger = {}
    entries.concern(ledger, 5)
    entries.settle(ledger, Outcome.OPENED, 2)
    entries.settle(ledger, Outcome.SUPPRESSED, 1, reason="queue")
    assert entries.imbalance(ledger, pending=2) == 0
    assert entries.imbalance(ledger, pending=1) == 1
    assert entries.outcomes(ledger) == {("opened", ""): 2, ("suppressed", "queue"): 1}


def test_nothing_is_written_for_nothing():
    ledger: entries.Ledger = {}
    entries.concern(ledger, 0)
    entries.settle(ledger, Outcome.MERGED, 0)
    assert ledger == {}


def test_ledgers_are_summed_by_name():
    assert entries.total([{"concerned": 2, "opened": 1}, {"concerned": 1, "cleared": 1}, {}]) == {
        "concerned": 3,
        "opened": 1,
        "cleared": 1,
    }


def outcomes_of(street, *scenes, until=900, every=5, expect_pending=0):
    state = CameraState()
    for look in street.looks(every=every, until=until):
        state, _ = advance_camera(state, look, camera(), scenes)
    ledger = state.ledgers[scenes[-1].id]
    assert pending(state, scenes[-1].id) == expect_pending
    assert entries.imbalance(ledger, pending=expect_pending) == 0
    return {key: count for key, count in ledger.items() if key != "concerned"}


def test_a_parked_car_opens_an_episode_and_is_merged_into_it_ever_after():
    assert outcomes_of(Street([Thing(A)], missed=0), scene()) == {"opened": 61, "merged": 119}


def test_a_car_that_goes_before_its_time_was_cleared():
    assert outcomes_of(Street([Thing(A, until=100)], missed=0), scene()) == {"cleared": 20}


def test_a_car_whose_time_is_not_up_is_pending():
    assert outcomes_of(Street([Thing(A)], missed=0), scene(), until=100, expect_pending=20) == {}


def test_a_candidate_lost_with_the_camera_was_set_aside():
    street = Street([Thing(A)], [(100, 900, Usable.LOST)], missed=0)
    assert outcomes_of(street, scene()) == {"set_aside:unseen": 20}


def test_a_hold_broken_by_a_gap_sets_aside_what_was_counted_before_it():
    looks = Street([Thing(A)], missed=0)
    state = CameraState()
    for look in [*looks.looks(every=5, until=100), *looks.looks(every=5, since=300, until=400)]:
        state, _ = advance_camera(state, look, camera(), [scene()])
    assert state.ledgers["illegal_parking"] == {"concerned": 40, "set_aside:gap": 20}
    assert pending(state, "illegal_parking") == 20


def test_a_queue_that_dissolves_was_suppressed_as_a_queue():
    queue = scene(when=scene().file.when | {"queue": {"vehicles": 3}})
    street = Street([Thing(A, 5, 600), Thing(B, 5, 600, who=2), Thing(C, 5, 600, who=3)], missed=0)
    assert outcomes_of(street, queue) == {"suppressed:queue": 357}


def test_a_scene_inhibited_by_another_names_it():
    street = Street([Thing(B, label="fire", since=0), Thing(A, since=60, until=700)], missed=0)
    inhibited = scene(inhibited_by=["fire_risk"])
    assert outcomes_of(street, scene(FIRE), inhibited, every=2, until=900) == {"suppressed:inhibited by fire_risk": 320}


def test_a_look_that_cannot_be_judged_sets_aside_what_it_shows_with_the_reason():
    from dataclasses import replace

    state = CameraState()
    for look in Street([Thing(A)], missed=0).looks(every=5, until=20):
        state, _ = advance_camera(state, replace(look, usable=Usable.BLURRED), camera(), [scene()])
    assert state.ledgers["illegal_parking"] == {"concerned": 4, "set_aside:blurred": 4}


def test_a_scene_that_is_no_longer_configured_sets_aside_its_candidates():
    state = CameraState()
    looks = list(Street([Thing(A)], missed=0).looks(every=5, until=100))
    for look in looks[:-1]:
        state, _ = advance_camera(state, look, camera(), [scene()])
    state, _ = advance_camera(state, looks[-1], camera(), [scene(FIRE)])
    assert state.ledgers["illegal_parking"] == {"concerned": 19, "set_aside:configuration": 19}
