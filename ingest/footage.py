"""A recording read from beginning to end as pictures with their instants: what a replay sees, each time the same."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import av
import av.error

from citybrain.domain.frame import Frame
from citybrain.errors import Unreadable
from citybrain.ports import Picture
from ingest.decode import Decoder, planes

IMAGE_CODECS = {".jpg": "mjpeg", ".jpeg": "mjpeg", ".png": "png"}


def pictures(path: Path, *, start: datetime, every: timedelta) -> Iterator[tuple[datetime, Picture]]:
    """One picture per `every`, from a video that libav opens or a folder of images.

    A video's pictures are the first at or after each step, by their own times, beginning at `start`; a folder's images
    are `every` apart, or stand at the instants that their names say. Raises Unreadable.
    """
    if path.is_dir():
        yield from _images(path, start=start, every=every)
    else:
        yield from _video(path, start=start, every=every)


def image_files(folder: Path) -> list[Path]:
    """The pictures of a folder in the order of their names. Raises Unreadable when there is none."""
    found = sorted(each for each in folder.iterdir() if each.suffix.lower() in IMAGE_CODECS)
    if not found:
        raise Unreadable(f"expected .jpg or .png files in {folder}, found none")
    return found


def instant_of(path: Path) -> datetime | None:
    """The instant that an image's name says, such as 20261121T080000Z or 2026-11-21T08-00-00.500Z; None otherwise."""
    name = path.stem
    for form in (
        "%Y%m%dT%H%M%SZ",
        "%Y%m%dT%H%M%S.%fZ",
        "%Y-%m-%dT%H-%M-%SZ",
        "%Y-%m-%dT%H-%M-%S.%fZ",
        "%Y-%m-%dT%H:%M:%SZ",
    ):
        try:
            return datetime.strptime(name, form).replace(tzinfo=UTC)
        except ValueError:
            continue
    return None


def image_frame(path: Path, *, camera: str, captured_at: datetime) -> Frame:
    """An image file as a frame. Raises Unreadable when it cannot be read."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Unreadable(f"expected an image in {path}, got {error.strerror}") from None
    codec = IMAGE_CODECS[path.suffix.lower()]
    return Frame(camera=camera, codec=codec, packets=(data,), captured_at=captured_at, received_at=captured_at)


def _images(folder: Path, *, start: datetime, every: timedelta) -> Iterator[tuple[datetime, Picture]]:
    decoder = Decoder()
    for index, path in enumerate(image_files(folder)):
        at = instant_of(path) or start + index * every
        try:
            picture = decoder.decode(image_frame(path, camera="replay", captured_at=at))
        except Unreadable as error:
            raise Unreadable(f"{path}: {error}") from None
        yield at, picture


def _video(path: Path, *, start: datetime, every: timedelta) -> Iterator[tuple[datetime, Picture]]:
    if not path.exists():
        raise Unreadable(f"expected a video in {path}, there is no such file")
    try:
        container = av.open(str(path))
    except (av.error.FFmpegError, ValueError) as error:
        raise Unreadable(
            f"expected a video that libav opens in {path}, got {getattr(error, 'strerror', error)}"
        ) from None
    with container:
        if not container.streams.video:
            raise Unreadable(f"expected a video in {path}, found no video stream")
        stream = container.streams.video[0]
        stream.thread_type = "NONE"  # threads would only reorder the work, and determinism is the point
        step, due = Fraction(every // timedelta(microseconds=1), 1_000_000), Fraction(0)
        first: Fraction | None = None
        for at, picture in _decoded(container, stream):
            first = at if first is None else first
            elapsed = at - first
            if elapsed < due:
                continue
            due = (elapsed // step + 1) * step
            yield start + timedelta(microseconds=int(elapsed * 1_000_000)), planes(picture)


def _decoded(
    container: av.container.InputContainer, stream: av.VideoStream
) -> Iterator[tuple[Fraction, av.VideoFrame]]:
    """Every picture that is whole, with its time in the file; what is damaged is passed over."""
    rate = stream.average_rate or stream.guessed_rate or Fraction(25)
    count, last = 0, Fraction(-1)
    for packet in container.demux(stream):
        try:
            shown = packet.decode()
        except av.error.InvalidDataError:
            continue
        for picture in shown:
            assert isinstance(picture, av.VideoFrame)  # noqa: S101  # a video stream's packets decode to nothing else
            base = picture.time_base
            # An AVI may carry no presentation times: its pictures are then as far apart as its rate says.
            at = (
                Fraction(count) / Fraction(rate)
                if picture.pts is None or base is None
                else picture.pts * Fraction(base)
            )
            count += 1
            if at > last and not picture.is_corrupt:
                last = at
                yield at, picture
