"""Every detector backend judges each picture alone, answers within it, and loads only what it should."""

import importlib.util
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from citybrain.domain.detection import Detection
from citybrain.domain.geometry import Box
from citybrain.errors import Fault, ModelUnusable
from citybrain.plugins import offered
from citybrain.ports import Backend, Picture
from detectors.batching import Detector, open_detector
from detectors.config import SOCKET, Confidence, DetectorSettings, backend_file, load
from detectors.letterbox import fit, input_shape
from detectors.registry import find_models
from detectors.verify import verify
from tests.unit.detectors.drawing import BLUE, GREEN, RED, canvas, detector, draw, photograph, picture, tiny_models

ROOT = Path(__file__).resolve().parents[2]
SAME_VEHICLE = 0.7  # pipeline/rules/dwell.py
HAS_ULTRALYTICS = importlib.util.find_spec("ultralytics") is not None


@dataclass
class Trial:
    """A detector, pictures of several sizes, and what each of them shows."""

    settings: DetectorSettings
    detector: Detector
    backend: Backend
    pictures: list[Picture]
    shows: list[dict[str, tuple[int, int]]]
    """How many of each label, at least and at most."""
    exact: bool


def _assets() -> Path:
    spec = importlib.util.find_spec("ultralytics")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "assets"


Shown = tuple[list[Picture], list[dict[str, tuple[int, int]]]]


def _photographs() -> Shown:
    if not HAS_ULTRALYTICS:
        pytest.skip("the photographs come with ultralytics, which is not installed (make install-ultralytics)")
    assets = _assets()
    # Before a bus three people, one of them cut by the edge, and part of a fourth; two people. The tall one as a camera
    # would see it: 4:3, so that every backend is fed the same pixels.
    bus, people = photograph(assets / "bus.jpg"), photograph(assets / "zidane.jpg")
    street = Picture(bus.y[300:908], bus.u[150:454], bus.v[150:454])
    return [street, people], [{"person": (2, 4)}, {"person": (1, 2)}]


def _drawn() -> Shown:
    wide = draw(canvas(1280, 720), Box(0.1, 0.2, 0.3, 0.5), RED)
    tall = draw(draw(canvas(480, 854), Box(0.1, 0.1, 0.6, 0.3), GREEN), Box(0.5, 0.6, 0.9, 0.9), GREEN)
    return [picture(wide), picture(tall)], [{"fire": (1, 1)}, {"car": (2, 2)}]


@pytest.fixture(scope="module", params=offered(SOCKET))
def trial(request, tmp_path_factory):
    name = request.param
    config = tmp_path_factory.mktemp("config")
    written = {"backend": name}
    if name == "ultralytics" and not HAS_ULTRALYTICS:
        pytest.skip("ultralytics is not installed (make install-ultralytics)")
    if name != "scripted":
        if not (find_models(ROOT / "configs") / "registry.yaml").is_file():
            pytest.skip(f"there is no registry of models in {find_models(ROOT / 'configs')}")
        written["model"] = "city-n"
    pictures, shows = _drawn() if name == "scripted" else _photographs()
    settings = detector(config, **written)
    opened = open_detector(settings)
    yield Trial(settings, opened, opened._backend, pictures, shows, exact=name != "ultralytics")
    opened.close()


def test_it_sees_what_the_pictures_show(trial):
    for seen, shows in zip(trial.detector.detect(trial.pictures), trial.shows, strict=True):
        for label, (least, most) in shows.items():
            assert least <= len([each for each in seen if each.label == label and each.confidence >= 0.3]) <= most


def test_boxes_lie_in_the_picture_and_labels_are_the_models_own(trial):
    for seen in trial.detector.detect(trial.pictures):
        assert seen
        for each in seen:
            assert each.label in trial.backend.classes
            assert trial.settings.confidence.default <= each.confidence <= 1
            assert each.box.area > 0
            assert each.look is not None
            assert len(each.look) == 256


def test_an_even_grey_view_shows_nothing(trial):
    assert trial.detector.detect([picture(canvas(640, 360)), picture(canvas(704, 576))]) == [(), ()]


def test_a_picture_is_judged_alone_whoever_shares_its_batch(trial):
    blank = picture(canvas(640, 360))
    pictures = [blank, *trial.pictures]
    alone = [trial.detector.detect([each])[0] for each in pictures]
    crowd = [0, 1, 2, 0, 2, 1, 1, 2, 0, 0, 1, 2, 2, 2, 1]
    for index, seen in zip(crowd, trial.detector.detect([pictures[index] for index in crowd]), strict=True):
        expected = alone[index]
        if trial.exact:
            assert seen == expected
            continue
        # torch chooses other kernels for other batches: the last bits may differ.
        assert [each.label for each in seen] == [each.label for each in expected]
        for one, other in zip(seen, expected, strict=True):
            assert one.box.overlap(other.box) > 0.99
            assert one.confidence == pytest.approx(other.confidence, abs=0.01)


def test_the_same_picture_gives_the_same_answer_each_time(trial):
    assert trial.detector.detect(trial.pictures) == trial.detector.detect(trial.pictures)


@pytest.mark.parametrize(
    ("width", "height"), [(1920, 1080), (704, 576), (640, 480), (352, 288), (480, 854), (1001, 563)]
)
def test_the_input_it_wants_can_be_made_of_any_picture(trial, width, height):
    spec = trial.backend.input_for(width, height)
    assert spec.width % 2 == spec.height % 2 == 0
    assert spec.max_batch >= 1
    shown = picture(draw(canvas(width, height), Box(0.4, 0.4, 0.6, 0.6), BLUE))
    out = np.zeros((1, *input_shape(spec)), np.uint8)
    fit(shown, spec, out[0])
    assert len(trial.backend.infer(out, 1, spec)) == 1


def test_windows_are_smaller_and_answered_like_any_input(trial):
    for size in ((1920, 1080), (704, 576)):
        whole = trial.backend.input_for(*size)
        for window in trial.backend.windows_for(whole):
            assert window.width * window.height < 0.35 * whole.width * whole.height
            assert window.format == whole.format
            batch = np.full((1, *input_shape(window)), 128, np.uint8)
            assert trial.backend.infer(batch, 1, window) == [[]]


def test_what_lies_behind_the_nth_picture_of_a_batch_is_not_looked_at(trial):
    shown = trial.pictures[0]
    spec = trial.backend.input_for(shown.width, shown.height)
    batch = np.zeros((4, *input_shape(spec)), np.uint8)
    fit(shown, spec, batch[0])
    alone = trial.backend.infer(batch, 1, spec)
    batch[1:] = np.random.default_rng(1).integers(0, 255, batch[1:].shape, dtype=np.uint8)
    assert len(alone) == 1
    assert alone[0]
    assert trial.backend.infer(batch, 1, spec) == alone
    assert trial.backend.infer(batch, 0, spec) == []


def test_a_batch_of_another_shape_is_refused(trial):
    spec = trial.backend.input_for(1280, 720)
    with pytest.raises(ValueError, match="expected at most 1 inputs"):
        trial.backend.infer(np.zeros((1, 8, 8), np.uint8), 1, spec)
    with pytest.raises(ValueError, match="expected at most 1 inputs"):
        trial.backend.infer(np.zeros((1, *input_shape(spec)), np.uint8), 2, spec)


def test_noise_harms_nobody(trial):
    noise = np.random.default_rng(2).integers(0, 255, (360, 640, 3), dtype=np.uint8)
    (seen,) = trial.detector.detect([picture(noise)])
    assert all(each.box.area > 0 for each in seen)


def test_it_says_what_it_loaded(trial):
    assert trial.detector.revision == open_detector(trial.settings).revision
    assert trial.detector.revision


def test_what_is_in_order_has_no_faults(trial):
    assert verify(trial.settings, load=True) == []


def test_after_closing_it_can_be_closed_again(trial):
    opened = open_detector(trial.settings)
    opened.warmup()
    opened.close()
    opened.close()


@pytest.mark.skipif(not HAS_ULTRALYTICS, reason="ultralytics is not installed (make install-ultralytics)")
def test_two_runtimes_see_the_same_with_one_model(tmp_path):
    if not (find_models(ROOT / "configs") / "registry.yaml").is_file():
        pytest.skip(f"there is no registry of models in {find_models(ROOT / 'configs')}")
    pictures, _ = _photographs()
    answers = []
    for name, options in (("openvino", {"precision": "f32"}), ("ultralytics", {})):
        written = detector(tmp_path / name, backend=name, model="city-n", confidence=0.3, options=options)
        with open_detector(written) as opened:
            answers.append(opened.detect(pictures))
    for ours, theirs in zip(*answers, strict=True):
        # The same weights and the same pixels; half precision weights and another arithmetic in between. What one is
        # sure of the other has at least seen.
        assert _unmatched(ours, theirs) == _unmatched(theirs, ours) == []
        assert ours


def _unmatched(sure: Sequence[Detection], seen: Sequence[Detection]) -> list[Detection]:
    return [
        one
        for one in sure
        if one.confidence >= 0.4
        and not any(
            one.label == other.label
            and one.box.overlap(other.box) > 0.95
            and one.confidence == pytest.approx(other.confidence, abs=0.05)
            for other in seen
        )
    ]


@pytest.mark.parametrize("precision", ["auto", "int8"])
@pytest.mark.skipif(not HAS_ULTRALYTICS, reason="the photograph comes with ultralytics (make install-ultralytics)")
def test_the_shipped_detector_sees_the_bus_as_one_large_vehicle(precision):
    if not (find_models(ROOT / "configs") / "registry.yaml").is_file():
        pytest.skip(f"there is no registry of models in {find_models(ROOT / 'configs')}")
    faults: list[Fault] = []
    settings = load(ROOT / "configs", faults=faults)["city"]
    settings = replace(settings, options=settings.options.model_copy(update={"precision": precision}))
    with open_detector(settings) as opened:
        (seen,) = opened.detect([photograph(_assets() / "bus.jpg")])
    # It may call it a truck, or in 8 bits both: models/cards/city-n.md, "Where it fails". Rules take what overlaps so far for one.
    large = [each for each in seen if each.label in {"bus", "truck"}]
    assert large
    assert all(each.box.overlap(large[0].box) > SAME_VEHICLE for each in large)


@pytest.mark.parametrize("name", offered(SOCKET))
def test_a_backend_file_is_cheap_to_import(name):
    script = (
        f"import sys; from detectors.config import backend_file; backend_file({name!r}); import detectors.verify\n"
        "print([each for each in ('torch', 'openvino', 'ultralytics', 'onnxruntime', 'av') if each in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", offered(SOCKET))
def test_a_backend_file_offers_what_the_socket_asks_for(name):
    plugin = backend_file(name)
    assert plugin.Config.model_config.get("extra") == "forbid"
    assert all(callable(getattr(plugin, each)) for each in ("build", "classes", "files"))


def test_no_torch_enters_a_process_that_runs_openvino(tmp_path):
    models = tiny_models(tmp_path / "models")
    detector(tmp_path, models=models, backend="openvino", model="tiny", size=96)
    script = (
        "import sys; from pathlib import Path\n"
        "from detectors.batching import open_detector; from detectors.config import load\n"
        "config, models = map(Path, sys.argv[1:])\n"
        "opened = open_detector(load(config, faults=[], models=models)['city']); opened.warmup()\n"
        "print([each for each in ('torch', 'ultralytics') if each in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path), str(models)], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == "[]"


def test_a_model_that_answers_other_classes_than_configured_is_refused(trial):
    wrong = replace(trial.settings, classes=None, labels={"zeppelin": "zeppelin"}, confidence=Confidence(0.5, {}))
    with pytest.raises(ModelUnusable, match="expected the classes zeppelin"):
        open_detector(wrong)
