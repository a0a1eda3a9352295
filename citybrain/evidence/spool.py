"""Evidence on its way to the storage: on this machine's disk first, so that no look waits for a network.

    spool/gd-0001~20261121~080000.000Z-0123456789abcdef.jpg    waits, or is being sent
    spool/arriving/                                            being written; a crash leaves at most this
    spool/refused                                              a byte for each that there was no room for

All processes of a machine share the folder. What a process leaves behind is sent by the others, one of them at a time.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from citybrain.clock import Clock, SystemClock
from citybrain.errors import Permanent, Transient
from citybrain.evidence.reference import is_reference

MOST_BYTES = 1 << 30
"""The most that waits: some ten thousand pictures."""

_LEAST_FREE = 256 << 20  # bytes that others of this machine find on the disk, whatever waits here
_COUNTED_S = 2.0
_ABANDONED_S = 60.0


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits on this machine, and how many there was no room for since the folder was made."""

    count: int
    bytes: int
    refused: int


class Spool:
    """The folder, as one process uses it. Safe to share between threads."""

    def __init__(self, folder: Path, *, most_bytes: int = MOST_BYTES, clock: Clock | None = None) -> None:
        """Raises Permanent when the folder cannot be made."""
        self._folder, self._arriving, self._most_bytes = folder, folder / "arriving", most_bytes
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._counted_s = float("-inf")
        self._bytes = self._count = 0
        try:
            self._arriving.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Permanent(f"evidence in {folder} cannot be written: {error.strerror}") from error

    def add(self, ref: str, content: bytes) -> None:
        """Raises Transient when there is no room: what is shown by a case already comes before what may be shown by one."""
        target = self._path(ref)
        if target.exists():
            return
        self._make_sure_of_room(len(content))
        try:
            with tempfile.NamedTemporaryFile(dir=self._arriving, delete=False) as file:
                arriving = Path(file.name)
                try:
                    file.write(content)
                    file.close()
                    arriving.replace(target)
                except BaseException:
                    arriving.unlink(missing_ok=True)
                    raise
        except OSError as error:
            self._refuse()
            raise Transient(f"evidence in {self._folder} cannot be written: {error.strerror}") from error

    def get(self, ref: str) -> bytes | None:
        try:
            return self._path(ref).read_bytes()
        except FileNotFoundError:
            return None

    def remove(self, ref: str) -> None:
        self._path(ref).unlink(missing_ok=True)

    def refs(self, *, for_s: float = 0.0) -> list[str]:
        """What has waited at least so long, the oldest first."""
        latest = self._clock.now().timestamp() - for_s
        return [ref for at, ref, _ in sorted(self._entries()) if at <= latest or not for_s]

    def waiting(self) -> Waiting:
        """Counted anew every two seconds at most."""
        self._count_again(at_most_every_s=_COUNTED_S)
        try:
            refused = (self._folder / "refused").stat().st_size
        except FileNotFoundError:
            refused = 0
        return Waiting(self._count, self._bytes, refused)

    @contextlib.contextmanager
    def turn(self) -> Iterator[bool]:
        """Whether this process may send what others left behind: one at a time does."""
        with (self._folder / "turn").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True

    def _path(self, ref: str) -> Path:
        if not is_reference(ref):
            raise ValueError(f"expected a reference, got {ref!r}")
        return self._folder / ref.replace("/", "~")

    def _entries(self) -> Iterator[tuple[float, str, int]]:
        with os.scandir(self._folder) as entries:
            for entry in entries:
                ref = entry.name.replace("~", "/")
                if is_reference(ref):
                    with contextlib.suppress(FileNotFoundError):
                        status = entry.stat()
                        yield status.st_mtime, ref, status.st_size

    def _make_sure_of_room(self, size: int) -> None:
        self._count_again(at_most_every_s=_COUNTED_S)
        free = shutil.disk_usage(self._folder).free
        with self._lock:
            if self._bytes + size <= self._most_bytes and free - size >= _LEAST_FREE:
                self._bytes, self._count = self._bytes + size, self._count + 1
                return
        self._refuse()
        raise Transient(
            f"{self._folder}: {self._count} pictures and clips wait for the storage already: no room for more"
        )

    def _count_again(self, *, at_most_every_s: float) -> None:
        now_s = self._clock.monotonic()
        with self._lock:
            if now_s - self._counted_s < at_most_every_s:
                return
            self._counted_s = now_s
        sizes = [size for _, _, size in self._entries()]
        self._clear_arriving()
        with self._lock:
            self._bytes, self._count = sum(sizes), len(sizes)

    def _clear_arriving(self) -> None:
        now = self._clock.now().timestamp()
        for path in self._arriving.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if now - path.stat().st_mtime > _ABANDONED_S:
                    path.unlink()

    def _refuse(self) -> None:
        with contextlib.suppress(OSError), (self._folder / "refused").open("ab") as file:
            file.write(b".")
