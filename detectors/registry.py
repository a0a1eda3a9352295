"""Reads models/registry.yaml: which models there are, what they answer, and which bytes they are."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from citybrain.configuration import Section, did_you_mean, parse, read
from citybrain.errors import ConfigError, Fault, ModelUnusable

ENVIRONMENT = "CITYBRAIN_MODELS"
"""The variable that names the models folder when it is neither beside the configuration nor in the repository."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Shape = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{1,4}x[1-9][0-9]{1,4}$")]


class XmlAndBin(Section):
    """What an OpenVINO graph consists of."""

    xml: str
    bin: str


class XmlAndBinHash(Section):
    xml: Sha256
    bin: Sha256


class OpenvinoFiles(XmlAndBin):
    """One exported graph of a fixed shape; several may share one bin."""

    sha256: XmlAndBinHash


class PytorchFile(Section):
    path: str
    sha256: Sha256


class OnnxFile(Section):
    """One graph for every size and number of pictures (sides are multiples of 32); for other runtimes, and for TensorRT."""

    path: str
    sha256: Sha256
    opset: int = Field(ge=9)


class Files(Section):
    """The forms a model comes in; OpenVINO graphs by shape, height first."""

    openvino: dict[Shape, OpenvinoFiles] = Field(default_factory=dict)
    openvino_int8: dict[Shape, OpenvinoFiles] = Field(default_factory=dict)
    onnx: OnnxFile | None = None
    pytorch: PytorchFile | None = None


class Input(Section):
    """Channel order, and what 8-bit values are divided by."""

    format: Literal["rgb", "bgr"] = "rgb"
    scale: float = Field(default=255.0, gt=0)


class Output(Section):
    """`nms` says whether overlapping answers are still to be thinned out."""

    layout: str
    nms: bool


class Entry(Section):
    """One model of the registry."""

    version: int = Field(ge=1)
    task: Literal["detect"]
    architecture: str
    classes: tuple[str, ...] = Field(min_length=1)
    files: Files
    input: Input = Input()
    output: Output
    licence: str
    card: str
    suggested: dict[str, Annotated[float, Field(gt=0, lt=1)]] = Field(default_factory=dict)
    """From which confidence on each class should count, by those who measured it; the card says on what."""
    findings: str | None = None
    """What it must find in pictures that ship (detectors/findings.py); none for a model that nobody has stated it for."""

    @model_validator(mode="after")
    def _each_class_once(self) -> Self:
        twice = sorted({name for name in self.classes if self.classes.count(name) > 1})
        if twice:
            raise ValueError(f"each class must have a name of its own, got {', '.join(twice)} more than once")
        return self

    @model_validator(mode="after")
    def _suggested_of_its_classes(self) -> Self:
        unknown = sorted(set(self.suggested) - set(self.classes))
        if unknown:
            raise ValueError(f"suggested: {', '.join(unknown)} is no class of the model ({', '.join(self.classes)})")
        return self


class Registry(Section):
    models: dict[str, Entry]


@dataclass(frozen=True, slots=True)
class Model:
    """The model that a detector runs: an entry of the registry, or a file or folder of the user's own.

    `name` is what looks carry (`city-n@1`, or the file's name); exactly one of `entry` and `path` is given, or neither
    for a backend that needs no model. `folder` is where an entry's paths begin.
    """

    name: str
    folder: Path | None = None
    entry: Entry | None = None
    path: Path | None = None


NO_MODEL = Model("none")


def find_models(config: Path, *, environment: Mapping[str, str] | None = None) -> Path:
    """The models folder: `CITYBRAIN_MODELS`, else `models/` in or beside the config folder, else the repository's."""
    variables = os.environ if environment is None else environment
    if variables.get(ENVIRONMENT):
        return Path(variables[ENVIRONMENT])
    own = Path(__file__).resolve().parent.parent / "models"
    beside = (config / "models", config.resolve().parent / "models")
    return next((folder for folder in beside if (folder / "registry.yaml").is_file()), own)


def load_registry(folder: Path, *, faults: list[Fault]) -> dict[str, Entry] | None:
    """The registry's entries by name, or None after adding the faults."""
    path = folder / "registry.yaml"
    value = read(path, faults=faults)
    if value is None:
        return None
    registry = parse(Registry, value, file=str(path), faults=faults)
    return None if registry is None else registry.models


def list_models(folder: Path) -> list[Model]:
    """Every model of the registry, by name. Raises ConfigError."""
    faults: list[Fault] = []
    entries = load_registry(folder, faults=faults)
    if entries is None:
        raise ConfigError(faults)
    return [Model(f"{name}@{entry.version}", folder, entry) for name, entry in sorted(entries.items())]


def choose(wanted: str, entries: Mapping[str, Entry], folder: Path) -> Model:
    """The entry `city-n`, or `city-n@1` to insist on a version. Raises KeyError with message and remedy."""
    name, _, version = wanted.partition("@")
    entry = entries.get(name)
    if entry is None:
        raise KeyError(
            f"{wanted!r} is neither a model of {folder / 'registry.yaml'} nor a file.", did_you_mean(name, entries)
        )
    if version and version != str(entry.version):
        raise KeyError(f"expected version {version} of {name!r}, the registry has {entry.version}.", f"Write {name!r}.")
    return Model(f"{name}@{entry.version}", folder, entry)


def openvino_files(model: Model, *, int8: bool = False) -> dict[tuple[int, int], tuple[Path, Path]]:
    """The registered OpenVINO graphs as (xml, bin) by (height, width)."""
    if model.entry is None or model.folder is None:
        return {}
    files = model.entry.files.openvino_int8 if int8 else model.entry.files.openvino
    shapes = {}
    for shape, each in files.items():
        height, width = shape.split("x")
        shapes[int(height), int(width)] = (model.folder / each.xml, model.folder / each.bin)
    return shapes


def stated_files(model: Model) -> dict[Path, str]:
    """Every file that the registry names for the model, with the SHA-256 that it states."""
    return dict(_stated(model))


def registered_hash(model: Model, path: Path) -> str | None:
    """The SHA-256 that the registry states for a file; None for a file of the user's own."""
    return stated_files(model).get(path)


def read_verified(model: Model, path: Path) -> bytes:
    """The file's bytes, hashed before anybody parses them. Raises ModelUnusable when missing or altered."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise ModelUnusable(f"{model.name}: there is no file {path}; fetch or export the model again") from None
    except OSError as error:
        raise ModelUnusable(f"{model.name}: {path} cannot be read ({error.strerror})") from None
    expected, found = registered_hash(model, path), hashlib.sha256(content).hexdigest()
    if expected is not None and found != expected:
        raise ModelUnusable(
            f"{model.name}: {path} is not the registered file (expected sha256 {expected[:12]}…, got {found[:12]}…);"
            " restore it, or register the new one"
        )
    return content


def _stated(model: Model) -> Iterator[tuple[Path, str]]:
    if model.entry is None or model.folder is None:
        return
    files = model.entry.files
    for shapes in (files.openvino, files.openvino_int8):
        for each in shapes.values():
            yield model.folder / each.xml, each.sha256.xml
            yield model.folder / each.bin, each.sha256.bin
    for single in (files.onnx, files.pytorch):
        if single is not None:
            yield model.folder / single.path, single.sha256
