"""Runs an exported model as the product does: letterbox, one OpenVINO graph of fixed shape, threshold, NMS."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import yaml

GREY = 114


class Found(NamedTuple):
    """One thing found: class index, confidence, sides 0..1 of the picture."""

    label: int
    confidence: float
    left: float
    top: float
    right: float
    bottom: float


def letterbox(picture: np.ndarray[Any, Any], height: int, width: int) -> tuple[np.ndarray[Any, Any], float, int, int]:
    """The picture fitted into height × width on grey, and scale, x and y that lead back."""
    scale = min(height / picture.shape[0], width / picture.shape[1])
    rows, columns = round(picture.shape[0] * scale), round(picture.shape[1] * scale)
    top, left = (height - rows) // 2, (width - columns) // 2
    canvas = np.full((height, width, 3), GREY, np.uint8)
    canvas[top : top + rows, left : left + columns] = cv2.resize(picture, (columns, rows))
    return canvas, scale, left, top


def suppress(found: list[Found], *, iou: float) -> list[Found]:
    """Greedy NMS within each class; vehicles count as one class, so that a van is not both car and truck."""
    kept: list[Found] = []
    for one in sorted(found, key=lambda item: -item.confidence):
        if all(_group(one.label) != _group(other.label) or _iou(one, other) <= iou for other in kept):
            kept.append(one)
    return kept


def _group(label: int) -> int:
    return 2 if label in (2, 4, 5) else label


def _iou(one: Found, other: Found) -> float:
    width = min(one.right, other.right) - max(one.left, other.left)
    height = min(one.bottom, other.bottom) - max(one.top, other.top)
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    both = (one.right - one.left) * (one.bottom - one.top) + (other.right - other.left) * (other.bottom - other.top)
    return shared / (both - shared)


class ShippedModel:
    """One entry of a registry, all its shapes compiled."""

    def __init__(self, registry: Path, *, name: str = "city-n", form: str = "openvino") -> None:
        """`form`: `openvino`, or `openvino_int8` for the 8-bit graphs."""
        import openvino

        entry = yaml.safe_load(registry.read_text(encoding="utf-8"))["models"][name]
        self.classes: list[str] = entry["classes"]
        self.version: int = entry["version"]
        core = openvino.Core()
        self._graphs = {}
        shapes = {tuple(map(int, shape.split("x"))): files for shape, files in entry["files"][form].items()}
        longest = max(max(shape) for shape in shapes)
        for (height, width), files in shapes.items():
            if max(height, width) < longest:
                continue  # for windows on a picture: a whole one is not looked at so small
            graph = core.read_model(registry.parent / files["xml"], registry.parent / files["bin"])
            self._graphs[height, width] = core.compile_model(graph, "CPU", {"INFERENCE_NUM_THREADS": 2})

    def find(self, picture: np.ndarray[Any, Any], *, confidence: float = 0.25, iou: float = 0.55) -> list[Found]:
        """What one BGR picture shows, best first; the graph whose shape wastes least is used."""
        ratio = picture.shape[0] / picture.shape[1]
        height, width = min(self._graphs, key=lambda shape: abs(shape[0] / shape[1] - ratio))
        canvas, scale, left, top = letterbox(picture, height, width)
        tensor = canvas[None, ..., ::-1].transpose(0, 3, 1, 2).astype(np.float32) / 255
        answer = self._graphs[height, width](tensor)[0][0]
        scores = answer[4:]
        found = []
        for column in np.flatnonzero(scores.max(axis=0) >= confidence):
            label = int(scores[:, column].argmax())
            cx, cy, wide, tall = answer[:4, column].tolist()
            x = [(value - left) / scale / picture.shape[1] for value in (cx - wide / 2, cx + wide / 2)]
            y = [(value - top) / scale / picture.shape[0] for value in (cy - tall / 2, cy + tall / 2)]
            x1, x2, y1, y2 = (min(1.0, max(0.0, value)) for value in (*x, *y))
            found.append(Found(label, float(scores[label, column]), x1, y1, x2, y2))
        return suppress(found, iou=iou)
