"""Events by WebSocket on a real server: who is let in, what they get, and how it ends."""

from __future__ import annotations

import json
from datetime import timedelta

import httpx
import pytest

from citybrain.domain.case import CaseEventType
from events_api import following
from events_api.routes import event_socket
from events_api.security import Role
from tests.services.api_city import City, case, event, posted, serving
from tests.services.stream_readers import EventSocketReader, EventStreamReader
from tests.waiting import until


@pytest.fixture
def city(tmp_path):
    made = City(tmp_path)
    yield made
    made.close()


def refused(url, query="", headers=None):
    """What the server answers instead of opening a socket."""
    reader = EventSocketReader(url, query, headers=headers)
    while reader.bytes(len(reader.raw) + 1):
        pass
    head, _, body = bytes(reader.raw).partition(b"\r\n\r\n")
    reader.close()
    return int(head.split()[1]), json.loads(body)["title"]


def test_events_come_with_their_cursors_and_resume_behind_any(city):
    city.file(*(case(n) for n in range(1, 5)))
    with serving(city.app()) as url:
        reader = EventSocketReader(url, last="2")
        assert reader.wait_for(2) == [event(case(3)).id, event(case(4)).id]
        [opened, third, fourth] = [json.loads(payload) for _, payload in reader.messages()]
        assert opened == {"cursor": "2"}
        assert (third["cursor"], fourth["cursor"]) == ("3", "4")
        page = httpx.get(f"{url}/v1/events?after=2").json()["items"]
        assert [{**third["event"], "cursor": "3"}, {**fourth["event"], "cursor": "4"}] == page
        reader.close()


def test_a_socket_without_a_cursor_begins_now(city):
    last, app = city.file(*(case(n) for n in range(1, 5))), city.app()
    with serving(app) as url:
        until(lambda: app.state.parts.feed.cursor == last)  # else what is being taken in would come after it
        reader = EventSocketReader(url)
        while not reader.messages():
            reader.bytes(len(reader.raw) + 1)
        city.file(case(9))
        assert reader.wait_for(1) == [event(case(9)).id]
        reader.close()


@pytest.mark.parametrize("kind", [EventSocketReader, EventStreamReader])
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("scene=fire_risk", [2]),
        ("scene=fire_risk&scene=waterlogging", [2, 3]),
        ("type=citybrain.case.dispatched", [4]),
        ("severity=critical&severity=high", [2, 3]),
        ("grid_cell=530112", [3]),
        ("area=530111&scene=fire_risk", [2]),
        ("area=530111&grid_cell=530112", []),
    ],
)
def test_page_stream_and_socket_filter_alike(city, kind, query, expected):
    told = [
        event(case(1)),
        event(case(2, scene="fire_risk")),
        event(case(3, scene="waterlogging", grid_cell="530112004001001")),
        event(posted(case(1)), CaseEventType.DISPATCHED),
        event(case(5, severity="low", grid_cell=None)),
    ]
    city.tell(*told)
    with serving(city.app()) as url:
        ids = [told[n - 1].id for n in expected]
        reader = kind(url, f"?after=0&{query}")
        assert reader.wait_for(len(ids)) == ids
        assert [each["id"] for each in httpx.get(f"{url}/v1/events?{query}").json()["items"]] == ids
        reader.close()


def test_a_mark_moves_the_cursor_past_what_the_filter_left_out(city, monkeypatch):
    monkeypatch.setattr(following, "HEARTBEAT_S", 0.05)
    with serving(city.app()) as url:
        reader = EventSocketReader(url, "?after=0&scene=fire_risk")
        city.file(case(1), case(2), case(3))
        while reader.events()[1] != "3":
            assert reader.bytes(len(reader.raw) + 1)
        assert reader.events()[0] == []
        reader.close()


def test_what_is_asked_wrongly_is_answered_as_everywhere(city):
    with serving(city.app()) as url:
        assert refused(url, "?after=x") == (400, "bad cursor")
        assert refused(url, "?after=99") == (400, "cursor from the future")
        assert refused(url, "?type=nothing") == (422, "invalid request")
        assert refused(url, "?grid_cell=%27") == (422, "invalid request")
        assert refused(url, headers={"Origin": "http://elsewhere.example"}) == (403, "foreign origin")
        assert refused(url, headers={"Host": "city.example"}) == (421, "unknown host")


def test_more_sockets_than_the_server_can_hold_are_told_to_come_back(city, monkeypatch):
    monkeypatch.setattr(following, "MAX_STREAMS", 1)
    city.file(case(1))
    with serving(city.app()) as url:
        reader = EventSocketReader(url, last="0")
        reader.wait_for(1)
        assert refused(url) == (503, "too many streams")
        assert httpx.get(f"{url}/v1/events/stream").status_code == 503
        reader.close()


@pytest.mark.parametrize("role", Role)
def test_viewers_and_platforms_read_events_by_key(city, role):
    key = city.keys.add("someone", role, **({"unit": "sanitation"} if role is Role.FIELD else {}))
    city.file(case(1))
    with serving(city.app()) as url:
        bearer = {"Authorization": f"Bearer {key}"}
        if role is Role.FIELD:
            assert refused(url, "?after=0", bearer) == (403, "role too small")
            reader = EventSocketReader(url, last="0")
            reader.send(json.dumps({"key": key}))
            assert reader.closed_with() == event_socket.ROLE_TOO_SMALL
            reader.close()
        else:
            for headers, first in ((bearer, None), ({}, {"key": key})):
                reader = EventSocketReader(url, last="0", headers=headers)
                if first:
                    reader.send(json.dumps(first))
                assert reader.wait_for(1) == [event(case(1)).id]
                reader.close()


def test_a_session_opens_a_socket_from_our_own_page_only(city):
    key = city.keys.add("wall", Role.VIEWER)
    city.file(case(1))
    with serving(city.app()) as url:
        cookie = httpx.post(f"{url}/v1/session", json={"key": key}).headers["set-cookie"].split(";")[0]
        assert refused(url, "?after=0", {"Cookie": cookie}) == (403, "foreign origin")
        assert refused(url, "?after=0", {"Cookie": cookie, "Origin": "http://evil.example"}) == (403, "foreign origin")
        reader = EventSocketReader(url, last="0", headers={"Cookie": cookie, "Origin": url})
        assert reader.wait_for(1) == [event(case(1)).id]
        reader.close()
        assert refused(url, "?after=0", {"Cookie": "citybrain_session=no", "Origin": url}) == (401, "key needed")


@pytest.mark.parametrize("first", ['{"key":"cb_no"}', '{"key":1}', "[]", "{", '{"kee":"x"}', "null"])
def test_a_first_message_without_a_good_key_closes_the_socket(city, first):
    city.keys.add("someone", Role.VIEWER)
    city.file(case(1))
    with serving(city.app()) as url:
        reader = EventSocketReader(url, last="0")
        reader.send(first)
        assert reader.closed_with() == event_socket.KEY_NEEDED
        assert b"case-" not in reader.raw
        reader.close()


def test_who_says_nothing_is_not_waited_for(city, monkeypatch):
    monkeypatch.setattr(event_socket, "FIRST_MESSAGE_S", 0.1)
    city.keys.add("someone", Role.VIEWER)
    with serving(city.app()) as url:
        reader = EventSocketReader(url, last="0")
        assert reader.closed_with() == event_socket.KEY_NEEDED
        reader.close()


@pytest.mark.parametrize("by", ["header", "message"])
def test_a_revoked_key_ends_its_socket_also_while_events_come(city, monkeypatch, by):
    monkeypatch.setattr(following, "ALLOWED_EVERY_S", 0.1)
    key = city.keys.add("leaving", Role.PLATFORM)
    city.keys.add("staying", Role.PLATFORM)
    with serving(city.app()) as url:
        headers = {"Authorization": f"Bearer {key}"} if by == "header" else {}
        reader = EventSocketReader(url, last="0", headers=headers)
        if by == "message":
            reader.send(json.dumps({"key": key}))
        city.file(case(1))
        reader.wait_for(1)
        city.keys.revoke("leaving")
        for n in range(2, 100):
            city.file(case(n))
            city.pipeline.wait(timedelta(milliseconds=20))
        assert reader.closed_with() == event_socket.KEY_NEEDED
        assert len(reader.events()[0]) < 99
        reader.close()


def test_a_server_that_stops_says_so(city):
    city.file(case(1))
    with serving(city.app()) as url:
        reader = EventSocketReader(url, last="0")
        reader.wait_for(1)
    assert reader.closed_with() in {1001, 1012}
    reader.close()
