"""What an action has to say, and what of it reaches the pipeline."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from citybrain.clock import SystemClock, iso
from citybrain.domain.case import CaseState
from tests.services.api_city import City, case, serving
from tests.services.wall_page import drawn
from tests.waiting import until


@pytest.fixture
def http(city):
    with serving(city.app()) as url, httpx.Client(base_url=url, timeout=60) as client:
        yield client


def seen(http: httpx.Client, id: str) -> None:
    until(lambda: http.get(f"/v1/cases/{id}").status_code == 200)


def act(http: httpx.Client, n: int, **said) -> httpx.Response:
    return http.post(f"/v1/cases/{case(n).id}/actions", json=said)


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"action": "reject"}, "reason"),
        ({"action": "return"}, "reason"),
        ({"action": "assign", "note": "to whom?"}, "unit"),
        ({"action": "extend", "reason": "roadworks"}, "until"),
        ({"action": "extend", "until": "2026-11-21T07:00:00Z"}, "until"),
        ({"action": "defer", "until": "2020-01-01T00:00:00Z"}, "until"),
        ({"action": "merge"}, "into"),
        ({"action": "merge", "into": "case-of-nowhere"}, "into"),
        ({"action": "merge", "into": case(1).id}, "into"),
        ({"action": "merge", "into": case(3, scene="waterlogging").id}, "into"),
        ({"action": "verify", "evidence": ["field/20261121/080000.000Z-0123456789abcdef.jpg"]}, "evidence.0"),
    ],
)
def test_an_action_that_does_not_say_what_it_needs_is_refused_by_field(city: City, http, said, field):
    due_at = SystemClock().now() + timedelta(hours=2)
    city.file(case(1, due_at=due_at), case(3, scene="waterlogging"))
    seen(http, case(3, scene="waterlogging").id)
    answer = act(http, 1, **said)
    assert answer.status_code == 422
    assert [fault["field"] for fault in answer.json()["errors"]] == [field]
    assert city.commands() == []


def test_what_is_closed_takes_no_other_case_in_and_what_was_not_done_cannot_be_undone(city: City, http):
    city.file(case(1), case(2, state=CaseState.CLOSED))
    seen(http, case(2).id)
    merged = act(http, 1, action="merge", into=case(2).id)
    assert (merged.status_code, merged.json()["type"]) == (409, "/docs#impossible-action")
    undone = act(http, 1, action="undo")
    assert undone.status_code == 409
    assert "undo" not in undone.json()["allowed"]


def test_unit_time_other_case_and_pictures_reach_the_pipeline(city: City, http):
    city.file(case(1), case(2, camera="gd-0002"))
    seen(http, case(2).id)
    later = datetime(2099, 1, 1, tzinfo=UTC)
    ref = city.evidence.put("field", SystemClock().now().replace(microsecond=0), drawn())
    with city.obeying():
        for said in (
            {"action": "assign", "unit": "drainage"},
            {"action": "extend", "until": iso(later), "reason": "roadworks"},
            {"action": "verify", "evidence": [ref]},
            {"action": "merge", "into": case(2).id},
        ):
            answer = act(http, 1, **said)
            assert answer.json()["applied"], answer.text
    assigned, extended, verified, merged = city.acts
    assert assigned.unit == "drainage"
    assert (extended.until, extended.reason) == (later, "roadworks")
    assert [(each.ref, each.camera, each.role) for each in verified.evidence] == [(ref, "field", "field")]
    assert (merged.into, merged.into_locality) == (case(2).id, case(2, camera="gd-0002").locality)


def test_the_same_key_for_another_unit_is_refused(city: City, http):
    city.file(case(1))
    seen(http, case(1).id)
    path, key = f"/v1/cases/{case(1).id}/actions", {"Idempotency-Key": "once"}
    with city.obeying():
        first = http.post(path, json={"action": "assign", "unit": "drainage"}, headers=key)
        again = http.post(path, json={"action": "assign", "unit": "drainage"}, headers=key)
        other = http.post(path, json={"action": "assign", "unit": "sanitation"}, headers=key)
    assert (first.status_code, again.json()["command"]) == (200, first.json()["command"])
    assert other.json()["type"] == "/docs#idempotency-key-reused"
