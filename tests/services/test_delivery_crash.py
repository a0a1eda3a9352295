"""Real processes killed with SIGKILL at any moment, sender and desk: no case is lost, none is told under another id."""

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from random import Random

import httpx

from bench.ports import free_port
from citybrain import signing
from citybrain.clock import SystemClock
from citybrain.delivery.outbox import SCHEMA, Outbox
from citybrain.delivery.sender import Pace, Sender
from citybrain.ports import Outgoing
from pipeline.notifiers import webhook
from tests import waiting

until = partial(waiting.until, within_s=60)

ROOT = Path(__file__).parents[2]
CASES, VERSIONS = [f"case{n:02}" for n in range(12)], range(1, 6)
TOLD = "CREATE TABLE IF NOT EXISTS told (id TEXT)"


def connect(path):
    connection = sqlite3.connect(path, isolation_level=None, timeout=20)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.executescript(SCHEMA + TOLD)
    return connection


async def send_for_ever(path, url, secret):
    """The program that gets killed: a sender whose report is a row in the same database."""
    connection = connect(path)
    config = {"url": url, "secret": secret, "allow": ["loopback"], "timeout": "2s"}

    def report(outgoing, ack, committed_at):
        connection.execute("INSERT INTO told VALUES (?)", (outgoing.id,))

    pace = Pace(first_retry=timedelta(milliseconds=10), longest_retry=timedelta(milliseconds=500), at_once=4)
    notifier = webhook.build(webhook.Config.model_validate(config))
    await Sender(Outbox(connection), {"desk": notifier}, SystemClock(), report, pace=pace).run(asyncio.Event())


@contextmanager
def process(*arguments):
    running = subprocess.Popen(
        [sys.executable, *arguments], cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE
    )
    try:
        yield running
    finally:
        running.send_signal(signal.SIGKILL)
        running.communicate()


@contextmanager
def desk_process(tmp_path, port, secret):
    with process(
        "-m", "citybrain.demo.desk", "--port", str(port), "--data", str(tmp_path / "desk.db"), "--secret", secret
    ) as desk:
        assert b"http://127.0.0.1" in desk.stdout.readline()
        yield desk


def put(connection, *versions):
    outbox = Outbox(connection)
    for version in versions:
        for case in CASES:
            fields = {"specversion": "1.0", "id": f"{case}-{version}", "type": "citybrain.case.status", "subject": case}
            body = json.dumps(fields | {"data": {"version": version}}).encode()
            outbox.put(Outgoing(f"{case}-{version}", "desk", case, body), at=SystemClock().now())


def test_killing_the_sender_again_and_again_loses_nothing(tmp_path):
    secret, random, port = signing.new_secret(), Random(11), free_port()
    address = f"http://127.0.0.1:{port}"
    with closing(connect(tmp_path / "city.db")) as connection, desk_process(tmp_path, port, secret):
        httpx.put(f"{address}/faults", json={"mode": "repeat", "share": 0.2})
        put(connection, *VERSIONS)

        def told():
            return [row[0] for row in connection.execute("SELECT id FROM told ORDER BY rowid")]

        arguments = (str(Path(__file__)), str(tmp_path / "city.db"), f"{address}/events", secret)
        for _ in range(5):
            already = len(told())
            with process(*arguments):
                until(lambda: len(told()) > already)  # noqa: B023  # called within this turn only
                time.sleep(random.random() * 0.05)
        assert len(told()) < len(CASES) * len(VERSIONS), "the sender was killed before it was done"
        with process(*arguments):
            until(lambda: len(told()) == len(CASES) * len(VERSIONS))
        assert sorted(told()) == sorted(f"{case}-{version}" for case in CASES for version in VERSIONS)
        check_desk(address)


def test_killing_the_desk_again_and_again_loses_nothing(tmp_path):
    secret, port = signing.new_secret(), free_port()
    address = f"http://127.0.0.1:{port}"
    with closing(connect(tmp_path / "city.db")) as connection:

        def told():
            return connection.execute("SELECT count(*) FROM told").fetchone()[0]

        with process(str(Path(__file__)), str(tmp_path / "city.db"), f"{address}/events", secret):
            first, second, third, *others = VERSIONS
            for version in (first, second, third):
                put(connection, version)  # or a quick desk may have been told everything before
                already = told()
                with desk_process(tmp_path, port, secret):
                    until(lambda: told() > already)  # noqa: B023  # called within this turn only
            put(connection, *others)
            with desk_process(tmp_path, port, secret):
                until(lambda: told() == len(CASES) * len(VERSIONS))
                check_desk(address)


def check_desk(address):
    deliveries = httpx.get(f"{address}/deliveries").json()["deliveries"]
    assert {each["id"] for each in deliveries} == {f"{case}-{version}" for case in CASES for version in VERSIONS}
    for case in CASES:
        assert [each["version"] for each in deliveries if each["case"] == case] == list(VERSIONS)
    cases = httpx.get(f"{address}/cases").json()["cases"]
    assert len({each["external_id"] for each in cases}) == len(cases) == len(CASES)


if __name__ == "__main__":
    asyncio.run(send_for_ever(*sys.argv[1:]))
