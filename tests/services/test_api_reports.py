"""Reports through the API and a real pipeline: their case, the same one again, every fault by its field, nobody's telephone."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from citybrain.clock import SystemClock, iso
from citybrain.database import Database
from citybrain.domain.camera import Camera, Text, Zone, ZoneKind
from citybrain.domain.coordinates import wgs84_to_gcj02
from citybrain.domain.episode import EvidenceKind
from citybrain.wire import COMMANDS, dumps
from events_api.personal import Reporters, masked_reporter, masked_words
from events_api.ports import SceneInfo
from events_api.routes import reports as reports_routes
from pipeline.flow import Pipeline
from pipeline.runners.embedded import Embedded
from tests.flows.street import FIRE, KERB, city, scene
from tests.services.api_city import City, serving

HERE = {"lon": 102.7411, "lat": 25.0142}
CELL = "530111001001003"
FLOOD = FIRE | {
    "id": "waterlogging",
    "zone_kind": "roadway",
    "case": {"code": "07-01", "unit": "drainage", "deadline": "2h", "severity": "high"},
}
SCENES = [
    SceneInfo("illegal_parking", Text("停放", "Parking"), "live", "normal", code="05-05", zone_kind="no_parking"),
    SceneInfo("waterlogging", Text("积水", "Water"), "live", "high", code="07-01", zone_kind="roadway"),
    SceneInfo("street_stall", Text("占道", "Stall"), "draft", "normal", code="05-05", zone_kind="pavement"),
]
PHONE = "13812341234"


@pytest.fixture
def town(tmp_path, monkeypatch):
    """An API, and the pipeline beside it, whose answer is waited for however busy the machine is."""
    monkeypatch.setattr(reports_routes, "EFFECT_WITHIN", timedelta(minutes=1))
    town = City(tmp_path)
    zone = Zone("kerb", ZoneKind.NO_PARKING, KERB)
    town.cameras = [Camera("gd-0001", Text("路口", "junction"), (102.7411, 25.0142), CELL, (zone,))]
    judged = city([scene(), scene(FLOOD)], town.cameras)
    embedded = Embedded(tmp_path / "citybrain.db", Pipeline(judged), clock=SystemClock(), notifiers={})
    stop = asyncio.Event()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_until_complete, args=(embedded.run(stop),))
    thread.start()
    yield town
    loop.call_soon_threadsafe(stop.set)
    thread.join(timeout=60)
    loop.close()
    embedded.close()
    town.close()


@contextmanager
def asking(town, **more):
    app = town.app(**more)
    app.state.parts.registry.adopt(town.cameras, SCENES)
    with serving(app) as address, httpx.Client(base_url=address, timeout=60) as client:
        yield client


def telling(**more):
    return {"origin": "hotline", "scene": "illegal_parking", "location": HERE, "words": "a van"} | more


def field_of(answer) -> str:
    assert answer.status_code == 422, answer.text
    return answer.json()["errors"][0]["field"]


def test_a_report_is_a_case_and_the_next_one_near_is_part_of_it(town):
    with asking(town) as client:
        first = client.post("/v1/reports", json=telling(reference="12345-1"))
        assert first.status_code == 201, first.text
        case = first.json()["case"]
        assert (first.json()["merged"], case["origin"], case["cameras"], case["state"]) == (
            False,
            "hotline",
            [],
            "filed",
        )
        assert (case["locality"], case["grid_cell"]) == (f"cell:{CELL}", CELL)  # where the camera keeps its own
        near = {**HERE, "lat": HERE["lat"] + 0.0003}
        second = client.post("/v1/reports", json=telling(origin="inspector", location=near, reference="GC-7"))
        assert (second.status_code, second.json()["merged"]) == (201, True)
        assert second.json()["case"]["id"] == case["id"]
        read = client.get(f"/v1/reports/{second.json()['report']}").json()
        assert (read["report"]["reference"], read["case"]["id"], len(read["case"]["reports"])) == (
            "GC-7",
            case["id"],
            2,
        )
        assert client.get("/v1/reports/report-nobody").status_code == 404


def test_the_same_reference_is_the_same_report_and_a_key_is_one_report_only(town):
    with asking(town) as client:
        first = client.post("/v1/reports", json=telling(reference="12345-1")).json()
        again = client.post("/v1/reports", json=telling(reference="12345-1", words="said otherwise"))
        assert (again.status_code, again.json()["report"]) == (200, first["report"])
        assert again.json()["case"]["version"] == first["case"]["version"]
        key = {"idempotency-key": "k1"}
        one = client.post("/v1/reports", json=telling(), headers=key)
        two = client.post("/v1/reports", json=telling(), headers=key)
        assert (one.status_code, two.status_code, two.json()["report"]) == (201, 200, one.json()["report"])
        other = client.post("/v1/reports", json=telling(words="another"), headers=key)
        assert (other.status_code, other.json()["type"]) == (422, "/docs#idempotency-key-reused")


def test_two_reports_without_a_reference_are_two(town):
    with asking(town) as client:
        answers = [client.post("/v1/reports", json=telling()).json() for _ in range(2)]
    assert len({each["report"] for each in answers}) == 2
    assert len(answers[1]["case"]["reports"]) == 2


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"origin": "camera"}, "origin"),
        ({"origin": "neighbour"}, "origin"),
        ({"scene": "stalls"}, "scene"),
        ({"scene": None}, "scene"),
        ({"scene": None, "category": "99-99"}, "category"),
        ({"category": "07-01"}, "category"),
        ({"location": None}, "location"),
        ({"location": {"lon": 181, "lat": 25}}, "location.lon"),
        ({"location": {"lon": 102}}, "location.lat"),
        ({"location": None, "grid_cell": "53011"}, "grid_cell"),
        ({"location": None, "camera": "gd-9"}, "camera"),
        ({"at": "2020-01-01T00:00:00Z"}, "at"),
        ({"at": "2026-01-01T00:00:00"}, "at"),
        ({"words": "x" * 2001}, "words"),
        ({"evidence": ["field/20261121/080000.000Z-0123456789abcdef.jpg"]}, "evidence.0"),
        ({"evidence": ["../../etc/passwd"]}, "evidence.0"),
        ({"origin": "sensor"}, "sensor"),
        ({"sensor": "wl-1"}, "sensor"),
        ({"ended": True}, "ended"),
        ({"telephone": PHONE}, "telephone"),
    ],
    ids=str,
)
def test_what_is_wrong_with_a_report_is_named_by_its_field(town, wrong, field):
    with asking(town) as client:
        said = {name: value for name, value in (telling() | wrong).items() if value is not None}
        assert field_of(client.post("/v1/reports", json=said)) == field
    assert town.pipeline.end(COMMANDS) == 0


def test_where_may_be_a_chinese_map_a_cell_or_a_camera_and_what_a_category(town):
    lon, lat = wgs84_to_gcj02((HERE["lon"], HERE["lat"]))
    with asking(town) as client:
        seen = {"origin": "hotline", "category": "05-05", "camera": "gd-0001"}
        assert client.post("/v1/reports", json=seen).json()["case"]["location"] == HERE | {"crs": "EPSG:4326"}
        amap = {"origin": "inspector", "scene": "waterlogging", "location": {"lon": lon, "lat": lat, "crs": "gcj02"}}
        found = client.post("/v1/reports", json=amap).json()["case"]
        assert abs(found["location"]["lon"] - HERE["lon"]) < 1e-6
        cell = {"origin": "hotline", "scene": "waterlogging", "grid_cell": "530111001001009"}
        elsewhere = client.post("/v1/reports", json=cell).json()["case"]
        assert (elsewhere["locality"], elsewhere["location"]) == ("cell:530111001001009", None)
        nowhere = telling(location={"lon": 103.0, "lat": 25.5})
        spot = client.post("/v1/reports", json=nowhere).json()["case"]
        assert (spot["locality"], spot["grid_cell"]) == ("spot:103.000,25.500", None)


def test_a_picture_that_comes_along_is_evidence_of_the_case(town):
    at = datetime.now(UTC) - timedelta(minutes=3)  # noqa: TID251  # a phone's clock
    ref = town.evidence.put("field", at, b"\xff\xd8 a picture", EvidenceKind.PICTURE)
    with asking(town) as client:
        case = client.post("/v1/reports", json=telling(evidence=[ref, ref])).json()["case"]
    assert [(each["ref"], each["role"]) for each in case["evidence"]] == [(ref, "report")]


def test_a_sensor_that_speaks_http_begins_and_ends(town):
    sensed = telling(origin="sensor", scene="waterlogging", sensor="wl-1", reference="r-1")
    with asking(town) as client:
        began = client.post("/v1/reports", json=sensed).json()
        assert (began["case"]["place"], began["case"]["present"]) == ("sensor/wl-1", True)
        ended = client.post("/v1/reports", json=sensed | {"reference": "r-2", "ended": True})
        assert ended.status_code == 202
        while client.get(f"/v1/cases/{began['case']['id']}").json()["present"]:
            town.pipeline.wait(timedelta(milliseconds=100))


def test_nobody_is_shown_or_sent_who_reported(town, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    reporters = Reporters(database := Database.file(tmp_path / "reporters.db"))
    said = telling(
        reporter=f"王小明 {PHONE}", words=f"请回电{PHONE}，或 0871-63161234，身份证 530102199001011234", reference=PHONE
    )
    with asking(town, reporters=reporters) as client:
        made = client.post("/v1/reports", json=said).json()
        read = client.get(f"/v1/reports/{made['report']}").json()
        assert client.post("/v1/reports", json=said).json()["reporter"] == "王** 138****1234"
        assert client.post("/v1/reports", json=said | {"origin": PHONE}).status_code == 422
    assert (made["reporter"], read["reporter"]) == ("王** 138****1234", "王** 138****1234")
    assert made["case"]["reports"][0]["words"] == "请回电138****1234，或 0871****1234，身份证 530****1234"
    database.close()
    assert (tmp_path / "reporters.db").stat().st_mode & 0o077 == 0
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    for secret in (PHONE, "63161234", "199001011234", "小明"):
        assert secret.encode() not in kept, secret
        assert secret not in caplog.text, secret


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.from_regex(r"(?:\+?86[ -]?)?1[3-9]\d[ -]?\d{4}[ -]?\d{4}", fullmatch=True, alphabet="0123456789+- "))
def test_no_mobile_number_survives(number):
    digits = number.replace(" ", "").replace("-", "")[-11:]
    for shown in (masked_reporter(number), masked_words(f"call {number}.")):
        assert digits not in shown.replace(" ", "").replace("-", "")
        assert "****" in shown


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("13812341234", "138****1234"),
        ("王小明", "王**"),
        ("Ann Lee", "A** L**"),
        ("+49 30 1234567", "493****67"),
        ("网格员 王小明 138 1234 1234", "网** 王** 138****1234"),
    ],
)
def test_a_reporter_as_it_may_be_shown(said, shown):
    assert masked_reporter(said) == shown


def test_words_without_a_number_stay_what_they_are():
    said = "case 530111001001003, 12345-20261121, 3.5 m, 2026-11-21"
    assert masked_words(said) == said


def test_sensors_are_shown_as_they_were_told_and_unknown_when_nobody_listens(town):
    now = town.clock.now()
    told = {
        "id": "wl-001",
        "at": iso(now),
        "name": {"zh": "水位计", "en": "gauge"},
        "kind": "water_level",
        "scene": "waterlogging",
        "topic": "city/water/wl-001",
        "location": [102.7, 25.0],
        "grid_cell": CELL,
        "on": True,
        "value": 0.4,
        "heard_at": iso(now),
        "silent_since": None,
        "unreadable": 0,
        "reason": "",
        "connected": True,
        "broker": "",
    }
    states = {
        "on": told,
        "off": told | {"on": False},
        "silent": told | {"silent_since": iso(now)},
        "unheard": told | {"heard_at": None, "value": None},
        "unknown": told | {"at": iso(now - timedelta(minutes=1))},
    }
    for state, each in states.items():
        town.hot.put(f"sensor/{state}", dumps(each | {"id": state}))
    town.hot.put("sensor/torn", b"{")
    with asking(town) as client:
        items = client.get("/v1/sensors").json()["items"]
    assert {each["id"]: each["state"] for each in items} == {each: each for each in states}
    assert items[0]["location"] == {"lon": 102.7, "lat": 25.0, "crs": "EPSG:4326"}
    assert "topic" in json.dumps(items)
