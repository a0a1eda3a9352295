"""The pipeline seals what a case claims, in the commit that tells of it; and the commands that people check it with."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from citybrain import cli
from citybrain.bus.local import LocalBus
from citybrain.clock import SystemClock
from citybrain.evidence.files import FileEvidence
from citybrain.evidence.seals import seals_of
from citybrain.evidence.signer import Signer
from citybrain.wire import CASE_EVENTS, DETECTIONS, read_case_event, write_detections
from pipeline.flow import Pipeline
from pipeline.runners.embedded import Embedded
from tests.services.test_embedded import DAY, TOWN

LOOKS = [look for look in DAY if look.camera == "gd-1"][:60]


@pytest.fixture
def sealing(tmp_path):
    """An embedded pipeline over a folder, and its looks on the bus, each with a picture of its own."""
    evidence, bus = FileEvidence(tmp_path / "evidence"), LocalBus(tmp_path / "citybrain.db")
    for n, look in enumerate(LOOKS):
        ref = evidence.put(look.camera, look.captured_at, b"\xff\xd8\xff look %d" % n) if look.detections else None
        bus.publish(DETECTIONS, look.camera, write_detections(replace(look, evidence=ref)))
    made = Embedded(
        tmp_path / "citybrain.db",
        Pipeline(TOWN),
        clock=SystemClock(),
        notifiers={},
        evidence=evidence,
        signer=Signer.open(tmp_path / "evidence.key"),
    )
    yield made, bus
    made.close()
    bus.close()


def claimed(bus: LocalBus) -> dict[str, list[str]]:
    """What each case came to claim, in order."""
    found: dict[str, list[str]] = {}
    for message in bus.read([CASE_EVENTS], after=0):
        case = read_case_event(message.value).case
        held = found.setdefault(case.id, [])
        held += [each.ref for each in case.evidence if each.ref not in held]
    return found


def test_every_picture_that_a_case_claims_is_sealed_and_kept(sealing, tmp_path):
    embedded, bus = sealing
    while embedded.catch_up():
        pass
    cases = claimed(bus)
    assert cases
    public = Signer.open(tmp_path / "evidence.key").public
    for case, refs in cases.items():
        seals = seals_of(embedded._connection, case)
        assert [json.loads(each.document)["ref"] for each in seals] == refs
        assert all(public.verifies(each.document, each.signature) for each in seals)
        assert all((tmp_path / "evidence" / "kept" / ref).is_file() for ref in refs)


def test_what_was_not_committed_is_sealed_once_when_it_is(sealing, monkeypatch):
    embedded, bus = sealing

    def fail(_):
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(embedded, "_store", fail)
    with pytest.raises(RuntimeError):
        embedded.catch_up()
    assert claimed(bus) == {}
    assert embedded._connection.execute("SELECT count(*) FROM seals").fetchone() == (0,)
    monkeypatch.undo()
    while embedded.catch_up():
        pass
    sealed = embedded._connection.execute("SELECT count(*) FROM seals").fetchone()[0]
    assert sealed == sum(len(refs) for refs in claimed(bus).values())


def test_a_picture_that_is_gone_costs_its_seal_and_not_the_case(sealing, tmp_path):
    embedded, bus = sealing
    for path in (tmp_path / "evidence" / "recent").rglob("*.jpg"):
        path.unlink()
    while embedded.catch_up():
        pass
    assert claimed(bus)
    assert embedded._connection.execute("SELECT count(*) FROM seals").fetchone() == (0,)


# -- the commands ---------------------------------------------------------------------------------------------------------


def test_keys_made_and_revoked_on_the_console_are_in_the_trail_without_themselves(tmp_path, capsys):
    data = str(tmp_path)
    assert cli.run(["keys", "add", "li.na", "--role", "operator", "--data", data]) == 0
    token = capsys.readouterr().out.strip()
    assert cli.run(["keys", "revoke", "li.na", "--data", data]) == 0
    assert cli.run(["keys", "revoke", "li.na", "--data", data]) == 2
    assert cli.run(["audit", "verify", "--data", data]) == 0
    assert capsys.readouterr().out.startswith("2 entries, none altered or missing; head 2:")
    assert token.encode() not in (tmp_path / "audit.db").read_bytes()


def test_the_head_that_was_printed_is_what_is_checked_later(tmp_path, capsys):
    data = str(tmp_path)
    cli.run(["keys", "add", "li.na", "--data", data])
    capsys.readouterr()
    cli.run(["audit", "verify", "--data", data])
    head = capsys.readouterr().out.strip().rpartition(" ")[2]
    cli.run(["keys", "add", "wang", "--data", data])
    assert cli.run(["audit", "verify", "--data", data, "--head", head]) == 0
    for path in tmp_path.glob("audit.db*"):
        path.unlink()
    cli.run(["keys", "add", "zhang", "--data", data])
    assert cli.run(["audit", "verify", "--data", data, "--head", head]) == 1
    assert "written anew" in capsys.readouterr().err
    assert cli.run(["audit", "verify", "--data", data, "--head", "nonsense"]) == 2
    assert cli.run(["audit", "verify", "--data", str(tmp_path / "nowhere")]) == 2


def test_the_public_key_is_printed_and_the_private_one_never(tmp_path, capsys):
    assert cli.run(["keys", "public", "--data", str(tmp_path)]) == 0
    said = capsys.readouterr()
    assert said.out.encode() == (tmp_path / "evidence.pub").read_bytes()
    assert "PRIVATE" not in said.out + said.err
    assert said.err.startswith("fingerprint ")


def test_the_public_key_of_a_file_that_is_named_is_printed_without_a_data_folder(tmp_path, capsys, monkeypatch):
    shared = tmp_path / "shared.key"
    public = Signer.open(shared).public
    monkeypatch.setenv("CITYBRAIN_EVIDENCE_KEY_FILE", str(shared))
    assert cli.run(["keys", "public"]) == 0
    assert capsys.readouterr().out.encode() == public.pem
