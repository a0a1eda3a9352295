"""The pictures and clips that show something."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from citybrain.errors import Unreadable
from events_api.parts import CaseReader, Given
from events_api.problems import Problem
from events_api.ranges import whole_or_part
from events_api.schemas import PROBLEM

router = APIRouter(tags=["evidence"])

_CONTENT: dict[str, dict[str, str]] = {"image/jpeg": {}, "video/mp4": {}}


@router.get(
    "/evidence/{ref:path}",
    response_class=Response,
    responses={
        200: {"content": _CONTENT},
        206: {"content": _CONTENT, "description": "The part that `Range` asked for"},
        404: PROBLEM,
        410: PROBLEM,
        416: PROBLEM,
    },
)
def evidence(ref: str, request: Request, given: Given, _: CaseReader) -> Response:
    """A picture or a clip by its reference, whole or in part (`Range`). What a reference names never changes, so it may be
    cached for ever."""
    if not _is_plain(ref):
        raise Problem(404, "no-such-picture", f"{ref[:80]!r} is not a reference")
    try:
        content = given.evidence.get(ref)
    except KeyError:
        if given.store.has_evidence(ref):
            raise Problem(410, "picture-gone", "a case names it, but it is no longer kept") from None
        raise Problem(404, "no-such-picture", f"there is no picture or clip {ref[:80]!r}") from None
    except Unreadable:
        raise Problem(410, "picture-altered", "it no longer fits its hash and is not shown") from None
    return whole_or_part(
        request,
        content,
        media_type="video/mp4" if ref.endswith(".mp4") else "image/jpeg",
        etag=f'"{ref.rpartition("-")[2]}"',
        headers={"cache-control": "private, max-age=31536000, immutable"},
    )


def _is_plain(ref: str) -> bool:
    return ref.isprintable() and "\\" not in ref and not any(part in ("", ".", "..") for part in ref.split("/"))
