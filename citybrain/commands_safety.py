"""The commands about trust: keys, the audit trail, and evidence that somebody was handed."""

from __future__ import annotations

import argparse
import getpass
import sys
from pathlib import Path

from citybrain.clock import SystemClock
from citybrain.deployment import DataFolder
from citybrain.errors import Unreadable, UsageError
from citybrain.evidence import checking
from citybrain.evidence.signer import PublicKey
from events_api.audit import AuditTrail
from events_api.security import Role
from events_api.store.key_file import FileKeys

DONE, FAILED = 0, 1


def keys(given: argparse.Namespace) -> int:
    """Make, list or revoke the keys of a city, or print the public key that its evidence is checked with."""
    data = DataFolder(given.data)
    data.make()
    kept = FileKeys(data.keys, clock=SystemClock())
    if given.action == "list":
        for key in kept.all():
            print("  ".join(each for each in (key.name, key.role.value, key.unit) if each))
        return DONE
    if given.action == "public":
        public = data.signer().public
        print(public.pem.decode(), end="")
        print(f"fingerprint {public.fingerprint}", file=sys.stderr)
        return DONE
    if not given.name:
        raise UsageError(f"keys {given.action}: name whose key")
    if given.action == "add":
        try:
            token = kept.add(given.name, Role(given.role), unit=given.unit)
        except ValueError as error:
            raise UsageError(f"keys add: {error}") from None
        _note(data, "key.made", given.name, role=given.role)
        print(token)
        return DONE
    if not kept.revoke(given.name):
        raise UsageError(f"keys revoke: there is no key {given.name!r}")
    _note(data, "key.revoked", given.name)
    return DONE


def audit(given: argparse.Namespace) -> int:
    """Follow the chain of the audit trail, and say its head, which is worth writing down elsewhere."""
    path = DataFolder(given.data).audit
    if not path.is_file():
        raise UsageError(f"audit verify: there is no {path}; name a city's data folder")
    trail = AuditTrail(path, clock=SystemClock())
    checked = trail.check(head=_head(given.head))
    trail.close()
    for fault in checked.faults:
        print(fault, file=sys.stderr)
    if checked.faults:
        return FAILED
    print(f"{checked.count} entries, none altered or missing; head {checked.count}:{checked.head}")
    return DONE


def verify_evidence(given: argparse.Namespace) -> int:
    """Check a bundle of evidence, file by file, without any server."""
    key = None
    if given.key is not None:
        try:
            key = PublicKey.read(given.key.read_bytes())
        except (OSError, Unreadable) as error:
            raise UsageError(f"--key {given.key}: {error}") from None
    try:
        found = checking.check(given.bundle, key=key)
    except Unreadable as error:
        raise UsageError(f"verify-evidence: {error}") from None
    if found.case:
        print(f"case {found.case}, made {found.made}")
        print(f"key {found.fingerprint}")
    for path in found.sound:
        print(f"ok       {path}")
    for notice in found.notices:
        print(f"note     {notice}")
    for fault in found.faults:
        print(f"WRONG    {fault}", file=sys.stderr)
    if found.faults:
        print(f"{len(found.faults)} faults: this is not what was signed", file=sys.stderr)
        return FAILED
    print(f"{len(found.sound)} files are what was signed")
    return DONE


def _head(text: str | None) -> tuple[int, str] | None:
    if text is None:
        return None
    number, _, written = text.partition(":")
    if not number.isdecimal() or len(written) != 64:
        raise UsageError(f"--head: expected an entry's number and hash as `audit verify` prints them, got {text!r}")
    return int(number), written


def _note(data: DataFolder, what: str, on: str, **more: str) -> None:
    trail = AuditTrail(Path(data.audit), clock=SystemClock())
    trail.append(actor=getpass.getuser(), role="console", address="console", what=what, on=on, more=more)
    trail.close()
