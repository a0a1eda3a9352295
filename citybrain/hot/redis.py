"""What is hot, in Redis, for more than one machine: while Redis is gone it is as if nothing were there.

<prefix>:hot:camera/gd-0001      one value
<prefix>:group:camera            the names of all keys of that kind, so that a scan looks at no other key of the server
<prefix>:word:case-events        a channel: something new is there, look
"""

from __future__ import annotations

import logging
import queue
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TooLate
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar
from urllib.parse import parse_qs, parse_qsl, quote, urlencode, urlsplit, urlunsplit

from citybrain.clock import Clock
from citybrain.errors import UsageError
from citybrain.reach import FIRST_PAUSE, Reach

log = logging.getLogger(__name__)

PATIENCE_S = 0.5
"""How long anybody waits for an answer, connecting and looking up the name included: a look must not wait for comfort."""
PREFIX = "citybrain"

_ASKING = 4  # questions under way at once
_AT_ONCE = 100  # values fetched together by a scan
_HEAR_AGAIN_S = 1.0
_CONNECTIONS = 32
_OPTIONS = frozenset({"ssl_ca_certs", "ssl_certfile", "ssl_keyfile"})
_PREFIX = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a city's Redis is: the URL as the library reads it, the city's prefix, and how it may be shown."""

    url: str
    prefix: str
    shown: str

    @classmethod
    def read(cls, text: str, *, password: str | None = None) -> Address:
        """`redis://host:6379/0?prefix=kunming`, or `rediss://` with TLS. `password` counts where the address has none.

        Raises UsageError, without quoting what may be a secret.
        """
        shown = _shown(text)
        try:
            parts = urlsplit(text)
            options = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
            known = parts.scheme in ("redis", "rediss") and bool(parts.hostname) and (parts.port or 6379) > 0
        except ValueError:
            known, parts, options = False, urlsplit(""), {}
        if not known:
            raise UsageError(f"expected an address such as redis://host:6379/0, got {shown}")
        prefix = options.pop("prefix", PREFIX)
        if not _PREFIX.fullmatch(prefix):
            raise UsageError(f"{shown}: prefix: expected letters, digits, '.', '_' and '-', got something else")
        if unknown := sorted(options.keys() - _OPTIONS):
            raise UsageError(f"{shown}: {unknown[0]!r} is no option; there are prefix, {', '.join(sorted(_OPTIONS))}")
        at = parts.netloc
        if password is not None and parts.password is None:
            at = f"{parts.username or ''}:{quote(password, safe='')}@{at.rpartition('@')[2]}"
        return cls(urlunsplit((parts.scheme, at, parts.path, urlencode(options), "")), prefix, shown)


class RedisHot:
    """The HotStore of many machines, and their Nudges. Safe to share between threads; connects when first asked.

    A question waits half a second at most. When one had no answer, nobody else asks until a thread of this found that
    Redis answers again.
    """

    def __init__(
        self, url: str, *, password: str | None = None, clock: Clock | None = None, first_pause: timedelta = FIRST_PAUSE
    ) -> None:
        """Raises UsageError for an address that is none, or when the package `redis` is not installed."""
        address = Address.read(url, password=password)
        try:
            import redis
            from redis.backoff import NoBackoff
            from redis.retry import Retry
        except ImportError:
            raise UsageError(f"{address.shown} needs the package redis: pip install 'citybrain[redis]'") from None
        self._library = redis
        self._keys, self._groups = f"{address.prefix}:hot:", f"{address.prefix}:group:"
        self._words = f"{address.prefix}:word:"
        pool: Any = redis.ConnectionPool.from_url(
            address.url,
            max_connections=_CONNECTIONS,
            socket_timeout=PATIENCE_S,
            socket_connect_timeout=PATIENCE_S,
            socket_keepalive=True,
            # One retry: a connection that the server closed while idle is replaced without a word.
            retry=Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
            retry_on_error=[redis.ConnectionError],
        )
        self._redis: Any = redis.Redis(connection_pool=pool)
        self._faults: tuple[type[Exception], ...] = (redis.RedisError, OSError, TooLate)
        self._asking = _Asking(_ASKING)
        self._reach = Reach(
            f"Redis at {address.shown}",
            "latest pictures and heartbeats are missing",
            probe=self._redis.ping,
            faults=self._faults,
            log=log,
            clock=clock,
            first_pause=first_pause,
        )
        self._closed = threading.Event()

    def put(self, key: str, value: bytes, *, ttl: timedelta | None = None) -> None:
        milliseconds = None if ttl is None else max(1, round(ttl.total_seconds() * 1000))

        def question() -> None:
            both = self._redis.pipeline(transaction=False)
            both.set(self._keys + key, value, px=milliseconds)
            both.sadd(self._groups + _group(key), key)
            both.execute()

        self._ask(question, otherwise=None)

    def get(self, key: str) -> bytes | None:
        value: bytes | None = self._ask(lambda: self._redis.get(self._keys + key), otherwise=None)
        return value

    def scan(self, prefix: str) -> Iterator[tuple[str, bytes]]:
        group, whole, _ = prefix.partition("/")
        none: set[str] = set()
        groups = {group} if whole else self._ask(lambda: self._groups_beginning(group), otherwise=none)
        named = (self._ask(partial(self._names_in, each), otherwise=none) for each in sorted(groups))
        keys = sorted(key for names in named for key in names if key.startswith(prefix))
        for start in range(0, len(keys), _AT_ONCE):
            yield from self._values(keys[start : start + _AT_ONCE])

    def away_since(self) -> datetime | None:
        return self._reach.away_since

    def tell(self, about: str) -> None:
        """Say to every process that listens that there is news of this; lost when nobody hears it."""
        self._ask(lambda: self._redis.publish(self._words + about, b"1"), otherwise=None)

    def listen(self, about: str, hear: Callable[[], None]) -> Callable[[], None]:
        """Call `hear`, in a thread of its own, at each word about this, and once whenever Redis is heard again. Call what is
        returned to end that."""
        ended = threading.Event()
        listening = threading.Thread(
            target=self._listen, args=(self._words + about, hear, ended), name="listening", daemon=True
        )
        listening.start()
        return ended.set

    def close(self) -> None:
        self._closed.set()
        self._reach.close()
        self._asking.close()
        self._redis.close()
        self._redis.connection_pool.disconnect()

    def _groups_beginning(self, text: str) -> set[str]:
        """The kinds of keys whose names begin so, by looking at all the server's keys: nobody asks this often."""
        pattern = re.sub(r"([*?\[\]\\])", r"\\\1", self._groups + text) + "*"
        names = self._redis.scan_iter(match=pattern, count=1000)
        return {name.decode().removeprefix(self._groups) for name in names}

    def _names_in(self, group: str) -> set[str]:
        return {name.decode() for name in self._redis.smembers(self._groups + group)}

    def _values(self, keys: list[str]) -> Iterator[tuple[str, bytes]]:
        values: list[bytes | None] = self._ask(
            lambda: self._redis.mget([self._keys + key for key in keys]), otherwise=[None] * len(keys)
        )
        gone = [key for key, value in zip(keys, values, strict=True) if value is None]
        if gone and self._reach.away_since is None:
            # What has expired leaves its name behind. Whoever puts it again at this instant names it again with the next put.
            self._ask(lambda: self._redis.srem(self._groups + _group(gone[0]), *gone), otherwise=None)
        yield from ((key, value) for key, value in zip(keys, values, strict=True) if value is not None)

    def _ask(self, question: Callable[[], T], *, otherwise: T) -> T:
        if self._reach.away_since is not None or self._closed.is_set():
            return otherwise
        try:
            return self._asking.ask(question, within_s=PATIENCE_S)
        except TooLate:
            self._reach.lost(f"no answer within {PATIENCE_S} s")
        except self._faults as error:
            self._reach.lost(type(error).__name__)
        return otherwise

    def _listen(self, channel: str, hear: Callable[[], None], ended: threading.Event) -> None:
        while not (ended.is_set() or self._closed.is_set()):
            heard = self._redis.pubsub(ignore_subscribe_messages=True)
            try:
                heard.subscribe(channel)
                hear()  # what was said while nobody listened is found by looking
                while not (ended.is_set() or self._closed.is_set()):
                    if heard.get_message(timeout=_HEAR_AGAIN_S) is not None:
                        hear()
            except self._faults as error:
                log.debug("nothing is heard from Redis: %s", type(error).__name__)
                ended.wait(_HEAR_AGAIN_S)
            except ValueError:  # the library's word for a connection that was closed under its reader
                ended.wait(_HEAR_AGAIN_S)
            finally:
                heard.close()


class _Asking:
    """A few threads that put questions, so that whoever asks waits no longer than it will, whatever a socket or a resolver
    does. Daemons: a process that ends waits for none of them."""

    def __init__(self, threads: int) -> None:
        self._questions: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]] | None] = queue.SimpleQueue()
        self._most, self._threads, self._lock = threads, 0, threading.Lock()
        self._idle = threading.Semaphore(0)

    def ask(self, question: Callable[[], T], *, within_s: float) -> T:
        answer: Future[T] = Future()
        self._questions.put((question, answer))
        if not self._idle.acquire(blocking=False):
            with self._lock:
                if self._threads < self._most:
                    self._threads += 1
                    threading.Thread(target=self._answer, name="hot", daemon=True).start()
        try:
            return answer.result(timeout=within_s)
        finally:
            answer.cancel()  # nobody waits any more: what was not begun need not be

    def close(self) -> None:
        for _ in range(self._most):
            self._questions.put(None)

    def _answer(self) -> None:
        while (asked := self._questions.get()) is not None:
            question, answer = asked
            if answer.set_running_or_notify_cancel():
                try:
                    answer.set_result(question())
                except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to whoever asked
                    answer.set_exception(error)
            self._idle.release()


def _group(key: str) -> str:
    return key.partition("/")[0]


def _shown(url: str) -> str:
    """The address without its password."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "?", parts.port or 6379
    except ValueError:
        return "an address that cannot be read"
    prefix = "".join(f"?prefix={each}" for each in parse_qs(parts.query).get("prefix", [])[:1])
    return f"{parts.scheme}://{host}:{port}{parts.path}{prefix}"
