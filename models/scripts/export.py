"""Turns trained weights into what the detectors load: OpenVINO files of fixed shapes, a small .pt, the registry entry.

    python models/scripts/export.py --weights runs/city-n/last.pt --out models
    python models/scripts/export.py --weights models/weights/city-n.pt --onnx city-n.onnx     # ONNX, not shipped

All OpenVINO graphs read one `.bin`: the weights are the same bytes for every shape, and only the anchor grids differ.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import yaml

sys.path[:0] = [str(Path(__file__).resolve().parents[2]), str(Path(__file__).resolve().parent)]

SHAPES = ((384, 640), (480, 640), (192, 320), (256, 320), (192, 192))
"""Height and width: 16:9 and 4:3 pictures with the least padding, a window a quarter of the size for each, a small one for both."""


def sha256(path: Path) -> str:
    """The digest that the registry states for a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def share_weights(graphs: list[tuple[bytes, bytes]]) -> tuple[list[bytes], bytes]:
    """Let several OpenVINO graphs, each (xml, bin), read one common bin: (their new xml, the bin).

    Constants of the same bytes are kept once; the offsets in the xml are rewritten to where they went.
    """
    shared = bytearray()
    places: dict[bytes, int] = {}
    rewritten = []
    for xml, weights in graphs:
        tree = ElementTree.fromstring(xml)  # noqa: S314 - written by OpenVINO a moment ago
        for entry in tree.iter("data"):
            if "offset" not in entry.attrib or "size" not in entry.attrib:
                continue
            offset, size = int(entry.attrib["offset"]), int(entry.attrib["size"])
            constant = weights[offset : offset + size]
            digest = hashlib.sha256(constant).digest()
            if digest not in places:
                shared.extend(b"\0" * (-len(shared) % 64))  # the alignment that OpenVINO's own files keep
                places[digest] = len(shared)
                shared.extend(constant)
            entry.attrib["offset"] = str(places[digest])
        rewritten.append(b'<?xml version="1.0"?>\n' + ElementTree.tostring(tree))
    return rewritten, bytes(shared)


def convert(weights: Path, *, height: int, width: int) -> tuple[bytes, bytes]:
    """The OpenVINO graph of these weights for one fixed shape, constants as FP16: (xml, bin)."""
    import openvino
    import torch
    from ultralytics import YOLO

    model: Any = YOLO(str(weights)).model
    model.float().eval().fuse()
    head = model.model[-1]
    head.export, head.format, head.dynamic = True, "openvino", False
    example = torch.zeros(1, 3, height, width)
    model(example)  # builds the anchor grid of this shape, which the trace then holds as a constant
    graph = openvino.convert_model(model, example_input=example, input=[1, 3, height, width])
    graph.inputs[0].get_tensor().set_names({"images"})
    graph.outputs[0].get_tensor().set_names({"output0"})
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "graph.xml"
        openvino.save_model(graph, target, compress_to_fp16=True)
        return target.read_bytes(), target.with_suffix(".bin").read_bytes()


def export_all(weights: Path, out: Path, *, name: str, version: int) -> dict[str, Any]:
    """Write `out`/weights/NAME* for every shape and return the registry entry that describes them."""
    from city_head import CLASSES
    from ultralytics.utils.torch_utils import strip_optimizer

    folder = out / "weights"
    folder.mkdir(parents=True, exist_ok=True)
    small = folder / f"{name}.pt"
    if weights.resolve() != small.resolve():
        shutil.copyfile(weights, small)
    strip_optimizer(str(small))  # half precision, no optimizer state
    forget_where(small)

    xmls, shared = share_weights([convert(small, height=height, width=width) for height, width in SHAPES])
    binary = folder / f"{name}.bin"
    binary.write_bytes(shared)
    openvino_files: dict[str, Any] = {}
    for (height, width), xml in zip(SHAPES, xmls, strict=True):
        target = folder / f"{name}-{height}x{width}.xml"
        target.write_bytes(xml)
        openvino_files[f"{height}x{width}"] = {
            "xml": f"weights/{target.name}",
            "bin": f"weights/{binary.name}",
            "sha256": {"xml": sha256(target), "bin": sha256(binary)},
        }
    return {
        "version": version,
        "task": "detect",
        "architecture": "yolo11n",
        "classes": list(CLASSES),
        "files": {
            "openvino": openvino_files,
            "pytorch": {"path": f"weights/{small.name}", "sha256": sha256(small)},
        },
        "input": {"format": "rgb", "scale": 255},
        "output": {"layout": "boxes cx,cy,w,h in input pixels then class scores", "nms": True},
        "licence": "AGPL-3.0-only",
        "card": f"cards/{name}.md",
    }


def forget_where(weights: Path) -> None:
    """Take the paths of the machine that trained out of a .pt: they say nothing elsewhere, and make equal weights differ."""
    import torch

    checkpoint: dict[str, Any] = torch.load(weights, map_location="cpu", weights_only=False)
    model = checkpoint["model"]
    model.args = {**model.args, "model": weights.name}
    model.pt_path = weights.name
    torch.save(checkpoint, weights)


def write_registry(path: Path, *, name: str, entry: dict[str, Any]) -> None:
    """Put one entry into the registry and keep the others as they are."""
    registry = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {"models": {}}
    registry["models"][name] = entry
    text = "# Which models there are, what they answer and which bytes they are; written by scripts/export.py.\n"
    text += yaml.safe_dump(registry, sort_keys=False, allow_unicode=True, width=120)
    path.write_text(text, encoding="utf-8")


def main() -> int:
    """Export as the arguments say; 0 when everything was written."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, required=True, help="trained .pt")
    parser.add_argument("--out", type=Path, help="folder of registry.yaml and weights/")
    parser.add_argument("--name", default="city-n")
    parser.add_argument("--version", type=int, default=1)
    parser.add_argument("--onnx", type=Path, help="write ONNX of the first shape here, and nothing else")
    arguments = parser.parse_args()
    if (arguments.out is None) == (arguments.onnx is None):
        parser.error("say either --out or --onnx")

    from detectors.torchvision_guard import make_torchvision_importable

    make_torchvision_importable()
    if arguments.onnx is not None:
        from ultralytics import YOLO

        written = YOLO(str(arguments.weights)).export(format="onnx", imgsz=list(SHAPES[0]), dynamic=False)
        shutil.move(str(written), arguments.onnx)
        return 0
    entry = export_all(arguments.weights, arguments.out, name=arguments.name, version=arguments.version)
    write_registry(arguments.out / "registry.yaml", name=arguments.name, entry=entry)
    return 0


if __name__ == "__main__":
    sys.exit(main())
