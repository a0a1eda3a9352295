"""Many clients on the streams, slow ones among them, and one that is cut a thousand times: nobody waits, nothing is lost."""

from __future__ import annotations

import random
import selectors
import threading
import time
from datetime import timedelta

import httpx
import pytest

from bench.ports import free_port
from events_api import following, server
from tests.services.api_city import START, City, case, event, serving
from tests.services.stream_readers import EventSocketReader, EventStreamReader, Reader

CUTS, LIVES = 1000, 5
NOTE = "路" * 1900  # six kilobytes: an event fills what the kernel keeps for a client within a few


@pytest.fixture
def city(tmp_path):
    made = City(tmp_path)
    yield made
    made.close()


def read_all(readers: list[Reader], count: int) -> None:
    """Read all of them at once until each has so many events. The selector never asks the slow ones."""
    mark = {EventStreamReader: b"\ndata: ", EventSocketReader: b'"event":{'}
    with selectors.DefaultSelector() as selector:
        for each in readers:
            selector.register(each.socket, selectors.EVENT_READ, each)
        until = time.monotonic() + 150
        while selector.get_map():
            assert time.monotonic() < until, f"{len(selector.get_map())} of {len(readers)} clients lack events"
            for key, _ in selector.select(timeout=1):
                arrived = key.data.socket.recv(1 << 16)
                assert arrived, "a stream ended"
                key.data.raw += arrived
                if key.data.raw.count(mark[type(key.data)]) >= count and len(key.data.events()[0]) >= count:
                    selector.unregister(key.fileobj)


@pytest.mark.parametrize("slow", [1, 10])
def test_a_hundred_clients_wait_for_no_slow_one(city, monkeypatch, slow):
    # A quick one may have to wait so long for its turn on a busy machine.
    monkeypatch.setattr(following, "STALLED_S", 8.0)
    monkeypatch.setattr(server, "UNACKNOWLEDGED_MS", 8000)
    told = [event(case(n, note=NOTE)) for n in range(1, 151)]
    expected = [each.id for each in told]
    with serving(city.app(), send_buffer=16_384) as url, httpx.Client(base_url=url, timeout=60) as http:
        kinds = (EventStreamReader, EventSocketReader)
        quick: list[Reader] = [kinds[n % 2](url, "?after=0") for n in range(100 - slow)]
        stuck: list[Reader] = [kinds[n % 2](url, "?after=0", receive_buffer=8192) for n in range(slow)]
        for start in range(0, 150, 15):
            city.tell(*told[start : start + 15])
            read_all(quick, start + 15)  # before the next are told: who waited for a slow one would not get there
        assert all(each.events()[0] == expected for each in quick)
        assert all(not each.raw for each in stuck), "the slow ones have read nothing yet"
        while f"citybrain_streams {100 - slow}.0" not in http.get("/metrics").text:
            time.sleep(0.1)  # the slow ones are let go, and no other
        for each in stuck:
            assert resumed(each, url, len(expected)) == expected
        for each in (*quick, *stuck):
            each.close()


def resumed(slow: Reader, url: str, count: int) -> list[str]:
    """What a slow client gets that was let go: what still lay in its socket, and the rest by its cursor."""
    try:
        while slow.bytes(len(slow.raw) + 1):
            pass
    except ConnectionError:
        pass
    seen, last = slow.events()
    assert len(seen) < count, "it was let go before it had everything"
    kind: type[EventStreamReader | EventSocketReader] = type(slow)  # type: ignore[assignment]  # there are these two
    again = kind(url, last=last or "0")
    seen = seen + again.wait_for(count - len(seen))
    again.close()
    return seen


def test_a_client_cut_a_thousand_times_has_every_event_exactly_once(city):
    chance = random.Random(20261121)
    told = [event(case(n, at=START + timedelta(seconds=n))) for n in range(1, 2001)]
    expected = [each.id for each in told]
    telling = threading.Thread(target=city.tell, args=told)
    seen: list[str] = []
    last: str | None = "0"
    cuts, cut_whole, port = 0, 0, free_port()
    for life in range(LIVES):
        with serving(city.app(), port=port) as url:
            if life == 0:
                telling.start()
            while cuts < CUTS * (life + 1) // LIVES:
                reader: Reader = chance.choice((EventStreamReader, EventSocketReader))(url, last=last)
                cut = chance.randrange(1, 5500)  # in the headers, within an event, or between two
                if len(expected) - len(seen) > 5:
                    assert reader.bytes(cut)
                reader.close()
                cuts += 1
                found, after = reader.events(cut)
                cut_whole += len(found)
                seen, last = seen + found, after or last
            # One hangs on the server when it goes: it is ended in between, and what it has seen counts.
            left = chance.choice((EventStreamReader, EventSocketReader))(url, last=last)
            left.bytes(2000)
        left.bytes(6000)
        left.close()
        found, after = left.events()
        seen, last = seen + found, after or last
    telling.join()
    with serving(city.app(), port=port) as url:
        reader = EventStreamReader(url, last=last)
        seen += reader.wait_for(len(expected) - len(seen))
        reader.close()
    assert cuts == CUTS
    assert cut_whole > CUTS // 4, "most of it was read by clients that were cut"
    assert seen == expected
