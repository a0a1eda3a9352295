"""Every EvidenceStore keeps what a case shows, and gives back nothing that was altered."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from citybrain.clock import ManualClock
from citybrain.domain.episode import EvidenceKind
from citybrain.errors import Unreadable, UsageError
from citybrain.evidence.bucket import Address, Bucket
from citybrain.evidence.choice import open_evidence
from citybrain.evidence.files import FileEvidence
from citybrain.evidence.s3 import S3Evidence
from citybrain.evidence.spool import Spool
from tests.object_storage import BUCKET, CREDENTIALS

EIGHT = datetime(2026, 11, 21, 8, 0, 0, 123_456, tzinfo=UTC)
JPEG = b"\xff\xd8\xff a street corner \xff\xd9"
MP4 = b"\0\0\0\x20ftypisom a street corner for ten seconds"


class Arrived(S3Evidence):
    """What was put is in the storage before anything else is done: not in this machine's spool, where it would be found too."""

    def put(self, camera, captured_at, content, kind=EvidenceKind.PICTURE):
        ref = super().put(camera, captured_at, content, kind)
        assert self.settle(within=timedelta(seconds=20))
        return ref


@pytest.fixture(params=["files", "s3"])
def kind(request) -> str:
    return request.param


@pytest.fixture
def store(kind, request, tmp_path, monkeypatch):
    if kind == "files":
        yield FileEvidence(tmp_path / "evidence")
        return
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    address = Address.read(request.getfixturevalue("storage").url.replace("?", f"/{tmp_path.name}?"))
    later = ManualClock(EIGHT + timedelta(days=1))  # so that nothing is waited for that may still come
    made = Arrived(Bucket(address), Spool(tmp_path / "spool"), clock=later)
    yield made
    made.close()


@pytest.fixture
def alter(kind, request, tmp_path, store):
    """Put other bytes under a reference, wherever it lies, as somebody does who can."""

    def in_files(ref: str, content: bytes) -> None:
        for path in tmp_path.rglob(ref.rpartition("/")[2]):
            path.write_bytes(content)

    def in_storage(ref: str, content: bytes) -> None:
        for key in store.bucket.keys(""):
            if key.endswith(ref):
                store.bucket.put(key, content, media_type="image/jpeg")

    return in_files if kind == "files" else in_storage


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


def test_a_clip_is_known_by_its_reference_and_kept_swept_and_checked_as_pictures_are(store, alter):
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
    alter(kept, MP4.replace(b"street", b"STREET"))
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


def test_an_altered_picture_is_not_given_out(store, alter):
    ref = store.put("gd-0001", EIGHT, JPEG)
    store.keep(ref)
    alter(ref, JPEG.replace(b"street", b"STREET"))
    with pytest.raises(Unreadable, match="altered"):
        store.get(ref)


def test_what_is_kept_is_not_overwritten_by_what_comes_later_under_its_name(store, alter):
    ref = store.put("gd-0001", EIGHT, JPEG)
    assert store.keep(ref)
    store.sweep(before=EIGHT + timedelta(days=1))
    assert store.put("gd-0001", EIGHT, JPEG) == ref
    if isinstance(store, S3Evidence):
        store.bucket.put(f"recent/202611210800/{ref}", b"another", media_type="image/jpeg")
        again = Arrived(store.bucket, Spool(store._spool._folder))  # a process that has not kept it itself
        assert again.keep(ref)
    assert store.keep(ref)
    assert store.get(ref) == JPEG


def test_a_store_that_works_says_so(store):
    assert store.away_since() is None


# -- where it lies ----------------------------------------------------------------------------------------------------


def test_without_an_address_it_is_a_folder_of_this_machine(tmp_path):
    assert isinstance(open_evidence(None, tmp_path / "evidence"), FileEvidence)


def test_an_address_names_bucket_prefix_endpoint_and_region():
    read = Address.read("s3://city-evidence/kunming/?endpoint=https://storage.example:9000&region=cn-south-1&sweep=off")
    assert (read.bucket, read.prefix, read.region) == ("city-evidence", "kunming/", "cn-south-1")
    assert (read.endpoint, read.sweeps) == ("https://storage.example:9000", False)
    assert Address.read(f"s3://{BUCKET}") == Address(BUCKET, "", None, None, sweeps=True)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "file:///evidence",
        "s3://",
        "s3:///evidence",
        "s3://key:s3cret@city-evidence",
        "s3://city-evidence/a b",
        "s3://city-evidence?endpoint=storage:9000",
        "s3://city-evidence?endpoint=http://key:s3cret@storage:9000",
        "s3://city-evidence?secret=s3cret",
        "s3://city-evidence?sweep=sometimes",
    ],
)
def test_an_address_that_is_none_is_refused_without_what_may_be_secret(url, tmp_path):
    with pytest.raises(UsageError) as refused:
        open_evidence(url, tmp_path / "evidence")
    assert "s3cret" not in str(refused.value)
