"""Posts one message to one URL, signed as Standard Webhooks say, and reads the answer with suspicion.

What an answer means:

    2xx                     taken; `external_id` or `id` of a JSON answer is the receiver's number for the case
    409                     taken before under this id
    400 410 413 415 422     refused: this very message will never be taken
    anything else           try again: no answer, a broken connection, 408, 425, 429, 5xx. And 401, 403, 404 and
                            redirects: they speak of a receiver that is set up wrongly and mended within the hour;
                            a case must not be lost to that
"""

from __future__ import annotations

import asyncio
import json
import math
import ssl
from collections.abc import Sequence
from datetime import UTC, timedelta
from email.utils import parsedate_to_datetime

import httpx

from citybrain import signing
from citybrain.clock import Clock
from citybrain.errors import NotDelivered, Refused
from citybrain.netguard import Guard, GuardedTransport
from citybrain.ports import Acknowledgement, Outgoing

MOST_OF_AN_ANSWER = 64 * 1024  # bytes; a number and a word or two are expected
LONGEST_WAIT = timedelta(hours=1)  # what a Retry-After may ask for
CONTENT_TYPE = "application/cloudevents+json"

_REFUSALS = frozenset({400, 410, 413, 415, 422})
_EXTERNAL_ID_LENGTH = 128


class Post:
    """The way to one URL. A connection pool of its own; no redirects, no proxies from the environment.

    The pool is never shared between receivers: connections are kept by address, and two names at one address must not
    get each other's. `tls` may be shared: making one takes longer than everything else here.
    """

    def __init__(
        self,
        url: str,
        *,
        guard: Guard,
        timeout: timedelta,
        clock: Clock,
        content_type: str = CONTENT_TYPE,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._url, self._clock, self._timeout = url, clock, timeout
        self._content_type = content_type
        self._client = httpx.AsyncClient(
            transport=GuardedTransport(guard, httpx.AsyncHTTPTransport(verify=True if tls is None else tls)),
            timeout=timeout.total_seconds(),
            follow_redirects=False,
            trust_env=False,
            headers={"user-agent": "citybrain", "accept-encoding": "identity"},  # no answer that unpacks to gigabytes
        )

    async def send(self, outgoing: Outgoing, secrets: Sequence[str]) -> Acknowledgement:
        """Post it, signed with each secret. Raises NotDelivered (try again) or Refused (never)."""
        posted_at = self._clock.now()
        try:
            headers = signing.sign(secrets, message_id=outgoing.id, at=posted_at, body=outgoing.body)
        except ValueError as error:
            raise Refused(str(error)) from None
        headers["content-type"] = self._content_type
        within = self._timeout.total_seconds()
        try:
            # httpx bounds each read; an answer that drips in must end as well.
            async with (
                asyncio.timeout(within),
                self._client.stream("POST", self._url, content=outgoing.body, headers=headers) as response,
            ):
                answer = await _read(response)
        except (TimeoutError, httpx.TimeoutException):
            raise NotDelivered(f"no answer within {within:g} s") from None
        except httpx.HTTPError as error:
            raise NotDelivered(f"connection failed ({type(error).__name__})") from None
        if not (response.is_success or response.status_code == httpx.codes.CONFLICT):
            self._turned_away(response)
        return Acknowledgement(posted_at, self._clock.now(), _external_id(answer), response.status_code)

    async def close(self) -> None:
        await self._client.aclose()

    def _turned_away(self, response: httpx.Response) -> None:
        status = response.status_code
        reason = f"answered {status}"
        if status in _REFUSALS:
            raise Refused(reason, status=status)
        if response.is_redirect:
            reason += ", and redirects are not followed"
        wait_s = self._retry_after_s(response.headers.get("retry-after", ""))
        raise NotDelivered(reason, retry_after_s=wait_s, status=status)

    def _retry_after_s(self, text: str) -> float | None:
        """Seconds or an HTTP date, bounded; None when it says neither."""
        try:
            wait = float(text)
        except ValueError:
            try:
                wait = (parsedate_to_datetime(text).astimezone(UTC) - self._clock.now()).total_seconds()
            except (TypeError, ValueError, OverflowError):
                return None
        return min(max(wait, 0.0), LONGEST_WAIT.total_seconds()) if math.isfinite(wait) else None


async def _read(response: httpx.Response) -> bytes:
    """The answer, as far as it is read. A success that breaks off stays a success: its status was the answer."""
    answer = b""
    try:
        async for chunk in response.aiter_raw():
            answer += chunk
            if len(answer) >= MOST_OF_AN_ANSWER:
                break
    except httpx.HTTPError:
        if not response.is_success:
            raise
    return answer[:MOST_OF_AN_ANSWER]


def _external_id(answer: bytes) -> str | None:
    try:
        fields = json.loads(answer)
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, dict):
        return None
    for name in ("external_id", "id"):
        value = fields.get(name)
        if isinstance(value, str | int) and not isinstance(value, bool) and str(value).strip():
            return str(value).strip()[:_EXTERNAL_ID_LENGTH]
    return None
