"""Opens the detectors that are measured, and lets them look at pictures the way the city does.

A detector is named as in a configuration's `detectors/`, or it is a model: `city-n` or `city-n@1` of the registry, or a file that
a backend loads. A form behind a colon, `city-n:int8`, says which one of a registered model. Pictures are decoded, letterboxed and
looked at whole, as on the first look of a camera; whether a picture is usable is not asked.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from citybrain.configuration import did_you_mean
from citybrain.domain.detection import Detection
from citybrain.errors import ConfigError, Fault, ModelUnusable, Unreadable, UsageError
from citybrain.evaluation.matching import Points
from detectors.batching import Detector
from detectors.config import (
    DEFAULT_CONFIDENCE,
    Confidence,
    DetectorSettings,
    backend_file,
    load,
)
from detectors.forms import longest, settings_of
from detectors.registry import Model, choose, find_models, load_registry
from ingest.decode import Decoder
from ingest.footage import image_frame

LEAST = 0.05
"""Confidence below which nothing is looked at: thresholds are tried afterwards, from here on."""
PRECISIONS = ("f32", "bf16", "int8")
FORMS = (*PRECISIONS, "onnx", "pytorch")
_BATCH = 4
_AT = datetime(2026, 1, 1, tzinfo=UTC)  # a picture of a set was taken at no particular instant


@dataclass(frozen=True, slots=True)
class Subject:
    """A detector that is measured: what it is called, what it can tell, and from where on that is suggested to count."""

    name: str
    detector: Detector
    labels: tuple[str, ...]
    points: Points


@dataclass(frozen=True, slots=True)
class Named:
    """What was found under a name: the settings but for the labels of a file, which only loading tells."""

    name: str
    settings: DetectorSettings
    points: Points


def find(word: str, *, config: Path | None) -> Named:
    """The model of that name, or the detector of a configuration. Raises ConfigError or UsageError, naming what there is."""
    faults: list[Fault] = []
    detectors = load(config, faults=faults) if config is not None else {}
    if word in detectors:
        return _configured(detectors[word])
    if config is not None and _file_of(config, word).exists():
        raise ConfigError(faults)
    name, form = _form(word)
    if Path(name).exists() and ("/" in name or Path(name).suffix):
        return _file(Path(name), word, form)
    return _registered(name, form, config or Path(), detectors)


def find_detector(config: Path, name: str | None) -> Named:
    """That detector of a configuration, or its only one. Raises ConfigError or UsageError."""
    faults: list[Fault] = []
    detectors = load(config, faults=faults)
    if name is None and len(detectors) == 1 and not faults:
        return _configured(next(iter(detectors.values())))
    if name in detectors:
        return _configured(detectors[name])
    if faults and (name is None or _file_of(config, name).exists() or not detectors):
        raise ConfigError(faults)
    if name is None:
        raise UsageError(f"--config {config} has the detectors {', '.join(sorted(detectors))}; name one by --detector")
    raise UsageError(f"--detector {name}: {config} has no such detector. {did_you_mean(name, detectors)}")


def _configured(settings: DetectorSettings) -> Named:
    return Named(settings.id, settings, Points(settings.confidence.by_label, settings.confidence.default))


def _file_of(config: Path, name: str) -> Path:
    return config / "detectors" / f"{name}.yaml"


def open_subject(named: Named, judged: Collection[str], *, grouped: Iterable[str] = ()) -> Subject:
    """Load it. A file's classes are known by their names, as far as pictures are judged by them or they are `grouped` with such.

    Raises ModelUnusable when it cannot be, UsageError when it tells nothing of what is judged.
    """
    settings = replace(named.settings, confidence=Confidence(LEAST, {}))
    backend = backend_file(settings.backend).build(settings.for_backend())
    labels = dict(settings.labels) or alike(backend.classes, {*judged, *grouped})
    known = list(dict.fromkeys(labels.values()))
    if not set(known) & set(judged):
        told = ", ".join(known or backend.classes)
        backend.close()
        raise UsageError(
            f"{named.name}: tells {told}, and of that nothing is labelled in these pictures ({', '.join(sorted(judged))});"
            " map its classes in a detector's YAML: `labels: {its class: our label}`, and name it by --config and --detector"
        )
    missing = sorted(set(labels) - set(backend.classes))
    if missing:
        backend.close()
        raise ModelUnusable(f"{named.name}: the model has no class {', '.join(missing)}; correct `labels`")
    detector = Detector(replace(settings, labels=labels), backend, looks=())
    detector.warmup()
    return Subject(named.name, detector, tuple(known), named.points)


def found_in(
    subject: Subject, pictures: Sequence[Path], *, progress: Callable[[int, int], None] = lambda _done, _of: None
) -> list[tuple[Detection, ...]]:
    """What it finds in each picture at LEAST or more, surest first. Raises ConfigError naming every picture that is none."""
    decoder, faults = Decoder(), []
    found: list[tuple[Detection, ...]] = []
    for start in range(0, len(pictures), _BATCH):
        decoded = []
        for path in pictures[start : start + _BATCH]:
            try:
                decoded.append(decoder.decode(image_frame(path, camera="evaluation", captured_at=_AT)))
            except Unreadable as error:
                faults.append(Fault(str(path), "", f"{error}.", "Replace the picture, or remove its line."))
        if not faults:  # with a fault the figures would be of other pictures: only further faults are looked for
            found += subject.detector.detect(decoded)
        progress(min(start + _BATCH, len(pictures)), len(pictures))
    if faults:
        raise ConfigError(faults)
    return found


def _form(word: str) -> tuple[str, str | None]:
    name, colon, form = word.rpartition(":")
    if not colon:
        return word, None
    if form not in FORMS:
        raise UsageError(f"{word}: expected a form of {', '.join(FORMS)} behind the colon, got {form!r}")
    return name, form


def _registered(name: str, form: str | None, config: Path, detectors: Mapping[str, Any]) -> Named:
    faults: list[Fault] = []
    folder = find_models(config)
    entries = load_registry(folder, faults=faults)
    if entries is None:
        raise ConfigError(faults)
    try:
        model = choose(name, entries, folder)
    except KeyError as error:
        message, remedy = error.args
        raise UsageError(f"{message} {did_you_mean(name, [*detectors, *entries]) if detectors else remedy}") from None
    entry = entries[name.partition("@")[0]]
    if form == "onnx":
        if entry.files.onnx is None:
            raise UsageError(f"{name}:onnx: the registry names no ONNX file of it; models/scripts/export.py makes it")
        model = Model(model.name, path=folder / entry.files.onnx.path)
    backend = "ultralytics" if form == "pytorch" or not entry.files.openvino else "openvino"
    options = {"precision": form} if form in PRECISIONS else {}
    if options and backend != "openvino":
        raise UsageError(f"{name}:{form}: the registry names no OpenVINO graph of it; leave {form!r} out")
    shown = f"{model.name} in {form}" if form else model.name
    points = Points(dict(entry.suggested), DEFAULT_CONFIDENCE)
    return _named(shown, model, backend, options, points, classes=entry.classes)


def _file(path: Path, word: str, form: str | None) -> Named:
    if form is not None:
        raise UsageError(f"{word}: a file has one form; leave {form!r} out")
    graph = path.suffix in (".xml", ".onnx") or (path.is_dir() and any(path.glob("*.xml")))
    model = Model(path.name, path=path)
    return _named(path.name, model, "openvino" if graph else "ultralytics", {}, Points({}, DEFAULT_CONFIDENCE))


def _named(
    name: str,
    model: Model,
    backend: str,
    options: Mapping[str, Any],
    points: Points,
    *,
    classes: tuple[str, ...] | None = None,
) -> Named:
    settings = settings_of(model, backend, longest(model), options, classes=classes, floor=LEAST)
    # A file's own classes are not known before it is loaded.
    settings = replace(settings, id=name, file=name, device="auto", classes=classes)
    return Named(name, settings, points)


def alike(classes: Iterable[str], judged: Iterable[str]) -> dict[str, str]:
    """A file's classes that are called as our labels are, whatever their case."""
    ours = {label.casefold(): label for label in judged}
    return {each: ours[each.casefold()] for each in classes if each.casefold() in ours}
