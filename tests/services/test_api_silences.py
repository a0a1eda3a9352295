"""Silences and areas over HTTP: made, seen, ended, by whom; what they held back; how many open cases lie where."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta, timezone

import httpx
import pytest

from citybrain.clock import ManualClock, SystemClock, iso
from citybrain.database import Database
from citybrain.domain.area import Area
from citybrain.domain.camera import Text
from citybrain.domain.case import CaseEventType, CaseState, Light
from citybrain.domain.command import Silence, Silenced
from citybrain.wire import COMMANDS, DETECTIONS, read_command
from events_api.audit import AuditTrail
from events_api.problems import KINDS
from events_api.security import Role
from pipeline.flow import Pipeline
from pipeline.runners.embedded import Embedded
from tests.flows import street
from tests.flows.test_silences import Desk
from tests.services.api_city import City, case, event, serving
from tests.waiting import until

HOUR = timedelta(hours=1)
CST = timezone(8 * HOUR)
ALL = {"reason": "a fair", "for": "2h"}
STALLS = ALL | {"scene": "street_stall"}


@pytest.fixture
def city(tmp_path):
    made = City(tmp_path)
    yield made
    made.close()


@pytest.fixture
def app(city):
    return city.app()


@pytest.fixture
def http(app):
    with serving(app) as url, httpx.Client(base_url=url, timeout=20) as client:
        yield client


@pytest.fixture(scope="module")
def keyed(tmp_path_factory):
    """A city whose keys are all made, for what changes nothing that another test would see."""
    city = City(tmp_path_factory.mktemp("keyed"))
    tokens = {role: city.keys.add(f"{role}-desk", role, unit="u" if role is Role.FIELD else None) for role in Role}
    keys = {role: {"authorization": f"Bearer {token}"} for role, token in tokens.items()}
    with serving(city.app()) as url, httpx.Client(base_url=url, timeout=20) as client:
        yield city, client, keys
    city.close()


def problem(answer: httpx.Response, status: int, slug: str) -> dict:
    assert answer.status_code == status, answer.text
    assert answer.json()["type"] == f"/docs#{slug}"
    assert slug in KINDS
    return answer.json()


def asked(city: City) -> list[Silenced]:
    messages = city.pipeline.read([COMMANDS], after=0)
    return [found for each in messages if isinstance(found := read_command(each.value), Silenced)]


def listed(http: httpx.Client, **query) -> list[dict]:
    return http.get("/v1/silences", params=query).raise_for_status().json()["items"]


def test_a_silence_is_asked_of_the_pipeline_in_the_name_of_whoever_makes_it(city, http):
    made = http.post("/v1/silences", json=STALLS | {"grid_cell": "530111001"}, headers={"x-operator": "li"})
    assert made.status_code == 201
    shown = made.json()
    assert (shown["author"], shown["state"], shown["scene"], shown["configured"]) == (
        "li",
        "active",
        "street_stall",
        False,
    )
    (command,) = asked(city)
    assert command.silence.id == shown["id"]
    assert command.silence.until - command.silence.since == 2 * HOUR
    assert (command.silence.reason, command.silence.grid_cell) == ("a fair", "530111001")
    assert listed(http) == [shown]


def test_a_silence_that_is_to_come_is_pending_and_one_ended_is_expired(city, http):
    now = SystemClock().now()
    until = iso(now + 5 * HOUR)
    later = http.post("/v1/silences", json=STALLS | {"since": (now + HOUR).astimezone(CST).isoformat()}).json()
    active = http.post("/v1/silences", json={"camera": "gd-0001", "until": until, "reason": "works"}).json()
    assert [each["state"] for each in listed(http)] == ["active", "pending"]
    assert listed(http, state="pending") == [later]
    assert active["until"] == until
    assert later["since"] == iso(now + HOUR)
    for each in (later, active):
        ended = http.delete(f"/v1/silences/{each['id']}")
        assert ended.status_code == 200
        assert ended.json()["state"] == "expired"
        problem(http.delete(f"/v1/silences/{each['id']}"), 409, "silence-over")
    assert {each["state"] for each in listed(http)} == {"expired"}
    assert [each.silence.until <= max(each.at, each.silence.since) for each in asked(city)] == [
        False,
        False,
        True,
        True,
    ]


def test_the_same_key_makes_one_silence(city, http):
    first, again, other = (
        http.post("/v1/silences", json=STALLS, headers={"idempotency-key": key}) for key in ("a", "a", "b")
    )
    assert [each.status_code for each in (first, again, other)] == [201, 200, 201]
    assert again.json() == first.json()
    assert len(asked(city)) == len(listed(http)) == 2


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({}, "reason"),
        ({"reason": "a fair"}, "body"),
        (STALLS | {"until": "2026-11-21T08:00:00Z"}, "body"),
        (STALLS | {"reason": "  "}, "reason"),
        ({"scene": "stalls", "for": "2h", "reason": "a fair"}, "scene"),
        (ALL | {"camera": "gd-9999"}, "camera"),
        (ALL | {"grid_cell": "53011x"}, "grid_cell"),
        (STALLS | {"for": "0s"}, "until"),
        (STALLS | {"for": "93d"}, "until"),
        (STALLS | {"for": "999999h"}, "body"),
        (STALLS | {"for": "soon"}, "for"),
        (STALLS | {"since": "9999-12-31T23:59:59Z"}, "since"),
        (STALLS | {"since": "9999-12-31T23:59:59-14:00"}, "since"),
        (STALLS | {"since": "2027-12-31T23:59:59Z"}, "since"),
        ({"scene": "street_stall", "reason": "a fair", "until": "0001-01-01T00:00:00+14:00"}, "until"),
        ({"scene": "street_stall", "reason": "a fair", "until": "9999-12-31T23:59:59-14:00"}, "until"),
        ({"scene": "street_stall", "reason": "a fair", "until": "2026-01-01T00:00:00Z"}, "until"),
        ({"scene": "street_stall", "reason": "a fair", "until": "2026-11-23T00:00:00"}, "until"),
        (STALLS | {"author": "somebody else"}, "author"),
    ],
)
def test_what_is_no_silence_is_refused_with_the_field_that_is_wrong(keyed, wrong, field):
    city, http, keys = keyed
    before = len(asked(city))
    answer = http.post("/v1/silences", json=wrong, headers=keys[Role.ENGINEER])
    found = problem(answer, 422, "invalid-request")
    assert field in {each["field"].rpartition(".")[2] for each in found["errors"]}
    assert len(asked(city)) == before


def test_what_nobody_made_cannot_be_ended(http):
    problem(http.delete("/v1/silences/silence-none"), 404, "no-such-silence")


def test_a_silence_of_the_configuration_is_shown_and_ended_there(city, app, http):
    now = SystemClock().now()
    fair = Silence("routes-1", now - HOUR, now + HOUR, "wang", "a fair", scene="street_stall")
    app.state.parts.registry.adopt(city.cameras, (), silences=[fair])
    city.file(case(1, scene="street_stall", silenced="routes-1"))
    until(lambda: listed(http)[0]["held"] == 1)
    (shown,) = listed(http)
    assert (shown["configured"], shown["author"], shown["holding"]) == (True, "wang", 1)
    problem(http.delete("/v1/silences/routes-1"), 409, "silence-configured")


def test_the_list_says_how_many_cases_each_silence_holds_back(city, http):
    made = http.post("/v1/silences", json=STALLS).json()["id"]
    held = [case(n, scene="street_stall", silenced=made) for n in range(1, 4)]
    city.file(*held, case(4))
    told = replace(held[0], silenced=None, version=2)
    closed = replace(held[1], state=CaseState.CLOSED, version=2)
    city.tell(event(told, CaseEventType.STATUS), event(closed, CaseEventType.CLOSED))
    until(lambda: listed(http)[0]["held"] == 3 and listed(http)[0]["holding"] == 1)


def test_the_silences_outlive_the_view(city, http, tmp_path):
    made = http.post("/v1/silences", json=STALLS).json()
    city.store.reset()
    assert listed(http) == [made]


# -- who may ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "roles"),
    [
        ("GET", "/v1/silences", {"viewer", "operator", "engineer"}),
        ("GET", "/v1/areas", {"viewer", "operator", "engineer"}),
        ("POST", "/v1/silences", {"operator", "engineer"}),
        ("DELETE", "/v1/silences/x", {"operator", "engineer"}),
    ],
)
def test_viewers_see_and_operators_silence(keyed, method, path, roles):
    _, http, keys = keyed
    assert http.request(method, path).status_code == 401
    for role, key in keys.items():
        body = {"json": STALLS} if method == "POST" else {}
        status = http.request(method, path, headers=key, **body).status_code
        assert (status not in (401, 403)) == (role.value in roles), role


@pytest.mark.parametrize(
    ("silence", "who"),
    [
        (STALLS | {"for": "24h"}, "operator"),
        (STALLS | {"for": "24h1s"}, "engineer"),
        (ALL, "engineer"),
        (ALL | {"grid_cell": "530111001"}, "operator"),
        (ALL | {"camera": "gd-0001"}, "operator"),
        (ALL | {"scene": "fire_risk"}, "engineer"),
        (ALL | {"scene": "fire_risk", "camera": "gd-0001"}, "operator"),
    ],
)
def test_what_may_hide_much_is_for_engineers(keyed, silence, who):
    city, http, keys = keyed
    before = len(asked(city))
    answer = http.post("/v1/silences", json=silence, headers=keys[Role.OPERATOR])
    assert answer.status_code == (201 if who == "operator" else 403)
    assert len(asked(city)) - before == (who == "operator")
    assert http.post("/v1/silences", json=silence, headers=keys[Role.ENGINEER]).status_code == 201


def test_who_made_and_who_ended_it_is_noted(city):
    trail = AuditTrail(Database.memory(), clock=city.clock)
    with serving(city.app(trail=trail)) as url, httpx.Client(base_url=url, timeout=20) as http:
        made = http.post("/v1/silences", json=STALLS, headers={"x-operator": "li"}).json()
        http.delete(f"/v1/silences/{made['id']}", headers={"x-operator": "wang"})
        noted = http.get("/v1/audit").json()["items"]
    said = [(each["actor"], each["what"], each["on"]) for each in noted if each["what"].startswith("silence.")]
    assert sorted(said) == [("li", "silence.made", made["id"]), ("wang", "silence.ended", made["id"])]


# -- areas --------------------------------------------------------------------------------------------------------------

CELL = Area("530111001001003", Text("三", "3"), "cell")
STREET = Area("530111001", Text("关上街道", "Guanshang"), "street", "street_office", areas=(CELL,))
DISTRICT = Area("530111", Text("官渡区", "Guandu"), "district", "district_office", areas=(STREET,))


def test_areas_are_a_tree_that_counts_open_cases_by_light(city, app, http):
    assert http.get("/v1/areas").json() == {"items": [], "elsewhere": {"green": 0, "yellow": 0, "red": 0}}
    app.state.parts.registry.adopt(city.cameras, (), areas=[DISTRICT])
    city.file(
        case(1, grid_cell=CELL.code),
        case(2, grid_cell=CELL.code, light=Light.RED),
        case(3, grid_cell="530111001001009", light=Light.YELLOW),
        case(4, grid_cell="530111002001001"),
        case(5, grid_cell=None),
        case(6, grid_cell=CELL.code, state=CaseState.CLOSED),
    )
    until(lambda: len(http.get("/v1/cases").json()["items"]) == 6)
    tree = http.get("/v1/areas").json()
    district, street, cell = tree["items"]
    assert [(each["code"], each["depth"], each["parent"]) for each in tree["items"]] == [
        (DISTRICT.code, 0, None),
        (STREET.code, 1, DISTRICT.code),
        (CELL.code, 4, STREET.code),
    ]
    assert (street["name"], street["level"], street["in_charge"]) == (
        {"zh": "关上街道", "en": "Guanshang"},
        "street",
        "street_office",
    )
    assert district["open"] == {"green": 2, "yellow": 1, "red": 1}
    assert street["open"] == {"green": 1, "yellow": 1, "red": 1}
    assert cell["open"] == {"green": 1, "yellow": 0, "red": 1}
    assert tree["elsewhere"] == {"green": 1, "yellow": 0, "red": 0}
    assert len(http.get("/v1/cases", params={"grid_cell": STREET.code, "open": True}).json()["items"]) == 3


def test_no_word_of_a_silence_is_lost_on_the_way(city, http):
    words = '"引号" \\ <b>&'
    made = http.post("/v1/silences", json=STALLS | {"reason": words})
    assert listed(http)[0]["reason"] == made.json()["reason"] == words


def test_a_silence_that_was_to_begin_long_ago_begins_now(city, http):
    made = http.post("/v1/silences", json=STALLS | {"since": "0001-01-01T00:00:00+14:00"})
    assert made.json()["state"] == "active"
    (command,) = asked(city)
    assert command.silence.since == command.at


# -- with the pipeline on the other side of the bus -----------------------------------------------------------------------


def test_what_is_silenced_here_is_held_back_there_and_told_when_it_is_ended_here(tmp_path):
    clock = ManualClock(street.START)
    city = City(tmp_path, clock=clock)
    desk = {"desk": Desk()}  # nobody sends anything: what would be sent is counted
    pipeline = Embedded(tmp_path / "citybrain.db", Pipeline(street.city()), clock=clock, notifiers=desk)
    looks = street.Street([street.Thing(street.A, 10)]).looks(every=10, until=600)
    with serving(city.app()) as url, httpx.Client(base_url=url, timeout=20) as http:
        made = http.post("/v1/silences", json=ALL | {"scene": "illegal_parking"}).json()
        for value in street.messages(looks):
            city.pipeline.publish(DETECTIONS, "gd-1", value)
        while pipeline.catch_up():
            pass
        until(lambda: listed(http)[0]["holding"] == 1)
        (case,) = http.get("/v1/cases", params={"silence": made["id"]}).json()["items"]
        assert (case["silenced"], case["state"], case["reason"]) == (made["id"], "filed", "silenced")
        assert pipeline.figures()["outbox"]["waiting"] == 0
        clock.advance(timedelta(minutes=10))
        http.delete(f"/v1/silences/{made['id']}")
        while pipeline.catch_up():
            pass
        until(lambda: listed(http)[0]["holding"] == 0)
        case = http.get(f"/v1/cases/{case['id']}").json()
        assert (case["silenced"], case["reason"]) == (None, "silence over")
        assert case["stamps"]["released"] == iso(clock.now())
        assert pipeline.figures()["outbox"]["waiting"] == 1
    pipeline.close()
    city.close()
