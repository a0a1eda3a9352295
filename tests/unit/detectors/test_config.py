"""What detectors/<id>.yaml may say, and that every fault in it is named with its key and remedy."""

from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from citybrain.domain.detection import Detection
from citybrain.domain.geometry import Box
from citybrain.errors import Fault
from detectors.config import labels_of, load
from detectors.labels import Labels
from detectors.registry import choose, find_models, list_models, load_registry
from tests.unit.detectors.drawing import detector, tiny_models

ROOT = Path(__file__).resolve().parents[3]
FAULTY = sorted((ROOT / "tests" / "configs" / "detectors").glob("*.yaml"))


@pytest.fixture
def models(tmp_path):
    return tiny_models(tmp_path / "registered")


@pytest.mark.parametrize("fixture", FAULTY, ids=lambda path: path.stem)
def test_each_fault_is_named_with_key_and_remedy(fixture, tmp_path, models):
    text = fixture.read_text(encoding="utf-8")
    places = {"MODELS": str(models), "CONFIG": str(tmp_path)}
    expected = [line.removeprefix("# expects ") for line in text.splitlines() if line.startswith("# expects ")]
    for name, place in places.items():
        expected = [line.replace(name, place) for line in expected]
    file = tmp_path / "detectors" / "city.yaml"
    file.parent.mkdir()
    file.write_text(text, encoding="utf-8")
    (tmp_path / "own.pt").write_bytes(b"weights")
    faults: list[Fault] = []
    assert load(tmp_path, faults=faults, models=models) == {}
    assert sorted(str(fault).removeprefix(f"{file}: ") for fault in faults) == sorted(expected)


def test_one_faulty_detector_does_not_hide_the_others(tmp_path, models):
    folder = tmp_path / "detectors"
    folder.mkdir()
    (folder / "city.yaml").write_text("{backend: openvino, model: tiny, size: 96}")
    (folder / "broken.yaml").write_text("{backend: openvino, model: tiny, size: 97}")
    (folder / "worse.yaml").write_text("{backend: none}")
    faults: list[Fault] = []
    assert set(load(tmp_path, faults=faults, models=models)) == {"city"}
    assert {Path(fault.file).name for fault in faults} == {"broken.yaml", "worse.yaml"}


def test_a_folder_without_detectors_is_a_fault(tmp_path):
    faults: list[Fault] = []
    assert load(tmp_path, faults=faults) == {}
    assert "holds no detector" in str(faults[0])


def test_a_registry_that_is_not_there_is_told_once(tmp_path):
    folder = tmp_path / "detectors"
    folder.mkdir()
    for name in ("a", "b"):
        (folder / f"{name}.yaml").write_text("{backend: openvino, model: tiny}")
    faults: list[Fault] = []
    load(tmp_path, faults=faults, models=tmp_path / "nowhere")
    assert [fault.file for fault in faults] == [str(tmp_path / "nowhere" / "registry.yaml")]


def test_what_is_not_said_has_its_default(tmp_path, models):
    settings = detector(tmp_path, models=models, backend="openvino", model="tiny", size=96)
    assert (settings.id, settings.model.name, settings.device, settings.gate) == ("city", "tiny@1", "auto", True)
    assert settings.reaffirm_for == timedelta(seconds=10)
    assert settings.confidence.of("red") == 0.25
    assert labels_of(settings) == {"red", "green", "blue"}


def test_several_classes_may_go_by_one_label(tmp_path, models):
    settings = detector(
        tmp_path, models=models, backend="openvino", model="tiny@1", size=96, labels={"red": "fire", "blue": "fire"}
    )
    assert labels_of(settings) == {"fire"}


def test_the_backend_need_not_tell_what_no_label_asks_for(tmp_path, models):
    settings = detector(
        tmp_path,
        models=models,
        backend="openvino",
        model="tiny",
        size={"width": 96, "height": 64},
        labels={"red": "fire", "blue": "water"},
        confidence={"default": 0.2, "fire": 0.6, "water": 0.4},
    )
    assert settings.for_backend().floor == 0.4
    seen = [Detection("red", 0.59, Box(0, 0, 1, 1)), Detection("blue", 0.59, Box(0, 0, 1, 1))]
    assert [each.label for each in Labels(settings.labels, settings.confidence).apply(seen)] == ["water"]


def test_a_threshold_for_one_label_leaves_the_usual_one_for_the_others(tmp_path, models):
    settings = detector(tmp_path, models=models, backend="openvino", model="tiny", size=96, confidence={"red": 0.6})
    assert (settings.confidence.of("red"), settings.confidence.of("blue")) == (0.6, 0.25)


def test_the_models_folder_is_beside_the_configuration_or_where_the_environment_says(tmp_path):
    own, beside = ROOT / "models", tmp_path / "models"
    config = tmp_path / "my-city"
    config.mkdir()
    assert find_models(config, environment={}) == own
    tiny_models(beside)
    assert find_models(config, environment={}) == beside
    tiny_models(config / "models")
    assert find_models(config, environment={}) == config / "models"
    assert find_models(config, environment={"CITYBRAIN_MODELS": "/srv/models"}) == Path("/srv/models")


@pytest.mark.parametrize("config", ["configs", "configs/demo"])
def test_the_shipped_detectors_are_in_order(config):
    if not (find_models(ROOT / config) / "registry.yaml").is_file():
        pytest.skip(f"there is no registry of models in {find_models(ROOT / config)}")
    faults: list[Fault] = []
    found = load(ROOT / config, faults=faults)
    assert not faults
    assert {"car", "truck", "bus", "fire", "smoke", "water", "stall"} <= labels_of(found["city"])


# -- the registry -----------------------------------------------------------------------------------------------------


def test_the_registry_lists_its_models_with_their_versions(models):
    assert [model.name for model in list_models(models)] == ["tiny@1"]


@pytest.mark.parametrize(
    ("change", "key", "message"),
    [
        ({"classes": ["red", "red"]}, "models.tiny", "each class must have a name of its own"),
        ({"classes": []}, "models.tiny.classes", "expected at least 1, got 0"),
        ({"suggested": {"violet": 0.4}}, "models.tiny", "violet is no class of the model"),
        ({"suggested": {"red": 1.5}}, "models.tiny.suggested.red", "1"),
        ({"task": "segment"}, "models.tiny.task", "expected 'detect'"),
        ({"licence": None}, "models.tiny.licence", "string"),
        ({"shape": 3}, "models.tiny.shape", "is not a known key"),
        ({"files": {"openvino": {"64by96": {}}}}, "models.tiny.files.openvino.64by96", "pattern"),
        ({"files": {"pytorch": {"path": "a.pt", "sha256": "abc"}}}, "models.tiny.files.pytorch.sha256", "pattern"),
    ],
)
def test_a_fault_in_the_registry_is_named(models, change, key, message):
    path = models / "registry.yaml"
    registry = yaml.safe_load(path.read_text())
    registry["models"]["tiny"] |= change
    path.write_text(yaml.safe_dump(registry))
    faults: list[Fault] = []
    assert load_registry(models, faults=faults) is None
    assert any(fault.key.startswith(key) and message in fault.message for fault in faults), faults


def test_a_version_insisted_on_is_the_one_that_is_there(models):
    entries = load_registry(models, faults=[])
    assert entries is not None
    assert choose("tiny@1", entries, models).name == choose("tiny", entries, models).name == "tiny@1"
    with pytest.raises(KeyError):
        choose("tiny@3", entries, models)
