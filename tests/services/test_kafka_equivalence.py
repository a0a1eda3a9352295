"""The same recording gives the same case events through replay, the embedded runner, and Kafka with one, two and four workers.

It is an eventful day: people act, merge across localities and take back, units say that they are done and cameras look again,
silences begin and end, reports, clips and the desk come in between. It is played at the pace of life (docs/architecture.md,
"Beyond one machine: the pipeline"): whoever speaks, or sees something in a place that another camera sees too, does so when what
was before has been taken in, however quick that is. Everything else goes as fast as it can.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from random import Random

import pytest

pytest.importorskip("faust", reason="the extra `kafka` is not installed")

from citybrain.bus.local import LocalBus
from citybrain.clock import ManualClock
from citybrain.domain.detection import Usable
from citybrain.wire import (
    CASE_EVENTS,
    COMMANDS,
    DETECTIONS,
    read_case_event,
    read_command,
    read_detections,
    write_case_event,
)
from pipeline.flow import Pipeline
from pipeline.runners.embedded import Embedded
from pipeline.runners.memory import HeldStates, advance
from tests.flows.eventful import Log, eventful, told
from tests.flows.street import START, A, B, C, Street, Thing
from tests.services.kafka_city import TOWN, KafkaCity, day_of, differing

pytestmark = pytest.mark.timeout(800)

STREETS = [
    Street([Thing(A, 10, 200), Thing(B, 30, 300, who=2)], [(100, 140, Usable.LOST)], camera="gd-1", seed=1),
    Street([Thing(A, 14, 210), Thing(C, 150, 400, who=7)], camera="gd-2", seed=2),
    Street([Thing(C, 5, who=3), Thing(B, 50, 90, "fire"), Thing(B, 250, 280, "fire")], camera="gd-3", seed=3),
    Street([Thing(A, 20, 180, who=4), Thing(C, 200, 260, "fire")], camera="gd-4", seed=4),
    Street([Thing(B, 60, 330, who=5)], [(200, 240, Usable.DARK)], camera="gd-5", seed=5),
]
LOG = eventful(day_of(STREETS, every=4), TOWN, Random(33), often=0.09, tick_each=60)
EXPECTED = [write_case_event(event) for event in told(LOG, TOWN)]


@dataclass
class Batch:
    """Messages whose order across cameras does not matter; `touched` says which camera told of which locality."""

    messages: Log = field(default_factory=list)
    touched: dict[str, str] = field(default_factory=dict)


def paced(log: Log) -> list[Log]:
    """The log in batches, each of which waits until the one before it has been taken in."""
    pipeline, states, batches = Pipeline(TOWN), HeldStates(), [Batch()]
    for topic, value in log:
        effects = list(advance(pipeline, topic, value, states))
        speaker, concerned = "somebody", {key for each in effects for key in each.localities}
        alone = any(each.asks for each in effects)
        if topic == DETECTIONS:
            speaker = read_detections(value).camera
        else:
            locality = getattr(read_command(value), "locality", None)
            alone, concerned = alone or locality is None, concerned | {str(locality)}
        if alone or any(batches[-1].touched.get(key, speaker) != speaker for key in concerned):
            batches.append(Batch())
        batches[-1].messages.append((topic, value))
        batches[-1].touched |= dict.fromkeys(concerned, speaker)
        if alone:
            batches.append(Batch())
    return [each.messages for each in batches if each.messages]


def test_the_day_has_everything_in_it():
    """Else the rest of this file would show little."""
    events = [read_case_event(body) for body in EXPECTED]
    kinds = Counter(event.type.value.rpartition(".")[2] for event in events)
    assert kinds.keys() >= {"filed", "merged", "status", "cleared", "verified", "closed", "reopened", "dispatched"}
    reasons = {event.case.reason for event in events}
    assert reasons >= {"still there", "seen to be gone", "silenced", "silence over", "another case is part of it"}
    merged = [event.case for event in events if event.case.merged_into]
    localities = {event.case.id: event.case.locality for event in events}
    assert any(case.locality != localities[str(case.merged_into)] for case in merged), "merged across localities"
    asked = {type(read_command(value)).__name__ for topic, value in LOG if topic == COMMANDS}
    assert asked >= {"Act", "Tick", "Silenced", "Reported", "Filmed", "Delivered"}


def test_the_embedded_runner_tells_what_replay_tells(tmp_path):
    bus = LocalBus(tmp_path / "citybrain.db")
    for topic, value in LOG:
        bus.publish(topic, "key", value)
    embedded = Embedded(tmp_path / "citybrain.db", Pipeline(TOWN), clock=ManualClock(START), notifiers={})
    while embedded.catch_up():
        pass
    embedded.close()
    assert [message.value for message in bus.read([CASE_EVENTS], after=0, limit=100_000)] == EXPECTED
    bus.close()


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_however_many_workers_share_it_kafka_tells_what_replay_tells(kafka, tmp_path, workers):
    town = KafkaCity(kafka, tmp_path)
    try:
        for n in range(workers):
            town.worker(str(n))
        for batch in paced(LOG):
            for topic, value in batch:
                if topic == DETECTIONS:
                    town.bus.offer(topic, read_detections(value).camera, value)
                else:
                    town.bus.publish(topic, "key", value)
            town.until(town.is_settled)
        assert differing(town.case_events(), EXPECTED) == {}
        assert town.figures()["set_aside.unreadable"] == 0, "a defect sets aside what it cannot apply"
        town.until(lambda: all("partitions [" in town.said(name) for name in map(str, range(workers))))
    finally:
        town.close()
