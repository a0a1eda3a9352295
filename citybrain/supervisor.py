"""`citybrain up`: starts the role processes of one machine, starts them again when they die, and ends them when told to."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from citybrain.clock import Clock
from ingest.backoff import Backoff

log = logging.getLogger(__name__)

GRACE_S = 12.0
"""How long a process may take to end before it is killed: a post under way, a stream being closed."""
_LOOK_EVERY_S = 0.1
_STEADY_S = 30.0
"""A process that ran this long was well: its next death starts the back-off anew."""


@dataclass(slots=True)
class _Process:
    name: str
    command: Sequence[str]
    backoff: Backoff = field(default_factory=Backoff)
    running: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    start_at: float = 0.0
    starts: int = 0


class Supervisor:
    """Keeps processes running. They die with it: each asks Linux for that when it starts (`citybrain.cli`)."""

    def __init__(
        self, commands: Mapping[str, Sequence[str]], *, clock: Clock, environment: Mapping[str, str] | None = None
    ) -> None:
        self._processes = [_Process(name, command) for name, command in commands.items()]
        self._clock = clock
        self._environment = dict(os.environ if environment is None else environment)
        self._stop = threading.Event()

    def run(self) -> None:
        """Until SIGTERM or SIGINT; then every process has ended."""
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, lambda *_: self._stop.set())
        try:
            while not self._stop.wait(_LOOK_EVERY_S):
                for process in self._processes:
                    self._look_after(process)
        finally:
            self._end()

    def _look_after(self, process: _Process) -> None:
        now = self._clock.monotonic()
        if process.running is None:
            if now >= process.start_at:
                self._start(process, now)
            return
        code = process.running.poll()
        if code is None:
            if now - process.started >= _STEADY_S:
                process.backoff.reset()
            return
        wait = process.backoff.wait()
        log.warning("%s ended (%s); again in %.1f s", process.name, _ending(code), wait)
        process.running, process.start_at = None, now + wait

    def _start(self, process: _Process, now: float) -> None:
        environment = {**self._environment, "CITYBRAIN_PARENT": str(os.getpid())}
        process.running = subprocess.Popen(process.command, env=environment)  # our own commands
        process.started, process.starts = now, process.starts + 1
        log.info("%s %s, pid %d", process.name, "started" if process.starts == 1 else "again", process.running.pid)

    def _end(self) -> None:
        running = [process.running for process in self._processes if process.running is not None]
        for each in running:
            each.terminate()
        for each in running:
            try:
                each.wait(GRACE_S)
            except subprocess.TimeoutExpired:
                log.warning("pid %d does not end; killed", each.pid)
                each.kill()
                each.wait()


def citybrain(*arguments: str) -> list[str]:
    """A command line of our own."""
    return [sys.executable, "-m", "citybrain", *arguments]


def _ending(code: int) -> str:
    return f"exit status {code}" if code >= 0 else signal.Signals(-code).name
