"""Event streams on a real server: where they begin, what they filter, when they end."""

from __future__ import annotations

import threading
import time

import httpx
import pytest
import uvicorn

from citybrain.domain.case import CaseEventType
from events_api import following, server
from tests.services.api_city import City, case, event, posted, serving
from tests.services.stream_readers import EventStreamReader as Reader
from tests.waiting import until


@pytest.fixture
def city(tmp_path):
    made = City(tmp_path)
    yield made
    made.close()


def test_a_stream_without_a_cursor_begins_now(city):
    logged, app = city.file(*(case(n) for n in range(1, 5))), city.app()
    with serving(app) as url:
        until(lambda: app.state.parts.feed.cursor == logged)  # else they come after it has begun
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
            assert reader.bytes(len(reader.raw) + 1)
        assert reader.events()[0] == []
        assert b": heartbeat" in reader.raw
        reader.close()


def test_a_reader_far_behind_the_memory_reads_the_store(city):
    notes = "x" * 1500
    city.tell(*(event(case(n, note=notes)) for n in range(1, 2500)))
    with serving(city.app()) as url, httpx.Client(base_url=url, timeout=60) as http:
        while http.get("/v1/stats").json()["view"]["lag"]:
            time.sleep(0.05)
        reader = Reader(url, "?after=0")
        assert reader.wait_for(2499)[-1] == "case-illegal_parking-02499-v1"
        reader.close()


def test_a_client_that_reads_nothing_is_let_go_and_holds_up_nobody(city, monkeypatch):
    monkeypatch.setattr(following, "STALLED_S", 2.0)
    monkeypatch.setattr(server, "UNACKNOWLEDGED_MS", 2000)
    with serving(city.app()) as url, httpx.Client(base_url=url, timeout=60) as http:
        stuck = Reader(url, "?after=0")
        quick = Reader(url, "?after=0")
        notes = "路" * 1900
        for start in range(0, 3000, 250):
            told = [event(case(n, note=notes)) for n in range(start, start + 250)]
            telling = threading.Thread(target=city.tell, args=told)
            telling.start()  # meanwhile it is read: on a busy machine telling takes longer than a client may take nothing
            assert len(quick.wait_for(start + 250)) == start + 250
            telling.join()
        while "citybrain_streams 1.0" not in http.get("/metrics").text:
            time.sleep(0.05)
        quick.close()
        with pytest.raises(ConnectionResetError):
            stuck.bytes(10**9)
        stuck.close()


def test_a_server_that_stops_ends_its_streams_at_once(city, monkeypatch):
    config, patient = uvicorn.Config, {"timeout_graceful_shutdown": 50}
    monkeypatch.setattr(uvicorn, "Config", lambda *given, **more: config(*given, **(more | patient)))
    with serving(city.app()) as url:
        reader = Reader(url, "?after=0")
        city.file(case(1))
        reader.wait_for(1)
        began = time.monotonic()
    assert not reader.bytes(10**6)
    assert time.monotonic() - began < 40  # uvicorn would otherwise wait out its grace
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
        answer = httpx.get(f"{url}/v1/events/stream", timeout=60)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        reader.close()
