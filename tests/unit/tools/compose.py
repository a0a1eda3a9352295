"""A Compose file as the engine reads it: merged, and with its variables put in or missed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

_VARIABLE = re.compile(r"\$(?:\$|\{(?P<name>\w+)(?:(?P<how>:-|:\?)(?P<rest>[^}]*))?\})")


class Missing(Exception):
    """A variable that must be set is not; says which, and what the file tells about it."""


def variables(path: Path) -> dict[str, tuple[str, str]]:
    """Each variable that a Compose file asks for: `:-` with its default, `:?` with what it says when missing."""
    found = _VARIABLE.finditer(path.read_text(encoding="utf-8"))
    return {each["name"]: (each["how"] or "", each["rest"] or "") for each in found if each["name"]}


def load(path: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    """The file with its variables put in. Raises Missing for the first that must be there and is not."""
    loaded: dict[str, Any] = _filled(yaml.safe_load(path.read_text(encoding="utf-8")), environment)
    return loaded


def _filled(value: Any, environment: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _filled(each, environment) for key, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, environment) for each in value]
    if isinstance(value, str):
        return _VARIABLE.sub(lambda found: _put_in(found, environment), value)
    return value


def _put_in(found: re.Match[str], environment: Mapping[str, str]) -> str:
    name = found["name"]
    if name is None:
        return "$"
    given = environment.get(name, "")
    if not given and found["how"] == ":?":
        raise Missing(f"{name}: {found['rest']}")
    return given or (found["rest"] if found["how"] == ":-" else "")
