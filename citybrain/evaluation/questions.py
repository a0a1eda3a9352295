"""What is asked of a labelled set beyond its single classes: groups of them, and what must hold.

    groups:                                  # several classes asked for as one
      fire_or_smoke: [fire, smoke]
    wanted:                                  # by class or group
      fire_or_smoke: {precision: 0.90, recall: 0.80}    # by picture: this recall at this precision
      vehicle: {lost: 0}                     # points of AP50 that may be lost against the detector beside
      all: {lost: 2}                         # the mean over classes

It lies in a set as `questions.yaml`; `--wanted` says the second part on the command line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import Field, StringConstraints

from citybrain.configuration import Section, did_you_mean, parse, read
from citybrain.errors import Fault, UsageError
from citybrain.evaluation.matching import Question

FILE = "questions.yaml"
ALL = "all"
"""Instead of a question: the mean over classes. And instead of a source: all of them."""
GROUPS: Mapping[str, tuple[str, ...]] = {
    "fire_or_smoke": ("fire", "smoke"),
    "vehicle": ("car", "bus", "truck", "motorcycle"),
}
"""Asked of every set: whether it burns or smokes is one question to a scene, and a van told as truck is a vehicle seen."""

Label = Annotated[str, StringConstraints(pattern=r"^[^\s=:,|]+$")]
Share = Annotated[float, Field(gt=0, le=1)]


class Wanted(Section):
    """What must hold of one question."""

    precision: Share | None = None
    recall: Share | None = None
    lost: Annotated[float, Field(ge=-100, le=100)] | None = None

    def __str__(self) -> str:
        asked = []
        if self.recall is not None:
            asked.append(f"recall ≥ {self.recall:.2f}")
        if self.precision is not None:
            asked.append(f"{'at ' if asked else ''}precision ≥ {self.precision:.2f}")
        by_picture = [" ".join(asked) + " by picture"] if asked else []
        beside = [f"at most {self.lost:g} points of AP50 lost"] if self.lost is not None else []
        return ", ".join(by_picture + beside)


class QuestionsFile(Section):
    """The file as written."""

    groups: dict[Label, list[Label]] = Field(default_factory=dict)
    wanted: dict[Label, Wanted] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Questions:
    """The groups, and what is wanted of classes and groups by name; `said` is where each wish is written."""

    groups: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: GROUPS)
    wanted: Mapping[str, Wanted] = field(default_factory=dict)
    said: Mapping[str, str] = field(default_factory=dict)

    def asked(self, labels: Sequence[str], judged: Iterable[str]) -> list[Question]:
        """One for each of a detector's labels that the set judges, then the groups of which it does of any."""
        both = set(labels) & set(judged)
        single = [Question.of(label) for label in dict.fromkeys(labels) if label in both]
        return single + [Question(name, members) for name, members in self.groups.items() if both.intersection(members)]


def load(folders: Iterable[Path], told: Iterable[str], *, faults: list[Fault]) -> Questions:
    """The questions of these sets, and what the command line wants beside; it has the last word. Raises UsageError for that."""
    groups = dict(GROUPS)
    wanted: dict[str, Wanted] = {}
    said: dict[str, str] = {}
    for folder in folders:
        path = folder / FILE
        value = read(path, faults=faults) if path.is_file() else {}
        written = None if value is None else parse(QuestionsFile, value, file=str(path), faults=faults)
        if written is not None:
            groups |= {name: tuple(members) for name, members in written.groups.items()}
            wanted |= written.wanted
            said |= dict.fromkeys(written.wanted, str(path))
    for each in told:
        name, one = told_wanted(each)
        wanted[name], said[name] = one, f"--wanted {each}"
    return Questions(groups, wanted, said)


def check(questions: Questions, known: Iterable[str]) -> list[Fault]:
    """What is wanted of questions that nobody asks."""
    names = [*known, *questions.groups, ALL]
    return [
        Fault(
            questions.said.get(name, ""),
            f"wanted.{name}",
            f"{name!r} is neither a class of the set nor a group.",
            did_you_mean(name, names),
        )
        for name in questions.wanted
        if name not in names
    ]


def told_wanted(text: str) -> tuple[str, Wanted]:
    """`fire_or_smoke:precision=0.90,recall=0.80`. Raises UsageError."""
    name, _, rest = text.partition(":")
    pairs = re.findall(r"(\w+)=([^,]*)", rest)
    if not name or not rest or ",".join(f"{key}={value}" for key, value in pairs) != rest:
        raise UsageError(
            f"--wanted {text}: expected NAME:precision=P,recall=R by picture, or NAME:lost=POINTS against --beside"
        )
    faults: list[Fault] = []
    wanted = parse(Wanted, dict(pairs), file=f"--wanted {text}", faults=faults)
    if wanted is None:
        raise UsageError("\n".join(map(str, faults)))
    return name, wanted
