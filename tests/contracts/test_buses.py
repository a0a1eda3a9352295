"""Every bus keeps messages in order, wakes who waits, and has what it said it has, whoever is killed.

On Kafka by two brokers, of which `tests/broker.py` says what each lacks.
"""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaConnectionError

from bench.ports import free_port
from citybrain.bus.address import KafkaAddress
from citybrain.bus.kafka import KafkaBus
from citybrain.bus.local import LocalBus
from citybrain.bus.topics import create, layout
from citybrain.clock import ManualClock
from citybrain.errors import BusAway, Transient, UsageError
from tests import waiting

until = partial(waiting.until, within_s=20)

ROOT = Path(__file__).parents[2]
EIGHT = datetime(2026, 11, 21, 8, tzinfo=UTC)
HOUR, LONG, SHORT = timedelta(hours=1), timedelta(seconds=20), timedelta(milliseconds=30)
PATIENCE = timedelta(seconds=2)
"""With a broker that answers nothing: short, and enough for one that answers on a busy machine."""


def bus_at(place: str, **options):
    """The bus at a path or an address: also what the writing processes open."""
    if place.startswith("kafka://"):
        return answered(KafkaBus(KafkaAddress.parse(place), **options))
    return LocalBus(Path(place), **options)


def answered(bus):
    """On a busy machine a broker's first answer may take longer than opening waits for it."""
    until(lambda: not bus.figures()["away"])
    return bus


@pytest.fixture(params=["local", "kafka", "kafka, idempotent"])
def place(request, tmp_path):
    """A bus of its own for each test; on Kafka its topics are made as `citybrain topics create` makes them."""
    if request.param == "local":
        return str(tmp_path / "bus.db")
    place = request.getfixturevalue("broker" if request.param == "kafka" else "keeping").fresh()
    create(KafkaAddress.parse(place), layout(2), replicas=1)
    return place


@pytest.fixture
def another(place):
    """Opens the same bus once more, as another process would."""
    opened = []

    def open_one(**options):
        opened.append(bus_at(place, **options))
        return opened[-1]

    yield open_one
    for each in opened:
        each.close()


@pytest.fixture
def bus(another):
    return another()


def read_messages(bus, topic="commands"):
    after, found = 0, []
    while page := bus.read((topic,), after=after):
        found += page
        after = page[-1].offset
    return found


def read_all(bus, topic="commands"):
    return [message.value for message in read_messages(bus, topic)]


def calm(bus):
    """What has come so far is known: from here on only what is new wakes."""
    while bus.wait(SHORT):
        pass


def test_messages_are_read_as_they_were_published(another):
    bus = another(clock=ManualClock(EIGHT))
    value = bytes(range(256))
    offset = bus.publish("commands", "gd-1", value)
    (message,) = bus.read(("commands",), after=0)
    assert (message.offset, message.topic, message.key, message.value) == (offset, "commands", "gd-1", value)
    assert message.logged_at == EIGHT


def test_offsets_order_the_messages_of_a_topic(bus):
    offsets = [bus.publish(topic, "k", topic.encode()) for topic in ("commands", "case-events", "commands")]
    assert 0 < offsets[0] < offsets[2]
    assert [message.offset for message in read_messages(bus)] == [offsets[0], offsets[2]]
    assert [message.offset for message in read_messages(bus, "case-events")] == [offsets[1]]


def test_a_reader_gets_its_topic_only_and_what_comes_after_its_place(bus):
    first = bus.publish("commands", "k", b"1")
    bus.publish("case-events", "k", b"2")
    bus.publish("commands", "k", b"3")
    assert [each.value for each in bus.read(("commands",), after=first)] == [b"3"]
    assert [each.value for each in bus.read(("commands",), after=0)] == [b"1", b"3"]
    assert bus.read(("commands",), after=bus.end("commands")) == []
    assert bus.read(("dead-letters",), after=0) == []


def test_a_reader_pages_through_without_gap_or_repeat(bus):
    for n in range(25):
        bus.publish("commands", "k", str(n).encode())
    after, found = 0, []
    while page := bus.read(("commands",), after=after, limit=7):
        assert len(page) <= 7
        found += [message.value for message in page]
        after = page[-1].offset
    assert found == [str(n).encode() for n in range(25)]


def test_readers_at_different_places_do_not_disturb_each_other(bus):
    offsets = [bus.publish("commands", "k", str(n).encode()) for n in range(20)]
    found: tuple[list, list] = ([], [])
    one, other = 0, offsets[9]
    for _ in range(10):
        for place, cursor in enumerate((one, other)):
            found[place].extend(page := bus.read(("commands",), after=cursor, limit=2))
            one, other = (page[-1].offset if page and place == n else now for n, now in enumerate((one, other)))
    assert [each.offset for each in found[0]] == offsets
    assert [each.offset for each in found[1]] == offsets[10:]


def test_what_was_offered_arrives_in_order(bus):
    for n in range(100):
        bus.offer("commands", "k", str(n).encode())
    last = bus.publish("commands", "k", b"last")
    assert read_all(bus) == [*(str(n).encode() for n in range(100)), b"last"]
    assert bus.end("commands") == last
    assert all(count == 0 for count in bus.figures().values())


def test_what_was_offered_before_it_was_closed_is_there(another):
    leaving = another()
    for n in range(100):
        leaving.offer("commands", "k", str(n).encode())
    leaving.close()
    assert len(read_all(another())) == 100


def test_a_topic_begins_and_ends_with_its_messages(bus):
    assert (bus.start("commands"), bus.end("commands")) == (0, 0)
    first = bus.publish("commands", "k", b"")
    last = bus.publish("commands", "k", b"")
    bus.publish("case-events", "k", b"")
    assert (bus.start("commands"), bus.end("commands")) == (first, last)


def test_another_sees_what_one_has_published(bus, another):
    bus.publish("commands", "k", b"1")
    assert read_all(another()) == [b"1"]


def test_who_waits_is_woken_by_anothers_message(bus, another):
    waiting = another()
    calm(waiting)
    publisher = threading.Timer(0.05, bus.publish, ("case-events", "k", b"1"))
    publisher.start()
    assert waiting.wait(LONG)
    publisher.join()
    assert read_all(waiting, "case-events") == [b"1"]


def test_a_message_that_came_before_the_wait_is_not_slept_through(bus, another):
    waiting = another()
    calm(waiting)
    assert read_all(waiting) == []
    bus.publish("commands", "k", b"1")
    assert waiting.wait(LONG)


def test_who_waits_in_vain_is_told_so(bus):
    calm(bus)
    assert not bus.wait(SHORT)


def test_a_wait_is_over_in_time_also_where_the_citys_clock_stands_still(another):
    waiting = another(clock=ManualClock(EIGHT))
    calm(waiting)
    assert not waiting.wait(SHORT)
    assert not waiting.figures().get("away"), "it was not taken for one that answers nothing"


def test_threads_may_share_a_bus(bus):
    def publish(name):
        for n in range(50):
            bus.publish("commands", name, f"{name}{n}".encode())

    threads = [threading.Thread(target=publish, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = read_messages(bus)
    assert len(found) == 200
    for name in "abcd":
        assert [m.value for m in found if m.key == name] == [f"{name}{n}".encode() for n in range(50)]


WRITER = """
import sys
from tests.contracts.test_buses import bus_at
bus = bus_at(sys.argv[1])
for n in range(int(sys.argv[3])):
    offset = bus.publish("commands", sys.argv[2], b"%s %d" % (sys.argv[2].encode(), n))
    print(n, offset, flush=True)
"""


def writer(place, name, count):
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, place, name, str(count)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_processes_that_publish_at_once_each_keep_their_order(bus, place):
    with writer(place, "a", 200) as one, writer(place, "b", 200) as other:
        told = {name: [line.split() for line in each.stdout] for name, each in (("a", one), ("b", other))}
    for name, lines in told.items():
        found = [message for message in read_messages(bus) if message.key == name]
        assert [message.value for message in found] == [f"{name} {n}".encode() for n in range(200)]
        assert [message.offset for message in found] == [int(offset) for _, offset in lines]


def test_what_a_process_said_it_had_published_is_there_after_it_was_killed(bus, place):
    with writer(place, "a", 1_000_000) as running:
        said = [running.stdout.readline().split() for _ in range(300)]
        running.send_signal(signal.SIGKILL)
    found = read_messages(bus)
    assert [message.offset for message in found[:300]] == [int(offset) for _, offset in said]
    assert [message.value for message in found] == [f"a {n}".encode() for n in range(len(found))]
    assert bus.publish("commands", "b", b"") > found[-1].offset


# -- of one machine ---------------------------------------------------------------------------------------------------


@pytest.fixture
def local(tmp_path):
    opened = [LocalBus(tmp_path / "bus.db") for _ in range(2)]
    yield opened
    for each in opened:
        each.close()


def test_on_one_machine_one_order_covers_all_topics(local):
    bus, _ = local
    offsets = [bus.publish(topic, "k", topic.encode()) for topic in ("detections", "commands", "detections")]
    assert offsets == sorted(set(offsets))
    found = bus.read(("commands", "detections"), after=0)
    assert [message.offset for message in found] == offsets
    assert [message.topic for message in found] == ["detections", "commands", "detections"]


def test_offsets_are_never_given_twice_even_after_the_log_was_trimmed(local):
    bus, other = local
    last = [bus.publish("detections", "k", b"") for _ in range(3)][-1]
    other._connection.execute("DELETE FROM log")
    assert bus.publish("detections", "k", b"") > last
    assert bus.start("detections") == bus.end("detections")


# -- of many machines -------------------------------------------------------------------------------------------------


@pytest.fixture
def city(kafka):
    """The address of a bus whose topics are there."""
    address = KafkaAddress.parse(kafka)
    create(address, layout(4), replicas=1)
    return address


@pytest.fixture
def opened(city):
    """Opens it, with a short patience."""
    buses = []

    def open_one(**options):
        buses.append(KafkaBus(city, answer=PATIENCE, **options))
        return answered(buses[-1])

    yield open_one
    for each in buses:
        each.close()


@pytest.fixture
def frozen(broker):
    """Lets the broker answer nothing, until the test is over at the latest."""
    yield broker.freeze
    broker.thaw()


def test_while_no_broker_answers_who_publishes_or_reads_is_told_so(opened, frozen):
    bus = opened()
    frozen()
    with pytest.raises(BusAway):
        bus.publish("commands", "k", b"1")
    for ask in (
        lambda: bus.publish("commands", "k", b"2"),
        lambda: bus.end("commands"),
        lambda: bus.read(["commands"], after=0),
    ):
        with pytest.raises(BusAway, match="no answer within"):
            ask()
    assert not bus.wait(SHORT)
    assert bus.figures()["away"]
    assert bus.figures()["aways"] == 1


def test_what_was_offered_while_no_broker_answered_is_there_when_it_is_back_in_order(opened, frozen, broker):
    bus = opened(buffer=50)
    frozen()
    for n in range(50):
        bus.offer("commands", "k", str(n).encode())
    with pytest.raises(BusAway, match="50 messages wait"):
        bus.offer("commands", "k", b"one too many")
    assert bus.figures()["refused"] == 1
    with pytest.raises(BusAway):
        bus.end("commands")
    broker.thaw()
    until(lambda: bus.figures()["waiting"] == 0)
    until(lambda: not bus.figures()["away"])
    assert read_all(bus) == [str(n).encode() for n in range(50)]
    assert bus.figures()["lost"] == 0


def test_what_a_person_gave_up_on_before_it_was_sent_is_not_done_later(opened, frozen, broker):
    bus = opened()
    bus.publish("commands", "k", b"1")
    frozen()
    bus.offer("commands", "k", b"under way")  # one by one is what this broker takes: the next ones wait for room
    with pytest.raises(BusAway):
        bus.publish("commands", "k", b"given up")
    with pytest.raises(BusAway):
        bus.publish("commands", "k", b"refused")
    broker.thaw()
    until(lambda: not bus.figures()["away"])
    assert b"refused" not in read_all(bus)


def test_who_waits_or_asks_while_a_bus_is_closed_is_told_so_and_nothing_is_left_under_way(city):
    bus = answered(KafkaBus(city))
    calm(bus)
    told, asked = [], threading.Event()

    def ask():
        try:
            while True:
                bus.end("commands")
                asked.set()
        except BusAway as error:
            told.append(str(error))

    others = [threading.Thread(target=ask), threading.Thread(target=lambda: told.append(bus.wait(HOUR)))]
    for each in others:
        each.start()
    assert asked.wait(LONG.total_seconds())
    bus.close()
    for each in others:
        each.join(LONG.total_seconds())
    assert sorted(map(str, told)) == ["False", f"{city}: it is closed"]
    assert not asyncio.all_tasks(bus._loop)
    for ask_late in (
        lambda: bus.offer("commands", "k", b""),
        lambda: bus.publish("commands", "k", b""),
        lambda: bus.end("commands"),
    ):
        with pytest.raises(BusAway, match="it is closed"):
            ask_late()
    assert not bus.wait(HOUR)


def test_a_bus_may_be_opened_before_its_broker_and_before_its_topics(broker):
    port = free_port()
    address = KafkaAddress.parse(f"kafka://127.0.0.1:{port}/early?producer=plain")
    bus = KafkaBus(address, answer=PATIENCE)
    with pytest.raises(BusAway, match=f"127.0.0.1:{port}"):
        bus.publish("commands", "k", b"1")
    bus.offer("commands", "k", b"offered early")
    late = type(broker).start(port)
    try:
        until(lambda: "has no topic early.detections" in bus._away)
        create(address, layout(2), replicas=1)
        until(lambda: not bus.figures()["away"])
        assert bus.publish("commands", "k", b"2") == 2
        assert read_all(bus) == [b"offered early", b"2"]
    finally:
        bus.close()
        late.stop()


class Offering:
    """Somebody who offers one message after the other, while a broker comes and goes."""

    def __init__(self, broker):
        address = KafkaAddress.parse(broker.fresh())
        create(address, layout(2), replicas=1)
        self.bus = KafkaBus(address, buffer=10_000)
        self.said, self._stop = [], threading.Event()
        self._thread = threading.Thread(target=self._offer)
        self._thread.start()

    def _offer(self):
        while not self._stop.wait(0.002):
            self.bus.offer("commands", "k", str(len(self.said)).encode())
            self.said.append(str(len(self.said)).encode())

    def go_on(self, count):
        more = len(self.said) + count
        until(lambda: len(self.said) > more)

    def settle(self):
        self._stop.set()
        self._thread.join()
        until(lambda: self.bus.figures()["waiting"] == 0 and not self.bus.figures()["away"])


@pytest.fixture
def offering(keeping):
    made = Offering(keeping)
    yield made
    made.settle()
    made.bus.close()


def test_what_is_offered_while_a_broker_is_away_is_there_once_and_in_order(keeping, offering):
    while_away = set()
    for _ in range(4):
        offering.go_on(100)
        keeping.leave()
        left = len(offering.said)
        offering.go_on(50)
        while_away |= set(offering.said[left:])
        keeping.again()
    offering.settle()
    found = [int(each) for each in read_all(offering.bus)]
    assert found == sorted(set(found)), "each once, and in order"
    assert while_away <= {str(each).encode() for each in found}
    assert len(found) > 0.9 * len(offering.said)  # this broker may forget what it confirmed while it was leaving
    assert offering.bus.figures()["lost"] == offering.bus.figures()["refused"] == 0


def test_what_is_sent_again_because_the_answer_was_lost_is_there_once(keeping):
    address = KafkaAddress.parse(keeping.fresh())
    create(address, layout(2), replicas=1)
    bus = answered(KafkaBus(address))
    lost: list[object] = []
    client = bus._sends.producer.client
    send = client.send

    async def send_and_lose(node, request, **more):
        answer = await send(node, request, **more)
        if "Produce" in type(request).__name__ and len(lost) < 20 and len(lost) % 2 == 0:
            lost.append(request)
            raise KafkaConnectionError("cut off before the answer came")
        if "Produce" in type(request).__name__:
            lost.append(None)
        return answer

    client.send = send_and_lose
    for n in range(200):
        bus.offer("commands", "k", str(n).encode())
        if n % 20 == 0:
            bus.publish("commands", "k", f"published {n}".encode())
    until(lambda: bus.figures()["waiting"] == 0)
    found = read_all(bus)
    bus.close()
    assert sum(each is not None for each in lost) >= 5
    assert len(found) == len(set(found)) == 210
    assert [each for each in found if each.isdigit()] == [str(n).encode() for n in range(200)]


def test_where_a_broker_has_forgotten_its_producers_another_producer_takes_over(keeping, offering):
    for _ in range(2):
        offering.go_on(100)
        keeping.stop()  # what it had confirmed last is lost with it, and the numbers that it had heard
        offering.go_on(50)
        keeping.again()
    offering.go_on(100)
    offering.settle()
    found = [int(each) for each in dict.fromkeys(read_all(offering.bus))]
    assert found == sorted(found)
    assert found[-100:] == list(range(len(offering.said)))[-100:]
    assert offering.bus.figures()["renewed"] > 0
    assert offering.bus.figures()["lost"] == 0


def test_a_topic_that_is_cut_into_parts_has_no_one_order_to_read_it_by(opened):
    bus = opened()
    with pytest.raises(UsageError, match="4 partitions"):
        bus.read(["detections"], after=0)
    with pytest.raises(UsageError, match="no one order"):
        bus.read(["commands", "case-events"], after=0)


def test_messages_of_one_key_lie_in_one_part(city, opened):
    bus = opened()
    for n in range(40):
        bus.offer("detections", f"gd-{n % 8}", str(n).encode())
    until(lambda: bus.figures()["waiting"] == 0)

    async def parts():
        consumer = AIOKafkaConsumer(city.topic("detections"), auto_offset_reset="earliest", **city.client())
        await consumer.start()
        found = [await consumer.getone() for _ in range(40)]
        await consumer.stop()
        return {(each.key.decode(), each.partition) for each in found}

    found = asyncio.run(parts())
    assert len(found) == 8
    assert len({partition for _, partition in found}) > 1


def test_topics_are_made_once_and_never_recut(kafka):
    address = KafkaAddress.parse(kafka)
    first = create(address, layout(4), replicas=1)
    assert all(": created" in line for line in first)
    assert all(": was there" in line for line in create(address, layout(4), replicas=1))
    with pytest.raises(UsageError, match="is there with 4, expected 8"):
        create(address, layout(8), replicas=1)


def test_without_a_broker_no_topics_are_made():
    with pytest.raises(Transient, match=r"kafka://127\.0\.0\.1:1: no broker answers"):
        create(KafkaAddress.parse("kafka://127.0.0.1:1"), layout(1), replicas=1)
