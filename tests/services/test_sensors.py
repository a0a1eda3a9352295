"""Sensors by a real Mosquitto: each crossing is one report, whatever dies or restarts in between, and no password is shown."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from bench.ports import free_port
from citybrain.bus.local import LocalBus
from citybrain.clock import SystemClock
from citybrain.domain.command import Reported
from citybrain.hot.sqlite import SqliteHot
from citybrain.wire import COMMANDS, read_command
from ingest.sensors.book import Book
from ingest.sensors.config import Broker, Sensor
from ingest.sensors.watch import Placed, SensorPlan, Sensors
from tests.services.mosquitto import PASSWORD, PROGRAM, USER, Mosquitto
from tests.waiting import until

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="mosquitto is not installed")

ROOT = Path(__file__).parents[2]
CELL = "530111001001003"
GAUGE = Sensor.model_validate(
    {
        "id": "wl-001",
        "name": {"zh": "隧道水位计", "en": "Underpass gauge"},
        "kind": "water_level",
        "topic": "city/water/wl-001",
        "value": "data.level",
        "alarm_at": 0.3,
        "clear_at": 0.1,
        "scene": "waterlogging",
        "location": {"lon": 102.7411, "lat": 25.0142},
    }
)
SMOKE = GAUGE.model_copy(
    update={"id": "sm-1", "kind": "smoke", "topic": "house/+/smoke", "value": "", "alarm_at": 1.0, "clear_at": 0.0}
)


def level(metres: float) -> str:
    return json.dumps({"data": {"level": metres}})


class City:
    """The sensors role over a bus, a hot store and a data folder that outlive it."""

    def __init__(self, folder, broker: Mosquitto, *sensors: Sensor):
        self.folder, self.broker = folder, broker
        self.bus, self.hot = LocalBus(folder / "citybrain.db"), SqliteHot(folder / "hot.db")
        self.pipeline = LocalBus(folder / "citybrain.db")  # the other side, as another process has it
        self.plan = SensorPlan(
            Broker(
                "127.0.0.1", broker.port, tls=False, user=USER, password=SecretStr(PASSWORD), masked_url="mqtt://***@h"
            ),
            [Placed(each, f"cell:{CELL}", CELL) for each in sensors or (GAUGE,)],
        )

    @contextmanager
    def listening(self, plan=None, *, bus=None):
        stop, book = threading.Event(), Book(self.folder / "sensors.db")
        sensors = Sensors(plan or self.plan, book=book, bus=bus or self.bus, hot=self.hot, clock=SystemClock())
        thread = threading.Thread(target=sensors.run, args=(stop,))
        thread.start()
        try:
            yield sensors
        finally:
            stop.set()
            thread.join(timeout=20)
            book.close()

    def reports(self, count: int) -> list[Reported]:
        """What was told so far, once there is that much of it."""
        while True:
            said = [read_command(each.value) for each in self.pipeline.read([COMMANDS], after=0)]
            found = [each for each in said if isinstance(each, Reported)]
            if len(found) >= count:
                return found
            self.pipeline.wait(timedelta(seconds=20))

    def close(self):
        for each in (self.bus, self.pipeline, self.hot):
            each.close()


@pytest.fixture
def broker(tmp_path):
    broker = Mosquitto(tmp_path / "broker")
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def city(tmp_path, broker):
    city = City(tmp_path, broker)
    yield city
    city.close()


def connected(sensors: Sensors) -> bool:
    return sensors._conversation is not None and sensors._conversation.connected


def test_water_that_rises_is_reported_once_and_its_fall_ends_it(city):
    with city.listening() as sensors:
        until(lambda: connected(sensors))
        for metres in (0.05, 0.31, 0.5, 0.2, 0.29, 0.1):
            city.broker.tell("city/water/wl-001", level(metres))
        began, ended = city.reports(2)
    assert (began.scene, began.place, began.label, began.locality) == (
        "waterlogging",
        "sensor/wl-001",
        "water_level",
        f"cell:{CELL}",
    )
    assert began.report.words == "隧道水位计：0.31 / Underpass gauge: 0.31"
    assert (began.ended, ended.ended) == (False, True)
    assert ended.id == f"{began.id}-over"
    assert ended.report.id == began.report.id
    assert sensors._counts.readings == 6


def test_what_a_sensor_said_while_we_were_away_is_heard_when_we_come_back(city):
    with city.listening() as sensors:
        until(lambda: connected(sensors))
    city.broker.tell("city/water/wl-001", level(0.4))
    with city.listening():
        assert len(city.reports(1)) == 1


def test_a_sensor_that_was_on_is_not_reported_again_after_a_restart_and_is_ended_when_it_is_over(city):
    with city.listening() as sensors:
        until(lambda: connected(sensors))
        city.broker.tell("city/water/wl-001", level(0.4))
        city.reports(1)
    with city.listening():
        city.broker.tell("city/water/wl-001", level(0.5))
        city.broker.tell("city/water/wl-001", level(0.0))
        assert [each.ended for each in city.reports(2)] == [False, True]


def test_a_broker_that_restarts_is_found_again_and_nothing_is_lost(city):
    with city.listening() as sensors:
        until(lambda: connected(sensors))
        city.broker.stop()
        until(lambda: not connected(sensors))
        city.broker.start()
        city.broker.tell("city/water/wl-001", level(0.4))
        assert len(city.reports(1)) == 1
        until(lambda: connected(sensors))
    assert sensors._counts.reconnects >= 1


def test_a_value_that_the_broker_kept_is_no_news(city):
    city.broker.tell("city/water/wl-001", level(0.9), retain=True)
    with city.listening() as sensors:
        until(lambda: sensors._counts.retained == 1)
        city.broker.tell("city/water/wl-001", level(0.4), retain=True)  # to those who listen already it is a reading
        assert [each.report.words for each in city.reports(1)] == ["隧道水位计：0.4 / Underpass gauge: 0.4"]


def test_a_message_that_cannot_be_read_is_counted_and_named_once(city, caplog):
    caplog.set_level(logging.WARNING)
    with city.listening() as sensors:
        until(lambda: connected(sensors))
        for payload in (b"\xff", "no json", '{"data": {}}', level(0.4)):
            city.broker.tell("city/water/wl-001", payload)
        assert len(city.reports(1)) == 1
    assert sensors._counts.unreadable == 3
    assert [each.message for each in caplog.records if each.name.startswith("ingest")] == [
        "wl-001: expected text on topic city/water/wl-001"
    ]


def test_a_message_that_could_not_be_told_stays_with_the_broker(city):
    class Full(LocalBus):
        refusals = 2

        def publish(self, topic, key, value):
            if self.refusals:
                self.refusals -= 1
                raise OSError("no space left")
            return super().publish(topic, key, value)

    bus = Full(city.folder / "citybrain.db")
    with city.listening(bus=bus) as sensors:
        until(lambda: connected(sensors))
        city.broker.tell("city/water/wl-001", level(0.4))
        assert len(city.reports(1)) == 1
        city.broker.tell("city/water/wl-001", level(0.0))
        assert len(city.reports(2)) == 2
    bus.close()


def test_one_entry_may_stand_for_many_sensors_of_a_house(tmp_path, broker):
    city = City(tmp_path, broker, SMOKE)
    with city.listening() as sensors:
        until(lambda: connected(sensors))
        broker.tell("house/kitchen/smoke", "alarm")
        broker.tell("house/attic/smoke", "true")
        broker.tell("house/kitchen/smoke", "normal")
        found = city.reports(3)
    assert [(each.place, each.ended) for each in found] == [
        ("sensor/sm-1/kitchen", False),
        ("sensor/sm-1/attic", False),
        ("sensor/sm-1/kitchen", True),
    ]
    city.close()


def test_a_wrong_password_is_said_once_and_shown_nowhere(city, caplog):
    caplog.set_level(logging.DEBUG)
    wrong = replace(city.plan.broker, password=SecretStr("top-secret-9"))
    with city.listening(replace(city.plan, broker=wrong)) as sensors:
        until(lambda: sensors._counts.reconnects >= 2)
        sensors_reason = sensors._reason
        sensors.adopt(city.plan)  # somebody corrects it
        until(lambda: connected(sensors))
    assert sensors_reason == "not authorized"
    assert sum("not authorized" in each.message for each in caplog.records) == 1
    assert "top-secret-9" not in caplog.text
    assert PASSWORD not in caplog.text


def test_a_broker_that_is_not_there_is_tried_again(city):
    nowhere = replace(city.plan, broker=replace(city.plan.broker, port=free_port()))
    with city.listening(nowhere) as sensors:
        until(lambda: sensors._counts.reconnects >= 2)
        assert "refused" in sensors._reason


def test_how_the_sensors_are_is_told(city):
    def figures() -> dict[str, float]:
        return json.loads(city.hot.get("heartbeat/sensors/0") or b"{}").get("figures", {})

    with city.listening() as sensors:
        until(lambda: connected(sensors))
        city.broker.tell("city/water/wl-001", level(0.4))
        city.reports(1)
        until(lambda: sensors._standings)
        sensors._next.clear()  # it is time to tell
        until(lambda: figures().get("on"))  # they are told behind the states
        beat = figures()
    state = json.loads(city.hot.get("sensor/wl-001"))
    assert (state["value"], state["silent_since"], state["connected"]) == (0.4, None, True)
    assert (beat["configured"], beat["on"], beat["connected"], beat["crossings"], beat["pending"]) == (1, 1, 1, 1, 0)


def test_the_role_listens_follows_its_file_and_ends_politely(tmp_path, broker):
    folder, data = tmp_path / "config", tmp_path / "data"
    shutil.copytree(ROOT / "tests/configs/folders/good", folder)
    data.mkdir()
    one = "  - {id: %s, name: gauge, topic: city/%s, alarm_at: 0.3, clear_at: 0.1, scene: standing, grid_cell: '%s'}\n"
    head = f"broker: mqtt://{USER}:${{MQTT_PASSWORD}}@127.0.0.1:{broker.port}\nsensors:\n"
    (folder / "sensors.yaml").write_text(head + one % ("first", "first", CELL))
    bus, hot = LocalBus(data / "citybrain.db"), SqliteHot(data / "hot.db")

    def reported(count: int) -> list[str | None]:
        while len(found := [read_command(each.value) for each in bus.read([COMMANDS], after=0)]) < count:
            bus.wait(timedelta(seconds=1))
            assert role.poll() is None
        return [each.report.reference for each in found if isinstance(each, Reported)]

    command = [sys.executable, "-m", "citybrain", "sensors", "--config", str(folder), "--data", str(data)]
    log = tmp_path / "log"
    with (
        log.open("wb") as said,
        subprocess.Popen(command, cwd=ROOT, env=os.environ | {"MQTT_PASSWORD": PASSWORD}, stderr=said) as role,
    ):
        try:
            until(lambda: hot.get("sensor/first"))  # it runs
            until(lambda: "listening to 1 topics" in log.read_text())  # what is told before, no broker keeps for it
            broker.tell("city/first", "0.4")
            assert reported(1) == ["first"]
            (folder / "sensors.yaml").write_text(
                head + one % ("first", "first", CELL) + one % ("second", "second", CELL)
            )
            until(lambda: hot.get("sensor/second"))
            until(lambda: "listening to 2 topics" in log.read_text())
            broker.tell("city/second", "0.4")
            assert reported(2) == ["first", "second"]
        finally:
            role.terminate()
        assert role.wait(timeout=60) == 0
    assert PASSWORD not in log.read_text()
    bus.close()
    hot.close()
