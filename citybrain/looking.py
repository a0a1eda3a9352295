"""One look: from a frame to what the camera saw. The worker process runs it on live frames, replay on a recording.

frame ─► picture ─► thumbnail ─► usable? ─no─► detections: usable=dark …, looked=not
                                    │yes
                                 unchanged? ─yes─► the last detections again, looked=unchanged
                                    │no
                                 detector (batched over cameras) ─► looked=inferred, evidence
"""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import cv2

from citybrain import assembly, telemetry
from citybrain.assembly import Configuration
from citybrain.bus.local import LocalBus
from citybrain.clock import Clock, SystemClock
from citybrain.domain.detection import Detection, Detections, Looked, Usable
from citybrain.domain.frame import Frame
from citybrain.errors import Transient, Unreadable
from citybrain.evidence import jpeg
from citybrain.evidence.files import FileEvidence
from citybrain.hot.sqlite import SqliteHot
from citybrain.ports import Bus, EvidenceStore, HotStore, Picture
from citybrain.wire import DETECTIONS, write_detections
from detectors.batching import Detector, open_detector
from detectors.gate import Gate
from ingest.config import CameraSettings
from ingest.decode import Decoder
from ingest.footage import pictures
from ingest.usability import Usability, thumbnail
from ingest.worker_port import Report, serve

log = logging.getLogger(__name__)

EVIDENCE_WIDTH, EVIDENCE_QUALITY = 1280, 82
LATEST_WIDTH, LATEST_QUALITY, LATEST_EVERY = 640, 70, timedelta(seconds=1)
BASELINE_EVERY = timedelta(minutes=1)
MAX_BATCH = 4


@dataclass(frozen=True, slots=True)
class Glance:
    """A decoded picture of one camera, with what is known of its way."""

    camera: str
    picture: Picture
    captured_at: datetime
    seq: int
    clock_ok: bool = True
    stamps: Mapping[str, datetime] = field(default_factory=dict)


@dataclass(slots=True)
class _Eye:
    """What is remembered of one camera between looks: nothing that could not be learnt again."""

    usability: Usability
    gate: Gate | None
    last: Detections | None = None
    concerned: bool = False
    latest_at: datetime | None = None
    baseline_at: datetime | None = None


class Looking:
    """Looks at pictures of the configured cameras. `evidence` and `hot` may be left out where nobody will ask for them."""

    def __init__(
        self,
        configuration: Configuration,
        *,
        evidence: EvidenceStore | None = None,
        hot: HotStore | None = None,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        self._settings: Mapping[str, CameraSettings] = {each.id: each for each in configuration.cameras}
        self._configuration, self._evidence, self._hot, self._now = configuration, evidence, hot, clock
        scenes = configuration.scenes.values()
        self._concerning = frozenset().union(*(each.rule.labels for each in scenes))
        self._remembered = frozenset().union(*(each.rule.labels for each in scenes if each.rule.per_object))
        self._detectors: dict[str, Detector] = {}
        self._eyes: dict[str, _Eye] = {}

    def open(self) -> None:
        """Load every detector that a camera uses. Raises ModelUnusable."""
        for camera in self._settings.values():
            self._detector(camera.id)

    def look(self, glances: Sequence[Glance]) -> list[Detections]:
        """What was seen, glance by glance; pictures that want the detector are inferred together."""
        seen: list[Detections] = []
        waiting: dict[str, list[tuple[int, Glance]]] = {}
        for index, glance in enumerate(glances):
            eye, thumb = self._eye(glance.camera), thumbnail(glance.picture)
            usable = eye.usability.judge(thumb, glance.captured_at)
            base = Detections(
                camera=glance.camera,
                captured_at=glance.captured_at,
                seq=glance.seq,
                usable=usable,
                looked=Looked.NOT,
                clock_ok=glance.clock_ok,
                stamps=glance.stamps,
                model=self._detector(glance.camera).model,
            )
            seen.append(base)
            if usable is not Usable.OK:
                if eye.gate is not None:
                    eye.gate.forget()
            elif eye.gate is not None and eye.last is not None and eye.gate.unchanged(thumb, glance.captured_at):
                again = eye.last
                seen[index] = replace(
                    base, looked=Looked.UNCHANGED, evidence=again.evidence, detections=again.detections
                )
            else:
                waiting.setdefault(self._settings[glance.camera].detector or "", []).append((index, glance))
                if eye.gate is not None:
                    eye.gate.saw(thumb, glance.captured_at)
        for group in waiting.values():
            answers = self._detector(group[0][1].camera).detect([glance.picture for _, glance in group])
            for (index, glance), answer in zip(group, answers, strict=True):
                seen[index] = self._inferred(seen[index], glance, answer)
        for glance, each in zip(glances, seen, strict=True):
            self._show(glance, each)
        return [self._stamped(each) for each in seen]

    def close(self) -> None:
        for detector in set(self._detectors.values()):
            detector.close()

    def _inferred(self, base: Detections, glance: Glance, answer: tuple[Detection, ...]) -> Detections:
        eye = self._eyes[glance.camera]
        concerned = any(each.label in self._concerning for each in answer)
        evidence = None
        # A picture is also kept when something was there a moment ago: it may be the one that shows it gone.
        if self._evidence is not None and (concerned or eye.concerned):
            image = jpeg.encode(glance.picture, width=EVIDENCE_WIDTH, quality=EVIDENCE_QUALITY)
            try:
                evidence = self._evidence.put(glance.camera, glance.captured_at, image)
            except Transient as error:
                log.error("no picture kept for %s: %s", glance.camera, error)  # noqa: TRY400  # the case matters more
        eye.concerned = concerned
        eye.last = replace(base, looked=Looked.INFERRED, evidence=evidence, detections=answer)
        return eye.last

    def _stamped(self, seen: Detections) -> Detections:
        now = self._now() if self._now else seen.captured_at
        return replace(seen, stamps={**seen.stamps, "inferred": now})

    def _show(self, glance: Glance, seen: Detections) -> None:
        """Leave the latest picture and the view's baseline where they may be lost."""
        if self._hot is None:
            return
        eye = self._eyes[glance.camera]
        if eye.latest_at is None or glance.captured_at - eye.latest_at >= LATEST_EVERY:
            eye.latest_at = glance.captured_at
            image = jpeg.encode(glance.picture, width=LATEST_WIDTH, quality=LATEST_QUALITY)
            self._hot.put(f"picture/{glance.camera}", image)
        if seen.usable is Usable.OK and (
            eye.baseline_at is None or glance.captured_at - eye.baseline_at >= BASELINE_EVERY
        ):
            eye.baseline_at = glance.captured_at
            self._hot.put(f"baseline/{glance.camera}", eye.usability.baseline)

    def _eye(self, camera: str) -> _Eye:
        if camera not in self._eyes:
            settings = self._configuration.detector_of(self._settings[camera])
            gate = Gate(settings.reaffirm_for) if settings.gate else None
            self._eyes[camera] = _Eye(self._usability(camera), gate)
        return self._eyes[camera]

    def _usability(self, camera: str) -> Usability:
        fixed = self._settings[camera].fixed
        baseline = self._hot.get(f"baseline/{camera}") if self._hot is not None else None
        try:
            return Usability(baseline or b"", fixed=fixed)
        except Unreadable:
            return Usability(fixed=fixed)  # what is hot may be lost; the view is learnt again

    def _detector(self, camera: str) -> Detector:
        settings = self._configuration.detector_of(self._settings[camera])
        if settings.id not in self._detectors:
            detector = open_detector(settings, looks=self._remembered)
            detector.warmup()
            self._detectors[settings.id] = detector
            log.info("detector %s: %s, revision %s", settings.id, detector.model, detector.revision)
        return self._detectors[settings.id]


def recorded(looking: Looking, camera: str, video: Path, *, start: datetime, every: timedelta) -> Iterator[bytes]:
    """What the camera would have seen in a recording, as messages; every station is the instant itself."""
    for seq, (at, picture) in enumerate(pictures(video, start=start, every=every), start=1):
        stamps = {"received": at, "decoded": at}
        (seen,) = looking.look([Glance(camera, picture, at, seq, stamps=stamps)])
        yield write_detections(seen)


class Worker:
    """The worker's side of the process: frames in, detections on the bus, a report for each frame."""

    def __init__(self, looking: Looking, bus: Bus, clock: Clock) -> None:
        self._looking, self._bus, self._clock = looking, bus, clock
        self._decoder = Decoder()

    def look(self, frames: Sequence[Frame]) -> list[Report]:
        """Look at a batch of different cameras; what is seen is on the bus when the report says so."""
        began = self._clock.monotonic()
        glances: list[Glance] = []
        failed: dict[str, Report] = {}
        for frame in frames:
            try:
                picture = self._decoder.decode(frame)
            except Unreadable as error:
                failed[frame.camera] = Report(frame.camera, frame.seq, Usable.LOST, Looked.NOT, error=str(error))
                continue
            stamps = {"received": frame.received_at, "decoded": self._clock.now()}
            glances.append(Glance(frame.camera, picture, frame.captured_at, frame.seq, frame.clock_ok, stamps))
        seen = self._looking.look(glances)
        cost = (self._clock.monotonic() - began) / max(1, len(frames))
        reports = []
        for glance, each in zip(glances, seen, strict=True):
            self._bus.publish(DETECTIONS, each.camera, write_detections(each))
            reports.append(
                Report(
                    each.camera,
                    each.seq,
                    each.usable,
                    each.looked,
                    width=glance.picture.width,
                    height=glance.picture.height,
                    cost_s=cost,
                )
            )
        return reports + [replace(report, cost_s=cost) for report in failed.values()]


def main() -> None:
    """One worker process, started by ingest: `python -m citybrain.looking --config DIR --data DIR --fd N --worker N`."""
    parser = argparse.ArgumentParser(prog="citybrain-worker")
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--fd", type=int, required=True)
    parser.add_argument("--worker", type=int, required=True)
    arguments = parser.parse_args()
    telemetry.start_logging(f"worker-{arguments.worker}")
    cv2.setNumThreads(1)  # one process a core: threads of its own would only fight the others
    os.nice(5)  # decoding and inference use what the others leave, or nothing would be posted under load
    clock = SystemClock()
    data: Path = arguments.data
    looking = Looking(
        assembly.load(arguments.config),
        evidence=FileEvidence(data / "evidence"),
        hot=SqliteHot(data / "hot.db"),
        clock=clock.now,
    )
    looking.open()
    worker = Worker(looking, LocalBus(data / "citybrain.db"), clock)
    serve(arguments.fd, worker.look, max_batch=MAX_BATCH)


if __name__ == "__main__":
    main()
