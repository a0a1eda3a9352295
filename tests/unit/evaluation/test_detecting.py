"""Which detector is meant by a word, and what is asked of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from citybrain.errors import ConfigError, UsageError
from citybrain.evaluation import detecting
from citybrain.evaluation.detecting import LEAST

OWN = """
backend: scripted
confidence: {default: 0.5, fire: 0.6}
labels: {fire: fire, car: vehicle, truck: vehicle}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "detectors").mkdir()
    (tmp_path / "detectors/own.yaml").write_text(OWN, encoding="utf-8")
    return tmp_path


def test_a_registered_model_counts_from_where_its_entry_suggests() -> None:
    named = detecting.find("city-n", config=None)
    assert named.name.startswith("city-n@")
    assert named.settings.backend == "openvino"
    assert named.settings.size.longest == 640  # what its graphs were exported for
    assert {"car", "fire", "water", "stall"} <= set(named.settings.labels)
    assert set(named.points.by_label) <= set(named.settings.labels)


def test_a_form_of_it_is_asked_for_behind_a_colon() -> None:
    named = detecting.find("city-n:int8", config=None)
    assert named.settings.options.precision == "int8"
    assert named.name.endswith(" in int8")
    assert detecting.find("city-n:pytorch", config=None).settings.backend == "ultralytics"


def test_a_file_is_run_by_the_backend_that_reads_it(tmp_path: Path) -> None:
    for name, backend in (("own.pt", "ultralytics"), ("own.xml", "openvino"), ("own.onnx", "openvino")):
        (tmp_path / name).touch()
        named = detecting.find(str(tmp_path / name), config=None)
        assert (named.settings.backend, named.name, dict(named.settings.labels)) == (backend, name, {})
    with pytest.raises(UsageError, match="a file has one form"):
        detecting.find(f"{tmp_path / 'own.pt'}:int8", config=None)


def test_a_detector_of_a_configuration_brings_its_labels_and_its_confidence(config: Path) -> None:
    named = detecting.find("own", config=config)
    assert named.points.of("fire") == 0.6
    assert named.points.of("vehicle") == 0.5
    subject = detecting.open_subject(named, {"fire", "vehicle"})
    assert subject.labels == ("fire", "vehicle")
    assert subject.detector.settings.confidence.of("fire") == LEAST
    assert detecting.find_detector(config, None) == named


def test_a_faulty_detector_is_told_as_check_tells_it(config: Path) -> None:
    (config / "detectors/other.yaml").write_text("backend: scripte\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="Did you mean 'scripted'"):
        detecting.find_detector(config, "other")
    assert detecting.find_detector(config, "own").name == "own"


def test_a_files_classes_are_known_by_their_names_whatever_their_case() -> None:
    assert detecting.alike(("Fire", "SMOKE", "default"), {"fire", "smoke", "car"}) == {"Fire": "fire", "SMOKE": "smoke"}
