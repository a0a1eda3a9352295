"""Every bus keeps messages in order, wakes who waits, and has what it said it has, whoever is killed."""

import os
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from citybrain.bus.local import LocalBus
from citybrain.clock import ManualClock

ROOT = Path(__file__).parents[2]
EIGHT = datetime(2026, 11, 21, 8, tzinfo=UTC)
LONG, SHORT = timedelta(seconds=20), timedelta(milliseconds=30)


@pytest.fixture(params=[LocalBus], ids=["local"])
def another(request, tmp_path):
    """Opens the same bus once more, as another process would."""
    opened = []

    def open_one(**options):
        opened.append(request.param(tmp_path / "bus.db", **options))
        return opened[-1]

    yield open_one
    for each in opened:
        each.close()


@pytest.fixture
def bus(another):
    return another()


def read_all(bus, topics=("detections",)):
    return [message.value for message in bus.read(topics, after=0, limit=100_000)]


def test_messages_are_read_as_they_were_published(another):
    bus = another(clock=ManualClock(EIGHT))
    value = bytes(range(256))
    offset = bus.publish("detections", "gd-1", value)
    (message,) = bus.read(("detections",), after=0)
    assert (message.offset, message.topic, message.key, message.value) == (offset, "detections", "gd-1", value)
    assert message.logged_at == EIGHT


def test_offsets_order_the_messages_of_all_topics(bus):
    offsets = [bus.publish(topic, "k", topic.encode()) for topic in ("detections", "commands", "detections")]
    assert offsets == sorted(set(offsets))
    found = bus.read(("commands", "detections"), after=0)
    assert [message.offset for message in found] == offsets
    assert [message.topic for message in found] == ["detections", "commands", "detections"]


def test_a_reader_gets_its_topics_only_and_what_comes_after_its_place(bus):
    first = bus.publish("detections", "k", b"1")
    bus.publish("case-events", "k", b"2")
    bus.publish("detections", "k", b"3")
    assert [each.value for each in bus.read(("detections",), after=first)] == [b"3"]
    assert bus.read(("detections",), after=bus.end("detections")) == []
    assert bus.read(("nobody",), after=0) == []


def test_a_reader_pages_through_without_gap_or_repeat(bus):
    for n in range(25):
        bus.publish("detections", "k", str(n).encode())
    after, found = 0, []
    while page := bus.read(("detections",), after=after, limit=7):
        assert len(page) <= 7
        found += [message.value for message in page]
        after = page[-1].offset
    assert found == [str(n).encode() for n in range(25)]


def test_the_end_of_a_topic_is_its_last_message(bus):
    assert bus.end("detections") == 0
    last = bus.publish("detections", "k", b"")
    bus.publish("commands", "k", b"")
    assert bus.end("detections") == last


def test_another_sees_what_one_has_published(bus, another):
    bus.publish("detections", "k", b"1")
    assert read_all(another()) == [b"1"]


def test_who_waits_is_woken_by_anothers_message(bus, another):
    waiting = another()
    while waiting.wait(SHORT):
        pass
    publisher = threading.Timer(0.05, bus.publish, ("detections", "k", b"1"))
    publisher.start()
    assert waiting.wait(LONG)
    publisher.join()
    assert read_all(waiting) == [b"1"]


def test_a_message_that_came_before_the_wait_is_not_slept_through(bus, another):
    waiting = another()
    while waiting.wait(SHORT):
        pass
    assert read_all(waiting) == []
    bus.publish("detections", "k", b"1")
    assert waiting.wait(LONG)


def test_who_waits_in_vain_is_told_so(bus):
    while bus.wait(SHORT):
        pass
    assert not bus.wait(SHORT)


def test_threads_may_share_a_bus(bus):
    def publish(name):
        for n in range(50):
            bus.publish("detections", name, f"{name}{n}".encode())

    threads = [threading.Thread(target=publish, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = bus.read(("detections",), after=0, limit=1000)
    assert len(found) == 200
    for name in "abcd":
        assert [m.value for m in found if m.key == name] == [f"{name}{n}".encode() for n in range(50)]


WRITER = """
import sys
from pathlib import Path
from citybrain.bus.local import LocalBus
bus = LocalBus(Path(sys.argv[1]))
for n in range(int(sys.argv[3])):
    offset = bus.publish("detections", sys.argv[2], b"%s %d" % (sys.argv[2].encode(), n))
    print(n, offset, flush=True)
"""


def writer(path, name, count):
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), name, str(count)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_processes_that_publish_at_once_each_keep_their_order(bus, tmp_path):
    with writer(tmp_path / "bus.db", "a", 200) as one, writer(tmp_path / "bus.db", "b", 200) as other:
        told = {name: [line.split() for line in each.stdout] for name, each in (("a", one), ("b", other))}
    for name, lines in told.items():
        found = [message for message in bus.read(("detections",), after=0, limit=1000) if message.key == name]
        assert [message.value for message in found] == [f"{name} {n}".encode() for n in range(200)]
        assert [message.offset for message in found] == [int(offset) for _, offset in lines]


def test_what_a_process_said_it_had_published_is_there_after_it_was_killed(bus, tmp_path):
    with writer(tmp_path / "bus.db", "a", 1_000_000) as running:
        said = [running.stdout.readline().split() for _ in range(300)]
        running.send_signal(signal.SIGKILL)
    found = bus.read(("detections",), after=0, limit=1_000_000)
    assert [message.offset for message in found[:300]] == [int(offset) for _, offset in said]
    assert [message.value for message in found] == [f"a {n}".encode() for n in range(len(found))]
    assert bus.publish("detections", "b", b"") > found[-1].offset


def test_offsets_are_never_given_twice_even_after_the_log_was_trimmed(bus, another):
    last = [bus.publish("detections", "k", b"") for _ in range(3)][-1]
    another()._connection.execute("DELETE FROM log")
    assert bus.publish("detections", "k", b"") > last
    assert bus.start("detections") == bus.end("detections")
