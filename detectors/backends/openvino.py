"""Exported YOLO models through OpenVINO: no torch in the process, one stream and thread, planes fed as they are.

Each exported graph has one fixed shape; a picture goes to the shape that it fills best. Batches of 1, 2 and 4 are
compiled from the same graph when first asked for, so that a look never waits for a batch to fill and the shapes stay
static (int8 with a dynamic dimension crashed on AMX, openvino #37577). An ONNX file, too, is read by OpenVINO itself; one
that takes any size is fixed to the shapes that 16:9 and 4:3 pictures fill best.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
import yaml
from pydantic import Field

from citybrain.configuration import Section
from citybrain.domain.detection import Detection
from citybrain.errors import ModelUnusable
from citybrain.ports import InputSpec
from detectors.config import STRIDE, BackendSettings, Size
from detectors.heads import Head, detections, head_of
from detectors.onnx_file import classes_of
from detectors.processor import Precision, this_processor
from detectors.registry import Entry, openvino_files, read_verified

log = logging.getLogger(__name__)

BATCHES = (4, 2, 1)
"""Compiled batch sizes, largest first: n pictures are cut into these, none is padded."""


class Config(Section):
    """`options` of a detector with this backend."""

    threads: Annotated[int, Field(ge=1, le=64)] = 1
    """Threads of one inference. One, with a process per core, carries a quarter more than two in one process."""
    max_batch: Literal[1, 2, 4] = 4
    precision: Literal["auto", "f32", "bf16", "int8"] = "auto"
    max_overlap: Annotated[float, Field(gt=0, lt=1)] = 0.7
    """Of two boxes of one class that overlap by more than this, the surer is kept."""


Shape = tuple[int, int]
"""(height, width)"""


@dataclass(slots=True)
class _Graph:
    xml: bytes
    weights: bytes
    head: Head
    max_batch: int
    requests: dict[int, Any] = field(default_factory=dict)


def classes(settings: BackendSettings) -> tuple[str, ...] | None:
    """The registry's classes, those that an ONNX file names itself, or those of the `metadata.yaml` that ultralytics writes
    beside an exported graph."""
    model = settings.model
    if model.entry is not None:
        return model.entry.classes
    graph = _own_graph(settings)
    if graph.suffix == ".onnx" and (named := classes_of(graph)):
        return named
    metadata = graph.parent / "metadata.yaml"
    try:
        names = yaml.safe_load(metadata.read_text(encoding="utf-8"))["names"]
        return tuple(str(names[index]) for index in range(len(names)))
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError):
        raise ModelUnusable(
            f"{model.name}: expected {metadata} with `names`, class names by index; write it, or register the model"
        ) from None


def files(settings: BackendSettings) -> tuple[Path, ...]:
    """Every xml and bin of the shapes that the size allows, in the precision that this processor gets; or the ONNX file."""
    groups = [*_graph_files(settings).values(), *_window_files(settings).values()]
    return tuple(dict.fromkeys(path for group in groups for path in group))


def build(settings: BackendSettings) -> OpenvinoBackend:
    """Read and check the graphs; they are compiled by `warmup` or when first used."""
    return OpenvinoBackend(settings)


class OpenvinoBackend:
    """One model, compiled for each shape and batch that is asked for."""

    def __init__(self, settings: BackendSettings) -> None:
        import openvino

        self._openvino = openvino
        self._core = openvino.Core()
        self._settings = settings
        self._options: Config = settings.options
        self._device = _device(settings.device)
        self._precision = _precision(settings)
        if self._precision == "bf16" and not this_processor().has_bf16:
            raise ModelUnusable(
                f"{settings.model.name}: this processor does not compute in bf16; set `precision: auto`, or `f32`"
            )
        known = classes(settings)
        assert known is not None  # noqa: S101  # this backend's classes() answers or raises
        self._classes = known
        self._graphs: dict[Shape, _Graph] = {}
        self._windows = frozenset(_window_files(settings))
        digest = hashlib.sha256()
        for shape, paths in [*_graph_files(settings).items(), *_window_files(settings).items()]:
            contents = [read_verified(settings.model, path) for path in paths]
            digest.update(b"".join(hashlib.sha256(each).digest() for each in contents))
            graph, weights = contents if len(contents) > 1 else (contents[0], b"")
            self._take(graph, weights, shape=shape)
        self._revision = digest.hexdigest()[:12]
        log.info(
            "%s (%s) runs in %s on %s, shapes %s",
            settings.model.name,
            self._revision,
            self._precision,
            self._device,
            ", ".join(f"{height}x{width}" for height, width in self._graphs),
        )

    @property
    def classes(self) -> tuple[str, ...]:
        return self._classes

    @property
    def revision(self) -> str:
        return self._revision

    def input_for(self, width: int, height: int) -> InputSpec:
        """The shape that a picture of this size fills best; of two it fills alike, the larger."""
        wholes = [each for each in self._graphs if each not in self._windows]
        return self._spec(max(wholes, key=lambda each: (round(_filled(each, width, height), 3), each)))

    def windows_for(self, spec: InputSpec) -> Sequence[InputSpec]:
        """The exported shape of half the width and just half the height or more, and those smaller than it."""
        halves = [each for each in self._windows if each[1] * 2 == spec.width and each[0] * 2 >= spec.height]
        if not halves:
            return []
        half = min(halves)
        smaller = [each for each in self._windows if each[0] <= half[0] and each[1] < half[1]]
        return [self._spec(each) for each in (*sorted(smaller), half)]

    def warmup(self) -> None:
        """Compile and run every shape once; larger batches follow when there is a backlog to batch."""
        for (height, width), graph in self._graphs.items():
            grey = np.full((1, height * 3 // 2, width, 1), 114, np.uint8)
            self._request(graph, (height, width), 1).infer([grey])

    def compiled(self, spec: InputSpec, n: int) -> Any:
        """OpenVINO's own model behind `infer` for n pictures at once, for who measures what the rest adds to it."""
        return self._compile(self._graphs[spec.height, spec.width], (spec.height, spec.width), n)

    def infer(self, batch: npt.NDArray[np.uint8], n: int, spec: InputSpec) -> list[list[Detection]]:
        shape = (spec.height, spec.width)
        graph = self._graphs.get(shape)
        if graph is None or batch.shape[1:] != (spec.height * 3 // 2, spec.width) or not 0 <= n <= len(batch):
            raise ValueError(
                f"expected at most {len(batch)} inputs of {list(self._graphs)}, got {n} of {batch.shape[1:]}"
            )
        seen = []
        start = 0
        for size in (each for each in BATCHES if each <= graph.max_batch):
            while n - start >= size:
                pictures = np.ascontiguousarray(batch[start : start + size, ..., None])
                # Shared, not copied: nobody else writes to the batch or reads the answer before the next inference.
                output = self._request(graph, shape, size).infer([pictures], share_inputs=True, share_outputs=True)[0]
                seen += [self._read_output(graph, each, spec) for each in output]
                start += size
        return seen

    def close(self) -> None:
        for graph in self._graphs.values():
            graph.requests.clear()

    def _read_output(self, graph: _Graph, output: npt.NDArray[np.float32], spec: InputSpec) -> list[Detection]:
        return detections(
            output,
            head=graph.head,
            classes=self._classes,
            floor=self._settings.floor,
            width=spec.width,
            height=spec.height,
            max_overlap=self._options.max_overlap,
        )

    def _spec(self, shape: Shape) -> InputSpec:
        return InputSpec(width=shape[1], height=shape[0], format="i420", max_batch=self._graphs[shape].max_batch)

    def _request(self, graph: _Graph, shape: Shape, size: int) -> Any:
        if size not in graph.requests:
            graph.requests[size] = self._compile(graph, shape, size).create_infer_request()
        return graph.requests[size]

    def _take(self, xml: bytes, weights: bytes, *, shape: Shape | None) -> None:
        """Check the graph and keep it: for its shape, or for each that it is given when it takes any."""
        graph = self._read(xml, weights)
        given = [] if shape is not None else _given_shapes(graph, self._settings.size)
        for fixed in given:
            graph.reshape([1, 3, *fixed])
            self._keep(graph, xml, weights, shape=fixed)
        if not given:
            self._keep(graph, xml, weights, shape=shape)

    def _keep(self, graph: Any, xml: bytes, weights: bytes, *, shape: Shape | None) -> None:
        self._check_shape(graph, shape)
        head = self._head(graph)
        # A batch of windows gains 4 %: not worth a compilation, and a copy of the weights, for each size of it.
        most = 1 if shape in self._windows else self._max_batch(graph)
        self._graphs[shape or self._shape_of(graph)] = _Graph(xml, weights, head, most)

    def _read(self, xml: bytes, weights: bytes) -> Any:
        try:
            return self._core.read_model(xml, weights)
        except RuntimeError as error:
            raise ModelUnusable(
                f"{self._settings.model.name}: OpenVINO cannot read the graph ({_last_line(error)}); export it again"
            ) from None

    def _check_shape(self, graph: Any, shape: Shape | None) -> None:
        name, found = self._settings.model.name, graph.inputs[0].partial_shape
        if len(graph.inputs) != 1 or found.is_dynamic or len(found) != 4 or found[1].get_length() != 3:
            raise ModelUnusable(
                f"{name}: expected one input of a static shape [1, 3, height, width], got {found}; export it so"
            )
        if shape is not None and self._shape_of(graph) != shape:
            raise ModelUnusable(
                f"{name}: expected the shape {shape}, the graph has {self._shape_of(graph)}; correct the registry"
            )

    def _shape_of(self, graph: Any) -> Shape:
        _, _, height, width = graph.inputs[0].shape
        return int(height), int(width)

    def _head(self, graph: Any) -> Head:
        model = self._settings.model
        try:
            head = head_of([int(side) for side in graph.outputs[0].shape[1:]], classes=len(self._classes))
        except ValueError as error:
            raise ModelUnusable(f"{model.name}: output: {error}; is the list of classes the model's?") from None
        if model.entry is not None and model.entry.output.nms != (head is Head.RAW):
            raise ModelUnusable(
                f"{model.name}: the registry says nms: {model.entry.output.nms}, the graph differs; correct it"
            )
        return head

    def _max_batch(self, graph: Any) -> int:
        """As configured, or 1 where the export froze its batch: it would refuse two, or mix them up without a word."""
        height, width = self._shape_of(graph)
        for size in (each for each in BATCHES if each <= self._options.max_batch):
            try:
                graph.reshape([size, 3, height, width])
            except RuntimeError:
                continue
            if int(graph.outputs[0].shape[0]) == size:
                return size
        raise ModelUnusable(
            f"{self._settings.model.name}: the graph does not take a single picture; export it with batch 1"
        )

    def _compile(self, graph: _Graph, shape: Shape, size: int) -> Any:
        """The graph with decoded planes as its input: BT.601 video range becomes RGB inside the graph."""
        from openvino.preprocess import ColorFormat, PrePostProcessor

        network = self._core.read_model(graph.xml, graph.weights)
        network.reshape([size, 3, *shape])
        given = PrePostProcessor(network)
        given.input().tensor().set_element_type(self._openvino.Type.u8).set_color_format(ColorFormat.I420_SINGLE_PLANE)
        given.input().model().set_layout(self._openvino.Layout("NCHW"))
        entry = self._settings.model.entry
        colours = ColorFormat.BGR if entry is not None and entry.input.format == "bgr" else ColorFormat.RGB
        steps = given.input().preprocess().convert_element_type(self._openvino.Type.f32).convert_color(colours)
        steps.scale(_scale(entry))
        return self._core.compile_model(given.build(), self._device, self._properties())

    def _properties(self) -> dict[str, Any]:
        if self._device != "CPU":
            return {}
        # int8 graphs carry their precision; what is left in float is computed as a float graph would be.
        floats = this_processor().precision if self._precision == "int8" else self._precision
        return {
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": self._options.threads,
            # Each process would pin its inference to the first core, and all workers would share that one.
            "ENABLE_CPU_PINNING": False,
            "INFERENCE_PRECISION_HINT": floats,
        }


def _graph_files(settings: BackendSettings) -> dict[Shape | None, tuple[Path, ...]]:
    """(xml, bin) by shape; the shape of a file of the user's own, which may be one of ONNX, is known once it is read."""
    model = settings.model
    if model.entry is None:
        graph = _own_graph(settings)
        return {None: (graph,) if graph.suffix == ".onnx" else (graph, graph.with_suffix(".bin"))}
    shapes = openvino_files(model, int8=_precision(settings) == "int8")
    if not shapes:
        raise ModelUnusable(
            f"{model.name}: the registry has no OpenVINO files for it; export it, or choose another backend"
        )
    fitting: dict[Shape | None, tuple[Path, ...]] = {
        (height, width): pair for (height, width), pair in shapes.items() if settings.size.allows(width, height)
    }
    if not fitting:
        known = ", ".join(f"{height}x{width}" for height, width in shapes)
        raise ModelUnusable(
            f"{model.name}: it is not exported with {settings.size}, but as {known} (height x width); set `size`"
        )
    return fitting


def _window_files(settings: BackendSettings) -> dict[Shape, tuple[Path, Path]]:
    """(xml, bin) by shape of what parts of pictures go into: half the size at most, which only a registered model has."""
    if settings.size.exact is not None or settings.model.entry is None:
        return {}
    shapes = openvino_files(settings.model, int8=_precision(settings) == "int8")
    return {shape: pair for shape, pair in shapes.items() if max(shape) * 2 <= settings.size.longest}


def _given_shapes(graph: Any, size: Size) -> list[Shape]:
    """What a graph of the user's own that leaves its shape open is fixed to: the shape that it has but for the batch, the size
    as asked for, or the shapes with the least padding of 16:9 and 4:3 pictures. Nothing for one that is fixed already."""
    found = graph.inputs[0].partial_shape
    if len(graph.inputs) != 1 or not found.is_dynamic or len(found) != 4 or found[1] != 3:
        return []
    if not (found[2].is_dynamic or found[3].is_dynamic):
        return [(found[2].get_length(), found[3].get_length())]
    if size.exact is not None:
        return [(size.exact[1], size.exact[0])]
    return [(-(-size.longest * high // (wide * STRIDE)) * STRIDE, size.longest) for wide, high in ((16, 9), (4, 3))]


def _own_graph(settings: BackendSettings) -> Path:
    path, name = settings.model.path, settings.model.name
    if path is None:
        raise ModelUnusable("no model is named; set `model` to an entry of models/registry.yaml or to an exported .xml")
    if not path.is_dir():
        if path.suffix in (".xml", ".onnx"):
            return path
        raise ModelUnusable(
            f"{name}: expected an OpenVINO .xml, its folder, or an .onnx; for other files there is `backend: ultralytics`"
        )
    found = sorted(path.glob("*.xml"))
    if len(found) != 1:
        raise ModelUnusable(f"{name}: expected one .xml in {path}, got {len(found)}; name the file")
    return found[0]


def _precision(settings: BackendSettings) -> Precision:
    options: Config = settings.options
    return this_processor().precision if options.precision == "auto" else options.precision


def _device(device: str) -> str:
    if device.startswith("cuda"):
        raise ModelUnusable(f"OpenVINO does not run on {device}; set `device: cpu`, or choose `backend: ultralytics`")
    return "CPU"


def _scale(entry: Entry | None) -> float:
    return 255.0 if entry is None else entry.input.scale


def _filled(shape: Shape, width: int, height: int) -> float:
    """The share of the input that the picture covers, 0..1."""
    scale = min(shape[1] / width, shape[0] / height)
    return (width * scale) * (height * scale) / (shape[0] * shape[1])


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
