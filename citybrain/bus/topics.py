"""The topics of a city on Kafka: what each is for, how it is cut and kept, and how they come to be.

detections[N] ─► stage one ─► episodes[N] ─────────► stage two ─► case-events[1]     dead-letters[1]
by camera        ▲ table cameras      by locality    ▲ table localities
            camera-commands[N]              locality-commands[N]
                  ▲            switch (table switch)         ▲
commands[1] ──────┴──────────────────────────────────────────┘      cameras[N], compacted: who looks at which

`commands` and `case-events` have one partition, and therefore one order: it is the cursor of everybody who follows them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from citybrain.bus.address import KafkaAddress
from citybrain.configuration import duration_text
from citybrain.errors import Fault, Transient, UsageError
from citybrain.wire import CASE_EVENTS, COMMANDS, DETECTIONS
from citybrain.wire.cameras import CAMERAS

EPISODES, DEAD_LETTERS = "episodes", "dead-letters"
CAMERA_COMMANDS, LOCALITY_COMMANDS = "camera-commands", "locality-commands"
ORDERED = (COMMANDS, CASE_EVENTS, DEAD_LETTERS)
"""The topics of one partition, which can be read by one offset."""
PIPELINE = "pipeline"
"""The name of the pipeline's consumer group, and the beginning of its changelogs' names."""
CAMERAS_TABLE, LOCALITIES_TABLE, SWITCH_TABLE = "cameras", "localities", "switch"
PARTITIONS = 64
"""How many parts a city is cut into unless told otherwise."""
_EXISTS = 36  # Kafka's error code for a topic that is already there
_FOR_EVER = -1


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic as it should be. `keep` None keeps its messages for ever; compacted ones keep the last of each key."""

    name: str
    partitions: int
    keep: timedelta | None = None
    compacted: bool = False

    @property
    def configs(self) -> dict[str, str]:
        keep_ms = _FOR_EVER if self.keep is None else int(self.keep.total_seconds() * 1000)
        if not self.compacted:
            return {"cleanup.policy": "delete", "retention.ms": str(keep_ms)}
        # Small segments: a changelog is read from its beginning when a worker has lost its disk.
        return {"cleanup.policy": "compact", "retention.ms": str(keep_ms), "segment.ms": "3600000"}


def layout(partitions: int, *, keep_detections: timedelta = timedelta(hours=6)) -> tuple[Topic, ...]:
    """Every topic of a city that is cut into so many parts."""
    return (
        Topic(DETECTIONS, partitions, keep_detections),
        Topic(EPISODES, partitions, timedelta(days=7)),
        Topic(CAMERA_COMMANDS, partitions, timedelta(days=7)),
        Topic(LOCALITY_COMMANDS, partitions, timedelta(days=7)),
        Topic(COMMANDS, 1),  # the silences that people made are read from it anew: kept for ever
        Topic(CASE_EVENTS, 1),  # the view is made anew from it: kept for ever
        Topic(CAMERAS, partitions, compacted=True),
        Topic(DEAD_LETTERS, 1, timedelta(days=90)),
        Topic(changelog(CAMERAS_TABLE), partitions, compacted=True),
        Topic(changelog(LOCALITIES_TABLE), partitions, compacted=True),
        Topic(changelog(SWITCH_TABLE), 1, compacted=True),
    )


def changelog(table: str) -> str:
    """The topic that holds a table's records, as Faust names it."""
    return f"{PIPELINE}-{table}-changelog"


def create(address: KafkaAddress, topics: Sequence[Topic], *, replicas: int) -> list[str]:
    """Make what is missing, and say of each topic what was done. Raises UsageError when one is there with other
    partitions: keys would move to other workers than their states; Transient when no broker answers.
    """
    return asyncio.run(_create(address, topics, replicas))


async def _create(address: KafkaAddress, topics: Sequence[Topic], replicas: int) -> list[str]:
    try:
        from aiokafka.admin import AIOKafkaAdminClient, NewTopic
        from aiokafka.errors import KafkaError
    except ImportError:
        raise needs_package(address) from None
    admin = AIOKafkaAdminClient(request_timeout_ms=15_000, **address.client())
    try:
        await admin.start()
    except (KafkaError, OSError) as error:
        await admin.close()
        raise Transient(f"{address}: no broker answers ({error})") from None
    try:
        wanted = [replace(each, name=address.topic(each.name)) for each in topics]
        answer = await admin.create_topics(
            [NewTopic(each.name, each.partitions, replicas, topic_configs=each.configs) for each in wanted]
        )
        codes = {name: (code, message) for name, code, message in answer.topic_errors}
        found = {each["topic"]: each for each in await admin.describe_topics([each.name for each in wanted])}
        return [_said(each, *codes[each.name], found.get(each.name, {})) for each in wanted]
    except (KafkaError, OSError) as error:
        raise Transient(f"{address}: the topics could not be made ({type(error).__name__}: {error})") from None
    finally:
        await admin.close()


def _said(topic: Topic, code: int, message: str | None, found: dict[str, Any]) -> str:
    if code not in (0, _EXISTS):
        raise UsageError(f"{topic.name}: the broker refuses it ({message or f'error {code}'})")
    partitions = len(found.get("partitions", ()))
    if code == _EXISTS and partitions != topic.partitions:
        fault = Fault(
            topic.name,
            "partitions",
            f"is there with {partitions}, expected {topic.partitions}.",
            "Name that number with --partitions, or use another prefix: keys would leave their states behind.",
        )
        raise UsageError(str(fault))
    how = "the last of each key" if topic.compacted else "for ever" if topic.keep is None else duration_text(topic.keep)
    said = "created" if code == 0 else "was there"
    count = f"{topic.partitions} partition{'s' if topic.partitions > 1 else ''}"
    return f"{topic.name}: {said}, {count}, keeps {how}"


def needs_package(address: KafkaAddress) -> UsageError:
    return UsageError(f"{address} needs the extra packages: pip install 'citybrain[kafka]'")
