"""What the network process decides: who is given to a worker, what a lost frame leaves, when blind is said."""

from __future__ import annotations

from datetime import timedelta
from itertools import chain

import pytest

from citybrain.domain.detection import Finding, Looked, Usable
from citybrain.errors import Unreadable
from ingest.worker_port import LENGTH, Began, Report, read_answer, read_reports, write_reports
from ingest.workers import WorkerPool
from tests.unit.ingest.watched_street import AT, Street


@pytest.fixture
def street():
    street = Street("a", "b", "c")
    yield street
    street.close()


def test_a_batch_holds_different_cameras_and_counts_each_look(street):
    for name in ("a", "a", "b"):
        street.arrives(name)
    frames = street.network.take(0, 4)
    assert [(each.camera, each.seq) for each in frames] == [("a", 1), ("b", 1)]
    assert street.network.take(0, 4) == []


def test_a_frame_lost_with_a_worker_leaves_a_gap(street):
    street.arrives("a")
    street.network.lost(street.network.take(0, 4), guilty=False)
    street.after(1)
    street.arrives("a")
    (frame,) = street.network.take(0, 4)
    assert frame.seq == 2
    assert (street.state("a").lost_looks, street.state("a").strikes) == (1, 0)


def test_however_long_no_worker_comes_one_frame_waits_for_each_camera(street):
    for _ in range(500):
        for name in ("a", "b"):
            street.arrives(name)
        street.after(0.5)
    sampler = street.network._samplers[0]
    assert sum(map(len, sampler._classes.values())) + len(sampler._attended) == 2
    assert [each.captured_at - AT for each in street.takes()] == [timedelta(seconds=249.5)] * 2
    assert street.takes() == []
    assert street.each("a").mailbox.overtaken == 499


def test_a_suspected_camera_is_looked_at_alone(street):
    street.arrives("b")
    street.network.lost(street.network.take(0, 4), guilty=True)
    street.after(2)
    for name in ("a", "b", "c"):
        street.arrives(name)
    batches = [[each.camera for each in street.network.take(0, 4)] for _ in range(3)]
    assert ["b"] in batches
    assert sorted(chain.from_iterable(batches)) == ["a", "b", "c"]


def test_three_crashes_and_the_camera_rests_for_a_minute(street):
    for _ in range(3):
        street.after(2)
        street.arrives("a")
        street.network.lost(street.network.take(0, 4), guilty=True)
    street.after(2)
    street.arrives("a")
    assert street.network.take(0, 4) == []
    assert street.state("a").reason == "decoder crash"
    street.after(60)
    street.arrives("a")
    assert [each.camera for each in street.network.take(0, 4)] == ["a"]


def test_a_camera_that_cannot_be_seen_is_said_to_be_blind_every_five_seconds(street):
    told = []
    street.state("a").failed("silent", AT)
    for _ in range(21):
        blind, _ = street.network.telling.tick()
        told += [each for each in blind if each.camera == "a"]
        street.after(1)
    assert [each.captured_at - AT for each in told] == [timedelta(seconds=s) for s in (5, 10, 15, 20)]
    assert [each.seq for each in told] == [1, 2, 3, 4]
    assert {(each.usable, each.looked) for each in told} == {(Usable.LOST, Looked.NOT)}


def test_a_camera_that_is_seen_is_not_said_to_be_blind(street):
    for _ in range(20):
        for name in ("a", "b", "c"):
            street.arrives(name)
        street.looked(street.network.take(0, 4))
        assert street.network.telling.tick()[0] == []
        street.after(1)


def test_a_live_camera_whose_looks_stop_becomes_stale_and_then_blind(street):
    street.arrives("a")
    street.looked(street.network.take(0, 4))
    street.after(9)
    assert [each.camera for each in street.network.telling.tick()[0]] == ["b", "c"]
    street.after(2)
    assert "a" in [each.camera for each in street.network.telling.tick()[0]]
    assert (street.state("a").state, street.state("a").reason) == ("stale", "silent")


def test_a_state_is_told_when_it_changes_and_else_every_five_seconds(street):
    told = []
    for _ in range(11):
        told.append([key for key, _ in street.network.telling.tick()[1] if key == "camera/a"])
        street.after(0.4)
    assert [len(each) for each in told] == [1] + [0] * 10
    street.state("a").failed("silent", AT)
    assert "camera/a" in [key for key, _ in street.network.telling.tick()[1]]


def test_pictures_that_nobody_can_decode_for_a_while_are_hopeless(street):
    each = street.each("a")
    for _ in range(20):
        street.arrives("a")
        street.looked(street.network.take(0, 4), error="expected a h264 picture, got none out of 1 packets")
        street.after(1)
    assert each.hopeless(street.clock.monotonic())
    assert street.state("a").unreadable >= 3
    street.arrives("a")
    street.looked(street.network.take(0, 4))
    assert not each.hopeless(street.clock.monotonic())


def test_cameras_are_dealt_out_to_the_workers_and_stay_there():
    street = Street("a", "b", "c", "d", workers=2)
    stand_ready(street, 0, 1)
    for _ in range(3):
        for name in "abcd":
            street.arrives(name)
        assert [each.camera for each in street.network.take(0, 4)] == ["a", "c"]
        assert [each.camera for each in street.network.take(1, 4)] == ["b", "d"]
        street.after(2)
    street.close()


def test_cameras_of_a_worker_that_is_away_are_looked_at_by_the_others():
    street = Street("a", "b", workers=2)
    for name in "ab":
        street.arrives(name)
    stand_ready(street, 0)
    assert [each.camera for each in street.network.take(0, 4)] == ["a", "b"]
    stand_ready(street, 1)
    street.after(2)
    for name in "ab":
        street.arrives(name)
    assert [each.camera for each in street.network.take(0, 4)] == ["a"]
    assert [each.camera for each in street.network.take(1, 4)] == ["b"]
    street.close()


def stand_ready(street: Street, *workers: int) -> None:
    for worker in workers:
        street.pool._workers[worker].ready = True


def test_a_report_says_the_same_after_its_way():
    reports = [
        Report("a", 7, Usable.DARK, Looked.NOT, 640, 360, None, 0.01),
        Report("b", 1, Usable.LOST, Looked.NOT, error="x"),
        Report("c", 2, Usable.OK, Looked.INFERRED, 640, 360, asks=("fire", "smoke")),
        Report("e", 4, Usable.OK, Looked.INFERRED, findings=(Finding.COLOUR_CAST,), audited=True, missed=True),
        Report("d", 3, Usable.OK, Looked.INFERRED, 640, 360, began=(Began("fire", "z", "d/z", "camera:d", AT, AT),)),
    ]
    assert read_reports(write_reports(reports)[LENGTH.size :]) == reports


@pytest.mark.parametrize("body", [b"", b"{}x", b'[{"camera": "a"}]', b"[1]", b'{"ready": true}'])
def test_what_is_no_report_says_so(body):
    with pytest.raises(Unreadable, match="expected a worker's reports"):
        read_reports(body)


def test_a_worker_answers_a_briefing_that_it_is_ready_or_why_it_refuses():
    assert read_answer(b'{"ready": true}') is None
    assert read_answer(b'{"refused": "no such model"}') == "no such model"
    for body in (b"", b"[]", b'{"ready": 1}'[:-2], b'{"refused": 3}'):
        with pytest.raises(Unreadable, match="expected a worker's answer"):
            read_answer(body)


def test_a_worker_that_cannot_be_told_its_socket_is_refused():
    with pytest.raises(ValueError, match=r"\{fd\}"):
        WorkerPool(["worker"])
