"""Sensors: what a message says, when it is news, and that nothing is told twice or lost, whatever stops in between."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from citybrain.bus.local import LocalBus
from citybrain.clock import ManualClock, iso
from citybrain.domain.command import Reported
from citybrain.errors import BusAway, Fault, Unreadable
from citybrain.hot.sqlite import SqliteHot
from citybrain.wire import COMMANDS, read_command
from ingest.sensors.book import Book
from ingest.sensors.config import Sensor, load
from ingest.sensors.readings import Reading, is_on, matches, reading_of
from ingest.sensors.watch import Placed, SensorPlan, Sensors

START = datetime(2026, 11, 21, 8, tzinfo=UTC)
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
TOPIC = "city/water/wl-001"
FILE = """
broker: mqtts://${MQTT_USER}:${MQTT_PASSWORD}@broker.city:9883
sensors:
  - {id: wl-001, name: 水位计, kind: water_level, topic: city/water/wl-001, value: data.level, alarm_at: 0.3, clear_at: 0.1,
     scene: waterlogging, grid_cell: "530111001001003", silent_after: 15m}
"""


def sensor(**more) -> Sensor:
    fields = {"id": "wl-001", "name": {"zh": "水位计", "en": "gauge"}, "kind": "water_level", "topic": TOPIC}
    where = {"scene": "waterlogging", "grid_cell": "530111001001003", "alarm_at": 0.3, "clear_at": 0.1}
    return Sensor.model_validate(fields | where | more)


def folder(tmp_path: Path, text: str = FILE) -> Path:
    (tmp_path / "sensors.yaml").write_text(text)
    return tmp_path


# -- the file -------------------------------------------------------------------------------------------------------------


def test_a_folder_without_the_file_has_no_sensors(tmp_path):
    faults: list[Fault] = []
    assert load(tmp_path, faults=faults, scenes=()) is None
    assert faults == []


def test_the_file_says_where_the_broker_is_and_its_password_comes_from_the_environment(tmp_path):
    faults: list[Fault] = []
    environment = {"MQTT_USER": "city", "MQTT_PASSWORD": "p@ss/w:rd#42"}
    settings = load(folder(tmp_path), faults=faults, scenes=["waterlogging"], environment=environment)
    assert faults == []
    assert settings is not None
    broker = settings.broker
    assert (broker.host, broker.port, broker.tls, broker.user) == ("broker.city", 9883, True, "city")
    assert broker.password is not None
    assert broker.password.get_secret_value() == "p@ss/w:rd#42"
    assert "p@ss" not in repr(settings)
    assert broker.masked_url == "mqtts://***@broker.city:9883"
    assert settings.sensors[0].silent_after == 15 * MINUTE
    assert settings.sensors[0].name.en == "水位计"


def test_the_password_may_lie_beside_the_file(tmp_path):
    faults: list[Fault] = []
    beside = folder(tmp_path) / "sensors.env"
    beside.write_text("MQTT_USER=city\nMQTT_PASSWORD='a secret'\n")
    beside.chmod(0o600)
    settings = load(tmp_path, faults=faults, scenes=["waterlogging"], environment={})
    assert settings is not None
    assert settings.broker.password is not None
    assert settings.broker.password.get_secret_value() == "a secret"


def test_a_password_in_a_faulty_address_is_shown_nowhere(tmp_path):
    text = FILE.replace(
        "mqtts://${MQTT_USER}:${MQTT_PASSWORD}@broker.city:9883", "mqtt://u:top-secret-9@broker:99999/x"
    )
    faults: list[Fault] = []
    assert load(folder(tmp_path, text), faults=faults, scenes=["waterlogging"], environment={}) is None
    assert faults
    assert "top-secret-9" not in "".join(map(str, faults))


# -- one message ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("payload", "value", "found"),
    [
        ("0.42", "", 0.42),
        (" 0.42 ", "", 0.42),
        ("true", "", 1.0),
        ("OFF", "", 0.0),
        ('"alarm"', "", 1.0),
        ('{"data": {"level": "0.5"}}', "data.level", 0.5),
        ('{"readings": [{"v": 1}, {"v": 2}]}', "readings.1.v", 2.0),
        ('{"smoke": false}', "smoke", 0.0),
    ],
)
def test_a_value_is_a_number_or_a_yes(payload, value, found):
    assert reading_of(payload.encode(), sensor(value=value)) == Reading(found)


@pytest.mark.parametrize(
    ("payload", "value", "why"),
    [
        (b"\xff", "", "expected text"),
        (b"maybe", "", "payload: expected a number, got 'maybe'"),
        (b"NaN", "", "payload: expected a number, got 'nan'"),
        (b"1e999", "", "payload: expected a number, got 'inf'"),
        (b"[1]", "", "payload: expected a number, got '[1]'"),
        (b"null", "", "payload: expected a number, got 'None'"),
        (b"0.4", "level", "level: expected 'level', which is not there"),
        (b"not json", "level", "expected JSON, got 'not json'"),
        (b'{"level": {"now": 1}}', "level", "level: expected a number"),
        (b'{"levels": [1]}', "levels.1", "levels.1: expected '1', which is not there"),
        (b"[" * 70_000, "", "expected at most 65536 bytes"),
    ],
    ids=str,
)
def test_what_is_no_value_says_what_was_expected_where(payload, value, why):
    with pytest.raises(Unreadable, match=why.replace("[", r"\[").replace("]", r"\]")):
        reading_of(payload, sensor(value=value))


@pytest.mark.parametrize("said", [1795248000, 1795248000000, "2026-11-21T08:00:00Z", "2026-11-21T16:00:00+08:00"])
def test_an_instant_is_iso_or_seconds_or_milliseconds(said):
    reading = reading_of(json.dumps({"v": 1, "t": said}).encode(), sensor(value="v", time="t"))
    assert reading.at == START


@pytest.mark.parametrize("said", ["2026-11-21T08:00:00", "yesterday", True, 1e300, None])
def test_what_is_no_instant_is_not_guessed(said):
    with pytest.raises(Unreadable, match=r"^t: "):
        reading_of(json.dumps({"v": 1, "t": said}).encode(), sensor(value="v", time="t"))


@given(st.binary(max_size=200))
def test_no_payload_breaks_the_reading(payload):
    for each in (sensor(), sensor(value="a.b", time="t")):
        try:
            reading = reading_of(payload, each)
        except Unreadable:
            continue
        assert abs(reading.value) < float("inf")


def states(values, **thresholds):
    found, on = [], False
    for value in values:
        on = is_on(value, sensor(**thresholds), before=on)
        found.append(on)
    return found


def test_a_level_is_on_from_the_alarm_until_it_is_clear_and_keeps_between():
    assert states([0.29, 0.3, 0.2, 0.11, 0.1, 0.2, 0.3]) == [False, True, True, True, False, False, True]


def test_an_alarm_may_be_the_smaller_value():
    assert states([5, 1, 2, 3, 2], alarm_at=1, clear_at=3) == [False, True, True, False, False]


def test_one_threshold_for_both_is_on_at_it_and_off_below():
    assert states([1, 0.99, 1], alarm_at=1, clear_at=1) == [True, False, True]


@pytest.mark.parametrize(
    ("topic", "pattern", "member"),
    [
        ("a/b", "a/b", ""),
        ("a/b", "a/c", None),
        ("a/b/c", "a/b", None),
        ("a/b/c", "a/+/c", "b"),
        ("a/b/c", "+/b/+", "a.c"),
        ("a//c", "a/+/c", ""),
    ],
)
def test_a_topic_is_the_sensors_or_is_not(topic, pattern, member):
    assert matches(topic, sensor(topic=pattern)) == member


# -- all of them ----------------------------------------------------------------------------------------------------------


class Listener:
    """Sensors over a data folder, without a broker: messages are handed to them. `again` is a restart."""

    def __init__(self, folder: Path, *sensors: Sensor):
        self.folder, self.clock = folder, ManualClock(START)
        self.bus, self.hot = LocalBus(folder / "citybrain.db"), SqliteHot(folder / "hot.db", clock=self.clock)
        self.plan = SensorPlan(None, [Placed(each, "cell:1", "530111001001003") for each in sensors or (sensor(),)])
        self.again()

    def again(self, plan: SensorPlan | None = None) -> None:
        self.book = Book(self.folder / "sensors.db")
        self.sensors = Sensors(plan or self.plan, book=self.book, bus=self.bus, hot=self.hot, clock=self.clock)

    def hears(self, payload, *, topic=TOPIC, retained=False):
        self.clock.advance(SECOND)
        self.sensors.take(topic, str(payload).encode(), retained)

    @property
    def told(self) -> list[Reported]:
        said = [read_command(each.value) for each in self.bus.read([COMMANDS], after=0)]
        return [each for each in said if isinstance(each, Reported)]

    def state(self, id="wl-001"):
        self.clock.advance(10 * SECOND)
        self.sensors.keep_up()
        return json.loads(self.hot.get(f"sensor/{id}") or b"{}")


@pytest.fixture
def listener(tmp_path):
    listener = Listener(tmp_path)
    yield listener
    listener.book.close()
    listener.bus.close()
    listener.hot.close()


def test_a_crossing_is_one_report_whose_id_is_made_of_the_sensor_and_the_instant(listener):
    for value in (0.1, 0.4, 0.9, 0.05, 0.4):
        listener.hears(value)
    began, ended, again = listener.told
    assert (began.id, again.id) == (began.report.id, again.report.id)
    assert began.id != again.id
    assert (ended.id, ended.ended, ended.report) == (f"{began.id}-over", True, began.report)
    assert (began.report.at, ended.at) == (START + 2 * SECOND, START + 4 * SECOND)
    assert began.actor == "sensor wl-001"


def test_a_restart_neither_repeats_nor_forgets(listener):
    listener.hears(0.4)
    listener.again()
    listener.hears(0.5)
    assert len(listener.told) == 1
    listener.hears(0.0)
    assert [each.ended for each in listener.told] == [False, True]


def test_a_crossing_that_was_written_down_and_not_told_is_told_after_a_restart(listener):
    class Gone(Exception):
        pass

    class NoBus:
        def publish(self, *_):
            raise Gone

    good, listener.sensors._bus = listener.sensors._bus, NoBus()
    with pytest.raises(Gone):
        listener.hears(0.4)
    assert listener.told == []
    listener.again()
    assert listener.sensors._bus is good
    listener.hears(0.4)
    assert len(listener.told) == 1


def test_while_nobody_takes_messages_a_crossing_waits_and_the_sensors_are_heard_on(listener):
    class Away:
        def publish(self, *_):
            raise BusAway("kafka://127.0.0.1:1")

    good, listener.sensors._bus = listener.sensors._bus, Away()
    listener.hears(0.4)
    listener.hears(0.0)
    assert listener.told == []
    listener.sensors._bus = good
    listener.sensors.tell_pending()
    assert [each.ended for each in listener.told] == [False, True]


def test_a_reading_that_is_not_newer_than_the_last_is_none(tmp_path):
    listener = Listener(tmp_path, sensor(value="v", time="t"))

    def said(value, second):
        return json.dumps({"v": value, "t": iso(START - MINUTE + second * SECOND)})

    for each in (said(0.4, 1), said(0.0, 3), said(0.4, 2), said(0.4, 3)):
        listener.hears(each)
    assert [each.ended for each in listener.told] == [False, True]
    assert listener.told[0].report.at == START - 59 * SECOND
    assert listener.sensors._counts.late == 2


def test_a_sensor_whose_clock_is_ahead_is_taken_by_ours(tmp_path):
    listener = Listener(tmp_path, sensor(value="v", time="t"))
    listener.hears(json.dumps({"v": 1, "t": iso(START + timedelta(days=400))}))
    assert listener.told[0].report.at == START + SECOND
    listener.hears(json.dumps({"v": 0, "t": iso(START + timedelta(days=400))}))
    assert listener.told[1].ended


def test_a_retained_value_is_no_news_and_no_sign_of_life(listener):
    listener.hears(0.9, retained=True)
    assert listener.told == []
    assert listener.state()["heard_at"] is None


def test_a_sensor_that_is_not_heard_is_silent_since_it_was_heard_last(tmp_path):
    listener = Listener(tmp_path, sensor(silent_after="1m"))
    listener.hears(0.0)
    assert listener.state()["silent_since"] is None
    listener.clock.advance(MINUTE)
    assert listener.state()["silent_since"] == iso(START + SECOND)
    listener.again()  # which is remembered
    assert listener.state()["silent_since"] == iso(START + SECOND)
    beat = json.loads(listener.hot.get("heartbeat/sensors/0") or b"{}")["figures"]
    assert (beat["configured"], beat["silent"]) == (1, 1)
    listener.hears(0.0)
    assert listener.state()["silent_since"] is None


def test_a_sensor_that_is_no_longer_configured_is_forgotten_and_ends_nothing(listener):
    listener.hears(0.4)
    listener.state()
    listener.sensors.adopt(SensorPlan())
    listener.sensors._adopt_next()
    listener.hears(0.0)
    assert len(listener.told) == 1
    assert listener.state() == {}
    assert listener.book.standings() == {}


def test_a_sensor_that_was_moved_while_it_was_on_ends_where_it_began(listener):
    listener.hears(0.4)
    listener.sensors.adopt(SensorPlan(None, [Placed(sensor(scene="fire_risk"), "cell:2", None)]))
    listener.sensors._adopt_next()
    listener.hears(0.0)
    began, ended = listener.told
    assert (ended.scene, ended.locality) == (began.scene, began.locality) == ("waterlogging", "cell:1")


def test_a_change_elsewhere_in_the_configuration_interrupts_no_listening(listener):
    listener.sensors.adopt(SensorPlan(None, [Placed(sensor(), "cell:1", "530111001001003")]))
    assert listener.sensors._next_plan is None
    listener.sensors.adopt(SensorPlan())
    assert listener.sensors._next_plan is not None


def test_the_name_under_which_the_broker_knows_us_stays(listener):
    name = listener.book.client()
    listener.again()
    assert listener.book.client() == name
    assert len(name) <= 23


@settings(max_examples=25)  # each writes to the disk
@given(st.lists(st.sampled_from([0.0, 0.2, 0.4]), max_size=12), st.sets(st.integers(0, 11)))
def test_reports_begin_and_end_in_turn_wherever_it_is_restarted(tmp_path_factory, values, restarts):
    listener = Listener(tmp_path_factory.mktemp("city"))
    for index, value in enumerate(values):
        if index in restarts:
            listener.book.close()
            listener.again()
        listener.hears(value)
    ended = [each.ended for each in listener.told]
    assert ended == [bool(n % 2) for n in range(len(ended))]
    crossings = [value for value in values if value != 0.2]
    assert len(ended) == sum(a != b for a, b in zip([0.0, *crossings], crossings, strict=False))
    for each in (listener.book, listener.bus, listener.hot):
        each.close()
