"""Stage one over one partition: looks and questions in, changes of episodes out. A camera's state is written when it tells,
and else with the partition's progress, some each second."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from citybrain.bus.topics import CAMERA_COMMANDS, EPISODES
from citybrain.clock import Clock, iso
from citybrain.domain.command import Configured, LookAgain
from citybrain.domain.episode import EpisodeChange
from citybrain.errors import Unreadable
from citybrain.wire import DETECTIONS, read_detections
from pipeline.camera_flow import CameraState
from pipeline.changes import write_change
from pipeline.effects import Effects
from pipeline.flow import Pipeline
from pipeline.runners.kafka.lanes import Lane, Taken
from pipeline.runners.kafka.records import Owed
from pipeline.state import read_camera, write_camera


class CameraLane(Lane):
    """The cameras of one partition."""

    sources = (DETECTIONS, CAMERA_COMMANDS)

    def __init__(self, pipeline: Pipeline, stored: Mapping[bytes, bytes], *, partition: int, clock: Clock) -> None:
        super().__init__(pipeline, stored, partition=partition, clock=clock)
        self._states: dict[str, CameraState] = {}
        self._at = 0
        """The offset of the command that is applied just now."""

    # -- the states that a step reads -----------------------------------------------------------------------------------

    def camera(self, key: str) -> CameraState:
        if key not in self._states:
            raw = self._record(key).state
            self._states[key] = read_camera(raw) if raw else CameraState()
        return self._states[key]

    def known_cameras(self) -> Iterable[str]:
        """Those that the command of just now has not reached yet: before a crash it may have reached some."""
        return [key for key in sorted(self._names) if self._record(key).next.get(CAMERA_COMMANDS, 0) <= self._at]

    def names(self) -> Sequence[str]:
        """Every camera that ever looked here."""
        return sorted(self._names)

    # -- one message ----------------------------------------------------------------------------------------------------

    def _take(self, message: Taken) -> None:
        if message.topic == DETECTIONS:
            self._look(message)
        else:
            self._command(message)

    def _look(self, message: Taken) -> None:
        seen, effects = read_detections(message.value), Effects()
        changes = self._pipeline.one.look(seen, self, effects)
        for key, state in effects.cameras.items():
            self._states[key] = state
            self._dirty.add(key)
        if changes:
            self._owe(seen.camera, changes)
        for aside in effects.set_aside:
            self._set_aside(aside, message)

    def _command(self, message: Taken) -> None:
        heard = self._command_in(message)
        if heard is None:
            return
        (command, origin), effects, self._at = heard, Effects(), message.offset
        match command:
            case LookAgain():
                if message.offset < self._record(command.camera).next.get(message.topic, 0):
                    return  # before the crash
                self._pipeline.one.look_again(command, self, effects)
            case Configured():
                self._pipeline.one.configured(self, effects)
                if command.revision == self._pipeline.city.revision:
                    self._progress.revision = command.revision
            case _:
                raise Unreadable(f"expected a question or a configuration, got {type(command).__name__}")
        for key, state in effects.cameras.items():
            self._states[key] = state
            self._record(key).next[message.topic] = message.offset + 1
            self._dirty.add(key)
        for aside in effects.set_aside:
            self._set_aside(aside, origin)

    def _owe(self, camera: str, changes: Sequence[EpisodeChange]) -> None:
        record = self._record(camera)
        for n, change in enumerate(changes):
            id = f"{camera}@{iso(change.at)}/{n}"
            record.owe(Owed(id, EPISODES, change.locality, write_change(change, n=n), change.at))
        self._tell(camera)

    def _state(self, name: str) -> bytes | None:
        return write_camera(self._states[name]) if name in self._states else self._record(name).state
