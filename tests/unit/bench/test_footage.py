"""The clips to measure with are what their names say, and are made once."""

from __future__ import annotations

import pytest

from bench import footage
from citybrain.errors import UsageError
from tests.unit.ingest.clips import make_clip


@pytest.fixture
def short():
    """The substream's clip, four seconds of it."""
    kind = footage.KINDS["sub-h264"]
    return footage.Kind("sub-h264", "h264", kind.width, kind.height, kind.kbps, seconds=4)


def test_a_clip_is_what_its_kind_says_and_is_made_once(short, monkeypatch, tmp_path):
    monkeypatch.setattr(footage, "KINDS", {"sub-h264": short})
    (path,) = footage.clips(["sub-h264"], folder=tmp_path).values()
    made = path.stat().st_mtime_ns
    found = footage.figures(path)
    assert (found["codec"], found["size"], found["seconds"]) == ("h264", "704×576", 4.0)
    assert 0.5 * short.kbps < found["kbit_s"] < 1.5 * short.kbps
    footage.clips(["sub-h264"], folder=tmp_path)
    assert path.stat().st_mtime_ns == made


def test_footage_of_the_users_own_is_filmed_instead_and_kept_apart(short, monkeypatch, tmp_path):
    monkeypatch.setattr(footage, "KINDS", {"sub-h264": short})
    (tmp_path / "own").mkdir()
    make_clip(tmp_path / "own" / "yard.mp4", seconds=1)
    (path,) = footage.clips(["sub-h264"], folder=tmp_path / "made", source=tmp_path / "own").values()
    assert path.parent.parent == tmp_path / "made"
    assert footage.figures(path)["seconds"] == 4.0


def test_a_folder_without_a_video_is_told(tmp_path):
    with pytest.raises(UsageError, match="found none"):
        footage.clips(source=tmp_path)
