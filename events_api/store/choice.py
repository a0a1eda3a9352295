"""Where cases and keys are kept: in files of this machine, or in the database that several replicas of the API share."""

from __future__ import annotations

from pathlib import Path

from citybrain.clock import Clock
from citybrain.database import Database
from events_api.ports import CaseStore
from events_api.security import Keys
from events_api.store.key_file import FileKeys
from events_api.store.key_tables import SqlKeys
from events_api.store.sql import SqlCases


def open_cases(shared: Database | None, path: Path) -> CaseStore:
    """The view in the shared database, if there is one."""
    return SqlCases.file(path) if shared is None else SqlCases(shared)


def open_keys(shared: Database | None, path: Path, *, clock: Clock) -> Keys:
    """Those of the shared database, if there is one."""
    return FileKeys(path, clock=clock) if shared is None else SqlKeys(shared, clock=clock)
