"""Whether a bundle of evidence is what was signed: every file, every seal, and how they hang together; without any network."""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from citybrain.errors import Unreadable
from citybrain.evidence import bundle
from citybrain.evidence.bundle import Given
from citybrain.evidence.signer import PublicKey

_MOST_FILES = 2000
_MOST_BYTES = 1 << 30


@dataclass(slots=True)
class Findings:
    """What checking found: files that are as they were signed, everything that is wrong, and what should be known."""

    case: str = ""
    made: str = ""
    fingerprint: str = ""
    sound: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)


def check(path: Path, *, key: PublicKey | None = None) -> Findings:
    """Check a bundle, packed or unpacked into a folder. `key` is the one that it must be signed with.

    Raises Unreadable when there is no such file.
    """
    findings = Findings()
    files = _files(path, findings)
    manifest = _manifest(files, key, findings)
    if manifest is None:
        return findings
    _check_files(files, manifest, findings)
    signed_by = _key_of(files, key, Findings())
    if signed_by is not None:
        seals = _check_seals(files, manifest, signed_by, findings)
        _check_evidence(files, manifest, seals, findings)
    _check_timeline(files, manifest, findings)
    return findings


def _files(path: Path, findings: Findings) -> dict[str, bytes]:
    if path.is_dir():
        return dict(_unpacked(path, findings))
    if not path.is_file():
        raise Unreadable(f"{path}: there is no such file")
    try:
        with zipfile.ZipFile(path) as opened:
            return dict(_packed(opened, findings))
    except (zipfile.BadZipFile, OSError, NotImplementedError) as error:
        findings.faults.append(f"{path.name}: is damaged, or no bundle ({error})")
        return {}


def _packed(opened: zipfile.ZipFile, findings: Findings) -> Iterator[tuple[str, bytes]]:
    entries, seen = [each for each in opened.infolist() if not each.is_dir()], set[str]()
    if len(entries) > _MOST_FILES or sum(each.file_size for each in entries) > _MOST_BYTES:
        findings.faults.append(f"the bundle is larger than any of ours: {len(entries)} files")
        return
    for entry in entries:
        if entry.filename in seen:
            findings.faults.append(f"{entry.filename}: is in the bundle twice")
            continue
        seen.add(entry.filename)
        try:
            with opened.open(entry) as file:
                yield entry.filename, file.read(entry.file_size + 1)
        except (zipfile.BadZipFile, zlib.error, RuntimeError, EOFError, NotImplementedError) as error:
            findings.faults.append(f"{entry.filename}: altered or damaged ({error})")


def _unpacked(folder: Path, findings: Findings) -> Iterator[tuple[str, bytes]]:
    paths = sorted(each for each in folder.rglob("*") if not each.is_dir())
    if len(paths) > _MOST_FILES or sum(each.lstat().st_size for each in paths) > _MOST_BYTES:
        findings.faults.append(f"the bundle is larger than any of ours: {len(paths)} files")
        return
    for each in paths:
        name = each.relative_to(folder).as_posix()
        if each.is_symlink() or not each.is_file():
            findings.faults.append(f"{name}: is no plain file")
        else:
            yield name, each.read_bytes()


def _key_of(files: Mapping[str, bytes], key: PublicKey | None, findings: Findings) -> PublicKey | None:
    """The key that signatures must be of: the one that was given, else the bundle's own."""
    held: PublicKey | None = None
    try:
        held = PublicKey.read(files[bundle.KEY])
    except KeyError:
        findings.faults.append(f"{bundle.KEY}: missing")
    except Unreadable as error:
        findings.faults.append(f"{bundle.KEY}: {error}")
    if key is not None and held is not None and held != key:
        findings.faults.append(
            f"{bundle.KEY}: another key than the one given: expected {key.fingerprint}, got {held.fingerprint}"
        )
    if key is None and held is not None:
        findings.notices.append(
            "checked with the key in the bundle; compare its fingerprint, or name the key that you trust with --key: "
            + held.fingerprint
        )
    return key or held


def _manifest(files: Mapping[str, bytes], key: PublicKey | None, findings: Findings) -> Mapping[str, Any] | None:
    signed_by = _key_of(files, key, findings)
    for name in (bundle.MANIFEST, bundle.SIGNATURE):
        if name not in files:
            findings.faults.append(f"{name}: missing")
    if signed_by is None or bundle.MANIFEST not in files or bundle.SIGNATURE not in files:
        return None
    findings.fingerprint = signed_by.fingerprint
    if not signed_by.verifies(files[bundle.MANIFEST], files[bundle.SIGNATURE]):
        findings.faults.append(f"{bundle.MANIFEST}: altered, or signed with another key than {signed_by.fingerprint}")
    manifest = _object(files[bundle.MANIFEST])
    if manifest is None or not {"case", "files", "evidence"} <= manifest.keys():
        findings.faults.append(f"{bundle.MANIFEST}: is no manifest")
        return None
    findings.case = str(manifest.get("case", ""))
    findings.made = f"{manifest.get('made_at', '')} by {manifest.get('made_by', '')}, {manifest.get('software', '')}"
    return manifest


def _check_files(files: Mapping[str, bytes], manifest: Mapping[str, Any], findings: Findings) -> None:
    listed: set[str] = {bundle.MANIFEST, bundle.SIGNATURE}
    for each in _objects(manifest["files"]):
        path, expected = str(each.get("path")), str(each.get("sha256"))
        listed.add(path)
        if path not in files:
            if not any(fault.startswith(f"{path}: ") for fault in findings.faults):
                findings.faults.append(f"{path}: missing")
            continue
        found = hashlib.sha256(files[path]).hexdigest()
        if found == expected:
            findings.sound.append(path)
        else:
            findings.faults.append(f"{path}: altered: expected SHA-256 {expected[:16]}…, got {found[:16]}…")
    findings.faults += [f"{path}: is not in the manifest" for path in sorted(files.keys() - listed)]


def _check_seals(
    files: Mapping[str, bytes], manifest: Mapping[str, Any], key: PublicKey, findings: Findings
) -> dict[str, Mapping[str, Any]]:
    """The seals by reference, of those that are sound."""
    sealed: dict[str, Mapping[str, Any]] = {}
    before: str | None = None
    names = [each for each in files if each.startswith(bundle.SEALS) and each.endswith(".json")]
    names.sort(key=lambda each: (len(each), each))
    if len(names) != manifest.get("seals"):
        findings.faults.append(f"{bundle.SEALS}: expected {manifest.get('seals')} seals, got {len(names)}")
    for n, name in enumerate(names, start=1):
        document, signature = files[name], files.get(name.removesuffix(".json") + ".sig", b"")
        seal = _object(document)
        if not key.verifies(document, signature):
            findings.faults.append(f"{name}: altered, or signed with another key")
        elif seal is None or seal.get("case") != manifest["case"]:
            findings.faults.append(f"{name}: is no seal of this case")
        elif seal.get("n") != n or seal.get("previous") != before:
            findings.faults.append(f"{name}: does not follow the one before it: a seal was taken out or put in")
        else:
            sealed[str(seal.get("ref"))] = seal
        before = hashlib.sha256(document).hexdigest()
    return sealed


def _check_evidence(
    files: Mapping[str, bytes],
    manifest: Mapping[str, Any],
    seals: Mapping[str, Mapping[str, Any]],
    findings: Findings,
) -> None:
    named = set()
    for each in _objects(manifest["evidence"]):
        ref, given = str(each.get("ref")), str(each.get("given"))
        path = bundle.EVIDENCE + ref
        named.add(path)
        content, seal = files.get(path), seals.get(ref)
        if seal is None:
            findings.notices.append(f"{path}: was not sealed when the case claimed it")
        if given == Given.GONE:
            findings.notices.append(f"{path}: was no longer kept, or altered, when the bundle was made")
        elif given == Given.WITHHELD:
            findings.notices.append(f"{path}: cannot be masked and was left out")
        elif given == Given.MASKED:
            held = f"; its original has SHA-256 {seal['sha256']}" if seal else ""
            findings.notices.append(f"{path}: is a masked copy{held}")
        elif content is not None and seal is not None and hashlib.sha256(content).hexdigest() != seal.get("sha256"):
            findings.faults.append(f"{path}: is not what was sealed")
    inside = {each for each in files if each.startswith(bundle.EVIDENCE)}
    findings.faults += [f"{each}: is no evidence of this case" for each in sorted(inside - named)]


def _check_timeline(files: Mapping[str, bytes], manifest: Mapping[str, Any], findings: Findings) -> None:
    try:
        events = json.loads(files.get(bundle.TIMELINE, b"[]"))
        case = json.loads(files.get(bundle.CASE, b"{}"))
        versions = [each["data"]["version"] for each in events]
        last = events[-1]["data"] if events else {}
    except (ValueError, TypeError, KeyError, AttributeError):
        findings.faults.append(f"{bundle.TIMELINE}: is no timeline")
        return
    if not isinstance(case, dict) or case.get("id") != manifest["case"]:
        findings.faults.append(f"{bundle.CASE}: is another case than {manifest['case']}")
        return
    if versions != list(range(1, len(versions) + 1)):
        findings.faults.append(f"{bundle.TIMELINE}: events are missing: it holds {versions}")
    if last != {name: case[name] for name in last if name in case}:
        findings.faults.append(f"{bundle.CASE}: is not the case after its last event")
    lacking = {str(each.get("ref")) for each in _objects(case.get("evidence"))} - {
        str(each.get("ref")) for each in _objects(manifest["evidence"])
    }
    findings.faults += [
        f"{bundle.EVIDENCE}{ref}: the case names it, and the manifest does not" for ref in sorted(lacking)
    ]


def _objects(value: object) -> list[Mapping[str, Any]]:
    """Those of a list's entries that are objects: in what is not signed anything may stand."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _object(raw: bytes) -> Mapping[str, Any] | None:
    try:
        found = json.loads(raw)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
