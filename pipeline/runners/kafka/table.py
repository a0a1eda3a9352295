"""A Faust table used as what it is at heart: a changelog, its recovery, its standbys, and a store of raw records.

Faust's own way of writing needs a stream's current event and forgets the changelog's answer. Here records go to the
partition that is named, straight to the producer, and whoever must not go on before they are durable waits for them.
"""

# ruff: noqa: SLF001  # Faust's stores offer no way to one partition; the version is pinned, and the tests run both stores

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Any

import faust
from faust.types import TP

OnRecovered = Callable[[set[int]], Awaitable[None]]


class RecordTable(faust.Table):  # type: ignore[misc]  # Faust's classes are partly untyped
    """Keys and values are bytes. `recovered` hears which partitions are this worker's, after each rebalance."""

    recovered: OnRecovered | None = None

    async def on_recovery_completed(self, active_tps: set[TP], standby_tps: set[TP]) -> None:
        await super().on_recovery_completed(active_tps, standby_tps)
        if self.recovered is not None:
            await self.recovered({tp.partition for tp in active_tps})

    async def write(self, partition: int, records: Mapping[bytes, bytes]) -> None:
        """Return when the changelog has them all, in their order, and they are stored here. Raises KafkaError."""
        if not records:
            return
        producer, topic = await self.app.maybe_start_producer(), self.changelog_topic.get_topic_name()
        sent = [await producer.send(topic, key, value, partition, None, None) for key, value in records.items()]
        answers = await asyncio.gather(*sent)
        for key, value in records.items():
            self._put(partition, key, value)
        # Never before what it tells of: up to this offset the store is complete.
        self.data.set_persisted_offset(TP(topic, partition), max(answer.offset for answer in answers))

    def stored(self, partition: int) -> PartitionView:
        """The partition's records as they are durable, by key."""
        return PartitionView(self, partition)

    def _put(self, partition: int, key: bytes, value: bytes) -> None:
        if _is_rocksdb(self.data):
            self.data._db_for_partition(partition).put(key, value)
        else:
            self.data.data[key] = value
            self.data._key_partition[key] = partition


class PartitionView(Mapping[bytes, bytes]):
    """One partition of the store, read only."""

    def __init__(self, table: RecordTable, partition: int) -> None:
        self._data, self._partition = table.data, partition

    def __getitem__(self, key: bytes) -> bytes:
        value: bytes | None
        if _is_rocksdb(self._data):
            value = self._data._db_for_partition(self._partition).get(key)
        else:
            value = self._data.data.get(key) if self._data._key_partition.get(key) == self._partition else None
        if value is None:
            raise KeyError(key)
        return value

    def __iter__(self) -> Iterator[bytes]:
        keys: Iterable[bytes]
        if _is_rocksdb(self._data):
            keys = self._data._visible_keys(self._data._db_for_partition(self._partition))
        else:
            keys = [key for key, partition in self._data._key_partition.items() if partition == self._partition]
        return iter(keys)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _is_rocksdb(data: Any) -> bool:
    return hasattr(data, "_db_for_partition")
