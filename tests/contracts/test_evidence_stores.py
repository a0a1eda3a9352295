"""Every EvidenceStore keeps what a case shows, and gives back nothing that was altered."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from citybrain.domain.episode import EvidenceKind
from citybrain.errors import Unreadable
from citybrain.evidence.files import FileEvidence
from citybrain.ports import EvidenceStore

EIGHT = datetime(2026, 11, 21, 8, 0, 0, 123_456, tzinfo=UTC)
JPEG = b"\xff\xd8\xff a street corner \xff\xd9"
MP4 = b"\0\0\0\x20ftypisom a street corner for ten seconds"


@pytest.fixture(params=["files"])
def store(request, tmp_path) -> EvidenceStore:
    return {"files": lambda: FileEvidence(tmp_path / "evidence")}[request.param]()


def test_a_picture_comes_back_as_it_was(store):
    assert store.get(store.put("gd-0001", EIGHT, JPEG)) == JPEG


def test_a_reference_names_camera_instant_and_hash(store):
    beijing = EIGHT.astimezone(timezone(timedelta(hours=8)))
    ref = store.put("gd-0001", beijing, JPEG)
    assert ref.startswith("gd-0001/20261121/080000.123Z-")
    assert len(ref.rpartition("-")[2]) == len("0123456789abcdef.jpg")


def test_the_same_picture_has_the_same_reference_and_another_a_different_one(store):
    ref = store.put("gd-0001", EIGHT, JPEG)
    assert store.put("gd-0001", EIGHT, JPEG) == ref
    assert len({ref, store.put("gd-0001", EIGHT, JPEG + b"."), store.put("gd-0002", EIGHT, JPEG)}) == 3


def test_a_clip_is_known_by_its_reference_and_kept_swept_and_checked_as_pictures_are(store, tmp_path):
    kept, passing = (
        store.put("gd-0001", EIGHT, content, EvidenceKind.CLIP) for content in (MP4, MP4.replace(b"ten", b"two"))
    )
    assert kept.startswith("gd-0001/20261121/080000.123Z-")
    assert kept.endswith(".mp4")
    assert store.put("gd-0001", EIGHT, MP4, EvidenceKind.CLIP) == kept
    assert store.keep(kept)
    assert store.sweep(before=EIGHT + timedelta(hours=6)) == 2
    assert store.get(kept) == MP4
    with pytest.raises(KeyError):
        store.get(passing)
    for path in tmp_path.rglob(kept.rpartition("/")[2]):
        path.write_bytes(MP4.replace(b"street", b"STREET"))
    with pytest.raises(Unreadable, match="altered"):
        store.get(kept)


def test_a_kept_picture_outlives_the_sweep_and_the_others_do_not(store):
    kept = store.put("gd-0001", EIGHT, JPEG)
    passing = store.put("gd-0001", EIGHT + timedelta(seconds=1), JPEG)
    assert store.keep(kept)
    assert store.sweep(before=EIGHT + timedelta(hours=6)) == 2
    assert store.get(kept) == JPEG
    with pytest.raises(KeyError):
        store.get(passing)


def test_keeping_twice_is_harmless_also_after_the_sweep(store):
    ref = store.put("gd-0001", EIGHT, JPEG)
    assert store.keep(ref)
    assert store.keep(ref)
    store.sweep(before=EIGHT + timedelta(days=1))
    assert store.keep(ref)
    assert store.get(ref) == JPEG


def test_what_is_swept_cannot_be_kept_any_more(store):
    ref = store.put("gd-0001", EIGHT, JPEG)
    store.sweep(before=EIGHT + timedelta(days=1))
    assert store.keep(ref) is False


def test_a_sweep_leaves_what_was_captured_at_or_after_its_instant(store):
    refs = [store.put("gd-0001", EIGHT + timedelta(minutes=minute), JPEG) for minute in range(-2, 3)]
    assert store.sweep(before=EIGHT) == 2
    assert [store.get(ref) for ref in refs[2:]] == [JPEG] * 3
    assert store.sweep(before=EIGHT) == 0


def test_what_was_never_stored_is_no_key_of_it(store):
    with pytest.raises(KeyError):
        store.get("gd-0001/20261121/080000.000Z-0123456789abcdef.jpg")
    assert store.keep("gd-0001/20261121/080000.000Z-0123456789abcdef.jpg") is False


@pytest.mark.parametrize(
    "ref",
    [
        "",
        ".",
        "../secret.jpg",
        "gd-0001/../../etc/passwd",
        "/etc/passwd",
        "../gd-0001/20261121/080000.000Z-0123456789abcdef.jpg",
        "gd-0001/20261121/080000.000Z-0123456789abcdef.jpg\n",
        "gd-0001/20261121/080000.000Z-0123456789abcdef.jpg/..",
        "gd-0001\x00/20261121/080000.000Z-0123456789abcdef.jpg",
        "..%2f/20261121/080000.000Z-0123456789abcdef.jpg",
    ],
)
def test_no_reference_leads_out_of_the_store(store, ref):
    with pytest.raises(KeyError):
        store.get(ref)
    assert store.keep(ref) is False


@pytest.mark.parametrize("camera", ["", "..", "../gd", "gd/0001", ".hidden", "gd 1", "路口"])
def test_a_camera_id_that_is_no_file_name_is_refused(store, camera):
    with pytest.raises(ValueError, match="camera id must be"):
        store.put(camera, EIGHT, JPEG)


def test_an_altered_picture_is_not_given_out(store, tmp_path):
    ref = store.put("gd-0001", EIGHT, JPEG)
    store.keep(ref)
    for path in tmp_path.rglob(ref.rpartition("/")[2]):
        path.write_bytes(JPEG.replace(b"street", b"STREET"))
    with pytest.raises(Unreadable, match="altered"):
        store.get(ref)
