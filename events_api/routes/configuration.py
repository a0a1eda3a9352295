"""Which configuration each process goes on by, and which one on disk it refuses, and why."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from citybrain.ports import HotStore
from events_api.parts import Given, Viewer
from events_api.schemas import ConfigurationList, answers
from events_api.security import Role
from events_api.signs import hot_fields

router = APIRouter(tags=["overview"])


@router.get("/configuration", responses=answers(ConfigurationList))
def configuration(given: Given, actor: Viewer) -> JSONResponse:
    """What is in force in each process, and since when a changed folder is refused; its faults for engineers."""
    items = standings(given.hot)
    if not actor.role.covers(Role.ENGINEER):
        items = [each | {"faults": []} for each in items]
    return JSONResponse({"items": items})


def standings(hot: HotStore) -> list[dict[str, Any]]:
    """What each process said last, field by field."""
    found = []
    for key, value in hot.scan("configuration/"):
        fields = hot_fields(value)
        if not isinstance(fields.get("revision"), str):
            continue
        faults, refused_since = fields.get("faults"), fields.get("refused_since")
        found.append(
            {
                "process": key.removeprefix("configuration/"),
                "revision": fields["revision"],
                "adopted_at": str(fields.get("adopted_at")),
                "refused_since": None if refused_since is None else str(refused_since),
                "faults": [str(each) for each in faults] if isinstance(faults, list) else [],
                "fault_count": int(fields.get("fault_count") or 0),
            }
        )
    return found


def refused_since(hot: HotStore) -> str | None:
    """Since when some process refuses what is on disk."""
    return min((each["refused_since"] for each in standings(hot) if each["refused_since"]), default=None)
