"""Makes 8-bit graphs of a shipped model: each shape calibrated on training pictures, then entered into the registry.

    python models/scripts/quantise.py --registry models/registry.yaml --tables train/*.csv
    citybrain evaluate frames --tables train/*.csv --beside city-n:int8

Post-training quantisation by NNCF: weights by channel, activations by tensor, biases corrected. The last layers, which make
boxes and scores out of features, stay in float: in 8 bits they cost the most accuracy and save the least time.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE), str(HERE / "dataset")]

import manifest  # noqa: E402 - scripts are run as files; their folder is put on the path first
from export import sha256, share_weights, write_registry  # noqa: E402
from shipped import letterbox  # noqa: E402

COUNT, SEED = 300, 1
"""Pictures that a shape is calibrated on; NNCF's own default, and the choice among them."""
IN_FLOAT = r".*model\.23\..*"
"""The head, by the names that its modules have in the graph."""
WHOLE = 640
"""The longest side of a whole picture's input; smaller shapes are fed with windows of it, at the same scale."""


def calibration(pictures: Sequence[Path], height: int, width: int) -> Iterator[np.ndarray[Any, Any]]:
    """Inputs as the detector makes them: wholes letterboxed; for a window's shape, a part of the whole of its kind."""
    chance = random.Random(SEED)  # the same parts each time
    for path in pictures:
        picture = cv2.imread(str(path))
        if picture is None:
            continue
        times = 1 if width == WHOLE else 2
        whole, _, _, _ = letterbox(picture, height * times, max(width, 320) * times)
        top = chance.randrange(whole.shape[0] - height + 1)
        left = chance.randrange(whole.shape[1] - width + 1)
        part = whole[top : top + height, left : left + width]
        yield part[None, ..., ::-1].transpose(0, 3, 1, 2).astype(np.float32) / 255


def quantise(xml: Path, weights: Path, inputs: Sequence[np.ndarray[Any, Any]]) -> tuple[bytes, bytes]:
    """The graph in 8 bits: (xml, bin)."""
    import nncf
    import openvino
    from nncf.quantization.advanced_parameters import OverflowFix

    graph = openvino.Core().read_model(xml, weights)
    made = nncf.quantize(
        graph,
        nncf.Dataset(inputs),
        preset=nncf.QuantizationPreset.MIXED,  # SiLU answers below zero, too
        subset_size=len(inputs),
        # Seven bits for weights: without VNNI two products of eight bits overflow their sum, and parked cars are lost.
        advanced_parameters=nncf.AdvancedQuantizationParameters(overflow_fix=OverflowFix.ENABLE),
        ignored_scope=nncf.IgnoredScope(patterns=[IN_FLOAT]),
    )
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "graph.xml"
        openvino.save_model(made, target, compress_to_fp16=True)
        return target.read_bytes(), target.with_suffix(".bin").read_bytes()


def main() -> int:
    """Quantise every shape of the entry; 0 when everything was written."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--registry", type=Path, required=True)
    parser.add_argument("--tables", type=Path, nargs="+", required=True)
    parser.add_argument("--name", default="city-n")
    parser.add_argument("--count", type=int, default=COUNT)
    arguments = parser.parse_args()

    found = sorted(entry.picture for entry in manifest.read(arguments.tables) if entry.split == "train")
    pictures = random.Random(SEED).sample(found, min(arguments.count, len(found)))  # the same each time
    if not pictures:
        print("no picture of the split 'train' in the tables", file=sys.stderr)
        return 1
    folder, name = arguments.registry.parent, arguments.name
    entry = yaml.safe_load(arguments.registry.read_text(encoding="utf-8"))["models"][name]
    shapes = entry["files"]["openvino"]
    graphs = []
    for number, (shape, files) in enumerate(shapes.items(), 1):
        print(f"{number} of {len(shapes)}: {shape}", file=sys.stderr)
        height, width = map(int, shape.split("x"))
        inputs = list(calibration(pictures, height, width))
        graphs.append(quantise(folder / files["xml"], folder / files["bin"], inputs))
    xmls, shared = share_weights(graphs)
    binary = folder / "weights" / f"{name}-int8.bin"
    binary.write_bytes(shared)
    made = {}
    for shape, xml in zip(shapes, xmls, strict=True):
        target = binary.with_name(f"{name}-int8-{shape}.xml")
        target.write_bytes(xml)
        made[shape] = {
            "xml": f"weights/{target.name}",
            "bin": f"weights/{binary.name}",
            "sha256": {"xml": sha256(target), "bin": sha256(binary)},
        }
    entry["files"]["openvino_int8"] = made
    write_registry(arguments.registry, name=name, entry=entry)
    return 0


if __name__ == "__main__":
    sys.exit(main())
