"""One worker process: frames in, detections on the bus, and a report for each frame.

`python -m citybrain.worker --data DIR --fd N --worker N`, started by ingest; the configuration comes through the socket.
"""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2

from citybrain import telemetry
from citybrain.assembly import Configuration
from citybrain.briefing import configuration_of
from citybrain.clock import Clock, SystemClock
from citybrain.deployment import Deployment
from citybrain.domain.detection import Detections, Looked, Usable
from citybrain.domain.frame import Frame
from citybrain.errors import BusAway, Unreadable
from citybrain.looking import Glance, Looking
from citybrain.ports import Bus
from citybrain.questions import Questions
from citybrain.wire import DETECTIONS, write_detections
from ingest.decode import Decoder
from ingest.following import Following
from ingest.worker_port import NOTHING_NEWER, Report, serve

log = logging.getLogger(__name__)

MAX_BATCH = 4
_SAY_EVERY = 100  # lost looks between two lines in the log


@dataclass(slots=True)
class _Sight:
    """What looks, and what asks: made by the first briefing."""

    looking: Looking
    questions: Questions


class Worker:
    """The worker's side of the process (`ingest.worker_port.Looks`). `looking` makes what looks of a configuration.

    A look that the bus does not take is lost, and counted: the next one is newer. Its number is missing among the camera's, so
    that the pipeline counts it, too.
    """

    def __init__(self, looking: Callable[[Configuration], Looking], bus: Bus, clock: Clock) -> None:
        self._make, self._bus, self._clock = looking, bus, clock
        self._decoder = Decoder()
        self._following = Following(self._decoder)
        self._sight: _Sight | None = None
        self.untold = 0

    def brief(self, briefing: bytes) -> None:
        """Look by this configuration from now on. Raises ModelUnusable; then the last one holds."""
        configuration = configuration_of(briefing)
        if self._sight is None:
            looking = self._make(configuration)
            looking.open()
            self._sight = _Sight(looking, Questions(configuration.scenes.values(), configuration.views))
            return
        self._sight.looking.adopt(configuration)
        self._sight.questions.adopt(configuration.scenes.values(), configuration.views)
        log.info("configuration %s: %d cameras", configuration.revision, len(configuration.cameras))

    def look(self, frames: Sequence[Frame]) -> list[Report]:
        """Look at a batch of different cameras; what is seen was handed to the bus when the report says so."""
        assert self._sight is not None  # noqa: S101  # the network process sends a briefing first
        sight, started = self._sight, self._clock.monotonic()
        glances: list[Glance] = []
        reports: list[Report] = []
        decoding: dict[str, float] = {}
        for frame in frames:
            before = self._clock.monotonic()
            try:
                glances.append(self._glance(frame, sight))
            except Unreadable as error:
                reports.append(Report(frame.camera, frame.seq, Usable.LOST, Looked.NOT, error=str(error)))
            decoding[frame.camera] = self._clock.monotonic() - before
        for glance, seen in zip(glances, sight.looking.look(glances), strict=True):
            self._tell(seen)
            asks, began = sight.questions.after(seen)
            size = glance.picture.width, glance.picture.height
            report = Report(seen.camera, seen.seq, seen.usable, seen.looked, *size, asks=asks, began=began)
            audited, missed = sight.looking.audit(seen.camera)
            reports.append(replace(report, findings=seen.findings, audited=audited, missed=missed))
        return _charged(reports, decoding, self._clock.monotonic() - started)

    def _tell(self, seen: Detections) -> None:
        try:
            self._bus.offer(DETECTIONS, seen.camera, write_detections(seen))
        except BusAway as error:
            if self.untold % _SAY_EVERY == 0:
                log.error("a look of %s is lost, %d before it: %s", seen.camera, self.untold, error)  # noqa: TRY400
            self.untold += 1

    def _glance(self, frame: Frame, sight: _Sight) -> Glance:
        if not sight.looking.knows(frame.camera):  # a briefing that was refused would have named it
            raise Unreadable(f"expected a camera of the configuration, got {frame.camera!r}")
        if self._following.is_for(frame):
            picture, captured_at = self._following.decode(frame)
            if sight.questions.passes_over(frame.camera, captured_at):  # a decoder may hold the newest pictures back
                raise Unreadable(NOTHING_NEWER)
        else:
            picture, captured_at = self._decoder.decode(frame), frame.captured_at
        stamps = {"received": frame.received_at, "decoded": self._clock.now()}
        return Glance(
            frame.camera,
            picture,
            captured_at,
            frame.seq,
            frame.clock_ok,
            stamps,
            again=frame.again,
            taken_up_at=frame.taken_up_at,
        )


def _charged(reports: Sequence[Report], decoding: Mapping[str, float], took_s: float) -> list[Report]:
    """The reports with what each look cost: its own decoding, and its share of the rest, which is mostly inference."""
    sharing = sum(report.looked is Looked.INFERRED for report in reports)
    rest = max(0.0, took_s - sum(decoding.values())) / max(1, sharing or len(reports))
    return [
        replace(
            report, cost_s=decoding[report.camera] + (rest if report.looked is Looked.INFERRED or not sharing else 0)
        )
        for report in reports
    ]


def main() -> None:
    parser = argparse.ArgumentParser(prog="citybrain-worker")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--fd", type=int, required=True)
    parser.add_argument("--worker", type=int, required=True)
    arguments = parser.parse_args()
    telemetry.start_logging(f"worker-{arguments.worker}")
    cv2.setNumThreads(1)  # one process a core: threads of its own would only fight the others
    os.nice(5)  # decoding and inference use what the others leave, or nothing would be posted under load
    clock = SystemClock()
    city = Deployment.told(arguments.data)

    def looking(configuration: Configuration) -> Looking:
        return Looking(configuration, evidence=city.open_evidence(), hot=city.open_hot(), clock=clock.now)

    serve(arguments.fd, Worker(looking, city.open_bus(), clock), max_batch=MAX_BATCH)


if __name__ == "__main__":
    main()
