"""Cameras' pictures through the API, one and live; their table and their states; what the map draws."""

from __future__ import annotations

import csv
import io
import json
import socket
import time
from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest

from citybrain.clock import SystemClock, iso
from citybrain.domain.camera import Text
from citybrain.domain.case import CaseEventType, CaseState
from citybrain.evidence.stamp import stamped
from citybrain.map_layer import MapFile
from citybrain.wire import dumps
from events_api.routes import live as live_routes
from events_api.routes.camera_table import COLUMNS, CameraHistory
from events_api.routes.map import MapCameras, MapCases
from events_api.security import Role
from tests.services.api_city import City, camera, case, event, serving
from tests.waiting import until

JPEG = b"\xff\xd8\xff\xe0" + b"picture" * 30 + b"\xff\xd9"


@pytest.fixture
def city(tmp_path):
    made = City(tmp_path)
    made.beat()
    yield made
    made.close()


@pytest.fixture
def http(city):
    with serving(city.app()) as url, httpx.Client(base_url=url, timeout=20) as client:
        yield client


def show(city: City, id: str, *, ago_s: float = 0, more: bytes = b"") -> bytes:
    image = stamped(JPEG + more, SystemClock().now() - timedelta(seconds=ago_s))
    city.hot.put(f"picture/{id}", image)
    return image


# -- pictures ---------------------------------------------------------------------------------------------------------


def test_a_picture_says_when_it_was_taken_and_is_sent_once(city, http):
    at = SystemClock().now()
    city.hot.put("picture/gd-0001", stamped(JPEG, at))
    answer = http.get("/v1/cameras/gd-0001/snapshot.jpg")
    assert answer.headers["captured-at"] == iso(at)
    again = {"if-none-match": f'"other", {answer.headers["etag"]}'}
    assert http.get("/v1/cameras/gd-0001/snapshot.jpg", headers=again).status_code == 304
    newer = show(city, "gd-0001", more=b"newer")
    time.sleep(0.2)  # one that was read is handed out for a moment
    answer = http.get("/v1/cameras/gd-0001/snapshot.jpg", headers=again)
    assert (answer.status_code, answer.content) == (200, newer)


def test_who_watches_is_told_to_those_who_look(city, http):
    assert city.hot.get("watched/gd-0001") is None
    show(city, "gd-0001")
    http.get("/v1/cameras/gd-0001/snapshot.jpg")
    assert city.hot.get("watched/gd-0001") is not None
    assert city.hot.get("watched/gd-0002") is None


def parts(arriving, n: int) -> list[bytes]:
    """The first so many parts of a live answer, each with its head."""
    held = b""
    for chunk in arriving:
        held += chunk
        found = [each for each in held.split(b"--look\r\n") if each]
        if len(found) >= n and held.endswith(b"--look\r\n"):
            return found[:n]
    raise AssertionError(f"it ended after {held!r}")


def test_live_gives_one_picture_after_another(city, http):
    first = show(city, "gd-0001")
    with http.stream("GET", "/v1/cameras/gd-0001/live") as stream:
        assert stream.headers["content-type"] == "multipart/x-mixed-replace; boundary=look"
        arriving = stream.iter_raw()
        (one,) = parts(arriving, 1)
        second = show(city, "gd-0001", more=b"second")
        (two,) = parts(arriving, 1)
    for part, image in ((one, first), (two, second)):
        head, _, content = part.partition(b"\r\n\r\n")
        assert content.removesuffix(b"\r\n") == image
        assert f"content-length: {len(image)}".encode() in head
        assert b"captured-at: 20" in head


@pytest.mark.parametrize("path", ["live", "snapshot.jpg"])
def test_a_camera_without_a_picture_and_one_that_is_none_say_so(http, path):
    assert http.get(f"/v1/cameras/gd-0001/{path}").json()["type"] == "/docs#no-picture"
    assert http.get(f"/v1/cameras/nobody/{path}").json()["type"] == "/docs#no-such-camera"


def test_one_asker_may_watch_a_few_cameras_and_all_of_them_not_too_many(city, http, monkeypatch):
    show(city, "gd-0001")
    monkeypatch.setattr(live_routes, "MOST_OF_ONE", 1)
    path = "/v1/cameras/gd-0001/live"
    with http.stream("GET", path) as stream:
        arriving = stream.iter_raw()  # kept: it closes the stream when it goes
        parts(arriving, 1)
        refused = http.get(path)
        assert (refused.status_code, refused.json()["type"]) == (429, "/docs#too-many-streams")
        monkeypatch.setattr(live_routes, "MOST_STREAMS", 1)
        assert http.get(path).status_code == 503
    monkeypatch.setattr(live_routes, "MOST_STREAMS", 64)

    def has_a_place() -> bool:
        with http.stream("GET", path) as stream:
            return stream.status_code == 200

    until(has_a_place)  # a stream's end is noticed within its next look


def test_a_revoked_key_and_a_removed_camera_end_what_is_watched(city, monkeypatch):
    monkeypatch.setattr(live_routes, "ASK_EVERY_S", 0.1)
    show(city, "gd-0001")
    show(city, "gd-0002")
    app = city.app()
    registry = app.state.parts.registry
    token = city.keys.add("viewer-desk", Role.VIEWER)
    city.keys.add("other", Role.VIEWER)
    headers = {"authorization": f"Bearer {token}"}
    with serving(app) as url, httpx.Client(base_url=url, headers=headers, timeout=20) as http:
        with http.stream("GET", "/v1/cameras/gd-0002/live") as removed:
            arriving = removed.iter_raw()
            parts(arriving, 1)
            registry.adopt([camera(1)], registry.scenes)
            list(arriving)  # it ends by itself
        with http.stream("GET", "/v1/cameras/gd-0001/live") as revoked:
            arriving = revoked.iter_raw()
            parts(arriving, 1)
            city.keys.revoke("viewer-desk")
            list(arriving)


def test_a_viewer_who_takes_nothing_is_let_go_and_no_one_else_waits(city, monkeypatch):
    monkeypatch.setattr(live_routes, "STALLED_S", 2.0)  # who is awake may have to wait for a busy machine
    monkeypatch.setattr(live_routes, "LOOK_EVERY_S", 0.02)
    app = city.app()
    show(city, "gd-0001", more=bytes(200_000))
    with serving(app) as url, httpx.Client(base_url=url, timeout=20) as http:
        port = int(url.rpartition(":")[2])
        with closing(socket.create_connection(("127.0.0.1", port))) as stuck:
            stuck.sendall(b"GET /v1/cameras/gd-0001/live HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
            with http.stream("GET", "/v1/cameras/gd-0001/live") as awake:
                arriving = awake.iter_raw()
                deadline = time.monotonic() + 60
                n = 0
                while len(app.state.live) != 1 or n < 20:
                    assert time.monotonic() < deadline, "the one who takes nothing is still there"
                    n += 1
                    newest = show(city, "gd-0001", more=bytes(200_000) + str(n).encode())
                    while newest not in parts(arriving, 1)[0]:
                        pass


# -- the table, and the states ----------------------------------------------------------------------------------------


def rows(answer: httpx.Response) -> list[dict[str, str]]:
    text = answer.content.decode("utf-8")
    assert text.startswith("\ufeff")
    return list(csv.DictReader(io.StringIO(text[1:])))


def test_the_table_has_every_camera_and_no_formula(city):
    city.cameras[0] = replace(city.cameras[0], name=Text("=HYPERLINK(1)", "@SUM(1,2)"))
    city.hot.put(
        "camera/gd-0001",
        dumps({"state": "lost", "reason": "-1+1 rtsp://viewer:hunter2@10.0.0.1/sub", "width": 1920, "clock_ok": False}),
    )
    with serving(city.app()) as url, httpx.Client(base_url=url, timeout=20) as http:
        answer = http.get("/v1/cameras.csv")
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        assert answer.headers["content-disposition"].startswith('attachment; filename="cameras-')
        table = rows(answer)
        assert [row["id"] for row in table] == ["gd-0001", "gd-0002", "gd-0003"]
        assert tuple(table[0]) == COLUMNS
        assert table[0]["name_zh"] == "'=HYPERLINK(1)"
        assert table[0]["name_en"] == "'@SUM(1,2)"
        assert table[0]["reason_en"] == "'-1+1 …"
        assert (table[0]["width"], table[0]["clock_ok"], table[1]["clock_ok"]) == ("1920", "no", "")
        assert "hunter2" not in answer.text
        assert [row["id"] for row in rows(http.get("/v1/cameras.csv", params={"state": "lost"}))] == ["gd-0001"]
        assert rows(http.get("/v1/cameras.csv", params={"q": "no such"})) == []


def test_a_camera_tells_the_states_it_went_through(city, http):
    def told(state: str, reason: str, minute: int) -> None:
        since = f"2026-11-21T08:{minute:02}:00.000Z"
        city.hot.put("camera/gd-0001", dumps({"state": state, "reason": reason, "since": since}))

    def history() -> list[tuple[str, str, str]]:
        answer = http.get("/v1/cameras/gd-0001/history").json()
        CameraHistory.model_validate(answer)
        return [(each["state"], each["reason"]["en"], each["since"][14:16]) for each in answer["items"]]

    def seen(expected: list[tuple[str, str, str]]) -> None:
        deadline = time.monotonic() + 60
        while history() != expected:
            assert time.monotonic() < deadline, history()
            time.sleep(0.02)

    told("live", "", 0)
    seen([("live", "", "00")])
    told("lost", "silent", 5)
    seen([("lost", "silent", "05"), ("live", "", "00")])
    told("lost", "silent", 5)
    told("live", "", 9)
    seen([("live", "", "09"), ("lost", "silent", "05"), ("live", "", "00")])
    assert http.get("/v1/cameras/nobody/history").status_code == 404


# -- the map ----------------------------------------------------------------------------------------------------------


def test_the_map_has_every_camera_and_every_open_case(city, http):
    logged = city.file(case(1), case(2, scene="fire_risk", location=None), case(3, state=CaseState.CLOSED))
    city.hot.put("camera/gd-0002", dumps({"state": "lost", "reason": "silent", "reason_zh": "无响应"}))

    def asked() -> MapCases:
        answer = http.get("/v1/map/cases")
        return MapCases.model_validate(answer.json())

    until(lambda: int(asked().as_of) == logged)
    found = asked()
    assert [each.id for each in found.items] == [case(1).id, case(2, scene="fire_risk").id]
    assert (found.items[1].location, found.items[0].severity, found.more) == (None, "normal", False)
    logged = city.tell(event(replace(case(1), state=CaseState.CLOSED, version=2), CaseEventType.CLOSED))
    until(lambda: int(asked().as_of) == logged)
    assert [each.id for each in asked().items] == [case(2, scene="fire_risk").id]
    cameras = MapCameras.model_validate(http.get("/v1/map/cameras").json())
    assert [each.id for each in cameras.items] == ["gd-0001", "gd-0002", "gd-0003"]
    assert cameras.items[0].zones == ["no_parking"]
    troubled = http.get("/v1/map/cameras", params={"state": ["lost", "refused"]}).json()
    assert [(each["id"], each["reason"]["zh"]) for each in troubled["items"]] == [("gd-0002", "无响应")]
    assert sum(troubled["counts"].values()) == 3


def test_the_base_layer_is_sent_once_and_again_when_it_changed(city, tmp_path):
    line = {"type": "LineString", "coordinates": [[102.7, 25.0], [102.8, 25.0]]}
    road = {"type": "Feature", "properties": {"kind": "road", "owner": "somebody"}, "geometry": line}
    (tmp_path / "map.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": [road]}))
    with serving(city.app(map_file=MapFile(tmp_path))) as url, httpx.Client(base_url=url, timeout=20) as http:
        answer = http.get("/v1/map")
        assert answer.headers["content-type"] == "application/geo+json"
        assert answer.json()["features"] == [{**road, "properties": {"kind": "road"}}]
        again = {"if-none-match": answer.headers["etag"]}
        assert http.get("/v1/map", headers=again).status_code == 304
        (tmp_path / "map.geojson").write_text("{torn")
        assert http.get("/v1/map", headers=again).status_code == 304, "the one before stays"
        (tmp_path / "map.geojson").unlink()
        assert http.get("/v1/map", headers=again).json()["features"] == []


def test_without_a_map_there_is_an_empty_one(http):
    assert http.get("/v1/map").json() == {"type": "FeatureCollection", "features": []}
