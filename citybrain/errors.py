"""Everything that can go wrong, by what to do about it.

CityBrainError
├─ ConfigError          wrong before start: stop, name the file, key and remedy of every fault
│  └─ UnknownPlugin     a name in the configuration that no file answers to
├─ UsageError           the command line cannot be carried out as given
├─ Transient            try again: camera gone, broker away, notifier timed out
│  ├─ BusAway           no broker answers, or none has room for more
│  ├─ CameraGone        a stream ended, stalled or could not be opened, for a named reason
│  ├─ DatabaseAway      the database is gone, going, busy or full
│  ├─ EvidenceAway      the evidence storage does not answer, or has not got it yet
│  └─ NotDelivered      the receiver did not take the message this time
└─ Permanent            trying again cannot help
   ├─ Unreadable        a message, picture or file that is not what it should be
   ├─ ModelUnusable     a model that is missing, altered or cannot be loaded
   └─ Refused           the receiver will never take this message
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One thing wrong in the configuration: where, what, and how to mend it."""

    file: str
    key: str
    message: str
    remedy: str = ""

    def __str__(self) -> str:
        where = f"{self.file}: {self.key}" if self.key else self.file
        return f"{where}: {self.message}" + (f" {self.remedy}" if self.remedy else "")


class CityBrainError(Exception):
    """The root: anything citybrain raises on purpose."""


class ConfigError(CityBrainError):
    """Wrong before start. Carries every fault found, not the first one only."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = sorted(set(faults))
        super().__init__("\n".join(str(fault) for fault in self.faults))


class UnknownPlugin(ConfigError):
    """A name that no file of the socket answers to; lists the right ones."""

    def __init__(self, socket: str, name: str, offered: Iterable[str]) -> None:
        self.message = f"{socket} has no {name!r}; it has {', '.join(sorted(offered)) or 'nothing'}"
        super().__init__([])
        self.args = (self.message,)


class UsageError(CityBrainError):
    """The command line cannot be carried out as given."""


class Transient(CityBrainError):
    """Trying again can help."""


class BusAway(Transient):
    """No broker answers, or not in time, or what waits for one is as much as may."""


class CameraGone(Transient):
    """A stream ended, stalled or could not be opened. `reason` is a short word or two for people, without secrets."""

    def __init__(self, reason: str, detail: str = "") -> None:
        self.reason = reason
        super().__init__(f"{reason}: {detail}" if detail else reason)


class EvidenceAway(Transient):
    """The evidence storage is away, or has not got yet what it is asked for. Says which, without secrets."""


class DatabaseAway(Transient):
    """The database is gone, going, busy or full. Says which one, without its password, and why."""


class NotDelivered(Transient):
    """The receiver did not take the message this time; `retry_after_s` when it said when to come back.

    `status` is the HTTP status it answered with, if it answered.
    """

    def __init__(self, reason: str, *, retry_after_s: float | None = None, status: int | None = None) -> None:
        self.reason = reason
        self.retry_after_s = retry_after_s
        self.status = status
        super().__init__(reason)


class Permanent(CityBrainError):
    """Trying again cannot help."""


class Unreadable(Permanent):
    """A message, picture or file that is not what it should be; says expected and found."""


class ModelUnusable(Permanent):
    """A model that is missing, altered or cannot be loaded; says which and what to do."""


class Refused(Permanent):
    """The receiver will never take this message. `status` is the HTTP status it answered with, if it did."""

    def __init__(self, reason: str, *, status: int | None = None) -> None:
        self.status = status
        super().__init__(reason)
