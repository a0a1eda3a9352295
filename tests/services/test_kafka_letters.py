"""What a desk refuses, on many machines: kept in a topic whoever dies, shown by the API, and sent again by a person."""

import json
import signal
import threading
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

pytest.importorskip("faust", reason="the extra `kafka` is not installed")

from citybrain import signing
from citybrain.clock import SystemClock
from events_api.dead_letters import LoggedDeadLetters
from tests.services.kafka_city import VALUES, KafkaCity

pytestmark = pytest.mark.timeout(600)


class Desk:
    """A receiver that takes nothing, until told to."""

    def __init__(self) -> None:
        self.takes = False
        self.asked: Counter[str] = Counter()
        self.taken: list[str] = []

    @contextmanager
    def serving(self):
        desk = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:  # http.server's word
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                assert self.headers["webhook-id"] == body["id"]
                desk.asked[body["id"]] += 1
                if desk.takes:
                    desk.taken.append(body["id"])
                self.send_response(200 if desk.takes else 410)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/events"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


@pytest.fixture
def town(kafka, tmp_path):
    made = KafkaCity(kafka, tmp_path)
    yield made
    made.close()


def test_what_a_desk_refuses_is_kept_whoever_dies_and_sent_again_under_its_id(town):
    desk, clock = Desk(), SystemClock()
    one, another = (LoggedDeadLetters(town.bus, clock=clock) for _ in range(2))  # as two replicas of the API have it
    with desk.serving() as url:
        worker = town.worker("0", url, signing.new_secret())
        town.looks(VALUES)
        town.until(lambda: town.is_settled() and town.figures()["outbox.waiting"] == 0)
        letters = {each.id for each in one.all(limit=1000)}
        assert letters == set(desk.asked) != set()
        assert one.count() == len(letters)
        assert all(each.reason for each in one.all(limit=1000))

        worker.send_signal(signal.SIGKILL)
        worker.wait()
        before = desk.asked.copy()
        desk.takes = True
        assert {each.id for each in another.all(limit=1000)} == letters
        first = min(letters)
        assert one.resend(first)
        assert not one.resend(first), "it is on its way"
        assert another.resend(first), "nobody has heard of that here"
        town.worker("0", url, signing.new_secret())
        town.until(lambda: first in desk.taken)
        town.until(lambda: {each.id for each in another.all(limit=1000)} == letters - {first})
        assert set(desk.asked - before) == {first}, "nothing else is tried again"

        for each in letters - {first}:
            assert another.resend(each)
        town.until(lambda: set(desk.taken) == letters)
        town.until(lambda: not one.all(limit=1000))
        town.until(lambda: town.is_settled() and town.figures()["outbox.waiting"] == 0)
