"""Cameras as people see them: where they stand, whether they can be looked through, and their latest picture."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse

from citybrain.domain.camera import Camera
from events_api.camera_overview import Known, Wanted, masked
from events_api.cursors import camera_cursor, camera_place
from events_api.parts import CaseViewer, Given, Viewer
from events_api.problems import Problem
from events_api.schemas import Camera as CameraModel
from events_api.schemas import CameraList, CameraStateName, answers

router = APIRouter(tags=["cameras"])

MOST = 1000
_COUNTS = ("looks", "overtaken", "lost_looks", "reconnects", "strikes")


@router.get("/cameras", responses=answers(CameraList, 400, 422))
def cameras(
    given: Given,
    _: Viewer,
    *,
    id: Annotated[list[str] | None, Query(max_length=MOST, description="these cameras")] = None,
    state: Annotated[list[CameraStateName] | None, Query(description="in one of these states")] = None,
    grid_cell: Annotated[str, Query(pattern=r"^\d{0,15}$", description="a code or its beginning")] = "",
    q: Annotated[str, Query(max_length=100, description="part of the id or of the name")] = "",
    order: Annotated[Literal["id", "urgency"], Query(description="urgency: those in trouble first")] = "id",
    limit: Annotated[int, Query(ge=1, le=MOST)] = MOST,
    cursor: str | None = None,
) -> JSONResponse:
    """Cameras by id, or those in trouble first; `counts` says how many match in each state."""
    urgent_first = order == "urgency"
    after = None if cursor is None else camera_place(cursor, order=order)
    wanted = Wanted(frozenset(state or ()), frozenset(id or ()), grid_cell, q.strip())
    page, more, counts = given.overview.now().find(wanted, urgent_first=urgent_first, after=after, limit=limit)
    last = (page[-1].by_urgency if urgent_first else (0, page[-1].camera.id)) if page and more else None
    return JSONResponse(
        {
            "items": [shown(known) for known in page],
            "next": camera_cursor(last, order=order) if last else None,
            "counts": dict(counts),
        }
    )


@router.get("/cameras/{id:path}", responses=answers(CameraModel, 404))
def camera(id: str, given: Given, _: CaseViewer) -> JSONResponse:
    """One camera."""
    found = given.cameras.get(id)
    if found is None:
        raise _no_camera(id)
    return JSONResponse(shown(given.overview.one(found)))


def shown(known: Known) -> dict[str, Any]:
    """A camera as the API answers."""
    # Field by field: what ingest may write beside these, an address above all, stays inside.
    camera, told = known.camera, known.told
    return {
        "id": camera.id,
        "name": camera.name.as_dict(),
        "location": location_of(camera),
        "grid_cell": camera.grid_cell,
        "zones": [
            {"id": zone.id, "kind": zone.kind.value, "polygon": [list(point) for point in zone.polygon.points]}
            for zone in camera.zones
        ],
        "state": known.state,
        "reason": {"zh": known.reason_zh, "en": known.reason},
        **{name: _text(told.get(name)) for name in ("since", "last_look_at", "usable")},
        "staleness_s": _seconds(known, "staleness_s"),
        "patience_s": _seconds(known, "patience_s"),
        "late": known.state != "unknown" and told.get("late") is True,
        "findings": _findings(known),
        "clock_ok": bool(told["clock_ok"]) if "clock_ok" in told else None,
        "codec": _text(told.get("codec")),
        "through": _text(told.get("through")),
        **{name: _count(told.get(name)) for name in ("width", "height")},
        "counts": {name: count_of(known, name) for name in _COUNTS},
        "snapshot": f"/v1/cameras/{camera.id}/snapshot.jpg" if told.get("last_look_at") else None,
    }


def location_of(camera: Camera) -> dict[str, Any] | None:
    """Where it stands, as the API answers."""
    return camera.location and {"lon": camera.location[0], "lat": camera.location[1], "crs": "EPSG:4326"}


def count_of(known: Known, name: str) -> int:
    """One of ingest's counts, 0 when it said none."""
    return _count(known.told.get(name)) or 0


def staleness_of(known: Known) -> float | None:
    """How long the camera went unseen at most, lately; None when that is not known."""
    return _seconds(known, "staleness_s")


def _seconds(known: Known, name: str) -> float | None:
    value = known.told.get(name)
    # What nobody renews is not known, and not what it was.
    return float(value) if isinstance(value, int | float) and known.state != "unknown" else None


def _findings(known: Known) -> list[dict[str, str]]:
    said = known.told.get("findings")
    found = [each for each in said if isinstance(each, dict)] if isinstance(said, list) else []
    return [{word: masked(each.get(word, "")) for word in ("zh", "en")} for each in found]


def _text(value: Any) -> str | None:
    return None if value is None else masked(value)


def _count(value: Any) -> int | None:
    return int(value) if isinstance(value, int | float) else None


def _no_camera(id: str) -> Problem:
    return Problem(404, "no-such-camera", f"there is no camera {id[:80]!r}")
