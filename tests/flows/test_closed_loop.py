"""The closed loop (处置闭环): a unit says that it is done, cameras look again, and what they see closes the case or returns it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from random import Random

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from citybrain.bus.local import LocalBus
from citybrain.clock import ManualClock
from citybrain.domain.case import Case, CaseAction, CaseEvent, CaseState
from citybrain.domain.command import Absorb, Act, Command, LookAgain, Tick
from citybrain.domain.detection import Detections, Usable
from citybrain.wire import (
    CASE_EVENTS,
    COMMANDS,
    DETECTIONS,
    read_command,
    write_case_event,
    write_command,
    write_detections,
)
from pipeline.flow import Pipeline
from pipeline.runners.embedded import Embedded
from pipeline.runners.memory import HeldStates
from pipeline.runners.replay import Replay, restore, save
from tests.flows.days import TOWN, days
from tests.flows.street import SECOND, START, A, B, Street, Thing, camera, city, scene

BRISK = scene(hold="20s", max_gap="10s", clear_after="15s", verify_for="20s")
ALONE = city([BRISK], [camera("gd-1")])
BOTH = city([BRISK], [camera("gd-1", place="corner"), camera("gd-2", place="corner")])


def pictured(look: Detections) -> Detections:
    """The look of a camera that is asked to keep what it sees."""
    if look.usable is not Usable.OK:
        return look
    return replace(look, evidence=f"{look.camera}/{look.captured_at:%H%M%S.%f}.jpg")


@dataclass
class Said:
    """What the unit says, so many seconds after the start, of the case that there is then."""

    second: float
    action: CaseAction
    more: dict[str, object]


def says(second: float, action: str, **more: object) -> Said:
    return Said(second, CaseAction(action), more)


def run(
    looks: Iterable[Detections], said: Sequence[Said] = (), *, town=ALONE, until: float = 300, tick: float = 10
) -> list[CaseEvent]:
    """The case events of looks, what people said and the clock, in the order in which they happened."""
    runner, events = Replay(Pipeline(town)), list[CaseEvent]()
    moments: list[tuple[float, int, object]] = [
        ((each.captured_at - START).total_seconds(), 0, each) for each in map(pictured, looks)
    ]
    moments += [(each.second, 1, each) for each in said]
    moments += [(second * tick, 2, None) for second in range(1, int(until / tick))]
    for second, kind, each in sorted(moments, key=lambda moment: moment[:2]):
        at = START + second * SECOND
        if kind == 0 and isinstance(each, Detections):
            events += runner.run([write_detections(each)])
        elif isinstance(each, Said):
            case = events[-1].case
            act = Act(f"act-{second}", case.id, case.locality, each.action, "unit", at, **each.more)  # type: ignore[arg-type]
            events += runner.run([write_command(act)], topic=COMMANDS)
        else:
            events += runner.run([write_command(Tick(f"tick-{second}", at))], topic=COMMANDS)
    assert not runner.set_aside
    return events


def lines(events: Sequence[CaseEvent]) -> list[tuple[str, str, str]]:
    """Each event in words: what, the case's state after it, and the reason given."""
    return [(each.type.value.rpartition(".")[2], each.case.state.value, each.case.reason) for each in events]


def test_done_too_early_it_is_sent_back_and_done_at_last_it_is_verified_and_closed_with_before_and_after():
    street = Street([Thing(A, until=120)], missed=0)
    events = run(street.looks(until=300), [says(40, "handle"), says(60, "verify"), says(130, "verify")])
    assert lines(events) == [
        ("filed", "filed", "first_notice"),
        ("status", "handling", ""),
        ("status", "verifying", ""),
        ("status", "handling", "still there"),
        ("status", "verifying", ""),
        ("cleared", "verifying", "gone"),
        ("verified", "verifying", "seen to be gone"),
        ("closed", "closed", "seen to be gone"),
    ]
    early, case = events[3], events[-1].case
    assert early.at == START + 81 * SECOND, (
        "true looks spanned twenty seconds after the second that followed the question"
    )
    assert early.case.actor == "citybrain"
    assert early.case.done_at is None
    assert case.closed_at == case.verified_at == events[-1].at
    assert case.done_at == START + 130 * SECOND
    roles = [each.role for each in case.evidence]
    assert roles == ["first", "confirming", "after", "after"]
    before, after = case.evidence[0], case.evidence[-1]
    assert before.captured_at < START + 120 * SECOND < after.captured_at
    assert (before.camera, after.camera) == ("gd-1", "gd-1")


def test_what_was_gone_before_anybody_said_so_is_verified_by_the_next_look():
    street = Street([Thing(A, until=60)], missed=0)
    events = run(street.looks(until=200), [says(100, "verify")])
    assert lines(events)[-3:] == [
        ("status", "verifying", ""),
        ("verified", "verifying", "seen to be gone"),
        ("closed", "closed", "seen to be gone"),
    ]
    assert events[-1].at == START + 101 * SECOND


def test_while_the_camera_is_blind_the_case_waits_says_so_and_is_verified_when_it_sees_again():
    street = Street([Thing(A, until=60)], blind=[(100, 220, Usable.DARK)], missed=0)
    events = run(street.looks(until=300), [says(100, "verify")])
    assert lines(events)[-4:] == [
        ("status", "verifying", ""),
        ("status", "verifying", "dark"),
        ("verified", "verifying", "seen to be gone"),
        ("closed", "closed", "seen to be gone"),
    ]
    unseen = events[-3]
    assert unseen.case.unseen_since == START + 111 * SECOND
    assert events[-1].at == START + 220 * SECOND
    assert events[-1].case.unseen_since is None


def test_a_blind_camera_answers_nothing_however_often_it_is_asked():
    street = Street([Thing(A)], blind=[(50, 900, Usable.LOST)], missed=0)
    events = run(street.looks(until=900, every=5), [says(60, "verify")], until=900)
    assert events[-1].case.state is CaseState.VERIFYING
    assert events[-1].case.unseen_since is not None


def test_two_cameras_both_have_to_see_it_gone_and_one_that_is_blind_is_not_waited_for():
    one = Street([Thing(A, until=60)], missed=0, camera="gd-1")
    two = Street([Thing(A, until=90)], missed=0, camera="gd-2", seed=2)
    looks = sorted([*one.looks(until=300), *two.looks(until=300)], key=lambda look: (look.captured_at, look.camera))
    events = run(looks, [says(80, "verify")], town=BOTH)
    assert events[-1].case.cameras == ("gd-1", "gd-2")
    assert lines(events)[-1] == ("closed", "closed", "seen to be gone")
    assert events[-1].at > START + 90 * SECOND
    assert {each.camera for each in events[-1].case.evidence if each.role == "after"} == {"gd-1", "gd-2"}

    two = replace(two, blind=[(70, 900, Usable.OCCLUDED)])
    looks = sorted([*one.looks(until=300), *two.looks(until=300)], key=lambda look: (look.captured_at, look.camera))
    events = run(looks, [says(100, "verify")], town=BOTH)
    assert lines(events)[-1] == ("closed", "closed", "seen to be gone")
    assert {each.camera for each in events[-1].case.evidence if each.role == "after"} == {"gd-1"}


def test_one_camera_that_still_sees_it_decides():
    one = Street([Thing(A, until=60)], missed=0, camera="gd-1")
    two = Street([Thing(A)], missed=0, camera="gd-2", seed=2)
    looks = sorted([*one.looks(until=150), *two.looks(until=150)], key=lambda look: (look.captured_at, look.camera))
    events = run(looks, [says(80, "verify")], town=BOTH, until=150)
    assert lines(events)[-1] == ("status", "handling", "still there")


def test_what_returns_after_it_was_verified_is_a_case_of_its_own_and_knows_the_one_before():
    street = Street([Thing(A, until=60), Thing(A, since=200, who=2)], missed=0)
    events = run(street.looks(until=260), [says(100, "verify")])
    first, second = events[0].case, events[-1].case
    assert lines(events)[-1] == ("filed", "filed", "first_notice")
    assert second.recurrence_of == first.id
    assert events[-2].case.state is CaseState.CLOSED


def test_the_thing_of_a_merged_case_opens_nothing_while_it_stands_there_and_the_other_case_is_verified_by_its_camera_too():
    street = Street([Thing(A, until=150), Thing(B, since=5, until=150, who=2)], missed=0)
    runner, events = Replay(Pipeline(ALONE)), list[CaseEvent]()
    looks = [pictured(each) for each in street.looks(until=300)]
    for each in looks[:60]:
        events += runner.run([write_detections(each)])
    one, two = (each.case for each in events)
    merge = Act(
        "m", two.id, two.locality, CaseAction.MERGE, "li", START + 60 * SECOND, "", "", None, None, one.id, one.locality
    )
    events += runner.run([write_command(merge)], topic=COMMANDS)
    assert lines(events)[-2:] == [("closed", "closed", "merged"), ("merged", "filed", "another case is part of it")]
    assert events[-2].case.merged_into == one.id
    assert len(events[-1].case.evidence) == 4
    done = Act("v", one.id, one.locality, CaseAction.VERIFY, "unit", START + 62 * SECOND)
    events += runner.run([write_command(done)], topic=COMMANDS)
    (asked,) = [state.asked for state in runner.states.cameras.values()]
    assert len(asked) == 2, "both places are looked at again"
    for each in looks[60:]:
        events += runner.run([write_detections(each)])
    assert [each.case.id for each in events if each.type.value.endswith("filed")] == [one.id, two.id]
    assert lines(events)[-2:] == [("status", "handling", "still there"), ("cleared", "handling", "gone")]


def test_a_merge_into_a_case_that_was_closed_meanwhile_is_taken_back():
    street = Street([Thing(A), Thing(B, who=2)], missed=0)
    near = city([BRISK], [camera("gd-1", grid_cell="530111001001003"), camera("gd-2", grid_cell="530111001001004")])
    other = Street([Thing(A)], missed=0, camera="gd-2")
    runner, events = Replay(Pipeline(near)), list[CaseEvent]()
    for each in sorted(
        [*street.looks(until=30), *other.looks(until=30)], key=lambda look: (look.captured_at, look.camera)
    ):
        events += runner.run([write_detections(each)])
    one, *_, two = (each.case for each in events)
    assert one.locality != two.locality
    commands = [
        Act("c", one.id, one.locality, CaseAction.CLOSE, "li", START + 40 * SECOND),
        Act(
            "m",
            two.id,
            two.locality,
            CaseAction.MERGE,
            "wang",
            START + 41 * SECOND,
            into=one.id,
            into_locality=one.locality,
        ),
    ]
    told = list(runner.run(map(write_command, commands), topic=COMMANDS))
    assert lines(told)[1:] == [
        ("closed", "closed", "merged"),
        ("reopened", "filed", "the case to merge it into is closed"),
    ]
    assert told[-1].case.merged_into is None
    assert [each.reason for each in runner.set_aside] == ["the case to merge it into is closed"]


# -- whatever happens -------------------------------------------------------------------------------------------------

# A day that fails is made smaller for minutes, and says little more then.
MANY = settings(max_examples=20, deadline=None, phases=(Phase.explicit, Phase.generate))
_STATES_AFTER = {
    "filed": {CaseState.FILED},
    "rejected": {CaseState.REJECTED},
    "closed": {CaseState.CLOSED},
    "verified": {CaseState.VERIFYING},
}


@MANY
@given(day=days(), seed=st.integers(0, 9999))
def test_no_case_is_lost_the_states_follow_one_another_and_every_runner_tells_the_same(day, seed, tmp_path_factory):
    log = _log(day, Random(seed))
    folder = tmp_path_factory.mktemp("loop")
    runner = Replay(Pipeline(TOWN))
    events = [event for topic, value in log for event in runner.run([value], topic=topic)]
    _check(events)
    records = [each for key in runner.states.localities() for each in runner.states.locality(key).records]
    assert {each.case.id for each in records} == {each.case.id for each in events}, "no case is lost"
    there = [
        (each.case.scene, place)
        for each in records
        if each.case.state.is_open
        for place, sighting in each.sightings.items()
        if sighting.open
    ]
    assert len(there) == len(set(there)), "one problem, one open case"
    whole = [write_case_event(each) for each in events]
    assert _in_pieces(log, folder / "state.json") == whole
    assert _embedded(log, folder / "citybrain.db", Random(seed)) == whole


def _check(events: Sequence[CaseEvent]) -> None:
    latest: dict[str, Case] = {}
    for event in events:
        case, before = event.case, latest.get(event.case.id)
        assert case.version == (before.version if before else 0) + 1
        kind = event.type.value.rpartition(".")[2]
        assert case.state in _STATES_AFTER.get(kind, set(CaseState))
        assert case.state.is_open == (case.closed_at is None)
        assert (case.merged_into is None) or case.state is CaseState.CLOSED
        if before is not None and not before.state.is_open:
            assert kind in ("reopened", "dispatched", "closed"), "what is over stays as it is until it is reopened"
        if kind == "verified":
            assert case.evidence[-1].role == "after"
        if case.reason == "still there":
            assert (case.state, before.state if before else None) == (CaseState.HANDLING, CaseState.VERIFYING)
        latest[case.id] = case


def _in_pieces(log, path) -> list[bytes]:
    """Cut after every tenth message, stored, restored, and gone on."""
    told, states = list[bytes](), HeldStates()
    for n, (topic, value) in enumerate(log):
        runner = Replay(Pipeline(TOWN), states=states)
        told += [write_case_event(each) for each in runner.run([value], topic=topic)]
        if n % 10 == 0:
            save(states, path)
            states = restore(path)
    return told


def _embedded(log, database, random: Random) -> list[bytes]:
    bus = LocalBus(database)
    for topic, value in log:
        bus.publish(topic, "key", value)
    applied = True
    while applied:
        embedded = Embedded(database, Pipeline(TOWN), clock=ManualClock(START), notifiers={})
        applied = sum(embedded.catch_up(limit=random.randint(1, 60)) for _ in range(3)) > 0
        embedded.close()
    told = [message.value for message in bus.read((CASE_EVENTS,), after=0, limit=100_000)]
    asks = [read_command(message.value) for message in bus.read((COMMANDS,), after=len(log), limit=100_000)]
    bus.close()
    assert all(isinstance(each, LookAgain | Absorb | Act) for each in asks)
    return told


def _log(day: Sequence[Detections], random: Random) -> list[tuple[str, bytes]]:
    """The looks of a day, the clock, and people who act on what they see; some of it is refused, some said twice."""
    runner, log = Replay(Pipeline(TOWN)), list[tuple[str, bytes]]()
    cases: dict[str, Case] = {}

    def put(topic: str, value: bytes) -> None:
        log.append((topic, value))
        cases.update({event.case.id: event.case for event in runner.run([value], topic=topic)})

    for n, look in enumerate(day):
        put(DETECTIONS, write_detections(pictured(look)))
        if n % 10 == 0:
            put(COMMANDS, write_command(Tick(f"tick-{n}", look.captured_at)))
        if cases and random.random() < 0.1:
            command = write_command(_act(list(cases.values()), look.captured_at, n, random))
            put(COMMANDS, command)
            if random.random() < 0.3:
                put(COMMANDS, command)
    return log


def _act(cases: Sequence[Case], at: datetime, n: int, random: Random) -> Command:
    case, into = random.choice(cases), random.choice(cases)
    often = [CaseAction.VERIFY] * 6 + [CaseAction.UNDO, CaseAction.MERGE, CaseAction.REOPEN] * 3
    action = random.choice([*CaseAction, *often])
    return Act(
        id=f"act-{n}",
        case=case.id,
        locality=case.locality,
        action=action,
        actor="li",
        at=at,
        reason=random.choice(["", "because"]),
        unit=random.choice([None, "urban_order"]),
        until=random.choice([None, at + 9000 * SECOND, at + 60 * SECOND]),
        into=into.id,
        into_locality=into.locality,
    )
