"""Two replicas of the API on one PostgreSQL: who is let in by one is let in by the other; what one owes outlives it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random

import httpx
import pytest

from bench.ports import free_port
from citybrain.bus.local import LocalBus
from citybrain.database import Database
from citybrain.wire import CASE_EVENTS, write_case_event
from events_api.audit import AuditTrail
from events_api.parts import COOKIE
from events_api.personal import Reporters
from events_api.store.sql import SqlCases
from events_api.subscriptions.shares import SqlShares
from events_api.subscriptions.store import Subscriptions
from tests.services.api_city import City, case, event, serving
from tests.services.receiver import Receiver, receiving
from tests.services.test_subscriptions import TERMS, versions
from tests.waiting import until

pytestmark = pytest.mark.timeout(600)  # each starts several processes

ROOT = Path(__file__).parents[2]


@dataclass
class Replica:
    """A process of `citybrain api`, and a way to ask it."""

    process: subprocess.Popen[bytes]
    http: httpx.Client

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def ask(self, method: str, path: str, **more) -> httpx.Response:
        return self.http.request(method, path, **more)


class Replicated:
    """A city whose replicas of the API share a PostgreSQL and, on this one machine, the log."""

    def __init__(self, data: Path, database: str) -> None:
        self.data, self.database = data, database
        self._environment = os.environ | {"PYTHONPATH": str(ROOT), "CITYBRAIN_DATABASE": database}

    def command(self, *words: str, check: bool = True) -> str:
        command = [sys.executable, "-m", "citybrain", *words]
        done = subprocess.run(
            command, cwd=self.data, env=self._environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert (done.returncode == 0) is check, done.stderr
        return done.stdout + done.stderr

    @contextmanager
    def replica(self) -> Iterator[Replica]:
        port = free_port()
        words = ["--config", "configs", "--data", str(self.data), "--port", str(port), "--webhooks-to", "loopback"]
        with (self.data / "log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "citybrain", "api", *words], cwd=ROOT, stderr=log, env=self._environment
            )
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as http:
            try:
                end = time.monotonic() + 120
                while True:
                    with suppress(httpx.TransportError):
                        http.get("/healthz")
                        break
                    assert time.monotonic() < end, (self.data / "log").read_text()
                    time.sleep(0.05)
                yield Replica(process, http)
            finally:
                process.kill()
                process.wait()


@pytest.fixture
def city(tmp_path, postgres) -> Replicated:
    return Replicated(tmp_path, postgres.empty())


def bearing(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def who(replica: Replica, **more) -> str | int:
    answer = replica.ask("GET", "/v1/session", **more)
    return answer.json()["name"] if answer.status_code == 200 else answer.status_code


def test_who_is_let_in_by_one_is_let_in_by_all_and_all_of_it_is_one_trail(city):
    key = city.command("keys", "add", "li.na", "--role", "engineer").splitlines()[0]
    with city.replica() as one, city.replica() as other:
        assert who(one, headers=bearing(key)) == who(other, headers=bearing(key)) == "li.na"
        made_later = city.command("keys", "add", "wang", "--role", "operator").splitlines()[0]
        assert who(one, headers=bearing(made_later)) == who(other, headers=bearing(made_later)) == "wang"
        cookie = one.ask("POST", "/v1/session", json={"key": made_later}).cookies[COOKIE]
        one.http.cookies.clear()
        session = {"cookie": f"{COOKIE}={cookie}"}
        assert who(other, headers=session) == "wang"
        assert other.ask("DELETE", "/v1/session", headers=session).status_code == 200
        until(lambda: who(one, headers=session) == 401)
        again = one.ask("POST", "/v1/session", json={"key": made_later}).cookies[COOKIE]
        one.http.cookies.clear()
        city.command("keys", "revoke", "wang")
        for each in (one, other):
            until(lambda each=each: who(each, headers=bearing(made_later)) == 401)
            until(lambda each=each: who(each, headers={"cookie": f"{COOKIE}={again}"}) == 401)

        def act(replica: Replica, name: str) -> None:
            for n in range(25):
                wanted = {"name": f"{name} {n}", "url": "http://127.0.0.1:9/"}
                made = replica.http.post("/v1/subscriptions", json=wanted, headers=bearing(key))
                assert made.status_code == 201, made.text

        acting = [threading.Thread(target=act, args=each) for each in ((one, "one"), (other, "other"))]
        for each in acting:
            each.start()
        for each in acting:
            each.join()
        noted = other.ask("GET", "/v1/audit?what=subscription.&limit=200", headers=bearing(key)).json()["items"]
        assert sorted(each["more"]["name"] for each in noted) == sorted(
            f"{name} {n}" for name in ("one", "other") for n in range(25)
        )
        assert len(one.ask("GET", "/v1/subscriptions", headers=bearing(key)).json()["items"]) == 50
    # 50 subscriptions, three words about keys, two logins, a logout; and the revoked key, refused by both and noted once
    assert "57 entries, none altered or missing" in city.command("audit", "verify")
    assert not (city.data / "keys.json").exists()
    assert not (city.data / "audit.db").exists()
    with closing(Database.open(city.database)) as database, database.writing() as db:
        db.exec_driver_sql("ALTER TABLE audit_entries DISABLE TRIGGER ALL")
        db.exec_driver_sql("UPDATE audit_entries SET actor = 'nobody' WHERE n = 4")
    assert "entry 4 does not fit" in city.command("audit", "verify", check=False)


def test_each_subscriber_is_told_once_by_two_and_everything_by_whoever_is_left(city):
    bus = LocalBus(city.data / "citybrain.db")
    with ExitStack() as opened:
        opened.callback(bus.close)
        receivers = [opened.enter_context(receiving()) for _ in range(6)]
        one, other = (opened.enter_context(city.replica()) for _ in range(2))
        made = [subscribed(one, receiver, f"platform {n}") for n, receiver in enumerate(receivers)]
        until(lambda: len(told_by(city)) == len(made))

        calm = [each for n in range(1, 31) for each in versions(n, 3)]
        log_to(bus, calm)
        for receiver in receivers:
            assert sorted(receiver.wait_for(len(calm))) == sorted(each.id for each in calm)
            assert receiver.in_order()
        assert all(len(receiver.told) == len(calm) for receiver in receivers), "two replicas told the same"
        for each in made:
            until(lambda each=each: other.ask("GET", f"/v1/subscriptions/{each['id']}").json()["waiting"] == 0)

        # The replica that tells the first receiver is killed while a POST of it is under way, and others wait.
        hanging = event(case(40)).id
        receivers[0].answer = lambda id: None if id == hanging else (204, {})
        log_to(bus, [event(case(40))])
        receivers[0].wait_for_tries(len(calm) + 1)
        pid = int(told_by(city)[made[0]["id"]].rsplit("-", 2)[1])
        [dying] = [each for each in (one, other) if each.process.pid == pid]
        [left] = [each for each in (one, other) if each is not dying]
        dying.kill()
        receivers[0].answer = lambda _: (204, {})
        stormy = [each for n in range(41, 61) for each in versions(n, 3)]
        log_to(bus, stormy)
        everything = sorted([*(each.id for each in [*calm, *stormy]), hanging])
        for receiver in receivers:
            assert sorted(receiver.wait_for(len(everything), within_s=120)) == everything
            assert receiver.in_order()
        assert set(told_by(city).values()) == {told_by(city)[made[0]["id"]]}
        end = str(bus.end(CASE_EVENTS))
        for each in made:
            until(lambda each=each: left.ask("GET", f"/v1/subscriptions/{each['id']}").json()["waiting"] == 0)
            shown = left.ask("GET", f"/v1/subscriptions/{each['id']}").json()
            assert (shown["dead"], shown["cursor"], shown["end"]) == (0, end, end)


def test_replicas_that_are_killed_and_started_again_and_again_lose_nothing(city):
    chance = Random(20261122)
    bus = LocalBus(city.data / "citybrain.db")
    told = [each for n in range(1, 61) for each in versions(n, 5)]
    logged = chance.sample(told, len(told))
    logged.sort(key=lambda each: each.case.version)
    with ExitStack() as opened:
        opened.callback(bus.close)
        receivers = [opened.enter_context(receiving()) for _ in range(3)]
        for receiver in receivers:
            receiver.answer = lambda _: (503, {}) if chance.random() < 0.1 else (204, {})
        steady = opened.enter_context(city.replica())
        for n, receiver in enumerate(receivers):
            subscribed(steady, receiver, f"platform {n}")
        for turn in range(3):
            with city.replica() as dying:
                log_to(bus, logged[turn * 100 : (turn + 1) * 100])
                time.sleep(1.5 + chance.random() * 2)  # it has its part by then, and is in the middle of it
                dying.kill()
        for receiver in receivers:
            assert sorted(receiver.wait_for(len(told), within_s=240)) == sorted(each.id for each in told)
            assert receiver.in_order()


def test_while_postgres_is_away_subscribers_wait_and_nothing_is_done_that_cannot_be_noted(tmp_path, postgres):
    with ExitStack() as opened:
        city, database = opened.enter_context(sharing(tmp_path, postgres.empty()))
        receiver = opened.enter_context(receiving())
        shares = SqlShares(database, clock=city.clock)
        app = city.app(trail=AuditTrail(database, clock=city.clock), webhooks=TERMS, shares=shares)
        http = opened.enter_context(httpx.Client(base_url=opened.enter_context(serving(app)), timeout=20))
        made = http.post("/v1/subscriptions", json={"name": "platform", "url": receiver.address}).json()
        before, during = versions(1, 3), versions(2, 3)
        city.tell(*before)
        receiver.wait_for(3)
        try:
            postgres.kill()
            city.tell(*during)
            refused = http.patch(f"/v1/subscriptions/{made['id']}", json={"name": "another"})
            assert refused.status_code == 503
            assert "retry-after" in refused.headers
            assert len(receiver.ids()) == 3
        finally:
            postgres.start()
        assert sorted(receiver.wait_for(6)) == sorted(each.id for each in [*before, *during])
        assert receiver.in_order()
        until(lambda: http.get(f"/v1/subscriptions/{made['id']}").json()["waiting"] == 0)
        assert http.patch(f"/v1/subscriptions/{made['id']}", json={"name": "another"}).status_code == 200
        assert AuditTrail(database, clock=city.clock).check().faults == []


def test_what_no_database_keeps_is_its_askers_fault(tmp_path, postgres):
    with ExitStack() as opened:
        city, database = opened.enter_context(sharing(tmp_path, postgres.empty()))
        trail = AuditTrail(database, clock=city.clock)
        url = opened.enter_context(serving(city.app(trail=trail, reporters=Reporters(database))))
        http = opened.enter_context(httpx.Client(base_url=url, timeout=20))
        for path in ("/v1/cases/%00", "/v1/subscriptions/%00", "/v1/subscriptions/x/deliveries/%00/resend"):
            assert http.get(path).status_code == 404, path
        assert http.get("/v1/audit?actor=%00").status_code == 200
        assert http.get("/v1/cases?q=%00").status_code in {200, 422}
        named = http.post("/v1/subscriptions", json={"name": "a\0", "url": "http://example.org/"})
        assert (named.status_code, named.json()["title"]) == (422, "invalid request")


@contextmanager
def sharing(folder: Path, url: str) -> Iterator[tuple[City, Database]]:
    """A city within this process, which keeps what it can in that database."""
    with closing(Database.open(url)) as database:
        city = City(folder)
        city.store.close()
        city.store = SqlCases(database)
        city.subscriptions = Subscriptions(database, clock=city.clock)
        yield city, database
        city.close()


def subscribed(replica: Replica, receiver: Receiver, name: str) -> dict[str, str]:
    answer = replica.ask("POST", "/v1/subscriptions", json={"name": name, "url": receiver.address})
    assert answer.status_code == 201, answer.text
    made: dict[str, str] = answer.json()
    return made


def told_by(city: Replicated) -> dict[str, str]:
    """Which replica has which subscription."""
    with closing(Database.open(city.database)) as database, database.reading() as db:
        return {row[0]: row[1] for row in db.exec_driver_sql("SELECT subscription, replica FROM told_by")}


def log_to(bus: LocalBus, events) -> None:
    for each in events:
        bus.publish(CASE_EVENTS, each.case.locality, write_case_event(each))
