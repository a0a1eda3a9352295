"""Measurements of the whole: each prints what it found, as text or JSON, and says what it was measured on."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from importlib import import_module
from typing import Any

from citybrain.errors import UsageError

NAMES = (
    "chaos",
    "city",
    "crash",
    "decode",
    "detect",
    "endtoend",
    "gate",
    "handover",
    "ingest",
    "looks",
    "masking",
    "metropolis",
    "parked",
    "peers",
    "quality",
    "recovery",
    "stories",
    "streams",
    "takeover",
    "throughput",
    "view",
    "wall",
    "windows",
)


def run(given: argparse.Namespace) -> int:
    """Run the named measurement; 0 when what it must hold holds, else 1. Raises UsageError for an unknown one."""
    if given.name == "list":
        print("\n".join(NAMES))
        return 0
    if given.name not in NAMES:
        raise UsageError(f"bench {given.name}: there is no such measurement; there are {', '.join(NAMES)}")
    measure: Callable[[argparse.Namespace], dict[str, Any]] = import_module(f"bench.{given.name}").measure
    found = measure(given)
    if given.json:
        print(json.dumps(found, ensure_ascii=False))
    else:
        _tell(found)
    return 0 if found.get("holds", True) else 1


def _tell(found: dict[str, Any], indent: str = "") -> None:
    for name, value in found.items():
        if isinstance(value, dict):
            print(f"{indent}{name}:")
            _tell(value, indent + "  ")
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            print(f"{indent}{name}:")
            for each in value:
                print(f"{indent}  " + "  ".join(f"{key}={figure}" for key, figure in each.items()))
        else:
            print(f"{indent}{name}: {value}")
