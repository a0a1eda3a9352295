"""What the evidence folder does when disks fill, links are refused and workers die in the middle of a picture."""

import errno
import os
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from citybrain.errors import Permanent, Transient
from citybrain.evidence.files import FileEvidence

EIGHT = datetime(2026, 11, 21, 8, tzinfo=UTC)
JPEG = b"\xff\xd8\xff a street corner \xff\xd9"


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "evidence"


@pytest.fixture
def store(folder):
    return FileEvidence(folder)


def test_a_kept_picture_takes_its_room_once(store, folder):
    ref = store.put("gd-0001", EIGHT, JPEG)
    store.keep(ref)
    assert (folder / "kept" / ref).stat().st_ino == (folder / "recent" / ref).stat().st_ino


def test_where_the_disk_knows_no_links_a_picture_is_copied(store, folder, monkeypatch):
    def no_links(source, target):
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", no_links)
    ref = store.put("gd-0001", EIGHT, JPEG)
    assert store.keep(ref)
    store.sweep(before=EIGHT + timedelta(days=1))
    assert store.get(ref) == JPEG


def test_a_full_disk_is_worth_another_try_and_leaves_no_halves(store, folder, monkeypatch):
    def full(self, target):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        with pytest.raises(Transient, match="No space left"):
            store.put("gd-0001", EIGHT, JPEG)
    assert list((folder / "arriving").iterdir()) == []
    assert store.get(store.put("gd-0001", EIGHT, JPEG)) == JPEG


def test_a_folder_that_may_not_be_written_is_no_passing_trouble(tmp_path):
    (tmp_path / "evidence").write_text("a file where the folder should be")
    with pytest.raises(Permanent, match=r"evidence in .* cannot be written"):
        FileEvidence(tmp_path / "evidence")


def test_a_picture_that_a_dying_worker_left_unfinished_is_swept(store, folder):
    half = folder / "arriving" / "tmp-half.jpg"
    half.write_bytes(JPEG[:5])
    os.utime(half, (EIGHT.timestamp(), EIGHT.timestamp()))
    assert store.sweep(before=EIGHT + timedelta(hours=1)) == 0
    assert not half.exists()


def test_empty_days_and_cameras_leave_no_folders(store, folder):
    store.put("gd-0001", EIGHT, JPEG)
    store.sweep(before=EIGHT + timedelta(days=1))
    assert list((folder / "recent").iterdir()) == []


def test_foreign_files_in_the_folder_are_left_alone(store, folder):
    store.put("gd-0001", EIGHT, JPEG)
    notes = folder / "recent" / "gd-0001" / "20261121" / "notes.txt"
    notes.write_text("mine")
    assert store.sweep(before=EIGHT + timedelta(days=1)) == 1
    assert notes.exists()


def test_usage_counts_both_kinds(store):
    ref = store.put("gd-0001", EIGHT, JPEG)
    store.put("gd-0002", EIGHT, JPEG)
    store.keep(ref)
    usage = store.usage()
    assert (usage.recent_files, usage.recent_bytes) == (2, 2 * len(JPEG))
    assert (usage.kept_files, usage.kept_bytes) == (1, len(JPEG))
    assert usage.free_bytes > 0


def test_sweeping_while_pictures_arrive_loses_none_of_the_fresh_ones(store):
    done = threading.Event()

    def sweep():
        while not done.is_set():
            store.sweep(before=EIGHT)

    sweeper = threading.Thread(target=sweep)
    sweeper.start()
    try:
        # Old and fresh pictures share a day's folder, which the sweep tries to take away whenever it looks empty.
        for second in range(200):
            store.put("gd-0001", EIGHT - timedelta(hours=1, seconds=second), JPEG)
            ref = store.put("gd-0001", EIGHT + timedelta(seconds=second), JPEG)
            assert store.get(ref) == JPEG
    finally:
        done.set()
        sweeper.join()
