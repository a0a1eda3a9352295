"""cameras.yaml and cameras/*.yaml: which cameras there are, how to reach them, and which parts of their views mean something."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, SecretStr

from citybrain import plugins
from citybrain.configuration import Bilingual, Duration, Section, parse, read
from citybrain.domain.camera import Camera, Text, Zone, ZoneKind
from citybrain.domain.geometry import Homography, Point, Polygon
from citybrain.errors import Fault
from citybrain.ports import Source
from ingest import environment as env_file
from ingest.address import Faults, opened, source_of
from ingest.secrets import masked

FILE = "cameras.yaml"
FOLDER = "cameras"
SOURCES = "ingest.sources"
SHORTEST_LOOK = timedelta(milliseconds=200)


@dataclass(frozen=True, slots=True)
class CameraSettings:
    """One camera as ingest needs it. `url` holds the address with its password, `masked_url` what people may see."""

    camera: Camera
    source: str
    url: SecretStr
    masked_url: str
    look_every: timedelta = timedelta(seconds=1)
    detector: str | None = None
    fixed: bool = True
    """Whether its view stays where it is; a dome on patrol does not."""
    file: str = field(default="", compare=False)
    """Where it stands; a camera that only moved to another file is the same."""

    @property
    def id(self) -> str:
        return self.camera.id


def build(settings: CameraSettings) -> Source:
    """The camera's source, not yet opened."""
    plugin = plugins.load(SOURCES, settings.source)
    source: Source = plugin.build(plugin.Config(camera=settings.id, url=settings.url, look_every=settings.look_every))
    return source


def paced_by_looks(settings: CameraSettings) -> bool:
    """Whether the camera's source gives its frames in the rhythm of `look_every`, so that a change of it is felt there."""
    return bool(getattr(plugins.load(SOURCES, settings.source), "PACED_BY_LOOKS", False))


def files(folder: Path) -> list[Path]:
    """The files of a configuration folder that hold cameras, in the order in which they are read."""
    first = folder / FILE
    more = sorted((folder / FOLDER).glob("*.yaml"))
    return [first, *more] if first.exists() or not more else more


def load(
    folder: Path, faults: list[Fault], *, environment: Mapping[str, str] | None = None, instead: Path | None = None
) -> list[CameraSettings]:
    """The cameras of a configuration folder, without the faulty ones; every fault is added, in the files' order.

    `instead` is read in place of the folder's files: one that is not yet among them.
    """
    found_faults: list[Fault] = []
    found = _cameras(folder, [instead] if instead else files(folder), environment, found_faults)
    # A fault may quote what stands in the file: an address written in the wrong place keeps its password all the same.
    faults.extend(replace(each, message=masked(each.message), key=masked(each.key)) for each in found_faults)
    return found


def _cameras(
    folder: Path, paths: Sequence[Path], environment: Mapping[str, str] | None, faults: list[Fault]
) -> list[CameraSettings]:
    before, known, ids = len(faults), plugins.offered(SOURCES), list[tuple[object, str, str]]()
    around = os.environ if environment is None else environment
    found: list[CameraSettings] = []
    for path in paths:
        file = str(path)
        value = read(path, faults=faults)
        whole = None if value is None else parse(_File, value, file=file, faults=faults)
        variables = {**around, **env_file.read(env_file.beside(path), faults=faults)}
        for index, each in enumerate(whole.cameras if whole else ()):
            key = f"cameras[{index}]"
            if not isinstance(each, dict):
                faults.append(
                    Fault(file, key, "is not a camera.", "Write its id, name and url as keys; see the example.")
                )
                continue
            ids.append((each.get("id"), file, f"{key}.id"))
            entry = parse(Entry, each, file=file, faults=faults, at=key)
            if entry is not None:
                settings = settled(entry, folder, Faults(file, key, faults), known=known, environment=variables)
                if settings is not None:
                    found.append(settings)
    if not ids and len(faults) == before:
        faults.append(Fault(str(paths[0]), "cameras", "names no camera.", "Add one; see docs/how-to/camera.md."))
    faults.extend(_twice(ids, "camera"))
    return found


def _id(value: object) -> object:
    if isinstance(value, str) and not _ID.fullmatch(value):
        raise ValueError("expected up to 63 letters, digits, '.', '_' or '-', beginning with a letter or digit")
    return value


def _code(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        raise ValueError("must stand in quotes, or YAML reads a number")  # noqa: TRY004  # pydantic wants this one
    if isinstance(value, str) and not re.fullmatch(r"\d{15}", value):
        raise ValueError("expected 15 digits: district 6, street 3, community 3, sequence 3")
    return value


def _name(value: object) -> object:
    return Text(value, value) if isinstance(value, str) and value else value


_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
Id = Annotated[str, BeforeValidator(_id)]
Name = Annotated[Bilingual, BeforeValidator(_name)]
GridCell = Annotated[str, BeforeValidator(_code)]


class Location(Section):
    lon: Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False)]
    lat: Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False)]


class _Zone(Section):
    id: Id
    kind: ZoneKind
    polygon: list[tuple[float, float]]
    place: Annotated[str, Field(min_length=1)] | None = None
    ground: list[tuple[float, float]] | None = None


class Entry(Section):
    """One camera as the file says it."""

    id: Id
    name: Name
    url: str
    source: str | None = None
    location: Location | None = None
    grid_cell: GridCell | None = None
    detector: Annotated[str, Field(min_length=1)] | None = None
    look_every: Duration = timedelta(seconds=1)
    fixed: bool = True
    zones: tuple[_Zone, ...] = ()


class _File(Section):
    cameras: list[Any]


def settled(
    entry: Entry,
    folder: Path,
    faults: Faults,
    *,
    known: Collection[str],
    environment: Mapping[str, str] | None = None,
) -> CameraSettings | None:
    """The camera that an entry describes, None after adding its faults; `known` are the sources there are."""
    before = len(faults.into)
    source = source_of(entry.url, entry.source, known=known, faults=faults)
    url = opened(entry.url, folder, faults=faults, environment=environment)
    if entry.look_every < SHORTEST_LOOK:
        faults.add("look_every", "must be at least 200ms.", "A camera looked at more often would starve the others.")
    zones = [_zone(zone, f"zones[{index}]", faults) for index, zone in enumerate(entry.zones)]
    at = f"{faults.at}.zones" if faults.at else "zones"
    faults.into.extend(_twice([(z.id, faults.file, f"{at}[{n}].id") for n, z in enumerate(entry.zones)], "zone"))
    if len(faults.into) > before or source is None or url is None:
        return None
    return CameraSettings(
        camera=Camera(
            id=entry.id,
            name=entry.name,
            location=(entry.location.lon, entry.location.lat) if entry.location else None,
            grid_cell=entry.grid_cell,
            zones=tuple(zone for zone in zones if zone is not None),
        ),
        source=source,
        url=SecretStr(url),
        masked_url=masked(entry.url),
        look_every=entry.look_every,
        detector=entry.detector,
        fixed=entry.fixed,
        file=faults.file,
    )


def _zone(zone: _Zone, at: str, faults: Faults) -> Zone | None:
    polygon = _polygon(zone.polygon, f"{at}.polygon", faults)
    ground = _ground(zone, at, faults) if zone.ground is not None else None
    return None if polygon is None else Zone(zone.id, zone.kind, polygon, zone.place, ground)


def _polygon(points: Sequence[Point], key: str, faults: Faults) -> Polygon | None:
    if any(value > 2 for point in points for value in point) and all(value >= 0 for point in points for value in point):
        faults.add(key, "looks like pixels.", "Divide by the picture's width and height, so that all are 0..1.")
        return None
    try:
        return Polygon(tuple(points))
    except ValueError as error:
        faults.add(key, f"{error}.", "Coordinates are 0..1 from the top left corner, corner by corner.")
        return None


def _ground(zone: _Zone, at: str, faults: Faults) -> Homography | None:
    ground = zone.ground or []
    key = f"{at}.ground"
    if len(ground) != len(zone.polygon):
        message = f"has {len(ground)} corners and the polygon {len(zone.polygon)}."
        faults.add(key, message, "Give [lon, lat] for each corner of the polygon, in the same order.")
        return None
    if any(abs(lon) > 180 or abs(lat) > 90 for lon, lat in ground):
        faults.add(key, "has a corner that is no [lon, lat].", "Longitude comes first, in degrees (EPSG:4326).")
        return None
    try:
        return Homography.fit(zone.polygon, ground)
    except ValueError as error:
        faults.add(key, f"{error}.", "Four corners of an area on the street tell where the rest lies.")
        return None


def _twice(ids: Sequence[tuple[object, str, str]], noun: str) -> list[Fault]:
    """A fault for each (id, file, key) whose id was said before."""
    first: dict[str, str] = {}
    faults = []
    for name, file, key in ids:
        if not isinstance(name, str):
            continue
        if name not in first:
            first[name] = file
            continue
        where = "" if first[name] == file else f", in {first[name]}"
        faults.append(Fault(file, key, f"{name!r} is the id of another {noun} too{where}.", "Ids are given once."))
    return faults
