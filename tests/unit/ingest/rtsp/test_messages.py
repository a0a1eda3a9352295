"""RTSP messages as cameras write them, cut anywhere, and what is none."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citybrain.errors import CameraGone
from ingest.rtsp.messages import Asked, Inbox, Request, Response, read_message

ANSWER = (
    b"RTSP/1.0 200 OK\r\nCSeq: 2\r\nContent-Base: rtsp://a/b/\r\nWWW-Authenticate: one\r\n"
    b"WWW-Authenticate: two\r\nContent-Length: 5\r\n\r\nv=0\r\n"
)
PACKET = b"$\x00\x00\x03abc"


def read(data: bytes) -> Response | Asked | None:
    inbox = Inbox()
    inbox.feed(data)
    return inbox.next()


def answer(data: bytes) -> Response:
    found = read(data)
    assert isinstance(found, Response)
    return found


def test_an_answer_is_read_with_its_headers_and_its_body():
    found = answer(ANSWER)
    assert (found.status, found.sequence, found.body) == (200, 2, b"v=0\r\n")
    assert found.header("content-base") == "rtsp://a/b/"
    assert found.headers["www-authenticate"] == ("one", "two")
    assert found.header("session") == ""


@pytest.mark.parametrize(
    ("text", "sequence"),
    [
        (b"RTSP/1.0 200 OK\nCSeq: 2\n\n", 2),
        (b"RTSP/1.0 200 OK\r\nCSeq: 2\n\r\n", 2),
        (b"\r\n\r\nRTSP/1.0 200 OK\r\nCSEQ :\t2\r\n\r\n", 2),
        (b"rtsp/1.0 200\r\ncseq:2\r\nno header\r\n: none\r\n\r\n", 2),
        (b"RTSP/1.0 200 OK\r\n\r\n", None),
        (b"RTSP/1.0 200 OK\r\nCSeq: many\r\n\r\n", None),
        (b"RTSP/1.0 200 OK\r\nX: a\r\n b\r\nCSeq: 3\r\nContent-Length: nought\r\n\r\n", 3),
        (b"RTSP/1.0 200 \xff\xfe\r\nCSeq: 4\r\n\r\n", 4),
    ],
)
def test_odd_ways_to_write_an_answer_are_understood(text, sequence):
    found = answer(text)
    assert (found.status, found.sequence) == (200, sequence)


def test_what_the_camera_asks_is_told_from_an_answer():
    assert read(b"OPTIONS * RTSP/1.0\r\nCSeq: 7\r\n\r\n") == Asked("OPTIONS", "7")


@given(st.lists(st.integers(0, len(ANSWER + PACKET) * 2), max_size=12))
def test_wherever_the_network_cuts_the_messages_are_the_same(cuts):
    data = (PACKET + ANSWER) * 2
    inbox, found = Inbox(), []
    edges = [0, *sorted(cuts), len(data)]
    for start, end in itertools.pairwise(edges):
        inbox.feed(data[start:end])
        while (message := inbox.next()) is not None:
            found.append(message)
    assert found == [answer(ANSWER)] * 2
    assert inbox.rest() == PACKET * 2


def test_packets_around_an_answer_are_kept_for_later():
    inbox = Inbox()
    inbox.feed(PACKET + ANSWER + PACKET + b"$\x01")
    assert isinstance(inbox.next(), Response)
    assert inbox.rest() == PACKET + PACKET + b"$\x01"


@pytest.mark.parametrize(
    "text",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\n",
        b"220 mail.example ESMTP\r\n",
        b"RTSP/1.0 OK\r\n\r\n",
        b"RTSP/1.0 200 OK\r\nContent-Length: 99999999\r\n\r\n",
        b"RTSP/1.0 200 OK\r\nContent-Length: 9999999999999999999999\r\n\r\n",
        b"RTSP/1.0 200 OK\r\n" + b"X: y\r\n" * 20_000,
        (PACKET[:2] + b"\xff\xff" + b"x" * 65_535) * 200,
    ],
)
def test_what_is_no_rtsp_is_garbage(text):
    with pytest.raises(CameraGone, match="garbage"):
        read(text)


@given(st.binary(max_size=400))
def test_whatever_comes_is_a_message_or_garbage_or_not_yet_one(data):
    try:
        found = read_message(data, 0, len(data))
    except CameraGone as gone:
        assert gone.reason == "garbage"  # noqa: PT017  # nothing at all is right too
    else:
        assert found is None or found[1] <= len(data)


@given(st.data())
def test_a_damaged_answer_breaks_nothing(data):
    text = bytearray(ANSWER)
    for _ in range(data.draw(st.integers(1, 6))):
        text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    try:
        read(bytes(text))
    except CameraGone as gone:
        assert gone.reason == "garbage"  # noqa: PT017  # it may as well be read


def test_a_request_carries_its_number_and_its_login():
    request = Request("SETUP", "rtsp://a/b", {"Transport": "RTP/AVP"})
    assert request.encoded(3, "Basic x") == (
        b"SETUP rtsp://a/b RTSP/1.0\r\nCSeq: 3\r\nAuthorization: Basic x\r\n"
        b"User-Agent: citybrain\r\nTransport: RTP/AVP\r\n\r\n"
    )
    assert b"Authorization" not in request.encoded(4, None)
