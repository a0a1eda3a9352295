"""Hard negatives from what operators rejected: the picture, where the wrong thing is background and everything else labelled.

rejected case ──► its reason says that the picture does not show it ──► the pictures it was filed by, as they were taken
──► the present model labels them ──► what lies where something was rejected, of the classes that were meant, is dropped
──► a near-duplicate of the same camera is noted and left out ──► train or test by the camera, always the same way
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from citybrain.clock import iso
from citybrain.domain.case import Case
from citybrain.domain.detection import Detection
from citybrain.domain.episode import Evidence, EvidenceKind
from citybrain.domain.geometry import Box
from citybrain.errors import Unreadable
from citybrain.mining.labelled_set import LabelledSet, Provenance
from citybrain.mining.likeness import held_out, perceptual_hash
from citybrain.mining.reasons import Says, meant, says, written
from citybrain.mining.rejections import Rejections
from detectors.stills import Bgr, decoded

ROLES = frozenset({"first", "confirming"})
"""The pictures by which a case was filed: a camera's own, with what was seen in them. What people photographed shows it from
elsewhere, and `clear` and `after` do not show it."""
HELD_OUT = 0.2
_HIDES = 0.5
_NEAR = 0.3
_WHOLE = Box(0.0, 0.0, 1.0, 1.0)


class Labels(Protocol):
    """What labels pictures: `citybrain.mining.labelling.Labeller`."""

    @property
    def name(self) -> str: ...

    @property
    def confidence(self) -> float: ...

    @property
    def classes(self) -> tuple[str, ...]: ...

    def label(self, picture: Bgr) -> tuple[Detection, ...]: ...


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rejections: filed from then on, of this scene, so many pictures at most; and whether any reason is believed."""

    since: datetime | None = None
    scene: str | None = None
    limit: int | None = None
    any_reason: bool = False


@dataclass(slots=True)
class Report:
    """What a run did, in numbers. `passed_over` is by why; `left` are pictures beyond the limit."""

    cases: int = 0
    negatives: int = 0
    added: Counter[str] = field(default_factory=Counter)
    by_scene: Counter[str] = field(default_factory=Counter)
    passed_over: Counter[str] = field(default_factory=Counter)
    known: int = 0
    duplicates: int = 0
    gone: int = 0
    unreadable: int = 0
    unjudged: int = 0
    taken_back: int = 0
    left: int = 0
    held: int = 0
    """Pictures that the set has now."""

    def fields(self) -> dict[str, Any]:
        """As JSON has them."""
        names = ("cases", "negatives", "added", "by_scene", "passed_over", "known", "duplicates", "gone", "unreadable")
        told = {name: getattr(self, name) for name in (*names, "unjudged", "taken_back", "left", "held")}
        return {name: dict(value) if isinstance(value, Counter) else value for name, value in told.items()}

    def lines(self) -> Iterable[str]:
        """For people: what is nought is not said."""
        yield f"{self.cases} rejected cases, {self.negatives} of them for what is not in the picture"
        for why, count in self.passed_over.most_common():
            yield f"{count} passed over: {why}"
        by_scene = ", ".join(f"{count} of {scene}" for scene, count in sorted(self.by_scene.items()))
        train, test = self.added["train"], self.added["test"]
        yield f"{train + test} pictures added ({train} train, {test} test)" + (f": {by_scene}" if by_scene else "")
        for count, what in (
            (self.known, "were looked at before"),
            (self.duplicates, "are near-duplicates"),
            (self.gone, "are no longer kept"),
            (self.unreadable, "cannot be read, or were altered"),
            (self.taken_back, "removed: their cases are no longer rejected"),
            (self.left, "left for another run by --limit"),
        ):
            if count:
                yield f"{count} {what}"
        if self.unjudged:
            yield f"{self.unjudged} labels are of a class that was rejected elsewhere in their picture: look at those"
        yield f"the set has {self.held} pictures"


def mine(source: Rejections, labels: Labels, out: Path, wanted: Wanted) -> Report:
    """Go on with the set in that folder. Raises what source and labels raise; what was done until then stays."""
    cases = sorted(source.rejected(since=wanted.since), key=lambda each: (each.filed_at, each.id))
    with LabelledSet(out, labels.classes) as made:
        mining = _Mining(source, labels, made, wanted, cases)
        mining.take_back(cases)
        for case in cases:
            if wanted.scene in (None, case.scene):
                mining.take_up(case)
        mining.report.held = len(made.kept())
    return mining.report


class _Mining:
    """One run."""

    def __init__(
        self, source: Rejections, labels: Labels, made: LabelledSet, wanted: Wanted, cases: Sequence[Case]
    ) -> None:
        self.report = Report()
        self._source, self._labels, self._made, self._wanted = source, labels, made, wanted
        self._denied = _Denied([each for each in cases if self._says(each) is Says.NEGATIVE], labels.classes)

    def take_back(self, cases: Sequence[Case]) -> None:
        """Remove what was mined of cases that are rejected no more, or by now for what says nothing of the picture."""
        still = {each.id for each in cases if says(each.reason, each.label, any_reason=True) is Says.NEGATIVE}
        rejected = {each.id for each in cases}
        doubtful = {row.case for row in self._made.rows if row.fate == "kept"} - still
        gone = {each for each in sorted(doubtful) if each in rejected or self._source.is_taken_back(each)}
        self.report.taken_back = self._made.take_back(gone)

    def take_up(self, case: Case) -> None:
        """Its pictures into the set, as far as its reason is about them and they are new."""
        report = self.report
        report.cases += 1
        said = self._says(case)
        if said is not Says.NEGATIVE:
            report.passed_over[said.value] += 1
            return
        report.negatives += 1
        pictures = _pictures(case)
        if not pictures:
            report.passed_over["no picture of a camera"] += 1
        for evidence in pictures:
            if self._made.knows(evidence.ref):
                report.known += 1
            elif self._wanted.limit is not None and sum(report.added.values()) >= self._wanted.limit:
                report.left += 1
            else:
                self._look_at(case, evidence)

    def _look_at(self, case: Case, evidence: Evidence) -> None:
        report, labels = self.report, self._labels
        try:
            picture = decoded(self._source.original(evidence.ref))
        except KeyError:
            report.gone += 1
            return
        except Unreadable:
            report.unreadable += 1
            return
        likeness, box = perceptual_hash(picture), evidence.box or _WHOLE
        alike = self._made.has_alike(evidence.camera, likeness, box)
        seen = () if alike else labels.label(picture)
        things = [each for each in seen if not self._denied.at(evidence, each)]
        unjudged = sum(each.label in meant(case.label, labels.classes) for each in things)
        split = "test" if held_out(evidence.camera, share=HELD_OUT) else "train"
        row = Provenance(
            ref=evidence.ref,
            case=case.id,
            scene=case.scene,
            camera=evidence.camera,
            captured_at=iso(evidence.captured_at),
            filed_at=iso(case.filed_at),
            reason=written(case.reason),
            label=case.label,
            box=" ".join(f"{side:.4f}" for side in box.as_list()),
            labelled_by=labels.name,
            confidence=f"{labels.confidence:g}",
            split=split,
            fate="duplicate" if alike else "kept",
            picture="" if alike else self._made.name_of(evidence.ref, case.scene),
            things=str(len(things)),
            unjudged=str(unjudged),
            likeness=f"{likeness:016x}",
        )
        self._made.add(row, picture, things)
        if alike:
            report.duplicates += 1
            return
        report.added[split] += 1
        report.by_scene[case.scene] += 1
        report.unjudged += unjudged

    def _says(self, case: Case) -> Says:
        return says(case.reason, case.label, any_reason=self._wanted.any_reason)


def _pictures(case: Case) -> list[Evidence]:
    """Oldest first, each once."""
    by_ref = {
        each.ref: each
        for each in case.evidence
        if each.kind is EvidenceKind.PICTURE and each.role in ROLES and each.camera
    }
    return sorted(by_ref.values(), key=lambda each: (each.captured_at, each.ref))


@dataclass(frozen=True, slots=True)
class _Region:
    """A part of a camera's view in which nothing of these classes was, for as long as the case lasted."""

    box: Box
    classes: frozenset[str]
    since: datetime
    until: datetime | None


class _Denied:
    """What was rejected on each camera: a picture shows what other cases of that time were about, too."""

    def __init__(self, cases: Sequence[Case], classes: tuple[str, ...]) -> None:
        self._regions: dict[str, list[_Region]] = defaultdict(list)
        for case in cases:
            for each in _pictures(case):
                region = _Region(each.box or _WHOLE, meant(case.label, classes), case.began_at, case.closed_at)
                self._regions[each.camera].append(region)

    def at(self, evidence: Evidence, thing: Detection) -> bool:
        """Whether a thing in this picture is one that was rejected."""
        return any(
            thing.label in region.classes
            and region.since <= evidence.captured_at
            and (region.until is None or evidence.captured_at <= region.until)
            and _is_the_same(thing.box, region.box)
            for region in self._regions[evidence.camera]
        )


def _is_the_same(box: Box, rejected: Box) -> bool:
    """Whether a box is about where the rejected one is: a model draws the same thing otherwise from look to look."""
    return box.overlap(rejected) >= _NEAR or box.covered_by(rejected) >= _HIDES or rejected.covered_by(box) >= _HIDES
