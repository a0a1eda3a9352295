"""The forms that a registered model comes in, each to be run alone: every OpenVINO graph, the ONNX file, the .pt."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from citybrain.domain.detection import Detection
from citybrain.domain.geometry import Box
from citybrain.errors import ModelUnusable
from citybrain.ports import Picture
from detectors.batching import Detector, open_detector
from detectors.config import Confidence, DetectorSettings, Size, backend_file
from detectors.registry import Entry, Model, openvino_files
from detectors.windows import cut

FLOOR = 0.05
"""Confidence below which nothing is told: an answer that is too unsure is worth reading, noise is not."""
_WHOLE_OF_A_WINDOW = 0.85  # a thing that fills more of a window is not seen with anything around it

Shape = tuple[int, int]
"""(height, width)"""


@dataclass(frozen=True, slots=True)
class Form:
    """One form of a model: what it is called, the shape that it is fixed to if it is, its files, and how it is run.

    `window_of` are the shapes of whole pictures, for a graph that is too small for one: it is shown a part at their scale.
    """

    name: str
    shape: Shape | None
    files: tuple[Path, ...]
    settings: DetectorSettings = field(repr=False)
    window_of: tuple[Shape, ...] = ()

    @property
    def told_shape(self) -> str:
        return "" if self.shape is None else f"{self.shape[0]}x{self.shape[1]}"

    def part(self, picture: Picture, thing: Box) -> tuple[Picture, Box] | None:
        """What of the picture this form is to be shown so that it sees a thing, and where that lies; None for one too large."""
        if self.shape is None or not self.window_of:
            return picture, Box(0.0, 0.0, 1.0, 1.0)
        scale = max(min(width / picture.width, height / picture.height) for height, width in self.window_of)
        wide = min(1.0, self.shape[1] / (picture.width * scale))
        high = min(1.0, self.shape[0] / (picture.height * scale))
        if thing.x2 - thing.x1 > wide * _WHOLE_OF_A_WINDOW or thing.y2 - thing.y1 > high * _WHOLE_OF_A_WINDOW:
            return None
        left = min(max(0.0, thing.centre[0] - wide / 2), 1.0 - wide)
        top = min(max(0.0, thing.centre[1] - high / 2), 1.0 - high)
        return cut(picture, Box(left, top, min(1.0, left + wide), min(1.0, top + high)))

    @contextmanager
    def opened(self) -> Iterator[Detector]:
        """The form loaded and run once. Raises ModelUnusable."""
        with open_detector(self.settings, looks=()) as detector:
            detector.warmup()
            yield detector


@dataclass(frozen=True, slots=True)
class Absent:
    """A form that cannot be run here, and why."""

    name: str
    why: str


def forms_of(model: Model) -> list[Form | Absent]:
    """Every form that the registry names, and those that a model may have and that cannot be run here."""
    entry, folder = model.entry, model.folder
    if entry is None or folder is None:
        raise ValueError(f"{model.name}: expected an entry of a registry")
    found: list[Form | Absent] = []
    for name, int8 in (("openvino", False), ("openvino_int8", True)):
        graphs = openvino_files(model, int8=int8)
        found += _graphs(model, name, graphs, precision="int8" if int8 else "auto")
        if not graphs:
            found.append(Absent(name, "the registry names none"))
    found.append(_onnx(model, entry, folder))
    found.append(_pytorch(model, entry, folder))
    found.append(Absent("tensorrt", "an engine is made where it runs: models/scripts/export.py --tensorrt"))
    return found


def _graphs(model: Model, name: str, graphs: Mapping[Shape, tuple[Path, Path]], *, precision: str) -> Iterator[Form]:
    most = max((max(shape) for shape in graphs), default=0)
    wholes = tuple(shape for shape in graphs if max(shape) * 2 > most)
    for shape, files in graphs.items():
        size = Size(max(shape), (shape[1], shape[0]))
        settings = settings_of(model, "openvino", size, {"precision": precision})
        yield Form(name, shape, files, settings, () if shape in wholes else wholes)


def _onnx(model: Model, entry: Entry, folder: Path) -> Form | Absent:
    if entry.files.onnx is None:
        return Absent("onnx", "the registry names none; models/scripts/export.py makes it")
    path = folder / entry.files.onnx.path
    own = Model(f"{model.name} (ONNX)", path=path)
    return Form("onnx", None, (path,), settings_of(own, "openvino", longest(model), {}, classes=entry.classes))


def _pytorch(model: Model, entry: Entry, folder: Path) -> Form | Absent:
    if entry.files.pytorch is None:
        return Absent("pytorch", "the registry names none")
    missing = [each for each in ("torch", "ultralytics") if importlib.util.find_spec(each) is None]
    if missing:
        return Absent("pytorch", f"{' and '.join(missing)} not installed; make install-ultralytics")
    path = folder / entry.files.pytorch.path
    return Form("pytorch", None, (path,), settings_of(model, "ultralytics", longest(model), {}))


def longest(model: Model) -> Size:
    """The size of the largest of its graphs: what whole pictures are fed at."""
    return Size(max((max(shape) for shape in openvino_files(model)), default=640))


def settings_of(
    model: Model,
    backend: str,
    size: Size,
    options: Mapping[str, Any],
    *,
    classes: Sequence[str] | None = None,
    floor: float = FLOOR,
) -> DetectorSettings:
    """As a detector's YAML would say it that gives every class its own name."""
    known = tuple(classes or (model.entry.classes if model.entry else ()))
    return DetectorSettings(
        id="own",
        file="",
        backend=backend,
        model=model,
        size=size,
        confidence=Confidence(floor, {}),
        classes=known,
        labels={name: name for name in known},
        device="cpu",
        reaffirm_for=timedelta(),
        gate=False,
        options=backend_file(backend).Config.model_validate(options),
        windows=False,
    )


def seen_in(detector: Detector, picture: Picture) -> tuple[Detection, ...]:
    """What the form finds in one picture. Raises ModelUnusable when the runtime fails at it."""
    try:
        return detector.detect([picture])[0]
    except RuntimeError as error:
        last = (str(error).strip().splitlines() or [type(error).__name__])[-1]
        raise ModelUnusable(f"it fails at a picture ({last.strip()}); export it again") from None
