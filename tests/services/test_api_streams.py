"""Event streams on a real server: cut anywhere and resumed, every event arrives once; and nobody waits for a slow reader."""

from __future__ import annotations

import json
import random
import socket
import threading
import time
from datetime import timedelta
from urllib.parse import urlsplit

import httpx
import pytest

from citybrain.domain.case import CaseEventType
from events_api import following, server
from tests.services.api_city import START, City, case, event, posted, serving


@pytest.fixture
def city(tmp_path):
    made = City(tmp_path)
    yield made
    made.close()


class Reader:
    """A client of the stream that counts bytes, so that it can be cut between any two."""

    def __init__(self, url: str, query: str = "", *, last: str | None = None) -> None:
        where = urlsplit(url)
        self._socket = socket.create_connection((where.hostname or "", where.port or 0), timeout=20)
        resume = "" if last is None else f"Last-Event-ID: {last}\r\n"
        request = f"GET /v1/events/stream{query} HTTP/1.1\r\nHost: {where.netloc}\r\n{resume}\r\n"
        self._socket.sendall(request.encode())
        self._raw = bytearray()

    def bytes(self, at_least: int) -> bool:
        """Read on until so many bytes are there; false at the end."""
        while len(self._raw) < at_least:
            arrived = self._socket.recv(65536 if at_least > 5000 else 512)
            if not arrived:
                return False
            self._raw += arrived
        return True

    def close(self) -> None:
        self._socket.close()

    def events(self, upto: int | None = None) -> tuple[list[str], str | None]:
        """Case versions seen whole within the first bytes, and the id a browser would resume with."""
        body = _unchunked(bytes(self._raw[:upto]).partition(b"\r\n\r\n")[2])
        seen, last = [], None
        for block in body.split(b"\n\n")[:-1]:  # what has no empty line behind it has not arrived yet
            fields = dict(line.split(b": ", 1) for line in block.split(b"\n") if not line.startswith(b":"))
            last = fields[b"id"].decode() if b"id" in fields else last
            if b"data" in fields:
                seen.append(json.loads(fields[b"data"])["id"])
        return seen, last

    def wait_for(self, count: int) -> list[str]:
        while self._raw.count(b"\ndata: ") < count or len(self.events()[0]) < count:
            assert self.bytes(len(self._raw) + 1), "the stream ended"
        return self.events()[0]


def _unchunked(raw: bytes) -> bytes:
    body, at = bytearray(), 0
    while (end := raw.find(b"\r\n", at)) > at:
        length = int(raw[at:end], 16)
        body += raw[end + 2 : end + 2 + length]
        at = end + 2 + length + 2
    return bytes(body)


def test_cut_anywhere_and_resumed_every_event_arrives_exactly_once(city):
    chance = random.Random(20261121)
    told = [event(case(n, at=START + timedelta(seconds=n))) for n in range(1, 601)]
    expected = [each.id for each in told]
    with serving(city.app()) as url:
        telling = threading.Thread(target=city.tell, args=told)
        telling.start()
        seen: list[str] = []
        last: str | None = "0"
        cuts = 0
        while len(seen) < len(expected):
            reader = Reader(url, last=last)
            # Somewhere in the headers, within an event, or between two.
            cut: int | None = None
            if cuts < 220:
                cut = chance.randrange(1, 4500)
                assert reader.bytes(cut)
                cuts += 1
            else:
                reader.wait_for(len(expected) - len(seen))
            reader.close()
            found, after = reader.events(cut)
            seen += found
            last = after or last
        telling.join()
    assert cuts == 220
    assert seen == expected


def test_a_stream_without_a_cursor_begins_now(city):
    city.file(*(case(n) for n in range(1, 5)))
    with serving(city.app()) as url:
        reader = Reader(url)
        reader.bytes(200)
        city.file(case(9))
        assert reader.wait_for(1) == ["case-illegal_parking-00009-v1"]
        reader.close()


def test_last_event_id_goes_before_the_query(city):
    city.file(*(case(n) for n in range(1, 5)))
    with serving(city.app()) as url:
        reader = Reader(url, "?after=0", last="3")
        assert reader.wait_for(1) == ["case-illegal_parking-00004-v1"]
        reader.close()


def test_a_filtered_stream_hands_on_what_it_is_asked_for(city):
    with serving(city.app()) as url:
        fires = Reader(url, "?after=0&scene=fire_risk")
        dispatched = Reader(url, "?after=0&type=citybrain.case.dispatched")
        city.file(case(1), case(2, scene="fire_risk"))
        city.tell(event(posted(case(1)), CaseEventType.DISPATCHED))
        assert fires.wait_for(1) == ["case-fire_risk-00002-v1"]
        assert dispatched.wait_for(1) == ["case-illegal_parking-00001-v2"]
        fires.close()
        dispatched.close()


def test_a_heartbeat_moves_the_cursor_past_what_the_filter_left_out(city, monkeypatch):
    monkeypatch.setattr(following, "HEARTBEAT_S", 0.05)
    with serving(city.app()) as url:
        reader = Reader(url, "?after=0&scene=fire_risk")
        city.file(case(1), case(2), case(3))
        while reader.events()[1] != "3":
            assert reader.bytes(len(reader._raw) + 1)
        assert reader.events()[0] == []
        assert b": heartbeat" in reader._raw
        reader.close()


def test_a_reader_far_behind_the_memory_reads_the_store(city):
    notes = "x" * 1500
    city.tell(*(event(case(n, note=notes)) for n in range(1, 2500)))
    with serving(city.app()) as url, httpx.Client(base_url=url) as http:
        while http.get("/v1/stats").json()["view"]["lag"]:
            time.sleep(0.05)
        reader = Reader(url, "?after=0")
        assert reader.wait_for(2499)[-1] == "case-illegal_parking-02499-v1"
        reader.close()


def test_a_client_that_reads_nothing_is_let_go_and_holds_up_nobody(city, monkeypatch):
    monkeypatch.setattr(following, "STALLED_S", 1.0)
    monkeypatch.setattr(server, "UNACKNOWLEDGED_MS", 1000)
    with serving(city.app()) as url, httpx.Client(base_url=url) as http:
        stuck = Reader(url, "?after=0")
        quick = Reader(url, "?after=0")
        notes = "路" * 1900
        for start in range(0, 3000, 250):
            city.tell(*(event(case(n, note=notes)) for n in range(start, start + 250)))
            assert len(quick.wait_for(start + 250)) == start + 250
        while "citybrain_streams 1.0" not in http.get("/metrics").text:
            time.sleep(0.05)
        quick.close()
        with pytest.raises(ConnectionResetError):
            stuck.bytes(10**9)
        stuck.close()


def test_a_server_that_stops_ends_its_streams_at_once(city):
    with serving(city.app()) as url:
        reader = Reader(url, "?after=0")
        city.file(case(1))
        reader.wait_for(1)
        began = time.monotonic()
    assert not reader.bytes(10**6)
    assert time.monotonic() - began < 4  # uvicorn would otherwise wait out its grace of five seconds
    reader.close()


def test_many_streams_get_the_same_events(city):
    with serving(city.app()) as url:
        readers = [Reader(url, "?after=0") for _ in range(40)]
        city.file(*(case(n) for n in range(1, 21)))
        assert {tuple(reader.wait_for(20)) for reader in readers} == {tuple(event(case(n)).id for n in range(1, 21))}
        for reader in readers:
            reader.close()


def test_more_streams_than_the_server_can_hold_are_told_to_come_back(city, monkeypatch):
    monkeypatch.setattr(following, "MAX_STREAMS", 1)
    with serving(city.app()) as url:
        reader = Reader(url, "?after=0")
        city.file(case(1))
        reader.wait_for(1)
        answer = httpx.get(f"{url}/v1/events/stream")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        reader.close()
