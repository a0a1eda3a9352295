"""The city's own base map, `map.geojson`: roads, water, boundaries; checked, and brought down to what the wall draws.

Coordinates are longitude and latitude in EPSG:4326 (WGS 84), as RFC 7946 has it. What Chinese maps give is GCJ-02 or BD-09, which
no check can tell apart from it: `citybrain.domain.coordinates.to_wgs84` brings it back before it is written there.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from citybrain.errors import Fault

log = logging.getLogger(__name__)

FILE = "map.geojson"
MOST_BYTES = 4 * 1024 * 1024
MOST_POINTS = 200_000
KINDS = ("boundary", "building", "green", "place", "rail", "road", "street", "water")
"""What the wall draws, each in its way; `road` is broader than `street`, `place` is a name alone."""

_DEPTH = {"Point": 0, "LineString": 1, "MultiLineString": 2, "Polygon": 2, "MultiPolygon": 3}
_USUAL = {"Point": "place", "LineString": "street", "MultiLineString": "street"}
_WGS84 = ("CRS84", "EPSG::4326", "EPSG:4326")
_MOST_FAULTS = 20
_DIGITS = 6  # a tenth of a metre


@dataclass(frozen=True, slots=True)
class MapLayer:
    """The layer as it is served: a FeatureCollection whose features have a geometry, a `kind` and perhaps a `name`."""

    content: bytes
    etag: str


NO_LAYER = MapLayer(b'{"type":"FeatureCollection","features":[]}', '"none"')


def load(folder: Path, *, faults: list[Fault]) -> MapLayer:
    """The folder's layer; one of nothing when there is no file, or after adding a fault for each thing that is wrong."""
    path = folder / FILE
    if not path.exists():
        return NO_LAYER
    found = list[Fault]()
    features = list(_features(path, found))
    faults += found[:_MOST_FAULTS]
    if found:
        return NO_LAYER
    written = {"type": "FeatureCollection", "features": features}
    content = json.dumps(written, ensure_ascii=False, separators=(",", ":")).encode()
    return MapLayer(content, f'"{hashlib.sha256(content).hexdigest()[:20]}"')


class MapFile:
    """The folder's layer while the file may change: the last good one as long as what lies there is faulty."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._seen: tuple[int, int, int] | None = None
        self._layer = NO_LAYER

    def now(self) -> MapLayer:
        if self._folder is None:
            return NO_LAYER
        with self._lock:
            seen = self._status(self._folder / FILE)
            if seen != self._seen:
                self._seen, faults = seen, list[Fault]()
                layer = load(self._folder, faults=faults)
                if faults:
                    log.error("the changed map is refused, the one before stays: %s", faults[0])
                else:
                    self._layer = layer
            return self._layer

    @staticmethod
    def _status(path: Path) -> tuple[int, int, int] | None:
        try:
            found = path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino


def _features(path: Path, faults: list[Fault]) -> Iterator[dict[str, Any]]:
    shown = str(path)
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            remedy = "Leave out what nobody sees at this scale, or simplify its lines."
            faults.append(Fault(shown, "", f"expected at most {MOST_BYTES} bytes, got {size}.", remedy))
            return
        collection = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        faults.append(Fault(shown, "", f"cannot be read ({type(error).__name__}).", "It must be GeoJSON in UTF-8."))
        return
    if not isinstance(collection, dict) or not isinstance(collection.get("features"), list):
        faults.append(Fault(shown, "", "expected a FeatureCollection.", "See docs/configuration.md#mapgeojson."))
        return
    crs = collection.get("crs")
    if crs is not None and not any(name in json.dumps(crs) for name in _WGS84):
        remedy = "Convert the coordinates to EPSG:4326, and leave `crs` out."
        faults.append(Fault(shown, "crs", "names another system than EPSG:4326.", remedy))
        return
    left = MOST_POINTS
    for index, feature in enumerate(collection["features"]):
        at = f"features[{index}]"
        read = _feature(feature, shown, at, faults)
        if read is not None:
            left -= sum(1 for _ in _points(read["geometry"]["coordinates"]))
            yield read
        if left < 0:
            faults.append(Fault(shown, at, f"is beyond {MOST_POINTS} points.", "Simplify the lines."))
        if left < 0 or len(faults) >= _MOST_FAULTS:
            return


def _feature(feature: Any, file: str, at: str, faults: list[Fault]) -> dict[str, Any] | None:
    geometry = feature.get("geometry") if isinstance(feature, Mapping) else None
    shape = geometry.get("type") if isinstance(geometry, Mapping) else None
    if not isinstance(geometry, Mapping) or shape not in _DEPTH:
        message = f"expected a geometry of {', '.join(_DEPTH)}, got {shape!r}."
        faults.append(Fault(file, f"{at}.geometry", message, "Leave the feature out, or split it."))
        return None
    properties = feature.get("properties") or {}
    kind = properties.get("kind") or _USUAL.get(shape, "boundary")
    if kind not in KINDS:
        faults.append(Fault(file, f"{at}.properties.kind", f"{kind!r} is not drawn.", f"Known: {', '.join(KINDS)}."))
        return None
    try:
        coordinates = _rounded(geometry.get("coordinates"), _DEPTH[shape])
    except ValueError as error:
        faults.append(Fault(file, f"{at}.geometry.coordinates", f"{error}.", "Longitude first, in degrees, EPSG:4326."))
        return None
    name = _name(properties.get("name"))
    return {
        "type": "Feature",
        "properties": {"kind": kind, **({"name": name} if name else {})},
        "geometry": {"type": shape, "coordinates": coordinates},
    }


def _rounded(value: Any, depth: int) -> list[Any]:
    if not isinstance(value, list) or not value:
        raise ValueError(f"expected a list, got {str(value)[:40]!r}")
    if depth:
        return [_rounded(each, depth - 1) for each in value]
    numbers = value[:2]
    if len(numbers) < 2 or not all(isinstance(each, int | float) and not isinstance(each, bool) for each in numbers):
        raise ValueError(f"expected [lon, lat], got {str(value)[:40]}")
    lon, lat = numbers
    if not (-180 <= lon <= 180 and -85 <= lat <= 85):
        raise ValueError(f"expected lon within 180 and lat within 85, got [{lon}, {lat}]")
    return [round(lon, _DIGITS), round(lat, _DIGITS)]


def _points(coordinates: Any) -> Iterator[Any]:
    if isinstance(coordinates[0], list):
        for each in coordinates:
            yield from _points(each)
    else:
        yield coordinates


def _name(said: Any) -> dict[str, str] | None:
    if isinstance(said, str) and said.strip():
        return {"zh": said[:80], "en": said[:80]}
    if isinstance(said, Mapping):
        names = {tongue: str(said.get(tongue) or "")[:80] for tongue in ("zh", "en")}
        return names if any(names.values()) else None
    return None
