"""A worker that only decodes, for tests of the network process: real pictures, no model.

python -m tests.services.ingest_worker FD [--crash-on CAMERA] [--hang-on CAMERA]
"""

from __future__ import annotations

import argparse
import os
import signal
import time
from collections.abc import Sequence

from citybrain.domain.detection import Looked, Usable
from citybrain.domain.frame import Frame
from citybrain.errors import ModelUnusable, Unreadable
from ingest.decode import Decoder
from ingest.quality import Usability, sight_of
from ingest.worker_port import Report, serve


class OnlyDecodes:
    """The worker's side, without a model."""

    def __init__(self, *, crash_on: str, hang_on: str) -> None:
        self._crash_on, self._hang_on = crash_on, hang_on
        self._decoder, self._usability = Decoder(), dict[str, Usability]()

    def brief(self, briefing: bytes) -> None:
        if briefing.startswith(b"refuse"):
            raise ModelUnusable("it was to be refused")

    def look(self, frames: Sequence[Frame]) -> list[Report]:
        return [self._one(frame) for frame in frames]

    def _one(self, frame: Frame) -> Report:
        if frame.camera == self._crash_on:
            os.kill(os.getpid(), signal.SIGSEGV)
        if frame.camera == self._hang_on:
            time.sleep(3600)
        started = time.monotonic()
        try:
            picture = self._decoder.decode(frame)
        except Unreadable as error:
            return Report(frame.camera, frame.seq, Usable.LOST, Looked.NOT, error=str(error))
        diagnosis = self._usability.setdefault(frame.camera, Usability()).judge(sight_of(picture), frame.captured_at)
        size = picture.width, picture.height
        return Report(
            frame.camera, frame.seq, diagnosis.usable, Looked.INFERRED, *size, cost_s=time.monotonic() - started
        )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("fd", type=int)
    parser.add_argument("--crash-on", default="")
    parser.add_argument("--hang-on", default="")
    options = parser.parse_args()
    serve(options.fd, OnlyDecodes(crash_on=options.crash_on, hang_on=options.hang_on), max_batch=4)


if __name__ == "__main__":
    main()
