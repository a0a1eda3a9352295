"""Turns trained weights into what the detectors load: OpenVINO files of fixed shapes, ONNX, a small .pt, the registry entry.

    python models/scripts/export.py --weights runs/city-n/last.pt --out models --version 2
    python models/scripts/export.py --weights own.pt --onnx own.onnx                                  # ONNX alone
    python models/scripts/export.py --weights models/weights/city-n.onnx --tensorrt city-n.engine     # where the GPU is

All OpenVINO graphs read one `.bin`: the weights are the same bytes for every shape, and only the anchor grids differ. The ONNX
file is one graph for every shape; before it is kept, ONNX Runtime must answer with it as OpenVINO does with the others. An
engine is made for a range of shapes by TensorRT itself, which must be there.
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

import onnx_form  # noqa: E402 - scripts are run as files; their folder is put on the path first
import tensorrt_form  # noqa: E402

LICENCE = "AGPL-3.0-only"
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
    onnx = export_onnx(small, folder / f"{name}.onnx")
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
            "onnx": {"path": f"weights/{onnx.name}", "sha256": sha256(onnx), "opset": onnx_form.OPSET},
            "pytorch": {"path": f"weights/{small.name}", "sha256": sha256(small)},
        },
        "input": {"format": "rgb", "scale": 255},
        "output": {"layout": "boxes cx,cy,w,h in input pixels then class scores", "nms": True},
        "licence": LICENCE,
        "card": f"cards/{name}.md",
    }


def export_onnx(weights: Path, out: Path) -> Path:
    """Write the ONNX form of these weights, its constants as FP16."""
    out.write_bytes(onnx_form.narrowed(onnx_form.make(weights, licence=LICENCE)).SerializeToString())
    return out


def check_onnx(registry: Path, *, name: str, picture: Path) -> list[str]:
    """Where ONNX Runtime does not answer as OpenVINO does, by shape; a line for each is printed."""
    files = yaml.safe_load(registry.read_text(encoding="utf-8"))["models"][name]["files"]
    onnx, shown, differing = (registry.parent / files["onnx"]["path"]).read_bytes(), onnx_form.read_picture(picture), []
    for shape, graph in files["openvino"].items():
        found = onnx_form.compared(onnx, registry.parent / graph["xml"], registry.parent / graph["bin"], shown)
        print(
            f"ONNX beside OpenVINO {shape}: {found.boxes} anchors, {found.pixels:.3f} px, {found.confidence:.4f} apart"
        )
        if not found.holds():
            differing.append(shape)
    return differing


def export_engine(weights: Path, out: Path, *, size: tuple[int, int], batch: int, half: bool) -> None:
    """Write a TensorRT engine of a .pt or an .onnx. Raises tensorrt_form.NoEngine."""
    import onnx

    made = onnx.load(weights) if weights.suffix == ".onnx" else onnx_form.make(weights, licence=LICENCE)
    with tempfile.TemporaryDirectory() as folder:
        wide = Path(folder) / "wide.onnx"
        onnx.save(onnx_form.widened(made), wide)
        tensorrt_form.build(wide, out, tensorrt_form.Profile.of(*size, batch=batch), half=half)


def bundled_picture() -> Path:
    """A photograph of a street with something in it: of the evaluation set, or the one that ultralytics brings."""
    found = sorted((Path(__file__).resolve().parents[1] / "evaluation" / "pictures").rglob("*.jpg"))
    if found:
        return found[0]
    from ultralytics.utils import ASSETS

    return Path(ASSETS) / "bus.jpg"


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
    before = registry["models"].get(name, {})
    # What people state of a model no export knows. The findings say themselves for which version they are.
    kept = ("findings", "suggested") if before.get("version") == entry["version"] else ("findings",)
    registry["models"][name] = entry | {key: before[key] for key in kept if key in before and key not in entry}
    text = "# Which models there are, what they answer and which bytes they are; written by scripts/export.py.\n"
    text += yaml.safe_dump(registry, sort_keys=False, allow_unicode=True, width=120)
    path.write_text(text, encoding="utf-8")


def main() -> int:
    """Export as the arguments say; 0 when everything was written."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, required=True, help="trained .pt; for an engine also an .onnx")
    parser.add_argument("--out", type=Path, help="folder of registry.yaml and weights/: all forms that ship")
    parser.add_argument("--name", default="city-n")
    parser.add_argument("--version", type=int, default=1)
    parser.add_argument("--onnx", type=Path, metavar="FILE", help="write the ONNX form here, and nothing else")
    parser.add_argument("--tensorrt", type=Path, metavar="FILE", help="write a TensorRT engine here, and nothing else")
    parser.add_argument(
        "--batch", type=int, default=16, help="most pictures at once of the engine (default: %(default)s)"
    )
    parser.add_argument("--size", type=int, nargs=2, default=SHAPES[0], help="height and width it is quickest for")
    parser.add_argument("--half", action="store_true", help="the engine in 16-bit floats; with TensorRT 10 or older")
    parser.add_argument("--picture", type=Path, help="what ONNX is compared on (default: one of the evaluation set)")
    arguments = parser.parse_args()
    if sum(each is not None for each in (arguments.out, arguments.onnx, arguments.tensorrt)) != 1:
        parser.error("say one of --out, --onnx and --tensorrt")
    if arguments.weights.suffix != ".onnx":
        from detectors.torchvision_guard import make_torchvision_importable

        make_torchvision_importable()
    if arguments.tensorrt is not None:
        try:
            size = (arguments.size[0], arguments.size[1])
            export_engine(arguments.weights, arguments.tensorrt, size=size, batch=arguments.batch, half=arguments.half)
        except tensorrt_form.NoEngine as error:
            print(f"--tensorrt: {error}", file=sys.stderr)
            return 1
        return 0
    if arguments.onnx is not None:
        export_onnx(arguments.weights, arguments.onnx)
        return 0
    entry = export_all(arguments.weights, arguments.out, name=arguments.name, version=arguments.version)
    registry = arguments.out / "registry.yaml"
    write_registry(registry, name=arguments.name, entry=entry)
    differing = check_onnx(registry, name=arguments.name, picture=arguments.picture or bundled_picture())
    if differing:
        print(f"ONNX answers otherwise than OpenVINO at {', '.join(differing)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
