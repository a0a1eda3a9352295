"""Someone who is told by webhook: keeps what comes, and can be made to fail in every way there is."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from citybrain import signing

Answer = tuple[int, dict[str, str]]


@dataclass
class Told:
    """One POST: its id, the case it tells of, that case's version, and how it came."""

    id: str
    case: str
    version: int
    type: str
    headers: dict[str, str]
    body: bytes
    taken: bool


@dataclass
class Receiver:
    """`answer` says what becomes of a message: a status with headers, or None for no answer at all."""

    answer: Callable[[str], Answer | None] = lambda _id: (204, {})
    told: list[Told] = field(default_factory=list)
    address: str = ""
    closing: threading.Event = field(default_factory=threading.Event)

    def taken(self) -> list[Told]:
        return [each for each in list(self.told) if each.taken]

    def ids(self) -> list[str]:
        """What was taken, each id once, in the order of its first coming."""
        return list(dict.fromkeys(each.id for each in self.taken()))

    def wait_for(self, count: int, *, within_s: float = 60) -> list[str]:
        until = time.monotonic() + within_s
        while len(self.ids()) < count:
            assert time.monotonic() < until, f"expected {count} events, got {len(self.ids())}"
            time.sleep(0.01)
        return self.ids()

    def wait_for_tries(self, count: int, *, within_s: float = 60) -> None:
        until = time.monotonic() + within_s
        while len(self.told) < count:
            assert time.monotonic() < until, f"expected {count} tries, got {len(self.told)}"
            time.sleep(0.01)

    def in_order(self) -> bool:
        """Whether the first coming of each case's events was in the order of their versions."""
        seen: dict[str, int] = {}
        first: dict[str, Told] = {}
        for each in self.taken():
            if each.id not in first:
                first[each.id] = each
                if each.version < seen.get(each.case, 0):
                    return False
                seen[each.case] = each.version
        return True

    def verified_by(self, secret: str, index: int = -1) -> bool:
        each = self.told[index]
        try:
            signing.verify(secret, each.headers, each.body, now=datetime.now(UTC))  # noqa: TID251  # as a stranger would
        except ValueError:
            return False
        return True


@contextmanager
def receiving(port: int = 0, *, into: Receiver | None = None) -> Iterator[Receiver]:
    """A receiver on a port of this machine; with `into`, one that was away comes back."""
    receiver = into or Receiver()
    receiver.closing = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 20

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            fields = json.loads(body)
            answer = receiver.answer(fields["id"])
            taken = answer is not None and 200 <= answer[0] < 300
            receiver.told.append(
                Told(
                    fields["id"],
                    fields["subject"],
                    fields["data"].get("version", 0),
                    fields["type"],
                    {name.lower(): value for name, value in self.headers.items()},
                    body,
                    taken,
                )
            )
            if answer is None:
                receiver.closing.wait(20)
                self.close_connection = True
                return
            self.send_response(answer[0])
            for name, value in answer[1].items():
                self.send_header(name, value)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True
        allow_reuse_address = True
        request_queue_size = 64

        def handle_error(self, *_: object) -> None: ...  # whoever posts may be killed

    with Quiet(("127.0.0.1", port), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, name="receiving")
        thread.start()
        receiver.address = f"http://127.0.0.1:{server.server_port}/events"
        try:
            yield receiver
        finally:
            receiver.closing.set()
            server.shutdown()
            thread.join()
