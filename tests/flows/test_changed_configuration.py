"""A city whose configuration changes under it: what is no longer watched is let go, said once, and nothing else is touched."""

from __future__ import annotations

from itertools import chain

import pytest

from citybrain.domain.camera import Zone, ZoneKind
from citybrain.domain.command import Configured
from citybrain.wire import COMMANDS, write_command
from pipeline.flow import Pipeline
from pipeline.ledger import imbalance
from pipeline.runners.replay import Replay, restore, save
from tests.flows.street import (
    FIRE,
    KERB,
    MINUTE,
    SECOND,
    START,
    A,
    B,
    Street,
    Thing,
    camera,
    city,
    messages,
    scene,
    told,
)

CAMERAS = [camera("gd-1", place="corner"), camera("gd-2"), camera("gd-3", place="corner")]
SCENES = [scene(), scene(FIRE)]
TOWN = city(SCENES, CAMERAS)
STREETS = [Street([Thing(A)], camera="gd-1", missed=0), Street([Thing(B, who=2)], camera="gd-2", missed=0)]


def town(*cameras, scenes=SCENES):
    return city(scenes, cameras)


def looks(*streets, since=0, until=600):
    seen = sorted(
        chain.from_iterable(each.looks(every=5, since=since, until=until) for each in streets),
        key=lambda look: (look.captured_at, look.camera),
    )
    return messages(seen)


def parked(*streets) -> Replay:
    """A city in which each street's car has become a case."""
    replay = Replay(Pipeline(TOWN))
    assert [kind for kind, _ in told(replay.run(looks(*streets)))] == ["filed"] * len(streets)
    return replay


def configured(replay: Replay, changed, *, at=600) -> list:
    replay._pipeline = Pipeline(changed)
    command = Configured(f"configured-{at}", START + at * SECOND, "c0ffee")
    return list(replay.run([write_command(command)], topic=COMMANDS))


def test_a_removed_cameras_case_says_so_and_waits_for_people():
    replay = parked(*STREETS)
    (event,) = configured(replay, town(*CAMERAS[1:]))
    assert told([event]) == [("status", 600)]
    assert event.case.cameras == ("gd-1",)
    assert (event.case.reason, event.case.unseen_since, event.case.state.is_open) == (
        "camera removed",
        START + 600 * SECOND,
        True,
    )
    assert event.case.present, "nobody saw it leave"
    assert event.cause == "configured-600"


def test_the_other_cameras_of_the_city_notice_nothing():
    untouched, changed = parked(*STREETS), parked(*STREETS)
    configured(changed, town(*CAMERAS[1:]))
    more = looks(STREETS[1], since=600, until=900) + looks(Street(camera="gd-2"), since=900, until=1200)
    assert list(changed.run(more)) == list(untouched.run(more))
    assert changed.states.camera("gd-2") == untouched.states.camera("gd-2")


def test_a_camera_that_was_already_let_go_is_let_go_once():
    replay = parked(*STREETS)
    configured(replay, town(*CAMERAS[1:]))
    assert configured(replay, town(*CAMERAS[1:]), at=700) == []


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        (town(camera("gd-1", zones=()), *CAMERAS[1:]), "zone removed"),
        (town(camera("gd-1", place="corner", zones=(Zone("kerb", ZoneKind.ROADWAY, KERB),))), "zone removed"),
        (town(*CAMERAS, scenes=[scene(FIRE)]), "scene removed"),
        (town(*CAMERAS, scenes=[scene(status="draft"), scene(FIRE)]), "scene removed"),
        (town(camera("gd-1", place="elsewhere"), *CAMERAS[1:]), "place changed"),
    ],
)
def test_the_case_names_what_was_removed(changed, reason):
    replay = parked(STREETS[0])
    (event,) = configured(replay, changed)
    assert event.case.reason == reason


def test_where_another_camera_still_sees_it_that_one_goes_on_telling():
    twin = Street([Thing(A, until=900)], camera="gd-3", missed=0)
    replay = Replay(Pipeline(TOWN))
    assert [kind for kind, _ in told(replay.run(looks(STREETS[0], twin)))] == ["filed", "merged"]
    assert configured(replay, town(*CAMERAS[1:])) == []
    gone = list(replay.run(looks(twin, since=600, until=1200)))
    assert [kind for kind, _ in told(gone)] == ["cleared"]
    assert not gone[0].case.present


def test_what_nobody_will_ever_see_leave_is_not_remembered_for_ever():
    replay = parked(STREETS[0])
    (key,) = replay.states.held
    (record,) = replay.states.locality(key).records
    assert record.present
    configured(replay, town(*CAMERAS[1:]))
    (record,) = replay.states.locality(key).records
    assert not record.present


def test_a_removed_cameras_candidates_are_set_aside_and_the_ledger_balances():
    replay = Replay(Pipeline(TOWN))
    assert list(replay.run(looks(STREETS[0], until=100))) == []
    configured(replay, town(*CAMERAS[1:]), at=100)
    state = replay.states.camera("gd-1")
    assert state.watches.keys() == set()
    ledger = state.ledgers["illegal_parking"]
    assert ledger["set_aside:configuration"] == ledger["concerned"] == 20
    assert imbalance(ledger, pending=0) == 0


def test_a_camera_that_comes_back_goes_on_with_its_open_case():
    fire = Street([Thing(B, label="fire")], camera="gd-2", missed=0)
    replay = Replay(Pipeline(TOWN))
    (filed,) = replay.run(messages(fire.looks(every=1, until=60)))
    configured(replay, town(CAMERAS[0]), at=60)
    configured(replay, TOWN, at=70)
    (back,) = replay.run(messages(fire.looks(every=1, since=70, until=120)))
    assert (back.case.id, back.type.value, back.case.unseen_since) == (filed.case.id, "citybrain.case.merged", None)


def test_what_a_removed_camera_still_sends_is_set_aside_with_the_reason():
    replay = parked(STREETS[0])
    configured(replay, town(*CAMERAS[1:]))
    assert list(replay.run(looks(STREETS[0], since=600, until=610))) == []
    assert {each.reason for each in replay.set_aside} == {"no camera 'gd-1' is configured"}


def test_a_day_with_a_change_in_it_can_be_cut_anywhere(tmp_path):
    def lived(cut: bool) -> list:
        replay = Replay(Pipeline(TOWN))
        events = list(replay.run(looks(*STREETS)))
        if cut:
            save(replay.states, tmp_path / "snapshot")
            replay = Replay(Pipeline(TOWN), states=restore(tmp_path / "snapshot"))
        events += configured(replay, town(*CAMERAS[1:]))
        return events + list(replay.run(looks(STREETS[1], since=600, until=700)))

    assert lived(cut=True) == lived(cut=False)
    assert lived(cut=True)[0].at - START >= MINUTE * 5
