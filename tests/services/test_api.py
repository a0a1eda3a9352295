"""The HTTP API on a real server with a real bus: what it answers, what it asks of the pipeline, what it refuses."""

from __future__ import annotations

import json
import time
from datetime import timedelta

import httpx
import pytest

from citybrain.clock import SystemClock
from citybrain.domain.case import CaseAction, CaseEventType, CaseState
from citybrain.domain.episode import Evidence, EvidenceKind
from citybrain.signing import new_secret, sign
from citybrain.wire import CASE_EVENTS, DETECTIONS, dumps
from events_api import schemas
from events_api.ports import DeadLetter
from events_api.problems import KINDS
from events_api.routes import cases as cases_routes
from events_api.routes import dispatch as dispatch_routes
from tests.services.api_city import START, City, case, event, posted, serving

SECRET = new_secret()
JPEG = b"\xff\xd8\xff\xe0 a picture \xff\xd9"


@pytest.fixture
def city(tmp_path):
    made = City(tmp_path, secret=SECRET)
    made.beat("pipeline", ledger_balance=0.0)
    yield made
    made.close()


@pytest.fixture
def http(city):
    with serving(city.app()) as url, httpx.Client(base_url=url, timeout=60) as client:
        yield client


def seen(http: httpx.Client, path: str, until) -> dict:
    """The answer once it is as expected; the view follows the bus within moments."""
    last = time.monotonic() + 60
    answer = http.get(path)
    while not (answer.status_code == 200 and until(answer.json())):
        assert time.monotonic() < last, f"{path} never became so: {answer.text[:500]}"
        time.sleep(0.02)
        answer = http.get(path)
    return answer.json()


def filed(city: City, http: httpx.Client, *cases) -> None:
    city.file(*cases)
    for each in cases:
        seen(http, f"/v1/cases/{each.id}", lambda found: True)


def problem(answer: httpx.Response, status: int, slug: str | None = None) -> dict:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found = answer.json()
    assert {"type", "title", "status", "detail", "instance"} <= found.keys()
    assert found["status"] == status
    if slug is not None:
        assert found["type"] == f"/docs#{slug}"
        assert slug in KINDS
    return found


# -- reading ----------------------------------------------------------------------------------------------------------


def test_every_answer_is_what_the_openapi_document_says(city, http):
    city.file(case(1), case(2, scene="fire_risk", location=None, evidence=()))
    city.tell(event(posted(case(1)), CaseEventType.DISPATCHED))
    page = seen(http, "/v1/events?after=0", lambda found: len(found["items"]) == 3)
    schemas.EventPage.model_validate(page)
    schemas.CasePage.model_validate(http.get("/v1/cases").json())
    schemas.ShownCase.model_validate(http.get(f"/v1/cases/{case(1).id}").json())
    schemas.Timeline.model_validate(http.get(f"/v1/cases/{case(1).id}/timeline").json())
    schemas.CameraList.model_validate(http.get("/v1/cameras").json())
    schemas.Camera.model_validate(http.get("/v1/cameras/gd-0001").json())
    schemas.SceneList.model_validate(http.get("/v1/scenes").json())
    schemas.Stats.model_validate(http.get("/v1/stats").json())
    schemas.DeadLetterList.model_validate(http.get("/v1/dispatch/dead-letters").json())
    schemas.Who.model_validate(http.get("/v1/session").json())
    paths = http.get("/openapi.json").json()["paths"]
    assert {"/v1/cases", "/v1/events/stream", "/v1/dispatch/callbacks", "/readyz"} <= paths.keys()


def test_pages_of_cases_lead_through_all_of_them(city, http):
    filed(city, http, *(case(n, at=START + timedelta(seconds=n // 3)) for n in range(23)))
    found, cursor = [], None
    while True:
        page = http.get("/v1/cases", params={"limit": 5, **({"cursor": cursor} if cursor else {})}).json()
        found += [each["id"] for each in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert found == sorted((case(n).id for n in range(23)), reverse=True)


def test_filters_reach_the_store(city, http):
    filed(city, http, case(1), case(2, scene="fire_risk"), case(3, state=CaseState.CLOSED))
    for query, expected in {
        "scene=fire_risk": {2},
        "state=filed&state=closed&scene=illegal_parking": {1, 3},
        "open=true": {1, 2},
        "severity=critical": {2},
        "grid_cell=530111001": {1, 2, 3},
        "judged=none": {1, 2, 3},
        "camera=gd-0009": set(),
        "since=2026-11-21T16:00:00%2B08:00": {1, 2, 3},
        "until=2026-11-21T08:00:00Z": set(),
        "q=Illegal%20PARKING": {1, 3},
    }.items():
        items = http.get(f"/v1/cases?{query}").json()["items"]
        assert {int(each["id"][-1]) for each in items} == expected, query


def test_a_case_says_what_can_be_done_about_it(city, http):
    filed(city, http, case(1), case(2, state=CaseState.REJECTED))
    assert "confirm" in http.get(f"/v1/cases/{case(1).id}").json()["allowed"]
    assert http.get(f"/v1/cases/{case(2).id}").json()["allowed"] == ["reopen"]


def test_a_message_that_cannot_be_read_stops_nothing(city, http):
    broken = [
        b"\xff\xfe no text",
        b"{}",
        b"[1]",
        b'{"specversion":"1.0","id":"x"}',
        b'{"specversion":"1.0","id":"x","type":"citybrain.case.filed","time":"2026-11-21T08:00:00Z","data":{}}',
    ]
    for each in broken:
        city.pipeline.publish(CASE_EVENTS, "x", each)
    filed(city, http, case(1))
    stats = http.get("/v1/stats").json()
    assert stats["view"] == {"lag": 0, "set_aside": len(broken)}


def test_other_topics_do_not_disturb_the_cursor(city, http):
    filed(city, http, case(1))
    city.pipeline.publish(DETECTIONS, "gd-0001", b"{}")
    page = http.get("/v1/events?after=1").json()
    assert (page["items"], page["next"]) == ([], "1")


def test_events_page_to_the_end_and_wait_there(city, http):
    filed(city, http, *(case(n) for n in range(1, 8)))
    cursors, after, ends = [], "0", []
    for _ in range(5):
        page = http.get("/v1/events", params={"after": after, "limit": 3}).json()
        cursors += [each["cursor"] for each in page["items"]]
        after = page["next"]
        ends.append(page["end"])
    assert cursors == [str(n) for n in range(1, 8)]
    assert after == "7"
    assert ends == ["7"] * 5


def test_a_camera_shows_state_and_reason_but_never_its_address(city, http):
    secret = "rtsp://admin:hunter2@10.1.2.3/sub"
    state = {"id": "gd-0001", "state": "refused", "reason": f"wrong password for {secret}", "url": secret, "looks": 12}
    city.hot.put("camera/gd-0001", dumps({**state, "last_look_at": "2026-11-21T08:00:00.000Z", "codec": secret}))
    city.hot.put("picture/gd-0001", JPEG)
    shown = http.get("/v1/cameras/gd-0001").json()
    assert (shown["state"], shown["counts"]["looks"]) == ("refused", 12)
    for path in ("/v1/cameras", "/v1/cameras/gd-0001", "/metrics", "/v1/stats", "/readyz", "/openapi.json"):
        assert "hunter2" not in http.get(path).text
        assert "10.1.2.3" not in http.get(path).text
    picture = http.get(shown["snapshot"])
    assert (picture.content, picture.headers["content-type"]) == (JPEG, "image/jpeg")
    assert picture.headers["cache-control"] == "no-store"


def test_a_camera_does_not_look_alive_when_ingest_has_died(city, http):
    city.hot.put("camera/gd-0001", dumps({"id": "gd-0001", "state": "live"}))
    city.beat("ingest")
    assert http.get("/v1/cameras/gd-0001").json()["state"] == "live"
    city.beat("ingest", at=city.clock.now() - timedelta(minutes=1))
    shown = http.get("/v1/cameras/gd-0001").json()
    assert (shown["state"], shown["reason"]["en"]) == ("unknown", "ingest is silent")


def test_a_camera_says_how_long_it_goes_unseen_and_how_long_it_may(city, http):
    told = {"id": "gd-0001", "state": "live", "staleness_s": 7.4, "patience_s": 2.0, "late": True}
    city.hot.put("camera/gd-0001", dumps(told))
    city.beat("ingest", late=1)
    shown = http.get("/v1/cameras/gd-0001").json()
    assert (shown["state"], shown["staleness_s"], shown["patience_s"], shown["late"]) == ("live", 7.4, 2.0, True)
    lines = http.get("/metrics").text.splitlines()
    assert 'citybrain_camera_staleness_seconds{camera="gd-0001"} 7.4' in lines
    assert not [line for line in lines if line.startswith('citybrain_camera_staleness_seconds{camera="gd-0002"')]
    city.beat("ingest", at=city.clock.now() - timedelta(minutes=1))
    shown = http.get("/v1/cameras/gd-0001").json()
    assert (shown["staleness_s"], shown["late"]) == (None, False), "what nobody renews is not known"


def test_torn_hot_values_cost_comfort_only(city, http):
    city.hot.put("camera/gd-0001", b"{torn")
    city.hot.put("camera/gd-0002", b"[]")
    city.hot.put("heartbeat/ingest/0", b"\xff")
    assert {each["state"] for each in http.get("/v1/cameras").json()["items"]} == {"unknown"}


def test_evidence_is_served_for_ever_and_says_when_it_is_gone(city, http):
    ref = city.evidence.put("gd-0001", START, JPEG)
    lost = "gd-0001/20261121/080000.000Z-0123456789abcdef.jpg"
    filed(city, http, case(1, evidence=(Evidence(lost, "gd-0001", START, "first"),)))
    answer = http.get(f"/v1/evidence/{ref}")
    assert answer.content == JPEG
    assert "immutable" in answer.headers["cache-control"]
    problem(http.get(f"/v1/evidence/{lost}"), 410, "picture-gone")
    (city.folder / "evidence" / "recent" / ref).write_bytes(b"altered")
    problem(http.get(f"/v1/evidence/{ref}"), 410, "picture-altered")


def test_a_clip_is_evidence_that_says_so_and_a_picture_is_as_ever(city, http):
    until_at = START + timedelta(seconds=10)
    picture, clip = (
        Evidence("1.jpg", "gd-0001", START, "first"),
        Evidence("1.mp4", "gd-0001", START, "around", None, until_at),
    )
    filed(city, http, case(1, evidence=(picture, clip)))
    answer = http.get(f"/v1/cases/{case(1).id}").json()
    schemas.ShownCase.model_validate(answer)
    first, second = answer["evidence"]
    assert first.keys() == {"ref", "camera", "captured_at", "role", "box"}
    assert (second["kind"], second["until_at"]) == ("clip", "2026-11-21T08:00:10.000Z")


CLIP = bytes(range(256)) * 4


@pytest.mark.parametrize(
    ("asked", "part", "told"),
    [
        ("bytes=0-", CLIP, "bytes 0-1023/1024"),
        ("bytes=0-0", CLIP[:1], "bytes 0-0/1024"),
        ("bytes=1000-", CLIP[1000:], "bytes 1000-1023/1024"),
        ("bytes=100-199", CLIP[100:200], "bytes 100-199/1024"),
        ("bytes=1000-99999", CLIP[1000:], "bytes 1000-1023/1024"),
        ("bytes=-24", CLIP[-24:], "bytes 1000-1023/1024"),
        ("bytes=-9999", CLIP, "bytes 0-1023/1024"),
        ("BYTES = 5 - 6", CLIP[5:7], "bytes 5-6/1024"),
    ],
)
def test_a_clip_is_served_as_video_in_the_parts_that_players_ask_for(city, http, asked, part, told):
    path = f"/v1/evidence/{city.evidence.put('gd-0001', START, CLIP, EvidenceKind.CLIP)}"
    answer = http.get(path, headers={"range": asked})
    assert (answer.status_code, answer.content) == (206, part)
    assert (answer.headers["content-type"], answer.headers["content-range"]) == ("video/mp4", told)
    same = http.get(path, headers={"range": asked, "if-range": answer.headers["etag"]})
    assert same.status_code == 206
    assert http.get(path, headers={"range": asked, "if-range": '"another"'}).status_code == 200


@pytest.mark.parametrize(
    "asked", ["", "bytes=", "bytes=-", "bytes=a-b", "bytes=20-10", "bytes=0-1,5-6", "items=0-1", "bytes=\u0661-"]
)
def test_what_is_no_range_is_answered_with_the_whole(city, http, asked):
    path = f"/v1/evidence/{city.evidence.put('gd-0001', START, CLIP, EvidenceKind.CLIP)}"
    answer = http.get(path, headers={"range": asked.encode()})
    assert (answer.status_code, answer.content) == (200, CLIP)
    assert answer.headers["accept-ranges"] == "bytes"


@pytest.mark.parametrize("asked", ["bytes=1024-", "bytes=9999-10000", "bytes=-0"])
def test_a_range_beyond_the_end_is_none(city, http, asked):
    path = f"/v1/evidence/{city.evidence.put('gd-0001', START, CLIP, EvidenceKind.CLIP)}"
    answer = http.get(path, headers={"range": asked})
    problem(answer, 416, "range-beyond-end")
    assert answer.headers["content-range"] == "bytes */1024"


def test_figures_reach_stats_and_prometheus(city, http):
    filed(city, http, case(1), posted(case(2)), posted(case(3), after_ms=12_000))
    city.beat("pipeline", **{"ledger_balance": 0.0, "outbox waiting": 2.0})
    stats = http.get("/v1/stats").json()
    assert stats["cases"] == {"filed": 1, "dispatched": 2}
    assert stats["figures"]["pipeline.ledger_balance"] == 0.0
    text = http.get("/metrics").text
    for line in (
        'citybrain_cases_total{scene="illegal_parking"} 3.0',
        'citybrain_cases_in_state{scene="illegal_parking",state="dispatched"} 2.0',
        'citybrain_case_latency_seconds_bucket{le="10.0"} 1.0',
        "citybrain_case_latency_seconds_count 2.0",
        "citybrain_view_lag 0.0",
        'citybrain_cameras{state="unknown"} 3.0',
        "citybrain_pipeline_outbox_waiting 2.0",
    ):
        assert line in text.splitlines(), line


def test_readiness_names_every_reason_against_it(city, http):
    assert http.get("/readyz").json() == {"ready": True, "degraded": []}
    long_ago = city.clock.now() - timedelta(minutes=5)
    city.beat("pipeline", at=long_ago)
    city.beat("ingest", at=long_ago)
    assert problem(http.get("/readyz"), 503, "not-ready")["reasons"] == ["pipeline is silent", "ingest is silent"]
    assert http.get("/healthz").text == "alive\n"


def test_a_view_deleted_while_down_is_made_anew_from_the_log(city, tmp_path):
    city.file(*(case(n) for n in range(1, 30)))
    with serving(city.app()) as url, httpx.Client(base_url=url, timeout=60) as http:
        before = seen(http, "/v1/events?limit=1000", lambda found: len(found["items"]) == 29)
    city.close()
    for leftover in tmp_path.glob("view.db*"):
        leftover.unlink()
    again = City(tmp_path)
    with serving(again.app()) as url, httpx.Client(base_url=url, timeout=60) as http:
        after = seen(http, "/v1/events?limit=1000", lambda found: len(found["items"]) == 29)
    again.close()
    assert after == before


# -- acting -----------------------------------------------------------------------------------------------------------


def test_confirming_reaches_the_commands_and_answers_with_its_effect(city, http):
    filed(city, http, case(1))
    with city.obeying():
        answer = http.post(
            f"/v1/cases/{case(1).id}/actions", json={"action": "confirm"}, headers={"x-operator": "li%20wei"}
        )
    assert answer.status_code == 200
    found = schemas.ActionAnswer.model_validate(answer.json())
    assert (found.applied, found.case.judged) == (True, "confirmed")
    (act,) = city.acts
    assert (act.id, act.action, act.actor, act.case) == (found.command, CaseAction.CONFIRM, "li wei", case(1).id)
    assert act.locality == case(1).locality


def test_an_action_that_takes_long_is_accepted(city, http, monkeypatch):
    monkeypatch.setattr(cases_routes, "EFFECT_WITHIN", timedelta(milliseconds=100))
    filed(city, http, case(1))
    answer = http.post(f"/v1/cases/{case(1).id}/actions", json={"action": "escalate"})
    assert answer.status_code == 202
    assert not answer.json()["applied"]
    assert [act.action for act in city.commands()] == [CaseAction.ESCALATE]


def test_an_impossible_action_says_what_is_possible(city, http):
    filed(city, http, case(1, state=CaseState.CLOSED))
    found = problem(http.post(f"/v1/cases/{case(1).id}/actions", json={"action": "confirm"}), 409, "impossible-action")
    assert found["allowed"] == ["reopen"]
    assert city.commands() == []


def test_the_same_idempotency_key_acts_once_also_later(city, http):
    filed(city, http, case(1))
    path, key = f"/v1/cases/{case(1).id}/actions", {"idempotency-key": "k-1"}
    with city.obeying():
        first = http.post(path, json={"action": "close"}, headers=key)
        again = http.post(path, json={"action": "close"}, headers=key)
        other = http.post(path, json={"action": "reopen"}, headers=key)
    assert first.status_code == again.status_code == 200
    assert first.json()["command"] == again.json()["command"]
    problem(other, 422, "idempotency-key-reused")
    assert len(city.acts) == 1


def test_two_presses_upon_one_version_are_one_command(city, http, monkeypatch):
    monkeypatch.setattr(cases_routes, "EFFECT_WITHIN", timedelta(milliseconds=100))
    filed(city, http, case(1))
    path = f"/v1/cases/{case(1).id}/actions"
    commands = {http.post(path, json={"action": "escalate"}).json()["command"] for _ in range(2)}
    assert len(commands) == 1


# -- the dispatch system ----------------------------------------------------------------------------------------------


def call_back(http: httpx.Client, body: bytes | dict, *, id: str = "cb-1", secret: str = SECRET, **headers):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    signed = sign(secret, message_id=id, at=SystemClock().now(), body=raw)
    return http.post("/v1/dispatch/callbacks", content=raw, headers={**signed, **headers})


@pytest.mark.parametrize(
    ("status", "action"),
    [
        ("accepted", None),
        ("handling", "handle"),
        ("arrived", "arrive"),
        ("done", "verify"),
        ("returned", "return"),
        ("rejected", "reject"),
    ],
)
def test_what_the_desk_says_becomes_an_action(city, http, status, action):
    filed(city, http, posted(case(1)))
    answer = call_back(http, {"case": case(1).id, "status": status, "note": "现场已处理", "external_id": "WX-1"})
    assert answer.status_code == 202
    acts = city.commands()
    assert [act.action.value for act in acts] == ([action] if action else [])
    assert all((act.actor, act.note) == ("dispatch", "现场已处理") for act in acts)
    assert all(act.reason for act in acts)


def test_a_repeated_callback_is_harmless(city, http):
    filed(city, http, posted(case(1)))
    with city.obeying():
        for _ in range(3):
            assert call_back(http, {"case": case(1).id, "status": "handling"}).status_code == 202
            seen(http, f"/v1/cases/{case(1).id}", lambda found: found["state"] == "handling")
    assert len(city.acts) == 1


def test_a_desk_quicker_than_the_view_is_waited_for(city, http, monkeypatch):
    monkeypatch.setattr(dispatch_routes, "_CATCH_UP", timedelta(seconds=30))  # a busy machine's view takes its time
    city.file(posted(case(1)))
    assert call_back(http, {"case": case(1).id, "status": "handling"}).status_code == 202


def test_callbacks_that_prove_nothing_change_nothing(city, http):
    filed(city, http, posted(case(1)))
    body = {"case": case(1).id, "status": "done"}
    problem(http.post("/v1/dispatch/callbacks", json=body), 401, "bad-signature")
    problem(call_back(http, body, secret=new_secret()), 401, "bad-signature")
    problem(call_back(http, body, **{"webhook-timestamp": "1"}), 401, "bad-signature")
    problem(call_back(http, {"case": "no-such", "status": "done"}), 404, "no-such-case")
    problem(call_back(http, {"case": case(1).id, "status": "maybe"}), 422, "invalid-request")
    problem(call_back(http, b"{"), 422, "invalid-request")
    assert city.commands() == []


def test_dead_letters_are_shown_and_sent_again(city, http):
    assert "citybrain_dead_letters 0.0" in http.get("/metrics").text
    city.letters.letters.append(DeadLetter("case-1-v1/desk", "desk", "case-1", 40, "410 Gone", START))
    assert "citybrain_dead_letters 1.0" in http.get("/metrics").text
    (shown,) = http.get("/v1/dispatch/dead-letters").json()["items"]
    assert (shown["id"], shown["reason"]) == ("case-1-v1/desk", "410 Gone")
    assert http.post("/v1/dispatch/dead-letters/case-1-v1/desk/resend").status_code == 202
    assert city.letters.resent == ["case-1-v1/desk"]
    problem(http.post("/v1/dispatch/dead-letters/other/resend"), 404, "no-such-dead-letter")


def test_what_a_person_should_see_to_is_told_without_what_else_is_in_it(city, http):
    told = {
        "state": "live",
        "findings": [{"zh": "画面偏色", "en": "colour cast", "url": "rtsp://u:p@10.0.0.1/"}, "torn"],
    }
    city.hot.put("camera/gd-0001", dumps(told))
    assert http.get("/v1/cameras/gd-0001").json()["findings"] == [{"zh": "画面偏色", "en": "colour cast"}]
    city.hot.put("camera/gd-0001", dumps({"state": "live"}))
    assert http.get("/v1/cameras/gd-0001").json()["findings"] == []


def test_a_view_that_is_accepted_is_learnt_anew(city, http):
    city.hot.put("baseline/gd-0001", b"how it looked")
    assert http.post("/v1/cameras/gd-0001/view").status_code == 202
    assert city.hot.get("baseline/gd-0001") == b""
    problem(http.post("/v1/cameras/gd-9999/view"), 404, "no-such-camera")


# -- refusing ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def settled(tmp_path_factory):
    """A city with one case and its server, for tests that change nothing."""
    city = City(tmp_path_factory.mktemp("settled"), secret=SECRET)
    with serving(city.app()) as url, httpx.Client(base_url=url, timeout=20) as client:
        filed(city, client, case(1))
        yield city, client
    city.close()


ACT = f"/v1/cases/{case(1).id}/actions"


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "field"),
    [
        ("GET", "/v1/cases?limit=0", None, 422, "limit"),
        ("GET", "/v1/cases?limit=201", None, 422, "limit"),
        ("GET", "/v1/cases?limit=many", None, 422, "limit"),
        ("GET", "/v1/cases?state=lost", None, 422, "state.0"),
        ("GET", "/v1/cases?stat=filed", None, 422, "stat"),
        ("GET", "/v1/cases?since=yesterday", None, 422, "since"),
        ("GET", "/v1/cases?since=2026-11-21T08:00:00", None, 422, "since"),
        ("GET", "/v1/cases?open=perhaps", None, 422, "open"),
        ("GET", "/v1/cases?judged=maybe", None, 422, "judged"),
        ("GET", "/v1/cases?grid_cell=..%2F..", None, 422, "grid_cell"),
        ("GET", "/v1/cases?cursor=%00", None, 400, None),
        ("GET", "/v1/cases?cursor=WzEsMl0", None, 400, None),
        ("GET", "/v1/cases?cursor=AAAA", None, 400, None),
        ("GET", "/v1/cases/no-such", None, 404, None),
        ("GET", "/v1/cases/%00%ff%2F..%2F", None, 404, None),
        ("GET", "/v1/cases/" + "x" * 3000, None, 404, None),
        ("GET", "/v1/cases/no-such/timeline", None, 404, None),
        ("GET", "/v1/events?after=abc", None, 400, None),
        ("GET", "/v1/events?after=-1", None, 400, None),
        ("GET", "/v1/events?after=%E0%A5%AA", None, 400, None),
        ("GET", "/v1/events?after=99999999999999999999", None, 400, None),
        ("GET", "/v1/events?after=4711", None, 400, None),
        ("GET", "/v1/events?limit=1001", None, 422, "limit"),
        ("GET", "/v1/events/stream?after=4711", None, 400, None),
        ("GET", "/v1/events/stream?after=x", None, 400, None),
        ("GET", "/v1/events/stream?type=citybrain.case.lost", None, 422, "type.0"),
        ("GET", "/v1/cameras/no-such", None, 404, None),
        ("GET", "/v1/cameras/no-such/snapshot.jpg", None, 404, None),
        ("GET", "/v1/cameras/gd-0001/snapshot.jpg", None, 404, None),
        ("GET", "/v1/cameras/%E5%85%B3%0A", None, 404, None),
        ("GET", "/v1/evidence/no/such.jpg", None, 404, None),
        ("GET", "/v1/evidence/..%2F..%2Fkeys.json", None, 404, None),
        ("GET", "/v1/evidence/%2Fetc%2Fpasswd", None, 404, None),
        ("GET", "/v1/evidence/", None, 404, None),
        ("GET", "/v1/dispatch/dead-letters?limit=0", None, 422, "limit"),
        ("POST", ACT, {}, 422, "action"),
        ("POST", ACT, {"action": "burn"}, 422, "action"),
        ("POST", ACT, {"action": "reject"}, 422, "reason"),
        ("POST", ACT, {"action": "reject", "reason": "   "}, 422, "reason"),
        ("POST", ACT, {"action": "confirm", "force": True}, 422, "force"),
        ("POST", ACT, {"action": "confirm", "note": "x" * 2001}, 422, "note"),
        ("POST", ACT, {"action": "confirm", "note": 7}, 422, "note"),
        ("POST", ACT, [], 422, "body"),
        ("POST", ACT, b"{", 422, "1"),
        ("POST", ACT, b'{"action":"confirm","note":"\\ud800"}', 422, None),
        ("POST", ACT, b"\xff\xfe", 422, None),
        ("POST", ACT, b"[" * 60_000, None, None),
        ("POST", "/v1/cases/no-such/actions", {"action": "confirm"}, 404, None),
        ("POST", "/v1/session", {"key": "cb_wrong"}, 401, None),
        ("POST", "/v1/session", {"key": ""}, 422, "key"),
        ("DELETE", "/v1/cases", None, 405, None),
        ("PATCH", "/v1/cases/x", {}, 405, None),
        ("GET", "/nothing/here", None, 404, None),
        ("GET", "/wall/../app.py", None, 404, None),
        ("GET", "/wall/%2e%2e/app.py", None, 404, None),
    ],
    ids=lambda value: str(value)[:60],
)
def test_bad_input_is_answered_with_a_problem_document(settled, method, path, body, status, field):  # noqa: PLR0917
    city, http = settled
    content = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
    answer = http.request(method, path, content=content, headers={"content-type": "application/json"})
    assert 400 <= answer.status_code < 500
    found = problem(answer, status or answer.status_code)
    if field is not None:
        assert field in {each["field"] for each in found["errors"]}
    assert city.commands() == []


def test_bodies_are_bounded_whether_or_not_they_say_their_length(city, http):
    problem(http.post(ACT, content=b"x" * 70_000), 413, "body-too-large")
    in_parts = (b"x" * 7_000 for _ in range(10))
    answer = http.post(ACT, content=in_parts, headers={"content-type": "application/json"})
    problem(answer, 413, "body-too-large")


def test_a_failure_of_our_own_is_a_problem_that_tells_no_secrets(city):
    def fail():
        raise RuntimeError("rtsp://admin:hunter2@10.1.2.3 fell over")

    with serving(city.app(figures=fail)) as url:
        answer = httpx.get(f"{url}/v1/stats", timeout=60)
    problem(answer, 500, "internal-error")
    assert "hunter2" not in answer.text


def test_head_answers_like_get_without_a_body(city, http):
    filed(city, http, case(1))
    for path in ("/v1/cases", "/", "/healthz", "/metrics", "/v1/events/stream", "/wall/wall.css"):
        answer = http.head(path)
        assert (answer.status_code, answer.content) == (200, b"")
    assert http.head("/v1/cases/none").status_code == 404
