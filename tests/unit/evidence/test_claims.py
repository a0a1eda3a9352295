"""What a case shows is kept and sealed; what cannot be kept now is owed, and the case waits for nobody."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from citybrain.clock import ManualClock
from citybrain.domain.episode import Evidence
from citybrain.errors import Permanent, Transient
from citybrain.evidence.claims import FIRST_WAIT, LONGEST_WAIT, Claims
from citybrain.evidence.files import FileEvidence
from citybrain.evidence.objects import FileObjects
from citybrain.evidence.signer import Signer
from citybrain.evidence.stored_seals import StoredSeals
from tests.services.api_city import START, case, event


class Unreliable(FileEvidence):
    """Files that are out of reach now and then, each or all."""

    def __init__(self, folder) -> None:
        super().__init__(folder)
        self.away = False
        self.late: set[str] = set()
        self.asked = 0

    def keep(self, ref: str) -> bool:
        self.asked += 1
        if self.away or ref in self.late:
            raise Transient("does not answer")
        return super().keep(ref)


@pytest.fixture
def evidence(tmp_path):
    return Unreliable(tmp_path / "evidence")


@pytest.fixture
def clock():
    return ManualClock(START)


@pytest.fixture
def seals(tmp_path, evidence):
    return StoredSeals(FileObjects(tmp_path / "evidence"), Signer.passing(), evidence)


@pytest.fixture
def opened(tmp_path, evidence, seals, clock):
    """Opens the claims of one process, and of the next."""
    return lambda: Claims(evidence, seals, folder=tmp_path / "claims", clock=clock)


def picture(evidence, n: int, at: datetime = START) -> Evidence:
    return Evidence(evidence.put("gd-0001", at, b"\xff\xd8 picture %d" % n), "gd-0001", at, "confirming")


def claiming(*shown: Evidence, n: int = 1):
    return event(replace(case(n), evidence=shown))


def test_what_is_there_is_kept_and_sealed_at_once(opened, evidence, seals):
    told = claiming(picture(evidence, 1), picture(evidence, 2))
    claims = opened()
    claims.claim(told)
    assert claims.owed == 0
    evidence.sweep(before=START + timedelta(days=1))
    assert [evidence.get(each.ref) for each in told.case.evidence] == [b"\xff\xd8 picture 1", b"\xff\xd8 picture 2"]
    assert len(seals.of(told.case.id)) == 2


def test_what_cannot_be_kept_now_is_kept_when_it_can(opened, evidence, seals, clock):
    told, claims = claiming(picture(evidence, 1)), opened()
    evidence.away = True
    claims.claim(told)
    assert claims.owed == 1
    clock.advance(FIRST_WAIT)
    assert claims.settle() == 1
    evidence.away = False
    clock.advance(LONGEST_WAIT)
    assert claims.settle() == 0
    assert len(seals.of(told.case.id)) == 1


def test_one_picture_that_is_late_holds_up_no_other(opened, evidence, seals, clock):
    early, late = picture(evidence, 1), picture(evidence, 2)
    evidence.late.add(late.ref)
    claims = opened()
    claims.claim(claiming(late, early))
    assert [each.document.count(early.ref.encode()) for each in seals.of(case().id)] == [1]
    evidence.late.clear()
    clock.advance(FIRST_WAIT)
    assert claims.settle() == 0
    assert len(seals.of(case().id)) == 2


def test_what_is_owed_outlives_the_process(opened, evidence, seals):
    evidence.away = True
    told = claiming(picture(evidence, 1))
    opened().claim(told)
    evidence.away = False
    claims = opened()
    assert claims.owed == 1
    assert claims.settle() == 0
    assert len(seals.of(told.case.id)) == 1
    assert opened().owed == 0


def test_what_is_owed_is_asked_for_less_and_less_often(opened, evidence, clock):
    evidence.away = True
    claims = opened()
    claims.claim(claiming(picture(evidence, 1)))
    for _ in range(3600):
        clock.advance(timedelta(seconds=1))
        claims.settle()
    assert 3600 / LONGEST_WAIT.total_seconds() <= evidence.asked <= 80
    assert claims.owed == 1


def test_an_event_claimed_again_while_it_is_owed_is_owed_once(opened, evidence, tmp_path):
    evidence.away = True
    told, claims = claiming(picture(evidence, 1)), opened()
    for _ in range(3):
        claims.claim(told)
    assert claims.owed == 1
    assert len(list((tmp_path / "claims").iterdir())) == 1


def test_what_is_gone_for_good_is_owed_by_nobody(opened, evidence, caplog):
    shown = picture(evidence, 1)
    evidence.sweep(before=START + timedelta(days=1))
    claims = opened()
    claims.claim(claiming(shown))
    assert claims.owed == 0
    assert "no longer there" in caplog.text


def test_a_seal_that_is_refused_holds_up_no_case(evidence, caplog):
    class Refusing:
        def seal(self, event, evidence):
            raise Permanent("it was altered")

        def of(self, case):
            return []

    claims = Claims(evidence, Refusing())
    claims.claim(claiming(picture(evidence, 1)))
    assert claims.owed == 0
    assert "it was altered" in caplog.text


def test_a_note_that_cannot_be_read_is_let_go(opened, tmp_path, caplog):
    (tmp_path / "claims").mkdir()
    (tmp_path / "claims" / "torn.json").write_bytes(b'{"specversion"')
    assert opened().owed == 0
    assert "cannot be read" in caplog.text
    assert opened().owed == 0


def test_each_owed_claim_is_made_in_a_transaction_of_its_own(opened, evidence, clock):
    evidence.away = True
    claims = opened()
    for n in (1, 2):
        claims.claim(claiming(picture(evidence, n), n=n))
    evidence.away = False
    began: list[str] = []

    class Transaction:
        def __enter__(self):
            began.append("begin")

        def __exit__(self, *_):
            began.append("commit")

    clock.advance(FIRST_WAIT)
    assert claims.settle(Transaction) == 0
    assert began == ["begin", "commit"] * 2
