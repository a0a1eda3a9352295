"""Proposes what a model must find from now on: things that people drew in pictures that ship, and that all its forms find.

    python models/scripts/findings.py --registry models/registry.yaml            # says what it would write
    python models/scripts/findings.py --registry models/registry.yaml --write    # cards/<name>.findings.yaml, and names it

A thing is taken when every form that can be run here finds it well; the least confidence that is stated lies some way below
that of the least sure one, so that another processor's arithmetic changes nothing. `citybrain models verify` asks for it.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE)]

from citybrain.domain.detection import Detection  # noqa: E402 - scripts are run as files; their folder is put on the path first
from citybrain.domain.geometry import Box  # noqa: E402
from citybrain.errors import Fault  # noqa: E402
from citybrain.evaluation.labelled import Labelled, read_set  # noqa: E402
from detectors.findings import Finding  # noqa: E402
from detectors.forms import Absent, Form, forms_of, seen_in  # noqa: E402
from detectors.registry import Model, list_models  # noqa: E402
from detectors.stills import decoded, planes  # noqa: E402

WELL = 0.6
"""Overlap with the drawn box that every form must reach: more than is asked for later."""
SURE = 0.35
"""Confidence that every form must reach."""
BELOW = 0.1
"""How far below the least sure form the stated confidence lies."""
LEAST_SIDE = 0.04
"""Of the picture: what is smaller is too near to what a model can see at all."""
A_CLASS = 2
"""Things that are stated of each class."""
LOOKED_AT = 5
"""Pictures that are tried for each class, the surest first."""


@dataclass(slots=True)
class Stated:
    """One picture: each thing with the least confidence over the forms, and the most of each class that is not there."""

    picture: Labelled
    found: dict[int, float] = field(default_factory=dict)
    asked: Counter[int] = field(default_factory=Counter)
    absent: dict[str, float] = field(default_factory=dict)


def best(label: str, box: Box, seen: Iterable[Detection]) -> float:
    """How sure the form is of a thing; 0 when it does not find it well."""
    return max((each.confidence for each in seen if each.label == label and each.box.overlap(box) >= WELL), default=0.0)


def candidates(form: Form, pictures: Sequence[Labelled], classes: Sequence[str]) -> list[Labelled]:
    """The pictures in which one form is surest of each class."""
    sure: dict[str, list[tuple[float, int]]] = defaultdict(list)
    with form.opened() as detector:
        for index, each in enumerate(pictures):
            if not each.truth.things:
                continue
            seen = seen_in(detector, planes(decoded(each.path.read_bytes())))
            for label in {thing.label for thing in each.truth.things} & set(classes):
                found = [best(label, thing.box, seen) for thing in each.truth.things if thing.label == label]
                sure[label].append((max(found), index))
    chosen = {index for scored in sure.values() for _, index in sorted(scored, reverse=True)[:LOOKED_AT]}
    return [pictures[index] for index in sorted(chosen)]


def ask(form: Form, stated: Sequence[Stated]) -> None:
    """Lower what is stated to what this form finds."""
    with form.opened() as detector:
        for each in stated:
            picture = planes(decoded(each.picture.path.read_bytes()))
            whole = None if form.window_of else seen_in(detector, picture)
            for index, thing in enumerate(each.picture.truth.things):
                if index not in each.found or (part := form.part(picture, thing.box)) is None:
                    continue
                wanted = Finding(label=thing.label, box=_sides(thing.box), confidence=0.5)
                box = thing.box if whole is not None else wanted.within(part[1]).where
                seen = whole if whole is not None else seen_in(detector, part[0])
                each.found[index] = min(each.found[index], best(thing.label, box, seen))
                each.asked[index] += 1
            for label in each.absent if whole is not None else ():
                most = max((one.confidence for one in whole or () if one.label == label), default=0.0)
                each.absent[label] = max(each.absent[label], most)


def chosen(stated: Sequence[Stated], forms: int, suggested: Mapping[str, float]) -> list[dict[str, Any]]:
    """The file's pictures: for each class the things that most forms were asked for and all are surest of."""
    by_class: dict[str, list[tuple[int, float, int, int]]] = defaultdict(list)
    for number, each in enumerate(stated):
        for index, confidence in each.found.items():
            if confidence >= SURE:
                label = each.picture.truth.things[index].label
                by_class[label].append((min(each.asked[index], forms), confidence, number, index))
    taken: dict[int, list[int]] = defaultdict(list)
    for things in by_class.values():
        for _, _, number, index in _apart(sorted(things, reverse=True), stated):
            taken[number].append(index)
    told = []
    for number, indices in sorted(taken.items()):
        each = stated[number]
        finds = [
            {
                "label": each.picture.truth.things[index].label,
                "box": [round(side, 4) for side in _sides(each.picture.truth.things[index].box)],
                "confidence": math.floor((each.found[index] - BELOW) * 20) / 20,
            }
            for index in sorted(indices)
        ]
        without = {
            label: suggested.get(label, 0.4)
            for label, most in sorted(each.absent.items())
            if most < suggested.get(label, 0.4) - 0.05
        }
        told.append({"picture": f"evaluation/pictures/{each.picture.name}", "finds": finds, "without": without})
    return told


def _apart(
    things: Sequence[tuple[int, float, int, int]], stated: Sequence[Stated]
) -> list[tuple[int, float, int, int]]:
    """The first few, of as many sources as there are."""
    picked: list[tuple[int, float, int, int]] = []
    for again in (False, True):
        for thing in things:
            sources = {stated[each[2]].picture.source for each in picked}
            if (
                len(picked) < A_CLASS
                and thing not in picked
                and (again or stated[thing[2]].picture.source not in sources)
            ):
                picked.append(thing)
    return picked


def _sides(box: Box) -> tuple[float, float, float, float]:
    return box.x1, box.y1, box.x2, box.y2


def propose(model: Model, pictures: Sequence[Labelled]) -> dict[str, Any]:
    """The file's content."""
    entry = model.entry
    assert entry is not None
    forms = [each for each in forms_of(model) if not isinstance(each, Absent)]
    for each in forms_of(model):
        if isinstance(each, Absent):
            print(f"{each.name} is not asked: {each.why}", file=sys.stderr)
    first = next(each for each in forms if not each.window_of)
    stated = []
    for picture in candidates(first, pictures, entry.classes):
        here = Stated(picture)
        for index, thing in enumerate(picture.truth.things):
            side = min(thing.box.x2 - thing.box.x1, thing.box.y2 - thing.box.y1)
            if thing.label in entry.classes and side >= LEAST_SIDE:
                here.found[index] = 1.0
        there = {thing.label for thing in picture.truth.things}
        if not picture.truth.ignored:  # what lies in those may be of any class
            here.absent = dict.fromkeys(sorted((set(entry.classes) & picture.truth.judged) - there), 0.0)
        stated.append(here)
    for form in forms:
        print(f"{form.name} {form.told_shape}", file=sys.stderr, flush=True)
        ask(form, stated)
    name = model.name.partition("@")[0]
    return {"model": name, "version": entry.version, "pictures": chosen(stated, len(forms), entry.suggested)}


def main() -> int:
    """Say or write what is proposed; 1 when no class is found by all forms."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--registry", type=Path, required=True)
    parser.add_argument("--name", default="city-n")
    parser.add_argument("--write", action="store_true", help="the file beside the card, and its name into the registry")
    arguments = parser.parse_args()

    folder = arguments.registry.parent
    model = next(each for each in list_models(folder) if each.name.partition("@")[0] == arguments.name)
    faults: list[Fault] = []
    pictures = read_set(folder / "evaluation", faults=faults)
    if faults:
        print("\n".join(map(str, faults)), file=sys.stderr)
        return 1
    proposed = propose(model, pictures)
    text = "# What it must find in pictures that ship, as `citybrain models verify` asks; proposed by scripts/findings.py.\n"
    text += yaml.safe_dump(proposed, sort_keys=False, allow_unicode=True, width=120, default_flow_style=None)
    entry = model.entry
    assert entry is not None
    missing = set(entry.classes) - {thing["label"] for each in proposed["pictures"] for thing in each["finds"]}
    if missing:
        print(f"no {', '.join(sorted(missing))} is found well by all forms in any picture", file=sys.stderr)
    if not proposed["pictures"]:
        return 1
    if not arguments.write:
        print(text, end="")
        return 0
    target = folder / "cards" / f"{arguments.name}.findings.yaml"
    target.write_text(text, encoding="utf-8")
    registry = yaml.safe_load(arguments.registry.read_text(encoding="utf-8"))["models"][arguments.name]
    if registry.get("findings") != f"cards/{target.name}":
        from export import write_registry

        write_registry(arguments.registry, name=arguments.name, entry=registry | {"findings": f"cards/{target.name}"})
    print(f"{target}: look at it, and let the card name it", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
