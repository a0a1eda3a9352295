"""The whole pipeline as one pure step: a message and the states it concerns in, new states and what follows out.

detections ──► stage one ──changes──► stage two ──► case events, questions
commands   ──► whichever they concern
"""

from __future__ import annotations

from citybrain.domain.command import Command, Configured, LookAgain
from citybrain.domain.detection import Detections
from citybrain.errors import Unreadable
from citybrain.wire import COMMANDS, DETECTIONS, read_command, read_detections
from pipeline.city import City
from pipeline.effects import Effects, SetAside, States
from pipeline.stage_one import StageOne
from pipeline.stage_two import StageTwo


class Pipeline:
    """Scenes, cameras and routes of one city, the step, and the two stages of which it is made. Holds no state."""

    def __init__(self, city: City) -> None:
        self.city = city
        self.one, self.two = StageOne(city), StageTwo(city)

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
        effects = Effects()
        for change in self.one.look(seen, states, effects):
            self.two.change(change, states, effects)
        return effects

    def _command(self, command: Command, states: States) -> Effects:
        effects = Effects()
        match command:
            case LookAgain():
                self.one.look_again(command, states, effects)
            case Configured():
                self.one.configured(states, effects)
                self.two.command(command, states, effects)
            case _:
                self.two.command(command, states, effects)
        return effects
