"""Where rejected cases and their pictures come from: a city's data folder, or its API wherever they lie.

The pictures are the originals. What is shown to everybody is masked, and a model that learnt from masked pictures would learn
that people have no heads and cars no plates: who may not see originals mines nothing. Each look at one is noted in the audit trail.
"""

from __future__ import annotations

import getpass
import logging
import threading
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from citybrain.bus.local import LocalBus
from citybrain.client import ApiAway, ApiProblem, Client
from citybrain.clock import SystemClock
from citybrain.database import Database
from citybrain.deployment import DataFolder
from citybrain.domain.case import Case, CaseState
from citybrain.errors import Unreadable, UsageError
from citybrain.evidence.files import FileEvidence
from citybrain.wire import CASE_EVENTS, read_case_event
from events_api.audit import AuditTrail

WHY = "mined for training"
"""What the audit trail says of each original."""
_PAGE = 1000
_TRIES = 6

log = logging.getLogger(__name__)


class Rejections(Protocol):
    """A city as its rejections know it."""

    def rejected(self, *, since: datetime | None) -> Iterable[Case]:
        """Cases that are rejected now, filed from then on, in any order."""
        ...

    def is_taken_back(self, case: str) -> bool:
        """Whether a case of this city is rejected no more. False for one that it does not know."""
        ...

    def original(self, ref: str) -> bytes:
        """A picture as it was taken. Raises KeyError when it is no longer kept, Unreadable when it was altered."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def of_folder(path: Path) -> Rejections:
    """The city of a data folder, running or not. Raises UsageError when there is none."""
    folder = DataFolder(path)
    if not folder.database.is_file():
        raise UsageError(f"--data {path}: holds no {folder.database.name}; name a city's data folder")
    return _Folder(folder)


def of_api(url: str, *, key: str | None) -> Rejections:
    """A running city."""
    return _Api(Client(url, key=key))


class _Closing:
    """What is open until the mining is over."""

    def __init__(self) -> None:
        self._open = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()


class _Folder(_Closing):
    """The log has every case; the view is made of it, and belongs to the API."""

    def __init__(self, folder: DataFolder) -> None:
        super().__init__()
        self._evidence = FileEvidence(folder.evidence)
        self._trail = AuditTrail(Database.file(folder.audit), clock=SystemClock())
        self._cases = _latest(folder.database)

    def rejected(self, *, since: datetime | None) -> Iterable[Case]:
        for case in self._cases.values():
            if case.state is CaseState.REJECTED and (since is None or case.filed_at >= since):
                yield case

    def is_taken_back(self, case: str) -> bool:
        return case in self._cases and self._cases[case].state is not CaseState.REJECTED

    def original(self, ref: str) -> bytes:
        content = self._evidence.get(ref)
        self._trail.append(
            actor=getpass.getuser(),
            role="console",
            address="console",
            what="evidence.unmasked",
            on=ref,
            more={"reason": WHY},
        )
        return content


def _latest(database: Path) -> dict[str, Case]:
    """Each case as its last event left it."""
    found: dict[str, Case] = {}
    bus, after = LocalBus(database), 0
    try:
        while messages := bus.read((CASE_EVENTS,), after=after, limit=_PAGE):
            after = messages[-1].offset
            for message in messages:
                try:
                    case = read_case_event(message.value).case
                except Unreadable as error:
                    log.warning("case event at %d is passed over: %s", message.offset, error)
                    continue
                if case.id not in found or case.version >= found[case.id].version:
                    found[case.id] = case
    finally:
        bus.close()
    return found


class _Api(_Closing):
    def __init__(self, client: Client, *, wait: Callable[[float], object] | None = None) -> None:
        super().__init__()
        self._client = self._open.enter_context(client)
        self._wait = wait or threading.Event().wait

    def rejected(self, *, since: datetime | None) -> Iterable[Case]:
        return self._client.cases(state=["rejected"], since=since)

    def is_taken_back(self, case: str) -> bool:
        try:
            return self._client.case(case).state is not CaseState.REJECTED
        except ApiProblem as problem:
            if problem.status != 404:
                raise
            return False

    def original(self, ref: str) -> bytes:
        for tries in range(1, _TRIES + 1):
            try:
                return self._client.original(ref, reason=WHY)
            except ApiAway as away:
                if tries == _TRIES:
                    raise
                self._wait(away.retry_after_s or 0.5 * 2**tries)
            except ApiProblem as problem:
                if problem.kind == "role-too-small":
                    raise UsageError(
                        f"--key: {problem.detail}; what other roles are shown is masked, and nothing is learnt from that"
                    ) from None
                if problem.kind == "picture-altered":
                    raise Unreadable(problem.detail) from None
                if problem.status in (404, 410):
                    raise KeyError(ref) from None
                raise
        raise AssertionError("unreachable")  # pragma: no cover  # the last try returns or raises
