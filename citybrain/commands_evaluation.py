"""What `citybrain evaluate` does: a detector measured on pictures, a city on clips."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

from citybrain.configuration import did_you_mean
from citybrain.errors import ConfigError, Fault, UsageError
from citybrain.evaluation import detecting, page, questions, telling
from citybrain.evaluation.frames import Measured, Report, measure
from citybrain.evaluation.labelled import Labelled, read_set, read_table
from citybrain.evaluation.matching import Points
from detectors.registry import find_models, load_registry

DONE, FAILED = 0, 1
MODEL = "city-n"
"""What is measured unless told, and whose classes the training tables count."""
SET = "evaluation"


def frames(given: argparse.Namespace) -> int:
    """A detector on labelled pictures: the report on stdout, progress on stderr; with --require 1 unless all wanted holds."""
    models = find_models(given.config or Path())
    sets = given.set or ([] if given.tables else [models / SET])
    pictures, asked = _read(given, models, sets)
    if given.plots is not None:
        _make_folder(given.plots)
    subjects = [_named(given)]
    if given.beside is not None:
        subjects.append(detecting.find(given.beside, config=given.config))
    measured = [_measured(each, pictures, asked, given.confidence) for each in subjects]
    report = measure(measured[0], asked, other=measured[1] if len(measured) > 1 else None)
    if given.plots is not None:
        print(f"citybrain: {page.write_page(report, asked, given.plots)}", file=sys.stderr)
    if given.json:
        print(json.dumps(telling.as_json(report), ensure_ascii=False))
    else:
        print(telling.as_text(report, markdown=given.markdown))
    return FAILED if given.require and not _holds(report) else DONE


def _make_folder(folder: Path) -> None:
    try:
        page.make_folder(folder)
    except OSError as error:
        raise UsageError(f"--plots {folder}: cannot be written to ({error.strerror})") from None


def _holds(report: Report) -> bool:
    """Whether all that is wanted holds; what nobody can say does not."""
    if not report.answers:
        raise UsageError("--require: nothing is wanted; say what by --wanted, or in the set's questions.yaml")
    return all(each.holds for each in report.answers)


def _read(given: argparse.Namespace, models: Path, sets: list[Path]) -> tuple[list[Labelled], questions.Questions]:
    """The pictures that are asked for, and the questions. Raises ConfigError with every fault, or UsageError."""
    faults: list[Fault] = []
    pictures = [each for folder in sets for each in read_set(folder, faults=faults)]
    asked = questions.load(sets, given.wanted, faults=faults)
    if given.tables:
        entries = load_registry(models, faults=faults) or {}
        classes = entries[MODEL].classes if MODEL in entries else ()
        for table in given.tables:
            pictures += read_table(table, classes, split=given.split, faults=faults)
    known: set[str] = set().union(*(each.truth.judged for each in pictures))
    if not faults and pictures:
        faults += questions.check(asked, known)
    if faults:
        raise ConfigError(faults)
    if not pictures:
        raise UsageError(f"no picture of the split {given.split!r} in {', '.join(map(str, given.tables))}")
    sources = sorted({each.source for each in pictures})
    for each in given.sources:
        if each not in sources:
            raise UsageError(f"--sources {each}: no picture is of it. {did_you_mean(each, sources)}")
    return [each for each in pictures if not given.sources or each.source in given.sources], asked


def _named(given: argparse.Namespace) -> detecting.Named:
    if given.detector is not None and given.model is not None:
        raise UsageError("evaluate frames: name either a --detector or a --model")
    if given.detector is not None and given.config is None:
        raise UsageError(f"--detector {given.detector}: say by --config whose detector it is")
    if given.model is not None or given.config is None:
        return detecting.find(given.model or MODEL, config=given.config)
    return detecting.find_detector(given.config, given.detector)


def _measured(
    named: detecting.Named, pictures: list[Labelled], asked: questions.Questions, confidence: str
) -> Measured:
    points = _points(confidence, named.points)
    judged: set[str] = set().union(*(each.truth.judged for each in pictures))
    grouped = {label for labels in asked.groups.values() for label in labels}
    subject = detecting.open_subject(named, judged, grouped=grouped)
    try:
        paths = [each.path for each in pictures]
        found = detecting.found_in(subject, paths, progress=_progress(subject.name))
        again = subject.detector.second_looks
        return Measured(subject.name, subject.detector.revision, subject.labels, points, pictures, found, again)
    finally:
        subject.detector.close()


def _progress(name: str) -> Callable[[int, int], None]:
    """A line that counts, where somebody watches; else one each hundred pictures."""
    told = 0

    def say(done: int, of: int) -> None:
        nonlocal told
        watched = sys.stderr.isatty()
        if watched or done == of or done - told >= 100:
            told = done
            end = "\r" if watched and done < of else "\n"
            print(f"citybrain: {name}: {done} of {of} pictures", end=end, file=sys.stderr, flush=True)

    return say


def _points(text: str, suggested: Points) -> Points:
    """`per-class`, one number for all, or `label=number,…` over what is suggested. Raises UsageError."""
    if text == "per-class":
        return suggested
    wrong = UsageError(f"--confidence {text}: expected per-class, a number 0.05..1, or LABEL=NUMBER,LABEL=NUMBER")
    by_label: dict[str, float] = {}
    for part in text.split(","):
        label, _, number = part.rpartition("=")
        try:
            by_label[label] = float(number)
        except ValueError:
            raise wrong from None
        if not detecting.LEAST <= by_label[label] <= 1:
            raise wrong
    if "" in by_label:
        if len(by_label) > 1:
            raise wrong
        return Points({}, by_label[""])
    return Points({**suggested.by_label, **by_label}, suggested.default)
