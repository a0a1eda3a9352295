"""Who is let in: without keys this machine alone, with keys whoever has one, and other sites' pages never."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest

from citybrain.clock import ManualClock
from citybrain.errors import UsageError
from events_api.security import SESSION_LASTS, Actor, Keys, Role
from tests.services.api_city import START, City, case, serving

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


ALLOWED = {
    ("GET", "/v1/cases"): {"viewer", "operator", "engineer", "platform", "field"},
    ("GET", f"/v1/cases/{case(1).id}"): {"viewer", "operator", "engineer", "platform", "field"},
    ("GET", f"/v1/cases/{case(1).id}/timeline"): {"viewer", "operator", "engineer", "field"},
    ("GET", "/v1/events"): {"viewer", "operator", "engineer", "platform"},
    ("GET", "/v1/cameras"): {"viewer", "operator", "engineer"},
    ("GET", "/v1/cameras/gd-0001"): {"viewer", "operator", "engineer", "field"},
    ("GET", "/v1/configuration"): {"viewer", "operator", "engineer"},
    ("GET", "/v1/scenes"): {"viewer", "operator", "engineer"},
    ("GET", "/v1/stats"): {"viewer", "operator", "engineer"},
    ("GET", "/v1/performance"): {"viewer", "operator", "engineer"},
    ("GET", "/v1/performance.csv"): {"viewer", "operator", "engineer"},
    ("GET", "/metrics"): {"viewer", "operator", "engineer", "platform"},
    ("GET", "/v1/dispatch/dead-letters"): {"operator", "engineer"},
    ("POST", "/v1/dispatch/dead-letters/x/resend"): {"engineer"},
    ("POST", "/v1/cameras/gd-0001/view"): {"engineer"},
    ("GET", "/v1/cameras/gd-0001/zones"): {"engineer"},
    ("PUT", "/v1/cameras/gd-0001/zones"): {"engineer"},
    ("POST", "/v1/cameras/gd-0001/zones/preview"): {"engineer"},
    ("POST", "/v1/photos"): {"operator", "engineer", "field"},
    ("POST", ACT): {"operator", "engineer", "field"},
    ("GET", "/v1/session"): {"viewer", "operator", "engineer", "platform", "field"},
}


def test_each_role_may_do_what_it_is_for_and_no_more(keyed):
    http, tokens = keyed
    for (method, path), roles in ALLOWED.items():
        body = {"json": {"action": "burn"}} if path == ACT else {}
        assert http.request(method, path, **body).status_code == 401, path
        for role, token in tokens.items():
            status = http.request(method, path, headers=bearer(token), **body).status_code
            assert (status not in (401, 403)) == (role.value in roles), (path, role, status)


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


def test_every_route_under_v1_is_behind_a_key(city, keyed):
    http, _ = keyed
    open_to_all = {"/v1/session", "/v1/dispatch/callbacks"}
    for path, methods in http.get("/openapi.json").json()["paths"].items():
        for method in methods:
            if path.startswith("/v1") and path not in open_to_all:
                filled = path.replace("{id}", "x").replace("{ref}", "x")
                assert http.request(method, filled, json={"action": "confirm"}).status_code == 401, path


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
    monkeypatch.setattr("events_api.routes.events.HEARTBEAT_S", 0.05)
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
        assert httpx.get(f"{url}/v1/cases").status_code == 200
        city.keys.add("first", Role.ENGINEER)
        assert httpx.get(f"{url}/v1/cases").status_code == 401


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
        answer = httpx.post(f"{url}{ACT}", json={"action": "confirm"}, headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (403, "/docs#foreign-origin")
    assert city.commands() == []


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "", "[::1", "10.0.0.1"]
)
def test_a_name_that_is_not_ours_is_turned_away(city, host):
    with serving(city.app()) as url:
        answer = httpx.get(f"{url}/v1/cases", headers={"host": host})
        assert (answer.status_code, answer.json()["type"]) == (421, "/docs#unknown-host")
        assert httpx.get(f"{url}/v1/cases", headers={"host": "localhost:9"}).status_code == 200


def test_an_address_that_others_reach_needs_a_key_first(city):
    with pytest.raises(UsageError, match="citybrain keys add"):
        city.app(host="0.0.0.0")
    city.keys.add("first", Role.OPERATOR)
    city.app(host="0.0.0.0")


# -- the keys themselves ----------------------------------------------------------------------------------------------


@pytest.fixture
def keys(tmp_path):
    return Keys(tmp_path / "keys.json", clock=ManualClock(START))


def test_a_key_is_kept_as_its_hash_for_the_owner_of_the_file_alone(keys, tmp_path):
    token = keys.add("desk", Role.PLATFORM)
    written = tmp_path / "keys.json"
    assert token not in written.read_text()
    assert written.stat().st_mode & 0o777 == 0o600
    assert keys.actor(token) == keys.actor(token)
    assert keys.actor(token[:-1]) is None


@pytest.mark.parametrize("name", ["", "Two Words", "../x", "a" * 64, "-x", "关上"])
def test_a_key_needs_a_plain_name(keys, name):
    with pytest.raises(UsageError, match="expected a key's name"):
        keys.add(name, Role.VIEWER)


def test_a_field_key_names_its_unit_and_no_other_key_does(keys):
    for role, unit in ((Role.FIELD, None), (Role.FIELD, ""), (Role.OPERATOR, UNIT)):
        with pytest.raises(UsageError, match="--unit"):
            keys.add("li", role, unit=unit)
    assert keys.actor(keys.add("li", Role.FIELD, unit=UNIT)) == Actor("li", Role.FIELD, UNIT)


def test_a_name_is_given_once(keys):
    keys.add("desk", Role.VIEWER)
    with pytest.raises(UsageError, match="already"):
        keys.add("desk", Role.ENGINEER)
    assert [key.role for key in keys.all()] == [Role.VIEWER]
    assert keys.revoke("desk")
    assert not keys.revoke("desk")


def test_another_process_sees_a_change_at_once(keys, tmp_path):
    other = Keys(tmp_path / "keys.json", clock=ManualClock(START))
    assert not other.any()
    token = keys.add("desk", Role.VIEWER)
    assert other.actor(token) is not None
    keys.revoke("desk")
    assert other.actor(token) is None


def test_a_session_ends_after_its_hours_and_survives_a_restart(tmp_path):
    clock = ManualClock(START)
    keys = Keys(tmp_path / "keys.json", clock=clock)
    actor = keys.actor(keys.add("li", Role.OPERATOR))
    assert actor is not None
    session = keys.open_session(actor)
    assert session not in (tmp_path / "sessions.json").read_text()
    assert Keys(tmp_path / "keys.json", clock=clock).session(session) == actor
    clock.advance(SESSION_LASTS - timedelta(seconds=1))
    assert keys.session(session) == actor
    clock.advance(timedelta(seconds=2))
    assert keys.session(session) is None


def test_a_key_made_anew_under_an_old_name_opens_no_old_session(tmp_path):
    clock = ManualClock(START)
    keys = Keys(tmp_path / "keys.json", clock=clock)
    actor = keys.actor(keys.add("li", Role.OPERATOR))
    assert actor is not None
    session = keys.open_session(actor)
    keys.revoke("li")
    clock.advance(timedelta(minutes=1))
    keys.add("li", Role.ENGINEER)
    assert keys.session(session) is None
