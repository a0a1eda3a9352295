"""A street under a silence: filed, shown, and told when it is over, whichever runner runs it and wherever it was cut."""

from __future__ import annotations

import pytest

from citybrain.bus.local import LocalBus
from citybrain.clock import ManualClock
from citybrain.domain.command import Silence, Silenced, Tick
from citybrain.wire import CASE_EVENTS, COMMANDS, DETECTIONS, read_case_event, write_case_event, write_command
from pipeline.flow import Pipeline
from pipeline.runners.embedded import Embedded
from pipeline.runners.replay import Replay, restore, save
from tests.flows.street import MINUTE, SECOND, START, A, Street, Thing, city, messages

TOWN = city()
FAIR = Silence("silence-1", START, START + 20 * MINUTE, "li", "a fair", scene="illegal_parking")


def said(*commands) -> list[tuple[str, bytes]]:
    return [(COMMANDS, write_command(each)) for each in commands]


DAY = [
    *said(Silenced("s", FAIR, START)),
    *((DETECTIONS, value) for value in messages(Street([Thing(A, 10)]).looks(every=10, until=900))),
    *said(*(Tick(f"tick-{n}", START + n * MINUTE) for n in range(16, 25))),
]


def replayed(values, runner=None):
    runner = runner or Replay(Pipeline(TOWN))
    return [write_case_event(event) for topic, value in values for event in runner.run([value], topic=topic)]


WHOLE = replayed(DAY)


def test_the_case_is_told_when_the_silence_is_over():
    events = [read_case_event(each) for each in WHOLE]
    assert [each.type.value.rpartition(".")[2] for each in events] == ["filed", "status"]
    filed, told = events
    assert (filed.case.silenced, filed.case.reason) == ("silence-1", "silenced")
    assert (told.case.silenced, told.at) == (None, START + 20 * MINUTE)


@pytest.mark.parametrize("cut", [1, 2, len(DAY) // 2, len(DAY) - 9, len(DAY) - 5, len(DAY) - 1])
def test_a_snapshot_holds_the_silences_too(tmp_path, cut):
    first = Replay(Pipeline(TOWN))
    before = replayed(DAY[:cut], first)
    save(first.states, tmp_path / "state.json")
    after = replayed(DAY[cut:], Replay(Pipeline(TOWN), states=restore(tmp_path / "state.json")))
    assert before + after == WHOLE


@pytest.mark.parametrize("cut", [1, len(DAY) // 2, len(DAY) - 5])
def test_the_runner_that_lasts_keeps_them_over_a_restart(tmp_path, cut):
    clock = ManualClock(START)
    bus = LocalBus(tmp_path / "citybrain.db", clock=clock)
    waiting = None
    for part in (DAY[:cut], DAY[cut:]):
        for topic, value in part:
            bus.publish(topic, "key", value)
        runner = Embedded(tmp_path / "citybrain.db", Pipeline(TOWN), clock=clock, notifiers={"desk": Desk()})
        while runner.catch_up():
            clock.advance(SECOND)
        waiting = runner.figures()["outbox"]["waiting"]
        runner.close()
    assert [each.value for each in bus.read([CASE_EVENTS], after=0, limit=100)] == WHOLE
    assert waiting == 1  # the desk is told once, and of nothing that was said while the silence held
    bus.close()


class Desk:
    """A desk that nobody asks."""

    async def notify(self, outgoing):
        raise NotImplementedError

    async def close(self):
        return None


def test_what_was_silenced_is_in_the_ledger():
    runner = Replay(Pipeline(TOWN))
    replayed(DAY, runner)
    counts = [runner.states.locality(key).counts for key in runner.states.localities()]
    assert counts == [{"filed:silenced": 1}]
