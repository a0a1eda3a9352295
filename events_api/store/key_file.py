"""Keys and sessions in two files beside each other, which the command line and the API of one machine share."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from citybrain.clock import Clock, instant, iso
from events_api.security import (
    SESSION_LASTS,
    Actor,
    Key,
    Role,
    check_key,
    kept_as,
    name_taken,
    new_key,
    new_session,
)


class FileKeys:
    """Keys in a file of its owner's alone; a change takes effect at once."""

    def __init__(self, path: Path, *, clock: Clock) -> None:
        self._path = path
        self._sessions = path.with_name("sessions.json")
        self._clock = clock
        self._read_as: dict[Path, tuple[tuple[int, int, int], list[dict[str, Any]]]] = {}

    def any(self) -> bool:
        return bool(self.all())

    def all(self) -> list[Key]:
        return [
            Key(
                str(each["name"]), Role(each["role"]), str(each["hash"]), str(each["created_at"]), unit=each.get("unit")
            )
            for each in self._read(self._path)
        ]

    def add(self, name: str, role: Role, *, unit: str | None = None) -> str:
        check_key(name, role, unit)
        token = new_key()
        with self._changing(self._path) as keys:
            if any(each["name"] == name for each in keys):
                raise name_taken(name)
            keys.append(asdict(Key(name, role, kept_as(token), iso(self._clock.now()), unit=unit)))
        return token

    def revoke(self, name: str) -> bool:
        with self._changing(self._path) as keys:
            kept = [each for each in keys if each["name"] != name]
            found = len(kept) < len(keys)
            keys[:] = kept
        return found

    def actor(self, token: str) -> Actor | None:
        digest = kept_as(token)
        for key in self.all():
            if secrets.compare_digest(key.hash, digest):
                return key.actor
        return None

    def open_session(self, actor: Actor) -> str:
        token = new_session()
        now = self._clock.now()
        with self._changing(self._sessions) as sessions:
            sessions[:] = [each for each in sessions if instant(each["until"]) > now]
            sessions.append({"hash": kept_as(token), "key": actor.name, "until": iso(now + SESSION_LASTS)})
        return token

    def close_session(self, token: str) -> None:
        digest = kept_as(token)
        with self._changing(self._sessions) as sessions:
            sessions[:] = [each for each in sessions if each["hash"] != digest]

    def close_sessions(self, name: str) -> None:
        with self._changing(self._sessions) as sessions:
            sessions[:] = [each for each in sessions if each["key"] != name]

    def session(self, token: str) -> Actor | None:
        digest, now = kept_as(token), self._clock.now()
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
