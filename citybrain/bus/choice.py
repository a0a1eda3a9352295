"""Which bus a role uses: the machine's own file, or the one that many machines share."""

from __future__ import annotations

from pathlib import Path

from citybrain.bus.address import KafkaAddress
from citybrain.bus.local import LocalBus
from citybrain.ports import Bus


def open_bus(url: str | None, database: Path, *, durable: bool = False) -> Bus:
    """Raises UsageError for an address that is none. That no broker answers yet is no fault: what is asked then is refused."""
    if url is None:
        return LocalBus(database, durable=durable)
    from citybrain.bus.kafka import KafkaBus

    return KafkaBus(KafkaAddress.parse(url))
