"""A camera's view, accepted by people: the way back for one that was turned on purpose."""

from __future__ import annotations

import logging

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse, Response

from events_api.parts import Engineer, Given, audit
from events_api.problems import Problem
from events_api.schemas import PROBLEM

router = APIRouter(tags=["cameras"])

_log = logging.getLogger(__name__)


@router.post(
    "/cameras/{id:path}/view", status_code=202, responses={404: PROBLEM, 503: PROBLEM}, response_class=Response
)
def accept(id: str, given: Given, actor: Engineer) -> PlainTextResponse:
    """Take what the camera shows now for its view. Look at its zones first: they stay where they are in the picture."""
    if id not in given.cameras:
        raise Problem(404, "no-such-camera", f"there is no camera {id[:80]!r}")
    audit(given, actor, "camera.view-accepted", id)
    # Empty is how people say it: whoever looks through the camera finds it within seconds and learns the view anew.
    given.hot.put(f"baseline/{id}", b"")
    if given.hot.away_since() is not None:
        raise Problem(503, "hot-away", "nobody can be told now; try again", headers={"Retry-After": "5"})
    _log.info("%s accepts the view of camera %s", actor.name, id)
    return PlainTextResponse("", status_code=202)
