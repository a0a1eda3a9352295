"""Cameras as people see them: where they stand, whether they can be looked through, and their latest picture."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response

from citybrain.domain.camera import Camera
from events_api.parts import Given, Parts, Viewer, heartbeats, hot_fields, is_fresh
from events_api.problems import Problem
from events_api.schemas import Camera as CameraModel
from events_api.schemas import CameraList, answers

router = APIRouter(tags=["cameras"])

STATES = ("connecting", "live", "stale", "unusable", "refused", "lost")
_COUNTS = ("looks", "overtaken", "lost_looks", "reconnects", "strikes")
_ADDRESS = re.compile(r"\w+://\S+")


@router.get("/cameras", responses=answers(CameraList))
def cameras(given: Given, _: Viewer) -> JSONResponse:
    """All cameras, by id."""
    return JSONResponse({"items": all_shown(given)})


@router.get(
    "/cameras/{id:path}/snapshot.jpg", response_class=Response, responses={200: {"content": {"image/jpeg": {}}}}
)
def snapshot(id: str, given: Given, _: Viewer) -> Response:
    """The latest picture, at most 640 pixels wide."""
    if id not in given.cameras:
        raise _no_camera(id)
    picture = given.hot.get(f"picture/{id}")
    if picture is None:
        raise Problem(404, "no-picture", f"there is no picture of camera {id} yet")
    return Response(picture, media_type="image/jpeg", headers={"cache-control": "no-store"})


@router.get("/cameras/{id:path}", responses=answers(CameraModel, 404))
def camera(id: str, given: Given, _: Viewer) -> JSONResponse:
    """One camera."""
    found = given.cameras.get(id)
    if found is None:
        raise _no_camera(id)
    return JSONResponse(_shown(found, hot_fields(given.hot.get(f"camera/{id}")), silent=_is_silent(given)))


def all_shown(given: Parts) -> list[dict[str, Any]]:
    """Every configured camera with what is known of it now."""
    states = {key.removeprefix("camera/"): hot_fields(value) for key, value in given.hot.scan("camera/")}
    silent = _is_silent(given)
    return [_shown(given.cameras[id], states.get(id, {}), silent=silent) for id in sorted(given.cameras)]


def _is_silent(given: Parts) -> bool:
    return is_fresh("ingest", heartbeats(given.hot), given.clock.now()) is False


def _shown(camera: Camera, known: Mapping[str, Any], *, silent: bool) -> dict[str, Any]:
    # Field by field: what ingest may write beside these, an address above all, stays inside.
    state, reason, reason_zh = known.get("state"), known.get("reason", ""), known.get("reason_zh", "")
    if silent:
        # A state that nobody renews is no state: a dead camera must not look alive because ingest died with it.
        state, reason, reason_zh = "unknown", "ingest is silent", "采集进程无响应"
    elif state not in STATES:
        state, reason, reason_zh = "unknown", "no report yet", "尚无状态"
    return {
        "id": camera.id,
        "name": camera.name.as_dict(),
        "location": None
        if camera.location is None
        else {"lon": camera.location[0], "lat": camera.location[1], "crs": "EPSG:4326"},
        "grid_cell": camera.grid_cell,
        "zones": [
            {"id": zone.id, "kind": zone.kind.value, "polygon": [list(point) for point in zone.polygon.points]}
            for zone in camera.zones
        ],
        "state": state,
        "reason": {"zh": _masked(reason_zh or reason), "en": _masked(reason)},
        **{name: _text(known.get(name)) for name in ("since", "last_look_at", "usable")},
        "clock_ok": bool(known["clock_ok"]) if "clock_ok" in known else None,
        "codec": _text(known.get("codec")),
        **{name: _count(known.get(name)) for name in ("width", "height")},
        "counts": {name: _count(known.get(name)) or 0 for name in _COUNTS},
        "snapshot": f"/v1/cameras/{camera.id}/snapshot.jpg" if known.get("last_look_at") else None,
    }


def _masked(reason: Any) -> str:
    return _ADDRESS.sub("…", str(reason))[:200]


def _text(value: Any) -> str | None:
    return None if value is None else _masked(value)


def _count(value: Any) -> int | None:
    return int(value) if isinstance(value, int | float) else None


def _no_camera(id: str) -> Problem:
    return Problem(404, "no-such-camera", f"there is no camera {id[:80]!r}")
