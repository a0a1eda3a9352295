"""What is hot, in Redis, for more than one machine: while Redis is gone it is as if nothing were there."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, TypeVar
from urllib.parse import urlsplit

from citybrain.clock import Clock, SystemClock
from citybrain.errors import UsageError

log = logging.getLogger(__name__)

_TIMEOUT = 0.5  # s; a look must not wait for comfort
_PAUSE = 1.0  # s between two tries while it is gone
_AT_ONCE = 100  # values fetched together by a scan

T = TypeVar("T")


class RedisHot:
    """The HotStore of many machines. Safe to share between threads; connects when first asked and again by itself."""

    def __init__(self, url: str, *, prefix: str = "citybrain:hot:", clock: Clock | None = None) -> None:
        """Raises UsageError for an address that is none, or when the package `redis` is not installed."""
        try:
            import redis
            from redis.backoff import NoBackoff
            from redis.retry import Retry
        except ImportError:
            raise UsageError(f"{_shown(url)} needs the package redis: pip install 'citybrain[redis]'") from None
        self._errors: type[Exception] = redis.RedisError
        self._url = url
        self._prefix = prefix
        self._clock = clock or SystemClock()
        self._gone = False
        self._try_at = 0.0
        try:
            # One retry: a connection that the server closed while idle is replaced without a word.
            self._redis: Any = redis.Redis.from_url(
                url, socket_timeout=_TIMEOUT, socket_connect_timeout=_TIMEOUT, retry=Retry(NoBackoff(), 1)
            )
        except ValueError as error:
            raise UsageError(f"expected an address such as redis://host:6379/0, got {_shown(url)} ({error})") from None

    def put(self, key: str, value: bytes, *, ttl: timedelta | None = None) -> None:
        milliseconds = None if ttl is None else max(1, round(ttl.total_seconds() * 1000))
        self._ask(lambda: self._redis.set(self._prefix + key, value, px=milliseconds), otherwise=None)

    def get(self, key: str) -> bytes | None:
        value: bytes | None = self._ask(lambda: self._redis.get(self._prefix + key), otherwise=None)
        return value

    def scan(self, prefix: str) -> Iterator[tuple[str, bytes]]:
        pattern = re.sub(r"([*?\[\]\\])", r"\\\1", self._prefix + prefix) + "*"
        found: list[bytes] = self._ask(lambda: list(self._redis.scan_iter(match=pattern, count=1000)), otherwise=[])
        keys = sorted({key.decode().removeprefix(self._prefix) for key in found})
        for start in range(0, len(keys), _AT_ONCE):
            chunk = keys[start : start + _AT_ONCE]
            yield from self._values(chunk)

    def close(self) -> None:
        self._redis.close()

    def _values(self, keys: list[str]) -> Iterator[tuple[str, bytes]]:
        values: list[bytes | None] = self._ask(
            lambda: self._redis.mget([self._prefix + key for key in keys]), otherwise=[None] * len(keys)
        )
        for key, value in zip(keys, values, strict=True):
            if value is not None:
                yield key, value

    def _ask(self, question: Callable[[], T], *, otherwise: T) -> T:
        if self._gone and self._clock.monotonic() < self._try_at:
            return otherwise
        try:
            answer = question()
        except self._errors as error:
            if not self._gone:
                log.warning(
                    "Redis at %s does not answer (%s); latest pictures and heartbeats are missing until it does",
                    _shown(self._url),
                    type(error).__name__,
                )
            self._gone = True
            self._try_at = self._clock.monotonic() + _PAUSE
            return otherwise
        if self._gone:
            log.info("Redis at %s answers again", _shown(self._url))
            self._gone = False
        return answer


def _shown(url: str) -> str:
    """The address without its password."""
    try:
        parts = urlsplit(url)
        return f"{parts.scheme}://{parts.hostname or '?'}:{parts.port or 6379}"
    except ValueError:
        return "an address that cannot be read"
