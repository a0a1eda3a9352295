"""A case's evidence as one signed file, to be checked by anybody, without us."""

from __future__ import annotations

import json
import re
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from citybrain.errors import Unreadable
from citybrain.evidence.bundle import Contents, Piece, pack
from citybrain.evidence.bundle import Given as Held
from events_api.guard import is_of_another_site
from events_api.limits import Limited
from events_api.parts import Exporter, Given, Parts, audit, limit, may_unmask
from events_api.problems import Problem
from events_api.routes.cases import no_case
from events_api.schemas import PROBLEM
from events_api.shown_evidence import Busy

router = APIRouter(tags=["evidence"])


@router.get(
    "/cases/{id:path}/evidence.zip",
    response_class=Response,
    responses={200: {"content": {"application/zip": {}}}, **dict.fromkeys((403, 404, 422, 429, 503), PROBLEM)},
)
def export(
    id: str,
    request: Request,
    given: Given,
    actor: Exporter,
    *,
    unmasked: Annotated[bool, Query(description="originals: role operator, with a reason, which is noted")] = False,
    reason: Annotated[str, Query(max_length=200, description="why originals are needed")] = "",
) -> Response:
    """Pictures, clips, timeline, seals, public key and a signature over all of it; `citybrain verify-evidence` checks it."""
    if is_of_another_site(request.headers):
        raise Problem(403, "foreign-origin", "a page of another site may not export evidence")
    events = [json.loads(event.raw) for event in given.store.timeline(id)]
    if not events:
        raise no_case(id)
    limit(given, actor, Limited.EXPORT)
    originals = unmasked and given.shown.masks
    if originals:
        may_unmask(given, actor, reason=reason)
    case = events[-1]["data"]
    pieces = [_piece(given, each["ref"], original=originals) for each in case["evidence"]]
    audit(given, actor, "evidence.exported", id, unmasked="yes" if originals else None, reason=reason)
    contents = Contents(case, events, pieces, given.seals(id), actor.name, given.clock.now())
    name = re.sub(r"[^A-Za-z0-9._-]", "_", id)[:100]
    return Response(
        pack(contents, given.signer),
        media_type="application/zip",
        headers={"content-disposition": f'attachment; filename="{name}.zip"', "cache-control": "no-store"},
    )


def _piece(given: Parts, ref: str, *, original: bool) -> Piece:
    """What cannot be masked, or no longer fits its hash, is left out like what is gone; the seal still tells of it."""
    try:
        shown = given.shown.original(ref) if original else given.shown.get(ref)
    except Busy:
        raise Problem(503, "busy", "clips are being made for others", headers={"Retry-After": "5"}) from None
    except (KeyError, Unreadable):
        return Piece(ref, Held.GONE, None)
    except ValueError:
        return Piece(ref, Held.WITHHELD, None)
    return Piece(ref, Held.MASKED if shown.masked else Held.ORIGINAL, shown.content)
