"""The sockets: what a source, a detector backend, a notifier, a store must offer, and the values that cross them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from citybrain.domain.detection import Detection
from citybrain.domain.episode import EvidenceKind
from citybrain.domain.frame import Frame

Plane = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded picture as 8-bit 4:2:0 planes: `y` (height, width), `u` and `v` (⌈height/2⌉, ⌈width/2⌉). Video range."""

    y: Plane
    u: Plane
    v: Plane

    @property
    def width(self) -> int:
        return int(self.y.shape[1])

    @property
    def height(self) -> int:
        return int(self.y.shape[0])


class Source(Protocol):
    """Where a camera's frames come from (`ingest/sources/`)."""

    def frames(self) -> AsyncIterator[Frame]:
        """Frames as they arrive. Raises CameraGone with a reason; an end without one is an end of stream, not a success."""
        ...


@dataclass(frozen=True, slots=True)
class Unit:
    """One access unit as the camera coded it, undecoded (H.264 and H.265: Annex B)."""

    data: bytes
    captured_at: datetime
    keyframe: bool


@dataclass(frozen=True, slots=True)
class Footage:
    """A stretch of what a camera sent, in the order of its coming; it begins with a keyframe."""

    codec: str
    extradata: bytes
    units: tuple[Unit, ...]


@runtime_checkable
class CloserSource(Source, Protocol):
    """A source that keeps the current group of pictures undecoded, so that a camera can be looked at between keyframes."""

    def closer(self, after: tuple[int, int] | None) -> Frame | None:
        """The newest picture now. `after`: the group and how many of its packets are decoded already; then only what
        follows them, if that group is still the current one, and else everything from the keyframe on. None when nothing
        is newer, or when a unit was lost since the keyframe."""
        ...

    def footage(self, since: datetime) -> Footage | None:
        """What is kept from the last keyframe at or before `since` (or from the oldest one kept) until now."""
        ...


@dataclass(frozen=True, slots=True)
class InputSpec:
    """What a backend wants to be fed: one picture of `width` × `height`, letterboxed by the caller, in this layout.

    i420: (height * 3 // 2, width) uint8; nv12: the same with interleaved chroma; rgb24: (height, width, 3) uint8.
    """

    width: int
    height: int
    format: Literal["i420", "nv12", "rgb24"]
    max_batch: int = 1


class Backend(Protocol):
    """Runs one model (`detectors/backends/`). Boxes in and out are 0..1 of the input as fed; letterboxing stays outside."""

    @property
    def classes(self) -> Sequence[str]:
        """The model's class names by index."""
        ...

    @property
    def revision(self) -> str:
        """A short hash of what was loaded."""
        ...

    def input_for(self, width: int, height: int) -> InputSpec:
        """The input this backend wants for a picture of that size."""
        ...

    def windows_for(self, spec: InputSpec) -> Sequence[InputSpec]:
        """Smaller inputs for parts of pictures, which then go in at the scale at which wholes go into `spec`; or none."""
        ...

    def warmup(self) -> None: ...

    def infer(self, batch: npt.NDArray[np.uint8], n: int, spec: InputSpec) -> list[list[Detection]]:
        """What is seen in the first n pictures of the batch, with the model's own class names as labels."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Message:
    """One entry of a topic: `offset` orders it, `key` keeps it in order with its like."""

    offset: int
    topic: str
    key: str
    value: bytes
    logged_at: datetime


class Bus(Protocol):
    """An ordered, durable log of messages by topic. Topics: `detections`, `case-events`, `commands`.

    A bus whose brokers do not answer raises BusAway from each of these but `wait`, after some seconds or at once.
    """

    def publish(self, topic: str, key: str, value: bytes) -> int:
        """Append one message and return its offset; on return it survives a crash of any process."""
        ...

    def offer(self, topic: str, key: str, value: bytes) -> None:
        """Append one message without waiting until it is safe, after all that were published or offered before.

        Raises BusAway when more wait than may: who offers has something newer soon, and goes on.
        """
        ...

    def read(self, topics: Sequence[str], *, after: int, limit: int = 500) -> list[Message]:
        """Messages with a greater offset, oldest first; empty when there are none yet. A bus of many machines has one order
        for each topic only, and none for those that are cut into parts: it raises UsageError for several, and for these."""
        ...

    def end(self, topic: str) -> int:
        """The offset of the topic's last message, 0 when it is empty."""
        ...

    def start(self, topic: str) -> int:
        """The offset of the topic's first message that is still there, 0 when there is none."""
        ...

    def wait(self, timeout: timedelta) -> bool:
        """Block until something may have been published by anyone, or the timeout; true when something may be there."""
        ...

    def figures(self) -> Mapping[str, int]:
        """What the bus counts of its own: messages that wait, were refused, were lost."""
        ...

    def close(self) -> None: ...


class EvidenceStore(Protocol):
    """Keeps pictures and clips that show something. A reference names camera, instant and hash; what is kept is never altered."""

    def put(self, camera: str, captured_at: datetime, content: bytes, kind: EvidenceKind = EvidenceKind.PICTURE) -> str:
        """Store a picture (JPEG) or a clip (MP4, by its first picture's instant) for some hours and return its reference,
        which ends in .jpg or .mp4. The same content gives the same reference."""
        ...

    def keep(self, ref: str) -> bool:
        """Keep it as long as its case; harmless when repeated. False when it is no longer there. Raises Transient as `get`."""
        ...

    def get(self, ref: str) -> bytes:
        """The picture or clip. Raises KeyError when there is none, Unreadable when its hash no longer fits, Transient when
        nobody can say now: the storage is away, or what was put on another machine has not come yet."""
        ...

    def sweep(self, *, before: datetime) -> int:
        """Remove what was never kept and was captured before; returns how many."""
        ...

    def away_since(self) -> datetime | None:
        """Since when nothing can be read or kept, as this process knows; None while it works."""
        ...


class HotStore(Protocol):
    """What is fresh and may be lost: latest pictures, heartbeats, camera states. Losing all of it costs comfort only."""

    def put(self, key: str, value: bytes, *, ttl: timedelta | None = None) -> None: ...

    def get(self, key: str) -> bytes | None: ...

    def scan(self, prefix: str) -> Iterator[tuple[str, bytes]]:
        """All live keys with the prefix, in order of key."""
        ...

    def away_since(self) -> datetime | None:
        """Since when nothing can be put or got, as this process knows; None while it works."""
        ...

    def close(self) -> None: ...


@runtime_checkable
class Nudges(Protocol):
    """A word from process to process that there is something new. It may be lost: whoever listens also looks by itself."""

    def tell(self, about: str) -> None: ...

    def listen(self, about: str, hear: Callable[[], None]) -> Callable[[], None]:
        """Call `hear`, in a thread of its own, at each word about this, until what is returned is called."""
        ...


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message for one receiver. `id` is the idempotency key, the same on every retry; `body` is the CloudEvent."""

    id: str
    endpoint: str
    case: str
    body: bytes
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """The receiver has it: when it was sent, when it answered (by HTTP: how), and the number it gave the case, if any."""

    posted_at: datetime
    acknowledged_at: datetime
    external_id: str | None = None
    status: int | None = None


class Notifier(Protocol):
    """Tells someone about a case (`pipeline/notifiers/`)."""

    async def notify(self, outgoing: Outgoing) -> Acknowledgement:
        """Hand it over. Raises NotDelivered (try again) or Refused (never)."""
        ...

    async def close(self) -> None: ...


Json = Mapping[str, Any]
