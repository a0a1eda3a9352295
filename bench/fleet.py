"""Processes that are killed and start again, as a service manager of many machines would have it; all end with this one."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.running import descendants
from citybrain.clock import SystemClock
from citybrain.errors import Transient
from ingest.backoff import Backoff

_LOOK_S = 0.1
_STEADY_S = 30.0
_FAREWELL_S = 12.0
_FIRST_S, _LAST_S = 0.5, 8.0


@dataclass(frozen=True, slots=True)
class Part:
    """One process that is to run. `user` is whom it runs as when we are root: PostgreSQL refuses to be root's."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    user: int | None = None
    folder: Path | None = None


@dataclass(slots=True)
class _Slot:
    part: Part
    running: subprocess.Popen[bytes] | None = None
    backoff: Backoff = field(default_factory=lambda: Backoff(first=_FIRST_S, last=_LAST_S))
    started_s: float = 0.0
    start_at_s: float = 0.0
    starts: int = 0
    wanted: bool = True


class Fleet:
    """Safe to use from one thread; a second one watches. What the processes say is in `folder`, a file each."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._clock = folder, SystemClock()
        self._slots: dict[str, _Slot] = {}
        self._guard, self._stop = threading.RLock(), threading.Event()
        self._watching = threading.Thread(target=self._watch, name="fleet", daemon=True)
        self._watching.start()

    def start(self, part: Part, *, ready: Callable[[], bool] | None = None, within_s: float = 60.0) -> None:
        """Start it, and wait until it is ready. Raises Transient, with the end of what it said, when it is not in time."""
        with self._guard:
            slot = self._slots.setdefault(part.name, _Slot(part))
            slot.part, slot.wanted = part, True
            if slot.running is None:
                self._spawn(slot)
        until = self._clock.monotonic() + within_s
        while ready is not None and not _holds(ready):
            if self._clock.monotonic() > until:
                raise Transient(f"{part.name} was not ready within {within_s:.0f} s:\n{self.said(part.name)[-2000:]}")
            self._stop.wait(0.1)

    def kill(self, name: str, *, which: int = 0) -> bool:
        """SIGKILL to the process (`which` 0) or to one that it started; it is started again. False when there is none."""
        pids = self.pids(name)
        if not pids:
            return False
        with suppress(ProcessLookupError):
            os.kill(pids[which % len(pids)], signal.SIGKILL)
        return True

    def end(self, name: str, *, by: signal.Signals = signal.SIGTERM) -> None:
        """End it for good, and wait until it has."""
        with self._guard:
            slot = self._slots[name]
            slot.wanted, running, slot.running = False, slot.running, None
        if running is not None and running.poll() is None:
            running.send_signal(by)
            _gone(running)

    def pids(self, name: str) -> list[int]:
        """The process, and then those that it started."""
        with self._guard:
            running = self._slots[name].running
        if running is None or running.poll() is not None:
            return []
        return [running.pid, *(pid for pid, _ in descendants(running.pid))]

    def said(self, name: str) -> str:
        return (self._folder / f"{name}.log").read_text(errors="replace")

    @property
    def starts(self) -> dict[str, int]:
        """How often each was started."""
        with self._guard:
            return {name: slot.starts for name, slot in self._slots.items()}

    def close(self) -> None:
        """Politely first, the last that was started first. The thread that watches ends last: ours die with who started them."""
        with self._guard:
            for slot in self._slots.values():
                slot.wanted = False
        for slot in reversed(self._slots.values()):
            if slot.running is not None:
                children = [pid for pid, _ in descendants(slot.running.pid)]
                slot.running.terminate()
                _gone(slot.running)
                for pid in children:
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
        self._stop.set()
        self._watching.join()

    def _watch(self) -> None:
        while not self._stop.wait(_LOOK_S):
            with self._guard:
                for slot in self._slots.values():
                    self._look_after(slot)

    def _look_after(self, slot: _Slot) -> None:
        now = self._clock.monotonic()
        if slot.running is None:
            if slot.wanted and now >= slot.start_at_s:
                self._spawn(slot)
        elif slot.running.poll() is not None:
            slot.running, slot.start_at_s = None, now + slot.backoff.wait()
        elif now - slot.started_s > _STEADY_S:
            slot.backoff.reset()

    def _spawn(self, slot: _Slot) -> None:
        part = slot.part
        as_user: dict[str, Any] = {}
        if part.user is not None and os.geteuid() == 0:
            as_user = {"user": part.user, "group": part.user, "extra_groups": []}
        environment = {**os.environ, **part.environment, "CITYBRAIN_PARENT": str(os.getpid())}
        with (self._folder / f"{part.name}.log").open("ab") as log:
            slot.running = subprocess.Popen(
                part.command,
                env=environment,
                cwd=part.folder,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                **as_user,
            )
        slot.started_s, slot.starts = self._clock.monotonic(), slot.starts + 1


def _holds(ready: Callable[[], bool]) -> bool:
    with suppress(Transient, OSError):
        return ready()
    return False


def _gone(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(_FAREWELL_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
