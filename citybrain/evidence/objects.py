"""Named bytes that are written once: in a folder, or in the storage where evidence lies."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Protocol


class Objects(Protocol):
    """Keys are paths with `/`. What was written under a key is never altered. Raises Transient while nobody can say."""

    def put_new(self, key: str, content: bytes) -> bool:
        """Write it, unless there is something of that name already: of several who try, one succeeds."""
        ...

    def get(self, key: str) -> bytes:
        """Raises KeyError."""
        ...

    def keys(self, prefix: str) -> list[str]:
        """All keys that begin so, in order."""
        ...


class FileObjects:
    """Objects in a folder that any number of processes share."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put_new(self, key: str, content: bytes) -> bool:
        target = self._folder / key
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".", suffix=".arriving") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            try:
                os.link(file.name, target)  # whole, or not there
            except FileExistsError:
                return False
        return True

    def get(self, key: str) -> bytes:
        try:
            return (self._folder / key).read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise KeyError(key) from None

    def keys(self, prefix: str) -> list[str]:
        found = (
            path.relative_to(self._folder).as_posix()
            for path in (self._folder / prefix).parent.rglob("*")
            if path.is_file() and not path.name.startswith(".")
        )
        return sorted(key for key in found if key.startswith(prefix))
