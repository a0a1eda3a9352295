"""The events API from Python: cases as values, events without a gap, actions that are safe to repeat.

    with Client("http://127.0.0.1:8000", key="…") as city:
        for case in city.cases(scene=["fire_risk"], open=True):
            city.act(case.id, CaseAction.CONFIRM)
        for followed in city.follow(after=cursor):          # for ever; comes back by cursor after every cut
            cursor = take(followed)

Cases and events are those of `citybrain.domain`; everything else is the JSON that docs/api.md and /docs describe.
"""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx

from citybrain.clock import iso
from citybrain.domain.case import Case, CaseAction, CaseEvent, Origin
from citybrain.domain.geometry import Point
from citybrain.errors import Permanent, Transient, Unreadable
from citybrain.wire import read_case, read_case_event

Json = Mapping[str, Any]
Filter = str | int | bool | datetime | Sequence[str] | None

QUIET_S = 40.0
"""A stream says at least something each 15 s: after this long the connection is dead without knowing it."""
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.2, 10.0


class ApiProblem(Permanent):
    """The API refuses, and says why (RFC 9457). `kind` is a word of docs/api.md, `more` what else the document holds."""

    def __init__(self, status: int, document: Json) -> None:
        self.status = status
        self.kind = str(document.get("type", "")).rpartition("#")[2] or "about:blank"
        self.detail = str(document.get("detail") or document.get("title") or status)
        self.more = {name: value for name, value in document.items() if name not in _PROBLEM}
        super().__init__(f"{status} {self.kind}: {self.detail}")


class ApiAway(Transient):
    """The API was not reached, is not ready, or asks to be asked later (`retry_after_s`)."""

    def __init__(self, said: str, *, retry_after_s: float | None = None) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(said)


@dataclass(frozen=True, slots=True)
class Followed:
    """An event and the cursor to go on from, once it has been dealt with."""

    cursor: str
    event: CaseEvent


@dataclass(frozen=True, slots=True)
class EventPage:
    """Events after a cursor. `next` goes on from here; there is nothing more for now when it equals `end`."""

    items: tuple[Followed, ...]
    next: str
    end: str


@dataclass(frozen=True, slots=True)
class Acted:
    """An action that was asked for: `applied` is false while it is on its way, `case` is the case as far as it is known."""

    command: str
    applied: bool
    case: Case


class Client:
    """One installation. `key` is a key of it (`citybrain keys add`); a machine of one's own needs none.

    Every call raises ApiProblem when the API refuses and ApiAway when trying again may help.
    """

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        timeout_s: float = 20.0,
        transport: httpx.BaseTransport | None = None,
        wait: Callable[[float], object] | None = None,
    ) -> None:
        headers = {"authorization": f"Bearer {key}"} if key else {}
        self._http = httpx.Client(base_url=url, headers=headers, timeout=timeout_s, transport=transport)
        self._wait = wait or threading.Event().wait

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    # -- cases --------------------------------------------------------------------------------------------------------

    def cases(self, **filters: Filter) -> Iterator[Case]:
        """All that match, the newest first, page by page: scene, state, camera, severity, grid_cell, since, until, open…"""
        cursor: str | None = None
        while True:
            page = self._json("GET", "/v1/cases", {"limit": 200, **filters, "cursor": cursor})
            yield from map(read_case, page["items"])
            cursor = page["next"]
            if cursor is None:
                return

    def case(self, id: str) -> Case:
        return read_case(self._json("GET", f"/v1/cases/{quote(id)}"))

    def timeline(self, id: str) -> list[CaseEvent]:
        """Everything that happened to one case, oldest first."""
        return [_followed(each).event for each in self._json("GET", f"/v1/cases/{quote(id)}/timeline")["items"]]

    def act(
        self,
        id: str,
        action: CaseAction,
        *,
        reason: str = "",
        note: str = "",
        unit: str | None = None,
        until: datetime | None = None,
        into: str | None = None,
        evidence: Sequence[str] = (),
        idempotency_key: str | None = None,
    ) -> Acted:
        """Take an action. With an idempotency key of one's own it may be asked again at any time."""
        asked: dict[str, Any] = {"action": action.value, "reason": reason, "note": note, "evidence": list(evidence)}
        asked |= {"unit": unit, "until": None if until is None else iso(until), "into": into}
        answer = self._post(f"/v1/cases/{quote(id)}/actions", asked, idempotency_key)
        return Acted(answer["command"], answer["applied"], read_case(answer["case"]))

    # -- events -------------------------------------------------------------------------------------------------------

    def events(self, after: str = "0", *, limit: int = 200, **filters: Filter) -> EventPage:
        """A page of events after a cursor, oldest first; filters: scene, type, severity, grid_cell, area."""
        page = self._json("GET", "/v1/events", {"after": after, "limit": limit, **filters})
        return EventPage(tuple(map(_followed, page["items"])), page["next"], page["end"])

    def follow(self, after: str = "0", **filters: Filter) -> Iterator[Followed]:
        """Every event after the cursor, each once and in order, for ever.

        A connection that breaks or falls silent is made anew from the last event that was handed on. Raises ApiProblem
        when the API refuses to go on from there.
        """
        cursor, wait_s = after, _FIRST_WAIT_S
        while True:
            try:
                for found_at, event in self._stream(cursor, filters):
                    cursor, wait_s = found_at, _FIRST_WAIT_S
                    if event is not None:
                        yield Followed(found_at, event)
                away: ApiAway | None = None
            except ApiAway as error:
                away = error
            # Clients that were cut off together do not come back together.
            self._wait((away.retry_after_s if away else None) or wait_s * (0.5 + random.random()))
            wait_s = min(_LONGEST_WAIT_S, wait_s * 2)

    def _stream(self, cursor: str, filters: Mapping[str, Filter]) -> Iterator[tuple[str, CaseEvent | None]]:
        """Cursors as they come, with the event or, where none that matches came, without. Ends with the connection."""
        asked = {"after": cursor, **_query(filters)}
        quiet = httpx.Timeout(self._http.timeout.connect, read=QUIET_S)
        try:
            with self._http.stream("GET", "/v1/events/stream", params=asked, timeout=quiet) as answer:
                if not answer.is_success:
                    answer.read()
                    raise _refused(answer)
                for fields in _server_sent(_lines(answer.iter_bytes())):
                    if (found_at := fields.get("id")) and int(found_at) > int(cursor):
                        cursor = found_at
                        yield cursor, read_case_event(fields["data"]) if "data" in fields else None
        except httpx.TransportError as error:
            raise ApiAway(f"{type(error).__name__} on /v1/events/stream") from error

    # -- what others tell, and what is not to be told --------------------------------------------------------------------

    def report(
        self,
        origin: Origin,
        *,
        scene: str,
        location: Point | None = None,
        grid_cell: str | None = None,
        camera: str | None = None,
        at: datetime | None = None,
        words: str = "",
        reference: str | None = None,
        reporter: str | None = None,
        evidence: Sequence[str] = (),
        idempotency_key: str | None = None,
    ) -> Json:
        """Tell of a problem at (longitude, latitude), WGS84, or in a grid cell, or where a camera looks."""
        asked: dict[str, Any] = {"origin": origin.value, "scene": scene, "words": words, "evidence": list(evidence)}
        asked["location"] = None if location is None else {"lon": location[0], "lat": location[1]}
        asked |= {"grid_cell": grid_cell, "camera": camera, "at": None if at is None else iso(at)}
        asked |= {"reference": reference, "reporter": reporter}
        return self._post("/v1/reports", asked, idempotency_key)

    def photo(self, picture: bytes, *, type: str = "image/jpeg") -> str:
        """Store a picture; the reference that actions and reports take."""
        headers = {"content-type": type}
        return str(self._answer("POST", "/v1/photos", content=picture, headers=headers).json()["ref"])

    def silence(self, *, reason: str, idempotency_key: str | None = None, **asked: Filter) -> Json:
        """Tell nobody for a time: scene, camera, grid_cell, since, and `until` or `for_` (such as 6h)."""
        fields = {
            name.rstrip("_"): iso(value) if isinstance(value, datetime) else value for name, value in asked.items()
        }
        return self._post("/v1/silences", {"reason": reason, **fields}, idempotency_key)

    def silences(self, **filters: Filter) -> list[Json]:
        return list(self._json("GET", "/v1/silences", filters)["items"])

    def end_silence(self, id: str) -> None:
        self._answer("DELETE", f"/v1/silences/{quote(id)}")

    # -- subscriptions --------------------------------------------------------------------------------------------------

    def subscribe(self, name: str, url: str, **asked: Any) -> Json:
        """A webhook for the events of `filter`; the answer holds its secret, this once."""
        return self._post("/v1/subscriptions", {"name": name, "url": url, **asked})

    def subscriptions(self) -> list[Json]:
        return list(self._json("GET", "/v1/subscriptions")["items"])

    def unsubscribe(self, id: str) -> None:
        self._answer("DELETE", f"/v1/subscriptions/{quote(id)}")

    # -- cameras and figures ----------------------------------------------------------------------------------------------

    def cameras(self, **filters: Filter) -> Iterator[Json]:
        """All that match, page by page: id, state, grid_cell, q, order."""
        cursor: str | None = None
        while True:
            page = self._json("GET", "/v1/cameras", {"limit": 1000, **filters, "cursor": cursor})
            yield from page["items"]
            cursor = page["next"]
            if cursor is None:
                return

    def snapshot(self, camera: str) -> bytes:
        """The camera's latest picture as JPEG."""
        return self._answer("GET", f"/v1/cameras/{quote(camera)}/snapshot.jpg").content

    def evidence(self, ref: str) -> bytes:
        """A picture (JPEG) or clip (MP4)."""
        return self._answer("GET", f"/v1/evidence/{quote(ref)}").content

    def original(self, ref: str, *, reason: str) -> bytes:
        """The same as it was taken, nothing masked (role operator); why is noted. Raises Unreadable for a masked one."""
        answer = self._answer("GET", f"/v1/evidence/{quote(ref)}", params={"unmasked": "true", "reason": reason})
        if answer.headers.get("masked") != "false":
            raise Unreadable(f"{ref}: expected the original, got a masked copy")
        return answer.content

    def stats(self) -> Json:
        return self._json("GET", "/v1/stats")

    def performance(self, **asked: Filter) -> Json:
        """The report of a day or week: period, of, by, level."""
        return self._json("GET", "/v1/performance", asked)

    # -- inside -----------------------------------------------------------------------------------------------------------

    def _json(self, method: str, path: str, query: Mapping[str, Filter] | None = None) -> Json:
        found: Json = self._answer(method, path, params=_query(query or {})).json()
        return found

    def _post(self, path: str, value: Json, idempotency_key: str | None = None) -> Json:
        headers = {"idempotency-key": idempotency_key} if idempotency_key else {}
        said = {name: each for name, each in value.items() if each is not None}
        found: Json = self._answer("POST", path, json=said, headers=headers).json()
        return found

    def _answer(self, method: str, path: str, **request: Any) -> httpx.Response:
        try:
            answer = self._http.request(method, path, **request)
        except httpx.TransportError as error:
            raise ApiAway(f"{type(error).__name__} on {path}") from error
        if not answer.is_success:
            raise _refused(answer)
        return answer


_PROBLEM = frozenset({"type", "title", "status", "detail", "instance"})


def _refused(answer: httpx.Response) -> ApiProblem | ApiAway:
    try:
        document = json.loads(answer.content)
    except ValueError:  # a proxy's page of its own
        document = {}
    problem = ApiProblem(answer.status_code, document if isinstance(document, dict) else {})
    if answer.status_code == 429 or answer.status_code >= 500:
        asked = answer.headers.get("retry-after", "")
        return ApiAway(str(problem), retry_after_s=float(asked) if asked.isdigit() else None)
    return problem


def _query(filters: Mapping[str, Filter]) -> dict[str, str | list[str]]:
    found: dict[str, str | list[str]] = {}
    for name, value in filters.items():
        match value:
            case None:
                continue
            case bool():
                found[name] = "true" if value else "false"
            case datetime():
                found[name] = iso(value)
            case str() | int():
                found[name] = str(value)
            case _:
                found[name] = list(value)
    return found


def _followed(fields: Json) -> Followed:
    cursor = fields.get("cursor")
    if not isinstance(cursor, str):
        raise Unreadable(f"cursor: expected text, got {cursor!r}")
    return Followed(cursor, read_case_event(json.dumps(fields)))


def _lines(chunks: Iterator[bytes]) -> Iterator[str]:
    """Lines as server-sent events have them: a JSON text may hold what Unicode calls a line end. The last one is whole."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line.decode()


def _server_sent(lines: Iterator[str]) -> Iterator[dict[str, str]]:
    """Fields by message, as the standard has them; a comment is none, its `id` is."""
    fields: dict[str, str] = {}
    for line in lines:
        if not line:
            if fields:
                yield fields
            fields = {}
        elif not line.startswith(":"):
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            fields[name] = f"{fields[name]}\n{value}" if name == "data" and name in fields else value
