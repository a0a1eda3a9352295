"""Who may do what: keys with a role, kept as hashes; sessions of the wall; the actor each action is put down to."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Protocol

from citybrain.errors import UsageError

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_PREFIX = "cb_"
SESSION_LASTS = timedelta(hours=12)
KNOWN_WITHIN = timedelta(seconds=1)
"""How long a key that another process revoked may still be let in."""


class Role(StrEnum):
    """Viewers see, operators act, engineers change how the system runs; a platform reads events and cases.

    Field keys belong to the people that a unit sends: they see and act on cases of that unit, and nothing else.
    """

    VIEWER = "viewer"
    OPERATOR = "operator"
    ENGINEER = "engineer"
    PLATFORM = "platform"
    FIELD = "field"

    def covers(self, needed: Role) -> bool:
        """Whether this role may do what the other may. Platform and field stand beside the three others."""
        ladder = (Role.VIEWER, Role.OPERATOR, Role.ENGINEER)
        if self is needed:
            return True
        return self in ladder and needed in ladder and ladder.index(self) >= ladder.index(needed)


@dataclass(frozen=True, slots=True)
class Key:
    """A key as it is kept. `hash` is the SHA-256 of the token, which nobody keeps.

    A plain hash is right here: a token is 256 random bits, so there is nothing to guess that a slow hash would protect;
    passwords, which people choose, would need one.
    """

    name: str
    role: Role
    hash: str
    created_at: str
    unit: str | None = None
    """Whose people hold it; keys with the role field alone."""

    @property
    def actor(self) -> Actor:
        return Actor(self.name, self.role, self.unit)


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks: the key's name and role; without any keys, whoever sits at this machine. `unit`: whose cases alone.
    `address`: where they sit."""

    name: str
    role: Role
    unit: str | None = None
    address: str = field(default="", compare=False)


class Keys(Protocol):
    """The keys of one installation and the sessions opened with them. What one process changes counts in all others within
    `KNOWN_WITHIN`. Safe to call from several threads."""

    def any(self) -> bool:
        """Whether there are keys at all. Without any, only this machine is let in, and everyone on it may do all."""
        ...

    def all(self) -> Sequence[Key]:
        """In the order they were made."""
        ...

    def add(self, name: str, role: Role, *, unit: str | None = None) -> str:
        """Make a key and return its token, which is shown this once. Raises UsageError for a name taken or unfit, and for a
        field key without a unit."""
        ...

    def revoke(self, name: str) -> bool:
        """Remove a key and end its sessions. False when there is none of that name."""
        ...

    def actor(self, token: str) -> Actor | None:
        """Whose key that is."""
        ...

    def open_session(self, actor: Actor) -> str:
        """Let a browser in for some hours without keeping the key there. Sessions survive a restart."""
        ...

    def close_session(self, token: str) -> None: ...

    def close_sessions(self, name: str) -> None:
        """End every session of this key: on a telephone that was lost, on a machine of others."""
        ...

    def session(self, token: str) -> Actor | None:
        """Whose session that is, while it lasts and its key is there. A key made anew under an old name opens none."""
        ...


def check_key(name: str, role: Role, unit: str | None) -> None:
    """Raises UsageError for what no key may be."""
    if _NAME.fullmatch(name) is None:
        raise UsageError(f"expected a key's name of small letters, digits, '.', '_' or '-', got {name!r}")
    if (role is Role.FIELD) != bool(unit):
        raise UsageError("a key with the role field needs its unit (--unit), and no other key has one")


def name_taken(name: str) -> UsageError:
    return UsageError(f"there is a key {name!r} already; revoke it first, or choose another name")


def new_key() -> str:
    """A token that nobody guesses."""
    return _PREFIX + secrets.token_urlsafe(32)


def new_session() -> str:
    return secrets.token_urlsafe(32)


def kept_as(token: str) -> str:
    """What is kept of a token."""
    return hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()
