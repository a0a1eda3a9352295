"""What the scenes ask about a camera, as far as its worker has seen: the pure stage one, in memory, on the worker's own looks.

The pipeline decides what becomes a case; this only says early where a closer look would settle something. There is no way
back from the pipeline to the workers: what dies with a worker is learnt again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from citybrain.domain.camera import Camera
from citybrain.domain.detection import Detections
from citybrain.domain.episode import ChangeKind
from ingest.worker_port import Began
from pipeline.camera_flow import CameraState, Held, advance_camera
from pipeline.scene import Scene


class Questions:
    """The scenes' states of every camera that one worker looks at."""

    def __init__(self, scenes: Iterable[Scene], cameras: Mapping[str, Camera]) -> None:
        self._scenes: Sequence[Scene] = ()
        self._attentive: frozenset[str] = frozenset()
        self._filmed: frozenset[str] = frozenset()
        self._cameras: Mapping[str, Camera] = {}
        self._states: dict[str, CameraState] = {}
        self.adopt(scenes, cameras)

    def adopt(self, scenes: Iterable[Scene], cameras: Mapping[str, Camera]) -> None:
        """Ask by other scenes from now on; what is known of cameras that stay is kept."""
        self._scenes, self._cameras = tuple(scenes), cameras
        self._attentive = frozenset(each.id for each in self._scenes if each.attention)
        self._filmed = frozenset(each.id for each in self._scenes if each.file.clip)
        self._states = {camera: state for camera, state in self._states.items() if camera in cameras}

    def passes_over(self, camera: str, captured_at: datetime) -> bool:
        """Whether a look of that instant would come too late to say anything: a newer one was done."""
        state = self._states.get(camera)
        return state is not None and state.last_at is not None and _as_told(captured_at) <= state.last_at

    def after(self, seen: Detections) -> tuple[tuple[str, ...], tuple[Began, ...]]:
        """The scenes with an open question on the camera after this look, and the episodes to be filmed that it confirmed."""
        state, changes = advance_camera(
            self._states.get(seen.camera, CameraState()),
            replace(seen, captured_at=_as_told(seen.captured_at)),
            self._cameras[seen.camera],
            self._scenes,
        )
        self._states[seen.camera] = replace(state, ledgers={})  # the pipeline counts; here they would only grow
        asks = {key.partition("/")[0] for key, watch in state.watches.items() if any(map(_open, watch.held.values()))}
        began = tuple(
            Began(each.scene, each.zone, each.place, each.locality, each.began_at, each.at)
            for each in changes
            if each.kind is ChangeKind.BEGAN and each.scene in self._filmed
        )
        return tuple(sorted(asks & self._attentive)), began


def _open(held: Held) -> bool:
    """Whether it is a candidate that a closer look could settle; what is withheld waits for something else."""
    return not held.episode.is_open and not held.withheld


def _as_told(at: datetime) -> datetime:
    """The instant as the pipeline reads it: messages tell milliseconds."""
    return at.replace(microsecond=at.microsecond // 1000 * 1000)
