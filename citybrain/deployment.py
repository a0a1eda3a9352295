"""Where the parts of a running city lie: all of them in one data folder, or each where many machines share it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from citybrain import signing
from citybrain.bus.choice import open_bus
from citybrain.bus.local import connect
from citybrain.errors import UsageError
from citybrain.evidence.choice import objects_beside, open_evidence
from citybrain.evidence.seals import Seal, Sealing, seals_of
from citybrain.evidence.signer import Signer
from citybrain.evidence.stored_seals import StoredSeals
from citybrain.hot.choice import open_hot
from citybrain.ports import Bus, EvidenceStore, HotStore

if TYPE_CHECKING:
    from citybrain.database import Database

VARIABLES: Mapping[str, str] = {
    "bus": "CITYBRAIN_BUS",
    "database": "CITYBRAIN_DATABASE",
    "hot": "CITYBRAIN_HOT",
    "evidence": "CITYBRAIN_EVIDENCE",
}
"""The variable that says where each shared part lies, when no option of the command does."""

EVIDENCE_KEY_FILE, DISPATCH_SECRET = "CITYBRAIN_EVIDENCE_KEY_FILE", "CITYBRAIN_DISPATCH_SECRET"
DISPATCH_SECRET_FILE = f"{DISPATCH_SECRET}_FILE"
"""What several machines are given alike: the key that evidence is signed with, and the secret shared with the dispatch system."""


@dataclass(frozen=True, slots=True)
class DataFolder:
    """Where one machine keeps what lasts and what is hot."""

    path: Path

    @property
    def database(self) -> Path:
        """Message log, states and outbox."""
        return self.path / "citybrain.db"

    @property
    def view(self) -> Path:
        return self.path / "view.db"

    @property
    def hot(self) -> Path:
        return self.path / "hot.db"

    @property
    def evidence(self) -> Path:
        return self.path / "evidence"

    @property
    def accepted(self) -> Path:
        """The configuration in force."""
        return self.path / "accepted.pickle"

    @property
    def zones_before(self) -> Path:
        """Files of cameras as they were before zones were written into them."""
        return self.path / "zones-before"

    @property
    def keys(self) -> Path:
        return self.path / "keys.json"

    @property
    def reporters(self) -> Path:
        """Who reported, masked."""
        return self.path / "reporters.db"

    @property
    def subscriptions(self) -> Path:
        """Who is told by webhook, how far each is, and what waits for it."""
        return self.path / "subscriptions.db"

    @property
    def audit(self) -> Path:
        """Who did what."""
        return self.path / "audit.db"

    @property
    def sensors(self) -> Path:
        """How each sensor stands."""
        return self.path / "sensors.db"

    def signer(self) -> Signer:
        """The key that evidence is signed with; made at first use, readable by the owner only."""
        return Signer.open(self.path / "evidence.key")

    def dispatch_secret(self) -> str:
        """The secret shared with the dispatch system; made at first use, readable by the owner only."""
        path = self.path / "dispatch.secret"
        if not path.exists():
            path.touch(mode=0o600)
            path.write_text(signing.new_secret() + "\n")
        return path.read_text().strip()

    def seals_of(self, case: str) -> list[Seal]:
        """A case's seals, as the pipeline of one machine makes them."""
        connection = connect(self.database, durable=True)
        try:
            return seals_of(connection, case)
        finally:
            connection.close()

    def make(self) -> None:
        """Create the folder and the database in it. Raises UsageError when that cannot be."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            connect(self.database, durable=True).close()
        except (OSError, sqlite3.Error) as error:
            raise UsageError(f"--data {self.path}: cannot be written ({error}); name a folder of yours") from None


@dataclass(frozen=True, slots=True)
class Deployment:
    """The addresses of what several machines share; what has none lies in the data folder, for this machine alone."""

    data: DataFolder
    bus: str | None = None
    """`kafka://…`"""
    database: str | None = None
    """`postgresql://…`"""
    hot: str | None = None
    """`redis://…`"""
    evidence: str | None = None
    """`s3://…`"""

    @classmethod
    def told(cls, data: Path, *, environment: Mapping[str, str] | None = None, **addresses: str | None) -> Deployment:
        """By options (`addresses`), and where none is given by the environment's variables."""
        known = os.environ if environment is None else environment
        return cls(
            DataFolder(data), **{name: addresses.get(name) or known.get(VARIABLES[name]) or None for name in VARIABLES}
        )

    def export(self, environment: MutableMapping[str, str] | None = None) -> None:
        """Let child processes find the same; addresses may carry passwords, which a command line would show."""
        known = os.environ if environment is None else environment
        for name, variable in VARIABLES.items():
            address: str | None = getattr(self, name)
            if address is not None:
                known[variable] = address

    def open_bus(self, *, durable: bool = False) -> Bus:
        """`durable` makes a log of one machine wait for the disk at each message, as one of many machines always does."""
        return open_bus(self.bus, self.data.database, durable=durable)

    def open_database(self, *, role: str = "", durable: bool = True) -> Database | None:
        """The one that several machines share, for all stores of a process; None when each store has a file of its own."""
        if self.database is None:
            return None
        from citybrain.database import Database  # SQLAlchemy: a worker of ingest needs none of it

        return Database.open(self.database, role=role, durable=durable)

    def open_hot(self) -> HotStore:
        return open_hot(self.hot, self.data.hot)

    def open_evidence(self) -> EvidenceStore:
        return open_evidence(self.evidence, self.data.evidence)

    def open_sealing(self, evidence: EvidenceStore) -> Sealing:
        """Beside the evidence: where the pipeline has no database of its own to seal in."""
        return StoredSeals(objects_beside(evidence, self.data.evidence), self.signer(), evidence)

    def seals_of(self, evidence: EvidenceStore) -> Callable[[str], Sequence[Seal]]:
        """A case's seals in their order, from where the pipeline of this city puts them."""
        return self.data.seals_of if self.bus is None else self.open_sealing(evidence).of

    def signer(self, environment: Mapping[str, str] | None = None) -> Signer:
        """The key that evidence is signed with: the file that was named, or the data folder's own.

        Raises UsageError for a file that is not there: a key made anew on each machine would be no city's.
        """
        known = os.environ if environment is None else environment
        named = known.get(EVIDENCE_KEY_FILE)
        if not named:
            return self.data.signer()
        if not Path(named).is_file():
            raise UsageError(f"{EVIDENCE_KEY_FILE}: there is no file {named}")
        return Signer.open(Path(named))

    def dispatch_secret(self, environment: Mapping[str, str] | None = None) -> str:
        """The secret shared with the dispatch system: as told, from the file that was named, or the data folder's own.

        Raises UsageError, without quoting it, for what is no secret.
        """
        known = os.environ if environment is None else environment
        secret, named = known.get(DISPATCH_SECRET), known.get(DISPATCH_SECRET_FILE)
        variable = DISPATCH_SECRET
        if not secret and named:
            variable = DISPATCH_SECRET_FILE
            try:
                secret = Path(named).read_text(encoding="utf-8").strip()
            except (OSError, ValueError):
                raise UsageError(f"{variable}: {named} cannot be read") from None
        if not secret:
            return self.data.dispatch_secret()
        try:
            signing.check_secret(secret)
        except ValueError as error:
            raise UsageError(f"{variable}: {error}") from None
        return secret
