"""A worker that takes what it is given and looks at none of it: for measuring what lies before the looking.

python -m bench.glance FD
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from citybrain.domain.detection import Looked, Usable
from citybrain.domain.frame import Frame
from ingest.worker_port import Report, serve


class Glance:
    """The worker's side."""

    def brief(self, briefing: bytes) -> None: ...

    def look(self, frames: Sequence[Frame]) -> list[Report]:
        return [Report(frame.camera, frame.seq, Usable.OK, Looked.INFERRED, 704, 576, cost_s=1e-4) for frame in frames]


if __name__ == "__main__":
    serve(int(sys.argv[1]), Glance(), max_batch=16)
