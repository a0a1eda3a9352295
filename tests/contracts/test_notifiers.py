"""What every notifier keeps: it hands a case event over, or says whether trying again can help."""

import asyncio
import io
import json
import socket
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from citybrain import plugins, signing
from citybrain.clock import ManualClock
from citybrain.errors import NotDelivered, Refused
from citybrain.ports import Outgoing
from pipeline.notifiers import console, webhook

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
SECRET = signing.new_secret()
BODY = '{"specversion":"1.0","id":"e1","subject":"case-1","data":{"title":{"zh":"道路积水"}}}'.encode()
EVENT = Outgoing(id="e1", endpoint="desk", case="case-1", body=BODY)


class Receiver:
    """A real HTTP receiver on a free port that gives one prepared answer, byte by byte, and keeps what it was sent."""

    def __init__(self):
        self.answer = reply(200, {"external_id": "D-17"})
        self.requests = []
        self.port = 0
        self.stay = False

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/events"

    async def serve(self, reader, writer):
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                line, *lines = head.strip().split("\r\n")
                headers = {name.lower(): value for name, _, value in (each.partition(": ") for each in lines)}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                self.requests.append((line, headers, body))
                writer.write(self.answer)
                await writer.drain()
                if not self.stay:
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()


def reply(status, fields=None, headers=(), body=None):
    body = json.dumps(fields).encode() if body is None else body
    lines = [f"HTTP/1.1 {status} Whatever", f"content-length: {len(body)}", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


@asynccontextmanager
async def receiver_open():
    receiver = Receiver()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()


@pytest.fixture
async def receiver():
    async with receiver_open() as receiver:
        yield receiver


@pytest.fixture
def clock():
    return ManualClock(NOW)


@asynccontextmanager
async def notifier_for(receiver, *, clock, **settings):
    settings = {"url": receiver.url, "secret": SECRET, "allow": ("loopback",), "timeout": "5s"} | settings
    notifier = webhook.build(webhook.Config.model_validate(settings), clock=clock)
    try:
        yield notifier
    finally:
        await notifier.close()


def build_webhook(receiver, clock):
    config = {"url": receiver.url, "secret": SECRET, "allow": ["loopback"]}
    return webhook.build(webhook.Config.model_validate(config), clock=clock)


def build_console(receiver, clock):
    return console.build(console.Config(), clock=clock, out=io.StringIO())


BUILDERS = {"webhook": build_webhook, "console": build_console}


@pytest.mark.parametrize("name", plugins.offered("pipeline.notifiers"))
async def test_every_notifier_hands_a_case_event_over_as_often_as_it_is_asked(name, receiver, clock):
    assert name in BUILDERS, "a new notifier is put to this contract too"
    notifier = BUILDERS[name](receiver, clock)
    for _ in range(2):
        ack = await notifier.notify(EVENT)
        assert ack.posted_at <= ack.acknowledged_at
        assert ack.posted_at.tzinfo is not None
    await notifier.close()


@pytest.mark.parametrize("name", plugins.offered("pipeline.notifiers"))
def test_every_notifier_forbids_keys_it_does_not_know(name):
    module = plugins.load("pipeline.notifiers", name)
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        module.Config.model_validate({"url": "http://example.org", "secret": SECRET, "colour": "red"})


async def test_the_console_writes_one_line_an_event(clock):
    out = io.StringIO()
    notifier = console.build(console.Config(), clock=clock, out=out)
    await notifier.notify(EVENT)
    await notifier.notify(Outgoing("e2", "desk", "case-1", b"{\n broken"))
    first, second = out.getvalue().splitlines()
    assert json.loads(first) == json.loads(BODY)
    assert "道路积水" in first
    assert json.loads(second) == {"unreadable": "{\n broken"}


# -- the webhook ------------------------------------------------------------------------------------------------------


async def test_the_receiver_can_verify_what_it_gets(receiver, clock):
    async with notifier_for(receiver, clock=clock) as notifier:
        ack = await notifier.notify(EVENT)
    [(line, headers, body)] = receiver.requests
    assert line == "POST /events HTTP/1.1"
    assert headers["content-type"] == "application/cloudevents+json"
    assert headers["host"] == f"127.0.0.1:{receiver.port}"
    assert signing.verify(SECRET, headers, body, now=NOW) == "e1"
    assert body == BODY
    assert (ack.external_id, ack.posted_at) == ("D-17", NOW)


async def test_a_retry_has_the_same_id_and_a_fresh_signature(receiver, clock):
    async with notifier_for(receiver, clock=clock) as notifier:
        await notifier.notify(EVENT)
        clock.advance(timedelta(hours=5))
        await notifier.notify(EVENT)
    (_, first, _), (_, second, body) = receiver.requests
    assert first["webhook-id"] == second["webhook-id"] == "e1"
    assert first["webhook-signature"] != second["webhook-signature"]
    assert signing.verify(SECRET, second, body, now=clock.now()) == "e1"


async def test_while_a_secret_is_exchanged_both_sign(receiver, clock):
    old = signing.new_secret()
    async with notifier_for(receiver, clock=clock, previous_secret=old) as notifier:
        await notifier.notify(EVENT)
    [(_, headers, body)] = receiver.requests
    for secret in (SECRET, old):
        assert signing.verify(secret, headers, body, now=NOW) == "e1"


@pytest.mark.parametrize(
    ("body", "external_id"),
    [
        (b'{"external_id": "D-1", "id": "x"}', "D-1"),
        (b'{"id": 4711}', "4711"),
        (b'{"id": true}', None),
        (b'{"external_id": ""}', None),
        (b'{"external_id": {"n": 1}}', None),
        (b"[1]", None),
        (b"OK", None),
        (b"", None),
        (b"\xff\xfe", None),
        (b"[" * 60_000, None),
        (b'{"id": "' + b"9" * 500 + b'"}', "9" * 128),
    ],
)
async def test_the_number_is_taken_from_the_answer_if_there_is_one(receiver, clock, body, external_id):
    receiver.answer = reply(201, body=body)
    async with notifier_for(receiver, clock=clock) as notifier:
        assert (await notifier.notify(EVENT)).external_id == external_id


@pytest.mark.parametrize("status", [200, 201, 202, 204, 409])
async def test_these_answers_mean_taken(receiver, clock, status):
    receiver.answer = reply(status, body=b"")
    async with notifier_for(receiver, clock=clock) as notifier:
        await notifier.notify(EVENT)


@pytest.mark.parametrize("status", [400, 410, 413, 415, 422])
async def test_these_answers_mean_never(receiver, clock, status):
    receiver.answer = reply(status, {"title": "no"})
    async with notifier_for(receiver, clock=clock) as notifier:
        with pytest.raises(Refused, match=f"answered {status}"):
            await notifier.notify(EVENT)


@pytest.mark.parametrize("status", [301, 307, 401, 403, 404, 405, 408, 418, 425, 429, 500, 502, 503, 504, 599])
async def test_these_answers_mean_try_again(receiver, clock, status):
    receiver.answer = reply(status, {"title": "later"}, headers=["location: http://127.0.0.1:1/"])
    async with notifier_for(receiver, clock=clock) as notifier:
        with pytest.raises(NotDelivered, match=f"answered {status}"):
            await notifier.notify(EVENT)
    assert len(receiver.requests) == 1, "a redirect is not followed"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30", 30),
        ("0", 0),
        ("-5", 0),
        ("86400", 3600),
        ("Sat, 21 Nov 2026 08:02:00 GMT", 120),
        ("Sat, 21 Nov 2026 07:00:00 GMT", 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 3600),
        ("soon", None),
        ("inf", None),
        ("nan", None),
    ],
)
async def test_when_to_come_back_is_understood_and_bounded(receiver, clock, text, seconds):
    receiver.answer = reply(503, {}, headers=[f"retry-after: {text}"])
    async with notifier_for(receiver, clock=clock) as notifier:
        with pytest.raises(NotDelivered) as raised:
            await notifier.notify(EVENT)
    assert raised.value.retry_after_s == seconds


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 200"])
async def test_an_answer_that_is_none_means_try_again(receiver, clock, answer):
    receiver.answer = answer
    async with notifier_for(receiver, clock=clock) as notifier:
        with pytest.raises(NotDelivered, match="connection failed"):
            await notifier.notify(EVENT)


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf"])
async def test_a_receiver_that_stays_silent_means_try_again(receiver, clock, answer):
    receiver.answer, receiver.stay = answer, True
    async with notifier_for(receiver, clock=clock, timeout="100ms") as notifier:
        with pytest.raises(NotDelivered, match="no answer within"):
            await notifier.notify(EVENT)


async def test_a_success_that_breaks_off_is_a_success(receiver, clock):
    receiver.answer = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf"
    async with notifier_for(receiver, clock=clock) as notifier:
        assert (await notifier.notify(EVENT)).external_id is None


async def test_of_an_endless_answer_only_the_beginning_is_read(receiver, clock):
    receiver.answer = reply(200, body=b'{"id": "D-1"}' + b" " * (8 * 1024 * 1024))
    async with notifier_for(receiver, clock=clock) as notifier:
        assert (await notifier.notify(EVENT)).external_id == "D-1"


async def test_nobody_there_means_try_again(clock):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    config = webhook.Config.model_validate(
        {"url": f"http://127.0.0.1:{port}/", "secret": SECRET, "allow": ["loopback"]}
    )
    notifier = webhook.build(config, clock=clock)
    with pytest.raises(NotDelivered, match="connection failed"):
        await notifier.notify(EVENT)
    await notifier.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0"])
async def test_a_local_address_is_not_asked_unless_allowed(receiver, clock, host):
    url = f"http://{host}:{receiver.port}/events"
    async with notifier_for(receiver, clock=clock, url=url, allow=()) as notifier:
        with pytest.raises(NotDelivered, match="not allowed"):
            await notifier.notify(EVENT)
    assert receiver.requests == []


async def test_a_name_is_asked_for_by_its_name(receiver, clock):
    url = f"http://localhost:{receiver.port}/events"
    async with notifier_for(receiver, clock=clock, url=url) as notifier:
        await notifier.notify(EVENT)
    assert receiver.requests[0][1]["host"] == f"localhost:{receiver.port}"


async def test_an_id_that_no_header_can_carry_is_refused(receiver, clock):
    async with notifier_for(receiver, clock=clock) as notifier:
        with pytest.raises(Refused, match="webhook-id"):
            await notifier.notify(Outgoing("a.b", "desk", "case-1", BODY))


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("url", "ftp://example.org/", "http or https"),
        ("url", "http:///events", "with a host"),
        ("url", "http://example.org:99999/", "cannot be read"),
        ("secret", "hunter2", "signing secret"),
        ("timeout", "0s", "greater than"),
        ("timeout", 10, "duration such as"),
        ("allow", ["intranet"], "network such as"),
    ],
)
def test_a_wrong_setting_says_what_is_expected(key, value, expected):
    settings = {"url": "https://example.org/events", "secret": SECRET} | {key: value}
    with pytest.raises(ValidationError, match=expected) as raised:
        webhook.Config.model_validate(settings)
    assert SECRET not in str(raised.value)
    assert "hunter2" not in str(raised.value)


def test_a_configuration_that_is_shown_hides_its_secret():
    config = webhook.Config.model_validate({"url": "https://example.org/", "secret": SECRET})
    assert SECRET not in repr(config)
    assert SECRET not in config.model_dump_json()
