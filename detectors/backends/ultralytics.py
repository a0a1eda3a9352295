"""Any model file that ultralytics loads: .pt, .onnx, .engine, or an OpenVINO folder. Needs the extra `ultralytics`.

It is kept from what it does by itself elsewhere: no packages installed, nothing downloaded or reported, nothing written
into the user's home.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import Field

from citybrain.configuration import Section
from citybrain.domain.detection import Detection
from citybrain.domain.geometry import Box
from citybrain.errors import ModelUnusable
from citybrain.ports import InputSpec
from detectors.config import STRIDE, BackendSettings
from detectors.heads import MOST
from detectors.registry import read_verified

log = logging.getLogger(__name__)

INSTALL = "make install-ultralytics"


class Config(Section):
    """`options` of a detector with this backend."""

    max_batch: Annotated[int, Field(ge=1, le=64)] = 4
    """On a GPU 16 to 32, across cameras; on a CPU more than 4 gains nothing."""
    half: bool = False
    """16-bit floats; for GPUs."""
    threads: Annotated[int, Field(ge=1, le=64)] = 1
    """torch's threads in this process, where the model runs on the CPU."""
    max_overlap: Annotated[float, Field(gt=0, lt=1)] = 0.7
    """Of two boxes of one class that overlap by more than this, the surer is kept."""


def classes(settings: BackendSettings) -> tuple[str, ...] | None:
    """The registry's classes; those of a file of the user's own are known once it is loaded."""
    entry = settings.model.entry
    return None if entry is None else entry.classes


def files(settings: BackendSettings) -> tuple[Path, ...]:
    """The model file, or every file of a model folder."""
    path = _path(settings)
    return tuple(sorted(each for each in path.rglob("*") if each.is_file())) if path.is_dir() else (path,)


def build(settings: BackendSettings) -> UltralyticsBackend:
    """Import torch and load the model."""
    return UltralyticsBackend(settings)


class UltralyticsBackend:
    """A model behind ultralytics' predictor, fed inputs of its own size: nothing is letterboxed twice."""

    def __init__(self, settings: BackendSettings) -> None:
        self._options: Config = settings.options
        self._floor = settings.floor
        self._longest, self._exact = settings.size.longest, settings.size.exact
        path = _path(settings)
        digest = hashlib.sha256()
        for each in files(settings):
            digest.update(hashlib.sha256(read_verified(settings.model, each)).digest())
        self._revision = digest.hexdigest()[:12]
        torch, yolo = _import()
        self._device = _device(settings.device, torch)
        if self._device == "cpu":
            torch.set_num_threads(self._options.threads)
        with _unusable(settings.model.name, "is it a detection model of a version that this ultralytics reads?"):
            self._model = yolo(str(path), task="detect")
            self._predict(np.full((1, 64, 64, 3), 114, np.uint8), STRIDE * 20, STRIDE * 20)
            names = dict(self._model.names)
            self._classes = tuple(str(names[index]) for index in range(len(names)))
            self._fixed, self._most = self._frozen()
        log.info("%s (%s) runs on %s through ultralytics", settings.model.name, self._revision, self._device)

    @property
    def classes(self) -> tuple[str, ...]:
        return self._classes

    @property
    def revision(self) -> str:
        return self._revision

    def input_for(self, width: int, height: int) -> InputSpec:
        """The exported shape, or the least padding: the longest side as configured, the other to a multiple of 32."""
        fixed = self._fixed or self._exact
        if fixed is None:
            scale = self._longest / max(width, height)
            wide, high = (min(self._longest, _up(side * scale)) for side in (width, height))
            fixed = (wide, high)
        return InputSpec(width=fixed[0], height=fixed[1], format="rgb24", max_batch=self._most)

    def windows_for(self, spec: InputSpec) -> Sequence[InputSpec]:
        """Half of each side, and a square of a third, where the model takes any size."""
        if self._fixed is not None:
            return []
        small = _up(max(spec.width, spec.height) / 3.4)
        half = replace(spec, width=_up(spec.width / 2), height=_up(spec.height / 2))
        return [replace(spec, width=small, height=small), half]

    def warmup(self) -> None:
        spec = self.input_for(16, 9)
        self.infer(np.full((1, spec.height, spec.width, 3), 114, np.uint8), 1, spec)

    def infer(self, batch: npt.NDArray[np.uint8], n: int, spec: InputSpec) -> list[list[Detection]]:
        if batch.shape[1:] != (spec.height, spec.width, 3) or not 0 <= n <= len(batch):
            raise ValueError(f"expected at most {len(batch)} inputs of {spec}, got {n} of {batch.shape[1:]}")
        return [self._seen(each) for each in self._predict(batch[:n], spec.width, spec.height)] if n else []

    def close(self) -> None:
        self._model = None

    def _predict(self, batch: npt.NDArray[np.uint8], width: int, height: int) -> list[Any]:
        answers = self._model.predict(
            [np.ascontiguousarray(picture[..., ::-1]) for picture in batch],
            imgsz=(height, width),
            conf=self._floor,
            iou=self._options.max_overlap,
            max_det=MOST,
            device=self._device,
            **({"quantize": 16} if self._options.half else {}),
            save=False,
            verbose=False,
        )
        return list(answers)

    def _seen(self, answer: Any) -> list[Detection]:
        boxes = answer.boxes
        corners = np.clip(boxes.xyxyn.cpu().numpy(), 0.0, 1.0)
        return [
            Detection(self._classes[int(kind)], min(1.0, float(score)), Box(*(float(edge) for edge in corner)))
            for corner, score, kind in zip(corners, boxes.conf.cpu().numpy(), boxes.cls.cpu().numpy(), strict=True)
            if corner[2] > corner[0] and corner[3] > corner[1]
        ]

    def _frozen(self) -> tuple[tuple[int, int] | None, int]:
        """(width, height) and batch that an export fixed; a .pt takes any."""
        runner = self._model.predictor.model
        shape = getattr(runner, "imgsz", None)
        if not shape or getattr(runner, "pt", False) or getattr(runner, "dynamic", False):
            return None, self._options.max_batch
        return (int(shape[1]), int(shape[0])), min(self._options.max_batch, int(getattr(runner, "batch", 1) or 1))


def _path(settings: BackendSettings) -> Path:
    model = settings.model
    if model.path is not None:
        return model.path
    if model.entry is None or model.folder is None:
        raise ModelUnusable("no model is named; set `model` to an entry of models/registry.yaml or to a model file")
    if model.entry.files.pytorch is None:
        raise ModelUnusable(
            f"{model.name}: the registry has no .pt file for it; name a file, or choose another backend"
        )
    return model.folder / model.entry.files.pytorch.path


def _import() -> tuple[Any, Any]:
    """torch and ultralytics' YOLO. What ultralytics reads from the environment it reads once, when it is imported."""
    os.environ["YOLO_AUTOINSTALL"] = "false"
    os.environ["YOLO_OFFLINE"] = "true"
    os.environ.setdefault("YOLO_CONFIG_DIR", str(_own_folder()))
    try:
        from detectors.torchvision_guard import make_torchvision_importable

        make_torchvision_importable()
        import torch
        from ultralytics import YOLO
    except ImportError as error:
        raise ModelUnusable(
            f"the backend 'ultralytics' is not installed ({error}); run `{INSTALL}`, or choose `backend: openvino`"
        ) from None
    return torch, YOLO


def _own_folder() -> Path:
    """Where ultralytics may keep its settings: a folder that belongs to this user alone, and not in the home."""
    folder = Path(tempfile.gettempdir()) / f"citybrain-ultralytics-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        return Path(tempfile.mkdtemp(prefix="citybrain-ultralytics-"))
    return folder


def _device(wanted: str, torch: Any) -> str:
    if wanted == "auto":
        return "cuda:0" if torch.cuda.is_available() else "cpu"
    if wanted.startswith("cuda") and not torch.cuda.is_available():
        raise ModelUnusable(f"torch sees no {wanted} here; set `device: auto`, or install a CUDA build of torch")
    return wanted


@contextlib.contextmanager
def _unusable(name: str, question: str) -> Iterator[None]:
    """Whatever a foreign file makes ultralytics raise while loading is the model's fault, not the program's."""
    try:
        yield
    except Exception as error:  # unpickling and a dozen runtimes: there is no common class
        first = (str(error).strip().splitlines() or [""])[0]
        raise ModelUnusable(f"{name}: cannot be loaded ({type(error).__name__}: {first}); {question}") from error


def _up(side: float) -> int:
    return max(STRIDE, -(-round(side) // STRIDE) * STRIDE)
