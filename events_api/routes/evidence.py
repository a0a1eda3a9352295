"""The pictures and clips that show something: masked for everyone, as they are for who gives a reason."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from citybrain.errors import Unreadable
from events_api.guard import is_of_another_site
from events_api.parts import CaseReader, Given, Parts, audit, may_unmask
from events_api.problems import Problem
from events_api.ranges import whole_or_part
from events_api.schemas import PROBLEM
from events_api.shown_evidence import Busy, Shown

router = APIRouter(tags=["evidence"])

_CONTENT: dict[str, dict[str, str]] = {"image/jpeg": {}, "video/mp4": {}}
_ONE_LOOK = timedelta(minutes=5)
"""A player asks for a clip in many parts: they are one look at it."""
_FOR_EVER, _FOR_A_DAY = "private, max-age=31536000, immutable", "private, max-age=86400"


@router.get(
    "/evidence/{ref:path}",
    response_class=Response,
    responses={
        200: {"content": _CONTENT},
        206: {"content": _CONTENT, "description": "The part that `Range` asked for"},
        **dict.fromkeys((403, 404, 410, 416, 422, 429, 503), PROBLEM),
    },
)
def evidence(
    ref: str,
    request: Request,
    given: Given,
    actor: CaseReader,
    *,
    unmasked: Annotated[bool, Query(description="the original: role operator, with a reason, which is noted")] = False,
    reason: Annotated[str, Query(max_length=200, description="why the original must be seen")] = "",
) -> Response:
    """A picture or a clip by its reference, whole or in part (`Range`). Faces and plates are masked, and a clip is coarse, unless
    the original is asked for. What a reference names never changes."""
    if unmasked and given.shown.masks:
        if is_of_another_site(request.headers):
            raise Problem(403, "foreign-origin", "a page of another site may not ask for originals")
        may_unmask(given, actor, reason=reason)
        shown = _found(given, ref, original=True)
        audit(given, actor, "evidence.unmasked", ref, reason=reason, once_within=_ONE_LOOK)
        caching = "no-store"
    else:
        shown = _found(given, ref, original=False)
        caching = _FOR_A_DAY if shown.masked else _FOR_EVER
    return whole_or_part(
        request,
        shown.content,
        media_type=shown.media_type,
        etag=shown.etag,
        headers={"cache-control": caching, "masked": str(shown.masked).lower()},
    )


def _found(given: Parts, ref: str, *, original: bool) -> Shown:
    """Raises Problem 403, 404, 410, 503."""
    if not _is_plain(ref):
        raise Problem(404, "no-such-picture", f"{ref[:80]!r} is not a reference")
    try:
        return given.shown.original(ref) if original else given.shown.get(ref)
    except KeyError:
        if given.store.has_evidence(ref):
            raise Problem(410, "picture-gone", "a case names it, but it is no longer kept") from None
        raise Problem(404, "no-such-picture", f"there is no picture or clip {ref[:80]!r}") from None
    except Unreadable:
        raise Problem(410, "picture-altered", "it no longer fits its hash and is not shown") from None
    except Busy:
        raise Problem(503, "busy", "clips are being made for others", headers={"Retry-After": "5"}) from None
    except ValueError:
        raise Problem(403, "not-maskable", "it cannot be masked; ask for the original, with a reason") from None


def _is_plain(ref: str) -> bool:
    return ref.isprintable() and "\\" not in ref and not any(part in ("", ".", "..") for part in ref.split("/"))
