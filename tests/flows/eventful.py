"""Days in which everything happens: looks, the clock, people, the desk, clips, reports and silences, as one log of messages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from random import Random

from citybrain.domain.case import Case, CaseAction, CaseEvent, Origin, Report
from citybrain.domain.command import Act, Command, Delivered, Filmed, Reported, Silence, Silenced, Tick
from citybrain.domain.detection import Detections, Usable
from citybrain.domain.episode import Evidence
from citybrain.wire import COMMANDS, DETECTIONS, write_command, write_detections
from pipeline.city import City
from pipeline.flow import Pipeline
from pipeline.runners.replay import Replay
from tests.flows.street import SECOND

Log = list[tuple[str, bytes]]
OFTEN = [CaseAction.VERIFY] * 6 + [CaseAction.UNDO, CaseAction.MERGE, CaseAction.REOPEN] * 3


def pictured(look: Detections) -> Detections:
    """The look of a camera that is asked to keep what it sees."""
    if look.usable is not Usable.OK:
        return look
    return replace(look, evidence=f"{look.camera}/{look.captured_at:%H%M%S.%f}.jpg")


def eventful(day: Sequence[Detections], town: City, random: Random, *, often: float = 0.1, tick_each: int = 10) -> Log:
    """The log of a day in which somebody says something after each tenth look; some of it is refused, some said twice."""
    runner, log = Replay(Pipeline(town)), Log()
    cases: dict[str, Case] = {}

    def put(topic: str, value: bytes) -> None:
        log.append((topic, value))
        cases.update({event.case.id: event.case for event in runner.run([value], topic=topic)})

    for n, look in enumerate(day):
        put(DETECTIONS, write_detections(pictured(look)))
        if n % tick_each == 0:
            put(COMMANDS, write_command(Tick(f"tick-{n}", look.captured_at)))
        if cases and random.random() < often:
            command = write_command(_said(list(cases.values()), look.captured_at, n, random))
            put(COMMANDS, command)
            if random.random() < 0.3:
                put(COMMANDS, command)
    return log


def told(log: Log, town: City) -> list[CaseEvent]:
    """What the pipeline tells of it, everything by one and at once."""
    runner = Replay(Pipeline(town))
    return [event for topic, value in log for event in runner.run([value], topic=topic)]


def _said(cases: Sequence[Case], at: datetime, n: int, random: Random) -> Command:
    case = random.choice(cases)
    kinds = [_act] * 6 + [_silenced, _reported, _filmed, _delivered]
    return random.choice(kinds)(case, cases, at, n, random)


def _act(case: Case, cases: Sequence[Case], at: datetime, n: int, random: Random) -> Command:
    into = random.choice([each for each in cases if each.scene == case.scene])
    return Act(
        id=f"act-{n}",
        case=case.id,
        locality=case.locality,
        action=random.choice([*CaseAction, *OFTEN]),
        actor="li",
        at=at,
        reason=random.choice(["", "because"]),
        unit=random.choice([None, "urban_order"]),
        until=random.choice([None, at + 9000 * SECOND, at + 60 * SECOND]),
        into=into.id,
        into_locality=into.locality,
    )


def _silenced(case: Case, cases: Sequence[Case], at: datetime, n: int, random: Random) -> Command:
    until = at + random.choice([-1, 40, 120]) * SECOND
    silence = Silence(f"silence-{random.randint(1, 3)}", at - 5 * SECOND, until, "li", "a fair", scene=case.scene)
    return Silenced(f"silenced-{n}", silence, at)


def _reported(case: Case, cases: Sequence[Case], at: datetime, n: int, random: Random) -> Command:
    report = Report(f"report-{n}", Origin.HOTLINE, at, "垃圾")
    return Reported(
        f"reported-{n}",
        case.scene,
        case.locality,
        f"report/report-{n}",
        case.location,
        case.grid_cell,
        report,
        "li",
        at,
    )


def _filmed(case: Case, cases: Sequence[Case], at: datetime, n: int, random: Random) -> Command:
    clip = Evidence(f"{n}.mp4", next(iter(case.cameras), "gd-1"), at - 9 * SECOND, "around", until_at=at)
    return Filmed(f"filmed-{n}", case.scene, case.place, case.locality, case.began_at, case.confirmed_at, clip, at)


def _delivered(case: Case, cases: Sequence[Case], at: datetime, n: int, random: Random) -> Command:
    return Delivered(f"delivered-{case.id}", case.id, case.locality, f"{case.id}-1", at, at, at, "D-7")
