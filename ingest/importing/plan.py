"""What an import would do: which cameras it adds, changes, leaves and removes, and what the two files would say."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from citybrain import plugins
from citybrain.configuration import parse, read
from citybrain.domain.coordinates import Crs, in_china, to_wgs84
from citybrain.domain.geometry import metres_between
from citybrain.errors import Fault
from ingest import config, environment
from ingest.address import Faults
from ingest.importing.logins import Logins
from ingest.importing.table import Row, Table
from ingest.secrets import masked

_CRS = {
    **dict.fromkeys(("", "wgs84", "wgs-84", "epsg:4326", "4326", "cgcs2000", "epsg:4490", "4490"), Crs.WGS84),
    **dict.fromkeys(("gcj02", "gcj-02", "gcj", "火星", "火星坐标", "国测局", "高德", "腾讯"), Crs.GCJ02),
    **dict.fromkeys(("bd09", "bd-09", "bd09ll", "bd-09ll", "百度", "百度坐标"), Crs.BD09),
}
_YES = {"true": True, "yes": True, "1": True, "是": True, "false": False, "no": False, "0": False, "否": False}
_ROUNDED = re.compile(r"\d(?:\.\d+)?[Ee]\+?\d+")
_VARIABLE = re.compile(r"\$\{(\w+)")
_COPIED = ("detector", "source", "look_every")
_HEADER = """\
# Cameras imported by `citybrain cameras import`, which rewrites this file: keys that the table has no column for stay as they
# are, such as zones; comments do not. Passwords are in the .env file beside it.
"""


@dataclass(slots=True)
class Plan:
    """An import before it is written. `changed` says which keys of a camera change, and how far it moves."""

    path: Path
    added: list[str] = field(default_factory=list)
    changed: dict[str, str] = field(default_factory=dict)
    unchanged: int = 0
    removed: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)
    entries: list[dict[str, Any]] = field(default_factory=list)
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """What the file of cameras would say."""
        dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
        return _HEADER + str(
            yaml.dump({"cameras": self.entries}, Dumper=dumper, allow_unicode=True, sort_keys=False, width=1000)
        )

    @property
    def secrets(self) -> str:
        """What the env file would say."""
        return environment.write(self.variables)


def plan(
    table: Table,
    folder: Path,
    name: str,
    *,
    replace_all: bool,
    crs: Crs,
    faults: list[Fault],
    progress: Callable[[int, int], None] | None = None,
) -> Plan:
    """What importing the table into `cameras/NAME.yaml` would do with its good rows; faults of the others are added."""
    path = folder / config.FOLDER / f"{name}.yaml"
    before, elsewhere = _standing(folder, path, faults)
    held = environment.read(environment.beside(path), faults=faults)
    found, logins = Plan(path), Logins(name, held)
    rows = _Rows(table, folder, crs, logins, elsewhere)
    good: dict[str, dict[str, Any]] = {}
    seen: dict[str, int] = {}
    for number, row in enumerate(table.rows, 1):
        id = row.cells["id"]
        wrong: list[Fault] = []
        if id in seen:
            wrong.append(table.fault(row.line, "id", f"{id!r} stands in line {seen[id]} too.", "Ids are given once."))
        seen.setdefault(id, row.line)
        entry = rows.entry(row, before.get(id), wrong)
        # A fault may quote a cell: an address in it keeps its password.
        faults += [replace(each, message=masked(each.message)) for each in wrong]
        if not wrong:
            good[id] = entry
        if progress is not None:
            progress(number, len(table.rows))
    for id, was in before.items():
        if id in good:
            continue
        if replace_all and id not in seen:
            found.removed.append(id)
        else:
            good[id] = was
            found.kept.append(id)
    for id, entry in good.items():
        _compare(found, id, before.get(id), entry)
    # In the order in which they stand, new ones after them: a person's diff of the file shows what changed.
    found.entries = [good[id] for id in before if id in good] + [good[id] for id in good if id not in before]
    named = {name for entry in found.entries for name in _VARIABLE.findall(str(entry.get("url")))}
    found.variables = {key: value for key, value in {**held, **logins.used}.items() if key in named}
    return found


def _standing(folder: Path, path: Path, faults: list[Fault]) -> tuple[dict[str, dict[str, Any]], dict[str, Path]]:
    """The entries of the file as they are, and in which other file each other camera stands."""
    own: dict[str, dict[str, Any]] = {}
    elsewhere: dict[str, Path] = {}
    for file in config.files(folder):
        if not file.exists():
            continue
        value = read(file, faults=faults)
        listed = value.get("cameras") if isinstance(value, dict) else None
        for each in listed if isinstance(listed, list) else ():
            if isinstance(each, dict) and isinstance(each.get("id"), str):
                if file == path:
                    own[each["id"]] = each
                else:
                    elsewhere[each["id"]] = file
    return own, elsewhere


def _compare(found: Plan, id: str, was: Mapping[str, Any] | None, now: Mapping[str, Any]) -> None:
    place = now.get("location")
    if place and not in_china((place["lon"], place["lat"])):
        found.outside.append(id)
    if was is None:
        found.added.append(id)
        return
    if was == now:
        found.unchanged += id not in found.kept
        return
    said = [key for key in dict.fromkeys((*was, *now)) if was.get(key) != now.get(key)]
    old = was.get("location")
    if "location" in said and old and place:
        moved = metres_between((old["lon"], old["lat"]), (place["lon"], place["lat"]))
        said[said.index("location")] = f"location (by {moved:.0f} m)"
    found.changed[id] = ", ".join(said)


class _Rows:
    """Makes entries of rows."""

    def __init__(self, table: Table, folder: Path, crs: Crs, logins: Logins, elsewhere: Mapping[str, Path]) -> None:
        self._table, self._folder, self._crs, self._logins, self._elsewhere = table, folder, crs, logins, elsewhere
        self._known = plugins.offered(config.SOURCES)

    def entry(self, row: Row, was: Mapping[str, Any] | None, wrong: list[Fault]) -> dict[str, Any]:
        """The camera's entry: what stood there, with what the table says of it. Faults are added to `wrong`."""
        cells, entry = row.cells, dict(was or {})
        for column in ("id", "grid_cell"):
            if _ROUNDED.fullmatch(cells.get(column, "")):
                remedy = "Format the column as text, then type or paste the codes again."
                wrong.append(
                    self._table.fault(row.line, column, f"{cells[column]} was rounded by a spreadsheet.", remedy)
                )
        if cells["id"] in self._elsewhere:
            said = f"{cells['id']!r} stands in {self._elsewhere[cells['id']]} already."
            wrong.append(self._table.fault(row.line, "id", said, "Take it out there, or out of the table."))
        entry["id"] = cells["id"]
        entry["name"] = self._name(cells, entry.get("name"))
        entry["url"] = self._logins.hidden(cells["url"], user=cells.get("user", ""), password=cells.get("password", ""))
        if "lon" in self._table.columns and "lat" in self._table.columns:
            _put(entry, "location", self._location(row, wrong))
        if "grid_cell" in self._table.columns:
            _put(entry, "grid_cell", cells.get("grid_cell"))
        for column in _COPIED:
            if column in self._table.columns:
                _put(entry, column, cells.get(column))
        if cells.get("fixed"):
            fixed = _YES.get(cells["fixed"].casefold())
            if fixed is None:
                wrong.append(self._table.fault(row.line, "fixed", f"expected yes or no, got {cells['fixed']!r}."))
            entry["fixed"] = fixed
        if not wrong:
            self._judge(row, entry, wrong)
        return entry

    def _judge(self, row: Row, entry: Mapping[str, Any], wrong: list[Fault]) -> None:
        """By the rules of the file that it is to stand in."""
        found: list[Fault] = []
        parsed = parse(config.Entry, entry, file="", faults=found)
        if parsed is not None:
            variables = {**os.environ, **self._logins.used}
            config.settled(parsed, self._folder, Faults("", "", found), known=self._known, environment=variables)
        for each in found:
            key = each.key.partition(".")[0].partition("[")[0]
            column = {"location": each.key.rpartition(".")[2]}.get(key, key)
            known = column in self._table.columns
            message = each.message if known or not each.key else f"{each.key}: {each.message}"
            wrong.append(self._table.fault(row.line, column, message, each.remedy))

    @staticmethod
    def _name(cells: Mapping[str, str], was: Any) -> Any:
        zh, en = cells.get("name") or cells["id"], cells.get("name_en", "")
        if en:
            return {"zh": zh, "en": en}
        # A translation that somebody wrote into the file stays for as long as the name does.
        return was if isinstance(was, dict) and was.get("zh") == zh else zh

    def _location(self, row: Row, wrong: list[Fault]) -> dict[str, float] | None:
        written = {column: row.cells.get(column, "") for column in ("lon", "lat")}
        if not any(written.values()):
            return None
        fault = self._table.fault
        found = {}
        for column, text in written.items():
            try:
                found[column] = float(text)
            except ValueError:
                found[column] = math.nan
            if not math.isfinite(found[column]):
                remedy = "Write degrees such as 102.7411; leave both empty where nobody knows."
                wrong.append(fault(row.line, column, f"expected degrees, got {text!r}.", remedy))
        if wrong:
            return None
        lon, lat = found["lon"], found["lat"]
        word = row.cells.get("crs", "").casefold().replace(" ", "")
        crs = self._crs if not word else _CRS.get(word)
        if crs is None:
            known = "wgs84, gcj02 or bd09"
            wrong.append(fault(row.line, "crs", f"expected {known}, got {row.cells['crs']!r}.", "Ask who surveyed it."))
        elif abs(lon) > 1000 or abs(lat) > 1000:
            remedy = "They look like metres (BD-09 MC, Gauss-Krüger): export degrees."
            wrong.append(fault(row.line, "lon", f"expected degrees, got {lon}, {lat}.", remedy))
        elif lon == lat == 0:
            remedy = "Leave both empty where nobody knows."
            wrong.append(fault(row.line, "lon", "0, 0 lies in the ocean off Africa.", remedy))
        elif not in_china((lon, lat)) and in_china((lat, lon)):
            wrong.append(
                fault(row.line, "lon", f"{lon}, {lat} look exchanged.", "Longitude is the greater one in China.")
            )
        elif crs is not Crs.WGS84 and not in_china((lon, lat)):
            wrong.append(fault(row.line, "lon", f"{lon}, {lat} is outside China, where no {crs} is.", "Say crs wgs84."))
        if wrong or crs is None:
            return None
        lon, lat = to_wgs84((lon, lat), crs)
        return {"lon": round(lon, 7), "lat": round(lat, 7)}


def _put(entry: dict[str, Any], key: str, value: object) -> None:
    if value:
        entry[key] = value
    else:
        entry.pop(key, None)


def summary(found: Plan, *, ignored: Sequence[str] = ()) -> list[str]:
    """What the import would do, in lines for people."""
    lines = [
        f"{found.path}: {len(found.added)} added, {len(found.changed)} changed, {found.unchanged} unchanged,"
        f" {len(found.removed)} removed, {len(found.kept)} kept as they stand"
    ]
    lines += [f"  added: {some(found.added)}"] if found.added else []
    lines += [f"  changed: {id}: {what}" for id, what in list(found.changed.items())[:_SHOWN]]
    lines += [f"  changed: and {len(found.changed) - _SHOWN} more"] if len(found.changed) > _SHOWN else []
    lines += [f"  removed: {some(found.removed)}"] if found.removed else []
    lines += [f"  kept, for no good row names them: {some(found.kept)}"] if found.kept else []
    lines += [f"  outside China, where WGS 84 is taken as it is: {some(found.outside)}"] if found.outside else []
    lines += [f"  columns that say nothing to citybrain: {', '.join(ignored)}"] if ignored else []
    return lines


_SHOWN = 20


def some(ids: Sequence[str]) -> str:
    """The first of them, and how many more there are."""
    more = f" and {len(ids) - _SHOWN} more" if len(ids) > _SHOWN else ""
    return ", ".join(ids[:_SHOWN]) + more
