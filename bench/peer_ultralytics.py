"""ultralytics as its users have it: the shipped .pt, and the OpenVINO folder that its own export makes of it."""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from detectors.registry import Model, find_models, list_models, read_verified

FOLDER = Path(__file__).parents[1] / "data" / "bench-models"
MODEL = "city-n"


def shipped() -> Model:
    """The registry's model that every side runs."""
    return next(each for each in list_models(find_models(Path("configs"))) if each.name.partition("@")[0] == MODEL)


def weights(model: Model, *, folder: Path = FOLDER) -> Path:
    """The .pt where ultralytics may write beside it. Raises ModelUnusable."""
    assert model.entry is not None
    assert model.entry.files.pytorch is not None
    assert model.folder is not None
    content = read_verified(model, model.folder / model.entry.files.pytorch.path)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{MODEL}.pt"
    if not path.is_file() or path.read_bytes() != content:
        shutil.rmtree(folder)
        folder.mkdir()
        path.write_bytes(content)
    return path


def exported(pt: Path, *, height: int, width: int, batch: int | None) -> Path:
    """The folder that `export(format="openvino")` makes, once; without a batch it takes any (`dynamic=True`)."""
    found = pt.parent / f"{height}x{width}-{batch or 'any'}" / f"{pt.stem}_openvino_model"
    if not found.is_dir():
        found.parent.mkdir(exist_ok=True)
        copy = found.parent / pt.name
        shutil.copy(pt, copy)
        options: dict[str, Any] = {"dynamic": True} if batch is None else {"batch": batch}
        with redirect_stdout(sys.stderr):
            yolo(copy).export(format="openvino", imgsz=(height, width), **options)
    return found


def yolo(path: Path) -> Any:
    """ultralytics' YOLO with this model. Raises ImportError where ultralytics or torch is missing."""
    from detectors.torchvision_guard import make_torchvision_importable

    os.environ.update(YOLO_AUTOINSTALL="false", YOLO_OFFLINE="true", YOLO_VERBOSE="false")
    os.environ.setdefault("YOLO_CONFIG_DIR", str(FOLDER))
    make_torchvision_importable()
    from ultralytics import YOLO

    return YOLO(str(path), task="detect")
