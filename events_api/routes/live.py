"""A camera's latest picture, and its pictures as they are taken: one after another in one answer, as every browser shows them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Annotated

from fastapi import APIRouter, Header, Request
from fastapi.responses import Response
from starlette.types import Receive, Scope, Send

from citybrain.clock import iso
from citybrain.errors import Transient
from events_api.parts import Given, Viewer, who_asks
from events_api.pictures import Pictures, Shot
from events_api.problems import Problem
from events_api.schemas import PROBLEM

router = APIRouter(tags=["cameras"])

MOST_STREAMS = 64
MOST_OF_ONE = 4  # a browser has six connections to a server: these must not be all of them
LOOK_EVERY_S = 0.2
ASK_EVERY_S = 5.0  # whether the camera is still configured, and the key still good
STALLED_S = 10.0  # a client that takes nothing for so long is let go
_BOUNDARY = "look"
_TYPE = f"multipart/x-mixed-replace; boundary={_BOUNDARY}"


@router.get(
    "/cameras/{id:path}/snapshot.jpg",
    response_class=Response,
    responses={200: {"content": {"image/jpeg": {}}}, 304: {"description": "it is still that one"}, 404: PROBLEM},
)
def snapshot(id: str, given: Given, _: Viewer, if_none_match: Annotated[str | None, Header()] = None) -> Response:
    """The latest picture, at most 640 pixels wide; `captured-at` says when it was taken."""
    shot = _shot(given.pictures, id, known=id in given.cameras)
    headers = {"cache-control": "no-store", "etag": shot.etag}
    if shot.captured_at is not None:
        headers["captured-at"] = iso(shot.captured_at)
    if if_none_match is not None and shot.etag in (each.strip() for each in if_none_match.split(",")):
        return Response(status_code=304, headers=headers)
    return Response(shot.image, media_type="image/jpeg", headers=headers)


@router.get(
    "/cameras/{id:path}/live",
    response_class=Response,
    responses={
        200: {"content": {"multipart/x-mixed-replace": {}}, "description": "JPEG after JPEG, each with `captured-at`"},
        404: PROBLEM,
        429: PROBLEM,
        503: PROBLEM,
    },
)
async def live(id: str, request: Request, given: Given, actor: Viewer) -> Response:
    """The pictures at the pace at which the camera is looked at, the newest to whoever is ready for it."""
    await asyncio.to_thread(_shot, given.pictures, id, known=id in given.cameras)
    watching: set[LiveStream] = request.app.state.live
    who = f"{actor.name}@{request.client.host if request.client else ''}"
    if len(watching) >= MOST_STREAMS:
        raise Problem(503, "too-many-streams", f"{MOST_STREAMS} cameras are watched", headers={"Retry-After": "5"})
    if sum(each.who == who for each in watching) >= MOST_OF_ONE:
        raise Problem(429, "too-many-streams", f"one may watch {MOST_OF_ONE} cameras", headers={"Retry-After": "5"})

    def still_allowed() -> None:
        who_asks(request, given)
        if id not in given.cameras:
            raise _no_camera(id)

    return LiveStream(
        given.pictures,
        id,
        who=who,
        register=watching,
        closing=lambda: given.feed.closing,
        still_allowed=still_allowed,
    )


class LiveStream(Response):
    """Takes the newest picture for one viewer whenever there is another: nothing is queued, a slow viewer sees fewer."""

    def __init__(
        self,
        pictures: Pictures,
        camera: str,
        *,
        who: str,
        register: set[LiveStream],
        closing: Callable[[], bool],
        still_allowed: Callable[[], None],
    ) -> None:
        super().__init__(headers={"cache-control": "no-store", "x-accel-buffering": "no"}, media_type=_TYPE)
        del self.headers["content-length"]
        self.who = who
        self._pictures, self._camera = pictures, camera
        self._register, self._closing, self._still_allowed = register, closing, still_allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        if scope.get("head"):
            await send({"type": "http.response.body", "body": b""})
            return
        self._register.add(self)
        gone = asyncio.create_task(_disconnected(receive))
        try:
            async for chunk in self._chunks(gone):
                async with asyncio.timeout(STALLED_S):
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        except (TimeoutError, OSError):
            return
        finally:
            self._register.discard(self)
            gone.cancel()

    async def _chunks(self, gone: asyncio.Task[None]) -> AsyncIterator[bytes]:
        etag, asked = "", 0.0
        yield f"--{_BOUNDARY}\r\n".encode()
        while not (self._closing() or gone.done()):
            shot = await asyncio.to_thread(self._pictures.newest, self._camera)
            if shot is not None and shot.etag != etag:
                etag = shot.etag
                yield _part(shot)
            await asyncio.wait({gone}, timeout=LOOK_EVERY_S)
            asked += LOOK_EVERY_S
            if asked >= ASK_EVERY_S:
                asked = 0.0
                try:
                    await asyncio.to_thread(self._still_allowed)
                except Problem:
                    return  # its key or session is gone, or the camera
                except Transient:
                    continue  # nobody can say now; asked again in a moment


def _part(shot: Shot) -> bytes:
    taken = "" if shot.captured_at is None else f"captured-at: {iso(shot.captured_at)}\r\n"
    head = f"content-type: image/jpeg\r\ncontent-length: {len(shot.image)}\r\n{taken}\r\n"
    # The next boundary comes with the picture: a browser shows a part once it knows that it is whole.
    return head.encode() + shot.image + f"\r\n--{_BOUNDARY}\r\n".encode()


def _shot(pictures: Pictures, id: str, *, known: bool) -> Shot:
    if not known:
        raise _no_camera(id)
    shot = pictures.newest(id)
    if shot is None:
        raise Problem(404, "no-picture", f"there is no picture of camera {id} yet")
    return shot


def _no_camera(id: str) -> Problem:
    return Problem(404, "no-such-camera", f"there is no camera {id[:80]!r}")


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
