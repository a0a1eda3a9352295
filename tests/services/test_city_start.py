"""What docker-compose.city.yml starts first, word for word, against real servers: it may be said again, and the API opens."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from bench.ports import free_port
from bench.running import wait_until
from citybrain.supervisor import citybrain
from tests.object_storage import CREDENTIALS, ObjectStorage
from tests.unit.tools.checkout import ROOT
from tests.unit.tools.compose import load
from tests.unit.tools.test_city_compose import CITY, FILLED

pytestmark = pytest.mark.timeout(400)  # each starts several processes, one after the other


class Started:
    """The Compose file's services as commands of this machine, with the test's servers for its own."""

    def __init__(self, home: Path, *, kafka: str, database: str, storage: ObjectStorage) -> None:
        self.services: dict[str, Any] = load(CITY, FILLED | {"CITYBRAIN_PARTITIONS": "2"})["services"]
        self.data, self.endpoint = home / "data", storage.endpoint
        self.environment = {
            **os.environ,
            **{name: str(value) for name, value in self.services["api"]["environment"].items()},
            "CITYBRAIN_BUS": kafka,
            "CITYBRAIN_DATABASE": database,
            "CITYBRAIN_EVIDENCE": f"s3://evidence?endpoint={self.endpoint}",
            "CITYBRAIN_HOT": "",
            "CAM_USER": "",
            "CAM_PASSWORD": "",
            **CREDENTIALS,
        }

    def command(self, name: str, **instead: str) -> list[str]:
        service = self.services[name]
        moved = {"/configs": str(ROOT / "configs"), "/data": str(self.data), **instead}
        words = [moved.get(word, word) for word in service["command"]]
        if service.get("entrypoint") == ["python", "-c"]:
            return [sys.executable, "-c", words[0].replace("http://storage:8333", self.endpoint)]
        return citybrain(*words)

    def run(self, command: list[str]) -> str:
        done = subprocess.run(
            command, cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def started(kafka, postgres, tmp_path) -> Iterator[Started]:
    storage = ObjectStorage(tmp_path)
    storage.start()
    yield Started(tmp_path, kafka=kafka, database=postgres.empty(), storage=storage)
    storage.kill()


def test_what_starts_once_may_be_said_again(started):
    for told in ("created", "was there"):
        assert f"case-events: {told}, 1 partition, keeps for ever" in started.run(started.command("topics"))
        started.run(started.command("bucket"))
        started.run(started.command("cameras"))
    client = boto3.client(
        "s3",
        endpoint_url=started.endpoint,
        region_name="us-east-1",
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
    )
    assert [each["Name"] for each in client.list_buckets()["Buckets"]] == ["evidence"]


def test_the_api_opens_and_prometheus_is_let_in_by_its_key_alone(started, tmp_path):
    for once in ("topics", "bucket", "cameras"):
        started.run(started.command(once))
    key = started.run(citybrain("keys", "add", "prometheus", "--role", "viewer", "--data", str(started.data))).strip()
    port = free_port()
    command = started.command("api", **{"0.0.0.0": "127.0.0.1", "8000": str(port)})
    with (tmp_path / "said").open("wb") as said:
        api = subprocess.Popen(command, cwd=ROOT, env=started.environment, stdout=said, stderr=said)
        try:
            wait_until(lambda: answers(port, "/healthz") == 200, timeout_s=120, what="the API answers")
            assert answers(port, "/metrics") == 401
            assert answers(port, "/metrics", key=key) == 200
            assert answers(port, "/v1/audit", key=key) == 403
        finally:
            api.terminate()
            api.wait(60)


def answers(port: int, path: str, *, key: str | None = None) -> int:
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code
    except OSError:
        return 0
