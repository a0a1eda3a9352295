"""Who is let in: without keys this machine alone, with keys whoever has one, and other sites' pages never."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest
from fastapi.routing import APIRoute, APIWebSocketRoute
from starlette.routing import BaseRoute
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from citybrain.errors import UsageError
from events_api.security import Role
from tests.services.api_city import City, case, serving

UNIT = "traffic police"
ACT = f"/v1/cases/{case(1).id}/actions"


@pytest.fixture
def city(tmp_path):
    made = City(tmp_path)
    made.beat()
    yield made
    made.close()


@pytest.fixture
def keyed(city):
    """A client and a token for each role."""
    tokens = {role: city.keys.add(f"{role}-desk", role, unit=UNIT if role is Role.FIELD else None) for role in Role}
    city.file(case(1))
    with serving(city.app()) as url, httpx.Client(base_url=url, timeout=20) as http:
        while city.store.cursor() == 0:
            city.pipeline.wait(timedelta(milliseconds=20))
        yield http, tokens


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


SEE = {"viewer", "operator", "engineer"}
ALLOWED: dict[tuple[str, str], set[str]] = {
    ("GET", "/metrics"): {*SEE, "platform"},
    ("GET", "/v1/areas"): SEE,
    ("GET", "/v1/audit"): {"engineer"},
    ("GET", "/v1/cameras"): SEE,
    ("GET", "/v1/cameras.csv"): SEE,
    ("GET", "/v1/cameras/{id}"): {*SEE, "field"},
    ("GET", "/v1/cameras/{id}/history"): SEE,
    ("GET", "/v1/cameras/{id}/live"): SEE,
    ("GET", "/v1/cameras/{id}/snapshot.jpg"): SEE,
    ("POST", "/v1/cameras/{id}/view"): {"engineer"},
    ("GET", "/v1/cameras/{id}/zones"): {"engineer"},
    ("PUT", "/v1/cameras/{id}/zones"): {"engineer"},
    ("POST", "/v1/cameras/{id}/zones/preview"): {"engineer"},
    ("GET", "/v1/cases"): {*SEE, "platform", "field"},
    ("GET", "/v1/cases/{id}"): {*SEE, "platform", "field"},
    ("POST", "/v1/cases/{id}/actions"): {"operator", "engineer", "field"},
    ("GET", "/v1/cases/{id}/evidence.zip"): {"operator", "engineer", "platform"},
    ("GET", "/v1/cases/{id}/timeline"): {*SEE, "field"},
    ("GET", "/v1/configuration"): SEE,
    ("GET", "/v1/dispatch/dead-letters"): {"operator", "engineer"},
    ("POST", "/v1/dispatch/dead-letters/{id}/resend"): {"engineer"},
    ("GET", "/v1/events"): {*SEE, "platform"},
    ("GET", "/v1/events/stream"): {*SEE, "platform"},
    ("GET", "/v1/evidence/{ref}"): {*SEE, "platform", "field"},
    ("GET", "/v1/map"): SEE,
    ("GET", "/v1/map/cameras"): SEE,
    ("GET", "/v1/map/cases"): SEE,
    ("GET", "/v1/performance"): SEE,
    ("GET", "/v1/performance.csv"): SEE,
    ("POST", "/v1/photos"): {"operator", "engineer", "field", "platform"},
    ("POST", "/v1/reports"): {"operator", "engineer", "platform"},
    ("GET", "/v1/reports/{id}"): {*SEE, "platform"},
    ("GET", "/v1/scenes"): SEE,
    ("GET", "/v1/sensors"): SEE,
    ("GET", "/v1/session"): {*SEE, "platform", "field"},
    ("GET", "/v1/silences"): SEE,
    ("POST", "/v1/silences"): {"operator", "engineer"},
    ("DELETE", "/v1/silences/{id}"): {"operator", "engineer"},
    ("GET", "/v1/stats"): SEE,
    ("GET", "/v1/subscriptions"): {"engineer", "platform"},
    ("POST", "/v1/subscriptions"): {"engineer", "platform"},
    ("GET", "/v1/subscriptions/{id}"): {"engineer", "platform"},
    ("PATCH", "/v1/subscriptions/{id}"): {"engineer", "platform"},
    ("DELETE", "/v1/subscriptions/{id}"): {"engineer", "platform"},
    ("GET", "/v1/subscriptions/{id}/deliveries"): {"engineer", "platform"},
    ("POST", "/v1/subscriptions/{id}/deliveries/{event}/resend"): {"engineer", "platform"},
    ("POST", "/v1/subscriptions/{id}/replay"): {"engineer", "platform"},
    ("POST", "/v1/subscriptions/{id}/secret"): {"engineer", "platform"},
    ("POST", "/v1/subscriptions/{id}/test"): {"engineer", "platform"},
    ("WS", "/v1/events/ws"): {*SEE, "platform"},
}
"""Who may ask each route. A route that is neither here nor among OPEN, and a row that is no route, fail a test."""

OPEN = {
    ("GET", "/healthz"),  # says nothing but that it answers
    ("GET", "/readyz"),  # names processes, never a place
    ("POST", "/v1/session"),  # how one comes in
    ("DELETE", "/v1/session"),  # and leaves
    ("GET", "/asyncapi.json"),  # what events look like
    ("POST", "/v1/dispatch/callbacks"),  # proves itself by its signature
    *(("GET", page) for page in ("/", "/wall/", "/cases/{id:path}", "/docs", "/favicon.ico")),  # pages without data
}


def routes(app) -> set[tuple[str, str]]:
    """Every route of the application as the server would find it, those of WebSockets and without a place in OpenAPI too."""
    described = {(verb.upper(), path) for path, verbs in app.openapi()["paths"].items() for verb in verbs}
    sockets = {("WS", f"/v1{each.path}") for each in leaves(app.routes) if isinstance(each, APIWebSocketRoute)}
    unlisted = {
        (verb, each.path)
        for each in leaves(app.routes)
        if isinstance(each, APIRoute) and not each.include_in_schema
        for verb in each.methods or ()
    }
    return described | sockets | unlisted


def leaves(found) -> Iterator[BaseRoute]:
    for each in found:
        inner = getattr(each, "original_router", None)
        if inner is None:
            yield each
        else:
            yield from leaves(inner.routes)


def sample(path: str) -> str:
    """The route's path with something that is there, as far as something is."""
    for begins, id in (("/v1/cameras/", "gd-0001"), ("/v1/cases/", case(1).id)):
        if path.startswith(begins):
            return path.replace("{id}", id)
    return path.replace("{id}", "x").replace("{ref}", "x").replace("{event}", "x")


def asked(http: httpx.Client, verb: str, path: str, token: str | None) -> int:
    """The status of the answer to this key; a stream is left as soon as it has one."""
    headers = bearer(token) if token else {}
    if verb == "WS":
        try:
            with connect(
                f"ws{str(http.base_url).removeprefix('http')}{path}?after=0", additional_headers=headers
            ) as it:
                return 200 if json.loads(it.recv(10)) else 0
        except InvalidStatus as refused:
            return refused.response.status_code
        except ConnectionClosed as closed:
            return {4401: 401, 4403: 403}[closed.rcvd.code if closed.rcvd else 0]
    body = None if verb == "GET" else {"action": "burn"}
    with http.stream(verb, path, headers=headers, json=body) as answer:
        return answer.status_code


def test_every_route_has_its_row_and_every_row_its_route(city):
    assert routes(city.app()) == ALLOWED.keys() | OPEN


def test_each_role_may_do_what_it_is_for_and_no_more(keyed, monkeypatch):
    monkeypatch.setattr("events_api.routes.event_socket.FIRST_MESSAGE_S", 0.1)
    http, tokens = keyed
    wrong: list[tuple[str, str, str, int]] = []
    for (verb, path), may in ALLOWED.items():
        stranger = asked(http, verb, sample(path), None)
        wrong += [(verb, path, "nobody", stranger)] if stranger != 401 else []
        for role, token in tokens.items():
            status = asked(http, verb, sample(path), token)
            if (status not in (401, 403)) != (role.value in may) or status in (0, 500):
                wrong.append((verb, path, role.value, status))
    assert wrong == []


def test_a_field_key_sees_and_handles_its_units_cases_alone(city, keyed):
    http, tokens = keyed
    mine = bearer(tokens[Role.FIELD])
    city.file(case(2, unit=UNIT), case(3, unit="parks"))
    while city.store.case(case(3).id) is None:
        city.pipeline.wait(timedelta(milliseconds=20))
    assert [each["id"] for each in http.get("/v1/cases?unit=parks", headers=mine).json()["items"]] == [case(2).id]
    for path in (f"/v1/cases/{case(3).id}", f"/v1/cases/{case(3).id}/timeline"):
        assert http.get(path, headers=mine).json()["type"] == "/docs#no-such-case"
    with city.obeying():
        for n, action, status in ((2, "handle", 200), (2, "reject", 403), (2, "close", 403), (3, "handle", 404)):
            asked = {"action": action, "reason": "not_there"}
            assert http.post(f"/v1/cases/{case(n).id}/actions", json=asked, headers=mine).status_code == status, action
    assert [act.actor for act in city.acts] == ["field-desk"]


def test_what_is_open_tells_nothing(keyed):
    http, _ = keyed
    for path in ("/", "/docs", "/healthz", "/openapi.json", "/wall/wall.js"):
        assert http.get(path).status_code == 200
    assert http.post("/v1/dispatch/callbacks", json={}).json()["type"] == "/docs#no-dispatch-secret"


@pytest.mark.parametrize("header", ["Bearer cb_wrong", "Bearer", "Basic Y2I6Y2I=", "bearer", "Bearer ünï".encode()])
def test_a_wrong_key_is_told_how_to_do_it(keyed, header):
    http, _ = keyed
    answer = http.get("/v1/cases", headers={"authorization": header})
    assert answer.status_code == 401
    assert answer.json()["type"] == "/docs#key-needed"
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_the_actor_is_the_key_whatever_the_asker_says(city, keyed):
    http, tokens = keyed
    with city.obeying():
        answer = http.post(
            ACT, json={"action": "confirm"}, headers=bearer(tokens[Role.OPERATOR]) | {"x-operator": "mayor"}
        )
    assert answer.status_code == 200
    assert [act.actor for act in city.acts] == ["operator-desk"]


def test_a_browser_comes_in_with_a_session_and_leaves(keyed):
    http, tokens = keyed
    answer = http.post("/v1/session", json={"key": tokens[Role.VIEWER]})
    cookie = answer.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=strict"} <= set(cookie.split("; "))
    assert tokens[Role.VIEWER] not in cookie
    assert http.get("/v1/cases").status_code == 200
    assert http.get("/v1/session").json() == {"name": "viewer-desk", "role": "viewer", "unit": None, "keys": True}
    session = http.cookies["citybrain_session"]
    http.delete("/v1/session")
    assert http.get("/v1/cases", headers={"cookie": f"citybrain_session={session}"}).status_code == 401


def test_a_revoked_key_is_refused_at_once_with_its_sessions_and_streams(city, keyed, monkeypatch):
    monkeypatch.setattr("events_api.following.HEARTBEAT_S", 0.05)
    http, tokens = keyed
    http.post("/v1/session", json={"key": tokens[Role.VIEWER]})
    with http.stream("GET", "/v1/events/stream?after=0") as stream:
        arriving = stream.iter_raw()
        next(arriving)
        assert city.keys.revoke("viewer-desk")
        for _ in arriving:
            pass  # it ends by itself
    assert http.get("/v1/cases").status_code == 401
    assert http.get("/v1/cases", headers=bearer(tokens[Role.VIEWER])).status_code == 401


def test_a_first_key_closes_the_open_door(city):
    with serving(city.app()) as url:
        assert httpx.get(f"{url}/v1/cases", timeout=60).status_code == 200
        city.keys.add("first", Role.ENGINEER)
        assert httpx.get(f"{url}/v1/cases", timeout=60).status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:1"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site", "origin": "http://127.0.0.1:1"},
    ],
    ids=str,
)
def test_a_page_of_another_site_cannot_act(city, headers):
    city.file(case(1))
    with serving(city.app()) as url:
        answer = httpx.post(f"{url}{ACT}", json={"action": "confirm"}, headers=headers, timeout=60)
    assert (answer.status_code, answer.json()["type"]) == (403, "/docs#foreign-origin")
    assert city.commands() == []


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "", "[::1", "10.0.0.1"]
)
def test_a_name_that_is_not_ours_is_turned_away(city, host):
    with serving(city.app()) as url:
        answer = httpx.get(f"{url}/v1/cases", headers={"host": host}, timeout=60)
        assert (answer.status_code, answer.json()["type"]) == (421, "/docs#unknown-host")
        assert httpx.get(f"{url}/v1/cases", headers={"host": "localhost:9"}, timeout=60).status_code == 200


def test_an_address_that_others_reach_needs_a_key_first(city):
    with pytest.raises(UsageError, match="citybrain keys add"):
        city.app(host="0.0.0.0")
    city.keys.add("first", Role.OPERATOR)
    city.app(host="0.0.0.0")
