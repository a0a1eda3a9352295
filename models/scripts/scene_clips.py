"""Makes models/evaluation/scenes/ours/clips/ from their originals: smaller, coded as a surveillance camera codes.

    python models/scripts/scene_clips.py ORIGINALS [--into DIR]

ORIGINALS holds the files named in models/evaluation/scenes/README.md. Pictures keep their size; of each second some are kept.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

INTO = Path(__file__).resolve().parents[1] / "evaluation" / "scenes" / "ours" / "clips"


@dataclass(frozen=True, slots=True)
class Clip:
    """Which file becomes which, how many pictures of a second are kept, and how coarsely they are coded (x264's crf).

    `hidden`: number plates that could be read, by the number of the picture that is kept: left, top, right, bottom.
    """

    original: str
    name: str
    rate: int
    crf: int
    hidden: Mapping[int, tuple[int, int, int, int]] = field(default_factory=dict)


_PLATES = {
    12: (242, 301, 277, 316),
    13: (256, 273, 294, 288),
    14: (264, 254, 300, 269),
    15: (273, 234, 304, 249),
    16: (279, 220, 309, 235),
    17: (282, 210, 310, 225),
    18: (285, 196, 313, 211),
}
CLIPS = (
    Clip("parking_street_car_enters.mp4", "parking_street.mp4", 4, 31, _PLATES),
    Clip("campus_people_parked_vans.avi", "campus.mp4", 2, 32),
    Clip("fire_model_house.mp4", "fire_model_house.mp4", 4, 28),
)
KEYFRAME_S = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("originals", type=Path)
    parser.add_argument("--into", type=Path, default=INTO)
    given = parser.parse_args()
    given.into.mkdir(parents=True, exist_ok=True)
    for clip in CLIPS:
        path = given.into / clip.name
        count = make(given.originals / clip.original, path, clip)
        print(f"{path.name}: {count} pictures, {path.stat().st_size / 1e6:.2f} MB")


def make(original: Path, path: Path, clip: Clip) -> int:
    """Write one clip; how many pictures it has. The same libav writes the same bytes."""
    rate = clip.rate
    # As the demo's clips, no reordering and parameter sets before each keyframe; fewer of those, for nobody seeks.
    group = rate * KEYFRAME_S
    told = f"keyint={group}:min-keyint={group}:scenecut=0:bframes=0:repeat-headers=1"
    options = {
        "preset": "slower",
        "profile": "main",
        "crf": str(clip.crf),
        "x264-params": told,
        "g": str(group),
        "bf": "0",
    }
    count = 0
    with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=rate, options=options)
        assert isinstance(stream, av.VideoStream)
        stream.pix_fmt, stream.time_base = "yuv420p", Fraction(1, rate)
        stream.codec_context.thread_count = 1
        for picture in _kept(original, rate):
            if not count:
                stream.width, stream.height = picture.width // 2 * 2, picture.height // 2 * 2
            shown = picture.reformat(width=stream.width, height=stream.height, format="yuv420p")
            if count in clip.hidden:
                shown = _without(shown, *clip.hidden[count])
            shown.pts, shown.time_base = count, Fraction(1, rate)
            container.mux(stream.encode(shown))
            count += 1
        container.mux(stream.encode(None))
    return count


def _without(picture: av.VideoFrame, left: int, top: int, right: int, bottom: int) -> av.VideoFrame:
    """The picture with one even grey where the rectangle is."""
    planes = picture.to_ndarray(format="yuv420p")
    region = planes[top:bottom, left:right]  # the first rows are the luma
    region[:] = region.mean().astype(np.uint8)
    return av.VideoFrame.from_ndarray(planes, format="yuv420p")


def _kept(original: Path, rate: int) -> Iterator[av.VideoFrame]:
    """The first picture at or after each step, by the pictures' own times, or by their rate where they have none."""
    with av.open(str(original)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "NONE"
        theirs, first, due = Fraction(stream.average_rate or 25), None, 0
        for number, picture in enumerate(container.decode(stream)):
            at = Fraction(number) / theirs
            if picture.pts is not None and picture.time_base is not None:
                at = picture.pts * Fraction(picture.time_base)
            first = at if first is None else first
            if (at - first) * rate >= due:
                yield picture
                due += 1


if __name__ == "__main__":
    main()
