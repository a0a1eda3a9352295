"""What the API says and does while no message broker answers: on a real broker, which is stopped and let go on."""

from datetime import timedelta
from functools import partial
from typing import Any

import httpx
import pytest

from bench.ports import free_port
from citybrain.bus.address import KafkaAddress
from citybrain.bus.kafka import KafkaBus
from citybrain.bus.topics import create, layout
from tests import waiting
from tests.services.api_city import City, case, serving

until = partial(waiting.until, within_s=60)
ANSWER = timedelta(seconds=3)
"""How long a broker that is there may take on a busy machine."""


@pytest.fixture
def city(tmp_path, kafka, broker):
    address = KafkaAddress.parse(kafka)
    create(address, layout(2), replicas=1)
    made = City(tmp_path)
    buses: list[Any] = [KafkaBus(address, answer=ANSWER) for _ in range(2)]
    made.bus, made.pipeline = buses
    until(lambda: not any(each.figures()["away"] for each in buses))
    yield made
    broker.thaw()
    made.bus.close()
    made.pipeline.close()


def test_the_api_follows_a_bus_of_many_machines_and_goes_on_when_it_is_back(city, broker):
    city.beat()
    with serving(city.app()) as url, httpx.Client(base_url=url, timeout=60) as http:
        city.file(case(1))
        until(lambda: len(http.get("/v1/cases").json()["items"]) == 1)
        until(lambda: http.get("/readyz").status_code == 200)
        (shown,) = http.get("/v1/cases").json()["items"]
        act = {"action": "confirm", "reason": "seen"}

        broker.freeze()
        for _ in range(2):
            answer = http.post(f"/v1/cases/{shown['id']}/actions", json=act, headers={"Idempotency-Key": "once"})
            assert answer.status_code == 503
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["type"] == "/docs#bus-away"
            assert "127.0.0.1" not in answer.text
        assert http.get("/v1/cases").json()["items"] == [shown]
        assert "the bus cannot be read (BusAway)" in http.get("/readyz").json()["reasons"]
        figures = http.get("/metrics").text
        assert "citybrain_bus_away 1.0" in figures
        assert "citybrain_view_lag" not in figures

        broker.thaw()
        city.file(case(2))
        until(lambda: len(http.get("/v1/cases").json()["items"]) == 2)
        until(lambda: http.get("/readyz").status_code == 200)
        assert "citybrain_bus_away 0.0" in http.get("/metrics").text
        with city.obeying():
            answer = http.post(f"/v1/cases/{shown['id']}/actions", json=act, headers={"Idempotency-Key": "once"})
        assert answer.status_code == 200
        assert answer.json()["case"]["version"] == 2


def test_the_api_starts_before_its_broker_and_before_its_topics(tmp_path, broker):
    port = free_port()
    address = KafkaAddress.parse(f"kafka://127.0.0.1:{port}/late?producer=plain")
    city = City(tmp_path)
    buses: list[Any] = [KafkaBus(address, answer=ANSWER) for _ in range(2)]
    city.bus, city.pipeline = buses
    city.beat()
    with serving(city.app()) as url, httpx.Client(base_url=url, timeout=60) as http:
        assert http.get("/healthz").status_code == 200
        assert "the bus cannot be read (BusAway)" in http.get("/readyz").json()["reasons"]
        assert http.get("/v1/cases").json()["items"] == []
        late = type(broker).start(port)
        try:
            create(address, layout(2), replicas=1)
            until(lambda: not any(each.figures()["away"] for each in buses))
            city.file(case(1))
            until(lambda: len(http.get("/v1/cases").json()["items"]) == 1)
            until(lambda: http.get("/readyz").status_code == 200)
        finally:
            for each in buses:
                each.close()
            late.stop()
