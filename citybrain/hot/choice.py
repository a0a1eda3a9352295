"""Where what is hot lies: in a file of this machine, or in the Redis that it was told of."""

from __future__ import annotations

from pathlib import Path

from citybrain.hot.sqlite import SqliteHot
from citybrain.ports import HotStore


def open_hot(url: str | None, path: Path) -> HotStore:
    """Raises UsageError for an address that is none, or a missing package; a Redis that is away raises nothing."""
    if url is None:
        return SqliteHot(path)
    from citybrain.hot.redis import RedisHot

    return RedisHot(url)
