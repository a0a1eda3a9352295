"""Reports among what cameras see: recordings and reports in, case events out, the same however it is cut and whoever runs it."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from citybrain.bus.local import LocalBus
from citybrain.clock import ManualClock
from citybrain.domain.case import CaseAction, CaseEvent, CaseState, Origin, Report
from citybrain.domain.command import Act, Command, Reported, Tick
from citybrain.wire import CASE_EVENTS, COMMANDS, DETECTIONS, write_case_event, write_command, write_detections
from pipeline.flow import Pipeline
from pipeline.runners.embedded import Embedded
from pipeline.runners.memory import HeldStates
from pipeline.runners.replay import Replay, restore, save
from tests.flows.street import FIRE, SECOND, START, A, Street, Thing, camera, city, scene

CELL = "530111001001003"
BRISK = scene(hold="20s", max_gap="10s", clear_after="15s", verify_for="20s")
SMOKE = scene(FIRE, clear_after="15s")
TOWN = city([BRISK, SMOKE], [camera(grid_cell=CELL)])
Message = tuple[str, bytes]


def reported(second: float, *, n: int = 0, sensor: str = "", scene: str = "illegal_parking", **more) -> Reported:
    id = f"report-{n or second}"
    at, where = START + second * SECOND, (102.7, 25.0)
    origin = Origin.SENSOR if sensor else Origin.HOTLINE
    place = f"sensor/{sensor}" if sensor else f"report/{id}"
    said = Report(id, origin, at, "so it is", None, where)
    return Reported(id, scene, f"cell:{CELL}", place, where, CELL, said, "platform", at, **more)


def log_of(street: Street, *commands: Command, until: float = 200) -> list[Message]:
    """Looks, commands and the clock, in the order of their instants."""
    looks = [(look.captured_at, 0, DETECTIONS, write_detections(look)) for look in street.looks(until=until)]
    said = [(each.at, 1, COMMANDS, write_command(each)) for each in commands]
    ticks = [START + second * SECOND for second in range(10, int(until), 10)]
    clock = [(at, 2, COMMANDS, write_command(Tick(f"tick-{at:%H%M%S}", at))) for at in ticks]
    return [(topic, value) for _, _, topic, value in sorted([*looks, *said, *clock], key=lambda each: each[:2])]


def run(log: Sequence[Message], states: HeldStates | None = None) -> list[CaseEvent]:
    runner = Replay(Pipeline(TOWN), states=states)
    return [event for topic, value in log for event in runner.run([value], topic=topic)]


def words(events: Sequence[CaseEvent]) -> list[tuple[str, str]]:
    return [(event.type.value.rpartition(".")[2], event.case.reason) for event in events]


def test_who_reports_a_car_before_the_camera_is_sure_has_the_same_case_as_the_camera():
    events = run(log_of(Street([Thing(A, until=100)], missed=0), reported(5)))
    assert words(events)[:3] == [("filed", "first_notice"), ("merged", "seen by a camera too"), ("cleared", "gone")]
    assert (events[-1].case.origin, events[-1].case.cameras) == (Origin.HOTLINE, ("gd-1",))
    assert len({event.case.id for event in events}) == 1


def test_who_reports_it_after_the_camera_was_sure_becomes_part_of_the_cameras_case():
    events = run(log_of(Street([Thing(A, until=100)], missed=0), reported(50), reported(50)))
    assert words(events)[:3] == [("filed", "first_notice"), ("merged", "reported: hotline"), ("cleared", "gone")]
    assert events[1].cause == "report-50"


def test_smoke_is_there_until_both_the_camera_and_the_sensor_say_that_it_is_gone():
    street = Street([Thing(A, label="smoke", since=10, until=60)], missed=0)
    sensor = [
        reported(12, n=1, sensor="sm-1", scene="fire_risk"),
        reported(120, n=2, sensor="sm-1", scene="fire_risk", ended=True),
    ]
    events = run(log_of(street, *sensor))
    cleared = [event for event in events if event.type.value.endswith("cleared")]
    assert [(event.at - START).total_seconds() for event in cleared] == [120]
    assert len({event.case.id for event in events}) == 1


def test_a_case_that_only_people_tell_of_is_verified_by_people():
    filed, *_ = run(log_of(Street(), reported(5), until=10))
    done = Act("act-1", filed.case.id, filed.case.locality, CaseAction.VERIFY, "unit", START + 30 * SECOND)
    close = Act("act-2", filed.case.id, filed.case.locality, CaseAction.CLOSE, "li", START + 90 * SECOND)
    events = run(log_of(Street(), reported(5), done, close, until=120))
    assert [event.case.state for event in events] == [CaseState.FILED, CaseState.VERIFYING, CaseState.CLOSED]


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000))
def test_whatever_is_reported_and_whenever_all_runners_tell_the_same(tmp_path_factory, seed):
    random, folder = Random(seed), tmp_path_factory.mktemp("city")
    street = Street(
        [
            Thing(A, since=random.uniform(0, 40), until=random.uniform(60, 120)),
            Thing(A, label="smoke", since=70, until=90),
        ],
        seed=seed,
    )
    said: list[Command] = []
    for n in range(1, random.randint(2, 8)):
        sensor = random.choice(["", "", "sm-1"])
        report = reported(
            random.randint(0, 150), n=n, sensor=sensor, scene=random.choice(["illegal_parking", "fire_risk"])
        )
        said += [report] * random.choice([1, 1, 2])
        if sensor:
            said.append(reported(random.randint(0, 190), n=100 + n, sensor=sensor, scene=report.scene, ended=True))
    log = log_of(street, *said)
    told = [write_case_event(each) for each in run(log)]
    assert told == in_pieces(log, folder / "state.json", random)
    assert told == embedded(log, folder / "citybrain.db", random)
    latest: dict[str, int] = {}
    for event in run(log):
        assert event.case.version == latest.get(event.case.id, 0) + 1
        latest[event.case.id] = event.case.version
        assert len({each.id for each in event.case.reports}) == len(event.case.reports)
        assert bool(event.case.cameras) == bool(event.case.zone)


def in_pieces(log: Sequence[Message], path, random: Random) -> list[bytes]:
    """Cut here and there, stored, restored, and gone on."""
    told, states = list[bytes](), HeldStates()
    for message in log:
        told += [write_case_event(each) for each in run([message], states)]
        if random.random() < 0.05:
            save(states, path)
            states = restore(path)
    return told


def embedded(log: Sequence[Message], database, random: Random) -> list[bytes]:
    bus = LocalBus(database)
    for topic, value in log:
        bus.publish(topic, "key", value)
    applied = True
    while applied:
        runner = Embedded(database, Pipeline(TOWN), clock=ManualClock(START), notifiers={})
        applied = sum(runner.catch_up(limit=random.randint(1, 80)) for _ in range(3)) > 0
        runner.close()
    told = [message.value for message in bus.read((CASE_EVENTS,), after=0, limit=100_000)]
    bus.close()
    return told
