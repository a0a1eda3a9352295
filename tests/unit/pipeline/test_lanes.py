"""A lane dropped anywhere and begun anew from what was durable tells what one never dropped would have told."""

import json
from dataclasses import replace
from random import Random

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from citybrain.bus.topics import (
    CAMERA_COMMANDS,
    CAMERAS_TABLE,
    DEAD_LETTERS,
    EPISODES,
    LOCALITIES_TABLE,
    LOCALITY_COMMANDS,
)
from citybrain.clock import ManualClock
from citybrain.domain.case import Case, CaseAction
from citybrain.domain.command import Act, Configured, Delivered, LookAgain, Silence, Silenced, Tick
from citybrain.errors import Unreadable
from citybrain.wire import (
    CASE_EVENTS,
    COMMANDS,
    DETECTIONS,
    read_case_event,
    read_command,
    write_case_event,
    write_command,
)
from pipeline.flow import Pipeline
from pipeline.runners.kafka.camera_lane import CameraLane
from pipeline.runners.kafka.forwarded import read_forwarded, write_forwarded
from pipeline.runners.kafka.locality_lane import LocalityLane
from pipeline.runners.kafka.records import key_of, owes, read_record
from pipeline.runners.kafka.switch_lane import SwitchLane
from pipeline.runners.taken import delivered_id
from tests.flows.days import TOWN, days
from tests.flows.eventful import Log, eventful, told
from tests.flows.street import MINUTE, SECOND, START, A, Street, Thing, camera, city, messages, scene
from tests.unit.pipeline.imagined_kafka import ImaginedKafka

PIPELINE = Pipeline(TOWN)
CLOCK = ManualClock(START)
SOME = settings(max_examples=12, deadline=None, phases=(Phase.explicit, Phase.generate))
"""A day is too large to be made smaller."""


def by_id(bodies) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for body in bodies:
        event = read_case_event(body)
        assert found.setdefault(event.id, body) == body, "the same id never says something else"
    return found


def lived(log: Log, kafka: ImaginedKafka) -> ImaginedKafka:
    """The log at the pace of life: what follows from a message follows before the next one comes."""
    for topic, value in log:
        kafka.publish(topic, json.loads(value)["camera"] if topic == DETECTIONS else "key", value)
        kafka.settle()
    return kafka


# -- the same day -----------------------------------------------------------------------------------------------------


@SOME
@given(day=days(), seed=st.integers(0, 9999))
def test_an_eventful_day_over_many_lanes_is_what_one_pipeline_tells_of_it(day, seed):
    log = eventful(day, TOWN, Random(seed))
    kafka = lived(log, ImaginedKafka(PIPELINE, random=Random(seed)))
    expected = told(log, TOWN)
    assert by_id(kafka.case_events()) == {each.id: write_case_event(each) for each in expected}
    assert len(kafka.case_events()) == len(expected), "nobody dies, so nothing is said twice"


@SOME
@given(day=days(), seed=st.integers(0, 9999))
def test_crashes_anywhere_lose_nothing_and_change_nothing_that_is_told(day, seed):
    log = eventful(day, TOWN, Random(seed))
    steady = lived(log, ImaginedKafka(PIPELINE, random=Random(seed)))
    kafka = lived(log, ImaginedKafka(PIPELINE, random=Random(seed), crashes=0.4))
    assert by_id(kafka.case_events()) == by_id(steady.case_events())
    assert _letters(kafka) == _letters(steady)
    for case in {read_case_event(body).case.id for body in kafka.case_events()}:
        versions = [event.case.version for event in map(read_case_event, kafka.case_events()) if event.case.id == case]
        firsts = [version for n, version in enumerate(versions) if version not in versions[:n]]
        assert firsts == list(range(1, len(firsts) + 1)), "each is said for the first time in its order"


def _letters(kafka: ImaginedKafka) -> set[tuple[str, str]]:
    """What was set aside and why; the questions that are asked twice after a crash move the others' places."""
    return {(fields["value"], fields["reason"]) for fields in map(json.loads, kafka.dead_letters())}


def _place(letter: bytes) -> tuple[str, int, int, str]:
    fields = json.loads(letter)
    return fields["topic"], fields["partition"], fields["offset"], fields["reason"]


@pytest.mark.parametrize("topic", [DETECTIONS, EPISODES, COMMANDS, CAMERA_COMMANDS, LOCALITY_COMMANDS])
def test_whatever_arrives_twice_changes_nothing(topic):
    class Stuttering(ImaginedKafka):
        def publish(self, to, key, value, partition=None):
            for _ in range(2 if to == topic else 1):
                super().publish(to, key, value, partition)

    street = Street([Thing(A, 10, 200)], missed=0, evidence=True)
    looks = sorted(
        [*street.looks(every=5, until=420), *Street([Thing(A)], missed=0, camera="gd-3").looks(every=5, until=200)],
        key=lambda look: (look.captured_at, look.camera),
    )
    log = eventful(looks, TOWN, Random(7), often=0.5)
    log = [(each, value) for each, value in log if each == DETECTIONS or not _is_tick(value)]
    kafka = lived(log, Stuttering(PIPELINE))
    assert kafka.case_events() == lived(log, ImaginedKafka(PIPELINE)).case_events()
    assert len(kafka.case_events()) > 10


def _is_tick(value: bytes) -> bool:
    return isinstance(read_command(value), Tick)


# -- a case and its commands ------------------------------------------------------------------------------------------

BRISK = scene(hold="20s", max_gap="10s", clear_after="15s", verify_for="20s")
NEAR = city([BRISK], [camera("gd-1", grid_cell="530111001001003"), camera("gd-2", grid_cell="530111001001004")])


def parked_in(kafka: ImaginedKafka, *cameras: str, until: float = 60) -> dict[str, Case]:
    """The cases of a car before each camera, by camera."""
    for name in cameras:
        for value in messages(Street([Thing(A)], missed=0, camera=name, evidence=True).looks(every=2, until=until)):
            kafka.publish(DETECTIONS, name, value)
        kafka.settle()
    cases = [read_case_event(body).case for body in kafka.case_events()]
    return {case.cameras[0]: case for case in cases}


def say(kafka: ImaginedKafka, *commands) -> list[tuple[str, str, str]]:
    """What follows, in words; what is said again after a crash is left out."""
    before = by_id(kafka.case_events())
    for command in commands:
        kafka.publish(COMMANDS, "key", write_command(command))
        kafka.settle()
    events = [read_case_event(body) for id, body in by_id(kafka.case_events()).items() if id not in before]
    return [(each.case.cameras[0], each.case.state.value, each.case.reason) for each in events]


def merge(cases, *, at: float) -> Act:
    one, two = cases["gd-1"], cases["gd-2"]
    return Act(
        "m", two.id, two.locality, CaseAction.MERGE, "li", START + at * SECOND, into=one.id, into_locality=one.locality
    )


@pytest.mark.parametrize("crashes", [0.0, 0.4])
def test_a_merge_crosses_from_one_partition_to_another_and_is_taken_back_by_undo(crashes):
    kafka = ImaginedKafka(Pipeline(NEAR), crashes=crashes, random=Random(5))
    cases = parked_in(kafka, "gd-1", "gd-2")
    assert cases["gd-1"].locality != cases["gd-2"].locality
    say(kafka, merge(cases, at=70))
    last = {event.case.id: event.case for event in map(read_case_event, kafka.case_events())}
    assert last[cases["gd-1"].id].cameras == ("gd-1", "gd-2")
    assert last[cases["gd-2"].id].merged_into == cases["gd-1"].id
    undo = Act("u", cases["gd-2"].id, cases["gd-2"].locality, CaseAction.UNDO, "li", START + 75 * SECOND)
    say(kafka, undo)
    last = {event.case.id: event.case for event in map(read_case_event, kafka.case_events())}
    assert last[cases["gd-1"].id].cameras == ("gd-1",)
    assert last[cases["gd-2"].id].merged_into is None


def test_a_merge_into_a_case_that_was_closed_meanwhile_is_taken_back_and_the_refusal_is_kept():
    kafka = ImaginedKafka(Pipeline(NEAR))
    cases = parked_in(kafka, "gd-1", "gd-2")
    close = Act("c", cases["gd-1"].id, cases["gd-1"].locality, CaseAction.CLOSE, "li", START + 65 * SECOND)
    assert say(kafka, close, merge(cases, at=70))[1:] == [
        ("gd-2", "closed", "merged"),
        ("gd-2", "filed", "the case to merge it into is closed"),
    ]
    (letter,) = map(json.loads, kafka.dead_letters())
    assert (letter["kind"], letter["reason"], letter["topic"]) == (
        "refused",
        "the case to merge it into is closed",
        COMMANDS,
    )


@pytest.mark.parametrize("crashes", [0.0, 0.4])
def test_a_camera_in_another_partition_is_asked_to_look_again_and_its_answer_closes_the_case(crashes):
    kafka = ImaginedKafka(Pipeline(NEAR), crashes=crashes, random=Random(3))
    cases = parked_in(kafka, "gd-2")
    done = Act("v", cases["gd-2"].id, cases["gd-2"].locality, CaseAction.VERIFY, "unit", START + 61 * SECOND)
    say(kafka, done)
    asked = [read_command(value) for _, value in kafka.logs[COMMANDS, 0]]
    assert any(isinstance(each, LookAgain) for each in asked), "ingest reads there what it is asked"
    gone = Street([Thing(A, until=62)], missed=0, camera="gd-2", evidence=True)
    for look in gone.looks(every=2, since=62, until=120):
        value = messages([look])[0].replace(b'"evidence":null', b'"evidence":"gd-2/after.jpg"')
        kafka.publish(DETECTIONS, "gd-2", value.replace(b'"seq":', b'"seq":1'))
        kafka.settle()
    last = read_case_event(kafka.case_events()[-1])
    assert (last.case.state.value, last.case.reason) == ("closed", "seen to be gone")


@pytest.mark.parametrize("crashes", [0.0, 0.4])
def test_every_partition_keeps_its_own_copy_of_what_is_silenced_and_tells_when_it_is_over(crashes):
    kafka = ImaginedKafka(Pipeline(NEAR), crashes=crashes, random=Random(11), endpoints=["desk"])
    silence = Silence("s", START, START + 20 * MINUTE, "li", "a fair")
    say(kafka, Silenced("s-made", silence, START))
    cases = parked_in(kafka, "gd-1", "gd-2")
    assert [case.silenced for case in cases.values()] == ["s", "s"]
    assert kafka.posts == [], "the desk hears nothing"
    ended = Silence("s", START, START + 90 * SECOND, "li", "a fair")
    said = say(kafka, Silenced("s-ended", ended, START + 90 * SECOND))
    assert sorted(set(said)) == [("gd-1", "filed", "silence over"), ("gd-2", "filed", "silence over")]
    assert {read_case_event(each.body).case.cameras[0] for each in kafka.posts} == {"gd-1", "gd-2"}


def test_a_silence_that_cannot_be_is_refused_once_whoever_refuses_it():
    kafka = ImaginedKafka(Pipeline(NEAR))
    say(kafka, Silenced("late", Silence("s", START, START + SECOND, "li", "a fair"), START + MINUTE))
    places = [_place(each) for each in kafka.dead_letters()]
    assert len(places) == kafka.partitions
    assert set(places) == {(COMMANDS, 0, 0, "the silence was over when it was asked for")}


@pytest.mark.parametrize("crashes", [0.0, 0.4])
def test_a_partition_that_was_judged_by_another_configuration_is_told_so_and_lets_go(crashes):
    kafka = ImaginedKafka(Pipeline(NEAR), random=Random(2), crashes=crashes)
    cases = parked_in(kafka, "gd-1", "gd-2")
    kafka.crashes = 0
    for each in kafka.lanes:  # all is durable
        kafka.commit(*each)
    kafka.crashes = crashes
    kafka.pipeline = Pipeline(replace(city([BRISK], [NEAR.cameras["gd-1"]]), revision="another"))
    for (stage, partition), lane in kafka.lanes.items():
        lane.adopt(kafka.pipeline)
        if stage in (CAMERAS_TABLE, LOCALITIES_TABLE):
            assert lane.out_of_date
            topic = CAMERA_COMMANDS if stage == CAMERAS_TABLE else LOCALITY_COMMANDS
            command = write_command(Configured("c", START + 70 * SECOND, "another"))
            kafka.publish(topic, "c", write_forwarded(command), partition)
    kafka.settle()
    last = read_case_event(kafka.case_events()[-1])
    assert (last.case.id, last.case.reason) == (cases["gd-2"].id, "camera removed")
    for stage, partition in kafka.lanes:
        kafka.crashes = 0
        kafka.commit(stage, partition)
        kafka.begin(stage, partition)
        assert not kafka.lanes[stage, partition].out_of_date


# -- what endpoints are owed ------------------------------------------------------------------------------------------


def parked():
    """A car that parks, up to its case: what stage two has and owes."""
    lane, table = LocalityLane(PIPELINE, {}, partition=0, endpoints=["desk"], clock=CLOCK), dict[bytes, bytes]()
    one = CameraLane(PIPELINE, {}, partition=0, clock=CLOCK)
    for n, value in enumerate(messages(Street([Thing(A)], missed=0).looks(every=5, until=120))):
        one.take(DETECTIONS, n, "gd-1", value)
    for n, each in enumerate(one.cut().owed):
        lane.take(EPISODES, n, each.key, each.body)
    cut = lane.cut()
    table |= cut.records
    return lane, table, cut


def again(table):
    return LocalityLane(PIPELINE, table, partition=0, endpoints=["desk"], clock=CLOCK)


def test_what_an_endpoint_has_not_taken_is_owed_by_whoever_has_the_partition_next():
    lane, table, cut = parked()
    assert [each.id for each in cut.posts] == [each.id for each in cut.owed]
    lane.told(cut)
    assert again(table).urgent
    assert again(table).cut().posts == cut.posts
    trimmed = lane.cut()
    assert trimmed.owed == [], "it is in its topic"
    assert [each.id for each in again(table | trimmed.records).cut().posts] == [each.id for each in cut.posts]


def test_what_was_told_is_trimmed_so_that_a_rebalance_does_not_say_it_again():
    one, table = CameraLane(PIPELINE, {}, partition=0, clock=CLOCK), dict[bytes, bytes]()
    for n, value in enumerate(messages(Street([Thing(A)], missed=0).looks(every=5, until=120))):
        one.take(DETECTIONS, n, "gd-1", value)
    assert one.urgent
    cut = one.cut(whole=False)
    table |= cut.records
    one.told(cut)
    assert CameraLane(PIPELINE, dict(table), partition=0, clock=CLOCK).urgent
    table |= one.cut().records
    assert not CameraLane(PIPELINE, dict(table), partition=0, clock=CLOCK).urgent


def test_what_an_endpoint_has_taken_is_owed_no_more():
    lane, table, cut = parked()
    lane.told(cut)
    (filed,) = cut.posts
    case = read_case_event(filed.body).case
    taken = Delivered(delivered_id("desk", filed.id), case.id, case.locality, filed.id, START, START, START, "D-1")
    lane.take(LOCALITY_COMMANDS, 0, case.locality, write_forwarded(write_command(taken), mark=4))
    after = lane.cut()
    assert [read_case_event(each.body).type.value for each in after.owed] == ["citybrain.case.dispatched"]
    assert after.posts == []
    lane.told(after)
    lane.take(LOCALITY_COMMANDS, 1, case.locality, write_forwarded(write_command(taken), mark=9))  # said twice
    last = lane.cut()
    assert last.owed == []
    table |= last.records
    assert not again(table).urgent


def test_a_command_read_again_after_a_crash_acts_once():
    lane, table, cut = parked()
    lane.told(cut)
    case = read_case_event(cut.posts[0].body).case
    act = write_forwarded(write_command(Act("act-1", case.id, case.locality, CaseAction.CONFIRM, "op", START)), mark=3)
    lane.take(LOCALITY_COMMANDS, 7, case.locality, act)
    table |= lane.cut(whole=False).records  # and no progress
    second = again(table)
    first = second.cut()
    second.take(LOCALITY_COMMANDS, 7, case.locality, act)
    assert [each.id for each in second.cut().owed if each not in first.owed] == []


def test_what_is_told_of_one_key_keeps_its_order_when_the_clock_goes_back():
    clock = ManualClock(START + MINUTE)
    lane, table, cut = parked()
    lane.told(cut)
    table |= lane.cut().records
    case = read_case_event(cut.owed[0].body).case
    late = LocalityLane(PIPELINE, table, partition=0, endpoints=["desk"], clock=clock)
    acts = [CaseAction.CONFIRM, CaseAction.HANDLE, CaseAction.CLOSE]
    for n, action in enumerate(acts):
        act = write_command(Act(f"act-{n}", case.id, case.locality, action, "op", START + n * SECOND))
        late.take(LOCALITY_COMMANDS, n, case.locality, write_forwarded(act, mark=n))
        clock.advance(-20 * SECOND)
    versions = [read_case_event(each.body).case.version for each in late.cut().owed]
    assert versions == sorted(versions)
    assert len(versions) == len(acts)


# -- what cannot be read ------------------------------------------------------------------------------------------------


def lane_for(topic, stored=()):
    if topic in CameraLane.sources:
        return CameraLane(PIPELINE, dict(stored), partition=2, clock=CLOCK)
    if topic == COMMANDS:
        return SwitchLane(PIPELINE, dict(stored), partition=2, partitions=3, clock=CLOCK)
    return LocalityLane(PIPELINE, dict(stored), partition=2, endpoints=[], clock=CLOCK)


@pytest.mark.parametrize("topic", [DETECTIONS, CAMERA_COMMANDS, COMMANDS, EPISODES, LOCALITY_COMMANDS])
def test_what_cannot_be_read_becomes_a_dead_letter_with_its_reason_and_place(topic):
    made = lane_for(topic)
    made.take(topic, 17, "gd-1", b"\xff not JSON")
    cut = made.cut()
    (dead,) = cut.owed
    fields = json.loads(dead.body)
    assert (dead.topic, fields["topic"], fields["partition"], fields["offset"]) == (DEAD_LETTERS, topic, 2, 17)
    assert fields["kind"] == "unreadable"
    assert "expected JSON" in fields["reason"]
    assert dict(made.set_aside()) == {"unreadable": 1}
    restored = lane_for(topic, cut.records)
    assert restored.cut().owed == cut.owed, "a crash before it was told does not lose it"
    assert dict(restored.set_aside()) == {"unreadable": 1}


@pytest.mark.parametrize(
    ("topic", "command"),
    [
        (CAMERA_COMMANDS, Tick("t", START)),
        (LOCALITY_COMMANDS, LookAgain("l", "c", "camera:gd-1", "gd-1", "s", "p", START, START)),
    ],
)
def test_a_command_that_came_to_the_wrong_stage_is_kept_with_its_reason(topic, command):
    made = lane_for(topic)
    made.take(topic, 1, "key", write_forwarded(write_command(command), mark=1))
    assert "got" in json.loads(made.cut().owed[0].body)["reason"]


@pytest.mark.parametrize(
    "raw", [b"{}", b'{"v":1,"command":{}}', b'{"v":2,"mark":1,"command":{}}', b'{"v":1,"mark":"1"}']
)
def test_what_is_no_forwarded_command_is_unreadable(raw):
    with pytest.raises(Unreadable):
        read_forwarded(raw)


def test_states_of_another_version_stop_the_worker_rather_than_be_forgotten():
    _, table, _ = parked()
    changed = {key: raw.replace(b'\n{"v":1,', b'\n{"v":9,') for key, raw in table.items()}
    assert changed != table
    with pytest.raises(Unreadable, match="replay the log"):
        again(changed)


def test_a_record_that_owes_nothing_is_known_without_reading_it():
    looks = messages(Street([Thing(A)], missed=0).looks(every=5, until=20))
    lane = CameraLane(PIPELINE, {}, partition=0, clock=CLOCK)
    for n, value in enumerate(looks):
        lane.take(DETECTIONS, n, "gd-1", value)
    assert not owes(lane.cut().records[key_of("gd-1")])
    _, table, cut = parked()
    name = read_case_event(cut.owed[0].body).case.locality
    assert owes(table[key_of(name)])
    assert [each.topic for each in read_record(table[key_of(name)]).owed] == [CASE_EVENTS]
