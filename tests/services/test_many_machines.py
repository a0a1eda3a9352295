"""A city over many machines: every role with a folder of its own, and nothing shared but what the four addresses name."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bench.fleet import Fleet, Part
from bench.ports import free_port, free_ports
from bench.running import FOOTAGE, wait_until
from citybrain.clock import SystemClock
from citybrain.demo.city import CONFIG, DemoCity
from citybrain.demo.desk import EVENTS, SECRET_VARIABLE
from citybrain.errors import Transient
from citybrain.evidence.signer import Signer
from citybrain.signing import new_secret
from citybrain.supervisor import citybrain
from tests.object_storage import CREDENTIALS
from tests.redis_server import RedisServer, skip_without_redis

SCENES = {"illegal_parking", "fire_risk", "stall_spillover"}
KERB = {"kerb-a", "kerb-b"}
PATIENCE_S = 150


@dataclass
class Machines:
    """What runs, and where its two doors are."""

    home: Path
    environment: dict[str, str]
    fleet: Fleet
    city: DemoCity
    redis: RedisServer
    ports: tuple[int, int]

    @property
    def doors(self) -> list[str]:
        return [f"http://127.0.0.1:{port}" for port in self.ports]

    def start(self, name: str) -> None:
        """A role on a machine of its own."""
        what, _, number = name.partition("-")
        more = {
            "api": ("--host", "127.0.0.1", "--port", str(self.ports[int(number) - 1])),
            "pipeline": ("--dispatch", f"{self.city.desk}{EVENTS}"),
            "ingest": ("--workers", "1"),
        }[what]
        words = (what, "--config", str(CONFIG), "--data", str(self.home / name), *more)
        self.fleet.start(Part(name, citybrain(*words), self.environment))

    def get(self, path: str, *, door: int = 0) -> Any:
        return json_of(self.doors[door] + path)

    def at_desk(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json_of(f"{self.city.desk}/cases")["cases"]
        return found

    def said(self) -> str:
        return "".join(self.fleet.said(name) for name in self.fleet.starts)


def json_of(url: str) -> Any:
    return json.loads(bytes_of(url))


def bytes_of(url: str) -> bytes:
    """Raises Transient when nobody answers, or not well."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            body: bytes = answer.read()
            return body
    except OSError as error:
        raise Transient(f"{url}: {error}") from None


@pytest.fixture(scope="module")
def machines(broker, postgres, storage, tmp_path_factory) -> Iterator[Machines]:
    skip_without_redis()
    home: Path = tmp_path_factory.mktemp("machines")
    redis = RedisServer(home)
    redis.start()
    Signer.open(home / "evidence.key")  # one key for all machines, as their secret shares are
    ports = free_ports()
    city = DemoCity(data=home, footage=FOOTAGE, epoch=SystemClock().now(), ports=ports)
    city.build_footage(lambda *_: None)
    environment = {
        "CITYBRAIN_BUS": broker.fresh(),
        "CITYBRAIN_DATABASE": postgres.empty(),
        "CITYBRAIN_HOT": redis.url,
        "CITYBRAIN_EVIDENCE": storage.url,
        "CITYBRAIN_EVIDENCE_KEY_FILE": str(home / "evidence.key"),
        "DEMO_RTSP_PORT": str(ports.cameras),
        "DEMO_CAMERA_PASSWORD": city.password,
        SECRET_VARIABLE: new_secret(),
        **CREDENTIALS,
    }
    for words in (["topics", "create", "--partitions", "4"], ["cameras", "publish", "--config", str(CONFIG)]):
        subprocess.run(citybrain(*words), env={**os.environ, **environment}, check=True, timeout=60)
    folder = home / "said"
    folder.mkdir()
    made = Machines(home, environment, Fleet(folder), city, redis, (ports.wall, free_port()))
    try:
        for name in ("api-1", "api-2", "pipeline-1", "pipeline-2", "ingest-1", "ingest-2"):
            made.start(name)
        for door in (0, 1):
            wait_until(partial(ready, made, door), timeout_s=300, what="both doors are open")
        made.city = city.begin_at(SystemClock().now())  # the stories begin when there is someone to look
        for name in ("desk", "cameras"):
            made.fleet.start(Part(name, made.city.commands()[name], environment))
        yield made
    finally:
        made.fleet.close()
        redis.kill()


def ready(machines: Machines, door: int) -> bool:
    return bool(machines.get("/readyz", door=door)["ready"])


@pytest.mark.timeout(900)
def test_one_problem_is_one_case_at_the_desk_and_at_every_door_whichever_machine_dies(machines, tmp_path):
    wait_until(
        lambda: Counter(each["state"] for each in machines.get("/v1/cameras")["items"])["live"] == 10,
        timeout_s=120,  # whoever looked for them before they were there comes back within half a minute
        what="every camera is looked at",
    )
    for name in ("pipeline-1", "ingest-2", "api-1"):
        machines.fleet.end(name, by=signal.SIGKILL)  # for good: another machine has to take over
    machines.redis.kill()  # costs comfort only
    wait_until(
        lambda: {each["data"]["scene"] for each in machines.at_desk()} >= SCENES,
        timeout_s=PATIENCE_S,
        what="the desk has a case of each scene that begins early",
    )
    machines.redis.start()
    wait_until(
        lambda: any(set(case["cameras"]) == KERB for case in machines.get("/v1/cases", door=1)["items"]),
        timeout_s=60,
        what="the car that two cameras see is one case",
    )
    machines.start("api-1")
    wait_until(partial(ready, machines, 0), timeout_s=60, what="the first door is open again")
    shown: list[list[dict[str, Any]]] = []

    def is_answered() -> bool:
        shown[:] = [machines.get("/v1/cases?limit=200", door=door)["items"] for door in (0, 1)]
        ids = [[case["id"] for case in each] for each in shown]  # another may be filed any moment
        return ids[0] == ids[1] and all(case["posted_at"] for each in shown for case in each)

    wait_until(is_answered, timeout_s=60, what="the desk's answers are in the view, and both doors show the same")
    desk = machines.at_desk()
    assert Counter(each["case"] for each in desk).most_common(1)[0][1] == 1
    numbers = {each["case"]: each["external_id"] for each in desk}
    for case in shown[1]:
        assert case["external_id"] == numbers[case["id"]]
    for ref in {each["ref"] for case in shown[1] for each in case["evidence"]}:
        content = [bytes_of(f"{door}/v1/evidence/{ref}") for door in machines.doors]
        assert content[0] == content[1]
    bundle = tmp_path / "bundle.zip"
    bundle.write_bytes(bytes_of(f"{machines.doors[1]}/v1/cases/{shown[1][0]['id']}/evidence.zip"))
    assert subprocess.run(citybrain("verify-evidence", str(bundle)), check=False, timeout=60).returncode == 0
    figures = machines.get("/v1/stats", door=1)["figures"]
    assert not [name for name, value in figures.items() if name.endswith(".imbalance") and value]
    said = machines.said()
    for secret in (machines.city.password, CREDENTIALS["AWS_SECRET_ACCESS_KEY"], "pass word/+1"):
        assert secret not in said
