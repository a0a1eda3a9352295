"""The one door of the city: whichever API replica answers serves the wall, and who asks is known behind it."""

from __future__ import annotations

import os
import socket
import socketserver
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from bench.ports import free_port
from citybrain.bus.local import LocalBus
from events_api.security import Role
from events_api.server import Server
from events_api.store.key_file import FileKeys
from tests.services.api_city import City, case
from tests.services.stream_readers import EventStreamReader
from tests.unit.tools.checkout import ROOT
from tests.waiting import until

REPLICAS = ("127.0.0.2", "127.0.0.3")


class Names(socketserver.BaseRequestHandler):
    """The engine's resolver: every replica's address under one name."""

    def handle(self) -> None:
        asked, answer = self.request
        end = asked.index(b"\0", 12) + 5
        kind = int.from_bytes(asked[end - 4 : end - 2], "big")
        found = [socket.inet_aton(each) for each in self.server.addresses] if kind == 1 else []  # type: ignore[attr-defined]
        records = b"".join(b"\xc0\x0c\0\x01\0\x01\0\0\0\x01\0\x04" + each for each in found)
        counts = b"\0\x01" + len(found).to_bytes(2, "big") + b"\0\0\0\0"
        answer.sendto(asked[:2] + b"\x81\x80" + counts + asked[12:end] + records, self.client_address)


@contextmanager
def names(addresses: tuple[str, ...]) -> Iterator[int]:
    with socketserver.ThreadingUDPServer(("127.0.0.1", 0), Names) as server:
        server.addresses = addresses  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def replica(app, address: str, port: int) -> Iterator[None]:
    """The API on an address of this machine's loopback, as it would listen in a container of its own."""
    with socket.socket() as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((address, port))
        server = Server(app, host=address, port=port)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
        thread.start()
        try:
            yield
        finally:
            server.should_exit = True
            thread.join(timeout=20)


class Door:
    """haproxy with the configuration that ships, before replicas whose names it asks for."""

    def __init__(self, haproxy: str, api_port: int, names_port: int) -> None:
        self.port, self.figures_port = free_port(), free_port()
        told = {
            "API": f"api:{api_port}",
            "RESOLVER": f"127.0.0.1:{names_port}",
            "PORT": str(self.port),
            "FIGURES_PORT": str(self.figures_port),
        }
        command = [haproxy, "-db", "-f", str(ROOT / "configs/services/haproxy.cfg")]
        self._process = subprocess.Popen(command, env=os.environ | told, stdout=subprocess.DEVNULL)
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=10)

    def figure(self, name: str, proxy: str) -> float:
        told = httpx.get(f"http://127.0.0.1:{self.figures_port}/metrics").text
        return sum(
            float(line.rpartition(" ")[2])
            for line in told.splitlines()
            if line.startswith(f"{name}{{") and f'proxy="{proxy}"' in line
        )

    def opened(self, replicas: int) -> Door:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                if self.figure("haproxy_backend_active_servers", "api") == replicas:
                    return self
            except httpx.TransportError:
                assert self._process.poll() is None, "haproxy ended"
            time.sleep(0.05)
        pytest.fail(f"the door did not find {replicas} replicas")

    def close(self) -> None:
        self.http.close()
        self._process.kill()
        self._process.wait()


@pytest.fixture
def cities(tmp_path) -> Iterator[tuple[City, City]]:
    """Two replicas' surroundings: one log and one set of keys, a view each."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    one, two = City(tmp_path / "one"), City(tmp_path / "two")
    two.bus.close()
    two.bus = LocalBus(one.folder / "citybrain.db", clock=two.clock)
    two.keys = FileKeys(one.folder / "keys.json", clock=two.clock)
    yield one, two
    one.close()
    two.close()


@pytest.fixture
def doors(program) -> Iterator[Callable[[int], Door]]:
    """Opens the door to the replicas at a port."""
    haproxy = program("haproxy")
    with ExitStack() as stack:
        port = stack.enter_context(names(REPLICAS))

        def opened(api_port: int) -> Door:
            door = Door(haproxy, api_port, port)
            stack.callback(door.close)
            return door

        yield opened


def test_a_replica_that_goes_costs_no_question_and_the_rest_is_told_by_the_other(cities, doors) -> None:
    one, two = cities
    one.file(*(case(n) for n in range(1, 4)))
    port = free_port()
    with ExitStack() as first:
        first.enter_context(replica(one.app(), REPLICAS[0], port))
        with replica(two.app(), REPLICAS[1], port):
            door = doors(port).opened(replicas=2)
            until(lambda: all(each.store.case(case(3).id) for each in cities))  # each has a view of its own
            for _ in range(20):
                assert len(door.http.get("/v1/cases").raise_for_status().json()["items"]) == 3
            reader = EventStreamReader(f"http://127.0.0.1:{door.port}", "?after=0")
            assert len(reader.wait_for(3)) == 3
            first.close()
            for _ in range(20):
                door.http.get("/v1/cases").raise_for_status()
            _, cursor = reader.events()
            reader.close()
            one.file(case(4))
            again = EventStreamReader(f"http://127.0.0.1:{door.port}", last=cursor)
            assert again.wait_for(1) == [f"{case(4).id}-v1"]
            again.close()
            door.opened(replicas=1)
    assert door.figure("haproxy_frontend_http_requests_total", "wall") > 40
    assert door.figure("haproxy_frontend_http_responses_total", "wall") > 40


def test_who_asks_is_known_behind_the_door_and_cannot_be_feigned(cities, doors, monkeypatch) -> None:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "127.0.0.1")
    one, _ = cities
    key = one.keys.add("li.na", Role.ENGINEER)
    port = free_port()
    with replica(one.app(), REPLICAS[0], port):
        door = doors(port).opened(replicas=1)
        from_elsewhere = httpx.HTTPTransport(local_address="127.0.0.9")
        with httpx.Client(base_url=door.http.base_url, transport=from_elsewhere) as client:
            refused = client.post("/v1/session", json={"key": "wrong"}, headers={"x-forwarded-for": "203.0.113.7"})
            assert refused.status_code == 401
        told = door.http.get("/v1/audit?what=login", headers={"authorization": f"Bearer {key}"}).raise_for_status()
        assert [entry["address"] for entry in told.json()["items"] if entry["outcome"] == "refused"] == ["127.0.0.9"]


def test_an_action_is_never_tried_twice(doors) -> None:
    asked = []

    class Breaking(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def do_POST(self) -> None:
            asked.append(self.path)
            self.connection.close()

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    port = free_port()
    with ExitStack() as stack:
        for address in REPLICAS:
            server = stack.enter_context(ThreadingHTTPServer((address, port), Breaking))
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.shutdown)
        door = doors(port).opened(replicas=2)
        assert door.http.post("/v1/cases/a/actions", json={}).status_code == 502
    assert asked == ["/v1/cases/a/actions"]
