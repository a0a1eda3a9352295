"""Makes the ONNX form of a model: one graph for every size and number of pictures, and proof that it answers as the others.

Weights are kept as FP16 and widened by the graph itself, which halves the file and leaves the arithmetic in float32: the
constants are those of the OpenVINO files. TensorRT wants them as they are computed with: `widened` gives it that.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from shipped import letterbox

OPSET = 17
"""What TensorRT 8.6 and later, ONNX Runtime 1.13 and later, and OpenVINO all read."""
IR_VERSION = 8
"""The container's own version, as old as the opset allows: an older runtime refuses a newer one unread."""
SMALLEST = 64
"""Constants of fewer values stay as they are: halving them saves nothing, and some are shapes' own arithmetic."""
NARROWED = ".fp16"
FREE = {"images": {0: "batch", 2: "height", 3: "width"}, "output0": {0: "batch", 2: "anchors"}}


def make(weights: Path, *, licence: str, example: tuple[int, int] = (384, 640)) -> Any:
    """The ONNX model of trained weights: every size and batch, float32 throughout, what it is in its metadata."""
    import onnx
    import torch
    from ultralytics import YOLO

    model: Any = YOLO(str(weights)).model
    model.float().eval().fuse()
    head = model.model[-1]
    head.export, head.format, head.dynamic = True, "onnx", True
    made = io.BytesIO()
    torch.onnx.export(
        model,
        torch.zeros(1, 3, *example),
        made,
        opset_version=OPSET,
        input_names=["images"],
        output_names=["output0"],
        dynamic_axes=FREE,
        dynamo=False,
    )
    graph = onnx.load_model_from_string(made.getvalue())
    graph.ir_version = IR_VERSION
    described(graph, classes=list(model.names.values()), licence=licence, size=example)
    onnx.checker.check_model(graph)
    return graph


def described(graph: Any, *, classes: Sequence[str], licence: str, size: tuple[int, int]) -> None:
    """Write into the model what it is, by the keys that ultralytics reads. Nothing of when or where: equal weights, equal bytes."""
    import onnx

    told = {
        "task": "detect",
        "names": dict(enumerate(classes)),
        "stride": 32,
        "channels": 3,
        "batch": 1,
        "imgsz": list(size),
        "args": {"dynamic": True},
        "licence": licence,
    }
    onnx.helper.set_model_props(graph, {key: str(value) for key, value in told.items()})


def narrowed(graph: Any) -> Any:
    """A copy with its float32 constants as FP16, each widened by a Cast where it is used."""
    import onnx
    from onnx import numpy_helper

    copy = onnx.ModelProto.FromString(graph.SerializeToString())
    casts = []
    for constant in copy.graph.initializer:
        if constant.data_type != onnx.TensorProto.FLOAT or np.prod(constant.dims) < SMALLEST:
            continue
        values = numpy_helper.to_array(constant)
        if not np.abs(values).max() < np.finfo(np.float16).max:
            continue
        name = constant.name
        constant.CopyFrom(numpy_helper.from_array(values.astype(np.float16), name + NARROWED))
        casts.append(onnx.helper.make_node("Cast", [name + NARROWED], [name], name=f"widen_{name}", to=1))
    nodes = [*casts, *copy.graph.node]
    del copy.graph.node[:]
    copy.graph.node.extend(nodes)
    onnx.checker.check_model(copy)
    return copy


def widened(graph: Any) -> Any:
    """The inverse but for what FP16 cannot hold: every constant as float32, no Cast in between."""
    import onnx
    from onnx import numpy_helper

    copy = onnx.ModelProto.FromString(graph.SerializeToString())
    narrow = {each.name: each for each in copy.graph.initializer if each.name.endswith(NARROWED)}
    for name, constant in narrow.items():
        values = numpy_helper.to_array(constant).astype(np.float32)
        constant.CopyFrom(numpy_helper.from_array(values, name.removesuffix(NARROWED)))
    nodes = [each for each in copy.graph.node if not (each.op_type == "Cast" and each.input[0] in narrow)]
    del copy.graph.node[:]
    copy.graph.node.extend(nodes)
    onnx.checker.check_model(copy)
    return copy


class Agreement(NamedTuple):
    """How two runtimes' answers to one picture differ: boxes that either is sure of, and the furthest of them apart."""

    boxes: int
    pixels: float
    confidence: float

    def holds(self, *, pixels: float = 0.5, confidence: float = 0.005) -> bool:
        """Whether they are the same answer but for half precision and another order of adding up."""
        return self.boxes > 0 and self.pixels <= pixels and self.confidence <= confidence


def compared(onnx_file: bytes, xml: Path, weights: Path, picture: np.ndarray[Any, Any]) -> Agreement:
    """ONNX Runtime beside the OpenVINO graph on one BGR picture, at that graph's shape, anchor by anchor."""
    import onnxruntime
    import openvino

    graph = openvino.Core().read_model(xml, weights)
    height, width = (int(side) for side in graph.inputs[0].shape[2:])
    canvas, *_ = letterbox(picture, height, width)
    given = canvas[None, ..., ::-1].transpose(0, 3, 1, 2).astype(np.float32) / 255
    exact = {"INFERENCE_PRECISION_HINT": "f32"}
    ours = openvino.compile_model(graph, "CPU", exact)(given)[0][0]
    session = onnxruntime.InferenceSession(onnx_file, providers=["CPUExecutionProvider"])
    theirs = session.run(["output0"], {"images": given})[0][0]
    if theirs.shape != ours.shape:
        raise ValueError(f"expected an answer of {ours.shape}, the ONNX file gives {theirs.shape}")
    sure = np.flatnonzero(np.maximum(ours[4:].max(axis=0), theirs[4:].max(axis=0)) >= 0.25)
    if not len(sure):
        return Agreement(0, 0.0, 0.0)
    apart = np.abs(ours[:, sure] - theirs[:, sure])
    return Agreement(len(sure), float(apart[:4].max()), float(apart[4:].max()))


def read_picture(path: Path) -> np.ndarray[Any, Any]:
    """A BGR picture. Raises ValueError for what is none."""
    picture = cv2.imread(str(path))
    if picture is None:
        raise ValueError(f"{path} is no picture that can be read")
    return picture
