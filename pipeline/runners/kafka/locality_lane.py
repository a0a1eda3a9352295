"""Stage two over one partition: changes and commands in; case events, questions, and what endpoints must be told of them, out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from citybrain.bus.topics import EPISODES, LOCALITY_COMMANDS
from citybrain.clock import Clock, iso
from citybrain.domain.command import Absorb, Command, Configured, Delivered, LookAgain, Silenced, Tick
from citybrain.errors import Unreadable
from citybrain.wire import CASE_EVENTS, COMMANDS, write_case_event, write_command
from citybrain.wire.letters import is_about_letter, read_about_letter
from pipeline.cases.records import LocalityState
from pipeline.changes import read_change
from pipeline.effects import Ask, Effects
from pipeline.flow import Pipeline
from pipeline.runners.kafka import letters
from pipeline.runners.kafka.lanes import Lane, Taken
from pipeline.runners.kafka.records import Owed, Record, read_record, silences_key, write_record
from pipeline.runners.taken import delivered_id
from pipeline.silences import Silences
from pipeline.state import read_locality, read_silences, write_locality, write_silences


class LocalityLane(Lane):
    """The localities of one partition, and its own copy of what is silenced. `endpoints` are told of what is dispatched."""

    sources = (EPISODES, LOCALITY_COMMANDS)

    def __init__(
        self,
        pipeline: Pipeline,
        stored: Mapping[bytes, bytes],
        *,
        partition: int,
        endpoints: Sequence[str],
        clock: Clock,
    ) -> None:
        super().__init__(pipeline, stored, partition=partition, clock=clock)
        self._endpoints = tuple(endpoints)
        self._states: dict[str, LocalityState] = {}
        self._at = 0
        """The offset of the command that is applied just now."""
        raw = stored.get(silences_key(partition))
        self._silences_record = read_record(raw) if raw is not None else Record()
        state = self._silences_record.state
        self._silences: Silences = read_silences(state) if state else {}
        self._newly_silenced = False

    # -- the states that a step reads -----------------------------------------------------------------------------------

    def locality(self, key: str) -> LocalityState:
        if key not in self._states:
            raw = self._record(key).state
            self._states[key] = read_locality(raw) if raw else LocalityState()
        return self._states[key]

    def localities(self) -> Iterable[str]:
        """Those that the command of just now has not reached yet: before a crash it may have reached some."""
        return [key for key in sorted(self._names) if not self._reached(key)]

    def silences(self) -> Silences:
        return self._silences

    def names(self) -> Sequence[str]:
        """Every locality that ever had a case here."""
        return sorted(self._names)

    def any_open(self) -> bool:
        """Whether time matters to anything here."""
        return any(record.case.state.is_open for key in self._names for record in self.locality(key).records)

    # -- one message ----------------------------------------------------------------------------------------------------

    def _take(self, message: Taken) -> None:
        if message.topic == EPISODES:
            self._change(message)
        elif is_about_letter(message.value):
            self._letter(message)
        elif (heard := self._command_in(message)) is not None:
            self._at = message.offset
            self._command(*heard, message)

    def _change(self, message: Taken) -> None:
        change, n = read_change(message.value)
        record, mark = self._record(change.locality), (iso(change.at), n)
        if message.offset < record.next.get(EPISODES, 0) or mark <= record.heard.get(change.camera, ("", 0)):
            return  # said before
        effects = Effects()
        self._pipeline.two.change(change, self, effects)
        record.heard[change.camera] = mark
        record.next[EPISODES] = message.offset + 1
        self._enter(effects, change.locality)

    def _command(self, command: Command, origin: Taken, message: Taken) -> None:
        effects = Effects()
        match command:
            case LookAgain():
                raise Unreadable("expected what concerns localities, got a question to a camera")
            case Tick() | Configured() | Silenced():
                concerned = list(self.localities())
                self._pipeline.two.command(command, self, effects)
                self._silence(effects, message)
                if isinstance(command, Configured) and command.revision == self._pipeline.city.revision:
                    self._progress.revision = command.revision
                for key in concerned:
                    self._record(key).next[message.topic] = message.offset + 1
                self._enter(effects, "")
                for aside in effects.set_aside:
                    self._set_aside(aside, origin)
            case _:
                key = command.locality
                if self._reached(key):
                    return
                self._pipeline.two.command(command, self, effects)
                self._record(key).next[message.topic] = message.offset + 1
                self._enter(effects, key)
                if isinstance(command, Delivered):
                    self._delivered(command)
                for aside in effects.set_aside:
                    self._set_aside(aside, origin, name=key)

    def _enter(self, effects: Effects, asker: str) -> None:
        """Owe what follows with the record of the locality that it follows from; `asker` is the one that the message concerns."""
        for key, state in effects.localities.items():
            self._states[key] = state
            self._record(key)
            self._dirty.add(key)
        now = self._clock.now()
        for each in effects.told:
            case = each.event.case
            endpoints = self._endpoints if each.dispatch else ()
            self._owe(
                case.locality, Owed(each.event.id, CASE_EVENTS, case.id, write_case_event(each.event), now, endpoints)
            )
        for ask in effects.asks:
            self._owe(_asker_of(ask) or asker, Owed(ask.id, COMMANDS, _key_of(ask), write_command(ask), now))

    def _owe(self, locality: str, owed: Owed) -> None:
        self._record(locality).owe(owed)
        self._tell(locality)

    def _silence(self, effects: Effects, message: Taken) -> None:
        """Read again after a crash, a command does not take back what those after it did to the silences."""
        if effects.silences is None or message.offset < self._silences_record.next.get(message.topic, 0):
            return
        self._silences = effects.silences
        self._silences_record = Record(write_silences(effects.silences), next={message.topic: message.offset + 1})
        self._newly_silenced = True

    def _delivered(self, command: Delivered) -> None:
        """An endpoint has the message: nothing is owed to it any more."""
        record = self._record(command.locality)
        for index, each in enumerate(record.owed):
            for endpoint in each.endpoints:
                if command.id == delivered_id(endpoint, each.id):
                    record.owed[index] = each.delivered_to(endpoint)
                    self._dirty.add(command.locality)
        record.owed = [each for each in record.owed if each.endpoints or not each.said]

    def _letter(self, message: Taken) -> None:
        """The sender gave up, or somebody wants it tried again."""
        said = read_about_letter(message.value)
        key = letters.locality_of(said)
        record = self._record(key)
        if message.offset < record.next.get(message.topic, 0):
            return  # before the crash
        record.next[message.topic] = message.offset + 1
        letters.hear(record, said, now=self._clock.now())
        self._tell(key)

    def _reached(self, key: str) -> bool:
        """Whether the command of just now was applied there before a crash."""
        return self._at < self._record(key).next.get(LOCALITY_COMMANDS, 0)

    # -- what is stored -------------------------------------------------------------------------------------------------

    def _state(self, name: str) -> bytes | None:
        return write_locality(self._states[name]) if name in self._states else self._record(name).state

    def _more(self) -> dict[bytes, bytes]:
        if not self._newly_silenced:
            return {}
        self._newly_silenced = False
        return {silences_key(self._partition): write_record(self._silences_record)}


def _asker_of(ask: Ask) -> str | None:
    """The locality whose record owes it; None of an answer to what came from elsewhere."""
    match ask:
        case Absorb():
            return ask.other.locality
        case LookAgain():
            return ask.locality
        case _:
            return None


def _key_of(ask: Ask) -> str:
    return ask.camera if isinstance(ask, LookAgain) else ask.case
