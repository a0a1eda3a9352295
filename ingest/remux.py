"""From footage to a clip: what a camera sent, put into an MP4 file as it is; nothing is decoded, nothing coded again.

A process for each clip does it, so that a bitstream that kills libav costs the clip and nothing else. It is given

    length of the header (4 bytes) | header (JSON: codec, lengths, instants, keyframes) | parameter sets and units

on stdin and answers with the file on stdout, or with a sentence on stderr that says why there is none.
"""

from __future__ import annotations

import asyncio
import base64
import io
import json
import os
import resource
import struct
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from citybrain.clock import instant
from citybrain.errors import Unreadable
from citybrain.ports import Footage, Unit
from ingest.worker_port import die_with_parent

if TYPE_CHECKING:
    import av

PATIENCE = timedelta(seconds=20)
MOST_MEMORY = 1 << 30

_LENGTH = struct.Struct(">I")
_MOST_ERROR = 300
_CODECS = ("h264", "hevc")
_TICKS = 90_000  # a second, as RTP counts video
_ANNEX_B = (b"\0\0\1", b"\0\0\0\1")
_DISORDER = 2 * _TICKS  # more than any camera codes ahead of what it shows


async def remuxed(footage: Footage) -> bytes:
    """The footage as an MP4 file, by a process of its own. Raises Unreadable with the reason when it makes none."""
    if footage.codec not in _CODECS:
        raise Unreadable(f"expected H.264 or H.265, got {footage.codec}")
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ingest.remux", stdin=pipe, stdout=pipe, stderr=pipe
    )
    try:
        async with asyncio.timeout(PATIENCE.total_seconds()):
            mp4, said = await process.communicate(_written(footage))
    except TimeoutError:
        raise Unreadable(f"expected a clip within {PATIENCE.total_seconds():.0f} s, got none") from None
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    if process.returncode != 0:
        why = said.decode(errors="replace").strip().rpartition("\n")[2][:_MOST_ERROR]
        raise Unreadable(why or f"the process that makes clips ended with {process.returncode}")
    return mp4


def in_mp4(footage: Footage) -> bytes:
    """The footage as an MP4 file with its index in front, so that a browser plays what has come so far."""
    import av
    import av.error

    if not footage.units or not footage.units[0].keyframe:
        raise Unreadable("expected footage that begins with a keyframe")
    # The index is moved to the front in a second pass over a file, for which memory serves.
    descriptor = os.memfd_create("clip")
    try:
        path = f"/proc/self/fd/{descriptor}"
        with av.open(path, "w", format="mp4", options={"movflags": "+faststart"}) as container:
            _mux(container, footage)
        return os.pread(descriptor, os.fstat(descriptor).st_size, 0)
    except (av.error.FFmpegError, ValueError) as error:
        raise Unreadable(
            f"expected {footage.codec} that libav can read, got {getattr(error, 'strerror', error)}"
        ) from None
    finally:
        os.close(descriptor)


def _mux(container: av.container.OutputContainer, footage: Footage) -> None:
    import av

    first = footage.units[0]
    if not first.data.startswith(_ANNEX_B):
        raise Unreadable("expected units in Annex B")
    # Size, profile and parameter sets are read from the first unit, as libav's demuxer sees them.
    sets = footage.extradata if footage.extradata.startswith(_ANNEX_B) else b""
    with av.open(io.BytesIO(sets + first.data), format=footage.codec) as probed:
        shape = probed.streams.video[0]
        if not shape.width or not shape.codec_context.extradata:
            raise Unreadable("expected a keyframe with its parameter sets, found none")
        stream = container.add_stream_from_template(shape)
    stream.time_base = Fraction(1, _TICKS)
    if footage.codec == "hevc":
        stream.codec_tag = "hvc1"  # what Safari plays; with libav's own choice, hev1, it does not
    container.metadata["creation_time"] = first.captured_at.isoformat()
    for unit, (shown, coded, lasts) in zip(footage.units, times(footage.units), strict=True):
        packet = av.Packet(unit.data)
        packet.stream, packet.time_base = stream, Fraction(1, _TICKS)
        packet.pts, packet.dts, packet.duration = shown, coded, lasts
        packet.is_keyframe = unit.keyframe
        container.mux_one(packet)


def times(units: Sequence[Unit]) -> list[tuple[int, int, int]]:
    """When each unit is shown, when it is to be decoded and how long it lasts, in ticks from the first.

    Units lie in the order of coding, their instants say when they are shown: with pictures that refer to later ones the
    two orders differ. Raises Unreadable when they differ by more than any camera does.
    """
    start = min(unit.captured_at for unit in units)
    shown = [(unit.captured_at - start) // timedelta(microseconds=1) * _TICKS // 1_000_000 for unit in units]
    coded: list[int] = []
    for at in sorted(shown):
        coded.append(max(at, coded[-1] + 1) if coded else at)
    early = max(when - at for at, when in zip(shown, coded, strict=True))
    if early > _DISORDER:
        raise Unreadable("expected units in the order of coding, got instants in disorder")
    lasting = [after - before for before, after in pairwise(coded)]
    lasting.append(lasting[-1] if lasting else _TICKS // 25)
    return [(at, when - early, lasts) for at, when, lasts in zip(shown, coded, lasting, strict=True)]


def _written(footage: Footage) -> bytes:
    header = {
        "codec": footage.codec,
        "extradata": base64.b64encode(footage.extradata).decode(),
        "units": [[len(each.data), each.captured_at.isoformat(), each.keyframe] for each in footage.units],
    }
    written = json.dumps(header).encode()
    return b"".join([_LENGTH.pack(len(written)), written, *(each.data for each in footage.units)])


def _read(raw: bytes) -> Footage:
    (length,) = _LENGTH.unpack_from(raw)
    header: dict[str, Any] = json.loads(raw[_LENGTH.size : _LENGTH.size + length])
    at, units = _LENGTH.size + length, []
    for size, captured_at, keyframe in header["units"]:
        units.append(Unit(raw[at : at + size], instant(captured_at), keyframe))
        at += size
    return Footage(header["codec"], base64.b64decode(header["extradata"]), tuple(units))


def main() -> int:
    """The process: footage on stdin, a clip on stdout."""
    die_with_parent()
    os.nice(5)  # a clip may wait, looks may not
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    try:
        clip = in_mp4(_read(sys.stdin.buffer.read()))
    except Unreadable as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.buffer.write(clip)
    return 0


if __name__ == "__main__":
    sys.exit(main())
