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
from citybrain.errors import Unreadable
from ingest.decode import Decoder
from ingest.usability import Usability, thumbnail
from ingest.worker_port import Report, serve


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("fd", type=int)
    parser.add_argument("--crash-on", default="")
    parser.add_argument("--hang-on", default="")
    options = parser.parse_args()
    decoder, usability = Decoder(), dict[str, Usability]()

    def one(frame: Frame) -> Report:
        if frame.camera == options.crash_on:
            os.kill(os.getpid(), signal.SIGSEGV)
        if frame.camera == options.hang_on:
            time.sleep(3600)
        started = time.monotonic()
        try:
            picture = decoder.decode(frame)
        except Unreadable as error:
            return Report(frame.camera, frame.seq, Usable.LOST, Looked.NOT, error=str(error))
        usable = usability.setdefault(frame.camera, Usability()).judge(thumbnail(picture), frame.captured_at)
        size = picture.width, picture.height
        return Report(frame.camera, frame.seq, usable, Looked.INFERRED, *size, cost_s=time.monotonic() - started)

    def look(frames: Sequence[Frame]) -> list[Report]:
        return [one(frame) for frame in frames]

    serve(options.fd, look, max_batch=4)


if __name__ == "__main__":
    main()
