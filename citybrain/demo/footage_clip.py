"""Builds the demo's clips from their timelines: composed on every core, encoded, skipped when up to date."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from fractions import Fraction
from pathlib import Path
from queue import Empty
from typing import Any

import av
import cv2
import numpy as np

from citybrain.demo.footage_picture import compose
from citybrain.demo.footage_timeline import Timeline, load
from citybrain.errors import ConfigError, Fault

Progress = Callable[[str, float], None]
"""Called with a camera's id and the share of its clip that is done; 1.0 exactly once for each clip."""

# One keyframe a second, no reordering, parameter sets before each keyframe: what a surveillance camera sends.
_SAME = "keyint={fps}:min-keyint={fps}:scenecut=0:bframes=0:repeat-headers=1"
_ENCODERS = {
    "h264": ("libx264", "x264-params", _SAME, {"preset": "veryfast", "tune": "zerolatency", "profile": "main"}),
    "h265": ("libx265", "x265-params", _SAME + ":open-gop=0:log-level=error:pools=none", {"preset": "ultrafast"}),
}

_said: Any = None
"""In a worker: the queue on which it tells the builder how far it is."""


def build(folder_of_timelines: Path, into: Path, *, progress: Progress) -> list[Path]:
    """Builds `<camera>.mp4` in `into` for each timeline, the longest first; answers all clips in order of camera.

    A clip is skipped when the digest beside it still matches its timeline, its art and this composer. Raises
    ConfigError with every fault of every timeline before anything is built.
    """
    timelines = _read_all(folder_of_timelines)
    into.mkdir(parents=True, exist_ok=True)
    stale = []
    for timeline in timelines:
        if _up_to_date(timeline, into):
            progress(timeline.camera, 1.0)
        else:
            stale.append(timeline)
    if stale:
        _build_stale(sorted(stale, key=lambda t: -t.frames), into, progress)
    return [clip_path(timeline, into) for timeline in timelines]


def clip_path(timeline: Timeline, into: Path) -> Path:
    return into / f"{timeline.camera}.mp4"


def encode(timeline: Timeline, path: Path, *, progress: Callable[[float], None]) -> None:
    """Writes one clip; the file appears under its name only when it is whole."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    encoder, key, parameters, options = _ENCODERS[timeline.codec]
    try:
        with av.open(str(partial), "w", format="mp4") as container:
            said = {**options, key: parameters.format(fps=timeline.fps), "g": str(timeline.fps), "bf": "0"}
            stream = container.add_stream(encoder, rate=timeline.fps, options=said)
            if not isinstance(stream, av.VideoStream):
                raise TypeError(f"{encoder} must encode video, it makes a {stream.type} stream")
            stream.pix_fmt = "yuv420p"
            stream.bit_rate = timeline.kbps * 1000
            stream.time_base = Fraction(1, timeline.fps)
            stream.codec_context.thread_count = 1
            for number in range(timeline.frames):
                picture = compose(timeline, at=number / timeline.fps)
                if number == 0:
                    stream.height, stream.width = picture.shape[:2]
                planes = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420), np.uint8)
                frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
                frame.pts = number
                container.mux(stream.encode(frame))
                if number % (5 * timeline.fps) == 0:
                    progress(number / timeline.frames)
            container.mux(stream.encode(None))
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def digest(timeline: Timeline) -> str:
    """Of everything that a clip is made from: its timeline, its art, the composer's own text."""
    seen = hashlib.sha256()
    composer = sorted(Path(__file__).parent.glob("footage*.py"))
    art = sorted(path for path in timeline.art.iterdir() if path.is_file())
    for path in [*composer, timeline.folder / f"{timeline.camera}.yaml", *art]:
        seen.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return seen.hexdigest()


def _read_all(folder: Path) -> list[Timeline]:
    faults: list[Fault] = []
    timelines = []
    for path in sorted(folder.glob("*.yaml")):
        try:
            timeline = load(path)
        except ConfigError as wrong:
            faults += wrong.faults
            continue
        if not timeline.art.is_dir():
            remedy = "Render it as models/scripts/render/README.md says."
            faults.append(Fault(str(path), "", f"has no art in {timeline.art}.", remedy))
        timelines.append(timeline)
    if not timelines and not faults:
        faults.append(Fault(str(folder), "", "holds no timeline (*.yaml)"))
    if faults:
        raise ConfigError(faults)
    return timelines


def _up_to_date(timeline: Timeline, into: Path) -> bool:
    note = _note(timeline, into)
    if not (clip_path(timeline, into).is_file() and note.is_file()):
        return False
    return note.read_text(encoding="ascii") == digest(timeline)


def _note(timeline: Timeline, into: Path) -> Path:
    return into / f"{timeline.camera}.sha256"


def _build_stale(stale: list[Timeline], into: Path, progress: Progress) -> None:
    # Spawned, not forked: codecs and OpenCV keep threads, which a fork would leave behind half alive.
    context = multiprocessing.get_context("spawn")
    said = context.Queue()
    workers = min(len(stale), os.cpu_count() or 1)
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_begin_worker, initargs=(said,)) as pool:
        running: dict[Future[None], Timeline] = {
            pool.submit(_build_one, timeline.folder / f"{timeline.camera}.yaml", into): timeline for timeline in stale
        }
        while running:
            finished, _ = wait(running, timeout=0.2, return_when=FIRST_COMPLETED)
            _pass_on(said, progress, among={timeline.camera for timeline in running.values()})
            for future in finished:
                timeline = running.pop(future)
                future.result()
                progress(timeline.camera, 1.0)


def _pass_on(said: Any, progress: Progress, *, among: set[str]) -> None:
    while True:
        try:
            camera, share = said.get_nowait()
        except Empty:
            return
        if camera in among:  # a share may arrive after its clip was finished
            progress(camera, share)


def _begin_worker(said: Any) -> None:
    global _said  # noqa: PLW0603 - a process pool hands its queue over by initializer only
    _said = said
    cv2.setNumThreads(1)


def _build_one(path: Path, into: Path) -> None:
    timeline = load(path)
    made_from = digest(timeline)
    encode(timeline, clip_path(timeline, into), progress=lambda share: _said.put((timeline.camera, share)))
    _note(timeline, into).write_text(made_from, encoding="ascii")
