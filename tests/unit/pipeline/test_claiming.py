"""What a case shows is claimed before it is told, once, in order, and a store that hangs holds up nobody for long."""

import asyncio
import threading

import pytest

from citybrain.domain.case import CaseEvent
from citybrain.wire import read_case_event, write_case_event
from pipeline.flow import Pipeline
from pipeline.runners.kafka import claims
from pipeline.runners.kafka.claims import Claiming
from pipeline.runners.replay import Replay
from tests.flows.street import A, Street, Thing, city, messages, scene

TOWN = city([scene(hold="20s", max_gap="10s", clear_after="15s")])
STREET = Street([Thing(A, until=60)], missed=0, evidence=True)
FILED, CLEARED = (write_case_event(each) for each in Replay(Pipeline(TOWN)).run(messages(STREET.looks(until=90))))


class Store:
    """Remembers what was claimed; while `shut` it hangs."""

    owed = 3

    def __init__(self) -> None:
        self.claimed: list[str] = []
        self.shut, self.settled = threading.Event(), 0
        self.shut.set()

    def claim(self, event: CaseEvent) -> None:
        self.shut.wait()
        self.claimed.append(event.id)

    def settle(self) -> int:
        self.settled += 1
        return self.owed


async def test_an_event_is_claimed_before_it_is_told_and_what_is_claimed_is_not_asked_again():
    store = Store()
    claiming = Claiming(store)
    await claiming.claim(FILED)
    assert store.claimed == [read_case_event(FILED).id]
    await claiming.claim(FILED)
    assert len(store.claimed) == 1, "every question costs the storage a request"


async def test_what_a_later_event_shows_is_claimed_then():
    store = Store()
    claiming = Claiming(store)
    for body in (FILED, CLEARED):
        await claiming.claim(body)
    shown = [len(read_case_event(body).case.evidence) for body in (FILED, CLEARED)]
    assert shown[1] >= shown[0]
    assert len(store.claimed) == (2 if shown[1] > shown[0] else 1)


async def test_a_store_that_hangs_holds_the_case_up_for_its_patience_and_is_asked_in_order_all_the_same(monkeypatch):
    monkeypatch.setattr(claims, "_PATIENCE_S", 0.01)
    store = Store()
    store.shut.clear()
    claiming = Claiming(store)
    await claiming.claim(FILED)
    await claiming.claim(CLEARED)
    assert store.claimed == []
    store.shut.set()
    await asyncio.wait(claiming._under_way.values())
    assert store.claimed == [read_case_event(body).id for body in (FILED, CLEARED)], "a case's seals are a chain"


async def test_what_is_owed_is_tried_again_and_told_in_the_figures():
    store = Store()
    claiming = Claiming(store)
    await claiming.settle()
    assert (store.settled, claiming.owed) == (1, 3)


async def test_a_city_without_evidence_claims_nothing():
    claiming = Claiming(None)
    await claiming.claim(FILED)
    await claiming.settle()
    assert claiming.owed == 0


@pytest.mark.parametrize("body", [FILED, CLEARED])
def test_the_day_shows_something(body):
    assert read_case_event(body).case.evidence
