"""A plug-in is a file: its name is its key in the YAML, it offers `Config` and `build(config)`, and it is imported when chosen."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

from citybrain.errors import UnknownPlugin


def offered(socket: str) -> list[str]:
    """The names that a socket, such as `pipeline.rules`, has files for. Imports the package, none of its files."""
    package = importlib.import_module(socket)
    return sorted(module.name for module in pkgutil.iter_modules(package.__path__) if not module.name.startswith("_"))


def load(socket: str, name: str) -> ModuleType:
    """The plug-in file `name` of a socket. Raises UnknownPlugin, listing the right names."""
    names = offered(socket)
    if name not in names:
        raise UnknownPlugin(socket, name, names)
    return importlib.import_module(f"{socket}.{name}")
