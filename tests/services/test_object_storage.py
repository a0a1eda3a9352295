"""Evidence on a real server that speaks S3, which is killed, hangs, and comes back: no look waits, and nothing is lost.

Swift has no lifecycle rules, tags or object lock: what the documents say of those, nothing here shows.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from citybrain.clock import ManualClock, SystemClock
from citybrain.domain.episode import Evidence
from citybrain.errors import EvidenceAway, Transient
from citybrain.evidence.bucket import ANSWER_S, Address, Bucket
from citybrain.evidence.choice import waiting_of
from citybrain.evidence.claims import Claims
from citybrain.evidence.s3 import LATE, S3Evidence
from citybrain.evidence.signer import Signer
from citybrain.evidence.spool import Spool
from citybrain.evidence.stored_seals import StoredSeals
from tests import waiting
from tests.object_storage import BUCKET, CREDENTIALS
from tests.services.api_city import case, event

until = partial(waiting.until, within_s=60)

SOON = timedelta(seconds=60)


@pytest.fixture
def storage(storage):
    """Killed, hung or not: at the end of each test it is there again."""
    yield storage
    with contextlib.suppress(ProcessLookupError, AssertionError):
        storage.thaw()
    storage.kill()
    start(storage)


def start(storage) -> None:
    """And wait for its first answer, which takes longer than others."""
    storage.start()
    with contextlib.closing(storage.client()) as client:
        client.head_bucket(Bucket=BUCKET)


@pytest.fixture
def url(storage, tmp_path, monkeypatch):
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    return storage.url.replace("?", f"/{tmp_path.name}?")


@pytest.fixture
def machine(url, tmp_path):
    """Opens the evidence as a process of that machine does."""
    with contextlib.ExitStack() as opened:

        def open_one(name: str = "worker", **more) -> S3Evidence:
            spool = Spool(tmp_path / name / "spool", **{k: more.pop(k) for k in ("most_bytes",) if k in more})
            made = S3Evidence(Bucket(Address.read(url)), spool, left_behind=timedelta(seconds=0.1), **more)
            opened.callback(made.close)
            return made

        yield open_one


def picture(n: int) -> bytes:
    return b"\xff\xd8 picture %d \xff\xd9" % n


def put(evidence: S3Evidence, *numbers: int, at: datetime | None = None) -> list[str]:
    now = at or SystemClock().now()
    return [evidence.put("gd-0001", now + timedelta(milliseconds=n), picture(n)) for n in numbers]


@pytest.mark.parametrize("goes", ["kill", "freeze"])
def test_while_the_storage_is_away_no_look_waits_and_everything_comes_when_it_is_back(storage, machine, goes, caplog):
    worker, pipeline = machine("worker"), machine("pipeline")
    (before,) = put(worker, 0)
    assert worker.settle(within=SOON)
    getattr(storage, goes)()
    began_s = time.monotonic()
    refs = put(worker, *range(1, 41))
    assert time.monotonic() - began_s < ANSWER_S  # the forty together: none of them waited for an answer
    assert worker.get(refs[0]) == picture(1)  # this machine has it
    with pytest.raises(EvidenceAway):
        pipeline.get(before)
    with pytest.raises(EvidenceAway):
        pipeline.keep(refs[0])
    assert pipeline.away_since() is not None
    assert waiting_of(worker)["waiting"] >= 40
    if goes == "kill":
        storage.start()
    else:
        storage.thaw()
    assert worker.settle(within=SOON)
    until(lambda: pipeline.away_since() is None)
    assert [pipeline.get(ref) for ref in refs] == [picture(n) for n in range(1, 41)]
    assert pipeline.keep(refs[0])
    assert "s3cret" not in caplog.text


def test_what_a_killed_process_left_is_sent_by_the_next(storage, url, tmp_path, machine):
    script = (
        "import sys; from pathlib import Path; from citybrain.clock import SystemClock\n"
        "from citybrain.evidence.choice import open_evidence\n"
        "evidence = open_evidence(sys.argv[1], Path(sys.argv[2]))\n"
        "for n in range(20): print(evidence.put('gd-0001', SystemClock().now(), b'picture %d' % n), flush=True)\n"
        "print('done', flush=True); import time; time.sleep(60)\n"
    )
    storage.kill()
    killed = subprocess.Popen(
        [sys.executable, "-c", script, url, str(tmp_path / "worker" / "evidence")], stdout=subprocess.PIPE, text=True
    )
    assert killed.stdout is not None
    refs = [line.strip() for line in iter(killed.stdout.readline, "done\n")]
    killed.kill()
    killed.wait()
    killed.stdout.close()
    start(storage)
    elsewhere = machine("elsewhere")
    with pytest.raises(EvidenceAway, match="not come yet"):
        elsewhere.get(refs[0])
    assert machine("worker").settle(within=SOON)
    assert [elsewhere.get(ref) for ref in refs] == [b"picture %d" % n for n in range(20)]


def test_what_there_is_no_room_for_is_refused_and_counted_and_what_waits_is_not_lost(storage, machine):
    storage.kill()
    worker = machine("worker", most_bytes=10 * len(picture(10)))
    refs = put(worker, *range(10, 20))
    with pytest.raises(Transient, match="no room for more"):
        put(worker, 20)
    assert waiting_of(worker) == {"waiting": 10, "waiting_bytes": 10 * len(picture(10)), "refused": 1}
    storage.start()
    assert worker.settle(within=SOON)
    elsewhere = machine("elsewhere")
    assert [elsewhere.get(ref) for ref in refs] == [picture(n) for n in range(10, 20)]
    until(lambda: waiting_of(worker)["waiting"] == 0)
    put(worker, 20)


def test_a_case_goes_out_while_the_storage_is_away_and_is_kept_and_sealed_later(storage, machine, tmp_path):
    worker, pipeline = machine("worker"), machine("pipeline")
    storage.kill()
    (ref,) = put(worker, 1)
    told = event(replace(case(1), evidence=(Evidence(ref, "gd-0001", case(1).filed_at, "confirming"),)))
    signer, clock = Signer.passing(), ManualClock(datetime(2026, 11, 22, tzinfo=UTC))

    def claims() -> Claims:
        sealing = StoredSeals(pipeline.bucket, signer, pipeline)
        return Claims(pipeline, sealing, folder=tmp_path / "claims", clock=clock)

    first = claims()
    first.claim(told)
    assert first.owed == 1
    storage.start()
    next_process = claims()  # the first one died
    assert next_process.owed == 1

    def settled() -> bool:
        clock.advance(timedelta(minutes=1))
        return next_process.settle() == 0

    until(settled)
    pipeline.sweep(before=SystemClock().now() + timedelta(days=1))
    assert pipeline.get(ref) == picture(1)
    seals = StoredSeals(pipeline.bucket, signer, pipeline).of(told.case.id)
    assert [signer.public.verifies(each.document, each.signature) for each in seals] == [True]


def test_what_never_comes_is_waited_for_for_hours_and_then_gone(machine):
    now = SystemClock().now()
    lost = "gd-0001/" + f"{now:%Y%m%d/%H%M%S}" + ".000Z-0123456789abcdef.jpg"
    early, late = machine("early"), machine("late", clock=ManualClock(now + LATE))
    with pytest.raises(EvidenceAway):
        early.keep(lost)
    assert late.keep(lost) is False
    with pytest.raises(KeyError):
        late.get(lost)


def test_a_sweep_removes_the_minutes_that_are_over_and_looks_at_no_other(machine):
    worker = machine("worker")
    eight = datetime(2026, 11, 22, 8, 30, tzinfo=UTC)
    for minute in range(-3, 3):
        put(worker, *range(5), at=eight + timedelta(minutes=minute))
    assert worker.settle(within=SOON)
    until(lambda: len(worker.bucket.keys("recent/")) == 6 * 5)  # it lists what it took when it comes to it
    assert worker.bucket.folders("recent/") == [f"2026112208{minute}" for minute in range(27, 33)]
    assert worker.sweep(before=eight + timedelta(milliseconds=2)) == 3 * 5 + 2
    assert worker.bucket.folders("recent/") == ["202611220830", "202611220831", "202611220832"]
    assert len(worker.bucket.keys("recent/202611220830/")) == 3


def test_a_sweep_may_be_left_to_the_storage(machine):
    worker = machine("worker", sweeps=False)
    put(worker, 1)
    assert worker.settle(within=SOON)
    assert worker.sweep(before=SystemClock().now() + timedelta(days=1)) == 0
    assert len(worker.bucket.keys("recent/")) == 1


@pytest.mark.parametrize("wrong", ["bucket", "key"])
def test_a_bucket_that_does_not_let_us_in_is_said_by_its_reason(url, monkeypatch, wrong, caplog, tmp_path):
    if wrong == "key":
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wr0ng")
    address = Address.read(url if wrong == "key" else url.replace("city-evidence", "no-such-bucket"))
    worker = S3Evidence(Bucket(address), Spool(tmp_path / "spool"))
    put(worker, 1)
    until(lambda: {"bucket": "NoSuchBucket", "key": "SignatureDoesNotMatch"}[wrong] in caplog.text)
    assert worker.away_since() is not None
    assert "wr0ng" not in caplog.text
    assert waiting_of(worker)["waiting"] == 1
    worker.close()


def test_processes_of_one_machine_share_its_spool(storage, machine):
    workers = [machine("worker") for _ in range(3)]
    storage.kill()
    refs = [ref for n, worker in enumerate(workers) for ref in put(worker, *range(n * 10, n * 10 + 10))]
    workers[0].close()
    storage.start()
    assert workers[1].settle(within=SOON)
    elsewhere = machine("elsewhere")
    assert len({ref for ref in refs if elsewhere.get(ref)}) == 30
