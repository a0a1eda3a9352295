"""Cameras as the topic `cameras` registers them: entries out of a folder's files, and cameras out of entries.

files ──► entries, their secrets as ${NAMES} ══ topic ══► entry + this machine's variables and detectors ─┬─► a camera to look at
                                                                                                          └─► why not, here
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from citybrain import plugins
from citybrain.configuration import expand, parse, read
from citybrain.errors import Fault
from citybrain.wire.cameras import Registered
from ingest import environment
from ingest.address import Faults
from ingest.config import FILE, FOLDER, SOURCES, CameraSettings, Entry, files, settled
from ingest.secrets import masked, written_out

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)")
_PLACE = re.compile(rf"{re.escape(FILE)}|{FOLDER}/[^/]+\.yaml")

NO_DETECTOR, NOT_SET, FAULTY = "no such detector", "secret not set", "entry faulty"
"""Why a camera cannot be looked at here (`ingest.reasons`)."""


def entries(folder: Path, *, faults: list[Fault]) -> dict[str, Registered]:
    """The cameras of a folder as they are registered, by id. The folder is read as it stands: check it before.

    A password that is written out is a fault: what is registered is read by every machine, and kept.
    """
    found: dict[str, Registered] = {}
    for path in files(folder):
        value = read(path, faults=faults)
        cameras = value.get("cameras") if isinstance(value, dict) else None
        for index, each in enumerate(cameras if isinstance(cameras, list) else ()):
            if not isinstance(each, dict) or not isinstance(each.get("id"), str):
                continue
            if written_out(str(each.get("url", ""))):
                message, remedy = (
                    "holds a password that is written out.",
                    "Write it as ${NAME}, and set NAME where ingest runs.",
                )
                faults.append(Fault(str(path), f"cameras[{index}].url", message, remedy))
            found[each["id"]] = Registered(path.relative_to(folder).as_posix(), each)
    return found


def variables_of(folder: Path) -> dict[str, str]:
    """Something for each variable that the folder's cameras name: whoever registers them need not know the secrets."""
    texts = (path.read_text(encoding="utf-8") for path in files(folder) if path.is_file())
    return {name: "x" for text in texts for name in _VARIABLE.findall(text)}


@dataclass(frozen=True, slots=True)
class Unusable:
    """Why a registered camera cannot be looked at here: in a word for people, and in full for the log."""

    reason: str
    detail: str


class Registry:
    """Makes cameras of what is registered, on this machine: its folder's detectors, its variables, its paths."""

    def __init__(self, folder: Path, *, around: Mapping[str, str] | None = None) -> None:
        self._folder, self._around = folder, os.environ if around is None else around
        self._known = plugins.offered(SOURCES)

    def settings(
        self, registered: Mapping[str, Registered], *, detectors: Collection[str]
    ) -> tuple[list[CameraSettings], dict[str, Unusable]]:
        """What can be looked at, and what cannot, with the reason. The variables are read anew each time."""
        usable: list[CameraSettings] = []
        unusable: dict[str, Unusable] = {}
        variables = {each: self._variables(each) for each in {camera.file for camera in registered.values()}}
        for id, camera in registered.items():
            made = self._made(id, camera, variables[camera.file], detectors)
            if isinstance(made, Unusable):
                unusable[id] = made
            else:
                usable.append(made)
        return usable, unusable

    def fingerprint(self) -> Sequence[tuple[str, int, int]]:
        """Of the variables beside the cameras: it changes when they do."""
        paths = [self._folder / Path(FILE).with_suffix(".env"), *(self._folder / FOLDER).glob("*.env")]
        return sorted(_stamps(paths))

    def _made(
        self, id: str, camera: Registered, variables: Mapping[str, str], detectors: Collection[str]
    ) -> CameraSettings | Unusable:
        faults: list[Fault] = []
        entry = parse(Entry, camera.entry, file=camera.file, faults=faults)
        if entry is None or entry.id != id:
            return Unusable(
                FAULTY, _told(faults) or f"it is registered as {id!r} and says that it is {camera.entry.get('id')!r}"
            )
        if entry.detector is None and len(detectors) > 1:
            return Unusable(NO_DETECTOR, f"it names none, and there are several here: {', '.join(sorted(detectors))}")
        if entry.detector is not None and entry.detector not in detectors:
            return Unusable(NO_DETECTOR, f"there is no detectors/{entry.detector}.yaml here")
        place = Faults(camera.file, "", faults)
        settings = settled(entry, self._folder, place, known=self._known, environment={**self._around, **variables})
        if settings is not None:
            return settings
        _, unset = expand(entry.url, environment={**self._around, **variables})
        return Unusable(NOT_SET if unset else FAULTY, _told(faults))

    def _variables(self, file: str) -> dict[str, str]:
        """Those beside the file, if it is one that holds cameras: nothing else is read because a message names it."""
        if not _PLACE.fullmatch(file) or ".." in file:
            return {}
        return environment.read(environment.beside(self._folder / file), faults=[])


def _told(faults: Iterable[Fault]) -> str:
    return masked("; ".join(str(each) for each in faults))


def _stamps(paths: Iterable[Path]) -> Iterable[tuple[str, int, int]]:
    for path in paths:
        try:
            status = path.stat()
        except OSError:  # there is none, or it went just now
            continue
        yield str(path), status.st_size, status.st_mtime_ns
