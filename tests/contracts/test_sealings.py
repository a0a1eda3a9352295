"""Every Sealing seals once what a case claims, chains the seals of a case, and gives them back as they were signed."""

from __future__ import annotations

import json
import sqlite3
import threading
from dataclasses import replace
from datetime import timedelta

import pytest

from citybrain.domain.episode import Evidence
from citybrain.errors import Permanent, Transient, Unreadable
from citybrain.evidence.bucket import Address, Bucket
from citybrain.evidence.files import FileEvidence
from citybrain.evidence.objects import FileObjects
from citybrain.evidence.seals import Sealing, Seals
from citybrain.evidence.signer import Signer
from citybrain.evidence.stored_seals import StoredSeals
from tests.object_storage import CREDENTIALS
from tests.services.api_city import START, case, event


@pytest.fixture
def evidence(tmp_path):
    return FileEvidence(tmp_path / "evidence")


@pytest.fixture
def signer(tmp_path):
    return Signer.open(tmp_path / "evidence.key")


@pytest.fixture(params=["sqlite", "files", "s3"])
def opened(request, tmp_path, evidence, signer, monkeypatch):
    """Opens the same seals again and again, as workers do."""
    made: list[Bucket | sqlite3.Connection] = []

    def in_database() -> Sealing:
        connection = sqlite3.connect(tmp_path / "citybrain.db", isolation_level=None)
        made.append(connection)
        return Seals(connection, signer, evidence)

    def in_files() -> Sealing:
        return StoredSeals(FileObjects(tmp_path / "evidence"), signer, evidence)

    def in_storage() -> Sealing:
        address = Address.read(request.getfixturevalue("storage").url.replace("?", f"/{tmp_path.name}?"))
        bucket = Bucket(address)
        made.append(bucket)
        return StoredSeals(bucket, signer, evidence)

    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    yield {"sqlite": in_database, "files": in_files, "s3": in_storage}[request.param]
    for each in made:
        each.close()


@pytest.fixture
def sealing(opened):
    return opened()


def claiming(evidence, *contents: bytes, n: int = 1):
    """An event whose case shows these pictures, which are there."""
    shown = tuple(
        Evidence(evidence.put("gd-0001", at, content), "gd-0001", at, "confirming")
        for at, content in ((START + timedelta(seconds=i), each) for i, each in enumerate(contents))
    )
    return event(replace(case(n), evidence=shown))


def documents(sealing: Sealing, case_id: str) -> list[dict]:
    return [json.loads(each.document) for each in sealing.of(case_id)]


def test_what_a_case_claims_is_sealed_and_each_seal_names_the_one_before_it(sealing, evidence, signer):
    told = claiming(evidence, b"\xff\xd8 one", b"\xff\xd8 two", b"\xff\xd8 three")
    assert all(sealing.seal(told, each) for each in told.case.evidence)
    seals = sealing.of(told.case.id)
    assert [each["ref"] for each in documents(sealing, told.case.id)] == [each.ref for each in told.case.evidence]
    assert [each["n"] for each in documents(sealing, told.case.id)] == [1, 2, 3]
    assert [each["previous"] for each in documents(sealing, told.case.id)] == [None, seals[0].hash, seals[1].hash]
    assert all(signer.public.verifies(each.document, each.signature) for each in seals)


def test_the_same_event_sealed_twice_by_any_worker_has_one_seal(opened, evidence):
    told = claiming(evidence, b"\xff\xd8 one", b"\xff\xd8 two")
    first, second = opened(), opened()
    for sealing in (first, second, first, opened()):
        assert all(sealing.seal(told, each) for each in told.case.evidence)
    assert list(second.of(told.case.id)) == list(first.of(told.case.id)) == list(opened().of(told.case.id))
    assert len(first.of(told.case.id)) == 2


def test_what_another_worker_sealed_comes_before_what_this_one_seals(opened, evidence):
    first, second = opened(), opened()
    told = claiming(evidence, b"\xff\xd8 one", b"\xff\xd8 two", b"\xff\xd8 three")
    one, two, three = told.case.evidence
    assert first.seal(told, one)
    assert second.seal(told, two)
    assert first.seal(told, three)
    assert [each["ref"] for each in documents(opened(), told.case.id)] == [one.ref, two.ref, three.ref]
    assert [each["n"] for each in documents(second, told.case.id)] == [1, 2, 3]


def test_what_is_gone_has_no_seal_and_what_was_altered_is_refused(sealing, evidence, tmp_path):
    told = claiming(evidence, b"\xff\xd8 one", b"\xff\xd8 two")
    gone, altered = told.case.evidence
    (tmp_path / "evidence" / "recent" / gone.ref).unlink()
    (tmp_path / "evidence" / "recent" / altered.ref).write_bytes(b"\xff\xd8 six")
    assert sealing.seal(told, gone) is False
    with pytest.raises(Permanent, match="altered"):
        sealing.seal(told, altered)
    assert list(sealing.of(told.case.id)) == []


def test_cases_have_chains_of_their_own_whatever_their_ids(sealing, evidence):
    told = claiming(evidence, b"\xff\xd8 one")
    for id in ("case-1", "case-11", "../case", "..", "案件/1"):
        named = event(replace(told.case, id=id))
        assert sealing.seal(named, told.case.evidence[0])
    for id in ("case-1", "case-11", "../case", "..", "案件/1"):
        assert [(each["case"], each["n"]) for each in documents(sealing, id)] == [(id, 1)]
    assert list(sealing.of("case-2")) == []


# -- beside the evidence ------------------------------------------------------------------------------------------------


def test_workers_that_seal_a_case_at_once_make_one_chain_of_it(tmp_path, evidence, signer):
    told = claiming(evidence, *(b"\xff\xd8 picture %d" % n for n in range(12)))
    failed: list[Transient] = []

    def work(shift: int) -> None:
        sealing = StoredSeals(FileObjects(tmp_path / "evidence"), signer, evidence)
        pieces = told.case.evidence
        for each in (*pieces[shift:], *pieces[:shift]):
            for _ in range(20):
                try:
                    assert sealing.seal(told, each)
                    break
                except Transient as error:  # others were quicker, several times
                    failed.append(error)

    workers = [threading.Thread(target=work, args=(shift,)) for shift in (0, 3, 6, 9)]
    for each in workers:
        each.start()
    for each in workers:
        each.join()
    seals = StoredSeals(FileObjects(tmp_path / "evidence"), signer, evidence).of(told.case.id)
    found = [json.loads(each.document) for each in seals]
    assert sorted(each["ref"] for each in found) == sorted(each.ref for each in told.case.evidence)
    assert [each["n"] for each in found] == list(range(1, 13))
    assert [each["previous"] for each in found] == [None, *(each.hash for each in seals[:-1])]


def test_what_lies_there_and_is_no_seal_is_not_given_out(tmp_path, evidence, signer):
    objects = FileObjects(tmp_path / "evidence")
    assert objects.put_new("seals/case-1/000001.json", b'{"document": "!"}')
    with pytest.raises(Unreadable, match="expected a seal"):
        StoredSeals(objects, signer, evidence).of("case-1")
