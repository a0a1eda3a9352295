"""Draws pictures and small OpenVINO graphs whose answers are known, for tests of what looks at them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import yaml

from citybrain.configuration import Section
from citybrain.domain.geometry import Box
from citybrain.ports import Picture
from detectors.config import BackendSettings, DetectorSettings, Size, load
from detectors.registry import Model

RED, GREEN, BLUE, GREY = (255, 0, 0), (0, 255, 0), (0, 0, 255), (114, 114, 114)

Rgb = npt.NDArray[np.uint8]


def canvas(width: int, height: int, colour: Sequence[int] = GREY) -> Rgb:
    return np.full((height, width, 3), colour, np.uint8)


def draw(rgb: Rgb, box: Box, colour: Sequence[int]) -> Rgb:
    height, width = rgb.shape[:2]
    rgb[round(box.y1 * height) : round(box.y2 * height), round(box.x1 * width) : round(box.x2 * width)] = colour
    return rgb


def picture(rgb: Rgb) -> Picture:
    """The planes that a decoder gives for this picture: BT.601, video range, chroma rounded up for odd sides."""
    height, width = rgb.shape[:2]
    even = cv2.copyMakeBorder(rgb, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
    rows, columns = even.shape[:2]
    planar = np.asarray(cv2.cvtColor(even, cv2.COLOR_RGB2YUV_I420), np.uint8)
    chroma = planar[rows:].reshape(2, rows // 2, columns // 2)
    return Picture(planar[:height, :width], chroma[0], chroma[1])


def photograph(path: Path) -> Picture:
    found = cv2.imread(str(path), cv2.IMREAD_COLOR)
    assert found is not None, path
    return picture(np.ascontiguousarray(found[..., ::-1]))


def tiny_models(
    folder: Path,
    *,
    shapes: Sequence[tuple[int, int]] = ((64, 96),),
    finished: bool = False,
    frozen: bool = False,
    shares: Mapping[tuple[int, int], float] | None = None,
    **changes: Any,
) -> Path:
    """A registry with the model `tiny`: classes red, green and blue, scored by the mean of that channel over the input.

    `finished` gives it an end-to-end head, `frozen` a batch of one for good.

    Raw heads answer one box for each of 16 anchors, all but the first scored nought: the middle half of the input, or
    another share of each side in the `shares` by shape.
    """
    weights = folder / "weights"
    weights.mkdir(parents=True, exist_ok=True)
    files = {}
    for height, width in shapes:
        xml, binary = weights / f"tiny-{height}x{width}.xml", weights / f"tiny-{height}x{width}.bin"
        _graph(height, width, xml, finished=finished, frozen=frozen, share=(shares or {}).get((height, width), 0.5))
        files[f"{height}x{width}"] = {
            "xml": f"weights/{xml.name}",
            "bin": f"weights/{binary.name}",
            "sha256": {"xml": sha256(xml), "bin": sha256(binary)},
        }
    entry = {
        "version": 1,
        "task": "detect",
        "architecture": "mean",
        "classes": ["red", "green", "blue"],
        "files": {"openvino": files},
        "output": {"layout": "as detectors/heads.py reads it", "nms": not finished},
        "licence": "AGPL-3.0-only",
        "card": "cards/tiny.md",
    } | changes
    (folder / "registry.yaml").write_text(yaml.safe_dump({"models": {"tiny": entry}}), encoding="utf-8")
    return folder


def _graph(height: int, width: int, xml: Path, *, finished: bool, frozen: bool, share: float) -> None:
    import openvino
    from openvino import opset13 as ops

    given = ops.parameter([1, 3, height, width], np.float32, name="images")
    means = ops.reduce_mean(given, np.array([2, 3]), keep_dims=False)  # [1, 3]
    box = np.array([width / 2, height / 2, width * share, height * share], np.float32)
    if finished:
        corners = np.array([[width / 4, height / 4, width * 3 / 4, height * 3 / 4]] * 3, np.float32)[None]
        kinds = np.array([[0], [1], [2]], np.float32)[None]
        # A sum with nothing carries the batch to the constants.
        nothing = ops.multiply(ops.unsqueeze(means, np.array(2)), np.float32(0))
        answer = ops.concat(
            [ops.add(nothing, corners), ops.unsqueeze(means, np.array(2)), ops.add(nothing, kinds)], axis=2
        )
    else:
        first = np.zeros((1, 1, 16), np.float32)
        first[..., 0] = 1
        scores = ops.multiply(ops.unsqueeze(means, np.array(2)), first)  # [1, 3, 16]
        nothing = ops.multiply(ops.slice(scores, [0], [1], [1], [1]), np.float32(0))
        answer = ops.concat([ops.add(nothing, np.tile(box[None, :, None], (1, 1, 16))), scores], axis=1)
    if frozen:
        answer = ops.reshape(answer, np.array([1, 7, -1]), special_zero=False)
    openvino.save_model(openvino.Model([answer], [given], "tiny"), xml, compress_to_fp16=False)


def tiny_onnx(
    path: Path,
    *,
    height: int | str = "height",
    width: int | str = "width",
    batch: int | str = "batch",
    names: Sequence[str] | None = ("red", "green", "blue"),
) -> Path:
    """`tiny` as an ONNX file that takes any size and number of pictures, or those given; its metadata names its classes."""
    from onnx import TensorProto, helper, save_model

    def constant(name: str, values: Any, kind: int) -> Any:
        array = np.asarray(values)
        return helper.make_tensor(name, kind, array.shape, array.ravel().tolist())

    first = np.zeros((1, 1, 16), np.float32)
    first[..., 0] = 1
    constants = [
        constant("first", first, TensorProto.FLOAT),
        constant("half", [0.5], TensorProto.FLOAT),
        constant("nought", [0.0], TensorProto.FLOAT),
        constant("sides", [3, 2, 3, 2], TensorProto.INT64),
        constant("column", [1, 4, 1], TensorProto.INT64),
        constant("last", [2], TensorProto.INT64),
        constant("across", [2, 3], TensorProto.INT64),
        constant("one", [0], TensorProto.INT64),
        constant("two", [1], TensorProto.INT64),
        constant("channels", [1], TensorProto.INT64),
    ]
    steps = [
        ("ReduceMean", ["images", "across"], "means", {"keepdims": 0}),
        ("Unsqueeze", ["means", "last"], "columns", {}),
        ("Mul", ["columns", "first"], "scores", {}),
        ("Shape", ["images"], "shape", {}),
        ("Gather", ["shape", "sides"], "pixels", {}),
        ("Cast", ["pixels"], "floats", {"to": TensorProto.FLOAT}),
        ("Mul", ["floats", "half"], "halves", {}),
        ("Reshape", ["halves", "column"], "box", {}),
        ("Slice", ["scores", "one", "two", "channels"], "any", {}),
        ("Mul", ["any", "nought"], "nothing", {}),
        ("Add", ["nothing", "box"], "boxes", {}),
        ("Concat", ["boxes", "scores"], "output0", {"axis": 1}),
    ]
    graph = helper.make_graph(
        [helper.make_node(kind, given, [made], **how) for kind, given, made, how in steps],
        "tiny",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [batch, 3, height, width])],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, [batch, 7, 16])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    if names is not None:
        helper.set_model_props(model, {"task": "detect", "names": str(dict(enumerate(names)))})
    save_model(model, path)
    return path


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def detector(config: Path, *, models: Path | None = None, **written: Any) -> DetectorSettings:
    """The settings of `detectors/city.yaml` with these keys; whatever is wrong with it fails the test."""
    (config / "detectors").mkdir(parents=True, exist_ok=True)
    (config / "detectors" / "city.yaml").write_text(yaml.safe_dump(written), encoding="utf-8")
    faults: list[Any] = []
    found = load(config, faults=faults, models=models)
    assert not faults, "\n".join(map(str, faults))
    return found["city"]


def backend_settings(
    options: Section, *, model: Model | None = None, floor: float = 0.25, side: int = 96
) -> BackendSettings:
    return BackendSettings(model or Model("none"), Size(side), "auto", floor, options)
