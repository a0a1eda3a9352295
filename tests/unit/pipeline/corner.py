"""A corner: one locality driven by hand, and everything that was told of it."""

from typing import Any

from citybrain.domain.case import CaseAction
from citybrain.domain.command import Absorb, Act, Delivered, Filmed
from citybrain.domain.episode import ChangeKind, EpisodeChange, Evidence
from pipeline.cases.actions import act
from pipeline.cases.asking import asks
from pipeline.cases.episodes import advance_episode
from pipeline.cases.merging import absorb
from pipeline.cases.notices import delivered, filmed
from pipeline.cases.passing import tick
from pipeline.cases.records import LocalityState
from pipeline.cases.verification import ask_again
from tests.flows.street import FIRE, SECOND, START, A, camera, city, scene

KIND = ChangeKind
TOWN = city([scene(), scene(FIRE)], [camera("gd-1"), camera("gd-2")])
METRE = 1 / 111_195  # degrees of latitude


def change(kind=KIND.BEGAN, *, place="gd-1/kerb/one", began=0, at=300, box=A, scene="illegal_parking", **more):
    camera, zone, *_ = place.split("/")
    when = START + at * SECOND
    fields: dict[str, Any] = {
        "label": "car",
        "confidence": 0.9,
        "observed_s": 290.0,
        "assumed_s": 10.0,
        "unseen_s": 0.0,
        "stamps": {"captured": when, "confirmed": when},
        "evidence": (Evidence(f"{place}-{kind}.jpg", camera, when, "first", box),),
    }
    began_at = START + began * SECOND
    return EpisodeChange(kind, scene, camera, zone, place, "place:corner", began_at, when, box=box, **fields | more)


class Corner:
    """A locality, and everything that was told of it."""

    def __init__(self, town=TOWN):
        self.town, self.state, self.events, self.n = town, LocalityState(), [], 0

    def sees(self, *changes):
        return self._after(*(lambda state, each=each: advance_episode(state, each, self.town) for each in changes))

    def acts(self, action, *, id=None, case=None, at=400, **more):
        self.n += 1
        chosen = case or self.case.id
        command = Act(
            id or f"act-{self.n}", chosen, "place:corner", CaseAction(action), "li", START + at * SECOND, **more
        )
        before = self.state
        self.state, told, self.why = act(self.state, command, self.town)
        self.events += told
        if self.why:
            assert self.state is before
            assert told == []
        return [one.event.type.value.rpartition(".")[2] for one in told]

    def absorbs(self, other, *, into, at=410, undone=False, id="absorb"):
        """The case becomes the one that another was merged into; `places` are where that one was seen."""
        places = {other.place: other.cameras[0]} if other.cameras else {}
        when = START + at * SECOND
        command = Absorb(f"{id}-{undone}", into, "place:corner", other, "li", when, places, undone)
        self.state, told, self.why = absorb(self.state, command)
        self.events += told
        return [one.event.type.value.rpartition(".")[2] for one in told]

    def asks(self, *, since=None, at=400):
        """What is asked because of what became of the locality since then."""
        return list(asks(since or LocalityState(), self.state, START + at * SECOND))

    def is_asked_again(self, at):
        return self._after(lambda state: ask_again(state, key="place:corner", at=START + at * SECOND, city=self.town))

    def is_delivered(self, *, version=1, at=310):
        case, when = self.case, START + at * SECOND
        command = Delivered(
            "d", case.id, case.locality, f"{case.id}-{version}", when, when + SECOND, when + 2 * SECOND, "D-7"
        )
        return self._after(lambda state: delivered(state, command))

    def is_filmed(self, *, at=310, ref="clip.mp4", place="gd-1/kerb/one", confirmed=300, since=295, **more):
        clip = Evidence(ref, place.partition("/")[0], START + since * SECOND, "around", None, START + at * SECOND)
        fields = {"scene": "illegal_parking", "locality": "place:corner", "began_at": START, "at": START + at * SECOND}
        command = Filmed(
            f"filmed-{ref}", place=place, confirmed_at=START + confirmed * SECOND, clip=clip, **fields | more
        )
        before = self.state
        self.state, told, self.why = filmed(self.state, command)
        self.events += told
        if not told:
            assert self.state is before
        return [one.event.type.value.rpartition(".")[2] for one in told]

    def ticks(self, at):
        return self._after(
            lambda state: tick(state, START + at * SECOND if isinstance(at, int) else START + at, self.town)
        )

    def _after(self, *steps):
        found = []
        for step in steps:
            self.state, told = step(self.state)
            found += told
        self.events += found
        return [one.event.type.value.rpartition(".")[2] for one in found]

    @property
    def case(self):
        return self.state.records[-1].case
