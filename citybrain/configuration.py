"""A YAML file read into a frozen model: every fault is found, named by file, key and remedy, and none is guessed away."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_origin

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from citybrain import strict_yaml
from citybrain.domain.camera import Text
from citybrain.errors import Fault

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
LONGEST = timedelta(days=3650)
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")


class Section(BaseModel):
    """The model of a YAML mapping: frozen, unknown keys forbidden."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, hide_input_in_errors=True)


def duration(value: object) -> timedelta:
    """`90s`, `10m`, `1h30m` as a timedelta. Raises ValueError for anything else, a bare number included."""
    if isinstance(value, timedelta):
        return value
    text = str(value)
    parts = _DURATION.findall(text)
    if isinstance(value, bool) or not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"expected a duration such as 90s, 10m or 1h30m, got {value!r}")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if seconds > LONGEST.total_seconds():
        raise ValueError(f"expected a duration of at most ten years, got {value!r}")
    return timedelta(seconds=seconds)


def duration_text(value: timedelta) -> str:
    """A timedelta as YAML writes it: the inverse of `duration`."""
    rest = round(value.total_seconds() * 1000)
    text = ""
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, rest = divmod(rest, size)
        text += f"{count}{unit}" if count else ""
    return text or "0s"


def _text(value: object) -> object:
    if isinstance(value, Mapping) and set(value) == {"zh", "en"} and all(isinstance(v, str) for v in value.values()):
        return Text(value["zh"], value["en"])
    if isinstance(value, Text):
        return value
    raise ValueError(f"expected both languages, {{zh: …, en: …}}, got {value!r}")


def _some(value: object) -> timedelta:
    found = duration(value)
    if not found:
        raise ValueError(f"expected a duration longer than nothing, such as 10m, got {value!r}")
    return found


Duration = Annotated[timedelta, BeforeValidator(duration)]
SomeDuration = Annotated[timedelta, BeforeValidator(_some)]
Bilingual = Annotated[Text, BeforeValidator(_text)]
SectionT = TypeVar("SectionT", bound=BaseModel)


def read(path: Path, *, faults: list[Fault]) -> Any:
    """The file's YAML value, or None after adding a fault."""
    shown = str(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        faults.append(Fault(shown, "", "there is no such file.", "Create it, or name another folder with --config."))
        return None
    except (OSError, UnicodeDecodeError) as error:
        faults.append(Fault(shown, "", f"cannot be read ({type(error).__name__}).", "It must be a UTF-8 text file."))
        return None
    try:
        value = strict_yaml.load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "is not YAML"
        remedy = getattr(error, "note", None) or "Check the indentation and quotes there."
        faults.append(Fault(shown, where, f"{problem}.", remedy))
        return None
    except (ValueError, RecursionError) as error:  # a date that no calendar has, a number of thousands of digits
        faults.append(Fault(shown, "", f"holds a value that cannot be read ({error}).", "Put quotes around text."))
        return None
    if value is None:
        faults.append(Fault(shown, "", "is empty.", "See docs/configuration.md for what belongs there."))
    return value


def parse(model: type[SectionT], value: Any, *, file: str, faults: list[Fault], at: str = "") -> SectionT | None:
    """The value as the model, or None after adding a fault for each key that is wrong. `at` prefixes the keys."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        faults.extend(_fault(model, each, file=file, at=at) for each in error.errors(include_url=False))
        return None


def expand(
    text: str, *, environment: Mapping[str, str] | None = None, quote: Callable[[str], str] = str
) -> tuple[str, list[str]]:
    """Replace `${NAME}`, or `${NAME:-default}`, from the environment; the text and the names that are not set.

    `quote` is applied to what comes from the environment, and nothing else.
    """
    variables = os.environ if environment is None else environment
    unset: list[str] = []

    def value(match: re.Match[str]) -> str:
        name, default = match.groups()
        if name in variables:
            return quote(variables[name])
        if default is None:
            unset.append(name)
        return default or ""

    return _VARIABLE.sub(value, text), unset


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A remedy for a misspelt name: the nearest known one, else all of them."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1)
    if near:
        return f"Did you mean {near[0]!r}?"
    return f"Known: {', '.join(names)}." if names else "None is known."


def _fault(model: type[BaseModel], error: Any, *, file: str, at: str) -> Fault:
    key = _key([*([at] if at else []), *error["loc"]])
    kind, message = error["type"], error["msg"].removeprefix("Value error, ")
    last = str(error["loc"][-1]) if error["loc"] else ""
    if kind == "extra_forbidden":
        return Fault(file, key, "is not a known key.", did_you_mean(last, _keys_at(model, error["loc"][:-1])))
    if kind == "missing":
        return Fault(file, key, "is missing.", f"Add `{last}`.")
    if kind in ("enum", "literal_error"):
        expected, written = error["ctx"]["expected"], error.get("input")
        near = difflib.get_close_matches(str(written), re.findall(r"'([^']*)'", expected), n=1)
        remedy = f"Did you mean {near[0]!r}?" if near else ""
        return Fault(file, key, f"expected {expected}, got {written!r}.", remedy)
    if kind in ("model_type", "dict_type"):
        return Fault(file, key, "expected keys with their values.", "Write `key: value`, one to a line.")
    if kind == "too_short":
        return Fault(file, key, f"expected at least {error['ctx']['min_length']}, got {error['ctx']['actual_length']}.")
    found = error.get("input")
    shown = f", got {found!r}" if isinstance(found, str | int | float) and repr(found) not in message else ""
    return Fault(file, key, f"{message[:1].lower()}{message[1:]}{shown}.")


def _key(loc: Iterable[int | str]) -> str:
    key = ""
    for part in loc:
        if part == "[key]":  # it is the key itself that is wrong, and it is named already
            continue
        key += f"[{part}]" if isinstance(part, int) else f".{part}" if key else str(part)
    return key


def _keys_at(model: type[BaseModel], loc: Iterable[int | str]) -> list[str]:
    """The keys a nested section knows; empty where the way there cannot be followed."""
    current: Any = model
    named = False
    for part in loc:
        if isinstance(part, int) or named:  # which of a list, or of a mapping by name
            named = False
            continue
        field = getattr(current, "model_fields", {}).get(part)
        if field is None:
            return []
        current, named = _section_in(field.annotation), get_origin(field.annotation) is dict
    return sorted(field.alias or name for name, field in getattr(current, "model_fields", {}).items())


def _section_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        found = _section_in(argument)
        if found is not None:
            return found
    return None
