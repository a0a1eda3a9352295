"""A clip as everyone may see it: so few pixels that nobody is known again in it, and in a codec that every browser plays.

Where faces and plates are in a clip nobody has looked: looks are seconds apart, a clip has every picture between them. So all of it
is made coarse, as wide as a picture in which nobody has looked either.

A process for each clip does it, so that a bitstream that kills libav costs the clip and nothing else: the clip on stdin, the
preview on stdout, or a sentence on stderr that says why there is none.
"""

from __future__ import annotations

import io
import os
import resource
import subprocess
import sys
from datetime import timedelta
from fractions import Fraction
from typing import TYPE_CHECKING

from citybrain.errors import Unreadable
from citybrain.evidence.masking import COARSE_WIDTH

if TYPE_CHECKING:
    import av

PATIENCE = timedelta(seconds=60)
MOST_MEMORY = 2 << 30
_RATE = 10
"""Pictures a second: enough to see who goes where, a third of the work of all of them."""
_MOST_PICTURES = 10 * 60 * _RATE
_MOST_ERROR = 300


def preview(clip: bytes) -> bytes:
    """The clip made coarse, by a process of its own. Raises Unreadable with the reason when it makes none."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "citybrain.evidence.preview"],
            input=clip,
            capture_output=True,
            timeout=PATIENCE.total_seconds(),
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Unreadable(f"expected a preview within {PATIENCE.total_seconds():.0f} s, got none") from None
    if done.returncode != 0:
        why = done.stderr.decode(errors="replace").strip().rpartition("\n")[2][:_MOST_ERROR]
        raise Unreadable(why or f"the process that makes previews ended with {done.returncode}")
    return done.stdout


def coarse(clip: bytes) -> bytes:
    """The clip with COARSE_WIDTH pixels across, as H.264 in MP4 with its index in front."""
    import av
    import av.error

    descriptor = os.memfd_create("preview")
    try:
        path = f"/proc/self/fd/{descriptor}"
        with (
            av.open(io.BytesIO(clip), "r") as shown,
            av.open(path, "w", format="mp4", options={"movflags": "+faststart"}) as written,
        ):
            if not shown.streams.video:
                raise Unreadable("expected a clip with pictures, got none")
            _copy(shown, written)
        return os.pread(descriptor, os.fstat(descriptor).st_size, 0)
    except (av.error.FFmpegError, ValueError) as error:
        raise Unreadable(f"expected a clip that libav can read, got {getattr(error, 'strerror', error)}") from None
    finally:
        os.close(descriptor)


def _copy(shown: av.container.InputContainer, written: av.container.OutputContainer) -> None:
    import av

    source = shown.streams.video[0]
    source.thread_type = "NONE"
    height = max(2, round(source.height * COARSE_WIDTH / max(1, source.width) / 2) * 2)
    stream = written.add_stream("libx264", rate=_RATE)
    assert isinstance(stream, av.VideoStream)  # noqa: S101  # what add_stream makes of a video codec
    stream.width, stream.height, stream.pix_fmt = COARSE_WIDTH, height, "yuv420p"
    stream.options = {"preset": "veryfast", "crf": "26", "threads": "1"}
    step, due, count = Fraction(1, _RATE), Fraction(0), 0
    for picture in shown.decode(source):
        if picture.pts is None or picture.time_base is None:
            continue
        at = picture.pts * picture.time_base
        if count and at < due:
            continue
        if count >= _MOST_PICTURES:
            break
        due = (due if count else at) + step
        small = picture.reformat(width=COARSE_WIDTH, height=height, format="yuv420p", interpolation="AREA")
        small.pts, small.time_base = count, step
        count += 1
        written.mux(stream.encode(small))
    if not count:
        raise Unreadable("expected a clip with pictures that can be decoded, got none")
    written.mux(stream.encode(None))


def main() -> int:
    """The process: a clip on stdin, its preview on stdout."""
    os.nice(5)  # a preview may wait, looks may not
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    try:
        made = coarse(sys.stdin.buffer.read())
    except Unreadable as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.buffer.write(made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
