"""The worker processes: spawned, fed when idle, killed when they hang, replaced when they die."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol

from citybrain.domain.frame import Frame
from citybrain.errors import Unreadable
from ingest.backoff import Backoff
from ingest.worker_port import (
    LENGTH,
    LONGEST,
    Report,
    read_answer,
    read_reports,
    write_briefing,
    write_frames,
)

log = logging.getLogger(__name__)

START_LIMIT = timedelta(seconds=120)
"""How long a worker may take to load its model."""

# What a bitstream cannot do to a process: these come from outside, and say nothing about the frames it held.
_FROM_OUTSIDE = (-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP)


class Work(Protocol):
    """Where frames come from and what becomes of them. Called in the event loop; must not block."""

    def begun(self, worker: int) -> None:
        """A new process stands ready for this worker: it remembers nothing of what the last one decoded."""
        ...

    def take(self, worker: int, limit: int) -> list[Frame]:
        """Frames of different cameras for this worker, at most `limit`; empty when none is due."""
        ...

    def idle_for(self, worker: int) -> float:
        """Seconds until a waiting frame of this worker is due; a long time when none waits."""
        ...

    def done(self, frames: Sequence[Frame], reports: Sequence[Report]) -> None: ...

    def lost(self, frames: Sequence[Frame], *, guilty: bool) -> None:
        """The worker died with these in its hands; `guilty` when they may be why."""
        ...


@dataclass(slots=True)
class _Worker:
    index: int
    pid: int | None = None
    ready: bool = False
    gone: bool = False
    starts: int = 0
    told: bytes | None = None
    refused: bytes | None = None
    batches: int = 0
    busy_s: float = 0.0
    wake: asyncio.Event = field(default_factory=asyncio.Event)


class WorkerPool:
    """Worker processes, started from a command line: `{fd}` in it becomes the socket, `{worker}` its number.

    A camera goes to its worker, for what that one remembers of it, and to others only while that one is away. One pool
    serves one `run`.

    What `brief` says is told to every worker before it gets more frames. A worker that refuses it goes on by what it was
    told before, and so do those that start later, until one has accepted it.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        count: int | None = None,
        max_batch: int = 4,
        patience: timedelta = timedelta(seconds=20),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        if not any("{fd}" in part for part in command):
            raise ValueError("a worker's command line must say {fd}, or the worker cannot be spoken to")
        self._command = tuple(command)
        self._environment = environment
        self._max_batch = max_batch
        self._patience = patience.total_seconds()
        self._briefing = self._accepted = b""
        self._briefed = False
        self._workers = [_Worker(index) for index in range(count or os.cpu_count() or 1)]

    @property
    def count(self) -> int:
        return len(self._workers)

    @property
    def pids(self) -> list[int]:
        """The processes that live at present."""
        return [worker.pid for worker in self._workers if worker.pid is not None]

    @property
    def away(self) -> list[int]:
        """The workers that cannot be given anything now: they are starting, or have died."""
        return [worker.index for worker in self._workers if not worker.ready]

    def wake(self, worker: int) -> None:
        """A frame may be waiting for this worker, or for those that look in its place."""
        for each in [self._workers[worker]] if self._workers[worker].ready else self._workers:
            each.wake.set()

    def brief(self, briefing: bytes) -> None:
        """What workers work by from now on."""
        if not self._briefed:
            self._briefed, self._accepted = True, briefing  # there is nothing better to begin with
        self._briefing = briefing
        for worker in self._workers:
            worker.wake.set()

    def figures(self) -> dict[str, Any]:
        return {
            "count": self.count,
            "ready": sum(worker.ready for worker in self._workers),
            "refused": sum(worker.refused == self._briefing for worker in self._workers),
            "restarts": sum(max(0, worker.starts - 1) for worker in self._workers),
            "batches": sum(worker.batches for worker in self._workers),
            "busy_s": round(sum(worker.busy_s for worker in self._workers), 3),
        }

    async def run(self, work: Work) -> None:
        """Keep the workers alive and fed until cancelled; then none is left."""
        async with asyncio.TaskGroup() as group:
            for worker in self._workers:
                group.create_task(self._keep(worker, work))

    async def _keep(self, worker: _Worker, work: Work) -> None:
        backoff = Backoff(first=0.2, last=10.0)
        while True:
            before = worker.batches
            code = await self._live(worker, work)
            if worker.batches > before:
                backoff.reset()
            wait = backoff.wait()
            log.warning("worker %d ended (%s), another starts in %.1f s", worker.index, _ending(code), wait)
            await asyncio.sleep(wait)

    async def _live(self, worker: _Worker, work: Work) -> int:
        """One process from start to end; returns its exit status."""
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                fd = str(theirs.fileno())
                command = [part.replace("{fd}", fd).replace("{worker}", str(worker.index)) for part in self._command]
                # No preexec_fn: it may deadlock in a process with threads. The worker asks to die with us itself.
                process = await asyncio.create_subprocess_exec(
                    *command, stdin=asyncio.subprocess.DEVNULL, pass_fds=[theirs.fileno()], env=self._environment
                )
        except BaseException:
            ours.close()
            raise
        worker.pid, worker.starts, worker.gone = process.pid, worker.starts + 1, False
        watch = asyncio.create_task(_watch(worker, process))
        try:
            reader, writer = await asyncio.open_unix_connection(sock=ours, limit=LONGEST)
            try:
                await self._converse(worker, work, process, reader, writer)
            finally:
                writer.close()
            return await process.wait()
        finally:
            watch.cancel()
            worker.pid, worker.ready = None, False
            self.wake(worker.index)
            if process.returncode is None:
                _kill(process)
                await process.wait()

    async def _converse(
        self,
        worker: _Worker,
        work: Work,
        process: asyncio.subprocess.Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        worker.told = worker.refused = None
        if not await self._brief(worker, self._accepted, process, reader, writer):
            return
        worker.ready = True
        work.begun(worker.index)
        while not worker.gone:
            if self._untold(worker):
                if not await self._brief(worker, self._briefing, process, reader, writer):
                    return
                continue
            frames = await self._next(worker, work)
            if not frames:
                continue
            started = asyncio.get_running_loop().time()
            try:
                async with asyncio.timeout(self._patience):
                    writer.write(write_frames(frames))
                    await writer.drain()
                    reports = read_reports(await _receive(reader))
            except asyncio.CancelledError:
                work.lost(frames, guilty=False)
                raise
            except (TimeoutError, Unreadable) as error:
                log.warning("worker %d is killed (%s)", worker.index, type(error).__name__)
                _kill(process)
                work.lost(frames, guilty=True)
                return
            except (asyncio.IncompleteReadError, ConnectionError):
                code = await process.wait()
                work.lost(frames, guilty=code not in _FROM_OUTSIDE)
                return
            worker.batches += 1
            worker.busy_s += asyncio.get_running_loop().time() - started
            work.done(frames, reports)

    def _untold(self, worker: _Worker) -> bool:
        return self._briefing not in (worker.told, worker.refused)

    async def _brief(
        self,
        worker: _Worker,
        briefing: bytes,
        process: asyncio.subprocess.Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        """Tell a worker what to work by; false when it is of no use any more."""
        try:
            async with asyncio.timeout(START_LIMIT.total_seconds()):
                writer.write(write_briefing(briefing))
                await writer.drain()
                why = read_answer(await _receive(reader))
        except (TimeoutError, Unreadable, asyncio.IncompleteReadError, ConnectionError) as error:
            log.error("worker %d did not answer (%s)", worker.index, type(error).__name__)  # noqa: TRY400  # no surprise
            _kill(process)
            return False
        if why is None:
            worker.told, self._accepted = briefing, briefing
            return True
        worker.refused = briefing
        if worker.told is None:
            log.error("worker %d cannot begin: %s", worker.index, why)
            _kill(process)
            return False
        log.error("worker %d goes on by the configuration it had: %s", worker.index, why)
        return True

    async def _next(self, worker: _Worker, work: Work) -> list[Frame]:
        """The frames to look at next; none when something else comes first: nothing is given to the dead."""
        while not worker.gone and not self._untold(worker):
            if frames := work.take(worker.index, self._max_batch):
                return frames
            worker.wake.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(work.idle_for(worker.index)):
                    await worker.wake.wait()
        return []


async def _watch(worker: _Worker, process: asyncio.subprocess.Process) -> None:
    await process.wait()
    worker.gone = True
    worker.wake.set()


async def _receive(reader: asyncio.StreamReader) -> bytes:
    (size,) = LENGTH.unpack(await reader.readexactly(LENGTH.size))
    if size > LONGEST:
        raise Unreadable(f"expected a message of at most {LONGEST} bytes, got {size}")
    return await reader.readexactly(size)


def _kill(process: asyncio.subprocess.Process) -> None:
    # Not `process.kill()`: it asks first whether the process lives, and so takes the exit status from who waits for it.
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)


def _ending(code: int) -> str:
    if code >= 0:
        return f"exit status {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


def python(module: str, *arguments: str) -> list[str]:
    """A command line that runs one of our modules as a worker."""
    return [sys.executable, "-m", module, *arguments]
