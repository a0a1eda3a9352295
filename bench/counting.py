"""What became of each problem: lost, twice, false; what was told under a second id, out of turn or never; where a view differs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from bench.imagined import Problem

LEEWAY = timedelta(seconds=2)
_NOT_POSTED = "citybrain.case.dispatched"
"""The one kind of event that the dispatch system is not told: it says that the dispatch system was told."""


@dataclass(frozen=True, slots=True)
class Count:
    """Lists of what is wrong; all of them empty is right."""

    lost: Sequence[str] = ()
    """Problems without a case at the desk."""
    never_filed: Sequence[str] = ()
    """Those of them that are not even in the log."""
    twice: Sequence[str] = ()
    false: Sequence[str] = ()
    second_ids: Sequence[str] = ()
    """Facts that were delivered under more than one id: the same version of the same case, or a case under two numbers."""
    out_of_turn: Sequence[str] = ()
    undelivered: Sequence[str] = ()
    """Events in the log that the desk should have and has not."""
    unlogged: Sequence[str] = ()
    """Messages at the desk that are not in the log."""
    contradictions: Sequence[str] = ()
    """Ids that say different things in the log."""

    @property
    def right(self) -> bool:
        return not any(getattr(self, name) for name in self.__dataclass_fields__)

    def told(self) -> dict[str, Any]:
        """How many of each, and the first of those that there are."""
        found: dict[str, Any] = {name: len(getattr(self, name)) for name in self.__dataclass_fields__}
        some = {name: list(getattr(self, name)[:5]) for name, count in found.items() if count}
        return {**found, **({"examples": some} if some else {})}


@dataclass(frozen=True)
class Log:
    """The case events as they were read: by id, each case's in the order of its versions."""

    events: Mapping[str, Mapping[str, Any]]
    repeated: int
    contradictions: Sequence[str]
    last: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def read_log(events: Iterable[Mapping[str, Any]]) -> Log:
    """Said twice under one id is allowed when it says the same."""
    found: dict[str, Mapping[str, Any]] = {}
    last: dict[str, Mapping[str, Any]] = {}
    repeated, contradictions = 0, []
    for event in events:
        before = found.setdefault(event["id"], event)
        if before is not event:
            repeated += 1
            if before != event:
                contradictions.append(event["id"])
        case = event["subject"]
        if case not in last or event["data"]["version"] > last[case]["data"]["version"]:
            last[case] = event
    return Log(found, repeated, contradictions, last)


def count(
    problems: Sequence[Problem],
    log: Log,
    *,
    cases: Sequence[Mapping[str, Any]],
    deliveries: Sequence[Mapping[str, Any]],
    scene: str,
) -> Count:
    """`cases` and `deliveries` as the desk tells them; only cases of that scene are the problems'."""
    mine = [case["data"] for case in cases if case["data"]["scene"] == scene]
    filed = [event["data"] for event in log.last.values() if event["data"]["scene"] == scene]
    at_desk, in_log = _by_place(mine), _by_place(filed)
    about = {each: _of(each, at_desk) for each in problems}
    expected = {each["id"] for found in about.values() for each in found}
    ids = {each["id"] for each in deliveries}
    due = {id for id, event in log.events.items() if event["type"] != _NOT_POSTED}
    return Count(
        lost=[_name(each) for each, found in about.items() if not found],
        never_filed=[_name(each) for each in problems if not _of(each, in_log)],
        twice=[_name(each) for each, found in about.items() if len(found) > 1],
        false=[each["id"] for each in mine if each["id"] not in expected],
        second_ids=_second_ids(cases, deliveries),
        out_of_turn=_out_of_turn(deliveries),
        undelivered=sorted(due - ids),
        unlogged=sorted(ids - log.events.keys()),
        contradictions=list(log.contradictions),
    )


def differing(log: Log, shown: Iterable[Mapping[str, Any]]) -> list[str]:
    """Cases that a view shows in another version or state than the log's last word, or not at all, or alone."""
    view = {each["id"]: (each["version"], each["state"]) for each in shown}
    truth = {case: (event["data"]["version"], event["data"]["state"]) for case, event in log.last.items()}
    return sorted(case for case in view.keys() | truth.keys() if view.get(case) != truth.get(case))


def _by_place(cases: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], list[Mapping[str, Any]]]:
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for case in cases:
        for camera in case["cameras"]:
            found[camera, case["zone"]].append(case)
    return found


def _of(problem: Problem, cases: Mapping[tuple[str, str], list[Mapping[str, Any]]]) -> list[Mapping[str, Any]]:
    found = cases.get((problem.camera, problem.zone), [])
    return [
        each
        for each in found
        if problem.begins_at - LEEWAY <= datetime.fromisoformat(each["began_at"]) <= problem.ends_at + LEEWAY
    ]


def _second_ids(cases: Sequence[Mapping[str, Any]], deliveries: Sequence[Mapping[str, Any]]) -> list[str]:
    facts: dict[tuple[str, int], set[str]] = defaultdict(set)
    for each in deliveries:
        facts[each["case"], each["version"]].add(each["id"])
    numbers: dict[str, set[str]] = defaultdict(set)
    for each in cases:
        numbers[each["case"]].add(each["external_id"])
    said = [f"{case} v{version}" for (case, version), ids in facts.items() if len(ids) > 1]
    return said + [case for case, found in numbers.items() if len(found) > 1]


def _out_of_turn(deliveries: Sequence[Mapping[str, Any]]) -> list[str]:
    """Messages that came, for the first time, after a later one of their case; in the order of their first coming."""
    newest: dict[str, int] = {}
    wrong = []
    for each in deliveries:
        if each["version"] < newest.get(each["case"], 0):
            wrong.append(each["id"])
        newest[each["case"]] = max(each["version"], newest.get(each["case"], 0))
    return wrong


def _name(problem: Problem) -> str:
    return f"{problem.camera}/{problem.zone} {problem.begins_at:%H:%M:%S}"
