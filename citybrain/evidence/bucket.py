"""One bucket of S3-compatible storage, as one process knows it: bounded in time, and asked by nobody while it is away.

    s3://bucket/prefix?endpoint=https://storage.example:9000&region=cn-south-1

Credentials, and whatever else this does not name, come from where the AWS tools take them: AWS_ACCESS_KEY_ID and
AWS_SECRET_ACCESS_KEY, AWS_PROFILE, a machine's role, AWS_CA_BUNDLE.
"""

from __future__ import annotations

import base64
import hashlib
import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

from citybrain.clock import Clock
from citybrain.errors import EvidenceAway, UsageError
from citybrain.reach import Reach

log = logging.getLogger(__name__)

CONNECT_S, ANSWER_S = 1.0, 5.0
"""How long a connection may take, and each wait for more of an answer."""

_CONNECTIONS = 16
_REMOVED_AT_ONCE = 1000
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]")
_PREFIX = re.compile(r"(?:[A-Za-z0-9._-]+/?)*")
_MISSING = frozenset({"404", "NoSuchKey", "NotFound"})
_THERE = frozenset({"409", "412", "PreconditionFailed", "ConditionalRequestConflict"})
_NO_CONDITIONS = frozenset({"501", "NotImplemented"})
_NO_ADDRESS = "expected an address such as s3://bucket/prefix?endpoint=https://host:port&region=…, got {}"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Address:
    """Which bucket, and what stands before all keys in it: nothing, or a path that ends in `/`."""

    bucket: str
    prefix: str
    endpoint: str | None
    region: str | None
    sweeps: bool

    @classmethod
    def read(cls, text: str) -> Address:
        """Raises UsageError, without quoting what may be a secret."""
        try:
            parts = urlsplit(text)
            options = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
            plain = parts.scheme == "s3" and "@" not in parts.netloc
        except ValueError:
            raise UsageError(_NO_ADDRESS.format("something else")) from None
        shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
        prefix = parts.path.strip("/")
        if not plain or not _BUCKET.fullmatch(parts.netloc) or not _PREFIX.fullmatch(prefix):
            raise UsageError(_NO_ADDRESS.format(shown))
        endpoint, region, sweep = (options.pop(name, None) for name in ("endpoint", "region", "sweep"))
        if options:
            raise UsageError(f"{shown}: {min(options)!r} is no option; there are endpoint, region, sweep")
        if endpoint is not None and not _is_endpoint(endpoint):
            raise UsageError(f"{shown}: endpoint: expected http://host:port or https://host:port")
        if sweep not in (None, "on", "off"):
            raise UsageError(f"{shown}: sweep: expected on or off")
        return cls(parts.netloc, f"{prefix}/" if prefix else "", endpoint, region, sweep != "off")

    def __str__(self) -> str:
        at = f" at {self.endpoint}" if self.endpoint else ""
        return f"s3://{self.bucket}/{self.prefix}{at}"


class Bucket:
    """Objects in the bucket (`citybrain.evidence.objects`), and what evidence needs beside. Safe to share between threads.

    Each question raises EvidenceAway when it has no answer; from then on all do at once, until a thread finds it there again.
    """

    def __init__(
        self, address: Address, *, clock: Clock | None = None, environment: Mapping[str, str] | None = None
    ) -> None:
        """Raises UsageError when the package `boto3` is not installed. Storage that is away raises nothing."""
        try:
            import boto3
            import botocore.exceptions as faults
            from botocore.config import Config
        except ImportError:
            raise UsageError(f"{address} needs the package boto3: pip install 'citybrain[s3]'") from None
        known = os.environ if environment is None else environment
        region = address.region or known.get("AWS_REGION") or known.get("AWS_DEFAULT_REGION") or "us-east-1"
        settings = Config(
            connect_timeout=CONNECT_S,
            read_timeout=ANSWER_S,
            retries={"total_max_attempts": 1, "mode": "standard"},  # who asks has its own way to try again
            max_pool_connections=_CONNECTIONS,
            signature_version="s3v4",
            s3={"addressing_style": "path" if address.endpoint else "auto"},
            # Storage of others than AWS knows no checksums in trailers.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            tcp_keepalive=True,
        )
        session = boto3.session.Session()
        self._client: Any = session.client("s3", region_name=region, endpoint_url=address.endpoint, config=settings)
        self._client.meta.events.register("before-sign.s3.DeleteObjects", _with_md5)
        self._bucket, self._prefix = address.bucket, address.prefix
        self._refused: type[Exception] = faults.ClientError
        self._faults: tuple[type[Exception], ...] = (faults.BotoCoreError, faults.HTTPClientError, OSError)
        self._conditions = True
        self.reach = Reach(
            f"evidence storage {address}",
            "pictures wait on the machines that took them",
            probe=lambda: self._client.head_bucket(Bucket=self._bucket),
            faults=(*self._faults, self._refused),
            log=log,
            clock=clock,
        )

    def put(self, key: str, content: bytes, *, media_type: str) -> None:
        """Write it; what had the name before is gone."""
        self._ask(lambda: self._client.put_object(**self._named(key), Body=content, ContentType=media_type))

    def put_new(self, key: str, content: bytes, *, media_type: str = "application/json") -> bool:
        if self._conditions:
            try:
                self._ask(
                    lambda: self._client.put_object(
                        **self._named(key), Body=content, ContentType=media_type, IfNoneMatch="*"
                    )
                )
            except FileExistsError:
                return False
            except NotImplementedError:
                log.warning("evidence storage knows no conditions: what is written twice at one instant may be altered")
                self._conditions = False
            else:
                return True
        if self.has(key):
            return False
        self.put(key, content, media_type=media_type)
        return True

    def get(self, key: str) -> bytes:
        def question() -> bytes:
            content: bytes = self._client.get_object(**self._named(key))["Body"].read()
            return content

        return self._ask(question)

    def has(self, key: str) -> bool:
        try:
            self._ask(lambda: self._client.head_object(**self._named(key)))
        except KeyError:
            return False
        return True

    def copy(self, key: str, to: str) -> None:
        """Copied by the storage itself. Raises KeyError when there is nothing."""
        source = self._named(key)
        self._ask(lambda: self._client.copy_object(**self._named(to), CopySource=source))

    def remove(self, keys: Sequence[str]) -> None:
        for start in range(0, len(keys), _REMOVED_AT_ONCE):
            some = [{"Key": self._prefix + key} for key in keys[start : start + _REMOVED_AT_ONCE]]
            removed = {"Objects": some, "Quiet": True}
            self._ask(partial(self._client.delete_objects, Bucket=self._bucket, Delete=removed))

    def keys(self, prefix: str) -> list[str]:
        return [key for page in self.pages(prefix) for key in page]

    def pages(self, prefix: str) -> Iterator[list[str]]:
        """All keys that begin so, in order, up to a thousand at a time."""
        for page in self._pages(Prefix=self._prefix + prefix):
            yield [each["Key"].removeprefix(self._prefix) for each in page.get("Contents", ())]

    def folders(self, prefix: str) -> list[str]:
        """The names that stand between the prefix and the next `/`, in order."""
        whole = self._prefix + prefix
        pages = self._pages(Prefix=whole, Delimiter="/")
        return [each["Prefix"][len(whole) : -1] for page in pages for each in page.get("CommonPrefixes", ())]

    def close(self) -> None:
        self.reach.close()
        self._client.close()

    def _pages(self, **asked: str) -> Iterator[dict[str, Any]]:
        more: dict[str, str] = {}
        while True:
            page: dict[str, Any] = self._ask(
                partial(self._client.list_objects_v2, Bucket=self._bucket, **asked, **more)
            )
            yield page
            if not page.get("IsTruncated"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def _named(self, key: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": self._prefix + key}

    def _ask(self, question: Callable[[], T]) -> T:
        """Raises EvidenceAway, KeyError, FileExistsError, NotImplementedError."""
        if self.reach.away_since is not None:
            raise EvidenceAway(f"evidence storage does not answer ({self.reach.reason})")
        try:
            return question()
        except self._refused as error:
            answer: Any = error
            code = str(answer.response.get("Error", {}).get("Code", ""))
        except self._faults as error:
            code = type(error).__name__
        if code in _MISSING:
            raise KeyError
        if code in _THERE:
            raise FileExistsError
        if code in _NO_CONDITIONS:
            raise NotImplementedError
        self.reach.lost(code)
        raise EvidenceAway(f"evidence storage does not answer ({code})")


def _with_md5(request: Any, **_: Any) -> None:
    """Older storage asks for it when several objects are removed at once, and newer libraries no longer send it."""
    if "Content-MD5" not in request.headers:
        digest = hashlib.md5(request.body, usedforsecurity=False).digest()
        request.headers["Content-MD5"] = base64.b64encode(digest).decode()


def _is_endpoint(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return (
            parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc and not parts.query
        )
    except ValueError:
        return False
