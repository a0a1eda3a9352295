"""States held in memory, with what a step changed laid over what is committed, and a message with all that it asks for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator

from citybrain.wire import COMMANDS, write_command
from pipeline.camera_flow import CameraState
from pipeline.cases.records import LocalityState
from pipeline.effects import Effects
from pipeline.flow import Pipeline
from pipeline.silences import Silences


class HeldStates:
    """The States of a pipeline as one process holds them. `load` fetches a state that is not held yet, None if there is none."""

    def __init__(
        self,
        *,
        load_camera: Callable[[str], CameraState | None] = lambda _: None,
        load_locality: Callable[[str], LocalityState | None] = lambda _: None,
        cameras: Iterable[str] = (),
        localities: Iterable[str] = (),
        silences: Silences | None = None,
    ) -> None:
        self._load_camera, self._load_locality = load_camera, load_locality
        self._cameras = set(cameras)
        self._localities = set(localities)
        self.cameras: dict[str, CameraState] = {}
        self.held: dict[str, LocalityState] = {}
        self.kept_silent: Silences = silences or {}

    def camera(self, key: str) -> CameraState:
        if key not in self.cameras:
            self.cameras[key] = self._load_camera(key) or CameraState()
        return self.cameras[key]

    def known_cameras(self) -> Iterable[str]:
        return sorted(self._cameras | self.cameras.keys())

    def locality(self, key: str) -> LocalityState:
        if key not in self.held:
            self.held[key] = self._load_locality(key) or LocalityState()
        return self.held[key]

    def localities(self) -> Iterable[str]:
        return sorted(self._localities | self.held.keys())

    def silences(self) -> Silences:
        return self.kept_silent

    def take(self, effects: Effects) -> None:
        """Make a step's states the current ones."""
        self.cameras |= effects.cameras
        self.held |= effects.localities
        if effects.silences is not None:
            self.kept_silent = effects.silences


def advance(pipeline: Pipeline, topic: str, value: bytes, states: HeldStates) -> Iterator[Effects]:
    """What follows from a message, and then from what the pipeline asks of itself because of it, before any other message.

    So the order of the log decides, not how soon a question comes back by it: every runner comes to the same.
    """
    waiting = deque([(topic, value)])
    while waiting:
        effects = pipeline.step(*waiting.popleft(), states)
        states.take(effects)
        waiting += [(COMMANDS, write_command(each)) for each in effects.asks]
        yield effects
