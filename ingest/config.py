"""cameras.yaml: which cameras there are, how to reach them, and which parts of their views mean something."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

from pydantic import BeforeValidator, Field, SecretStr

from citybrain import plugins
from citybrain.configuration import Bilingual, Duration, Section, expand, parse, read
from citybrain.domain.camera import Camera, Text, Zone, ZoneKind
from citybrain.domain.geometry import Homography, Point, Polygon
from citybrain.errors import Fault
from citybrain.ports import Source
from ingest.secrets import masked

FILE = "cameras.yaml"
SOURCES = "ingest.sources"
SHORTEST_LOOK = timedelta(milliseconds=200)
_SCHEMES = {
    **dict.fromkeys(("rtsp", "rtsps", "rtmp", "rtmps", "http", "https"), "rtsp"),
    "file": "file",
    "images": "images",
}
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_USER_INFO = re.compile(r"^(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)(?P<userinfo>[^/?#]*)@(?P<rest>.*)$", re.DOTALL)


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

    @property
    def id(self) -> str:
        return self.camera.id


def build(settings: CameraSettings) -> Source:
    """The camera's source, not yet opened."""
    plugin = plugins.load(SOURCES, settings.source)
    source: Source = plugin.build(plugin.Config(camera=settings.id, url=settings.url, look_every=settings.look_every))
    return source


def load(folder: Path, faults: list[Fault]) -> list[CameraSettings]:
    """The cameras of a configuration folder, without the faulty ones; every fault is added, in the file's order."""
    found_faults: list[Fault] = []
    found = _cameras(folder, found_faults)
    # A fault may quote what stands in the file: an address written in the wrong place keeps its password all the same.
    faults.extend(replace(each, message=masked(each.message), key=masked(each.key)) for each in found_faults)
    return found


def _cameras(folder: Path, faults: list[Fault]) -> list[CameraSettings]:
    path = folder / FILE
    file = str(path)
    value = read(path, faults=faults)
    if value is None:
        return []
    whole = parse(_File, value, file=file, faults=faults)
    if whole is None:
        return []
    if not whole.cameras:
        faults.append(Fault(file, "cameras", "names no camera.", "Add one; see docs/how-to/camera.md."))
    found: list[CameraSettings] = []
    for index, each in enumerate(whole.cameras):
        key = f"cameras[{index}]"
        if not isinstance(each, dict):
            faults.append(Fault(file, key, "is not a camera.", "Write its id, name and url as keys; see the example."))
            continue
        entry = parse(_Entry, each, file=file, faults=faults, at=key)
        if entry is not None:
            settings = _settings(entry, folder, _Faults(file, key, faults))
            if settings is not None:
                found.append(settings)
    ids = [each.get("id") if isinstance(each, dict) else None for each in whole.cameras]
    faults.extend(_twice(ids, file, "cameras[{}].id", "camera"))
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
_Id = Annotated[str, BeforeValidator(_id)]


class _Location(Section):
    lon: Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False)]
    lat: Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False)]


class _Zone(Section):
    id: _Id
    kind: ZoneKind
    polygon: list[tuple[float, float]]
    place: Annotated[str, Field(min_length=1)] | None = None
    ground: list[tuple[float, float]] | None = None


class _Entry(Section):
    id: _Id
    name: Annotated[Bilingual, BeforeValidator(_name)]
    url: str
    source: str | None = None
    location: _Location | None = None
    grid_cell: Annotated[str, BeforeValidator(_code)] | None = None
    detector: Annotated[str, Field(min_length=1)] | None = None
    look_every: Duration = timedelta(seconds=1)
    fixed: bool = True
    zones: tuple[_Zone, ...] = ()


class _File(Section):
    cameras: list[Any]


@dataclass(frozen=True, slots=True)
class _Faults:
    """Where faults of one camera go."""

    file: str
    at: str
    into: list[Fault]

    def add(self, key: str, message: str, remedy: str = "") -> None:
        self.into.append(Fault(self.file, f"{self.at}.{key}", message, remedy))


def _settings(entry: _Entry, folder: Path, faults: _Faults) -> CameraSettings | None:
    before = len(faults.into)
    source = _source(entry, faults)
    url = _address(entry.url, folder, faults)
    if entry.look_every < SHORTEST_LOOK:
        faults.add("look_every", "must be at least 200ms.", "A camera looked at more often would starve the others.")
    zones = [_zone(zone, f"zones[{index}]", faults) for index, zone in enumerate(entry.zones)]
    faults.into.extend(_twice([z.id for z in entry.zones], faults.file, faults.at + ".zones[{}].id", "zone"))
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
    )


def _source(entry: _Entry, faults: _Faults) -> str | None:
    known = plugins.offered(SOURCES)
    if entry.source is not None:
        if entry.source not in known:
            faults.add("source", f"{SOURCES} has no {entry.source!r}.", f"It has {', '.join(known)}.")
            return None
        return entry.source
    scheme = _SCHEME.match(entry.url)
    name = _SCHEMES.get(scheme.group(1).lower()) if scheme else None
    if name not in known:
        found = f"begins with {scheme.group(1) + ':'!r}" if scheme else "has no scheme"
        right = ", ".join(f"{each}:" for each in _SCHEMES)
        faults.add(
            "url", f"{found}, which no source opens.", f"Begin it with {right}, or name a source: {', '.join(known)}."
        )
        return None
    return name


def _address(url: str, folder: Path, faults: _Faults) -> str | None:
    """The address with its secrets in it; file and images paths are taken from the configuration's folder."""
    unset: list[str] = []
    split = _USER_INFO.match(url)
    if split:
        # A password may hold any character: those that an address gives a meaning are quoted, unless they already are.
        address = (
            split["scheme"] + _expanded(split["userinfo"], unset, quoted=True) + "@" + _expanded(split["rest"], unset)
        )
    else:
        address = _expanded(url, unset)
    for name in unset:
        faults.add("url", f"the variable {name} is not set.", f"Set {name} in the environment before starting.")
    if unset:
        return None
    scheme, _, rest = address.partition(":")
    if scheme.lower() in ("file", "images"):
        place, mark, query = rest.partition("?")
        path = (folder / place.removeprefix("//")).resolve()
        if not path.exists():
            faults.add("url", f"there is no {path}.", "Paths are taken from the folder of cameras.yaml.")
            return None
        return f"{scheme.lower()}://{quote(str(path))}{mark}{query}"
    if not re.match(
        r"^//(?:[^/?#]*@)?(?:\[[0-9A-Fa-f:.]+\]|[^/?#@:\[\]]+)(?::\d{1,5})?(?:[/?#]|$)", rest
    ) and _SCHEMES.get(scheme.lower()):
        faults.add("url", "names no host.", "Write it as rtsp://user:password@host:port/path.")
        return None
    return address


def _expanded(text: str, unset: list[str], *, quoted: bool = False) -> str:
    expanded, missing = expand(text, quote=partial(quote, safe="%") if quoted else str)
    unset.extend(name for name in missing if name not in unset)
    return expanded


def _zone(zone: _Zone, at: str, faults: _Faults) -> Zone | None:
    polygon = _polygon(zone.polygon, f"{at}.polygon", faults)
    ground = _ground(zone, at, faults) if zone.ground is not None else None
    return None if polygon is None else Zone(zone.id, zone.kind, polygon, zone.place, ground)


def _polygon(points: Sequence[Point], key: str, faults: _Faults) -> Polygon | None:
    if any(value > 2 for point in points for value in point) and all(value >= 0 for point in points for value in point):
        faults.add(key, "looks like pixels.", "Divide by the picture's width and height, so that all are 0..1.")
        return None
    try:
        return Polygon(tuple(points))
    except ValueError as error:
        faults.add(key, f"{error}.", "Coordinates are 0..1 from the top left corner, corner by corner.")
        return None


def _ground(zone: _Zone, at: str, faults: _Faults) -> Homography | None:
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


def _twice(ids: Sequence[Any], file: str, key: str, noun: str) -> list[Fault]:
    counts = Counter(each for each in ids if isinstance(each, str))
    first = {name: ids.index(name) for name, count in counts.items() if count > 1}
    return [
        Fault(file, key.format(index), f"{name!r} is the id of another {noun} too.", "Ids are given once.")
        for index, name in enumerate(ids)
        if isinstance(name, str) and name in first and index > first[name]
    ]
