"""The pictures that show something."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response

from citybrain.errors import Unreadable
from events_api.parts import Given, Reader
from events_api.problems import Problem
from events_api.schemas import PROBLEM

router = APIRouter(tags=["evidence"])


@router.get(
    "/evidence/{ref:path}",
    response_class=Response,
    responses={200: {"content": {"image/jpeg": {}}}, 404: PROBLEM, 410: PROBLEM},
)
def evidence(ref: str, given: Given, _: Reader) -> Response:
    """A picture by its reference. What a reference names never changes, so it may be cached for ever."""
    if not _is_plain(ref):
        raise Problem(404, "no-such-picture", f"{ref[:80]!r} is not a reference")
    try:
        picture = given.evidence.get(ref)
    except KeyError:
        if given.store.has_evidence(ref):
            raise Problem(410, "picture-gone", "a case names this picture, but it is no longer kept") from None
        raise Problem(404, "no-such-picture", f"there is no picture {ref[:80]!r}") from None
    except Unreadable:
        raise Problem(410, "picture-altered", "the picture no longer fits its hash and is not shown") from None
    return Response(picture, media_type="image/jpeg", headers={"cache-control": "private, max-age=31536000, immutable"})


def _is_plain(ref: str) -> bool:
    return ref.isprintable() and "\\" not in ref and not any(part in ("", ".", "..") for part in ref.split("/"))
