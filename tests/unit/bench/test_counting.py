"""What the crash bench calls lost, twice, false, told under a second id, out of turn, undelivered; and how a view may differ."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bench.counting import count, differing, read_log
from bench.imagined import Problem

AT = datetime(2026, 11, 22, 8, tzinfo=UTC)
ONE = Problem("cam-1", "z0", AT, AT + timedelta(seconds=60))
OTHER = Problem("cam-1", "z1", AT, AT + timedelta(seconds=60))


def data(case: str, *, zone: str = "z0", version: int = 1, began: float = 1, state: str = "filed") -> dict[str, Any]:
    at = (AT + timedelta(seconds=began)).isoformat()
    return {
        "id": case,
        "scene": "stall",
        "cameras": ["cam-1"],
        "zone": zone,
        "began_at": at,
        "version": version,
        "state": state,
    }


def event(case: str, version: int = 1, *, type: str = "filed", **more: Any) -> dict[str, Any]:
    return {
        "id": f"{case}-{version}",
        "type": f"citybrain.case.{type}",
        "subject": case,
        "data": data(case, version=version, **more),
    }


def at_desk(case: str, *, number: str = "DD1", **more: Any) -> dict[str, Any]:
    return {"case": case, "external_id": number, "data": data(case, **more)}


def delivery(case: str, version: int = 1, *, id: str = "", count: int = 1) -> dict[str, Any]:
    return {"id": id or f"{case}-{version}", "case": case, "version": version, "count": count}


RIGHT: dict[str, Any] = {
    "log": read_log([event("a"), event("a", 2, type="dispatched"), event("b", zone="z1")]),
    "cases": [at_desk("a"), at_desk("b", number="DD2", zone="z1")],
    "deliveries": [delivery("a", count=3), delivery("b")],
}


def counted(problems: tuple[Problem, ...] = (ONE, OTHER), **more: Any):
    return count(problems, scene="stall", **(RIGHT | more))


def wrong(found) -> set[str]:
    return {name for name, each in found.told().items() if each and name != "examples"}


def test_one_problem_one_case_each_said_as_often_as_it_takes_is_right():
    assert counted().right
    assert wrong(counted()) == set()


def test_a_problem_without_a_case_is_lost_and_it_is_told_whether_it_was_ever_filed():
    assert wrong(counted(cases=[at_desk("a")], deliveries=[delivery("a")])) == {"lost", "undelivered"}
    assert wrong(counted((ONE, OTHER, replace(ONE, zone="z7")))) == {"lost", "never_filed"}


def test_two_cases_of_one_problem_are_one_too_many():
    log = read_log([event("a"), event("b", zone="z1"), event("c")])
    cases = [*RIGHT["cases"], at_desk("c", number="DD3")]
    assert wrong(counted(log=log, cases=cases, deliveries=[*RIGHT["deliveries"], delivery("c")])) == {"twice"}


@pytest.mark.parametrize("more", [{"zone": "z9"}, {"began": 300}])
def test_a_case_of_no_problem_is_false(more):
    log = read_log([event("a"), event("b", zone="z1"), event("c", **more)])
    cases = [*RIGHT["cases"], at_desk("c", number="DD3", **more)]
    assert wrong(counted(log=log, cases=cases, deliveries=[*RIGHT["deliveries"], delivery("c")])) == {"false"}


def test_a_fact_told_under_a_second_id_is_found_and_so_is_a_case_with_two_numbers():
    log = read_log([*RIGHT["log"].events.values(), {**event("a"), "id": "a-again"}])
    found = counted(log=log, deliveries=[*RIGHT["deliveries"], delivery("a", id="a-again")])
    assert list(found.second_ids) == ["a v1"]
    assert list(counted(cases=[*RIGHT["cases"], at_desk("a", number="DD9")]).second_ids) == ["a"]


def test_a_case_is_told_in_the_order_of_its_versions():
    log = read_log([event("a"), event("a", 2, type="cleared"), event("b", zone="z1")])
    found = counted(log=log, deliveries=[delivery("a", 2), delivery("a"), delivery("b")])
    assert list(found.out_of_turn) == ["a-1"]


def test_what_the_desk_has_and_the_log_has_not_is_found():
    assert list(counted(deliveries=[*RIGHT["deliveries"], delivery("x")]).unlogged) == ["x-1"]


def test_an_id_said_twice_must_say_the_same():
    same = read_log([event("a"), event("a")])
    assert (same.repeated, list(same.contradictions)) == (1, [])
    assert list(read_log([event("a"), event("a", state="closed")]).contradictions) == ["a-1"]


def test_a_view_is_what_the_log_said_last_of_each_case():
    log = read_log([event("a", 2, state="closed"), event("a"), event("b")])
    shown = [data("a", version=2, state="closed"), data("b")]
    assert differing(log, shown) == []
    assert differing(log, shown[:1]) == ["b"]
    assert differing(log, [*shown, data("c")]) == ["c"]
    assert differing(log, [data("a", version=2), shown[1]]) == ["a"]
