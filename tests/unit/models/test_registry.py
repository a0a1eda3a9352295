"""What the registry promises about the shipped models, checked against the files themselves."""

import hashlib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import pytest
import yaml

from detectors.proof import Outcome, prove
from detectors.registry import list_models

MODELS = Path(__file__).resolve().parents[3] / "models"
MOST_BYTES = 12_000_000  # of one file
FORMS = ("openvino", "openvino_int8")


def entries() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load((MODELS / "registry.yaml").read_text(encoding="utf-8"))["models"]
    return found


def files_of(entry: dict[str, Any]) -> dict[str, str]:
    """Every file that an entry names, with the digest that it states."""
    single = [entry["files"][form] for form in ("onnx", "pytorch") if form in entry["files"]]
    stated = {each["path"]: each["sha256"] for each in single}
    for form in FORMS:
        for files in entry["files"].get(form, {}).values():
            stated |= {files[kind]: files["sha256"][kind] for kind in ("xml", "bin")}
    return stated


def graphs() -> list[tuple[str, str, str]]:
    return [
        (name, form, shape)
        for name, entry in entries().items()
        for form in FORMS
        for shape in entry["files"].get(form, {})
    ]


def read(name: str, form: str, shape: str) -> Any:
    files = entries()[name]["files"][form][shape]
    return openvino.Core().read_model(MODELS / files["xml"], MODELS / files["bin"])


@pytest.mark.parametrize("name", entries())
def test_the_shipped_bytes_are_the_ones_that_the_registry_states(name):
    for path, digest in files_of(entries()[name]).items():
        assert hashlib.sha256((MODELS / path).read_bytes()).hexdigest() == digest, path


@pytest.mark.parametrize("model", list_models(MODELS), ids=lambda model: model.name)
def test_every_form_of_a_shipped_model_finds_what_its_card_says_in_pictures_that_ship(model):
    checks = list(prove(model))
    assert [str(each) for each in checks if each.outcome is Outcome.FAILED] == []
    elsewhere = {"tensorrt"} | ({"pytorch"} if find_spec("ultralytics") is None else set())
    assert {each.form for each in checks if each.outcome is Outcome.NOT_RUN} <= elsewhere | {"onnx"}
    for form in {(each.form, each.shape) for each in checks if each.what == "loads and runs"}:
        found = {
            each.what.split()[1] for each in checks if (each.form, each.shape) == form and each.what.startswith("finds")
        }
        assert found >= {"person", "car"}, form


@pytest.mark.parametrize("name", entries())
def test_a_model_is_small_enough_for_git_and_has_a_card(name):
    assert all((MODELS / path).stat().st_size < MOST_BYTES for path in files_of(entries()[name]))
    card = (MODELS / entries()[name]["card"]).read_text(encoding="utf-8")
    assert name in card
    assert f"version {entries()[name]['version']}" in card.lower()


def test_every_file_among_the_weights_belongs_to_a_model():
    named = {path for entry in entries().values() for path in files_of(entry)}
    assert {f"weights/{path.name}" for path in (MODELS / "weights").iterdir()} == named


@pytest.mark.parametrize(("name", "form", "shape"), graphs())
def test_a_graph_has_the_shape_and_the_classes_that_the_registry_says(name, form, shape):
    graph = read(name, form, shape)
    height, width = map(int, shape.split("x"))
    places = sum((height // stride) * (width // stride) for stride in (8, 16, 32))
    assert tuple(graph.inputs[0].shape) == (1, 3, height, width)
    assert tuple(graph.outputs[0].shape) == (1, 4 + len(entries()[name]["classes"]), places)


@pytest.mark.parametrize(("name", "form", "shape"), graphs())
def test_an_empty_grey_picture_shows_nothing(name, form, shape):
    height, width = map(int, shape.split("x"))
    compiled = openvino.Core().compile_model(read(name, form, shape), "CPU")
    answer = compiled(np.full((1, 3, height, width), 114 / 255, np.float32))[0]
    scores = answer[0, 4:]
    assert scores.min() >= 0
    assert scores.max() < 0.25
