"""The scenes that are looked for, and the figures of the day."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from citybrain.clock import iso
from events_api.parts import Given, Parts, Viewer
from events_api.routes.configuration import refused_since
from events_api.schemas import SceneList, Stats, answers
from events_api.signs import added_up, heartbeats

router = APIRouter(tags=["overview"])

TEN_SECONDS = 10.0
_LATENCY_OVER = timedelta(hours=24)


@router.get("/scenes", responses=answers(SceneList))
def scenes(given: Given, _: Viewer) -> JSONResponse:
    """All scenes that are configured."""
    items = [
        {
            "id": scene.id,
            "title": scene.title.as_dict(),
            "status": scene.status,
            "severity": scene.severity,
            "code": scene.code,
            "zone_kind": scene.zone_kind,
            "hold_s": scene.hold.total_seconds(),
        }
        for scene in given.scenes
    ]
    return JSONResponse({"items": items})


@router.get("/stats", responses=answers(Stats))
def stats(given: Given, _: Viewer) -> JSONResponse:
    """Cases by state and scene, latency, cameras, and what the processes say of themselves."""
    by_scene: dict[str, dict[str, int]] = defaultdict(dict)
    by_state: Counter[str] = Counter()
    for (scene, state), count in given.store.counts().items():
        by_scene[scene][state] = count
        by_state[state] += count
    now = given.clock.now()
    latencies = given.store.latencies(since=now - _LATENCY_OVER)
    return JSONResponse(
        {
            "at": iso(now),
            "cursor": str(given.store.cursor()),
            "cases": dict(by_state),
            "scenes": dict(by_scene),
            "cameras": dict(given.overview.now().counts),
            "latency": {
                "count": len(latencies),
                "p50_s": percentile(latencies, 0.50),
                "p99_s": percentile(latencies, 0.99),
                "within_10s": sum(1 for latency in latencies if latency <= TEN_SECONDS),
            },
            "view": {"lag": given.projector.lag(), "set_aside": given.store.set_aside()},
            "configuration_refused_since": refused_since(given.hot),
            "degraded": [each.as_fields() for each in given.vitals.lacking()],
            "figures": figures(given),
        }
    )


def figures(given: Parts) -> dict[str, Any]:
    """Figures by `role.figure`, summed over a role's processes, and those handed in by the assembly."""
    return {**added_up(heartbeats(given.hot), given.clock.now()), **given.figures()}


def percentile(ascending: Sequence[float], share: float) -> float | None:
    """The nearest-rank percentile; None of nothing."""
    return ascending[max(0, math.ceil(share * len(ascending)) - 1)] if ascending else None
