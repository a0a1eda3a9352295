"""The switch: each command goes on to whom it concerns, the owner of a camera's or a locality's partition, or all of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from citybrain.bus.topics import CAMERA_COMMANDS, LOCALITY_COMMANDS
from citybrain.clock import Clock
from citybrain.domain.command import Command, Configured, LookAgain, Silenced, Tick
from citybrain.wire import COMMANDS, read_command
from pipeline.flow import Pipeline
from pipeline.runners.kafka.forwarded import write_forwarded
from pipeline.runners.kafka.lanes import Cut, Lane, Taken
from pipeline.runners.kafka.records import Owed

Target = tuple[str, str, int | None]
"""A topic, a key, and a partition where it is not the key's own."""


class SwitchLane(Lane):
    """The only partition of `commands`. What it forwards is owed by its progress, and said again after a crash."""

    sources = (COMMANDS,)

    def __init__(
        self, pipeline: Pipeline, stored: Mapping[bytes, bytes], *, partition: int, partitions: int, clock: Clock
    ) -> None:
        """`partitions`: of each of the two topics that commands go on to."""
        super().__init__(pipeline, stored, partition=partition, clock=clock)
        self._partitions = partitions

    @property
    def out_of_date(self) -> bool:
        return False

    def _take(self, message: Taken) -> None:
        command = read_command(message.value)
        body, at = write_forwarded(message.value, mark=message.offset), self._clock.now()
        for n, (topic, key, partition) in enumerate(self._targets(command)):
            id = f"{message.offset}/{n}"
            self._progress.owed.append(Owed(id, topic, key, body, at, partition=partition))
        self.urgent = True

    def cut(self, *, whole: bool = True) -> Cut:
        """Always whole: all that it owes is in its progress."""
        return super().cut()

    def _targets(self, command: Command) -> Iterable[Target]:
        match command:
            case LookAgain():
                yield CAMERA_COMMANDS, command.camera, None
            case Configured():
                yield from self._everywhere(CAMERA_COMMANDS, "configured")
                yield from self._everywhere(LOCALITY_COMMANDS, "configured")
            case Silenced() | Tick():
                yield from self._everywhere(LOCALITY_COMMANDS, command.id)
            case _:
                yield LOCALITY_COMMANDS, command.locality, None

    def _everywhere(self, topic: str, key: str) -> Iterable[Target]:
        for partition in range(self._partitions):
            yield topic, key, partition
