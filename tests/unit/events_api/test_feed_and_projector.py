"""The projector takes in what the bus has and sets aside what it cannot read; the feed wakes whoever waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from citybrain.database import Database
from citybrain.ports import Message
from citybrain.wire import CASE_EVENTS, write_case_event
from events_api.feed import Feed, Noticing
from events_api.ports import EVERYTHING, EventFilter, StoredEvent
from events_api.projector import Projector
from events_api.store.sql import SqlCases
from tests.services.api_city import START, case, event


class ListBus:
    """A bus in a list, whose offsets may have gaps, as those of shared logs do."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.broken: Exception | None = None

    def put(self, offset: int, value: bytes) -> None:
        self.messages.append(Message(offset, CASE_EVENTS, "k", value, START))

    def publish(self, topic: str, key: str, value: bytes) -> int:
        raise NotImplementedError

    def offer(self, topic: str, key: str, value: bytes) -> None:
        raise NotImplementedError

    def read(self, topics: Sequence[str], *, after: int, limit: int = 500) -> list[Message]:
        if self.broken:
            raise self.broken
        return [each for each in self.messages if each.offset > after][:limit]

    def end(self, topic: str) -> int:
        return self.messages[-1].offset if self.messages else 0

    def start(self, topic: str) -> int:
        return self.messages[0].offset if self.messages else 0

    def wait(self, timeout: timedelta) -> bool:
        return True

    def figures(self) -> Mapping[str, int]:
        return {}

    def close(self) -> None: ...


def told(n: int) -> bytes:
    return write_case_event(event(case(n)))


@pytest.fixture
def store(tmp_path):
    opened = SqlCases.file(tmp_path / "view.db")
    yield opened
    opened.close()


@pytest.fixture
def bus():
    return ListBus()


def test_a_step_takes_in_what_is_new_and_tells_it_after_the_commit(store, bus):
    announced: list[tuple[list[int], int, int]] = []
    projector = Projector(
        bus, store, announce=lambda events, end: announced.append(([e.cursor for e in events], end, store.cursor()))
    )
    assert not projector.step()
    bus.put(3, told(1))
    bus.put(9, told(2))
    assert projector.lag() == 9
    assert projector.step()
    assert announced == [([3, 9], 9, 9)]
    assert not projector.step()
    assert projector.lag() == 0


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\xff",
        b"[]",
        b"null",
        b"{}",
        told(1).replace(b'"1.0"', b'"2.0"'),
        told(1).replace(b'"lon":102.7411,', b""),
        told(1).replace(b'"title":{', b'"title":[{').replace(b'"},"severity"', b'"}],"severity"'),
        told(1).replace(b'"confidence":0.83', b'"confidence":"sure"'),
        told(1)[:-20],
    ],
    ids=lambda value: value.decode("utf-8", "replace")[:20],
)
def test_what_cannot_be_read_is_set_aside_and_never_blocks(store, bus, value):
    bus.put(1, value)
    bus.put(2, told(2))
    Projector(bus, store).step()
    assert (store.cursor(), store.set_aside()) == (2, 1)
    assert store.case(case(2).id) is not None


def test_another_log_makes_the_view_begin_anew(store, bus):
    store.apply([], cursor=100)
    bus.put(5, told(1))
    projector = Projector(bus, store)
    assert projector.step()
    assert store.cursor() == 0
    assert projector.step()
    assert store.cursor() == 5


def test_an_empty_log_is_no_reason_to_forget(store, bus):
    store.apply([], cursor=100)
    assert not Projector(bus, store).step()
    assert store.cursor() == 100


def stored(
    cursor: int,
    *,
    scene: str = "fire_risk",
    type: str = "citybrain.case.filed",
    severity: str = "normal",
    grid_cell: str | None = None,
) -> StoredEvent:
    return StoredEvent(cursor, type, scene, f"case-{cursor}", None, "{}", severity, grid_cell)


class ListedView(SqlCases):
    """A view whose events lie in a list, as if any replica had written them."""

    def __init__(self, path: Path) -> None:
        super().__init__(Database.file(path))
        self.listed: list[StoredEvent] = []
        self.end, self.asked = 0, 0

    def tell(self, *events: StoredEvent, end: int | None = None) -> None:
        self.listed += events
        self.end = self.listed[-1].cursor if end is None else end

    def cursor(self) -> int:
        return self.end

    def events(self, *, after: int, limit: int, wanted: EventFilter = EVERYTHING) -> list[StoredEvent]:
        self.asked += 1
        return [each for each in self.listed if each.cursor > after and wanted.lets_through(each)][:limit]


@pytest.fixture
def view(tmp_path):
    opened = ListedView(tmp_path / "listed.db")
    yield opened
    opened.close()


async def cursors(feed: Feed, after: int, *, limit: int = 100) -> list[int]:
    """What a reader gets who goes on and on from there."""
    found: list[int] = []
    while True:
        events, seen_to = await feed.after(after, limit=limit)
        found += [each.cursor for each in events]
        if seen_to == after:
            return found
        after = seen_to


async def test_events_in_memory_are_handed_on_by_cursor_and_filter(view):
    feed = Feed(view)
    feed.start()
    closed = stored(6, type="citybrain.case.closed", severity="high", grid_cell="530111001001003")
    view.tell(stored(2), stored(4, scene="waterlogging", grid_cell="530112"), closed, end=7)
    assert feed.look()
    await feed.change().wait()
    asked = view.asked

    async def after(cursor: int, **only) -> tuple[list[int], int]:
        found, seen_to = await feed.after(cursor, limit=2, wanted=EventFilter(**only))
        return [each.cursor for each in found], seen_to

    assert await after(0) == ([2, 4], 4)
    assert await after(4) == ([6], 7)
    assert await after(7) == ([], 7)
    assert await after(0, scenes=("waterlogging",)) == ([4], 7)
    assert await after(0, types=("citybrain.case.closed",)) == ([6], 7)
    assert await after(0, severities=("high", "critical")) == ([6], 7)
    assert await after(0, grid_cells=("530111001",)) == ([6], 7)
    assert await after(0, grid_cells=("530111001001004", "530112")) == ([4], 7)
    assert await after(0, grid_cells=("530111001001003",), areas=("530111001",)) == ([6], 7)
    assert await after(0, grid_cells=("530111001001003",), areas=("530112",)) == ([], 7)
    assert await after(0, scenes=("waterlogging",), severities=("high",)) == ([], 7)
    assert view.asked == asked  # from memory, all of it


async def test_whoever_waits_is_woken_by_the_next_batch(view):
    feed = Feed(view)
    feed.start()
    changed = feed.change()
    view.tell(stored(1))
    assert feed.look()
    async with asyncio.timeout(5):
        await changed.wait()
    assert feed.cursor == 1
    assert not feed.change().is_set()
    assert not feed.look()


async def test_what_other_replicas_wrote_is_handed_on_once_however_many_look(view):
    feed = Feed(view)
    feed.start()
    for n in range(1, 41):
        view.tell(stored(n * 3))
        if n % 4 == 0:
            await asyncio.gather(*(asyncio.to_thread(feed.look) for _ in range(8)))
    assert await cursors(feed, 0) == [n * 3 for n in range(1, 41)]
    assert await cursors(feed, 60, limit=7) == [n * 3 for n in range(21, 41)]


async def test_more_than_memory_holds_is_read_from_the_view(view):
    feed = Feed(view)
    feed.start()
    view.tell(*(stored(n) for n in range(1, 2602)))
    assert await asyncio.to_thread(feed.look)
    await asyncio.sleep(0)
    assert await cursors(feed, 0, limit=500) == list(range(1, 2602))


async def test_a_view_that_was_made_anew_is_read_from_the_view_again(view):
    feed = Feed(view)
    feed.start()
    view.tell(stored(5), stored(9))
    await asyncio.to_thread(feed.look)
    view.listed = []
    view.tell(end=0)
    await asyncio.to_thread(feed.look)
    await asyncio.sleep(0)
    assert (feed.cursor, await cursors(feed, 0)) == (0, [])
    view.tell(stored(2), stored(7))
    await asyncio.to_thread(feed.look)
    await asyncio.sleep(0)
    assert await cursors(feed, 0) == [2, 7]


class Word:
    """Nudges within this test: who listens hears what is told."""

    def __init__(self) -> None:
        self.hearing: list[Callable[[], None]] = []
        self.told = 0

    def tell(self, about: str) -> None:
        self.told += 1
        for each in self.hearing:
            each()

    def listen(self, about: str, hear: Callable[[], None]) -> Callable[[], None]:
        self.hearing.append(hear)
        return lambda: self.hearing.remove(hear)


@pytest.mark.parametrize("word", [Word(), None], ids=["by word", "by looking"])
async def test_a_replica_notices_what_another_has_projected(view, word):
    here, there = Feed(view), Feed(view)
    noticing = [Noticing(feed, word) for feed in (here, there)]
    for feed, each in zip((here, there), noticing, strict=True):
        feed.start()
        each.start()
    changed = there.change()
    view.tell(stored(1))
    await asyncio.to_thread(noticing[0].tell)
    async with asyncio.timeout(30):
        await changed.wait()
    assert await cursors(there, 0) == await cursors(here, 0) == [1]
    for each in noticing:
        await asyncio.to_thread(each.stop)
    assert word is None or (word.told, word.hearing) == (1, [])


async def test_an_effect_that_does_not_come_is_waited_for_no_longer_than_said(store):
    feed = Feed(store)
    feed.start()
    assert await feed.effect("act-1", within=timedelta(milliseconds=10)) is None


async def test_closing_ends_every_wait(store):
    feed = Feed(store)
    feed.start()
    waiting = asyncio.create_task(feed.effect("act-1", within=timedelta(minutes=1)))
    await asyncio.sleep(0)
    feed.close()
    async with asyncio.timeout(5):
        assert await waiting is None
