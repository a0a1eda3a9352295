"""What the API says and does while its database is away: on a real PostgreSQL, which is killed and started again."""

from __future__ import annotations

import httpx
import pytest

from events_api import following
from events_api.store.key_file import FileKeys
from tests.services.api_city import City, case, serving
from tests.services.stream_readers import EventSocketReader, EventStreamReader
from tests.waiting import until


@pytest.fixture
def city(tmp_path, postgres):
    made = City(tmp_path, database=postgres.empty())
    made.beat()
    yield made
    made.close()


def test_the_api_says_that_its_database_is_away_and_goes_on_when_it_is_back(city, postgres, caplog):
    with serving(city.app()) as url, httpx.Client(base_url=url, timeout=20) as http:
        city.file(case(1))
        until(lambda: len(http.get("/v1/cases").json()["items"]) == 1)
        assert http.get("/readyz").status_code == 200
        (shown,) = http.get("/v1/cases").json()["items"]

        postgres.kill()
        try:
            for path in ("/v1/cases", f"/v1/cases/{shown['id']}", "/v1/events", "/v1/stats"):
                answer = http.get(path)
                assert answer.status_code == 503
                assert answer.headers["content-type"] == "application/problem+json"
                assert answer.headers["retry-after"] == "2"
                assert answer.json()["type"] == "/docs#database-away"
                assert "127.0.0.1" not in answer.text
            assert http.get("/healthz").status_code == 200
            assert "the database does not answer" in http.get("/readyz").json()["reasons"]
            city.file(case(2), case(3))  # the city does not wait for its view
            until(lambda: "DatabaseAway" in city_failure(http))
        finally:
            postgres.start()

        until(lambda: (told := http.get("/v1/cases")).is_success and len(told.json()["items"]) == 3)
        until(lambda: http.get("/readyz").status_code == 200)
    assert not [each for each in caplog.records if each.levelname == "ERROR"]


def city_failure(http: httpx.Client) -> str:
    return " ".join(http.get("/readyz").json().get("reasons", []))


@pytest.mark.parametrize("reader", [EventStreamReader, EventSocketReader])
def test_a_stream_outlives_its_database_and_misses_nothing(city, postgres, monkeypatch, reader):
    monkeypatch.setattr(following, "AGAIN_S", 0.05)
    city.keys = FileKeys(city.folder / "keys.json", clock=city.clock)  # or nobody could be let in meanwhile
    city.file(*(case(n) for n in range(1, 4)))
    with serving(city.app()) as url:
        until(lambda: city.store.cursor() == 3)
        near = reader(url, "?after=3")
        near.bytes(150)  # it is open
        postgres.kill()
        try:
            far = reader(url, "?after=0")  # what it asks for lies further back than memory goes
            city.file(*(case(n) for n in range(4, 9)))
            far.bytes(200)
        finally:
            postgres.start()
        told = [f"{case(n).id}-v1" for n in range(1, 9)]
        assert near.wait_for(5) == told[3:]
        assert far.wait_for(8) == told
        near.close()
        far.close()
