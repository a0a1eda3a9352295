"""Recordings in, case events out: the same each time, wherever they are cut, whatever is said twice, and the ledger balances."""

import asyncio
import json
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from citybrain.bus.local import LocalBus
from citybrain.clock import ManualClock
from citybrain.domain.case import Case, CaseAction, CaseEventType
from citybrain.domain.command import Act, Delivered, Filmed, Tick
from citybrain.domain.episode import Evidence
from citybrain.domain.geometry import Box
from citybrain.wire import CASE_EVENTS, COMMANDS, DETECTIONS, read_case_event, write_case_event, write_command
from pipeline import ledger as entries
from pipeline.camera_flow import pending
from pipeline.flow import Pipeline
from pipeline.runners.embedded import Embedded
from pipeline.runners.memory import HeldStates
from pipeline.runners.replay import Replay, restore, save
from tests.flows.days import CAMERAS, LENGTH, TOWN, days
from tests.flows.street import SECOND, START, A, Street, Thing, messages

PIPELINE = Pipeline(TOWN)
MANY, FEW = settings(max_examples=40), settings(max_examples=15)


def written(events):
    return [write_case_event(event) for event in events]


@FEW
@given(days())
def test_the_same_recording_tells_the_same_bytes(day):
    values = messages(day)
    assert written(Replay(PIPELINE).run(values)) == written(Replay(PIPELINE).run(values))


@MANY
@given(day=days(), data=st.data())
def test_a_recording_cut_anywhere_tells_the_same_events(day, data, tmp_path_factory):
    values, path = messages(day), tmp_path_factory.mktemp("cut") / "state.json"
    whole = written(Replay(PIPELINE).run(values))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(values)), min_size=1, max_size=3)))
    parts, states = [], HeldStates()
    for since, until in zip([0, *cuts], [*cuts, len(values)], strict=True):
        runner = Replay(PIPELINE, states=states)
        parts += written(runner.run(values[since:until]))
        save(runner.states, path)
        states = restore(path)
    assert parts == whole


@MANY
@given(day=days(), seed=st.integers(0, 99))
def test_the_embedded_runner_tells_what_replay_tells_wherever_it_is_stopped(day, seed, tmp_path_factory):
    values, random = messages(day), Random(seed)
    database = tmp_path_factory.mktemp("city") / "citybrain.db"
    bus = LocalBus(database)
    for look, value in zip(day, values, strict=True):
        bus.publish(DETECTIONS, look.camera, value)
    applied = 0
    while applied < len(values):
        embedded = Embedded(database, PIPELINE, clock=ManualClock(START), notifiers={})
        for _ in range(2):
            applied += embedded.catch_up(limit=random.randint(1, 40))
        assert all(figures["imbalance"] == 0 for figures in embedded.figures()["scenes"].values())
        embedded.close()
    told = [message.value for message in bus.read((CASE_EVENTS,), after=0, limit=10_000)]
    bus.close()
    assert told == written(Replay(PIPELINE).run(values))


@MANY
@given(day=days(), seed=st.integers(0, 99))
def test_what_is_said_again_or_late_changes_nothing(day, seed):
    random, values = Random(seed), messages(day)
    disturbed = []
    for index, value in enumerate(values):
        disturbed.append(value)
        if random.random() < 0.2:
            disturbed += random.choices(values[: index + 1], k=2)
    assert written(Replay(PIPELINE).run(disturbed)) == written(Replay(PIPELINE).run(values))


@MANY
@given(days())
def test_the_ledger_balances_after_every_message(day):
    runner = Replay(PIPELINE)
    for value in messages(day):
        list(runner.run([value]))
        for scene in TOWN.scenes:
            states = [runner.states.camera(each.id) for each in CAMERAS]
            summed = entries.total(state.ledgers.get(scene, {}) for state in states)
            assert entries.imbalance(summed, pending=sum(pending(state, scene) for state in states)) == 0
            assert all(count > 0 for count in summed.values())


@MANY
@given(days())
def test_each_case_is_told_in_order_from_filed_on_and_no_event_twice(day):
    events = list(Replay(PIPELINE).run(messages(day)))
    assert len({event.id for event in events}) == len(events)
    versions: dict[str, int] = {}
    for event in events:
        assert event.case.version == versions.get(event.case.id, 0) + 1
        assert (event.type is CaseEventType.FILED) == (event.case.version == 1)
        assert event.case.began_at <= event.case.confirmed_at <= event.case.filed_at
        assert read_case_event(write_case_event(event)).case.id == event.case.id
        versions[event.case.id] = event.case.version


@FEW
@given(day=days(), seed=st.integers(0, 999))
def test_commands_in_between_cut_anywhere_tell_the_same(day, seed, tmp_path_factory):
    """People, the desk and the clock have their say at any moment: twice the same run, once cut after each message."""
    path, random = tmp_path_factory.mktemp("cut") / "state.json", Random(seed)
    log = _with_commands(day, random)
    whole, parts, runner, states = [], [], Replay(PIPELINE), HeldStates()
    for n, (topic, value) in enumerate(log):
        whole += written(runner.run([value], topic=topic))
        piece = Replay(PIPELINE, states=states)
        parts += written(piece.run([value], topic=topic))
        if n % 20 == 0:
            save(piece.states, path)
            states = restore(path)
    assert parts == whole


def _with_commands(day, random):
    """The looks, and commands about the cases that they made by then: of a run without commands, so some are refused."""
    cases: dict[str, Case] = {}
    runner, log = Replay(PIPELINE), []
    for look, value in zip(day, messages(day), strict=True):
        log.append((DETECTIONS, value))
        cases |= {event.case.id: event.case for event in runner.run([value])}
        if cases and random.random() < 0.05:
            case, at = random.choice(list(cases.values())), look.captured_at
            command = random.choice(
                [
                    Act(
                        f"act-{random.randint(1, 20)}",
                        case.id,
                        case.locality,
                        random.choice(list(CaseAction)),
                        "op",
                        at,
                        "because",
                        "备注",
                    ),
                    Delivered(f"d-{case.id}", case.id, case.locality, f"{case.id}-1", at, at, at, "D-7"),
                    _filmed(case, at, f"{random.randint(1, 9)}.mp4"),
                    Tick(f"tick-{len(log)}", at + random.choice([0, 3600, 9000, 90_000]) * SECOND),
                ]
            )
            log.append((COMMANDS, write_command(command)))
    return log


def _filmed(case, at, ref):
    clip = Evidence(ref, case.cameras[0], at - 9 * SECOND, "around", until_at=at)
    return Filmed(f"filmed-{ref}", case.scene, case.place, case.locality, case.began_at, case.confirmed_at, clip, at)


def test_what_cannot_be_read_is_set_aside_with_its_reason_and_blocks_nothing(tmp_path):
    good = messages(Street([Thing(A)], missed=0).looks(every=5, until=LENGTH))
    bad = [
        b"",
        b"\xff\xfe",
        b"[]",
        b'{"v":1}',
        b'{"v":2}',
        b'{"v":1,"camera":"\\ud800"}',
        good[0].replace(b'"gd-1"', b'"nowhere"'),
        good[0].replace(b"0.5", b"1e999"),
        good[0].replace(b'"clock_ok":true', b'"clock_ok":"yes"'),
    ]
    bus = LocalBus(tmp_path / "citybrain.db")
    for n, value in enumerate(good):
        bus.publish(DETECTIONS, "gd-1", value)
        if n < len(bad):
            bus.publish(DETECTIONS, "gd-1", bad[n])
            bus.publish(COMMANDS, "gd-1", bad[n])
    embedded = Embedded(tmp_path / "citybrain.db", PIPELINE, clock=ManualClock(START), notifiers={})
    while embedded.catch_up(limit=7):
        pass
    figures = embedded.figures()
    assert figures["lag"] == 0
    assert sum(figures["set_aside"].values()) == 2 * len(bad)
    assert figures["set_aside"]["unknown"] == 1
    reasons = [row[0] for row in embedded._connection.execute("SELECT reason FROM set_aside")]
    assert all(reasons)
    assert not [reason for reason in reasons if reason.startswith("defect")]
    embedded.close()
    told = [message.value for message in bus.read((CASE_EVENTS,), after=0)]
    bus.close()
    assert told == written(Replay(PIPELINE).run(good))
    assert json.loads(told[0])["type"] == "citybrain.case.filed"


async def test_the_clock_closes_what_has_long_been_gone_and_people_took_up_or_not(tmp_path):
    """The embedded runner tells the time by itself: a case whose car has gone closes after its twelve hours."""
    bus, clock = LocalBus(tmp_path / "citybrain.db"), ManualClock(START + 400 * SECOND)
    for value in messages(Street([Thing(A, until=200)], missed=0).looks(every=5, until=LENGTH)):
        bus.publish(DETECTIONS, "gd-1", value)
    embedded = Embedded(tmp_path / "citybrain.db", PIPELINE, clock=clock, notifiers={})
    stop = asyncio.Event()
    running = asyncio.create_task(embedded.run(stop))

    async def kinds(wanted):
        async with asyncio.timeout(30):
            while True:
                found = [json.loads(m.value)["type"].rpartition(".")[2] for m in bus.read((CASE_EVENTS,), after=0)]
                if found[-1:] == [wanted]:
                    return found
                await asyncio.sleep(0.01)

    assert await kinds("cleared") == ["filed", "cleared"]
    clock.advance(2 * 3600 * SECOND + LENGTH * SECOND)
    assert await kinds("status") == ["filed", "cleared", "status"], "its light is red"
    clock.advance(12 * 3600 * SECOND)
    assert await kinds("closed") == ["filed", "cleared", "status", "closed"]
    stop.set()
    await running
    embedded.close()
    bus.close()


def test_two_scenes_that_see_one_thing_in_one_zone_make_a_case_each():
    smoke = Thing(Box(0.2, 0.1, 0.5, 0.4), since=10, until=100, label="smoke")
    uninhibited = {key: each for key, each in TOWN.scenes.items() if key != "illegal_parking"}
    alone = uninhibited["smoke_alone"]
    free = type(alone)(alone.file.model_copy(update={"inhibited_by": ()}), alone.rule, alone.revision, alone.path)
    town = type(TOWN)(uninhibited | {"smoke_alone": free}, TOWN.cameras, TOWN.routes, TOWN.revision)
    events = list(Replay(Pipeline(town)).run(messages(Street([smoke], missed=0).looks(until=300))))
    told = [(event.type.value.rpartition(".")[2], event.case.scene) for event in events]
    assert told == [
        ("filed", "fire_risk"),
        ("filed", "smoke_alone"),
        ("cleared", "smoke_alone"),
        ("cleared", "fire_risk"),
    ]
