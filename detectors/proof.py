"""Proves a registered model: its files are the registered ones, its card agrees, every form loads and finds what it must."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from citybrain.domain.detection import Detection
from citybrain.errors import Fault, ModelUnusable, Unreadable
from citybrain.ports import Picture
from detectors.batching import Detector
from detectors.cards import disagreements
from detectors.findings import Findings, InPicture, expected, is_met, load_findings, nearest, wrongly_found
from detectors.forms import Absent, Form, forms_of, seen_in
from detectors.registry import Entry, Model, stated_files
from detectors.stills import decoded, planes

_RESTORE = "Restore it, or register the new one."
_ANEW = "Export this form again; after new training look at the picture and state the findings anew (models/README.md)."


class Outcome(StrEnum):
    OK = "ok"
    FAILED = "failed"
    NOT_RUN = "not run"
    """It could not be tried here: no word on whether it is well."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was asked of a model, and how it went; what was expected, what came, and what to do about it."""

    model: str
    form: str
    shape: str
    what: str
    outcome: Outcome
    expected: str = ""
    got: str = ""
    remedy: str = ""

    def __str__(self) -> str:
        where = " ".join(each for each in (self.model, self.form, self.shape) if each)
        if self.outcome is Outcome.NOT_RUN:
            return f"{where}: {self.got}"
        said = f"{where}: {self.what}"
        if self.outcome is Outcome.FAILED:
            said += f": expected {self.expected}, got {self.got}." + (f" {self.remedy}" if self.remedy else "")
        elif self.got:
            said += f": {self.got}"
        return said


def prove(model: Model) -> Iterator[Check]:
    """Every check of one model, as it is made. Raises ValueError for a model that is in no registry."""
    entry, folder = model.entry, model.folder
    if entry is None or folder is None:
        raise ValueError(f"{model.name}: expected an entry of a registry")
    sound: set[Path] = set()
    for path, digest in stated_files(model).items():
        check = _file(model, folder, path, digest)
        if check.outcome is Outcome.OK:
            sound.add(path)
        yield check
    yield from _card(model, entry, folder)
    told, findings = _findings(model, entry, folder)
    yield from told
    pictures: dict[str, Picture] = {}
    if findings is not None:
        for shown in findings.pictures:
            try:
                pictures[shown.picture] = planes(decoded((folder / shown.picture).read_bytes()))
            except (OSError, Unreadable) as error:
                got = error.strerror or "nothing" if isinstance(error, OSError) else str(error)
                wanted = str(folder / shown.picture)
                yield Check(model.name, "findings", "", "picture", Outcome.FAILED, wanted, got, "Restore it.")
    for form in forms_of(model):
        if isinstance(form, Absent):
            yield Check(model.name, form.name, "", Outcome.NOT_RUN, Outcome.NOT_RUN, got=form.why)
        else:
            yield from _form(model, form, sound, findings, pictures)


def _file(model: Model, folder: Path, path: Path, digest: str) -> Check:
    shown = path.relative_to(folder) if path.is_relative_to(folder) else path
    what = f"{shown} is the registered file"
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        got = error.strerror or type(error).__name__
        return Check(model.name, "files", "", what, Outcome.FAILED, str(path), got, "Fetch or export it again.")
    if found != digest:
        return Check(
            model.name, "files", "", what, Outcome.FAILED, f"sha256 {digest[:12]}…", f"{found[:12]}…", _RESTORE
        )
    return Check(model.name, "files", "", what, Outcome.OK)


def _card(model: Model, entry: Entry, folder: Path) -> Iterator[Check]:
    found = list(disagreements(folder / entry.card, entry))
    for each in found:
        yield Check(model.name, "card", "", each.about, Outcome.FAILED, each.expected, each.got, each.remedy)
    if not found:
        yield Check(model.name, "card", "", f"{entry.card} says what it must, as the registry does", Outcome.OK)


def _findings(model: Model, entry: Entry, folder: Path) -> tuple[list[Check], Findings | None]:
    if entry.findings is None:
        why = "the registry states none for this model"
        return [Check(model.name, "findings", "", Outcome.NOT_RUN, Outcome.NOT_RUN, got=why)], None
    faults: list[Fault] = []
    found = load_findings(folder / entry.findings, faults=faults)
    checks = [
        Check(
            model.name,
            "findings",
            "",
            each.key or "file",
            Outcome.FAILED,
            "a file that can be read",
            each.message,
            each.remedy,
        )
        for each in faults
    ]
    if found is None:
        return checks, None
    name = model.name.partition("@")[0]
    if (found.model, found.version) != (name, entry.version):
        got = f"{found.model} version {found.version}"
        want = f"{name} version {entry.version}"
        checks.append(Check(model.name, "findings", "", "version", Outcome.FAILED, want, got, _ANEW))
    labels = {each.label for shown in found.pictures for each in shown.finds} | {
        label for shown in found.pictures for label in shown.without
    }
    for label in sorted(labels - set(entry.classes)):
        want = f"one of {' '.join(entry.classes)}"
        checks.append(Check(model.name, "findings", "", "label", Outcome.FAILED, want, label, "Correct it."))
    return checks, found


def _form(
    model: Model, form: Form, sound: set[Path], findings: Findings | None, pictures: Mapping[str, Picture]
) -> Iterator[Check]:
    where = (model.name, form.name, form.told_shape)
    if not sound.issuperset(form.files):
        yield Check(*where, Outcome.NOT_RUN, Outcome.NOT_RUN, got="its files are not the registered ones")
        return
    try:
        with form.opened() as detector:
            yield Check(*where, "loads and runs", Outcome.OK)
            asked = 0
            for shown in findings.pictures if findings is not None else ():
                if shown.picture in pictures:
                    for check in _looked(where, form, detector, shown, pictures[shown.picture]):
                        asked += 1
                        yield check
            if findings is not None and not asked:
                why = "no finding is small enough for it; state one" if form.window_of else "no picture to find it in"
                yield Check(*where, Outcome.NOT_RUN, Outcome.NOT_RUN, got=why)
    except ModelUnusable as error:
        message, _, remedy = str(error).partition("; ")
        yield Check(*where, "loads and runs", Outcome.FAILED, "a graph that loads and runs", message, f"{remedy}.")


def _looked(
    where: tuple[str, str, str], form: Form, detector: Detector, shown: InPicture, picture: Picture
) -> Iterator[Check]:
    """What one form finds in one picture, a check for each thing that it is asked."""
    name = Path(shown.picture).name
    whole = None if form.window_of else seen_in(detector, picture)
    for wanted in shown.finds:
        part = form.part(picture, wanted.where)
        if part is None:
            continue
        if whole is None:
            cut, place = part
            seen, inside = seen_in(detector, cut), wanted.within(place)
        else:
            seen, inside = whole, wanted
        what = f"finds {wanted.label} in {name}"
        if is_met(inside, seen):
            yield Check(*where, what, Outcome.OK, expected(inside), nearest(inside, seen))
        else:
            yield Check(*where, what, Outcome.FAILED, expected(inside), nearest(inside, seen), _ANEW)
    if whole is not None and shown.without:
        yield from _nothing_else(where, shown, whole)


def _nothing_else(where: tuple[str, str, str], shown: InPicture, seen: Sequence[Detection]) -> Iterator[Check]:
    """A check for each class that is found and is not there, or one that says that none is."""
    name, clean = Path(shown.picture).name, True
    for label, least in shown.without.items():
        wrong = wrongly_found(label, least, seen)
        if wrong is not None:
            clean = False
            got = f"{label} of {wrong.confidence:.2f} at {wrong.box.as_list()}"
            want = f"none from {least:.2f} on"
            yield Check(*where, f"finds no {label} in {name}", Outcome.FAILED, want, got, _ANEW)
    if clean:
        yield Check(*where, f"finds nothing else in {name}", Outcome.OK, f"no {', '.join(shown.without)}")
