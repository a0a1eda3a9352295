"""A seal: what was known of a picture or clip when a case claimed it, signed with the installation's key.

    case-…: seal 1 ◂── seal 2 ◂── seal 3        each carries the SHA-256 of the one before it, so that none can be taken out

On one machine seals lie in citybrain.db, and are written in the commit that writes the case event; on many they lie beside the
evidence (`citybrain.evidence.stored_seals`). A picture without one was claimed by an older version, or was no longer there.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from citybrain import __version__
from citybrain.clock import iso
from citybrain.domain.case import CaseEvent
from citybrain.domain.episode import Evidence
from citybrain.errors import Permanent
from citybrain.evidence.signer import Signer
from citybrain.ports import EvidenceStore

SCHEMA = """
CREATE TABLE IF NOT EXISTS seals (
    case_id TEXT NOT NULL, n INTEGER NOT NULL, ref TEXT NOT NULL, document BLOB NOT NULL, signature BLOB NOT NULL,
    PRIMARY KEY (case_id, n), UNIQUE (case_id, ref)
);
"""
SOFTWARE = f"citybrain {__version__}"


@dataclass(frozen=True, slots=True)
class Seal:
    """The document exactly as it was signed, and the signature."""

    document: bytes
    signature: bytes

    @property
    def hash(self) -> str:
        return hashlib.sha256(self.document).hexdigest()


class Sealing(Protocol):
    """Makes seals, once each, and gives them back."""

    def seal(self, event: CaseEvent, evidence: Evidence) -> bool:
        """Seal what the event's case claims, once. False when there is nothing to seal any more. Raises Permanent when it
        no longer fits its reference, Transient when it cannot be done now."""
        ...

    def of(self, case: str) -> Sequence[Seal]:
        """A case's seals in their order. Raises Transient."""
        ...


class Seals:
    """Sealing in the database of one machine, within the caller's transactions."""

    def __init__(self, connection: sqlite3.Connection, signer: Signer, evidence: EvidenceStore) -> None:
        self._connection, self._signer, self._evidence = connection, signer, evidence
        connection.executescript(SCHEMA)

    def seal(self, event: CaseEvent, evidence: Evidence) -> bool:
        case = event.case.id
        known = self._connection.execute("SELECT 1 FROM seals WHERE case_id = ? AND ref = ?", (case, evidence.ref))
        if known.fetchone() is not None:
            return True
        try:
            content = self._evidence.get(evidence.ref)
        except KeyError:
            return False
        last = self._connection.execute(
            "SELECT n, document FROM seals WHERE case_id = ? ORDER BY n DESC LIMIT 1", (case,)
        ).fetchone()
        n, before = (last[0], hashlib.sha256(last[1]).hexdigest()) if last else (0, None)
        document = document_of(event, evidence, content, n=n + 1, previous=before)
        self._connection.execute(
            "INSERT INTO seals VALUES (?, ?, ?, ?, ?)",
            (case, n + 1, evidence.ref, document, self._signer.sign(document)),
        )
        return True

    def of(self, case: str) -> list[Seal]:
        return seals_of(self._connection, case)


def seals_of(connection: sqlite3.Connection, case: str) -> list[Seal]:
    """A case's seals in their order."""
    connection.executescript(SCHEMA)
    rows = connection.execute("SELECT document, signature FROM seals WHERE case_id = ? ORDER BY n", (case,))
    return [Seal(bytes(document), bytes(signature)) for document, signature in rows]


def canonical(fields: Mapping[str, Any]) -> bytes:
    """JSON that is written in one way only: what is signed."""
    return json.dumps(fields, ensure_ascii=True, sort_keys=True, separators=(",", ":")).encode()


def document_of(event: CaseEvent, evidence: Evidence, content: bytes, *, n: int, previous: str | None) -> bytes:
    """What is signed: of the same event and content always the same bytes. Raises Permanent when the content is another."""
    return canonical(_facts(event, evidence, content) | {"n": n, "previous": previous})


def _facts(event: CaseEvent, evidence: Evidence, content: bytes) -> dict[str, Any]:
    found = hashlib.sha256(content).hexdigest()
    if not evidence.ref.rpartition("-")[2].startswith(found[:16]):  # the store has checked it already
        raise Permanent(f"{evidence.ref}: expected content that fits its name, got SHA-256 {found[:16]}…")
    return {
        "v": 1,
        "case": event.case.id,
        "event": event.id,
        "ref": evidence.ref,
        "sha256": found,
        "bytes": len(content),
        "camera": evidence.camera,
        "captured_at": iso(evidence.captured_at),
        "until_at": None if evidence.until_at is None else iso(evidence.until_at),
        "role": evidence.role,
        "sealed_at": iso(event.at),
        "software": SOFTWARE,
        "model": event.case.model,
        "config": event.case.config,
    }
