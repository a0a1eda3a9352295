"""Who may do what: keys with a role, kept as hashes; sessions of the wall; the actor each action is put down to."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import secrets
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

from citybrain.clock import Clock, instant, iso
from citybrain.errors import UsageError

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_PREFIX = "cb_"
SESSION_LASTS = timedelta(hours=12)


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


class Keys:
    """The keys of one installation, in a file that the command line and the API share; changes take effect at once."""

    def __init__(self, path: Path, *, clock: Clock) -> None:
        self._path = path
        self._sessions = path.with_name("sessions.json")
        self._clock = clock
        self._read_as: dict[Path, tuple[tuple[int, int, int], list[dict[str, Any]]]] = {}

    def any(self) -> bool:
        """Whether there are keys at all. Without any, only this machine is let in, and everyone on it may do all."""
        return bool(self.all())

    def all(self) -> list[Key]:
        return [
            Key(
                str(each["name"]), Role(each["role"]), str(each["hash"]), str(each["created_at"]), unit=each.get("unit")
            )
            for each in self._read(self._path)
        ]

    def add(self, name: str, role: Role, *, unit: str | None = None) -> str:
        """Make a key and return its token, which is shown this once. Raises UsageError for a name taken or unfit, and for a
        field key without a unit."""
        if _NAME.fullmatch(name) is None:
            raise UsageError(f"expected a key's name of small letters, digits, '.', '_' or '-', got {name!r}")
        if (role is Role.FIELD) != bool(unit):
            raise UsageError("a key with the role field needs its unit (--unit), and no other key has one")
        token = _PREFIX + secrets.token_urlsafe(32)
        with self._changing(self._path) as keys:
            if any(each["name"] == name for each in keys):
                raise UsageError(f"there is a key {name!r} already; revoke it first, or choose another name")
            keys.append(asdict(Key(name, role, _hash(token), iso(self._clock.now()), unit=unit)))
        return token

    def revoke(self, name: str) -> bool:
        """Remove a key and end its sessions. False when there is none of that name."""
        with self._changing(self._path) as keys:
            kept = [each for each in keys if each["name"] != name]
            found = len(kept) < len(keys)
            keys[:] = kept
        return found

    def actor(self, token: str) -> Actor | None:
        """Whose key that is."""
        digest = _hash(token)
        for key in self.all():
            if secrets.compare_digest(key.hash, digest):
                return key.actor
        return None

    def open_session(self, actor: Actor) -> str:
        """Let a browser in for some hours without keeping the key there. Sessions survive a restart."""
        token = secrets.token_urlsafe(32)
        now = self._clock.now()
        with self._changing(self._sessions) as sessions:
            sessions[:] = [each for each in sessions if instant(each["until"]) > now]
            sessions.append({"hash": _hash(token), "key": actor.name, "until": iso(now + SESSION_LASTS)})
        return token

    def close_session(self, token: str) -> None:
        digest = _hash(token)
        with self._changing(self._sessions) as sessions:
            sessions[:] = [each for each in sessions if each["hash"] != digest]

    def close_sessions(self, name: str) -> None:
        """End every session of this key: on a telephone that was lost, on a machine of others."""
        with self._changing(self._sessions) as sessions:
            sessions[:] = [each for each in sessions if each["key"] != name]

    def session(self, token: str) -> Actor | None:
        """Whose session that is, while it lasts and its key is there. A key made anew under an old name opens none."""
        digest, now = _hash(token), self._clock.now()
        for each in self._read(self._sessions):
            if secrets.compare_digest(str(each["hash"]), digest) and instant(each["until"]) > now:
                for key in self.all():
                    if key.name == each["key"] and instant(key.created_at) <= instant(each["until"]) - SESSION_LASTS:
                        return key.actor
        return None

    def _read(self, path: Path) -> list[dict[str, Any]]:
        try:
            found = path.stat()
        except FileNotFoundError:
            return []
        version = (found.st_mtime_ns, found.st_size, found.st_ino)
        cached = self._read_as.get(path)
        if cached is None or cached[0] != version:
            cached = (version, json.loads(path.read_text())["entries"])
            self._read_as[path] = cached
        return cached[1]

    @contextlib.contextmanager
    def _changing(self, path: Path) -> Iterator[list[dict[str, Any]]]:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(path.with_name(path.name + ".lock"), os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            entries = [dict(each) for each in self._read(path)]
            yield entries
            new = path.with_name(path.name + ".new")
            with os.fdopen(os.open(new, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as file:
                json.dump({"v": 1, "entries": entries}, file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            new.replace(path)
        finally:
            os.close(lock)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
