"""The city's own tables of case categories: data, versioned, for no two cities agree."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import Field

from citybrain.configuration import Bilingual, Section, SomeDuration, did_you_mean, parse, read
from citybrain.errors import Fault
from pipeline.calendar import Counts
from pipeline.scene import Scene

_REMEDY = "Add calendar.yaml."


class Allowed(Section):
    """How long a category's cases may take, and by which clock."""

    deadline: SomeDuration
    clock: Counts = Counts.ALWAYS


class Category(Section):
    """A small class (小类) of cases within its large class (大类)."""

    code: str = Field(pattern=r"^\d{2}(-\d{2}|\d{3})$")
    category: Bilingual
    subcategory: Bilingual
    allowed: Allowed | None = None


class CodeTable(Section):
    """The YAML of configs/codes/<city>.yaml. `source` says where the table was taken from."""

    id: str
    version: int = Field(ge=1)
    title: Bilingual
    source: str
    categories: tuple[Category, ...] = Field(min_length=1)


def load(folder: Path, *, faults: list[Fault], calendar: bool = True) -> list[CodeTable]:
    """Every table of a folder; faults are added, never raised. Without a `calendar` no table may ask for working hours."""
    tables = []
    for path in sorted(folder.glob("*.yaml")):
        shown = str(path)
        value = read(path, faults=faults)
        table = None if value is None else parse(CodeTable, value, file=shown, faults=faults)
        if table is None:
            continue
        codes = [each.code for each in table.categories]
        twice = sorted({code for code in codes if codes.count(code) > 1})
        faults += [Fault(shown, "categories", f"code {code!r} stands here twice.", "Keep one.") for code in twice]
        faults += [
            Fault(
                shown,
                f"categories[{index}].allowed.clock",
                "'working_hours' needs a calendar, and there is none.",
                _REMEDY,
            )
            for index, each in enumerate(table.categories)
            if not calendar and each.allowed is not None and each.allowed.clock is Counts.WORKING_HOURS
        ]
        tables.append(table)
    return tables


def check_codes(scenes: Sequence[Scene], tables: Sequence[CodeTable], *, faults: list[Fault]) -> None:
    """Each scene's code must be in a table, where there is one."""
    known = {each.code for table in tables for each in table.categories}
    for scene in scenes:
        code = scene.file.case.code
        if known and code not in known:
            faults += [Fault(scene.path, "case.code", f"{code!r} is in no table of codes/.", did_you_mean(code, known))]


def allowed(tables: Sequence[CodeTable]) -> dict[str, Allowed]:
    """The time allowed by code, where a table says it; the first table that does counts."""
    found: dict[str, Allowed] = {}
    for table in tables:
        for each in table.categories:
            if each.allowed is not None:
                found.setdefault(each.code, each.allowed)
    return found
