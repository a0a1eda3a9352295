"""The cameras of a whole city through the API: found, counted, paged, and never all of them at once."""

from __future__ import annotations

from typing import get_args

import httpx
import pytest

from citybrain.clock import iso
from citybrain.wire import dumps
from events_api import schemas
from events_api.camera_overview import URGENCY
from events_api.security import Role
from tests.services.api_city import City, camera, serving

STATES = {"gd-0002": "lost", "gd-0003": "refused", "gd-0004": "live", "gd-0005": "unusable", "gd-0006": "stale"}


@pytest.fixture
def city(tmp_path):
    made = City(tmp_path, cameras=9)
    made.beat()
    made.beat("ingest")
    for id, state in STATES.items():
        made.hot.put(f"camera/{id}", dumps({"state": state, "reason": "" if state == "live" else f"{state} indeed"}))
    yield made
    made.close()


@pytest.fixture
def app(city):
    return city.app()


@pytest.fixture
def registry(app):
    return app.state.parts.registry


@pytest.fixture
def http(app):
    with serving(app) as url, httpx.Client(base_url=url, timeout=20) as client:
        yield client


def asked(http, **params) -> tuple[list[str], dict]:
    answer = http.get("/v1/cameras", params=params)
    assert answer.status_code == 200, answer.text
    found = schemas.CameraList.model_validate(answer.json())
    return [each.id for each in found.items], answer.json()


def all_pages(http, **params) -> list[str]:
    found, cursor = [], None
    while True:
        ids, answer = asked(http, limit=2, **params, **({"cursor": cursor} if cursor else {}))
        assert len(ids) <= 2
        found += ids
        cursor = answer["next"]
        if cursor is None:
            return found


def test_cameras_come_by_id_and_those_in_trouble_first_when_that_is_asked(http):
    ids, answer = asked(http)
    assert ids == [f"gd-{n:04}" for n in range(1, 10)]
    assert answer["next"] is None
    assert answer["counts"] == {"unknown": 4, **dict.fromkeys(STATES.values(), 1)}
    urgent, _ = asked(http, order="urgency")
    assert urgent[:4] == ["gd-0003", "gd-0002", "gd-0005", "gd-0006"]
    assert urgent[-1] == "gd-0004"


@pytest.mark.parametrize("order", ["id", "urgency"])
def test_pages_hold_every_camera_once(http, order):
    whole, _ = asked(http, order=order)
    assert all_pages(http, order=order) == whole


def test_a_page_goes_on_where_it_ended_although_cameras_came_went_and_changed_state(city, http, registry):
    first, answer = asked(http, limit=4)
    registry.adopt([camera(n) for n in (1, 2, 3, 5, 6, 12)], registry.scenes)  # the page's own last camera went
    city.hot.put("camera/gd-0005", dumps({"state": "live"}))
    rest, _ = asked(http, cursor=answer["next"])
    assert first + rest == ["gd-0001", "gd-0002", "gd-0003", "gd-0004", "gd-0005", "gd-0006", "gd-0012"]


def test_the_state_filter_leaves_the_counts_of_the_others(http):
    ids, answer = asked(http, state=["lost", "refused"])
    assert ids == ["gd-0002", "gd-0003"]
    assert answer["counts"]["live"] == 1


def test_cameras_are_found_by_grid_cell_name_and_id(http):
    assert asked(http, grid_cell="530111001001002")[0] == ["gd-0002"]
    assert len(asked(http, grid_cell="530111")[0]) == 9
    assert asked(http, grid_cell="9")[0] == []
    assert len(asked(http, q="关上")[0]) == 9
    assert len(asked(http, q="gUANSHANG JUNC")[0]) == 9
    assert asked(http, q="0007")[0] == ["gd-0007"]
    assert asked(http, id=["gd-0007", "gd-0001", "no-such"])[0] == ["gd-0001", "gd-0007"]
    assert asked(http, q="gd-000", state="live", grid_cell="5301")[0] == ["gd-0004"]


@pytest.mark.parametrize(
    ("params", "status"),
    [
        ({"cursor": "nonsense"}, 400),
        ({"cursor": "WyJ1cmdlbmN5IiwwLCJ4Il0", "order": "id"}, 400),
        ({"state": "broken"}, 422),
        ({"grid_cell": "53x"}, 422),
        ({"limit": 1001}, 422),
        ({"order": "age"}, 422),
    ],
)
def test_what_cannot_be_asked_is_refused(http, params, status):
    assert http.get("/v1/cameras", params=params).status_code == status


def test_a_city_of_thousands_comes_in_pages_although_nobody_asked_for_pages(http, registry):
    registry.adopt([camera(n) for n in range(1, 2502)], registry.scenes)
    ids, answer = asked(http)
    assert len(ids) == 1000
    assert answer["next"]
    assert sum(answer["counts"].values()) == 2501
    assert http.get("/v1/stats").json()["cameras"] == answer["counts"]


def test_the_figures_of_each_of_thousands_of_cameras_are_scraped_only_when_asked_for(http, registry):
    each = 'citybrain_camera_looks_total{camera="gd-0001"}'
    assert each in http.get("/metrics").text
    assert each not in http.get("/metrics", params={"cameras": "summed"}).text
    registry.adopt([camera(n) for n in range(1, 1002)], registry.scenes)
    scraped = http.get("/metrics").text
    assert each not in scraped
    assert 'citybrain_cameras{state="lost"} 1.0' in scraped
    assert 'citybrain_cameras_in_trouble{reason="lost indeed",state="lost"} 1.0' in scraped
    assert each in http.get("/metrics", params={"cameras": "each"}).text


def test_urgency_knows_every_state():
    assert set(URGENCY) == set(get_args(schemas.CameraStateName))


def test_a_refused_configuration_is_told_and_its_faults_to_engineers_only(city):
    said = {"revision": "c0ffee", "adopted_at": iso(city.clock.now()), "refused_since": iso(city.clock.now())}
    city.hot.put("configuration/pipeline/0", dumps({**said, "faults": ["cameras.yaml: is empty."], "fault_count": 1}))
    city.hot.put("configuration/api/0", b"{torn")
    viewer, engineer = city.keys.add("v", Role.VIEWER), city.keys.add("e", Role.ENGINEER)
    with serving(city.app()) as url, httpx.Client(base_url=url, timeout=20) as http:
        answers = {
            key: http.get("/v1/configuration", headers={"authorization": f"Bearer {key}"}).json()
            for key in (viewer, engineer)
        }
        for answer in answers.values():
            schemas.ConfigurationList.model_validate(answer)
        assert [each["process"] for each in answers[viewer]["items"]] == ["pipeline/0"]
        assert answers[viewer]["items"][0]["faults"] == []
        assert answers[engineer]["items"][0]["faults"] == ["cameras.yaml: is empty."]
        stats = http.get("/v1/stats", headers={"authorization": f"Bearer {viewer}"}).json()
        assert stats["configuration_refused_since"] == said["refused_since"]
        scraped = http.get("/metrics", headers={"authorization": f"Bearer {viewer}"}).text
        assert 'citybrain_configuration_refused{process="pipeline/0"} 1.0' in scraped
