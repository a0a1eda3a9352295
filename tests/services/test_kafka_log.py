"""What lies in Kafka is recorded and judged once more as what lies in one machine's log: on a real broker."""

from __future__ import annotations

import json
import logging
import shutil
from datetime import timedelta

import pytest

from citybrain import assembly, cli
from citybrain.bus.address import KafkaAddress
from citybrain.bus.history import Stretch, read_stretch
from citybrain.bus.kafka import KafkaBus
from citybrain.bus.local import LocalBus
from citybrain.bus.topics import create, layout
from citybrain.clock import ManualClock, iso
from citybrain.domain.camera import ZoneKind
from citybrain.domain.geometry import Box
from citybrain.errors import BusAway, UsageError
from citybrain.rehearsing import LogRehearsal
from citybrain.wire import DETECTIONS, read_detections, write_detections
from events_api.drawing import DrawnZone
from tests.flows.street import START, Street, Thing
from tests.services.test_zones import CAMERAS, LEFT
from tests.waiting import until

PARKED = Box(0.15, 0.5, 0.3, 0.65)
LOOKS = sorted(
    (
        look
        for camera in ("gd-0001", "gd-0002", "gd-0003", "gd-0004", "gd-0005")
        for look in Street([Thing(PARKED, who=1)], camera=camera, evidence=True).looks(every=10, until=1800)
    ),
    key=lambda look: look.captured_at,
)
"""Half an hour of five cameras, as they arrive."""


@pytest.fixture(autouse=True)
def logging_as_it_was():
    """A command writes its log to the stderr of its process."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level


@pytest.fixture
def clock():
    return ManualClock(START)


@pytest.fixture
def city(kafka):
    create(KafkaAddress.parse(kafka), layout(4), replicas=1)
    return kafka


@pytest.fixture
def looked(city, clock, tmp_path):
    """The same looks in Kafka and in a machine's own log; the folder of the latter."""
    buses = (
        KafkaBus(KafkaAddress.parse(city), clock=clock, buffer=len(LOOKS)),
        LocalBus(tmp_path / "citybrain.db", clock=clock),
    )
    for look in LOOKS:
        clock.advance(look.captured_at - clock.now())
        for bus in buses:
            bus.offer(DETECTIONS, look.camera, write_detections(look))
    # A bus that is closed gives up after some seconds.
    until(lambda: all(not bus.figures().get("waiting") for bus in buses))
    for bus in buses:
        bus.close()
    return tmp_path


def recorded(capfdbinary, *arguments):
    capfdbinary.readouterr()
    assert cli.run(["record", *map(str, arguments)]) == 0
    return capfdbinary.readouterr().out.splitlines()


def test_all_parts_of_a_city_are_recorded_in_order_of_time(city, looked, capfdbinary, monkeypatch):
    found = recorded(capfdbinary, "--bus", city)
    assert sorted(found) == sorted(recorded(capfdbinary, "--data", looked))
    looks = [read_detections(line) for line in found]
    assert len(looks) == len(LOOKS)
    assert [each.captured_at for each in looks] == [each.captured_at for each in LOOKS]
    monkeypatch.setenv("CITYBRAIN_BUS", city)
    assert recorded(capfdbinary) == found


def test_a_stretch_of_one_camera_is_recorded(city, looked, capfdbinary):
    start, end = START + timedelta(minutes=12), START + timedelta(minutes=15)
    options = ("--camera", "gd-0003", "--start", iso(start), "--end", iso(end))
    found = recorded(capfdbinary, "--bus", city, *options)
    assert found == recorded(capfdbinary, "--data", looked, *options)
    assert len(found) == 18
    assert {json.loads(line)["camera"] for line in found} == {"gd-0003"}


def test_what_is_far_from_the_stretch_is_not_read(city, looked):
    start = START + timedelta(minutes=25)
    found = [each.logged_at for each in read_stretch(KafkaAddress.parse(city), Stretch(DETECTIONS, since=start))]
    assert min(found) == start - timedelta(minutes=10)
    end = START + timedelta(minutes=5)
    found = [each.logged_at for each in read_stretch(KafkaAddress.parse(city), Stretch(DETECTIONS, until=end))]
    assert max(found) < end + timedelta(minutes=10)


def test_a_recording_that_is_broken_off_leaves_nothing_behind(city, looked):
    messages = read_stretch(KafkaAddress.parse(city), Stretch(DETECTIONS))
    assert next(messages).topic == DETECTIONS
    messages.close()


def test_a_log_that_is_not_there_is_told(kafka, broker, monkeypatch, capfdbinary):
    with pytest.raises(UsageError, match="has no topic t"):
        next(read_stretch(KafkaAddress.parse(kafka), Stretch(DETECTIONS)))
    monkeypatch.setattr("citybrain.bus.history._ANSWER_S", 0.3)
    broker.freeze()
    try:
        with pytest.raises(BusAway):
            next(read_stretch(KafkaAddress.parse(kafka), Stretch(DETECTIONS)))
        assert cli.run(["record", "--bus", kafka]) == 1
    finally:
        broker.thaw()
    assert b"kafka://127.0.0.1" in capfdbinary.readouterr().err


def test_zones_are_tried_on_the_last_hour_wherever_it_lies(city, looked, clock):
    config = looked / "config"
    shutil.copytree("tests/configs/folders/good", config)
    (config / "routes.yaml").unlink()
    (config / "cameras.yaml").write_text(CAMERAS)
    zone = DrawnZone("other", ZoneKind.NO_PARKING, tuple((x + 0.45, y) for x, y in LEFT), None)
    by_kafka, by_file = (
        LogRehearsal(log, lambda: assembly.load(config), clock=clock).rehearse("gd-0001", [zone])
        for log in (KafkaAddress.parse(city), looked / "citybrain.db")
    )
    assert by_kafka == by_file
    assert by_kafka.looks == 180
    assert [each.change for each in by_kafka.cases] == ["lost"]


def test_topics_are_made_by_a_command_that_may_be_said_again(kafka, capsys):
    assert cli.run(["topics", "create", "--bus", kafka, "--partitions", "3"]) == 0
    first = capsys.readouterr().out.splitlines()
    assert len(first) == 11
    assert all(": created, " in line for line in first)
    assert any(line.endswith("detections: created, 3 partitions, keeps 6h") for line in first)
    assert cli.run(["topics", "create", "--bus", kafka, "--partitions", "3"]) == 0
    assert all(": was there, " in line for line in capsys.readouterr().out.splitlines())
    assert cli.run(["topics", "create", "--bus", kafka, "--partitions", "4"]) == 2
    assert "is there with 3, expected 4" in capsys.readouterr().err


def test_topics_are_not_made_without_a_bus_or_a_broker(monkeypatch, capsys):
    monkeypatch.delenv("CITYBRAIN_BUS", raising=False)
    assert cli.run(["topics", "create"]) == 2
    assert "$CITYBRAIN_BUS" in capsys.readouterr().err
    monkeypatch.setenv("CITYBRAIN_BUS", "kafka://city:secret-7@127.0.0.1:1")
    assert cli.run(["topics", "create"]) == 1
    said = capsys.readouterr().err
    assert "no broker answers" in said
    assert "secret-7" not in said
