"""Stage one: from what one camera saw to the episodes at its places. Keyed by camera, pure, in the time of the data."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from citybrain.domain.camera import Camera, Zone
from citybrain.domain.command import LookAgain
from citybrain.domain.detection import Detection, Detections, Usable
from citybrain.domain.episode import ChangeKind, EpisodeChange, Evidence
from citybrain.domain.geometry import Homography
from citybrain.domain.locality import locality_of
from citybrain.domain.observation import Verdict
from pipeline import ledger as entries
from pipeline.episode import Episode, advance, begin, confirm_if_due
from pipeline.ledger import Ledger, Outcome
from pipeline.looking_again import FORGET_AFTER, Asked, answer, ask
from pipeline.rules import Look, Memory, Observation
from pipeline.scene import Scene, Status


@dataclass(frozen=True, slots=True)
class Held:
    """A place that a scene has its eye on: its episode or candidate, and what will be told of it.

    `tally` counts the candidate's detections until the ledger knows their end; `seen` is the strongest detection of the
    last look that saw it; `first` the first picture that shows it.
    """

    episode: Episode
    tally: int
    seen: Detection
    first: Evidence | None = None
    last: Evidence | None = None
    withheld: str = ""


@dataclass(frozen=True, slots=True)
class Watch:
    """What one scene knows of one zone of the camera: the rule's memory, and the places held."""

    memory: Memory = field(default_factory=dict)
    held: Mapping[str, Held] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CameraState:
    """All that is remembered of a camera. `looks_lost` counts gaps in its sequence numbers, which begin anew with each
    `taken_up_at`; `asked` are the questions about its places, by scene and place."""

    last_at: datetime | None = None
    last_seq: int = 0
    looks: int = 0
    looks_lost: int = 0
    watches: Mapping[str, Watch] = field(default_factory=dict)
    ledgers: Mapping[str, Ledger] = field(default_factory=dict)
    asked: Mapping[str, Asked] = field(default_factory=dict)
    taken_up_at: datetime | None = None


def advance_camera(
    state: CameraState, seen: Detections, camera: Camera, scenes: Sequence[Scene]
) -> tuple[CameraState, list[EpisodeChange]]:
    """The camera after a look, and what happened to its episodes. A look that is not newer than the last changes nothing,
    and is not lost either."""
    if state.last_at is not None and seen.captured_at <= state.last_at:
        return _passed_over(state, seen), []
    watches: dict[str, Watch] = {}
    ledgers = {scene: dict(ledger) for scene, ledger in state.ledgers.items()}
    changes: list[EpisodeChange] = []
    asked = {key: each for key, each in state.asked.items() if seen.captured_at - each.said_at <= FORGET_AFTER}
    open_scenes = {key.partition("/")[0] for key, watch in state.watches.items() if _any_open(watch)}
    for scene in scenes:
        if scene.file.status is Status.DRAFT:
            continue
        inhibited = next((other for other in scene.file.inhibited_by if other in open_scenes), "")
        for zone in camera.zones_of(scene.file.zone_kind):
            key = f"{scene.id}/{zone.id}"
            ledger = ledgers.setdefault(scene.id, {})
            step = _Step(scene, camera, zone, seen, ledger=ledger, inhibited=inhibited)
            watches[key] = step.run(state.watches.get(key, Watch()))
            step.answer(watches[key], asked)
            changes += step.changes
    _set_aside({key: watch for key, watch in state.watches.items() if key not in watches}, ledgers)
    counted_on = seen.taken_up_at == state.taken_up_at and seen.seq > state.last_seq
    lost = seen.seq - state.last_seq - 1 if counted_on and state.last_at is not None else 0
    return (
        CameraState(
            last_at=seen.captured_at,
            last_seq=seen.seq,
            looks=state.looks + 1,
            looks_lost=state.looks_lost + lost,
            watches=watches,
            ledgers=ledgers,
            asked=asked,
            taken_up_at=seen.taken_up_at,
        ),
        changes,
    )


def _passed_over(state: CameraState, seen: Detections) -> CameraState:
    """For a moment two processes look at a camera that changes hands, often at the same picture: what came second has come."""
    if seen.taken_up_at is None or seen.taken_up_at != state.taken_up_at or seen.seq <= state.last_seq:
        return state
    lost = seen.seq - state.last_seq - 1
    return replace(state, last_seq=seen.seq, looks_lost=state.looks_lost + lost)


def look_again(state: CameraState, command: LookAgain) -> CameraState:
    """The camera after it was asked to look at one of its places again; asked twice, it answers once."""
    key = f"{command.scene}/{command.place}"
    before = state.asked.get(key)
    after = ask(before, locality=command.locality, asked_at=command.asked_at, said_at=command.at)
    return state if after == before else replace(state, asked={**state.asked, key: after})


def let_go(state: CameraState, camera: Camera | None, scenes: Sequence[Scene]) -> CameraState:
    """The camera without what its configuration no longer asks it to watch; `camera` is None when it was removed."""
    watched = {
        f"{scene.id}/{zone.id}"
        for scene in scenes
        if camera is not None and scene.file.status is not Status.DRAFT
        for zone in camera.zones_of(scene.file.zone_kind)
    }
    gone = {key: watch for key, watch in state.watches.items() if key not in watched}
    if not gone:
        return state
    ledgers = {scene: dict(ledger) for scene, ledger in state.ledgers.items()}
    _set_aside(gone, ledgers)
    return replace(
        state, watches={key: each for key, each in state.watches.items() if key not in gone}, ledgers=ledgers
    )


def pending(state: CameraState, scene: str) -> int:
    """Detections of the scene's candidates whose end the ledger does not know yet."""
    return sum(
        held.tally
        for key, watch in state.watches.items()
        if key.partition("/")[0] == scene
        for held in watch.held.values()
    )


def _set_aside(gone: Mapping[str, Watch], ledgers: dict[str, Ledger]) -> None:
    """Enter what was held there: its scene, zone or camera is no longer configured."""
    for key, watch in gone.items():
        ledger = ledgers.setdefault(key.partition("/")[0], {})
        for held in watch.held.values():
            entries.settle(ledger, Outcome.SET_ASIDE, held.tally, reason="configuration")


def _any_open(watch: Watch) -> bool:
    return any(held.episode.is_open for held in watch.held.values())


class _Step:
    """One look at one zone for one scene."""

    def __init__(
        self, scene: Scene, camera: Camera, zone: Zone, seen: Detections, *, ledger: Ledger, inhibited: str
    ) -> None:
        self.scene, self.camera, self.zone, self.seen, self.ledger = scene, camera, zone, seen, ledger
        self.inhibited = f"inhibited by {inhibited}" if inhibited else ""
        self.changes: list[EpisodeChange] = []
        self.ended: list[str] = []

    def run(self, watch: Watch) -> Watch:
        memory, observations = self._observe(watch)
        held: dict[str, Held] = {}
        observed: set[str] = set()
        for observation in observations:
            observed.add(observation.place)
            after = self._apply(observation, watch.held.get(observation.place))
            if after is not None:
                held[observation.place] = after
        for place, before in watch.held.items():
            if place not in observed:  # the rule no longer knows the place: it cannot be told any more
                after = self._apply(Observation(place, Verdict.UNKNOWN), before)
                if after is not None:
                    held[place] = after
        return Watch(self.scene.rule.settle(memory, held.keys(), self.ended), held)

    def answer(self, watch: Watch, asked: dict[str, Asked]) -> None:
        """Answer what was asked about places of this zone; the questions are written back."""
        zone = f"{self.camera.id}/{self.zone.id}"
        for key, question in list(asked.items()):
            place = key.removeprefix(f"{self.scene.id}/")
            if place == key or (place != zone and not place.startswith(f"{zone}/")):
                continue
            held = watch.held.get(place[len(zone) + 1 :])
            asked[key], kind = answer(
                question,
                self.seen,
                held=held is not None,
                is_open=held is not None and held.episode.is_open,
                true=held is not None and held.episode.last_true_at == self.seen.captured_at,
                max_gap=self.scene.file.max_gap,
                verify_for=self.scene.file.verify_for,
            )
            if kind is not None:
                self._tell_answer(kind, place, question, held)

    def _tell_answer(self, kind: ChangeKind, place: str, question: Asked, held: Held | None) -> None:
        box, picture = held.seen.box if held else None, self.seen.evidence
        decided = kind in (ChangeKind.SEEN_GONE, ChangeKind.STILL_THERE)
        shown = Evidence(picture, self.camera.id, self.seen.captured_at, "after", box) if decided and picture else None
        self.changes.append(
            EpisodeChange(
                kind=kind,
                scene=self.scene.id,
                camera=self.camera.id,
                zone=self.zone.id,
                place=place,
                locality=question.locality,
                began_at=question.asked_at,
                at=self.seen.captured_at,
                label=held.seen.label if held else "",
                confidence=held.seen.confidence if held else 0.0,
                box=box,
                observed_s=0.0,
                assumed_s=0.0,
                unseen_s=0.0,
                reason=self.seen.usable.value,
                shared_place=self.zone.place,
                evidence=(shown,) if shown else (),
                stamps={"captured": self.seen.captured_at, **self.seen.stamps},
                model=self.seen.model,
            )
        )

    def _observe(self, watch: Watch) -> tuple[Memory, Sequence[Observation]]:
        if self.seen.usable is Usable.OK:
            terms = self.scene.terms
            look = Look(self.seen, self.zone, terms.hold, terms.max_gap, terms.clear_after)
            return self.scene.rule.observe(watch.memory, look)
        concerned = sum(1 for each in self.seen.detections if each.label in self.scene.rule.labels)
        entries.concern(self.ledger, concerned)
        entries.settle(self.ledger, Outcome.SET_ASIDE, concerned, reason=self.seen.usable.value)
        places: Collection[str] = self.scene.rule.places(watch.memory)
        return watch.memory, [Observation(place, Verdict.UNKNOWN, reason=self.seen.usable.value) for place in places]

    def _apply(self, observation: Observation, before: Held | None) -> Held | None:
        entries.concern(self.ledger, len(observation.concerned))
        withheld = observation.withheld or self.inhibited
        strongest = observation.strongest
        if before is None:
            if observation.verdict is not Verdict.TRUE or strongest is None:
                return None
            started = begin(self.seen.captured_at)
            episode, change = confirm_if_due(
                started, self.seen.captured_at, terms=self.scene.terms, withheld=bool(withheld)
            )
            evidence = self._evidence("first", strongest)
            held = Held(episode, 0, strongest, evidence, evidence, withheld)
            return self._after(held, change, observation)
        if observation.over:
            if before.episode.is_open:
                self._tell(ChangeKind.ENDED, before, observation)
            self._drop(observation.place, before, Outcome.CLEARED, observation.reason)
            return None
        after, change = advance(
            before.episode,
            observation.verdict,
            self.seen.captured_at,
            terms=self.scene.terms,
            withheld=bool(withheld),
        )
        if after is None:
            if change is not None:
                self._tell(change, before, observation)
            never_seen_absent = observation.verdict is Verdict.UNKNOWN
            outcome = Outcome.SET_ASIDE if never_seen_absent else Outcome.CLEARED
            self._drop(observation.place, before, outcome, "unseen" if never_seen_absent else "")
            return None
        held = replace(before, episode=after)
        if strongest is not None:
            evidence = self._evidence("seen", strongest)
            if after.began_at != before.episode.began_at:  # the hold started anew: so do its pictures
                first = replace(evidence, role="first") if evidence else None
                self._settle(before, Outcome.SET_ASIDE, "gap")
                held = replace(held, tally=0, first=first)
            held = replace(held, seen=strongest, last=evidence or held.last, withheld=withheld)
        return self._after(held, change, observation)

    def _after(self, held: Held, change: ChangeKind | None, observation: Observation) -> Held:
        count = len(observation.concerned)
        if change is not None:
            self._tell(change, held, observation)
        if change is ChangeKind.BEGAN:
            entries.settle(self.ledger, Outcome.OPENED, held.tally + count)
            return replace(held, tally=0)
        if held.episode.is_open:
            entries.settle(self.ledger, Outcome.MERGED, count)
            return held
        return replace(held, tally=held.tally + count)

    def _drop(self, place: str, held: Held, outcome: Outcome, reason: str) -> None:
        if held.episode.is_open:
            self.ended.append(place)
        self._settle(held, outcome, reason)

    def _settle(self, held: Held, outcome: Outcome, reason: str) -> None:
        if held.withheld:
            outcome, reason = Outcome.SUPPRESSED, held.withheld
        entries.settle(self.ledger, outcome, held.tally, reason=reason)

    def _evidence(self, role: str, shown: Detection) -> Evidence | None:
        if self.seen.evidence is None:
            return None
        return Evidence(self.seen.evidence, self.camera.id, self.seen.captured_at, role, shown.box)

    def _tell(self, kind: ChangeKind, held: Held, observation: Observation) -> None:
        episode, seen = held.episode, held.seen
        pictures: tuple[Evidence | None, ...] = ()
        if kind is ChangeKind.BEGAN:
            confirming = replace(held.last, role="confirming") if held.last else None
            same = held.first is not None and confirming is not None and held.first.ref == confirming.ref
            pictures = (confirming,) if same else (held.first, confirming)
        elif kind is ChangeKind.ENDED:
            pictures = (self._evidence("clear", seen),)
        suffix = f"/{observation.place}" if observation.place else ""
        ground: Homography | None = self.zone.ground
        self.changes.append(
            EpisodeChange(
                kind=kind,
                scene=self.scene.id,
                camera=self.camera.id,
                zone=self.zone.id,
                place=f"{self.camera.id}/{self.zone.id}{suffix}",
                locality=locality_of(self.camera, self.zone),
                began_at=episode.began_at,
                at=self.seen.captured_at,
                label=seen.label,
                confidence=seen.confidence,
                box=seen.box,
                observed_s=episode.observed.total_seconds(),
                assumed_s=episode.assumed.total_seconds(),
                unseen_s=episode.unseen.total_seconds(),
                reason=observation.reason or ("gone" if kind is ChangeKind.ENDED else self.seen.usable.value),
                shared_place=self.zone.place,
                ground=ground.ground(seen.box.foot) if ground else None,
                evidence=tuple(each for each in pictures if each is not None),
                stamps={"captured": self.seen.captured_at, **self.seen.stamps, "confirmed": self.seen.captured_at},
                model=self.seen.model,
            )
        )
