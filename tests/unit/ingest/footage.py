"""Footage as a source keeps it: a clip's units in Annex B, each with its instant."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from citybrain.demo.rtsp_clip import is_parameter, read_clip
from citybrain.ports import Footage, Unit
from tests.unit.ingest.clips import make_clip

EIGHT = datetime(2026, 11, 21, 8, tzinfo=UTC)
START_CODE = b"\0\0\0\1"


@cache
def footage(codec: str = "h264", *, out_of_band: bool = False, seconds: float = 12.0, b_frames: int = 0) -> Footage:
    """Ten pictures a second from eight o'clock on, a keyframe each half second."""
    with TemporaryDirectory() as folder:
        clip = read_clip(make_clip(Path(folder) / "clip.mp4", codec=codec, seconds=seconds, b_frames=b_frames))
    units = tuple(
        Unit(
            b"".join(START_CODE + each for each in sample.units if not (out_of_band and is_parameter(codec, each))),
            EIGHT + timedelta(seconds=sample.shown_s),
            sample.keyframe,
        )
        for sample in clip.samples
    )
    return Footage(codec, b"".join(START_CODE + each for each in clip.parameters) if out_of_band else b"", units)
