"""Zones written into the configuration folder: only what leaves the whole folder without faults, in one step, or not at all.

the camera's file ──► its zones replaced in the text ──► a copy of the folder with that text, read whole ──► renamed into place
        └── somebody was faster: Changed                     └── faults: Faulty, nothing is written
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from citybrain import reading
from citybrain.assembly import Configuration
from citybrain.clock import Clock
from citybrain.domain.camera import ZoneKind
from citybrain.domain.geometry import Homography
from citybrain.errors import Fault, Unreadable
from events_api.drawing import Changed, DrawnZone, Faulty, NotWritable, Sheet
from ingest import config as camera_config
from ingest.zone_text import Unwritable, entry_of, spliced

KEPT = 50
"""Files as they were before they were written, the newest."""
_DECIMALS = 4
_GROUND_DECIMALS = 7  # a degree's ten-millionth is a centimetre


class ConfiguredZones:
    """The ZoneFiles of a configuration folder. `before` is the folder that keeps what was written over.

    Any number of processes may write: one at a time does. `read` judges the folder as it would be.
    """

    def __init__(
        self,
        folder: Path,
        *,
        before: Path,
        clock: Clock,
        read: Callable[[Path], tuple[Configuration | None, list[Fault]]] = reading.apart,
    ) -> None:
        self._folder, self._before, self._clock, self._read = folder.resolve(), before, clock, read

    def sheet(self, camera: str) -> Sheet | None:
        found = self._found(camera)
        return None if found is None else self._sheet(camera, *found[:2])

    def write(self, camera: str, zones: Sequence[DrawnZone], *, revision: str) -> tuple[Sheet, str]:
        with self._alone():
            found = self._found(camera)
            if found is None:
                raise NotWritable(f"no file of the configuration names the camera {camera!r}")
            path, entry, was = found
            sheet = self._sheet(camera, path, entry)
            if sheet.revision != revision:
                raise Changed(sheet)
            try:
                text = spliced(was, camera, [_written(each, entry) for each in zones])
            except (Unwritable, Unreadable) as error:
                raise NotWritable(f"{sheet.file}: {error}; change it by hand") from None
            with self._arriving(path, text) as arriving:
                configuration = self._judged(path, arriving)
                if _text(path) != was:  # while it was judged
                    raise Changed(self.sheet(camera) or sheet)
                if text != was:
                    self._keep(path, was)
                    arriving.replace(path.resolve())
            return self.sheet(camera) or sheet, configuration.revision

    # -- what is written there --------------------------------------------------------------------------------------

    def _found(self, camera: str) -> tuple[Path, Mapping[str, Any], str] | None:
        for path in camera_config.files(self._folder):
            try:
                text = _text(path)
                entry = entry_of(text, camera) if camera in text else None
            except (OSError, UnicodeDecodeError, Unreadable):
                continue  # the watcher names its faults; the camera may stand in another file
            if entry is not None:
                return path, entry, text
        return None

    def _sheet(self, camera: str, path: Path, entry: Mapping[str, Any]) -> Sheet:
        said = json.dumps([path.name, entry], sort_keys=True, default=str)
        zones = entry.get("zones") or []
        try:
            drawn = [_drawn(each) for each in zones]
        except (KeyError, TypeError, ValueError):
            raise NotWritable(f"{path.name}: its zones have faults; mend them by hand first") from None
        return Sheet(
            camera,
            path.relative_to(self._folder).as_posix(),
            hashlib.sha256(said.encode()).hexdigest()[:16],
            drawn,
            frozenset(str(each["id"]) for each in zones if each.get("ground")),
        )

    # -- writing ----------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        self._before.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(self._before / "lock", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    @contextlib.contextmanager
    def _arriving(self, path: Path, text: str) -> Iterator[Path]:
        """The new text beside the file, with its mode and owner: no name that anybody reads."""
        target = path.resolve()
        arriving = target.with_name(f".{target.name}.arriving")
        try:
            arriving.unlink(missing_ok=True)
            status = target.stat()
            with os.fdopen(
                os.open(arriving, os.O_WRONLY | os.O_CREAT | os.O_EXCL, status.st_mode & 0o777), "wb"
            ) as file:
                os.fchmod(file.fileno(), status.st_mode & 0o777)
                with contextlib.suppress(PermissionError):  # not ours to give: then it is the server's
                    os.fchown(file.fileno(), status.st_uid, status.st_gid)
                file.write(text.encode())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            where = path.relative_to(self._folder).as_posix()
            raise NotWritable(
                f"{where} cannot be written ({error.strerror}): change it where the folder comes from"
            ) from None
        try:
            yield arriving
        finally:
            arriving.unlink(missing_ok=True)

    def _judged(self, path: Path, arriving: Path) -> Configuration:
        """The configuration as it would be: what `citybrain check` reads. Scenes and models are not touched by zones, so
        neither a scene's tests nor a model's weights are run again."""
        with tempfile.TemporaryDirectory(prefix="citybrain-zones-") as name:
            copy = Path(name).resolve() / self._folder.name
            _mirror(self._folder, copy, path, arriving)
            configuration, faults = self._read(copy)
            if configuration is None:
                raise Faulty([str(_moved(each, copy, self._folder)) for each in faults])
        return configuration

    def _keep(self, path: Path, text: str) -> None:
        """It may hold passwords, so it is its owner's alone."""
        at = self._clock.now().strftime("%Y%m%dT%H%M%S.%fZ")
        kept = self._before / f"{at}-{path.name}"
        with os.fdopen(os.open(kept, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(text.encode())
            os.fsync(file.fileno())
        for old in sorted(self._before.glob("*.yaml"))[:-KEPT]:
            old.unlink(missing_ok=True)


def _text(path: Path) -> str:
    return path.read_bytes().decode("utf-8")  # line ends as they are


def _drawn(zone: Mapping[str, Any]) -> DrawnZone:
    points = tuple((float(x), float(y)) for x, y in zone["polygon"])
    return DrawnZone(str(zone["id"]), ZoneKind(zone["kind"]), points, zone.get("place"))


def _written(drawn: DrawnZone, entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """The zone as the file will say it; in the file's own words where it says the same already."""
    was = next((each for each in entry.get("zones") or [] if each.get("id") == drawn.id), None)
    if was is not None and _rounded(_drawn(was)) == _rounded(drawn):
        return dict(was)
    zone: dict[str, Any] = {"id": drawn.id, "kind": drawn.kind.value, "polygon": [list(each) for each in drawn.points]}
    if drawn.place:
        zone["place"] = drawn.place
    if was is not None and was.get("ground"):
        zone["ground"] = _carried_over(was, drawn)
    return zone


def _rounded(zone: DrawnZone) -> DrawnZone:
    return replace(zone, points=tuple((round(x, _DECIMALS), round(y, _DECIMALS)) for x, y in zone.points))


def _carried_over(was: Mapping[str, Any], drawn: DrawnZone) -> list[list[float]]:
    """Where the new corners lie on the ground, by the survey of the old ones. Raises Faulty when that cannot be said."""
    try:
        survey = Homography.fit([(x, y) for x, y in was["polygon"]], [(lon, lat) for lon, lat in was["ground"]])
        ground = [survey.ground(each) for each in drawn.points]
    except (ValueError, ZeroDivisionError):
        raise Faulty([f"zones.{drawn.id}.ground: the survey of the old corners says nothing of the new ones"]) from None
    return [[round(lon, _GROUND_DECIMALS), round(lat, _GROUND_DECIMALS)] for lon, lat in ground]


def _mirror(folder: Path, copy: Path, path: Path, arriving: Path) -> None:
    """The folder's tree, its files as links to what they are, `path` (by whatever name) to what is arriving. A folder that is
    itself a link stays one, unless `path` lies in it: links may lead in a circle."""
    copy.mkdir(parents=True)
    target = path.resolve()
    for each in folder.iterdir():
        if each.is_dir() and (path.is_relative_to(each) or not each.is_symlink()):
            _mirror(each, copy / each.name, path, arriving)
        else:
            (copy / each.name).symlink_to(arriving if each.resolve() == target else each)


def _moved(fault: Fault, copy: Path, folder: Path) -> Fault:
    return replace(
        fault, file=fault.file.replace(str(copy), str(folder)), message=fault.message.replace(str(copy), str(folder))
    )
