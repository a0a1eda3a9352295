"""Which bus a role uses: the machine's own file, or the one that many machines share."""

from __future__ import annotations

from pathlib import Path

from citybrain.bus.local import LocalBus
from citybrain.errors import UsageError
from citybrain.ports import Bus


def open_bus(url: str | None, database: Path, *, durable: bool = False) -> Bus:
    """Raises UsageError for an address that is none."""
    if url is None:
        return LocalBus(database, durable=durable)
    raise UsageError(f"--bus: no bus is known for {url.partition('://')[0]}://")
