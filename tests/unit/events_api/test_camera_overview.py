"""Reading thousands of cameras is one asker's work, and no other asker's wait; what states they went through is remembered."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from citybrain.clock import ManualClock
from citybrain.domain.camera import Camera, Text
from citybrain.wire import dumps
from events_api.camera_history import KEPT, CameraHistory
from events_api.camera_overview import CameraOverview, Known
from events_api.registry import Registry

START = datetime(2026, 11, 21, 8, tzinfo=UTC)
CAMERA = Camera("gd-0001", Text("关上", "Guanshang"))


class SlowHot:
    """A HotStore of one camera whose reading can be held up."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.state = "live"
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.go_on.set()
        self.scans = 0

    def put(self, key: str, value: bytes, *, ttl: timedelta | None = None) -> None: ...

    def get(self, key: str) -> bytes | None:
        return None

    def scan(self, prefix: str) -> Iterator[tuple[str, bytes]]:
        if prefix != "camera/":
            return
        self.scans += 1
        self.begun.set()
        self.go_on.wait(10)
        self.clock.advance(timedelta(seconds=0.1))  # as long as it takes
        yield "camera/gd-0001", dumps({"state": self.state})

    def away_since(self) -> datetime | None:
        return None

    def close(self) -> None: ...


def overview() -> tuple[CameraOverview, SlowHot, ManualClock]:
    clock = ManualClock(START)
    hot = SlowHot(clock)
    return CameraOverview(Registry([CAMERA], []), hot, clock), hot, clock


def states(found: Sequence[Known]) -> list[str]:
    return [known.state for known in found]


def test_what_was_read_serves_for_ten_times_as_long_as_it_took():
    cameras, hot, clock = overview()
    assert states(cameras.now().cameras) == ["live"]
    hot.state = "lost"
    clock.advance(timedelta(seconds=0.9))
    assert states(cameras.now().cameras) == ["live"]
    clock.advance(timedelta(seconds=0.2))
    assert states(cameras.now().cameras) == ["lost"]
    assert hot.scans == 2


def test_while_one_asker_reads_the_others_wait_for_nothing():
    cameras, hot, clock = overview()
    cameras.now()
    clock.advance(timedelta(seconds=5))
    hot.state = "lost"
    hot.begun.clear()
    hot.go_on.clear()
    reader = threading.Thread(target=cameras.now)
    reader.start()
    assert hot.begun.wait(10)
    assert states(cameras.now().cameras) == ["live"]
    hot.go_on.set()
    reader.join()
    assert states(cameras.now().cameras) == ["lost"]


def known(state: str, reason: str = "", *, since: datetime | None = None) -> list[Known]:
    told = {} if since is None else {"since": since.isoformat()}
    return [Known(CAMERA, state, reason, reason, told)]


def test_only_a_change_is_remembered_and_when_it_began():
    history = CameraHistory()
    history.note(known("live", since=START), START + timedelta(minutes=1))
    history.note(known("live", since=START), START + timedelta(minutes=2))
    history.note(known("unknown", "ingest is silent", since=START), START + timedelta(minutes=3))
    history.note(known("live", since=START), START + timedelta(minutes=4))
    history.note(known("lost", "silent", since=START + timedelta(hours=9)), START + timedelta(minutes=5))
    minutes = [(each.state, (each.since - START) / timedelta(minutes=1)) for each in history.of("gd-0001")]
    # What only we say began when we noticed it, and no state begins before the one before it, or in the future.
    assert minutes == [("lost", 5), ("live", 4), ("unknown", 3), ("live", 0)]
    assert history.of("nobody") == ()


def test_the_last_few_states_are_kept_and_those_of_a_removed_camera_are_not():
    history = CameraHistory()
    for minute in range(3 * KEPT):
        history.note(known("live" if minute % 2 else "lost"), START + timedelta(minutes=minute))
    assert len(history.of("gd-0001")) == KEPT
    history.note([], START)
    assert history.of("gd-0001") == ()
