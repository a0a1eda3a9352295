"""The wall, the page of one case, the kiosk, and the page of documentation: files as they lie here, nothing from elsewhere."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, JSONResponse
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from events_api.asyncapi import document

WALL = Path(__file__).parent.parent / "wall"
_ASK_FIRST = {"cache-control": "no-cache"}  # kept by the browser, asked about each time: a new version shows at once

router = APIRouter(include_in_schema=False)


@router.get("/")
@router.get("/wall/")
async def wall(request: Request) -> FileResponse:
    name = "kiosk.html" if "kiosk" in request.query_params else "index.html"
    return FileResponse(WALL / name, headers=_ASK_FIRST)


@router.get("/cases/{id:path}")
async def case() -> FileResponse:
    """A case's page has its own address; the page itself asks the API for it."""
    return FileResponse(WALL / "case.html", headers=_ASK_FIRST)


@router.get("/docs")
async def docs() -> FileResponse:
    return FileResponse(WALL / "docs.html", headers=_ASK_FIRST)


@router.get("/asyncapi.json")
async def asyncapi(request: Request) -> JSONResponse:
    """The case events, as `/openapi.json` has the routes."""
    return JSONResponse(document(version=request.app.version, host=request.url.netloc))


@router.get("/favicon.ico")
async def favicon() -> FileResponse:
    return FileResponse(WALL / "icon.svg", headers=_ASK_FIRST, media_type="image/svg+xml")


class WallFiles(StaticFiles):
    """The wall's files under /wall."""

    def __init__(self) -> None:
        super().__init__(directory=WALL)

    async def get_response(self, path: str, scope: Scope) -> Response:
        answer = await super().get_response(path, scope)
        answer.headers.update(_ASK_FIRST)
        return answer
