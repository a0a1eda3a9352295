"""Where evidence lies: in a folder of this machine."""

from __future__ import annotations

from pathlib import Path

from citybrain.errors import UsageError
from citybrain.evidence.files import FileEvidence
from citybrain.ports import EvidenceStore


def open_evidence(url: str | None, path: Path) -> EvidenceStore:
    """Raises UsageError for an address that is none."""
    if url is None:
        return FileEvidence(path)
    raise UsageError(f"--evidence: no storage is known for {url.partition('://')[0]}://")
