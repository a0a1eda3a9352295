"""How a session is opened, as questions and answers (RFC 2326): no socket here, only what is said next.

OPTIONS ▸ DESCRIBE ▸ SETUP (the first video, inside the connection; as datagrams when asked for or refused) ▸ PLAY
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from dataclasses import dataclass

from citybrain.errors import CameraGone, Transient
from ingest.rtsp.description import Video, read_description, resolved
from ingest.rtsp.login import Login
from ingest.rtsp.messages import Request, Response

DEFAULT_TIMEOUT_S = 60.0

Saying = Generator[tuple[Request, str | None], Response, Response]


class NotSpoken(Transient):
    """A stream that is there, and that somebody else must read. `why` names what is not spoken."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(why)


class Redirected(Transient):
    """The camera is elsewhere."""

    def __init__(self, location: str) -> None:
        self.location = location
        super().__init__("redirected")


@dataclass(frozen=True, slots=True)
class Opened:
    """A session that plays. `channels` are those of the connection, `server_ports` those that datagrams come from."""

    video: Video
    control: str
    session: str
    timeout_s: float
    keep_alive: str
    channels: tuple[int, int] = (0, 1)
    udp: bool = False
    server_ports: tuple[int, int] | None = None


def opening(
    url: str, login: Login, *, udp: bool, ports: Callable[[], tuple[int, int]]
) -> Generator[tuple[Request, str | None], Response, Opened]:
    """Yields what to ask, with its Authorization; is sent the answers. `ports` binds a pair of ports for datagrams.

    Raises CameraGone, NotSpoken or Redirected.
    """
    answer = yield from _asked(Request("OPTIONS", url), login)
    methods = {each.strip().upper() for each in ",".join(answer.headers.get("public", ())).split(",")}
    answer = yield from _asked(Request("DESCRIBE", url, {"Accept": "application/sdp"}), login)
    _check(answer)
    base = next((each for name in ("content-base", "content-location") if "://" in (each := answer.header(name))), url)
    description = read_description(answer.body)
    video = description.video
    if video is None:
        if description.others:
            raise NotSpoken(", ".join(description.others))
        raise CameraGone("no video")
    control = description.control if "://" in description.control else base
    where = resolved(control, video.control)
    answer, by_udp = yield from _set_up(where, login, udp=udp, ports=ports)
    session, _, parameters = answer.header("session").partition(";")
    opened = _opened(answer, video, control, session.strip(), parameters, udp=by_udp, methods=methods)
    headers = {"Session": opened.session, "Range": "npt=0.000-"} if opened.session else {"Range": "npt=0.000-"}
    _check((yield from _asked(Request("PLAY", control, headers), login)))
    return opened


def _set_up(
    where: str, login: Login, *, udp: bool, ports: Callable[[], tuple[int, int]]
) -> Generator[tuple[Request, str | None], Response, tuple[Response, bool]]:
    """Inside the connection first, unless datagrams were asked for; then the other way."""
    for by_udp in (udp, not udp):
        if by_udp:
            one, other = ports()
            transport = f"RTP/AVP;unicast;client_port={one}-{other}"
        else:
            transport = "RTP/AVP/TCP;unicast;interleaved=0-1"
        answer = yield from _asked(Request("SETUP", where, {"Transport": transport}), login)
        if answer.status != 461:
            _check(answer)
            return answer, by_udp
    raise NotSpoken("neither RTP inside the connection nor unicast datagrams")


def _opened(
    answer: Response,
    video: Video,
    control: str,
    session: str,
    parameters: str,
    *,
    udp: bool,
    methods: set[str],
) -> Opened:
    transport = answer.header("transport")
    if "multicast" in transport.lower():
        raise NotSpoken("multicast")
    if not udp and "client_port" in transport.lower():
        raise NotSpoken("datagrams where the connection was asked for")
    timeout = re.search(r"timeout\s*=\s*(\d{1,6})", parameters, re.IGNORECASE)
    return Opened(
        video=video,
        control=control,
        session=session,
        timeout_s=max(2.0, float(timeout[1])) if timeout and int(timeout[1]) else DEFAULT_TIMEOUT_S,
        keep_alive="GET_PARAMETER" if "GET_PARAMETER" in methods else "OPTIONS",
        channels=_pair(transport, "interleaved", most=255) or (0, 1),
        udp=udp,
        server_ports=_pair(transport, "server_port", most=65535),
    )


def _pair(transport: str, name: str, *, most: int) -> tuple[int, int] | None:
    found = re.search(rf"{name}\s*=\s*(\d{{1,5}})(?:\s*-\s*(\d{{1,5}}))?", transport, re.IGNORECASE)
    if found is None:
        return None
    one = int(found[1])
    other = int(found[2]) if found[2] else one + 1
    return (one, other) if one != other and max(one, other) <= most else None


def _asked(request: Request, login: Login) -> Saying:
    """One question, asked again with a login when there is a challenge."""
    while True:
        authorization = login.header(request.method, request.url)
        answer = yield request, authorization
        if answer.status == 401:
            login.challenged(answer.headers.get("www-authenticate", ()), answered=authorization is not None)
            continue
        login.accepted()
        if answer.status in (301, 302, 303, 305, 307, 308):
            if not answer.header("location"):
                raise CameraGone("rejected", "sent away to nowhere")
            raise Redirected(answer.header("location"))
        return answer


def _check(answer: Response) -> None:
    status = answer.status
    if 200 <= status < 300:
        return
    said = f"status {status}"
    if status in (403, 404):
        raise CameraGone("forbidden" if status == 403 else "not found", said)
    # 453: not enough bandwidth, which is how devices say that too many are watching.
    raise CameraGone("unavailable" if status >= 500 or status == 453 else "rejected", said)
