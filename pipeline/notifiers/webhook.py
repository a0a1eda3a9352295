"""Tells a receiver about a case by HTTP: the CloudEvent, signed as Standard Webhooks say.

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
from datetime import UTC, timedelta
from email.utils import parsedate_to_datetime
from typing import Annotated

import httpx
from pydantic import AfterValidator, Field, SecretStr

from citybrain import signing
from citybrain.clock import Clock, SystemClock
from citybrain.configuration import Duration, Section
from citybrain.errors import NotDelivered, Refused
from citybrain.netguard import Allowed, Guard, GuardedTransport, HttpUrl
from citybrain.ports import Acknowledgement, Outgoing

MOST_OF_AN_ANSWER = 64 * 1024  # bytes; a number and a word or two are expected
LONGEST_WAIT = timedelta(hours=1)  # what a Retry-After may ask for

_REFUSALS = frozenset({400, 410, 413, 415, 422})
_EXTERNAL_ID_LENGTH = 128


def _check_secret(secret: SecretStr) -> SecretStr:
    signing.check_secret(secret.get_secret_value())
    return secret


Secret = Annotated[SecretStr, AfterValidator(_check_secret)]


class Config(Section):
    """`allow` names where the URL may lead beside public addresses: loopback, link-local, private, or 10.1.0.0/16.

    `previous_secret` signs too while a secret is being exchanged.
    """

    url: HttpUrl
    secret: Secret
    previous_secret: Secret | None = None
    timeout: Duration = Field(default=timedelta(seconds=10), gt=timedelta(0), le=timedelta(minutes=1))
    allow: Allowed = ()
    content_type: str = "application/cloudevents+json"


class Webhook:
    """A Notifier. One connection pool; no redirects, no proxies from the environment."""

    def __init__(self, config: Config, *, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._secrets = [
            each.get_secret_value() for each in (config.secret, config.previous_secret) if each is not None
        ]
        self._client = httpx.AsyncClient(
            transport=GuardedTransport(Guard(config.allow)),
            timeout=config.timeout.total_seconds(),
            follow_redirects=False,
            trust_env=False,
            headers={"user-agent": "citybrain", "accept-encoding": "identity"},  # no answer that unpacks to gigabytes,
        )

    async def notify(self, outgoing: Outgoing) -> Acknowledgement:
        posted_at = self._clock.now()
        try:
            headers = signing.sign(self._secrets, message_id=outgoing.id, at=posted_at, body=outgoing.body)
        except ValueError as error:
            raise Refused(str(error)) from None
        headers["content-type"] = self._config.content_type
        within = self._config.timeout.total_seconds()
        try:
            # httpx bounds each read; an answer that drips in must end as well.
            async with (
                asyncio.timeout(within),
                self._client.stream("POST", self._config.url, content=outgoing.body, headers=headers) as response,
            ):
                answer = await _read(response)
        except (TimeoutError, httpx.TimeoutException):
            raise NotDelivered(f"no answer within {within:g} s") from None
        except httpx.HTTPError as error:
            raise NotDelivered(f"connection failed ({type(error).__name__})") from None
        if not (response.is_success or response.status_code == httpx.codes.CONFLICT):
            self._turned_away(response)
        return Acknowledgement(posted_at, self._clock.now(), _external_id(answer))

    async def close(self) -> None:
        await self._client.aclose()

    def _turned_away(self, response: httpx.Response) -> None:
        reason = f"answered {response.status_code}"
        if response.status_code in _REFUSALS:
            raise Refused(reason)
        if response.is_redirect:
            reason += ", and redirects are not followed"
        raise NotDelivered(reason, retry_after_s=self._retry_after_s(response.headers.get("retry-after", "")))

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


def build(config: Config, *, clock: Clock | None = None) -> Webhook:
    return Webhook(config, clock=clock or SystemClock())


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
