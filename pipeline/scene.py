"""A scene is a file: what is looked for, where, for how long, and what kind of case it makes."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, Field, ValidationError

from citybrain import plugins
from citybrain.configuration import (
    Bilingual,
    Duration,
    Section,
    SomeDuration,
    did_you_mean,
    duration_text,
    parse,
    read,
)
from citybrain.domain.camera import ZoneKind
from citybrain.errors import Fault, UnknownPlugin
from pipeline.episode import Terms
from pipeline.rules import Rule

LEAST_PATIENCE, MOST_PATIENCE = timedelta(milliseconds=500), timedelta(seconds=30)
PATIENCE_WITHOUT_HOLD = timedelta(seconds=2)
LONGEST_ATTENDED_HOLD = timedelta(seconds=10)
ATTENTION_AFTER_HOLD = timedelta(seconds=5)


class Status(StrEnum):
    """draft: only its own tests run · trial: files cases that are never dispatched · live."""

    DRAFT = "draft"
    TRIAL = "trial"
    LIVE = "live"


class CaseTerms(Section):
    """What kind of case a scene makes. `quiet_after_reject` keeps a place quiet once people said it was nothing;
    `close_after_clear` closes a case by itself that long after the thing was seen to be gone, unless people took it up;
    what begins in the same place within `recurs_within` of its end is a recurrence of it."""

    code: str = Field(min_length=1)
    unit: str = Field(min_length=1)
    deadline: SomeDuration
    severity: Literal["low", "normal", "high", "critical"] = "normal"
    kind: Literal["event", "component"] = "event"
    quiet_after_reject: Duration = timedelta(minutes=30)
    close_after_clear: Duration | None = None
    recurs_within: Duration = timedelta(days=30)


class Grouping(Section):
    """When two views are of one problem: within `radius_m` of each other on the ground, or, where a shared place was not
    surveyed, things that came to stand there within `same_arrival` of each other. What somebody reports is as exact as the
    telephone that says where it stands: `report_within_m`."""

    radius_m: float = Field(default=6.0, gt=0, le=1000)
    same_arrival: Duration = timedelta(seconds=20)
    report_within_m: float = Field(default=50.0, gt=0, le=1000)

    @property
    def reach_m(self) -> float:
        """How far a report may lie from the problem that it is about."""
        return max(self.radius_m, self.report_within_m)


class SceneTest(Section):
    """A story and what must come of it; see docs/how-to/scene.md for the words of `looks`."""

    name: str = Field(min_length=1)
    looks: str = Field(min_length=1)
    every: SomeDuration = timedelta(minutes=1)
    expect: tuple[str, ...] = ()


class SceneFile(Section):
    """The YAML of configs/scenes/<id>.yaml."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    title: Bilingual
    status: Status
    rule: str
    zone_kind: ZoneKind = ZoneKind.ANY
    when: dict[str, Any]
    hold: Duration
    max_gap: Duration
    clear_after: Duration
    min_seen: float = Field(default=0.5, ge=0, le=1)
    verify_for: Duration = timedelta(seconds=30)
    patience: SomeDuration | None = None
    attention: Duration | None = None
    clip: bool = True
    inhibited_by: tuple[str, ...] = ()
    group: Grouping = Grouping()
    case: CaseTerms
    tests: tuple[SceneTest, ...] = Field(min_length=2)


@dataclass(frozen=True)
class Scene:
    """A scene ready to judge: what its file at `path` says and the rule it chose.

    `revision` is a hash of what it judges by: its tests are no part of it, nor how often and how closely it wants to be
    looked at or whether it is filmed, for the same looks come to the same cases whatever those say.
    """

    file: SceneFile
    rule: Rule
    revision: str
    path: str

    @property
    def id(self) -> str:
        return self.file.id

    @property
    def terms(self) -> Terms:
        return Terms(self.file.hold, self.file.max_gap, self.file.clear_after, self.file.min_seen)

    @property
    def attention(self) -> timedelta:
        """How long a camera is looked at closely for one open question of this scene; nothing: never.

        Without a word of the file: where the hold is so short that ordinary looks could hardly fill it.
        """
        said, hold = self.file.attention, self.file.hold
        if said is not None:
            return said
        return hold + ATTENTION_AFTER_HOLD if timedelta() < hold <= LONGEST_ATTENDED_HOLD else timedelta()

    @property
    def patience(self) -> timedelta:
        """How long a camera may go unseen for this scene while there is time to look at everything.

        Without a word of the file: so that a hold survives four times as much to look at as there is time for. Where
        open questions are looked at closely, they no longer wait for patience, and twice is enough.
        """
        said, gap = self.file.patience, self.file.max_gap
        if said is not None:
            return said
        if not self.file.hold:
            return PATIENCE_WITHOUT_HOLD
        return min(MOST_PATIENCE, max(LEAST_PATIENCE, gap / 2 if self.attention else gap / 4))


def load(folder: Path, *, faults: list[Fault]) -> list[Scene]:
    """Every scene of a folder, in order of id; faults are added, never raised."""
    scenes = []
    for path in sorted(folder.glob("*.yaml")):
        scene = load_file(path, faults=faults)
        if scene is not None:
            scenes.append(scene)
    known = {path.stem for path in folder.glob("*.yaml")}
    for scene in scenes:
        for other in scene.file.inhibited_by:
            if other not in known or other == scene.id:
                remedy = did_you_mean(other, known - {scene.id})
                faults.append(Fault(scene.path, "inhibited_by", f"{other!r} is no other scene.", remedy))
    return scenes


def load_file(path: Path, *, faults: list[Fault]) -> Scene | None:
    """One scene, or None after adding what is wrong with it."""
    shown = str(path)
    value = read(path, faults=faults)
    if value is None:
        return None
    file = parse(SceneFile, value, file=shown, faults=faults)
    if file is None:
        return None
    before = len(faults)
    if file.id != path.stem:
        faults.append(Fault(shown, "id", f"{file.id!r} is not the file's name.", f"Rename one to {path.stem!r}."))
    if file.max_gap <= timedelta() and file.hold > timedelta():
        faults.append(Fault(shown, "max_gap", "must be longer than nothing.", "Give at least twice the look interval."))
    faults += _patience_faults(file, shown)
    rule = _rule(file, shown, faults)
    if rule is None or len(faults) > before:
        return None
    said = yaml.safe_dump({key: each for key, each in value.items() if key not in _NOT_JUDGED_BY}, sort_keys=True)
    return Scene(file, rule, hashlib.sha256(said.encode()).hexdigest()[:8], shown)


_NOT_JUDGED_BY = frozenset({"tests", "patience", "attention", "clip"})


def _patience_faults(file: SceneFile, shown: str) -> list[Fault]:
    faults = []
    patience, attention = file.patience, file.attention
    if patience is not None and patience < LEAST_PATIENCE:
        said = f"must be at least {duration_text(LEAST_PATIENCE)}, got {duration_text(patience)}."
        faults.append(Fault(shown, "patience", said, "No camera is looked at more often without a question."))
    elif patience is not None and timedelta() < file.max_gap < patience * 2 and file.hold > timedelta():
        said = f"{duration_text(patience)} is too long for a max_gap of {duration_text(file.max_gap)}: no hold survives it."
        remedy = f"Give at most {duration_text(file.max_gap / 2)}, half of max_gap, or a longer max_gap."
        faults.append(Fault(shown, "patience", said, remedy))
    if attention is not None and timedelta() < attention < file.hold:
        said = f"{duration_text(attention)} is over before a hold of {duration_text(file.hold)} is."
        faults.append(Fault(shown, "attention", said, f"Give more than {duration_text(file.hold)}, or 0s for never."))
    return faults


def _rule(file: SceneFile, shown: str, faults: list[Fault]) -> Rule | None:
    try:
        plugin = plugins.load("pipeline.rules", file.rule)
    except UnknownPlugin as error:
        faults.append(Fault(shown, "rule", f"{error.message}."))
        return None
    config_model: type[BaseModel] = plugin.Config
    config = parse(config_model, file.when, file=shown, faults=faults, at="when")
    if config is None:
        return None
    try:
        rule: Rule = plugin.build(config)
    except (ValueError, ValidationError) as error:
        faults.append(Fault(shown, "when", f"{error}."))
        return None
    return rule


def check_labels(scenes: Sequence[Scene], known: Collection[str], *, faults: list[Fault]) -> None:
    """Each label a scene asks for must be given by some detector."""
    faults += [
        Fault(scene.path, "when.labels", f"{label!r} is not a label of any detector.", did_you_mean(label, known))
        for scene in scenes
        for label in sorted(scene.rule.labels - set(known))
    ]
