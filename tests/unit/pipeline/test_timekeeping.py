"""What a worker does by the clock: time goes by for partitions that have open cases, and the switch's owner sweeps."""

import asyncio
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from citybrain.bus.topics import CAMERAS_TABLE, EPISODES, LOCALITIES_TABLE, LOCALITY_COMMANDS, SWITCH_TABLE
from citybrain.clock import SystemClock
from citybrain.domain.command import Configured, Tick
from citybrain.errors import Transient
from citybrain.wire import DETECTIONS
from pipeline.flow import Pipeline
from pipeline.runners.kafka.app import Tuning
from pipeline.runners.kafka.camera_lane import CameraLane
from pipeline.runners.kafka.claims import Claiming
from pipeline.runners.kafka.forwarded import read_forwarded
from pipeline.runners.kafka.held import Held
from pipeline.runners.kafka.locality_lane import LocalityLane
from pipeline.runners.kafka.switch_lane import SwitchLane
from pipeline.runners.kafka.timekeeping import Timekeeping
from tests.flows.days import TOWN
from tests.flows.street import A, Street, Thing, messages

PIPELINE, CLOCK = Pipeline(TOWN), SystemClock()
NOW = timedelta(milliseconds=1)


class Bus:
    """Remembers what was sent; `enough` is set when so much was."""

    def __init__(self, enough=1):
        self.sent, self.wanted, self.enough = [], enough, asyncio.Event()

    async def send(self, topic, key, value, *, partition=None):
        self.sent.append((topic, partition, read_forwarded(value)))
        if len(self.sent) >= self.wanted:
            self.enough.set()
        done = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done


class Hot:
    """A hot store that is away at first."""

    def __init__(self):
        self.put_at, self.there = [], asyncio.Event()
        self.loop = asyncio.get_running_loop()

    def put(self, key, value, *, ttl=None):
        self.put_at.append(key)
        if len(self.put_at) == 1:
            raise Transient("Redis is away")
        self.loop.call_soon_threadsafe(self.there.set)
        assert json.loads(value)["figures"] == {"looks": 7}


class Evidence:
    """Tells when it was swept."""

    def __init__(self):
        self.swept, self.loop = asyncio.Event(), asyncio.get_running_loop()

    def sweep(self, *, before):
        assert before < CLOCK.now() - timedelta(hours=5)
        self.loop.call_soon_threadsafe(self.swept.set)
        return 0


def lane(kind, *, partition=0, **more):
    return kind(PIPELINE, {}, partition=partition, clock=CLOCK, **more)


def with_a_case():
    one, two = lane(CameraLane), lane(LocalityLane, partition=1, endpoints=[])
    for n, value in enumerate(messages(Street([Thing(A)], missed=0).looks(every=5, until=120))):
        one.take(DETECTIONS, n, "gd-1", value)
    for n, each in enumerate(one.cut().owed):
        two.take(EPISODES, n, each.key, each.body)
    return two


async def figures():
    return {"looks": 7}


def keeping(held, bus, *, hot=None, evidence=None, revision=TOWN.revision, **tuning):
    slow = {"tick_every": timedelta(hours=1), "sweep_every": timedelta(hours=1)}
    return Timekeeping(
        held=lambda: held,
        send=bus.send,
        figures=figures,
        revision=lambda: revision,
        clock=CLOCK,
        tuning=Tuning(beat_every=NOW, **{**slow, **tuning}),
        name="a",
        hot=hot,
        evidence=evidence,
        keep_evidence=timedelta(hours=6),
        claiming=Claiming(None),
    )


async def until(event, timekeeping):
    running = asyncio.create_task(timekeeping.run())
    waiting = asyncio.create_task(event.wait())
    await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED, timeout=30)
    running.cancel()
    assert event.is_set(), running


async def test_time_goes_by_where_a_case_is_open_and_nowhere_else():
    bus = Bus(enough=3)
    held = [
        Held.begin(LOCALITIES_TABLE, 0, lane(LocalityLane, endpoints=[])),
        Held.begin(LOCALITIES_TABLE, 1, with_a_case()),
        Held.begin(CAMERAS_TABLE, 1, lane(CameraLane, partition=1)),
    ]
    await until(bus.enough, keeping(held, bus, tick_every=NOW))
    assert {(topic, partition) for topic, partition, _ in bus.sent} == {(LOCALITY_COMMANDS, 1)}
    assert all(mark is None and isinstance(command, Tick) for _, _, (mark, command) in bus.sent)


async def test_a_partition_is_told_once_by_whom_it_is_judged_now():
    bus, hot = Bus(), Hot()
    held = [
        Held.begin(LOCALITIES_TABLE, 1, with_a_case()),
        Held.begin(CAMERAS_TABLE, 1, lane(CameraLane, partition=1)),
        Held.begin(SWITCH_TABLE, 0, lane(SwitchLane, partitions=2)),
    ]
    other = Pipeline(replace(TOWN, revision="another"))
    for each in held:
        each.lane.adopt(other)
    await until(hot.there, keeping(held, bus, hot=hot, revision="another"))
    assert sorted((topic, partition) for topic, partition, _ in bus.sent) == [
        ("camera-commands", 1),
        (LOCALITY_COMMANDS, 1),
    ]
    assert all(isinstance(command, Configured) for _, _, (_, command) in bus.sent)


async def test_a_hot_store_that_is_away_stops_nothing_and_is_told_again_when_it_is_back():
    hot = Hot()
    await until(hot.there, keeping([], Bus(), hot=hot))
    assert hot.put_at[:2] == ["heartbeat/pipeline/a"] * 2


@pytest.mark.parametrize("has_the_switch", [True, False])
async def test_unclaimed_pictures_are_swept_by_whoever_has_the_switch(has_the_switch):
    evidence, hot = Evidence(), Hot()
    held = [Held.begin(SWITCH_TABLE, 0, lane(SwitchLane, partitions=2))] if has_the_switch else []
    timekeeping = keeping(held, Bus(), hot=hot, evidence=evidence, sweep_every=NOW)
    await until(evidence.swept if has_the_switch else hot.there, timekeeping)
    assert evidence.swept.is_set() == has_the_switch
