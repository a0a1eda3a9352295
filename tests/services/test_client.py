"""The Python client against a real server: cases, actions, refusals, and events without a gap however often it is cut off."""

from __future__ import annotations

import itertools
import random
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from urllib.parse import urlsplit

import httpx
import pytest

from bench.ports import free_port
from citybrain.client import ApiAway, ApiProblem, Client
from citybrain.domain.case import CaseAction, CaseEventType, CaseState
from events_api.security import Role
from tests.services.api_city import START, City, case, event, serving


@pytest.fixture
def served(city):
    with serving(city.app()) as url:
        yield url


@pytest.fixture
def client(served):
    with Client(served) as made:
        yield made


def taken_in(city: City) -> None:
    while city.store.cursor() < city.bus.end("case-events"):
        city.pipeline.wait(timedelta(milliseconds=20))


def test_all_cases_come_page_by_page_as_values(city, client):
    city.file(*(case(n, at=START + timedelta(minutes=n)) for n in range(450)))
    taken_in(city)
    found = list(client.cases())
    assert [each.id for each in found] == [case(n).id for n in reversed(range(450))]
    assert found[0] == case(449, at=START + timedelta(minutes=449))
    assert [each.id for each in client.cases(scene=["fire_risk"])] == []


def test_an_action_is_taken_and_stands_in_the_timeline(city, client):
    city.file(case(1))
    taken_in(city)
    with city.obeying():
        acted = client.act(case(1).id, CaseAction.REJECT, reason="not_there", idempotency_key="mine")
        again = client.act(case(1).id, CaseAction.REJECT, reason="not_there", idempotency_key="mine")
    assert (acted.applied, acted.case.state) == (True, CaseState.REJECTED)
    assert again.command == acted.command
    assert [each.type for each in client.timeline(case(1).id)] == [CaseEventType.FILED, CaseEventType.REJECTED]


def test_a_refusal_is_an_error_that_says_why(city, client):
    with pytest.raises(ApiProblem) as none:
        client.case("case-none")
    assert (none.value.status, none.value.kind) == (404, "no-such-case")
    city.file(case(1, state=CaseState.CLOSED))
    taken_in(city)
    with pytest.raises(ApiProblem) as closed:
        client.act(case(1).id, CaseAction.CONFIRM)
    assert closed.value.more["allowed"] == ["reopen"]


def test_a_key_is_needed_where_there_are_keys(city):
    token = city.keys.add("platform", Role.PLATFORM)
    with serving(city.app()) as url:
        with Client(url) as nobody, pytest.raises(ApiProblem, match="key-needed"):
            nobody.events()
        with Client(url, key=token) as platform:
            assert platform.events().items == ()


def test_a_server_that_is_away_or_busy_is_worth_asking_again():
    with Client(f"http://127.0.0.1:{free_port()}") as client, pytest.raises(ApiAway, match="ConnectError"):
        client.stats()
    busy = httpx.MockTransport(lambda _: httpx.Response(429, headers={"retry-after": "7"}, json={"detail": "slowly"}))
    with Client("http://city", transport=busy) as client, pytest.raises(ApiAway) as slowly:
        client.stats()
    assert slowly.value.retry_after_s == 7.0


def test_words_with_line_ends_of_other_alphabets_come_whole(city, client):
    said = "一\u2028二\u0085三"
    city.file(case(1, note=said))
    taken_in(city)
    assert next(client.follow()).event.case.note == said


def test_a_cursor_of_another_log_is_refused_and_not_asked_for_ever(client):
    with pytest.raises(ApiProblem, match="cursor-from-the-future"):
        next(client.follow("999999"))


def test_a_client_cut_off_again_and_again_has_every_event_once_and_in_order(city, served):
    count, draw = 300, random.Random(22)
    before = case(1)
    city.file(before)

    def tell() -> None:
        for version in range(2, count + 1):
            city.tell(event(replace(before, version=version, note=f"{version}"), CaseEventType.STATUS))

    with cutting(served, draw) as (url, cuts), Client(url, wait=lambda _: None) as client:
        telling = threading.Thread(target=tell)
        telling.start()
        found = list(itertools.islice(client.follow(), count))
        telling.join()
    assert [each.event.case.version for each in found] == list(range(1, count + 1))
    assert sorted({int(each.cursor) for each in found}) == [int(each.cursor) for each in found]
    assert len(cuts) > 20, "or nothing was tried"


@contextmanager
def cutting(url: str, draw: random.Random) -> Iterator[tuple[str, list[int]]]:
    """A way to the server on which each connection breaks after some bytes of answer; how many each let through."""
    target = urlsplit(url)
    listening = socket.create_server(("127.0.0.1", 0))
    cuts: list[int] = []

    def carry(near: socket.socket) -> None:
        with closing(near), socket.create_connection((target.hostname, target.port)) as far, suppress(OSError):
            far.sendall(near.recv(65536))
            left = draw.randrange(500, 30_000)
            while left > 0 and (data := far.recv(min(left, 4096))):
                near.sendall(data)
                left -= len(data)
            cuts.append(left)

    def accept() -> None:
        with suppress(OSError):
            while True:
                near, _ = listening.accept()
                threading.Thread(target=carry, args=(near,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", cuts
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
