"""The model of `detectors/<id>.yaml`: which backend runs which model, and what its answers are called here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Protocol, cast

from pydantic import BeforeValidator, Field, StringConstraints

from citybrain import plugins
from citybrain.configuration import Duration, Section, did_you_mean, parse, read
from citybrain.errors import Fault, ModelUnusable, UnknownPlugin
from citybrain.ports import Backend
from detectors.registry import NO_MODEL, Entry, Model, choose, find_models, load_registry

SOCKET = "detectors.backends"
STRIDE = 32
"""Every YOLO halves its input five times: sides are multiples of this."""


@dataclass(frozen=True, slots=True)
class Size:
    """How large the model's input may be: its longest side, or exactly this width and height."""

    longest: int
    exact: tuple[int, int] | None = None
    """(width, height)"""

    def allows(self, width: int, height: int) -> bool:
        return self.exact == (width, height) if self.exact else max(width, height) == self.longest

    def __str__(self) -> str:
        return f"{self.exact[0]}×{self.exact[1]}" if self.exact else f"longest side {self.longest}"


@dataclass(frozen=True, slots=True)
class Confidence:
    """From which confidence on a detection counts, by our label."""

    default: float
    by_label: Mapping[str, float]

    def of(self, label: str) -> float:
        return self.by_label.get(label, self.default)


def _size(value: object) -> Size:
    if isinstance(value, Size):
        return value
    if isinstance(value, Mapping) and set(value) == {"width", "height"}:
        width, height = _side(value["width"]), _side(value["height"])
        return Size(max(width, height), (width, height))
    return Size(_side(value))


def _side(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not STRIDE <= value <= 4096 or value % STRIDE:
        raise ValueError(
            f"expected a multiple of {STRIDE} up to 4096, or {{width: …, height: …}} of such, got {value!r}"
        )
    return value


def _confidence(value: object) -> Confidence:
    if isinstance(value, Confidence):
        return value
    if isinstance(value, Mapping):
        by_label = {str(label): _share(each) for label, each in value.items()}
        return Confidence(by_label.pop("default", DEFAULT_CONFIDENCE), by_label)
    return Confidence(_share(value), {})


def _share(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1:
        raise ValueError(f"expected a number between 0 and 1, or {{default: …, <label>: …}} of such, got {value!r}")
    return float(value)


DEFAULT_CONFIDENCE = 0.25
Label = Annotated[str, StringConstraints(pattern=r"^\S+$")]
Share = Annotated[float, Field(gt=0, lt=1)]


class SecondLook(Section):
    """What is looked at again from further away (`detectors/second_look.py`).

    `labels` are what it is about; one of them may be taken for another. Candidates count from `confidence` on, and from the
    share `area` of the picture on.
    """

    labels: Annotated[tuple[Label, ...], Field(min_length=1)]
    confidence: Share = 0.05
    area: Share = 0.1


class DetectorFile(Section):
    """The file as written."""

    id: str | None = None
    backend: str
    model: str | None = None
    size: Annotated[Size, BeforeValidator(_size)] = Size(640)
    confidence: Annotated[Confidence, BeforeValidator(_confidence)] = Confidence(DEFAULT_CONFIDENCE, {})
    labels: dict[str, Label] | None = Field(default=None, min_length=1)
    device: Annotated[str, StringConstraints(pattern=r"^(auto|cpu|cuda:\d+)$")] = "auto"
    reaffirm_for: Duration = timedelta(seconds=10)
    gate: bool = True
    windows: bool = True
    second_look: SecondLook | None = None
    options: dict[str, Any] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BackendSettings:
    """What a backend's `build` gets.

    `floor` is the lowest confidence that any label asks for: a backend may drop what lies below. `options` is of the
    backend's own `Config`.
    """

    model: Model
    size: Size
    device: str
    floor: float
    options: Any


@dataclass(frozen=True, slots=True)
class DetectorSettings:
    """One detector, checked: what `detectors/<id>.yaml` says with everything looked up.

    `classes` are the model's, None when they are only known once it is loaded. `labels` maps model class to our label
    and holds every class wanted; a class that is not in it is ignored.
    """

    id: str
    file: str
    backend: str
    model: Model
    size: Size
    confidence: Confidence
    classes: tuple[str, ...] | None
    labels: Mapping[str, str]
    device: str
    reaffirm_for: timedelta
    gate: bool
    options: Any
    windows: bool = True
    second_look: SecondLook | None = None

    def candidates(self) -> Confidence:
        """From which confidence on a detection is looked at at all: lower than it counts where a second look may raise it."""
        second = self.second_look
        if second is None:
            return self.confidence
        lowered = {label: min(second.confidence, self.confidence.of(label)) for label in second.labels}
        return Confidence(self.confidence.default, {**self.confidence.by_label, **lowered})

    def for_backend(self) -> BackendSettings:
        candidates = self.candidates()
        floor = min((candidates.of(label) for label in self.labels.values()), default=candidates.default)
        return BackendSettings(self.model, self.size, self.device, floor, self.options)


class BackendFile(Protocol):
    """What each file of `detectors/backends/` offers. Importing it is cheap: a runtime is imported by `build`."""

    Config: type[Section]

    def classes(self, settings: BackendSettings) -> tuple[str, ...] | None:
        """The model's classes by index, without loading it; None when that cannot be. Raises ModelUnusable."""
        ...

    def files(self, settings: BackendSettings) -> tuple[Path, ...]:
        """What `build` will read. Raises ModelUnusable when the model does not come in a form for this backend."""
        ...

    def build(self, settings: BackendSettings) -> Backend:
        """Load it. Raises ModelUnusable, saying what to do."""
        ...


def backend_file(name: str) -> BackendFile:
    """The backend of that name. Raises UnknownPlugin."""
    return cast("BackendFile", plugins.load(SOCKET, name))


def labels_of(settings: DetectorSettings) -> set[str]:
    """The labels that this detector can give."""
    return set(settings.labels.values())


def load(folder: Path, *, faults: list[Fault], models: Path | None = None) -> dict[str, DetectorSettings]:
    """The detectors of a config folder by id; what is wrong with the others is added to the faults.

    `models` is the folder of registry.yaml; without it, it is looked for.
    """
    paths = sorted((folder / "detectors").glob("*.yaml"))
    if not paths:
        faults.append(
            Fault(
                str(folder / "detectors"),
                "",
                "holds no detector.",
                "Add one file for each, such as detectors/city.yaml.",
            )
        )
    registered = _Models(folder, models or find_models(folder), faults)
    found = {}
    for path in paths:
        value = read(path, faults=faults)
        written = None if value is None else parse(DetectorFile, value, file=str(path), faults=faults)
        if written is not None:
            settings = _Checker(path, written, registered, faults).settings()
            if settings is not None:
                found[path.stem] = settings
    return found


class _Models:
    """The registry, read when the first detector asks for it, so that its faults are told once."""

    def __init__(self, config: Path, folder: Path, faults: list[Fault]) -> None:
        self._config = config
        self._folder = folder
        self._faults = faults
        self._entries: dict[str, Entry] | None = None
        self._asked = False

    def get(self, wanted: str, *, file: str) -> Model | None:
        path = Path(wanted) if Path(wanted).is_absolute() else self._config / wanted
        if path.exists() or "/" in wanted:
            if path.exists():
                return Model(path.name, path=path)
            self._faults.append(Fault(file, "model", f"there is no file {path}.", "Paths begin at the config folder."))
            return None
        if not self._asked:
            self._asked = True
            self._entries = load_registry(self._folder, faults=self._faults)
        if self._entries is None:
            return None
        try:
            return choose(wanted, self._entries, self._folder)
        except KeyError as error:
            message, remedy = error.args
            self._faults.append(Fault(file, "model", message, remedy))
            return None


class _Checker:
    """Looks up what one file names, and goes on after a fault to find the others."""

    def __init__(self, path: Path, written: DetectorFile, models: _Models, faults: list[Fault]) -> None:
        self._file = str(path)
        self._id = path.stem
        self._written = written
        self._models = models
        self._faults = faults

    def settings(self) -> DetectorSettings | None:
        written, before = self._written, len(self._faults)
        if written.id not in (None, self._id):
            self._fault("id", f"expected {self._id!r}, the file's name, got {written.id!r}.")
        model = NO_MODEL if written.model is None else self._models.get(written.model, file=self._file)
        try:
            plugin = backend_file(written.backend)
        except UnknownPlugin as error:
            self._fault("backend", f"{error.message}.", did_you_mean(written.backend, plugins.offered(SOCKET)))
            return None
        options = parse(plugin.Config, written.options, file=self._file, faults=self._faults, at="options")
        if model is None or options is None:
            return None
        asked = BackendSettings(model, written.size, written.device, written.confidence.default, options)
        try:
            classes = plugin.classes(asked)
            plugin.files(asked)
        except ModelUnusable as error:
            self._fault("model", f"{error}.")
            return None
        labels = self._labels(classes, model)
        if labels is None or len(self._faults) > before:
            return None
        return DetectorSettings(
            id=self._id,
            file=self._file,
            backend=written.backend,
            model=model,
            size=written.size,
            confidence=written.confidence,
            classes=classes,
            labels=labels,
            device=written.device,
            reaffirm_for=written.reaffirm_for,
            gate=written.gate,
            windows=written.windows,
            second_look=written.second_look,
            options=options,
        )

    def _labels(self, classes: tuple[str, ...] | None, model: Model) -> Mapping[str, str] | None:
        written = self._written.labels
        if written is None and classes is None:
            self._fault(
                "labels",
                f"is missing: the classes of {model.name} are known only once it is loaded.",
                "List `model class: our label` for each class wanted.",
            )
            return None
        labels = {name: name for name in classes or ()} if written is None else dict(written)
        for name in labels:
            if classes is not None and name not in classes:
                self._fault(f"labels.{name}", f"{name!r} is not a class of {model.name}.", did_you_mean(name, classes))
        second = self._written.second_look
        asked = {f"confidence.{label}": label for label in self._written.confidence.by_label}
        asked |= {f"second_look.labels.{at}": label for at, label in enumerate(second.labels if second else ())}
        for key, label in asked.items():
            if label not in labels.values():
                known = did_you_mean(label, set(labels.values()))
                self._fault(key, f"{label!r} is not a label of this detector.", known)
        return labels

    def _fault(self, key: str, message: str, remedy: str = "") -> None:
        self._faults.append(Fault(self._file, key, message, remedy))
