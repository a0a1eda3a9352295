"""Where what is hot lies: in a file of this machine, or in the Redis that it was told of."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from citybrain.hot.sqlite import SqliteHot
from citybrain.ports import HotStore

PASSWORD = "CITYBRAIN_HOT_PASSWORD"  # noqa: S105  # the variable's name
"""The variable that holds the password when the address does not, as on a command line, which others can read."""


def open_hot(url: str | None, path: Path, *, environment: Mapping[str, str] | None = None) -> HotStore:
    """Raises UsageError for an address that is none, or a missing package; a Redis that is away raises nothing."""
    if url is None:
        return SqliteHot(path)
    from citybrain.hot.redis import RedisHot

    known = os.environ if environment is None else environment
    return RedisHot(url, password=known.get(PASSWORD) or None)
