"""The sender and the reference desk over real HTTP: down, failing, slow, silent, hanging up, repeating itself."""

import asyncio
import json
import sqlite3
from contextlib import asynccontextmanager, closing
from datetime import timedelta
from random import Random

import httpx
import pytest

from bench.ports import free_port
from citybrain import signing
from citybrain.clock import SystemClock
from citybrain.delivery.outbox import SCHEMA, Outbox
from citybrain.delivery.sender import Pace, Sender
from citybrain.demo.desk import Desk, Options
from citybrain.demo.desk_book import Step
from citybrain.demo.desk_faults import Faults, Switch
from citybrain.ports import Outgoing
from pipeline.notifiers import webhook

CLOCK = SystemClock()
SECRET = signing.new_secret()
MS = timedelta(milliseconds=1)
HURRIED = Pace(first_retry=5 * MS, longest_retry=60 * MS, longest_probe=40 * MS, look_every=5 * MS)


def event(case, version):
    fields = {"specversion": "1.0", "id": f"{case}-{version}", "type": "citybrain.case.status", "subject": case}
    return json.dumps(fields | {"data": {"version": version, "state": "filed"}}).encode()


class Town:
    """The sending side: a database, its outbox, a webhook to the desk, and what was reported delivered."""

    def __init__(self, path, url, *, secret=SECRET, timeout="5s"):
        self.connection = sqlite3.connect(path, isolation_level=None)
        self.connection.executescript(SCHEMA)
        self.outbox = Outbox(self.connection)
        self.delivered = []
        config = {"url": url, "secret": secret, "timeout": timeout, "allow": ["loopback"]}
        self.notifier = webhook.build(webhook.Config.model_validate(config))
        self.sender = Sender(self.outbox, {"desk": self.notifier}, CLOCK, self.report, pace=HURRIED, random=Random(7))

    def report(self, outgoing, ack, committed_at):
        assert committed_at <= ack.posted_at <= ack.acknowledged_at
        self.delivered.append((outgoing.id, ack.external_id))

    def tell(self, case, *versions):
        for version in versions:
            with self.outbox.transaction():
                self.outbox.put(Outgoing(f"{case}-{version}", "desk", case, event(case, version)), at=CLOCK.now())
        self.sender.wake()

    async def all_delivered(self):
        await true(lambda: self.outbox.figures()["waiting"] == 0)


@asynccontextmanager
async def town_open(tmp_path, url, **options):
    town = Town(tmp_path / "city.db", url, **options)
    stop = asyncio.Event()
    run = asyncio.create_task(town.sender.run(stop))
    try:
        yield town
    finally:
        stop.set()
        await run
        await town.notifier.close()
        town.connection.close()


@asynccontextmanager
async def desk_open(tmp_path, *, seed=3, **options):
    desk = Desk(Options(data=tmp_path / "desk.db", **{"secret": SECRET} | options), switch=Switch(random=Random(seed)))
    serving = asyncio.create_task(desk.serve())
    try:
        yield desk
    finally:
        desk.stop()
        await serving


async def true(claim):
    async with asyncio.timeout(60):
        while not claim():  # noqa: ASYNC110  # what SQLite and another server hold has no event
            await asyncio.sleep(0.005)


async def at_desk(desk, what):
    async with httpx.AsyncClient() as client:
        return (await client.get(f"{desk.address}/{what}")).json()[what]


async def counts(desk):
    return {each["id"]: each["count"] for each in await at_desk(desk, "deliveries")}


async def test_a_case_reaches_the_desk_and_gets_its_number(tmp_path):
    async with desk_open(tmp_path) as desk, town_open(tmp_path, desk.url) as town:
        town.tell("a", 1, 2)
        town.tell("b", 1)
        await town.all_delivered()
        assert await counts(desk) == {"a-1": 1, "a-2": 1, "b-1": 1}
        numbers = {case["case"]: case["external_id"] for case in await at_desk(desk, "cases")}
        assert sorted(town.delivered) == [("a-1", numbers["a"]), ("a-2", numbers["a"]), ("b-1", numbers["b"])]


@pytest.mark.parametrize("mode", ["500", "drop", "slow", "hang"])
async def test_a_desk_that_fails_for_a_while_gets_everything_once_it_is_well(tmp_path, mode):
    async with desk_open(tmp_path) as desk, town_open(tmp_path, desk.url, timeout="250ms") as town:
        desk.switch.faults = Faults(mode=mode, delay_s=1)
        for case in "abc":
            town.tell(case, 1, 2)
        await true(lambda: town.sender.figures()["failed"] >= 4)
        assert town.delivered == []
        assert town.sender.figures()["down"] == ["desk"]
        desk.switch.faults = Faults()
        await town.all_delivered()
        assert set(await counts(desk)) == {f"{case}-{version}" for case in "abc" for version in (1, 2)}
        assert sorted(id for id, _ in town.delivered) == sorted(
            f"{case}-{version}" for case in "abc" for version in (1, 2)
        )
        assert len(await at_desk(desk, "cases")) == 3
        assert town.sender.figures()["down"] == []


async def test_a_desk_that_is_down_gets_everything_when_it_is_there(tmp_path):
    port = free_port()
    async with desk_open(tmp_path, port=port) as first:
        url = first.url
    async with town_open(tmp_path, url) as town:
        town.tell("a", 1, 2)
        town.tell("b", 1)
        await true(lambda: town.sender.figures()["failed"] >= 4)
        async with desk_open(tmp_path, port=port) as desk:
            await town.all_delivered()
            assert await counts(desk) == {"a-1": 1, "a-2": 1, "b-1": 1}


async def test_a_desk_that_handles_and_then_answers_500_hears_it_again_under_the_same_id(tmp_path):
    async with desk_open(tmp_path) as desk, town_open(tmp_path, desk.url) as town:
        desk.switch.faults = Faults(mode="repeat")
        town.tell("a", 1)
        await true(lambda: town.sender.figures()["failed"] >= 1)
        desk.switch.faults = Faults()
        await town.all_delivered()
        [(id, count)] = (await counts(desk)).items()
        assert (id, count >= 2) == ("a-1", True)
        [case] = await at_desk(desk, "cases")
        assert town.delivered == [("a-1", case["external_id"])]


async def test_under_random_faults_every_case_is_told_in_order_and_once_per_id(tmp_path):
    cases, versions = "abcdefgh", range(1, 6)
    async with desk_open(tmp_path) as desk, town_open(tmp_path, desk.url, timeout="400ms") as town:
        desk.switch.faults = Faults(mode="flaky", share=0.6, delay_s=0.8)
        for version in versions:
            for case in cases:
                town.tell(case, version)
        await town.all_delivered()
        deliveries = await at_desk(desk, "deliveries")
        assert {each["id"] for each in deliveries} == {f"{case}-{version}" for case in cases for version in versions}
        for case in cases:
            assert [each["version"] for each in deliveries if each["case"] == case] == list(versions)
        assert sorted(id for id, _ in town.delivered) == sorted(each["id"] for each in deliveries)
        assert len(await at_desk(desk, "cases")) == len(cases)
        assert sum(each["count"] for each in deliveries) > len(deliveries), "the desk did repeat itself"


async def test_a_desk_with_another_secret_gets_nothing_until_that_is_mended(tmp_path):
    other = signing.new_secret()
    async with desk_open(tmp_path) as desk:
        async with town_open(tmp_path, desk.url, secret=other) as town:
            town.tell("a", 1)
            await true(lambda: town.sender.figures()["failed"] >= 1)
            [queued] = town.outbox.probes("desk", CLOCK.now())
            assert queued.reason == "answered 401"
            assert await counts(desk) == {}
        async with town_open(tmp_path, desk.url) as town:
            await town.all_delivered()
            assert await counts(desk) == {"a-1": 1}


async def test_what_the_desk_refuses_is_a_dead_letter_that_can_be_sent_again(tmp_path):
    async with desk_open(tmp_path) as desk, town_open(tmp_path, desk.url) as town:
        town.outbox.put(Outgoing("bad", "desk", "a", b'{"specversion":"0.3"}'), at=CLOCK.now())
        town.tell("a", 1)
        await town.all_delivered()
        [dead] = town.outbox.dead()
        assert (dead.id, dead.reason) == ("bad", "answered 400")
        assert await counts(desk) == {"a-1": 1}
        assert town.outbox.resend("bad") == 1
        town.sender.wake()
        await true(lambda: len(town.outbox.dead()) == 1 and town.sender.figures()["refused"] == 2)


class Platform:
    """citybrain's side of the call back: verifies, may fail first, keeps what it was told."""

    def __init__(self, *, failures):
        self.failures = failures
        self.told = []

    async def serve(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        line, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value for name, value in (each.split(": ", 1) for each in lines)}
        body = await reader.readexactly(int(headers["content-length"]))
        status = 503 if self.failures else 202
        self.failures = max(0, self.failures - 1)
        message_id = signing.verify(SECRET, headers, body, now=CLOCK.now())
        self.told.append((line, headers["content-type"], message_id, json.loads(body), status))
        writer.write(f"HTTP/1.1 {status} Well\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode())
        writer.close()


async def test_the_desk_calls_back_signed_until_it_is_heard(tmp_path):
    platform = Platform(failures=2)
    server = await asyncio.start_server(platform.serve, "127.0.0.1", 0)
    callback = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    course = [Step("accepted", 10 * MS), Step("handling", 20 * MS)]
    async with (
        server,
        desk_open(tmp_path, callback=callback, course=course) as desk,
        town_open(tmp_path, desk.url) as town,
    ):
        town.tell("a", 1)
        await true(lambda: len(platform.told) == 4)
        await true(lambda: desk.book.cases()[0]["status"] == "handling")
    lines, kinds, ids, told, statuses = zip(*platform.told, strict=True)
    assert set(lines) == {"POST /v1/dispatch/callbacks HTTP/1.1"}
    assert set(kinds) == {"application/json"}
    assert statuses == (503, 503, 202, 202)
    assert ids[0] == ids[1] == ids[2] != ids[3]
    assert [each["status"] for each in told] == ["accepted", "accepted", "accepted", "handling"]
    assert told[-1] | {"at": ""} == {
        "case": "a",
        "external_id": town.delivered[0][1],
        "status": "handling",
        "note": "",
        "at": "",
    }


async def test_a_callback_survives_the_desks_restart(tmp_path):
    platform = Platform(failures=10_000)  # nothing is taken while the first desk lives, however long that is
    server = await asyncio.start_server(platform.serve, "127.0.0.1", 0)
    callback = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    options = {"callback": callback, "course": [Step("accepted", 300 * MS)]}
    async with server:
        async with desk_open(tmp_path, **options) as desk, town_open(tmp_path, desk.url) as town:
            town.tell("a", 1)
            await town.all_delivered()
        with closing(sqlite3.connect(tmp_path / "desk.db")) as book:
            assert book.execute("SELECT state FROM outbox").fetchall() == [("waiting",)]
        platform.failures, platform.told = 0, []
        async with desk_open(tmp_path, **options):
            await true(lambda: len(platform.told) == 1)
    assert platform.told[0][3]["status"] == "accepted"
