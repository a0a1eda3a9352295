"""Opening a session, question by question, with servers of every temper."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citybrain.errors import CameraGone
from ingest.rtsp.address import read_address
from ingest.rtsp.conversation import NotSpoken, Opened, Redirected, opening
from ingest.rtsp.login import Login
from ingest.rtsp.messages import Request, Response

URL = "rtsp://10.0.0.1/live?channel=1"
SDP = (
    b"v=0\r\na=control:*\r\nm=audio 0 RTP/AVP 8\r\na=control:track=0\r\n"
    b"m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:track=1\r\n"
)
Answer = Callable[[Request], Response]


def response(status: int = 200, body: bytes = b"", **headers: str | tuple[str, ...]) -> Response:
    named = {name.replace("_", "-"): (value,) if isinstance(value, str) else value for name, value in headers.items()}
    return Response(status, named, body)


def friendly(request: Request) -> Response:
    """A server that does what it is asked."""
    if request.method == "OPTIONS":
        return response(public="OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER")
    if request.method == "DESCRIBE":
        return response(body=SDP, content_base="rtsp://10.0.0.1/live/")
    if request.method == "SETUP":
        transport = "RTP/AVP/TCP;unicast;interleaved=2-3"
        if "client_port" in request.headers["Transport"]:
            transport = "RTP/AVP;unicast;client_port=5000-5001;server_port=6000-6001"
        return response(session="abc; timeout=30", transport=transport)
    return response()


def talk(
    server: Answer, *, udp: bool = False, login: Login | None = None, most: int = 30
) -> tuple[Opened, list[tuple[Request, str | None]]]:
    conversation = opening(URL, login or Login(), udp=udp, ports=lambda: (5000, 5001))
    asked: list[tuple[Request, str | None]] = []
    question = next(conversation)
    while len(asked) < most:
        asked.append(question)
        try:
            question = conversation.send(server(question[0]))
        except StopIteration as end:
            return end.value, asked
    pytest.fail("it asks for ever")


def test_a_session_is_opened_in_four_steps():
    opened, asked = talk(friendly)
    assert [(request.method, request.url) for request, _ in asked] == [
        ("OPTIONS", URL),
        ("DESCRIBE", URL),
        ("SETUP", "rtsp://10.0.0.1/live/track=1"),
        ("PLAY", "rtsp://10.0.0.1/live/"),
    ]
    assert asked[2][0].headers == {"Transport": "RTP/AVP/TCP;unicast;interleaved=0-1"}
    assert asked[3][0].headers == {"Session": "abc", "Range": "npt=0.000-"}
    assert (opened.session, opened.timeout_s, opened.keep_alive) == ("abc", 30.0, "GET_PARAMETER")
    assert (opened.channels, opened.udp, opened.video.codec) == ((2, 3), False, "h264")


def test_datagrams_are_asked_for_where_the_address_says_so():
    opened, asked = talk(friendly, udp=True)
    assert asked[2][0].headers == {"Transport": "RTP/AVP;unicast;client_port=5000-5001"}
    assert (opened.udp, opened.server_ports) == (True, (6000, 6001))


@pytest.mark.parametrize("udp", [False, True])
def test_who_refuses_one_way_of_sending_is_asked_for_the_other(udp):
    refused: list[Request] = []

    def server(request: Request) -> Response:
        if request.method == "SETUP" and not refused:
            refused.append(request)
            return response(461)
        return friendly(request)

    opened, _ = talk(server, udp=udp)
    assert opened.udp is not udp


def refusing(method: str, status: int, **headers: str) -> Answer:
    return lambda request: response(status, b"", **headers) if request.method == method else friendly(request)


@pytest.mark.parametrize(
    ("method", "status", "reason"),
    [
        ("DESCRIBE", 401, "wrong password"),
        ("DESCRIBE", 403, "forbidden"),
        ("DESCRIBE", 404, "not found"),
        ("DESCRIBE", 400, "rejected"),
        ("DESCRIBE", 503, "unavailable"),
        ("SETUP", 500, "unavailable"),
        ("SETUP", 453, "unavailable"),
        ("PLAY", 455, "rejected"),
        ("DESCRIBE", 302, "rejected"),
    ],
)
def test_what_a_server_refuses_has_a_reason(method, status, reason):
    with pytest.raises(CameraGone) as gone:
        talk(refusing(method, status))
    assert gone.value.reason == reason


def test_a_server_that_cannot_say_its_options_is_asked_on():
    opened, _ = talk(refusing("OPTIONS", 405))
    assert opened.keep_alive == "OPTIONS"


def test_a_camera_that_is_elsewhere_says_where():
    with pytest.raises(Redirected) as elsewhere:
        talk(refusing("DESCRIBE", 302, location="rtsp://10.0.0.2/x"))
    assert elsewhere.value.location == "rtsp://10.0.0.2/x"


@pytest.mark.parametrize(
    ("server", "why"),
    [
        (refusing("SETUP", 461), "neither"),
        (refusing("SETUP", 200, transport="RTP/AVP;multicast;destination=239.1.1.1;port=5000-5001"), "multicast"),
        (refusing("SETUP", 200, transport="RTP/AVP;unicast;client_port=0-1"), "datagrams"),
        (lambda request: response(body=b"m=video 0 RTP/AVP 26\r\n"), "jpeg"),
    ],
)
def test_what_is_not_spoken_is_named(server, why):
    with pytest.raises(NotSpoken, match=why):
        talk(server)


def test_each_request_carries_the_login_once_it_was_asked_for():
    def server(request: Request) -> Response:
        if request.method == "DESCRIBE" and challenged == []:
            challenged.append(request)
            return response(401, www_authenticate='Digest realm="a", nonce="b"')
        return friendly(request)

    challenged: list[Request] = []
    _, asked = talk(server, login=Login("admin", "secret"))
    assert [authorization is not None for _, authorization in asked] == [False, False, True, True, True]
    assert not any("secret" in (authorization or "") for _, authorization in asked)


def test_a_server_without_sessions_or_with_senseless_figures_is_borne():
    def server(request: Request) -> Response:
        if request.method == "SETUP":
            return response(session="x;timeout=0", transport="RTP/AVP/TCP;interleaved=900-901")
        return friendly(request)

    opened, _ = talk(server)
    assert (opened.timeout_s, opened.channels) == (60.0, (0, 1))
    opened, asked = talk(lambda request: response(body=SDP))
    assert opened.session == ""
    assert "Session" not in asked[-1][0].headers


@given(
    st.lists(
        st.builds(
            Response,
            st.integers(100, 599),
            st.dictionaries(
                st.sampled_from(["www-authenticate", "location", "session", "transport", "content-base", "public"]),
                st.tuples(st.text(max_size=40)),
            ),
            st.sampled_from([b"", SDP, SDP[:40], b"\xff\xfe"]),
        ),
        max_size=40,
    )
)
def test_whatever_a_server_answers_the_conversation_comes_to_an_end(answers):
    conversation = opening(URL, Login("admin", "secret"), udp=False, ports=lambda: (5000, 5001))
    next(conversation)
    try:
        for each in answers:
            conversation.send(each)
    except (CameraGone, NotSpoken, Redirected, StopIteration):
        return
    assert len(answers) < 40


def test_an_address_gives_away_nothing_it_keeps_secret():
    address = read_address("RTSP://ad%40min:p%3Aw@camera.example:8554/a%20b?x=1&y=2#transport=udp")
    assert address.url == "rtsp://camera.example:8554/a%20b?x=1&y=2"
    assert (address.scheme, address.host, address.port) == ("rtsp", "camera.example", 8554)
    assert (address.user, address.password, address.udp) == ("ad@min", "p:w", True)
    assert read_address("rtsp://[fe80::1]/x").host == "fe80::1"
    assert read_address("rtsp://h/x").port == 554


@pytest.mark.parametrize(
    ("location", "host", "user"),
    [
        ("rtsp://10.0.0.1:555/other", "10.0.0.1", "admin"),
        ("/other", "10.0.0.1", "admin"),
        ("rtsp://10.0.0.2/live", "10.0.0.2", ""),
        ("rtsp://guest:1@10.0.0.2/live", "10.0.0.2", "guest"),
    ],
)
def test_the_login_follows_a_redirect_to_the_same_host_only(location, host, user):
    there = read_address("rtsp://admin:secret@10.0.0.1/live").redirected(location)
    assert (there.host, there.user) == (host, user)
    assert there.password != "secret" or host == "10.0.0.1"


@pytest.mark.parametrize("url", ["rtsp://", "rtsp://[::1", "rtsp://h:port/x", "rtsp:///x"])
def test_what_is_no_address_is_not_found(url):
    with pytest.raises(CameraGone, match="not found"):
        read_address(url)
