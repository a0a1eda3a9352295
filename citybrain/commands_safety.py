"""The commands about trust: keys, the audit trail, and evidence that somebody was handed."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from functools import partial
from pathlib import Path

from citybrain.clock import SystemClock
from citybrain.database import Database
from citybrain.deployment import EVIDENCE_KEY_FILE, DataFolder, Deployment
from citybrain.errors import Unreadable, UsageError
from citybrain.evidence import checking
from citybrain.evidence.signer import PublicKey
from events_api.audit import AuditTrail
from events_api.security import Role
from events_api.store.choice import open_keys

DONE, FAILED = 0, 1


def keys(given: argparse.Namespace) -> int:
    """Make, list or revoke the keys of a city, or print the public key that its evidence is checked with."""
    if given.action == "public":
        is_named = bool(os.environ.get(EVIDENCE_KEY_FILE))
        data = DataFolder(given.data or Path()) if is_named else _folder(given, "keys public")
        public = Deployment(data).signer().public
        print(public.pem.decode(), end="")
        print(f"fingerprint {public.fingerprint}", file=sys.stderr)
        return DONE
    clock, shared = SystemClock(), _shared(given)
    data = DataFolder(given.data or Path()) if shared else _folder(given, "keys")
    kept = open_keys(shared, data.keys, clock=clock)
    if given.action == "list":
        for key in kept.all():
            print("  ".join(each for each in (key.name, key.role.value, key.unit) if each))
        return DONE
    if not given.name:
        raise UsageError(f"keys {given.action}: name whose key")
    trail = AuditTrail(shared or Database.file(data.audit), clock=clock)
    noted = partial(trail.append, actor=getpass.getuser(), role="console", address="console", on=given.name)
    if given.action == "add":
        try:
            token = kept.add(given.name, Role(given.role), unit=given.unit)
        except ValueError as error:
            raise UsageError(f"keys add: {error}") from None
        noted(what="key.made", more={"role": given.role})
        print(token)
        return DONE
    if not kept.revoke(given.name):
        raise UsageError(f"keys revoke: there is no key {given.name!r}")
    noted(what="key.revoked")
    return DONE


def audit(given: argparse.Namespace) -> int:
    """Follow the chain of the audit trail, and say its head, which is worth writing down elsewhere."""
    head, database = _head(given.head), _shared(given)
    if database is None:
        path = _folder(given, "audit verify", make=False).audit
        if not path.is_file():
            raise UsageError(f"audit verify: there is no {path}; name a city's data folder")
        database = Database.file(path)
    checked = AuditTrail(database, clock=SystemClock()).check(head=head)
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


def _shared(given: argparse.Namespace) -> Database | None:
    return Deployment.told(given.data or Path(), database=given.database).open_database(role=given.command)


def _folder(given: argparse.Namespace, what: str, *, make: bool = True) -> DataFolder:
    if given.data is None:
        raise UsageError(f"{what}: name the city's data folder (--data)")
    folder = DataFolder(given.data)
    if make:
        folder.make()
    return folder
