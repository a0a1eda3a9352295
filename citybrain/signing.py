"""Standard Webhooks: how a message is signed, and how its receiver knows who wrote it, when, and that it is unaltered.

    webhook-id         the idempotency key, the same on every retry
    webhook-timestamp  seconds since 1970, of this attempt
    webhook-signature  v1,<base64 of HMAC-SHA256 over id.timestamp.body>, one for each secret in force, space separated

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets as randomness
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
PREFIX = "whsec_"
TOLERANCE = timedelta(minutes=5)

_KEY_BYTES = range(24, 65)  # the specification's bounds
_SIGNATURES_READ = 16  # a rotation needs two; more than this is someone making us work
_ID_LENGTH = 256


def sign(secret: str | Sequence[str], *, message_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """The three headers for a body sent at that instant; several secrets (a rotation) give several signatures.

    Raises ValueError for a secret or an id that no receiver could verify.
    """
    if not _id_is_usable(message_id):
        raise ValueError(f"{ID}: expected 1..{_ID_LENGTH} printable characters without '.', got {message_id!r}")
    timestamp = str(int(at.timestamp()))
    signatures = [f"v1,{_signature(key, message_id, timestamp, body)}" for key in _keys(secret)]
    return {ID: message_id, TIMESTAMP: timestamp, SIGNATURE: " ".join(signatures)}


def verify(
    secret: str | Sequence[str],
    headers: Mapping[str, str],
    body: bytes,
    *,
    now: datetime,
    tolerance: timedelta = TOLERANCE,
) -> str:
    """The message id, when any secret in force made any of the signatures and the message is fresh.

    Raises ValueError naming the header that is wrong; it never quotes a secret or the signature expected.
    """
    given = {name.lower(): value for name, value in headers.items()}
    for name in (ID, TIMESTAMP, SIGNATURE):
        if not given.get(name):
            raise ValueError(f"{name}: missing")
    message_id, timestamp = given[ID], given[TIMESTAMP]
    if not _id_is_usable(message_id):
        raise ValueError(f"{ID}: expected 1..{_ID_LENGTH} printable characters without '.'")
    _check_fresh(timestamp, now, tolerance)
    keys = _keys(secret)
    for each in given[SIGNATURE].split(" ")[:_SIGNATURES_READ]:
        version, _, signature = each.partition(",")
        if version == "v1" and any(
            hmac.compare_digest(_signature(key, message_id, timestamp, body).encode(), signature.encode())
            for key in keys
        ):
            return message_id
    raise ValueError(f"{SIGNATURE}: no signature fits; another secret, or the message was altered")


def new_secret() -> str:
    """A secret as both sides write it down: `whsec_` and 32 random bytes in base64."""
    return PREFIX + base64.b64encode(randomness.token_bytes(32)).decode()


def check_secret(secret: str) -> None:
    """Raises ValueError, without quoting it, when this cannot be a signing secret."""
    _key(secret)


def _check_fresh(timestamp: str, now: datetime, tolerance: timedelta) -> None:
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        raise ValueError(f"{TIMESTAMP}: expected seconds since 1970")
    age = now.astimezone(UTC).timestamp() - int(timestamp)
    if abs(age) > tolerance.total_seconds():
        side = "old" if age > 0 else "in the future"
        raise ValueError(f"{TIMESTAMP}: {abs(age):.0f} s {side}; at most {tolerance.total_seconds():.0f} s are allowed")


def _signature(key: bytes, message_id: str, timestamp: str, body: bytes) -> str:
    digest = hmac.new(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


def _keys(secret: str | Sequence[str]) -> list[bytes]:
    keys = [_key(each) for each in ([secret] if isinstance(secret, str) else secret)]
    if not keys:
        raise ValueError("expected at least one signing secret, got none")
    return keys


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (ValueError, binascii.Error):
        raise ValueError(f"expected a signing secret as {PREFIX}<base64>, got something else") from None
    if len(key) not in _KEY_BYTES:
        raise ValueError(f"expected a signing secret of {_KEY_BYTES[0]}..{_KEY_BYTES[-1]} bytes, got {len(key)}")
    return key


def _id_is_usable(message_id: str) -> bool:
    """Without full stops, so that `id.timestamp.body` can be cut in one way only; printable, for a header."""
    printable = message_id.isascii() and message_id.isprintable() and " " not in message_id
    return 0 < len(message_id) <= _ID_LENGTH and printable and "." not in message_id
