"""A bundle of evidence is checked without us: whatever was altered, taken out or put in is named."""

from __future__ import annotations

import io
import json
import shutil
import socket
import sqlite3
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from citybrain import cli
from citybrain.domain.case import CaseEvent
from citybrain.domain.episode import Evidence, EvidenceKind
from citybrain.errors import Permanent, Unreadable
from citybrain.evidence import checking
from citybrain.evidence.bundle import Contents, Given, Piece, pack
from citybrain.evidence.files import FileEvidence
from citybrain.evidence.seals import Seals, canonical, seals_of
from citybrain.evidence.signer import PublicKey, Signer
from citybrain.wire import write_case_event
from tests.services.api_city import START, case, event, posted

PICTURES = [b"\xff\xd8\xff the street \xff\xd9", b"\xff\xd8\xff the street, later \xff\xd9"]
OPENSSL = ("openssl", "pkeyutl", "-verify", "-pubin", "-inkey", "public-key.pem", "-rawin")
CLIP = b"\0\0\0\x20ftypisom a street for ten seconds"


class Story:
    """A case with two pictures and a clip, claimed by three events as the pipeline would."""

    def __init__(self, folder: Path) -> None:
        self.signer = Signer.open(folder / "evidence.key")
        self.evidence = FileEvidence(folder / "evidence")
        self.connection = sqlite3.connect(folder / "citybrain.db", isolation_level=None)
        self.seals = Seals(self.connection, self.signer, self.evidence)
        shown = []
        for content, kind in [*((each, EvidenceKind.PICTURE) for each in PICTURES), (CLIP, EvidenceKind.CLIP)]:
            ref = self.evidence.put("gd-0001", START, content, kind)
            shown.append(
                Evidence(ref, "gd-0001", START, "first", until_at=START if kind is EvidenceKind.CLIP else None)
            )
        self.shown = tuple(shown)
        filed = case(1, evidence=self.shown[:2])
        sent = posted(filed)
        self.told = [event(filed), event(sent), event(replace(sent, evidence=self.shown, version=3))]
        for each in self.told:
            self.claim(each)

    def claim(self, told: CaseEvent) -> None:
        for each in told.case.evidence:
            self.seals.seal(told, each)

    def contents(self) -> Contents:
        events = [json.loads(write_case_event(each)) for each in self.told]
        pieces = [Piece(each.ref, Given.ORIGINAL, self.evidence.get(each.ref)) for each in self.shown]
        held = seals_of(self.connection, self.told[0].case.id)
        return Contents(events[-1]["data"], events, pieces, held, "li.na", START)


@pytest.fixture
def story(tmp_path):
    made = Story(tmp_path)
    yield made
    made.connection.close()


@pytest.fixture
def bundle(story, tmp_path):
    path = tmp_path / "case.zip"
    path.write_bytes(pack(story.contents(), story.signer))
    return path


@pytest.fixture
def key(story, tmp_path):
    path = tmp_path / "given.pem"
    path.write_bytes(story.signer.public.pem)
    return path


def files(bundle: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(bundle) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def write(path: Path, contents: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as opened:
        for name, content in contents.items():
            opened.writestr(name, content)
    return path


def test_a_bundle_as_it_was_made_is_sound(bundle, key, capsys):
    assert cli.run(["verify-evidence", str(bundle), "--key", str(key)]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert said.out.count("ok       ") == len(files(bundle)) - 2, "all but the manifest and its signature"
    assert "WRONG" not in said.out


def test_it_is_checked_without_any_network(bundle, key, monkeypatch):
    def no(*_, **__):
        raise AssertionError("nothing may be asked of a network")

    for name in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, no)
    assert checking.check(bundle, key=PublicKey.read(key.read_bytes())).faults == []


def test_a_bundle_that_was_unpacked_is_as_good(bundle, key, tmp_path):
    folder = tmp_path / "unpacked"
    with zipfile.ZipFile(bundle) as opened:
        opened.extractall(folder)
    assert cli.run(["verify-evidence", str(folder), "--key", str(key)]) == 0
    (folder / "note.txt").write_text("put in")
    assert checking.check(folder).faults == ["note.txt: is not in the manifest"]


def test_without_a_key_of_ones_own_the_fingerprint_is_to_be_compared(bundle, story, capsys):
    assert cli.run(["verify-evidence", str(bundle)]) == 0
    assert story.signer.public.fingerprint in capsys.readouterr().out


def test_one_byte_altered_anywhere_is_noticed_and_named(bundle, key):
    trusted = PublicKey.read(key.read_bytes())
    for name, content in files(bundle).items():
        for at in {0, len(content) // 2, len(content) - 1}:
            altered = content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
            changed = write(bundle.with_name("altered.zip"), files(bundle) | {name: altered})
            faults = checking.check(changed, key=trusted).faults
            named = "manifest.json" if name == "manifest.sig" else name
            assert any(named in each or named.replace(".sig", ".json") in each for each in faults), (name, at, faults)


def test_a_file_that_was_taken_out_is_noticed_and_named(bundle):
    for name in files(bundle):
        rest = {other: content for other, content in files(bundle).items() if other != name}
        faults = checking.check(write(bundle.with_name("less.zip"), rest)).faults
        assert any(name in each for each in faults), (name, faults)


def test_a_file_that_was_put_in_is_noticed(bundle):
    for name in ("evidence/gd-0001/another.jpg", "seals/004.json", "run-me.exe"):
        faults = checking.check(write(bundle.with_name("more.zip"), files(bundle) | {name: b"x"})).faults
        assert any(name in each for each in faults), (name, faults)


def test_a_bundle_of_another_installation_is_not_of_this_one(story, bundle, tmp_path, capsys):
    other = Signer.passing()
    path = tmp_path / "trusted.pem"
    path.write_bytes(other.public.pem)
    assert cli.run(["verify-evidence", str(bundle), "--key", str(path)]) == 1
    said = capsys.readouterr().err
    assert "another key" in said
    assert other.public.fingerprint in said


def test_who_signs_anew_what_they_altered_is_betrayed_by_the_key(story, key, tmp_path):
    forger = Signer.passing()
    contents = story.contents()
    forged = replace(contents, case={**contents.case, "severity": "low"})
    path = tmp_path / "forged.zip"
    path.write_bytes(pack(forged, forger))
    faults = checking.check(path, key=PublicKey.read(key.read_bytes())).faults
    assert any("another key than the one given" in each for each in faults)
    assert any("manifest.json: altered, or signed with another key" in each for each in faults)


def test_a_picture_exchanged_before_it_was_exported_does_not_fit_its_seal(story, key, tmp_path):
    """The bundle's own signature is right: whoever made it had the key, and not what the case claimed."""
    contents = story.contents()
    first, *rest = contents.pieces
    path = tmp_path / "exchanged.zip"
    path.write_bytes(pack(replace(contents, pieces=[replace(first, content=b"another"), *rest]), story.signer))
    assert checking.check(path, key=PublicKey.read(key.read_bytes())).faults == [
        f"evidence/{first.ref}: is not what was sealed"
    ]


@pytest.mark.parametrize("taken_out", [0, 1])
def test_a_seal_that_was_taken_out_of_the_store_breaks_the_chain(story, key, tmp_path, taken_out):
    contents = story.contents()
    held = [each for n, each in enumerate(contents.seals) if n != taken_out]
    path = tmp_path / "broken.zip"
    path.write_bytes(pack(replace(contents, seals=held), story.signer))
    faults = checking.check(path, key=PublicKey.read(key.read_bytes())).faults
    assert any("a seal was taken out" in each for each in faults)


def test_an_event_that_was_left_out_is_noticed(story, key, tmp_path):
    contents = story.contents()
    path = tmp_path / "short.zip"
    path.write_bytes(pack(replace(contents, events=[contents.events[0], contents.events[2]]), story.signer))
    assert any("events are missing" in each for each in checking.check(path).faults)


def test_a_masked_copy_says_so_and_names_the_hash_of_its_original(story, tmp_path):
    contents = story.contents()
    masked = [replace(each, given=Given.MASKED, content=b"masked") for each in contents.pieces]
    path = tmp_path / "masked.zip"
    path.write_bytes(pack(replace(contents, pieces=masked), story.signer))
    found = checking.check(path)
    assert found.faults == []
    sealed = json.loads(contents.seals[0].document)["sha256"]
    assert any("is a masked copy" in each and sealed in each for each in found.notices)


def test_what_is_gone_or_was_never_sealed_is_told(story, tmp_path):
    contents = story.contents()
    pieces = [Piece(contents.pieces[0].ref, Given.GONE, None), *contents.pieces[1:]]
    path = tmp_path / "gone.zip"
    path.write_bytes(pack(replace(contents, pieces=pieces, seals=contents.seals[:1]), story.signer))
    found = checking.check(path)
    assert found.faults == []
    assert any("no longer kept" in each for each in found.notices)
    assert any("was not sealed" in each for each in found.notices)


@pytest.mark.parametrize("content", [b"", b"no ZIP at all", b"PK\x03\x04 nearly"], ids=["empty", "text", "torn"])
def test_what_is_no_bundle_is_wrong_and_what_is_not_there_is_wrong_usage(tmp_path, content, capsys):
    path = tmp_path / "x.zip"
    path.write_bytes(content)
    assert cli.run(["verify-evidence", str(path)]) == 1
    assert cli.run(["verify-evidence", str(tmp_path / "nothing.zip")]) == 2
    assert cli.run(["verify-evidence", str(path), "--key", str(path)]) == 2


def test_a_bundle_cut_off_anywhere_is_damaged(bundle):
    whole = bundle.read_bytes()
    for length in range(0, len(whole), len(whole) // 25):
        cut = bundle.with_name("cut.zip")
        cut.write_bytes(whole[:length])
        assert checking.check(cut).faults, length


def test_a_file_that_stands_in_the_bundle_twice_is_noticed(bundle):
    with zipfile.ZipFile(bundle, "a") as opened, pytest.warns(UserWarning, match="Duplicate"):
        opened.writestr("case.json", b"{}")
    assert "case.json: is in the bundle twice" in checking.check(bundle).faults


def test_a_manifest_that_says_anything_at_all_ends_nothing(bundle):
    for manifest in (b"[]", b"{}", b"null", b'{"case":1,"files":3,"evidence":[1,{"ref":[]}]}', b"\xff"):
        assert checking.check(write(bundle.with_name("odd.zip"), files(bundle) | {"manifest.json": manifest})).faults


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl command")
def test_the_signatures_can_be_checked_with_openssl_alone(bundle, tmp_path):
    with zipfile.ZipFile(bundle) as opened:
        opened.extractall(tmp_path / "unpacked")
    for name in ("manifest", "seals/001"):
        subprocess.run(
            [*OPENSSL, "-in", f"{name}.json", "-sigfile", f"{name}.sig"],
            cwd=tmp_path / "unpacked",
            check=True,
        )


def test_the_readme_tells_both_languages_how_to_check(bundle, story):
    readme = files(bundle)["README.txt"].decode()
    for word in ("验证", "To check it", "verify-evidence", "openssl", story.signer.public.fingerprint):
        assert word in readme


# -- seals ----------------------------------------------------------------------------------------------------------------


def test_what_is_claimed_again_is_sealed_once_and_in_order(story):
    for each in story.told:
        story.claim(each)
    held = [json.loads(each.document) for each in seals_of(story.connection, story.told[0].case.id)]
    assert [each["n"] for each in held] == [1, 2, 3]
    assert [each["ref"] for each in held] == [each.ref for each in story.shown]
    assert [each["event"][-3:] for each in held] == ["-v1", "-v1", "-v3"]
    assert {each["config"] for each in held} == {story.told[0].case.config}


def test_what_is_no_longer_there_is_not_sealed_and_what_was_altered_is_refused(story, tmp_path):
    gone = replace(story.shown[0], ref="gd-0001/20261121/080000.000Z-0123456789abcdef.jpg")
    assert not story.seals.seal(event(case(2)), gone)
    (tmp_path / "evidence" / "recent" / story.shown[0].ref).write_bytes(b"altered")
    with pytest.raises(Unreadable, match="altered"):
        story.seals.seal(event(case(2)), story.shown[0])
    assert seals_of(story.connection, case(2).id) == []


def test_json_that_is_signed_is_written_in_one_way_only():
    assert canonical({"b": "路", "a": 1}) == b'{"a":1,"b":"\\u8def"}'


# -- the key --------------------------------------------------------------------------------------------------------------


def test_the_key_is_made_once_and_is_its_owners_alone(tmp_path):
    first, second = Signer.open(tmp_path / "evidence.key"), Signer.open(tmp_path / "evidence.key")
    assert first.public == second.public
    assert (tmp_path / "evidence.key").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "evidence.pub").read_bytes() == first.public.pem
    assert sorted(each.name for each in tmp_path.iterdir()) == ["evidence.key", "evidence.pub"]


def test_a_key_file_that_is_damaged_is_not_replaced(tmp_path):
    path = tmp_path / "evidence.key"
    for content in (b"", b"-----BEGIN PRIVATE KEY-----\nMC4=\n-----END PRIVATE KEY-----\n"):
        path.write_bytes(content)
        with pytest.raises(Permanent, match="restore it from a backup"):
            Signer.open(path)
        assert path.read_bytes() == content


def test_a_public_key_of_another_kind_is_refused():
    with pytest.raises(Unreadable, match="Ed25519"):
        PublicKey.read(b"-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n")


def test_the_bundle_is_the_same_for_the_same_case(story):
    first, second = (pack(story.contents(), story.signer) for _ in range(2))
    assert first == second
    assert zipfile.ZipFile(io.BytesIO(first)).testzip() is None
