"""The ONNX form answers as the others do, and an engine is asked for in the words that TensorRT knows."""

import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import yaml

from detectors.onnx_file import classes_of, metadata_of
from tests.unit.detectors.drawing import tiny_onnx

onnx = pytest.importorskip("onnx", reason="the exporters are not installed (make install-ultralytics)")
pytest.importorskip("onnxruntime")
pytest.importorskip("ultralytics")

onnx_form = import_module("onnx_form")
tensorrt_form = import_module("tensorrt_form")
export = import_module("export")

MODELS = Path(__file__).resolve().parents[3] / "models"
SCRIPT = MODELS / "scripts" / "export.py"
PROFILE = tensorrt_form.Profile.of(384, 640, batch=16)


def exported(*arguments, path=os.environ["PATH"]):
    """What the script printed, and its exit status."""
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PATH": path}, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def shipped():
    """The entry of city-n."""
    return yaml.safe_load((MODELS / "registry.yaml").read_text(encoding="utf-8"))["models"]["city-n"]


@pytest.fixture(scope="module")
def made(shipped, tmp_path_factory):
    """The ONNX form of the shipped weights, as the script makes it."""
    path = tmp_path_factory.mktemp("onnx") / "city-n.onnx"
    status, told = exported("--weights", MODELS / shipped["files"]["pytorch"]["path"], "--onnx", path)
    assert status == 0, told
    return path


def test_onnx_answers_as_openvino_does_at_every_shape(shipped, made):
    assets = Path(import_module("ultralytics.utils").ASSETS)
    picture = onnx_form.read_picture(assets / "bus.jpg")
    files = [made, *([MODELS / shipped["files"]["onnx"]["path"]] if "onnx" in shipped["files"] else [])]
    for graph in shipped["files"]["openvino"].values():
        for file in files:
            found = onnx_form.compared(file.read_bytes(), MODELS / graph["xml"], MODELS / graph["bin"], picture)
            assert found.boxes > 5
            assert found.holds(), found


def test_the_file_says_what_it_is_and_is_small_enough_to_ship(shipped, made):
    assert classes_of(made) == tuple(shipped["classes"])
    assert metadata_of(made)["licence"] == shipped["licence"]
    assert made.stat().st_size < 6_000_000
    (opset,) = onnx.load(made).opset_import
    assert opset.version == onnx_form.OPSET


def test_an_answer_that_differs_is_none(shipped, made):
    graph = onnx.load(made)
    for constant in graph.graph.initializer:
        if ".cv3." in constant.name and constant.name.endswith(".2.bias"):
            shifted = onnx.numpy_helper.to_array(constant) + np.float32(1)
            constant.CopyFrom(onnx.numpy_helper.from_array(shifted, constant.name))
    first = next(iter(shipped["files"]["openvino"].values()))
    picture = onnx_form.read_picture(Path(import_module("ultralytics.utils").ASSETS) / "bus.jpg")
    found = onnx_form.compared(graph.SerializeToString(), MODELS / first["xml"], MODELS / first["bin"], picture)
    assert not found.holds()
    assert not onnx_form.Agreement(0, 0.0, 0.0).holds(), "a picture in which nothing is found shows nothing"


def test_what_was_narrowed_is_widened_to_what_half_precision_keeps(made):
    narrow = onnx.load(made)
    wide = onnx_form.widened(narrow)
    kinds = {each.data_type for each in wide.graph.initializer}
    assert onnx.TensorProto.FLOAT16 not in kinds
    assert onnx.TensorProto.FLOAT16 in {each.data_type for each in narrow.graph.initializer}
    assert onnx_form.narrowed(wide).SerializeToString() == narrow.SerializeToString()


# -- engines: there is no GPU where tests run, so what is tested is what is asked of TensorRT and what is said without it ----------


def test_an_engine_takes_wholes_of_any_proportion_and_their_windows():
    assert tensorrt_form.Profile((1, 3, 192, 192), (16, 3, 384, 640), (16, 3, 640, 640)) == PROFILE
    assert tensorrt_form.Profile.of(288, 480, batch=4).most == (4, 3, 640, 640)


@pytest.mark.parametrize("half", [False, True])
def test_trtexec_is_asked_in_its_own_words(half):
    command = tensorrt_form.trtexec_command("/usr/bin/trtexec", Path("a.onnx"), Path("a.engine"), PROFILE, half=half)
    assert command == [
        "/usr/bin/trtexec",
        "--onnx=a.onnx",
        "--saveEngine=a.engine",
        "--minShapes=images:1x3x192x192",
        "--optShapes=images:16x3x384x640",
        "--maxShapes=images:16x3x640x640",
        *(["--fp16"] if half else []),
        "--skipInference",
    ]


@pytest.mark.skipif(import_module("importlib.util").find_spec("tensorrt") is not None, reason="TensorRT is installed")
def test_without_tensorrt_the_script_says_what_to_install(made, tmp_path):
    engine = tmp_path / "city-n.engine"
    status, told = exported("--weights", made, "--tensorrt", engine, path=str(tmp_path))
    assert status == 1
    assert "neither `trtexec` on the PATH nor the Python package tensorrt" in told
    assert "pip install tensorrt" in told
    assert not engine.exists()


def test_an_engine_begins_with_what_it_is_as_ultralytics_reads_it(made, tmp_path):
    program = tmp_path / "trtexec"
    program.write_text(
        f"#!{sys.executable}\n"
        "import pathlib, sys\n"
        "given = dict(each.removeprefix('--').partition('=')[::2] for each in sys.argv[1:])\n"
        "assert pathlib.Path(given['onnx']).stat().st_size > 9_000_000, 'float32'\n"
        "pathlib.Path(given['saveEngine']).write_bytes(b'the engine')\n"
    )
    program.chmod(0o755)
    engine = tmp_path / "city-n.engine"
    status, told = exported("--weights", made, "--tensorrt", engine, "--batch", "8", path=str(tmp_path))
    assert status == 0, told
    backend = import_module("ultralytics.nn.backends.base").BaseBackend
    begins, metadata = backend.engine_header(engine)
    assert engine.read_bytes()[begins:] == b"the engine"
    assert tuple(metadata["names"].values()) == classes_of(made)
    assert (metadata["batch"], metadata["imgsz"], metadata["args"]["dynamic"]) == (8, [384, 640], True)


def test_an_engine_that_failed_says_what_trtexec_said_and_leaves_nothing(tmp_path):
    program = tmp_path / "trtexec"
    program.write_text("#!/bin/sh\necho '[E] no CUDA-capable device is detected'\nexit 3\n")
    program.chmod(0o755)
    model, said = tiny_onnx(tmp_path / "tiny.onnx"), list[str]()
    with pytest.raises(tensorrt_form.NoEngine, match=r"(?s)ended with 3.*no CUDA-capable device"):
        tensorrt_form.build(model, tmp_path / "a.engine", PROFILE, find=lambda _: str(program), say=said.append)
    assert said[0].startswith(f"{program} --onnx=")
    assert {each.name for each in tmp_path.iterdir()} == {"tiny.onnx", "trtexec"}


def test_an_onnx_file_that_names_no_classes_makes_no_engine(tmp_path):
    model = tiny_onnx(tmp_path / "tiny.onnx", names=None)
    with pytest.raises(tensorrt_form.NoEngine, match="metadata with `names`"):
        tensorrt_form.described(model, PROFILE, half=False)
    assert json.dumps(tensorrt_form.described(tiny_onnx(tmp_path / "b.onnx"), PROFILE, half=True))


def test_what_people_state_of_a_model_outlives_an_export(tmp_path):
    path = tmp_path / "registry.yaml"
    export.write_registry(
        path, name="one", entry={"version": 1, "findings": "cards/one.yaml", "suggested": {"car": 0.4}}
    )
    export.write_registry(path, name="one", entry={"version": 1, "licence": "MIT"})
    entry = yaml.safe_load(path.read_text(encoding="utf-8"))["models"]["one"]
    assert entry == {"version": 1, "licence": "MIT", "findings": "cards/one.yaml", "suggested": {"car": 0.4}}
    export.write_registry(path, name="one", entry={"version": 2})
    entry = yaml.safe_load(path.read_text(encoding="utf-8"))["models"]["one"]
    assert entry == {"version": 2, "findings": "cards/one.yaml"}, "where others begin to count is another version's"
