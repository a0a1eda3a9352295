"""The whole pipeline as one pure step: a message and the states it concerns in, new states and what follows out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Literal, Protocol

from citybrain.domain.case import CaseAction
from citybrain.domain.command import (
    Absorb,
    Act,
    Command,
    Configured,
    Delivered,
    Filmed,
    LookAgain,
    Reported,
    Silenced,
    Tick,
)
from citybrain.domain.detection import Detections
from citybrain.errors import Unreadable
from citybrain.wire import COMMANDS, DETECTIONS, read_command, read_detections
from pipeline.camera_flow import CameraState, advance_camera, let_go, look_again
from pipeline.cases.actions import act
from pipeline.cases.asking import asks
from pipeline.cases.episodes import advance_episode, withdraw
from pipeline.cases.merging import absorb
from pipeline.cases.notices import delivered, filmed
from pipeline.cases.passing import release, tick
from pipeline.cases.records import LocalityState, Told
from pipeline.cases.reports import report
from pipeline.cases.verification import ask_again
from pipeline.city import City
from pipeline.scene import Scene
from pipeline.silences import Silences, silenced

Ask = Absorb | Act | LookAgain
"""What the pipeline asks of itself, and of ingest."""


class States(Protocol):
    """Where a step finds the states; it never writes them."""

    def camera(self, key: str) -> CameraState: ...

    def known_cameras(self) -> Iterable[str]: ...

    def locality(self, key: str) -> LocalityState: ...

    def localities(self) -> Iterable[str]: ...

    def silences(self) -> Silences: ...


@dataclass(frozen=True, slots=True)
class SetAside:
    """A message that could not be acted on, and why; it is kept, shown and never tried again."""

    kind: Literal["unreadable", "unknown", "refused"]
    reason: str


@dataclass(slots=True)
class Effects:
    """What a step asks its runner to commit together.

    `asks` are commands of the pipeline to itself and to ingest. A runner applies them before the next message, puts them on
    the bus in the same commit, and passes them over when they come by.
    """

    cameras: dict[str, CameraState] = field(default_factory=dict)
    localities: dict[str, LocalityState] = field(default_factory=dict)
    silences: Silences | None = None
    told: list[Told] = field(default_factory=list)
    asks: list[Ask] = field(default_factory=list)
    set_aside: list[SetAside] = field(default_factory=list)


class Pipeline:
    """Scenes, cameras and routes of one city, and the step. Holds no state: every step is given it."""

    def __init__(self, city: City) -> None:
        self.city = city
        self._scenes: Sequence[Scene] = list(city.scenes.values())

    def step(self, topic: str, value: bytes, states: States) -> Effects:
        """What follows from one message."""
        if topic not in (DETECTIONS, COMMANDS):
            return Effects(set_aside=[SetAside("unknown", f"no topic {topic!r}")])
        try:
            message = read_detections(value) if topic == DETECTIONS else read_command(value)
        except Unreadable as error:
            return Effects(set_aside=[SetAside("unreadable", str(error))])
        return self.look(message, states) if isinstance(message, Detections) else self._command(message, states)

    def look(self, seen: Detections, states: States) -> Effects:
        """What follows from one look of a camera."""
        camera = self.city.cameras.get(seen.camera)
        if camera is None:
            return Effects(set_aside=[SetAside("unknown", f"no camera {seen.camera!r} is configured")])
        state, changes = advance_camera(states.camera(seen.camera), seen, camera, self._scenes)
        effects = Effects(cameras={seen.camera: state})
        city = self._as_of(states.silences())
        for change in changes:
            advance = partial(advance_episode, change=change, city=city)
            self._locality(change.locality, states, effects, advance, at=change.at)
        return effects

    def _command(self, command: Command, states: States) -> Effects:
        effects, city = Effects(), self._as_of(states.silences())
        match command:
            case Tick() | Configured() | Silenced():
                self._everywhere(command, states, effects, city)
            case Delivered():
                taken = partial(delivered, command=command)
                self._locality(command.locality, states, effects, taken, at=command.at)
            case Act():
                self._asked(command, states, effects, partial(act, command=command, city=city))
            case Filmed():
                self._asked(command, states, effects, partial(filmed, command=command))
            case Reported():
                self._asked(command, states, effects, partial(report, command=command, city=city))
            case Absorb():
                if why := self._asked(command, states, effects, partial(absorb, command=command)):
                    effects.asks.append(_take_back(command, why))
            case LookAgain():
                self._look_again(command, states, effects)
        return effects

    def _everywhere(self, command: Tick | Configured | Silenced, states: States, effects: Effects, city: City) -> None:
        """What concerns every locality."""
        match command:
            case Tick():
                for key in states.localities():
                    self._locality(key, states, effects, partial(tick, at=command.at, city=city), at=command.at)
                    again = partial(ask_again, key=key, at=command.at, city=city)
                    self._locality(key, states, effects, again, at=command.at)
            case Configured():
                for key in states.known_cameras():
                    before = states.camera(key)
                    after = let_go(before, self.city.cameras.get(key), self._scenes)
                    if after is not before:
                        effects.cameras[key] = after
                for key in states.localities():
                    withdrawn = partial(withdraw, key=key, at=command.at, city=self.city, cause=command.id)
                    self._locality(key, states, effects, withdrawn, at=command.at)
            case Silenced():
                self._silenced(command, states, effects)

    def _silenced(self, command: Silenced, states: States, effects: Effects) -> None:
        """A silence made or ended; what none holds back any more is told at once."""
        silences, why = silenced(states.silences(), command)
        if why:
            effects.set_aside.append(SetAside("refused", why))
            return
        effects.silences, city = silences, self._as_of(silences)
        for key in states.localities():
            release_all = partial(release, at=command.at, city=city, cause=command.id)
            self._locality(key, states, effects, release_all, at=command.at)

    def _look_again(self, command: LookAgain, states: States, effects: Effects) -> None:
        if command.camera not in self.city.cameras:
            effects.set_aside.append(SetAside("unknown", f"no camera {command.camera!r} is configured"))
            return
        before = states.camera(command.camera)
        after = look_again(before, command)
        if after is not before:
            effects.cameras[command.camera] = after

    def _as_of(self, silences: Silences) -> City:
        """The city with the silences that people made."""
        return replace(self.city, silences=silences) if silences else self.city

    @staticmethod
    def _asked(
        command: Act | Filmed | Reported | Absorb,
        states: States,
        effects: Effects,
        answer: Callable[[LocalityState], tuple[LocalityState, list[Told], str]],
    ) -> str:
        """What may be refused, for the reason that the answer gives."""
        before = states.locality(command.locality)
        after, told, why = answer(before)
        if after is not before:
            effects.localities[command.locality] = after
            effects.asks += asks(before, after, command.at)
        effects.told += told
        if why:
            effects.set_aside.append(SetAside("refused", why))
        return why

    @staticmethod
    def _locality(
        key: str,
        states: States,
        effects: Effects,
        advance: Callable[[LocalityState], tuple[LocalityState, list[Told]]],
        *,
        at: datetime,
    ) -> None:
        before = effects.localities.get(key) or states.locality(key)
        after, told = advance(before)
        if after is not before:
            effects.localities[key] = after
            effects.asks += asks(before, after, at)
        effects.told += told


def _take_back(command: Absorb, why: str) -> Act:
    """The merge of which the other half cannot be, taken back."""
    return Act(
        id=f"refused-{command.id}",
        case=command.other.id,
        locality=command.other.locality,
        action=CaseAction.UNDO,
        actor="citybrain",
        at=command.at,
        reason=why,
    )
