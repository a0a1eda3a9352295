"""Stage two: what changes of episodes, and commands, make of cases. Keyed by locality; every runner takes this step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import partial

from citybrain.domain.case import CaseAction
from citybrain.domain.command import Absorb, Act, Configured, Delivered, Filmed, Reported, Silenced, Tick
from citybrain.domain.episode import EpisodeChange
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
from pipeline.effects import Effects, LocalityStates, SetAside
from pipeline.silences import Silences, silenced

OfOne = Absorb | Act | Delivered | Filmed | Reported
"""What concerns one locality."""
OfAll = Configured | Silenced | Tick
"""What concerns every locality."""


class StageTwo:
    """The routes, areas and scenes of one city. Holds no state: every step is given it, and enters what follows in `effects`."""

    def __init__(self, city: City) -> None:
        self._city = city

    def change(self, change: EpisodeChange, states: LocalityStates, effects: Effects) -> None:
        """Something happened to an episode, or a camera answered."""
        advance = partial(advance_episode, change=change, city=self._as_of(states.silences()))
        self._locality(change.locality, states, effects, advance, at=change.at)

    def command(self, command: OfOne | OfAll, states: LocalityStates, effects: Effects) -> None:
        """Somebody, or the clock, asks something of one locality or of all."""
        city = self._as_of(states.silences())
        match command:
            case Tick():
                for key in states.localities():
                    self._locality(key, states, effects, partial(tick, at=command.at, city=city), at=command.at)
                    again = partial(ask_again, key=key, at=command.at, city=city)
                    self._locality(key, states, effects, again, at=command.at)
            case Configured():
                for key in states.localities():
                    withdrawn = partial(withdraw, key=key, at=command.at, city=self._city, cause=command.id)
                    self._locality(key, states, effects, withdrawn, at=command.at)
            case Silenced():
                self._silenced(command, states, effects)
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

    def _silenced(self, command: Silenced, states: LocalityStates, effects: Effects) -> None:
        """A silence made or ended; what none holds back any more is told at once."""
        silences, why = silenced(states.silences(), command)
        if why:
            effects.set_aside.append(SetAside("refused", why))
            return
        effects.silences, city = silences, self._as_of(silences)
        for key in states.localities():
            release_all = partial(release, at=command.at, city=city, cause=command.id)
            self._locality(key, states, effects, release_all, at=command.at)

    def _as_of(self, silences: Silences) -> City:
        """The city with the silences that people made."""
        return replace(self._city, silences=silences) if silences else self._city

    @staticmethod
    def _asked(
        command: Act | Filmed | Reported | Absorb,
        states: LocalityStates,
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
        states: LocalityStates,
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
