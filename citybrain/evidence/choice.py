"""Where evidence lies: in a folder of this machine, or in S3-compatible storage."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from citybrain.evidence.files import FileEvidence
from citybrain.evidence.objects import FileObjects, Objects
from citybrain.ports import EvidenceStore


def open_evidence(url: str | None, path: Path) -> EvidenceStore:
    """`path`: the folder of this machine; for storage elsewhere what waits for it lies beside it, in `spool`.

    Raises UsageError for an address that is none, or a missing package; storage that is away raises nothing.
    """
    if url is None:
        return FileEvidence(path)
    from citybrain.evidence.bucket import Address, Bucket
    from citybrain.evidence.s3 import S3Evidence
    from citybrain.evidence.spool import Spool

    address = Address.read(url)
    return S3Evidence(Bucket(address), Spool(path.with_name("spool")), sweeps=address.sweeps)


def waiting_of(evidence: EvidenceStore) -> Mapping[str, int]:
    """What of this machine waits for storage elsewhere, and how much was refused for want of room; nothing for a folder."""
    from citybrain.evidence.s3 import S3Evidence

    if not isinstance(evidence, S3Evidence):
        return {}
    waiting = evidence.waiting()
    return {"waiting": waiting.count, "waiting_bytes": waiting.bytes, "refused": waiting.refused}


def objects_beside(evidence: EvidenceStore, path: Path) -> Objects:
    """Where what belongs to evidence is written once: in the same storage, or the same folder."""
    from citybrain.evidence.s3 import S3Evidence

    return evidence.bucket if isinstance(evidence, S3Evidence) else FileObjects(path)
