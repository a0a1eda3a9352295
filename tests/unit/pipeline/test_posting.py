"""What a worker's sender owes is posted at least once under one id, in order for each case, whoever dies and whenever."""

import asyncio
import json
from collections import defaultdict
from datetime import timedelta
from random import Random
from typing import Any, cast

import pytest
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st

from citybrain.bus.topics import LOCALITIES_TABLE, LOCALITY_COMMANDS
from citybrain.clock import ManualClock
from citybrain.delivery.sender import Pace
from citybrain.domain.command import Delivered
from citybrain.errors import NotDelivered, Refused, Unreadable
from citybrain.ports import Acknowledgement, Message
from citybrain.wire import CASE_EVENTS, DETECTIONS, read_case_event, write_case_event
from citybrain.wire.letters import (
    GivenUp,
    Letter,
    SendAgain,
    SentAgain,
    read_about_letter,
    read_dead_letter,
    write_about_letter,
    write_dead_letter,
)
from events_api.dead_letters import LoggedDeadLetters
from pipeline.flow import Pipeline
from pipeline.runners.kafka.forwarded import read_forwarded
from pipeline.runners.kafka.posting import Posting
from pipeline.runners.kafka.records import Owed, owes
from tests.flows.days import TOWN, days
from tests.flows.eventful import eventful
from tests.flows.street import START
from tests.services.api_city import case, event, posted
from tests.unit.pipeline.imagined_kafka import ImaginedKafka

HOUR = timedelta(hours=1)
PIPELINE = Pipeline(TOWN)
SOME = settings(max_examples=4, deadline=None, phases=(Phase.explicit, Phase.generate))


class Desk:
    """Takes, refuses or is not there, as `fault` says of each event."""

    def __init__(self, clock, fault=lambda _: None):
        self.clock, self.fault, self.asked, self.taken = clock, fault, [], []

    async def notify(self, outgoing):
        self.asked.append(outgoing.id)
        fault = self.fault(outgoing)
        if fault is not None:
            raise fault
        self.taken.append(outgoing)
        return Acknowledgement(self.clock.now(), self.clock.now(), "D-1")

    async def close(self): ...


class TopicBus:
    """What the API sees of the imagined Kafka."""

    def __init__(self, kafka):
        self.kafka = kafka

    def read(self, topics, *, after, limit=500):
        (topic,) = topics
        log = self.kafka.logs[topic, 0][after : after + limit]
        return [Message(after + n + 1, topic, key, value, START) for n, (key, value) in enumerate(log)]

    def publish(self, topic, key, value):
        self.kafka.publish(topic, key, value)
        return 1


class Town:
    """A town on an imagined Kafka, whose worker posts to a desk."""

    def __init__(self, *, seed=0, crashes=0.0, fault=lambda _: None, give_up_after=1000 * HOUR):
        self.pace = Pace(give_up_after=give_up_after)
        self.random = Random(seed)
        self.kafka = ImaginedKafka(PIPELINE, random=self.random, crashes=crashes, endpoints=("desk",))
        self.desk = Desk(self.kafka.clock, fault)
        self.letters = LoggedDeadLetters(cast("Any", TopicBus(self.kafka)), clock=self.kafka.clock)
        self.owed: defaultdict[str, dict[str, int]] = defaultdict(dict)
        """What was ever owed to the desk: of each case the version that each event tells."""
        self.begin()

    def begin(self):
        self.posting = Posting({"desk": self.desk}, clock=self.kafka.clock, say=self.kafka.publish, pace=self.pace)

    def crash(self):
        """The worker ends, and another one, which knows what is durable, goes on."""
        for partition in range(self.kafka.partitions):
            self.kafka.begin(LOCALITIES_TABLE, partition)
        self.kafka.posts.clear()
        self.begin()

    def post(self):
        for each in self.kafka.posts:
            self.owed[each.key][each.id] = read_case_event(each.body).case.version
        self.posting.post(self.kafka.posts)
        self.kafka.posts.clear()

    def live(self, log):
        for topic, value in log:
            self.kafka.publish(topic, json.loads(value)["camera"] if topic == DETECTIONS else "key", value)
            self.kafka.settle()

    async def round(self):
        self.kafka.settle()
        self.post()
        await self.posting.post_due()
        self.kafka.clock.advance(HOUR)

    def owes(self):
        return any(owes(raw) for table in self.kafka.tables.values() for raw in table.values() if b'"owed"' in raw)

    async def settle(self):
        for _ in range(200):
            await self.round()
            if not self.owes():
                return
        raise AssertionError("something is owed for ever")


def first_heard(desk):
    """In which order the desk first took the events of each case."""
    found: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for each in desk.taken:
        found[each.case].setdefault(each.id)
    return {case: list(ids) for case, ids in found.items()}


@SOME
@given(day=days(), seed=st.integers(0, 9999))
async def test_whoever_dies_the_desk_is_told_of_everything_in_order_under_one_id(day, seed):
    log, random = eventful(day, TOWN, Random(seed)), Random(seed)
    town = Town(seed=seed, crashes=0.1, fault=lambda _: NotDelivered("503") if random.random() < 0.3 else None)
    half = random.randint(0, len(log))
    town.live(log[:half])
    for _ in range(4):
        await town.round()
        if random.random() < 0.5:
            town.crash()
    town.live(log[half:])
    town.crash()
    await town.settle()
    assume(town.owed)
    in_order = {case: sorted(ids, key=ids.__getitem__) for case, ids in town.owed.items()}
    assert first_heard(town.desk) == in_order
    assert len(by_id := {each.id: each.body for each in town.desk.taken}) == sum(map(len, in_order.values()))
    assert all(by_id[each.id] == each.body for each in town.desk.taken), "the same id never says something else"


@SOME
@given(day=days(), seed=st.integers(0, 9999))
async def test_what_the_desk_refuses_is_a_letter_until_somebody_sends_it_again(day, seed):
    log = eventful(day, TOWN, Random(seed))
    random, refusing = Random(seed), True

    def fault(outgoing):
        return Refused("410 Gone", status=410) if refusing else None

    town = Town(seed=seed, crashes=0.1, fault=fault)
    town.live(log)
    while town.owes():
        await town.round()
        if random.random() < 0.3:
            town.crash()
    assume(town.owed)
    assert town.desk.taken == []
    letters = town.letters.all(limit=1000)
    assert {each.id for each in letters} == set(town.desk.asked), "each is kept, once"
    assert all((each.endpoint, each.reason) == ("desk", "410 Gone") and each.attempts >= 1 for each in letters)
    assert not town.owes()
    town.crash()
    await town.round()
    asked = len(town.desk.asked)
    await town.round()
    assert len(town.desk.asked) == asked, "nobody tries again by himself"

    refusing = False
    for each in letters:
        assert town.letters.resend(each.id)
        if random.random() < 0.3:
            town.crash()
        if random.random() < 0.5:
            await town.round()
    await town.settle()
    assert {each.id for each in town.desk.taken} == {each.id for each in letters}
    another = LoggedDeadLetters(cast("Any", TopicBus(town.kafka)), clock=town.kafka.clock)
    assert list(another.all(limit=10)) == []


@SOME
@given(day=days(), seed=st.integers(0, 9999))
async def test_what_nobody_takes_for_long_is_given_up_and_its_case_goes_on(day, seed):
    log, random = eventful(day, TOWN, Random(seed)), Random(seed)
    town = Town(
        seed=seed, fault=lambda _: NotDelivered("503") if random.random() < 0.9 else None, give_up_after=5 * HOUR
    )
    town.live(log)
    await town.settle()
    assume(town.owed)
    letters = {each.id for each in town.letters.all(limit=1000)}
    taken = {each.id for each in town.desk.taken}
    assert letters | taken == {id for ids in town.owed.values() for id in ids}
    assert not letters & taken
    assert all("given up after 5h: 503" in each.reason for each in town.letters.all(limit=1000))


async def test_what_is_under_way_when_a_partition_moves_is_posted_again_and_in_order():
    clock, said, door = ManualClock(START), [], asyncio.Event()

    class Slow(Desk):
        async def notify(self, outgoing):
            await door.wait()
            return await super().notify(outgoing)

    desk = Slow(clock)
    first = case(1)
    events = [event(first), event(posted(first))]
    owed = [
        Owed(each.id, CASE_EVENTS, each.case.id, write_case_event(each), START, ("desk",), said=True) for each in events
    ]
    posting = Posting({"desk": desk}, clock=clock, say=lambda *message: said.append(message))
    posting.post(owed)
    attempt = asyncio.create_task(posting.post_due())
    await asyncio.sleep(0)
    posting.forget()
    posting.post(owed)  # it is ours again, before the attempt has come to its end
    clock.advance(HOUR)
    again = asyncio.create_task(posting.post_due())
    await asyncio.sleep(0)
    door.set()
    await asyncio.gather(attempt, again)
    for _ in range(3):
        await posting.post_due()
    ids = [each.id for each in events]
    assert list(dict.fromkeys(each.id for each in desk.taken)) == ids
    told = [read_forwarded(value)[1] for topic, _, value in said if topic == LOCALITY_COMMANDS]
    assert [each.event for each in told if isinstance(each, Delivered)] == ids, "each is acknowledged once"


def test_what_is_said_of_letters_is_read_as_it_was_written():
    letter = Letter("case-1-v1", "desk", "case-1", "kerb", 7, "500 「坏」", START, b'{"a":"\xe6\x98\x86"}')
    for said in (GivenUp("case-1-v1", "desk", "kerb", 7, "gone", START), SendAgain(letter, START + HOUR)):
        assert read_about_letter(write_about_letter(said)) == said
    for kept in (letter, SentAgain("case-1-v1", "desk", START)):
        assert read_dead_letter(write_dead_letter(kept)) == kept
    assert read_dead_letter(b'{"v":1,"kind":"unknown","reason":"no camera"}') is None
    with pytest.raises(Unreadable, match="endpoint"):
        read_about_letter(b'{"v":1,"letter":"given-up","id":"x"}')
