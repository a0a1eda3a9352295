"""Evidence as files: hashed when written, checked when read, kept by a second name for as long as its case.

    evidence/recent/gd-0001/20261121/080000.000Z-0123456789abcdef.jpg    every picture, for some hours
    evidence/recent/gd-0001/20261121/075956.960Z-89abcdef01234567.mp4    every clip
    evidence/kept/gd-0001/20261121/080000.000Z-0123456789abcdef.jpg      the same file, linked: what a case shows
    evidence/arriving/                                                   being written; a crash leaves at most this

A reference is the path below `recent` or `kept`: camera, instant (UTC) and the start of the content's SHA-256.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from citybrain.domain.episode import EvidenceKind
from citybrain.errors import Permanent, Transient
from citybrain.evidence.reference import captured_at as instant_of
from citybrain.evidence.reference import checked, is_reference, reference, to_the_millisecond

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE})
_NO_LINKS = frozenset({errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EMLINK})


@dataclass(frozen=True, slots=True)
class Usage:
    """What the store holds and what its disk has left; what is kept and also recent takes its bytes once."""

    recent_files: int
    recent_bytes: int
    kept_files: int
    kept_bytes: int
    free_bytes: int


class FileEvidence:
    """The EvidenceStore of one machine; any number of processes may share the folder."""

    def __init__(self, folder: Path) -> None:
        self._recent = folder / "recent"
        self._kept = folder / "kept"
        self._arriving = folder / "arriving"
        with _room(folder):
            for each in (self._recent, self._kept, self._arriving):
                each.mkdir(parents=True, exist_ok=True)

    def put(self, camera: str, captured_at: datetime, content: bytes, kind: EvidenceKind = EvidenceKind.PICTURE) -> str:
        """Raises Transient when the disk is full, ValueError for a camera id that is no file name."""
        ref = reference(camera, captured_at, content, kind)
        target = self._recent / ref
        if not target.exists():
            with _room(self._recent):
                self._write(target, content)
        return ref

    def keep(self, ref: str) -> bool:
        if not is_reference(ref):
            return False
        source, target = self._recent / ref, self._kept / ref
        if target.exists():
            return True
        with _room(self._kept):
            try:
                self._link(source, target)
            except FileNotFoundError:
                return target.exists()
            _to_disk(target)
        return True

    def get(self, ref: str) -> bytes:
        if not is_reference(ref):
            raise KeyError(ref)
        for folder in (self._kept, self._recent):
            try:
                content = (folder / ref).read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                continue
            return checked(ref, content)
        raise KeyError(ref)

    def sweep(self, *, before: datetime) -> int:
        removed = 0
        before = to_the_millisecond(before)
        last_day = f"{before:%Y%m%d}"
        for day in sorted(self._recent.glob("*/*")):
            if day.name > last_day:
                continue
            for ref, path in _stored(day, self._recent):
                if instant_of(ref) < before:
                    with contextlib.suppress(FileNotFoundError):
                        path.unlink()
                        removed += 1
            _remove_empty(day, up_to=self._recent)
        self._clear_arriving(before)
        return removed

    def away_since(self) -> None:
        """A disk is there, or nothing runs."""

    def usage(self) -> Usage:
        """Counts by walking the folders: for a status page, not for each look."""
        recent, kept = _sizes(self._recent), _sizes(self._kept)
        return Usage(len(recent), sum(recent), len(kept), sum(kept), shutil.disk_usage(self._recent).free)

    def _write(self, target: Path, content: bytes) -> None:
        self._arriving.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=self._arriving, delete=False) as file:
            arriving = Path(file.name)
            try:
                file.write(content)
                file.close()
                self._into_place(arriving, target)
            except BaseException:
                arriving.unlink(missing_ok=True)
                raise

    def _into_place(self, source: Path, target: Path) -> None:
        for last in (False, True):
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                source.replace(target)
            except FileNotFoundError:
                # A sweep took the empty folder away in between.
                if last:
                    raise
            else:
                return

    def _link(self, source: Path, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source, target)
        except FileExistsError:
            return
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            self._write(target, source.read_bytes())

    def _clear_arriving(self, before: datetime) -> None:
        for path in self._arriving.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mtime < before.timestamp():
                    path.unlink()


def _stored(folder: Path, root: Path) -> Iterator[tuple[str, Path]]:
    try:
        paths = list(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return
    for path in paths:
        ref = path.relative_to(root).as_posix()
        if is_reference(ref):
            yield ref, path


def _remove_empty(folder: Path, *, up_to: Path) -> None:
    while folder != up_to:
        try:
            folder.rmdir()
        except OSError:
            return
        folder = folder.parent


def _sizes(folder: Path) -> list[int]:
    sizes = []
    for path in folder.glob("*/*/*.*"):
        with contextlib.suppress(FileNotFoundError):
            sizes.append(path.stat().st_size)
    return sizes


def _to_disk(path: Path) -> None:
    """What a case shows outlives a power cut: wait until the file and its name are on the disk."""
    for each in (path, path.parent):
        descriptor = os.open(each, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def _room(folder: Path) -> Iterator[None]:
    """A disk that is full or has gone read-only may have room again: Transient. Anything else will not mend itself."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise Transient(f"evidence in {folder} cannot be written: {error.strerror}; free some space") from error
        raise Permanent(
            f"evidence in {folder} cannot be written: {error.strerror}; check owner and permissions"
        ) from error
