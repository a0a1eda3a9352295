"""What waits for the storage lies on this machine's disk: whole, bounded, and shared by its processes."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

import pytest

from citybrain.clock import ManualClock, SystemClock
from citybrain.domain.episode import EvidenceKind
from citybrain.errors import Permanent, Transient
from citybrain.evidence.reference import reference
from citybrain.evidence.spool import Spool

EIGHT = datetime(2026, 11, 21, 8, tzinfo=UTC)


def ref(n: int) -> str:
    return reference("gd-0001", EIGHT + timedelta(seconds=n), b"%d" % n, EvidenceKind.PICTURE)


@pytest.fixture
def spool(tmp_path):
    return Spool(tmp_path / "spool")


def test_what_was_added_is_there_for_every_process_until_it_is_removed(spool, tmp_path):
    spool.add(ref(1), b"1")
    other = Spool(tmp_path / "spool")
    assert (other.get(ref(1)), other.refs()) == (b"1", [ref(1)])
    other.remove(ref(1))
    other.remove(ref(1))
    assert (spool.get(ref(1)), spool.refs()) == (None, [])


def test_the_oldest_comes_first_and_what_is_young_may_be_left_to_its_owner(spool, tmp_path):
    now = SystemClock().now().timestamp()
    for n, age_s in ((1, 0), (2, 300), (3, 60)):
        spool.add(ref(n), b"%d" % n)
        os.utime(tmp_path / "spool" / ref(n).replace("/", "~"), (now - age_s, now - age_s))
    assert spool.refs() == [ref(2), ref(3), ref(1)]
    assert spool.refs(for_s=30) == [ref(2), ref(3)]


def test_beyond_its_bound_it_takes_nothing_and_counts_that(tmp_path):
    clock = ManualClock(EIGHT)
    spool = Spool(tmp_path / "spool", most_bytes=10, clock=clock)
    spool.add(ref(1), b"1" * 6)
    with pytest.raises(Transient, match="no room"):
        spool.add(ref(2), b"2" * 6)
    spool.add(ref(3), b"3" * 4)
    assert (spool.waiting().count, spool.waiting().bytes, spool.waiting().refused) == (2, 10, 1)
    spool.remove(ref(1))
    clock.advance(timedelta(seconds=3))
    spool.add(ref(2), b"2" * 6)
    assert Spool(tmp_path / "spool").waiting().refused == 1


def test_what_waits_already_needs_no_room(tmp_path):
    spool = Spool(tmp_path / "spool", most_bytes=10)
    spool.add(ref(1), b"1" * 10)
    spool.add(ref(1), b"1" * 10)
    assert spool.waiting().refused == 0


def test_what_a_crash_left_half_written_is_cleared_away(spool, tmp_path):
    torn = tmp_path / "spool" / "arriving" / "torn"
    torn.write_bytes(b"half")
    long_ago = SystemClock().now().timestamp() - 3600
    os.utime(torn, (long_ago, long_ago))
    assert spool.refs() == []
    spool.waiting()
    assert not torn.exists()


def test_one_process_at_a_time_sends_what_others_left(spool, tmp_path):
    with spool.turn() as ours, Spool(tmp_path / "spool").turn() as theirs:
        assert (ours, theirs) == (True, False)
    with Spool(tmp_path / "spool").turn() as theirs:
        assert theirs


@pytest.mark.parametrize("text", ["", "../evidence.key", "gd-0001~20261121", "/etc/passwd"])
def test_only_references_have_a_place(spool, text):
    with pytest.raises(ValueError, match="expected a reference"):
        spool.get(text)


def test_a_folder_that_cannot_be_made_is_said_at_once(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Permanent, match="cannot be written"):
        Spool(tmp_path / "file" / "spool")
