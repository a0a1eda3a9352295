"""The configuration folder while a role runs: a good change is adopted, a faulty one refused, and either is told.

folder ── changed, and still for a moment ──► read whole ─┬─ good ───► adopted: the role goes on by it
                                                          └─ faults ─► refused: the log and the API name them,
                                                                       the old configuration stays in force
"""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from citybrain import __version__, assembly
from citybrain.assembly import Configuration
from citybrain.clock import Clock, iso
from citybrain.errors import ConfigError, Fault, Unreadable
from citybrain.ports import HotStore
from citybrain.wire import dumps, loads

log = logging.getLogger(__name__)

EVERY_S = 2.0
_SETTLES_S = 3 * EVERY_S  # seen at one look, still the same at the next, read
_TELL_EVERY = timedelta(seconds=5)
_FORGET = timedelta(seconds=60)
_MOST_FAULTS = 50
_SUFFIXES = (".yaml", ".env", ".geojson")

Fingerprint = tuple[tuple[str, int, int, int], ...]


@dataclass(slots=True)
class Standing:
    """What is in force in one role, and what on disk is not."""

    revision: str
    adopted_at: datetime
    refused_since: datetime | None = None
    faults: Sequence[Fault] = ()


class Watching:
    """One role's eye on the folder. `look` is called every few seconds, from one thread; it may take seconds itself."""

    def __init__(
        self,
        folder: Path,
        *,
        role: str,
        clock: Clock,
        hot: HotStore,
        accepted: Path,
        read: Callable[[Path], tuple[Configuration | None, list[Fault]]] = assembly.read,
        read_first: Callable[[Path], tuple[Configuration | None, list[Fault]]] = assembly.read,
        name: str = "0",
    ) -> None:
        """Reads the folder. Raises ConfigError when it is faulty, unless this role was in force under `citybrain up`.

        `accepted` keeps what is in force: a role that dies while the folder is faulty comes back by that. `read` is for later
        readings, while the role runs. `name` tells processes of one role apart.
        """
        self._folder, self._role, self._clock, self._hot, self._read = folder, role, clock, hot, read
        self._name = name
        self._accepted = accepted
        self._told_at: datetime | None = None
        # Taken before reading: what changes meanwhile is found at the next look.
        self._settled = self._seen = fingerprint(folder)
        configuration, faults = read_first(folder)
        found = configuration or self._accepted_before()
        if found is None:
            raise ConfigError(faults)
        self.current = found
        self.standing = Standing(found.revision, clock.now())
        if configuration is None:
            self._refuse(faults)
        else:
            self._accept(configuration)
        self._tell(at_once=True)

    def look(self) -> Configuration | None:
        """The configuration to go on by, when there is a new one."""
        adopted = self._adopted()
        self._tell(at_once=adopted is not None)
        return adopted

    def _adopted(self) -> Configuration | None:
        found = fingerprint(self._folder)
        if found == self._settled:
            return None
        if found != self._seen:  # somebody is writing: half of it might be valid, and mean something else
            self._seen = found
            return None
        configuration, faults = self._read(self._folder)
        if fingerprint(self._folder) != found:
            return None
        self._settled = found
        if configuration is None:
            self._refuse(faults)
            return None
        if self.standing.refused_since is not None:
            log.info("the configuration in %s is without faults again", self._folder)
        self.standing.refused_since, self.standing.faults = None, ()
        # A password is in no revision: it changes the cameras all the same.
        if configuration.revision == self.current.revision and configuration.cameras == self.current.cameras:
            return None
        log.info("configuration %s adopted, %s before", configuration.revision, self.current.revision)
        self.current = configuration
        self.standing = Standing(configuration.revision, self._clock.now())
        self._accept(configuration)
        return configuration

    def _accept(self, configuration: Configuration) -> None:
        """It holds passwords, so it is its owner's alone."""
        partial = self._accepted.with_suffix(f".{self._role}-{self._name}")
        try:
            partial.unlink(missing_ok=True)
            partial.touch(mode=0o600)
            partial.write_bytes(pickle.dumps((__version__, configuration), protocol=pickle.HIGHEST_PROTOCOL))
            partial.replace(self._accepted)
        except OSError as error:
            log.error("the configuration in force could not be kept: %s", error)  # noqa: TRY400  # it is in force all the same

    def _accepted_before(self) -> Configuration | None:
        if "CITYBRAIN_PARENT" not in os.environ:  # a person starts it, and is told
            return None
        try:
            version, configuration = pickle.loads(self._accepted.read_bytes())  # noqa: S301  # our own, in our own folder
        except Exception:  # noqa: BLE001  # whatever an older version left there: then the faults are told
            return None
        same = (
            version == __version__ and isinstance(configuration, Configuration) and configuration.folder == self._folder
        )
        return configuration if same else None

    def _refuse(self, faults: Sequence[Fault]) -> None:
        self.standing.faults = tuple(faults)
        self.standing.refused_since = self.standing.refused_since or self._clock.now()
        said = "; ".join(str(fault) for fault in faults[:_MOST_FAULTS])
        log.error(
            "the changed configuration is refused, %s stays in force: %d faults: %s",
            self.standing.revision,
            len(faults),
            said,
        )
        self._told_at = None

    def _tell(self, *, at_once: bool) -> None:
        now = self._clock.now()
        if not at_once and self._told_at is not None and now - self._told_at < _TELL_EVERY:
            return
        self._told_at = now
        standing = self.standing
        said = {
            "at": iso(now),
            "revision": standing.revision,
            "adopted_at": iso(standing.adopted_at),
            "refused_since": None if standing.refused_since is None else iso(standing.refused_since),
            "faults": [str(each) for each in standing.faults[:_MOST_FAULTS]],
            "fault_count": len(standing.faults),
        }
        self._hot.put(f"configuration/{self._role}/{self._name}", dumps(said), ttl=_FORGET)


async def follow(watching: Watching, adopt: Callable[[Configuration], Awaitable[None]], stop: asyncio.Event) -> None:
    """Hand each new configuration to `adopt`, in the loop, until told to stop; reading happens beside the loop."""
    while not stop.is_set():
        try:
            configuration = await asyncio.to_thread(watching.look)
            if configuration is not None:
                await adopt(configuration)
        except Exception:  # the outermost loop of watching: a role must not end because its folder cannot be read
            log.exception("could not look at the configuration")
        with suppress(TimeoutError):
            async with asyncio.timeout(EVERY_S):
                await stop.wait()


@asynccontextmanager
async def following(
    watching: Watching, adopt: Callable[[Configuration], Awaitable[None]], stop: asyncio.Event
) -> AsyncIterator[None]:
    """While a role works, each new configuration is handed to `adopt`."""
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(follow(watching, adopt, stop))
        try:
            yield
        finally:
            task.cancel()


async def adopted_by(role: str, revision: str, *, hot: HotStore, at_most: timedelta) -> bool:
    """Wait until another role goes on by this revision, in all its processes; False when it does not in time, and may not run
    at all. While what is hot is away nobody can say: then as long as a role needs to see a change and settle it."""
    began_s = asyncio.get_running_loop().time()
    with suppress(TimeoutError):
        async with asyncio.timeout(at_most.total_seconds()):
            while revisions_of(role, hot=hot) != {revision}:
                await asyncio.sleep(0.2)
                if hot.away_since() is not None and asyncio.get_running_loop().time() - began_s > _SETTLES_S:
                    return False
            return True
    return False


def revisions_of(role: str, *, hot: HotStore) -> set[str]:
    """What the processes of a role say they go on by."""
    found: set[str] = set()
    for _, said in hot.scan(f"configuration/{role}/"):
        with suppress(Unreadable):  # what is hot may be torn
            found.add(str(loads(said).get("revision")))
    return found


def follow_beside(watching: Watching, adopt: Callable[[Configuration], None]) -> threading.Event:
    """The same in a thread of its own, for a role without a loop of ours; set the event to end it."""
    stop = threading.Event()

    def run() -> None:
        while not stop.is_set():
            try:
                configuration = watching.look()
                if configuration is not None:
                    adopt(configuration)
            except Exception:  # as above
                log.exception("could not look at the configuration")
            stop.wait(EVERY_S)

    threading.Thread(target=run, name="watching", daemon=True).start()
    return stop


def fingerprint(folder: Path) -> Fingerprint:
    """Name, size, inode and instant of change of all that the configuration is made of."""
    return tuple(sorted(_files(folder)))


def _files(folder: Path) -> Iterator[tuple[str, int, int, int]]:
    for path in folder.rglob("*"):
        if path.suffix in _SUFFIXES:
            try:
                status = path.stat()
            except OSError:  # it went while we looked; the next look will tell
                continue
            yield str(path), status.st_size, status.st_ino, status.st_mtime_ns
