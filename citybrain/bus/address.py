"""Where a bus is: `kafka://[user:password@]host:port[,host:port][/prefix][?options]`, read once and refused with its reason."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from citybrain.configuration import duration, duration_text
from citybrain.errors import UsageError

_HOST = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:]+\]):[0-9]{1,5}")
_PREFIX = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_EXPECTED = "kafka://[user:password@]host:port[,host:port][/prefix], or kafka+ssl://…"
PRODUCERS = ("idempotent", "batched", "plain")
"""The ways to produce: what Kafka can, and for brokers that cannot."""
LINGER_MS = 5
"""How long a message waits for others to share its batch."""
_MECHANISMS = ("scram-sha-512", "scram-sha-256", "plain")
_FILES = ("ca", "cert", "key")
_WAIT = timedelta(milliseconds=100)
_WAITS = (timedelta(milliseconds=10), timedelta(seconds=10))


@dataclass(frozen=True, slots=True)
class Login:
    """Who we are to the brokers. `mechanism` is SASL's name for how the password is proved."""

    user: str
    password: str = field(repr=False)
    mechanism: str = "SCRAM-SHA-512"


@dataclass(frozen=True, slots=True)
class Tls:
    """Connections are encrypted and the brokers' certificates checked: by `ca`, or by what the machine trusts.

    `cert` and `key` are our own certificate, for brokers that want one.
    """

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None

    def context(self) -> ssl.SSLContext:
        """Raises UsageError for files that cannot be read or are none of these."""
        try:
            made = ssl.create_default_context(cafile=self.ca)
            if self.cert is not None:
                made.load_cert_chain(self.cert, self.key)
        except (OSError, ssl.SSLError) as error:
            given = ", ".join(str(each) for each in (self.ca, self.cert, self.key) if each is not None)
            raise UsageError(f"--bus: expected certificates that can be read in {given} ({error})") from None
        return made


@dataclass(frozen=True, slots=True)
class KafkaAddress:
    """The brokers to ask first, and the prefix under which one city's topics and groups stand apart from another's.

    `producer`: how to produce: `idempotent`, in batches; `batched`, for a broker that knows no idempotent producers; or `plain`,
    each message by itself, for one that knows no batches either. Without idempotence a retry after a lost answer may write a
    message twice, which changes nothing downstream, for ids are derived; message by message costs throughput.
    `fetch_wait`: how long a worker of the pipeline lets a read wait at a broker that has nothing new. Kafka answers as soon as it
    has; others wait it out, or work for each read. Shown, logged and represented without its password.
    """

    brokers: tuple[str, ...]
    prefix: str = ""
    producer: str = PRODUCERS[0]
    login: Login | None = None
    tls: Tls | None = None
    fetch_wait: timedelta = _WAIT

    @classmethod
    def parse(cls, url: str) -> KafkaAddress:
        """Raises UsageError naming what was expected and found, without a password."""
        parts = urlsplit(url)
        userinfo, _, hosts = parts.netloc.rpartition("@")
        brokers, prefix = tuple(hosts.split(",")), parts.path.strip("/")
        if (
            parts.scheme not in ("kafka", "kafka+ssl")
            or parts.fragment
            or not all(_HOST.fullmatch(each) for each in brokers)
        ):
            raise UsageError(f"--bus: expected {_EXPECTED}, got {parts.scheme}://…{hosts!r}")
        if prefix and not _PREFIX.fullmatch(prefix):
            raise UsageError(f"--bus: expected a prefix of letters, digits, - and _, got {prefix!r}")
        options = _options(parts.query)
        secure = parts.scheme == "kafka+ssl"
        if not secure and (given := [name for name in _FILES if name in options]):
            raise UsageError(f"--bus: ?{given[0]}= is for kafka+ssl://, got kafka://")
        files = {name: Path(options[name]) for name in _FILES if name in options}
        if ("cert" in files) != ("key" in files):
            raise UsageError("--bus: ?cert= and ?key= go together: a certificate and its key")
        tls = Tls(**files) if secure else None
        return cls(
            brokers, prefix, options.get("producer", PRODUCERS[0]), _login(userinfo, options), tls, _fetch_wait(options)
        )

    def topic(self, name: str) -> str:
        """The topic's name at the broker."""
        return f"{self.prefix}.{name}" if self.prefix else name

    def name_of(self, topic: str) -> str:
        """The name of a topic at the broker, without the prefix."""
        return topic.removeprefix(f"{self.prefix}.") if self.prefix else topic

    @property
    def plain(self) -> bool:
        """Whether each message is produced by itself."""
        return self.producer == "plain"

    @property
    def idempotent(self) -> bool:
        """Whether a retry of a producer's writes nothing twice."""
        return self.producer == "idempotent"

    def producing(self) -> Mapping[str, Any]:
        """What a producer of aiokafka's is told beside that."""
        batches = {"linger_ms": 0, "max_batch_size": 1} if self.plain else {"linger_ms": LINGER_MS}
        return {"acks": "all", "enable_idempotence": self.idempotent, **batches, **self.client()}

    def client(self) -> Mapping[str, Any]:
        """What every client of aiokafka's is told of the brokers. Raises UsageError for certificates that are none."""
        told: dict[str, Any] = {"bootstrap_servers": list(self.brokers)}
        if self.tls is not None:
            told["ssl_context"] = self.tls.context()
        if self.login is not None:
            told["sasl_mechanism"] = self.login.mechanism
            told["sasl_plain_username"] = self.login.user
            told["sasl_plain_password"] = self.login.password
        told["security_protocol"] = ("SASL_" if self.login else "") + ("SSL" if self.tls else "PLAINTEXT")
        return told

    def __str__(self) -> str:
        scheme, user = "kafka+ssl" if self.tls else "kafka", "***@" if self.login else ""
        path = f"/{self.prefix}" if self.prefix else ""
        options = [] if self.idempotent else [f"producer={self.producer}"]
        if self.fetch_wait != _WAIT:
            options.append(f"fetch_wait={duration_text(self.fetch_wait)}")
        query = f"?{'&'.join(options)}" if options else ""
        return f"{scheme}://{user}{','.join(self.brokers)}{path}{query}"


def _options(query: str) -> dict[str, str]:
    found = parse_qsl(query, keep_blank_values=True)
    allowed = {"producer": PRODUCERS, "sasl": _MECHANISMS}
    for name, value in found:
        if name not in (known := (*allowed, *_FILES, "fetch_wait")):
            raise UsageError(f"--bus: expected one of the options {', '.join(known)}, got {name!r}")
        if name in allowed and value not in allowed[name]:
            raise UsageError(f"--bus: expected ?{name}= {' or '.join(allowed[name])}, got {value!r}")
    return dict(found)


def _fetch_wait(options: Mapping[str, str]) -> timedelta:
    if "fetch_wait" not in options:
        return _WAIT
    given, (least, most) = options["fetch_wait"], _WAITS
    try:
        found = duration(given)
    except ValueError as error:
        raise UsageError(f"--bus: ?fetch_wait= {error}") from None
    if not least <= found <= most:
        raise UsageError(f"--bus: expected ?fetch_wait= {duration_text(least)} to {duration_text(most)}, got {given!r}")
    return found


def _login(userinfo: str, options: Mapping[str, str]) -> Login | None:
    user, _, password = userinfo.partition(":")
    if not userinfo:
        if "sasl" in options:
            raise UsageError("--bus: ?sasl= says how a password is proved: expected user:password@ before the host")
        return None
    if not user or not password:
        raise UsageError("--bus: expected both of user:password@ before the host, each percent-encoded")
    return Login(unquote(user), unquote(password), options.get("sasl", _MECHANISMS[0]).upper())
