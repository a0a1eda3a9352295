"""Makes a TensorRT engine of an ONNX model, with `trtexec` or the Python package, whichever the machine with the GPU has.

An engine runs on the kind of GPU and with the version of TensorRT that made it: it is made where it will run, and not shipped.
It begins as ultralytics' own do: the length of what follows in four bytes (little-endian), the metadata as JSON, the engine.
"""

from __future__ import annotations

import ast
import importlib
import json
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detectors.onnx_file import metadata_of

STRIDE = 32
LEAST_SIDE = 640
"""Of the largest input: what the backend tries a model with when it loads it."""


class NoEngine(Exception):
    """An engine cannot be made here; says what is missing, or what went wrong."""


@dataclass(frozen=True, slots=True)
class Profile:
    """For which inputs an engine is made: any from `least` to `most`, quickest for `usual`; batch, channels, height, width."""

    least: tuple[int, int, int, int]
    usual: tuple[int, int, int, int]
    most: tuple[int, int, int, int]

    @classmethod
    def of(cls, height: int, width: int, *, batch: int) -> Profile:
        """For whole pictures of that size and any other proportion, and for the windows on them."""
        longest = max(height, width)
        window = -(-round(longest / 3.4) // STRIDE) * STRIDE  # detectors/backends/ultralytics.py, windows_for
        most = max(longest, LEAST_SIDE)
        return cls((1, 3, window, window), (batch, 3, height, width), (batch, 3, most, most))


def trtexec_command(program: str, model: Path, engine: Path, profile: Profile, *, half: bool) -> list[str]:
    """The command line that makes the engine."""
    shapes = (("minShapes", profile.least), ("optShapes", profile.usual), ("maxShapes", profile.most))
    return [
        program,
        f"--onnx={model}",
        f"--saveEngine={engine}",
        *(f"--{name}=images:{'x'.join(map(str, shape))}" for name, shape in shapes),
        *(["--fp16"] if half else []),
        "--skipInference",
    ]


def build(
    model: Path,
    engine: Path,
    profile: Profile,
    *,
    half: bool = False,
    find: Callable[[str], str | None] = shutil.which,
    say: Callable[[str], None] = print,
) -> None:
    """Make the engine of a float32 ONNX file. Raises NoEngine."""
    program = find("trtexec")
    with tempfile.TemporaryDirectory(dir=engine.parent) as folder:
        bare = Path(folder) / "bare.engine"
        if program is not None:
            _by_program(trtexec_command(program, model, bare, profile, half=half), bare, say)
        else:
            bare.write_bytes(_by_package(_package(), model.read_bytes(), profile, half=half))
        head = json.dumps(described(model, profile, half=half)).encode()
        arriving = Path(folder) / "engine"
        arriving.write_bytes(len(head).to_bytes(4, "little") + head + bare.read_bytes())
        arriving.replace(engine)


def described(model: Path, profile: Profile, *, half: bool) -> dict[str, Any]:
    """The engine's metadata, from that of the ONNX file."""
    told: dict[str, Any] = dict(metadata_of(model))
    if "names" not in told:
        raise NoEngine(f"{model}: expected metadata with `names`; make the ONNX file with export.py --onnx")
    batch, _, height, width = profile.usual
    return told | {
        "names": ast.literal_eval(told["names"]),
        "batch": batch,
        "imgsz": [height, width],
        "stride": STRIDE,
        "channels": 3,
        "args": {"dynamic": True, "batch": batch, "half": half},
    }


def _by_program(command: list[str], engine: Path, say: Callable[[str], None]) -> None:
    say(shlex.join(command))
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode or not engine.is_file():
        last = "\n".join(done.stdout.splitlines()[-15:])
        raise NoEngine(f"trtexec ended with {done.returncode} and made no engine:\n{last}")


def _package() -> Any:
    try:
        return importlib.import_module("tensorrt")
    except ImportError as error:
        raise NoEngine(
            f"there is neither `trtexec` on the PATH nor the Python package tensorrt here ({error}). On the machine with"
            " the GPU: pip install tensorrt-cu12 (or tensorrt-cu13, as its driver is), or Debian's or NVIDIA's package"
            " libnvinfer-bin, which brings trtexec; NVIDIA's container nvcr.io/nvidia/tensorrt has both"
        ) from None


def _by_package(tensorrt: Any, model: bytes, profile: Profile, *, half: bool) -> bytes:
    major = int(tensorrt.__version__.partition(".")[0])
    if half and major >= 11:
        raise NoEngine(
            f"TensorRT {tensorrt.__version__} takes the precision from the graph alone; leave out --half, or use TensorRT 10"
        )
    logger = tensorrt.Logger(tensorrt.Logger.WARNING)
    builder = tensorrt.Builder(logger)
    # Before 10 the batch had to be asked to stand in the shape; since then it always does.
    flags = 0 if major >= 10 else 1 << int(tensorrt.NetworkDefinitionCreationFlag.EXPLICIT_BATCH)
    network = builder.create_network(flags)
    parser = tensorrt.OnnxParser(network, logger)
    if not parser.parse(model):
        faults = "; ".join(str(parser.get_error(index)) for index in range(parser.num_errors))
        raise NoEngine(f"TensorRT {tensorrt.__version__} cannot read the ONNX file: {faults}")
    config = builder.create_builder_config()
    allowed = builder.create_optimization_profile()
    allowed.set_shape("images", profile.least, profile.usual, profile.most)
    config.add_optimization_profile(allowed)
    if half:
        config.set_flag(tensorrt.BuilderFlag.FP16)
    made = builder.build_serialized_network(network, config)
    if made is None:
        raise NoEngine(f"TensorRT {tensorrt.__version__} made no engine; what it wrote above says why")
    return bytes(made)
