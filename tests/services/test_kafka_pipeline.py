"""The pipeline over a real broker, as processes that are killed: the same day gives the same case events, told once."""

import asyncio
import json
import shutil
import signal
import time
from collections import defaultdict
from dataclasses import replace

import httpx
import pytest

pytest.importorskip("faust", reason="the extra `kafka` is not installed")

from aiokafka import AIOKafkaConsumer, TopicPartition

from citybrain import signing
from citybrain.bus.address import KafkaAddress
from citybrain.bus.topics import DEAD_LETTERS, PIPELINE, create, layout
from citybrain.wire import COMMANDS, DETECTIONS, read_case_event, write_case_event
from pipeline.flow import Pipeline
from pipeline.runners.kafka.topics_there import topics_there
from pipeline.runners.replay import Replay
from tests.services.kafka_city import DAY, PARTITIONS, TOWN, VALUES, KafkaCity, by_id, desk

pytestmark = pytest.mark.timeout(400)

EXPECTED = {event.id: write_case_event(event) for event in Replay(Pipeline(TOWN)).run(value for _, value in VALUES)}
THIRD = len(VALUES) // 3


@pytest.fixture
def town(kafka, tmp_path):
    made = KafkaCity(kafka, tmp_path)
    yield made
    made.close()


def is_told(town):
    return by_id(town.case_events()).keys() >= EXPECTED.keys()


# -- the same day -----------------------------------------------------------------------------------------------------


def test_a_day_as_fast_as_it_goes_gives_the_case_events_of_its_replay_and_the_figures_of_all_workers_add_up(town):
    for n in range(2):
        town.worker(str(n))
    town.looks()
    town.until(lambda: is_told(town) and town.is_settled())
    assert by_id(town.case_events()) == EXPECTED
    figures = town.figures()
    assert figures["looks"] == len(VALUES)
    assert figures["lag"] == figures["looks_lost"] == 0
    assert figures["partitions"] == 2 * PARTITIONS + 1, "each is somebody's, and the switch"
    for scene in TOWN.scenes:
        assert figures[f"scenes.{scene}.concerned"] > 0
        assert figures[f"scenes.{scene}.imbalance"] == 0
    assert figures["episodes.filed"] == sum(1 for each in EXPECTED if each.endswith("-1"))


def test_what_cannot_be_read_is_a_dead_letter_with_its_reason_and_blocks_nobody(town):
    town.worker("0")
    town.looks([("gd-1", b"\xff"), ("gd-9", b'{"v":7}'), *VALUES])
    town.until(lambda: is_told(town))
    town.until(lambda: town.bus.end(DEAD_LETTERS) >= 2)
    dead = [json.loads(message.value) for message in town.bus.read([DEAD_LETTERS], after=0)]
    assert sorted((each["topic"], each["kind"], each["key"]) for each in dead) == [
        (DETECTIONS, "unreadable", "gd-1"),
        (DETECTIONS, "unreadable", "gd-9"),
    ]
    assert all(each["reason"] for each in dead)
    town.until(lambda: town.figures()["set_aside.unreadable"] == 2)


# -- whoever dies -----------------------------------------------------------------------------------------------------


def test_workers_killed_in_the_middle_lose_no_case_and_tell_none_twice(town, tmp_path):
    secret = signing.new_secret()
    with desk(tmp_path, secret) as address:
        reach = (f"{address}/events", secret)
        first, _ = town.worker("0", *reach), town.worker("1", *reach)
        town.looks(VALUES[:THIRD])
        town.until(lambda: len(town.case_events()) >= 3)
        town.looks(VALUES[THIRD : 2 * THIRD])
        first.send_signal(signal.SIGKILL)  # with messages under way
        first.wait()
        town.looks(VALUES[2 * THIRD :])
        town.until(lambda: is_told(town))
        town.worker("0", *reach)  # it comes back, and its partitions with it
        filed = {each for each in EXPECTED if each.endswith("-1")}

        def settled():
            done = [json.loads(body) for body in by_id(town.case_events()).values()]
            dispatched = {each["subject"] for each in done if each["type"].endswith("dispatched")}
            return dispatched >= {each.rpartition("-")[0] for each in filed}

        town.until(settled)
        town.until(lambda: len(httpx.get(f"{address}/deliveries").json()["deliveries"]) >= len(EXPECTED))
        deliveries = httpx.get(f"{address}/deliveries").json()["deliveries"]
        cases = httpx.get(f"{address}/cases").json()["cases"]

    told = defaultdict(list)
    for body in by_id(town.case_events()).values():
        event = json.loads(body)
        told[event["subject"]].append((event["data"]["version"], event["type"].rpartition(".")[2]))
    expected = defaultdict(list)
    for body in EXPECTED.values():
        event = json.loads(body)
        expected[event["subject"]].append(event["type"].rpartition(".")[2])
    assert told.keys() == expected.keys()
    for case, events in told.items():
        events.sort()
        assert [version for version, _ in events] == list(range(1, len(events) + 1))
        assert [kind for _, kind in events if kind != "dispatched"] == expected[case]
        assert [kind for _, kind in events].count("dispatched") == 1
    assert sorted(each["case"] for each in cases) == sorted(expected)
    assert len({each["external_id"] for each in cases}) == len(expected)
    ids = [each["id"] for each in deliveries]
    assert len(ids) == len(set(ids)) == sum(len(each) for each in expected.values())


@pytest.mark.parametrize("disk", ["kept", "lost", "none"])
def test_a_worker_that_died_goes_on_from_its_disk_or_from_the_changelog(town, disk):
    kind = "diskless" if disk == "none" else "none"
    first = town.worker("0", fault=kind)
    town.looks(VALUES[: 2 * THIRD])
    town.until(lambda: len(town.case_events()) >= 8)
    first.kill()
    first.wait()
    town.looks(VALUES[2 * THIRD :])
    if disk == "lost":
        shutil.rmtree(town.folder / "0")
    town.worker("0", fault=kind)
    town.until(lambda: is_told(town))
    assert by_id(town.case_events()) == EXPECTED


def test_workers_that_come_and_go_politely_change_nothing(town):
    first = town.worker("0", fault="slow")  # so that partitions move while commits are under way
    town.looks(VALUES[:THIRD])
    town.until(lambda: len(town.case_events()) >= 3)
    town.worker("1", fault="slow")
    town.looks(VALUES[THIRD : 2 * THIRD])
    town.until(lambda: "partitions [" in town.said("1"))
    first.send_signal(signal.SIGTERM)
    assert first.wait(timeout=120) == 0
    town.looks(VALUES[2 * THIRD :])
    town.until(lambda: is_told(town))
    assert by_id(town.case_events()) == EXPECTED


# -- another configuration ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["adopted", "begun anew"])
def test_a_camera_that_is_no_longer_configured_lets_go_of_its_cases(town, how):
    worker = town.worker("0")
    town.looks(
        [(look.camera, value) for look, (_, value) in zip(DAY, VALUES, strict=True) if look.camera == "gd-4"][:60]
    )
    town.until(lambda: len(town.case_events()) >= 1 and town.is_settled())
    if how == "adopted":
        worker.send_signal(signal.SIGUSR1)
    else:
        worker.send_signal(signal.SIGTERM)
        worker.wait()
        town.worker("0", town="smaller")

    def last():
        return read_case_event(town.case_events()[-1]).case

    town.until(lambda: last().reason == "camera removed")
    assert (last().cameras, last().version) == (("gd-4",), 2)
    time.sleep(1)
    assert last().version == 2, "it is told once"


# -- before it begins ---------------------------------------------------------------------------------------------------


async def waited_for(address, topics, caplog, *, word):
    """What is said while the topics are not as they should be, and what comes of it when they are made now."""
    stop = asyncio.Event()
    waiting = asyncio.create_task(topics_there(address, stop))
    while word not in caplog.text:  # noqa: ASYNC110  # a log tells nobody that it was written
        await asyncio.sleep(0.02)
    assert not waiting.done()
    if topics:
        await asyncio.to_thread(create, address, topics, replicas=1)
    else:
        stop.set()
    return await waiting


async def test_a_worker_waits_for_its_topics_and_makes_none_by_asking(kafka, caplog):
    address = KafkaAddress.parse(kafka)
    assert await waited_for(address, layout(3), caplog, word="make them: citybrain topics create") == 3


async def test_a_worker_does_not_begin_on_topics_that_are_cut_in_another_way(kafka, caplog):
    address = KafkaAddress.parse(kafka)
    cut = [replace(each, partitions=3 if each.name == COMMANDS else each.partitions) for each in layout(2)]
    await asyncio.to_thread(create, address, cut, replicas=1)
    assert await waited_for(address, [], caplog, word="not cut as detections with its 2 partitions") == 0
    assert "commands (3)" in caplog.text


# -- each guard, against what it guards from ---------------------------------------------------------------------------


async def commit_group(address, offsets):
    """The group's committed offsets, set to what a client library may have left there."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=list(address.brokers), group_id=address.topic(PIPELINE), enable_auto_commit=False
    )
    await consumer.start()
    consumer.assign([TopicPartition(address.topic(DETECTIONS), n) for n in range(PARTITIONS)])
    parts = list(consumer.assignment())
    if offsets == "end":
        ends = await consumer.end_offsets(parts)
        await consumer.commit({part: ends[part] for part in parts})
    found = {part.partition: await consumer.committed(part) for part in parts}
    await consumer.stop()
    return found


def test_a_group_whose_offsets_are_at_the_logs_end_still_reads_what_the_state_has_not(town):
    town.looks()
    town.until(town.offered)
    assert sum(asyncio.run(commit_group(town.address, "end")).values()) == len(VALUES)
    town.worker("0")
    town.until(lambda: is_told(town))


def test_a_client_that_begins_past_the_state_ends_the_worker_before_anything_is_lost(town):
    worker = town.worker("0", fault="ahead")
    town.looks()
    assert worker.wait(timeout=180) == 1
    assert "back to 0" in town.said("0")
    assert "ends: " in town.said("0")
    assert "expected offset 0, got" in town.said("0")


def test_a_client_that_slips_from_its_place_is_put_back_until_it_stays_there(town):
    town.worker("0", fault="slipped")
    town.looks()
    town.until(lambda: is_told(town))
    assert "back to 0" in town.said("0")
    assert by_id(town.case_events()) == EXPECTED


def test_what_the_changelog_has_not_confirmed_is_neither_told_nor_acknowledged(town):
    worker = town.worker("0", fault="unsaid")
    town.looks()
    assert worker.wait(timeout=180) == 1
    assert town.case_events() == []
    assert town.ends.now()["episodes"] == 0
    assert set(asyncio.run(commit_group(town.address, "read")).values()) <= {None, 0}
    town.worker("1")
    town.until(lambda: is_told(town))


@pytest.mark.parametrize(
    ("fault", "word"),
    [("deaf", "nothing moves"), ("hung", "the event loop hangs"), ("broken", "ends: a message of")],
)
def test_a_worker_that_cannot_go_on_ends_so_that_another_does(town, fault, word):
    worker = town.worker("0", fault=fault)
    town.looks()
    assert worker.wait(timeout=180) == 1
    assert word in town.said("0")
    town.worker("1")
    town.until(lambda: is_told(town))
