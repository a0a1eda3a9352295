"""What a picture costs from decoded planes to labelled boxes: ours, the bare runtime, and ultralytics' `predict`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from bench import footage, peer_ultralytics
from bench.decode import keyframes_of
from bench.interleaved import Costs, Side, measured
from bench.machine import machine
from citybrain.domain.frame import Frame
from citybrain.errors import ModelUnusable
from citybrain.ports import InputSpec, Picture
from detectors.backends.openvino import Config, OpenvinoBackend
from detectors.batching import Detector
from detectors.config import Confidence, DetectorSettings, Size
from detectors.processor import this_processor
from detectors.registry import Model
from ingest.decode import Decoder

LEAST_OF_RUNTIME = 0.9
"""What ours must reach of the bare runtime's pictures per second."""

CLIPS = ("main-h264", "sub-h264")
"""16:9 and 4:3: the two shapes that the model is exported in."""
BATCHES = (1, 2, 3, 4)
_PICTURES = 12  # a round, whatever the batch
_ROUNDS = 5
_CONFIDENCE = 0.3
_NOW = datetime(2026, 1, 1, tzinfo=UTC)

_Work = Callable[[int], float]


def measure(given: argparse.Namespace) -> dict[str, Any]:
    """CPU-ms per picture, by shape and batch, every side in one process, in turns; one thread each."""
    cv2.setNumThreads(1)
    model = peer_ultralytics.shipped()
    backend = opened(model)
    peers, missing = _peers()
    rows = []
    for name, path in footage.clips(CLIPS, source=given.clips).items():
        pictures = pictures_of(path)
        rows += [{"clip": name} | row(model, backend, pictures, batch, peers) for batch in BATCHES]
    return {
        "machine": machine(),
        "model": model.name,
        "precision": this_processor().precision,
        "unit": "CPU-ms per picture",
        "rows": rows,
        **({"not_measured": missing} if missing else {}),
        "limits": {"of_runtime": LEAST_OF_RUNTIME},
        "holds": all(each["of_runtime"] >= LEAST_OF_RUNTIME for each in rows),
    }


def row(
    model: Model,
    backend: OpenvinoBackend,
    pictures: Sequence[Picture],
    batch: int,
    peers: Mapping[str, Callable[[InputSpec, int], Any]],
    *,
    rounds: int = _ROUNDS,
) -> dict[str, Any]:
    """One shape and batch: what each side costs, and the share of the bare runtime's pictures per second ours has."""
    spec = backend.input_for(pictures[0].width, pictures[0].height)
    detector = Detector(_settings(model), backend)
    seen: list[int] = []

    def ours(_: int) -> float:
        seen.clear()
        for chosen in _in_batches(pictures, batch):
            seen.extend(len(each) for each in detector.detect(chosen))
        return len(pictures)

    sides = {
        "ours": Side(ours),
        "runtime": Side(_bare(backend.compiled(spec, batch), len(pictures))),
        "runtime_float": Side(_bare(_as_exported(model, spec, batch), len(pictures))),
    }
    if batch in (1, max(BATCHES)):
        bgr = [_bgr(each) for each in pictures]
        for name, opened in peers.items():
            sides[name] = Side(_predicting(opened(spec, batch), bgr, spec, batch))
    costs = measured(sides, rounds=rounds)
    return {
        "shape": f"{spec.height}x{spec.width}",
        "batch": batch,
        **{name: round(costs.median(name), 1) for name in costs.by_side},
        **shares(costs),
        "boxes": sum(seen),
    }


def shares(costs: Costs) -> dict[str, float]:
    """Pictures per second of ours as a share of each other side's."""
    return {f"of_{name}": round(1 / costs.ratio("ours", name), 3) for name in costs.by_side if name != "ours"}


def opened(model: Model) -> OpenvinoBackend:
    backend = OpenvinoBackend(_settings(model).for_backend())
    backend.warmup()
    return backend


def _settings(model: Model) -> DetectorSettings:
    """The shipped detector: configs/detectors/city.yaml says the same."""
    assert model.entry is not None
    return DetectorSettings(
        id="bench",
        file="",
        backend="openvino",
        model=model,
        size=Size(640),
        confidence=Confidence(_CONFIDENCE, {}),
        classes=model.entry.classes,
        labels={name: name for name in model.entry.classes},
        device="cpu",
        reaffirm_for=_NOW - _NOW,
        gate=False,
        options=Config(),
    )


def pictures_of(path: Path) -> list[Picture]:
    """As they come from the decoder, each in memory of its own."""
    codec, keyframes = keyframes_of(path)
    decoder = Decoder()
    found = []
    for data in keyframes[-_PICTURES:]:
        seen = decoder.decode(Frame(camera="bench", codec=codec, packets=(data,), captured_at=_NOW, received_at=_NOW))
        found.append(Picture(seen.y.copy(), seen.u.copy(), seen.v.copy()))
    return found


def _in_batches(pictures: Sequence[Any], batch: int) -> list[Sequence[Any]]:
    return [pictures[start : start + batch] for start in range(0, len(pictures), batch)]


def _bare(compiled: Any, pictures: int) -> _Work:
    """OpenVINO's own benchmark loop: one request, its input filled once, `infer()` and nothing else."""
    request = compiled.create_infer_request()
    tensor = request.get_input_tensor()
    draw = np.random.default_rng(1)
    tensor.data[:] = draw.integers(0, 255, tensor.data.shape) if tensor.data.dtype == np.uint8 else draw.random()
    batch = int(tensor.shape[0])

    def work(_: int) -> float:
        for _call in range(pictures // batch):
            request.infer()
        return pictures // batch * batch

    return work


def _as_exported(model: Model, spec: InputSpec, batch: int) -> Any:
    """The graph as it lies in the file, floats in: without even the conversion of colours."""
    import openvino

    assert model.entry is not None
    assert model.folder is not None
    files = model.entry.files.openvino[f"{spec.height}x{spec.width}"]
    core = openvino.Core()
    network = core.read_model(model.folder / files.xml, model.folder / files.bin)
    network.reshape([batch, 3, spec.height, spec.width])
    return core.compile_model(network, "CPU", {"NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": 1})


def _peers() -> tuple[dict[str, Callable[[InputSpec, int], Any]], dict[str, str]]:
    """How to open ultralytics' two sides, or why they are not measured."""
    try:
        import torch

        pt = peer_ultralytics.weights(peer_ultralytics.shipped())
        peer_ultralytics.yolo(pt)
    except (ImportError, ModelUnusable) as error:
        return {}, {"ultralytics": f"not installed ({error}); `make install-ultralytics`"}
    torch.set_num_threads(1)

    def openvino(spec: InputSpec, batch: int) -> Any:
        return peer_ultralytics.yolo(peer_ultralytics.exported(pt, height=spec.height, width=spec.width, batch=batch))

    return {"ultralytics_pt": lambda _spec, _batch: peer_ultralytics.yolo(pt), "ultralytics_openvino": openvino}, {}


def _predicting(yolo: Any, pictures: Sequence[Any], spec: InputSpec, batch: int) -> _Work:
    def work(_: int) -> float:
        for chosen in _in_batches(pictures, batch):
            yolo.predict(list(chosen), imgsz=(spec.height, spec.width), conf=_CONFIDENCE, device="cpu", verbose=False)
        return len(pictures)

    return work


def _bgr(picture: Picture) -> Any:
    """What OpenCV's `read()` would have given: its cost is not counted."""
    planar = np.concatenate([plane.ravel() for plane in (picture.y, picture.u, picture.v)])
    return cv2.cvtColor(planar.reshape(picture.height * 3 // 2, picture.width), cv2.COLOR_YUV2BGR_I420)
