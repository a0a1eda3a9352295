"""What the OpenVINO backend makes of a graph, its shapes and its colours, shown on graphs built for the purpose."""

import logging
import os
import threading

import pytest

from citybrain.domain.geometry import Box
from citybrain.errors import ModelUnusable
from detectors.backends import openvino
from detectors.batching import open_detector
from detectors.processor import AMD, Processor
from detectors.verify import verify
from tests.unit.detectors.drawing import BLUE, GREEN, RED, canvas, detector, picture, tiny_models

SHAPES = ((64, 96), (96, 96))


@pytest.fixture
def opened(tmp_path):
    """Opens `tiny` as its registry and the detector's YAML say."""
    detectors = []

    def open_tiny(*, confidence=0.01, written=None, **registered):
        models = tiny_models(tmp_path / "models", shapes=SHAPES, **registered)
        settings = detector(
            tmp_path, models=models, backend="openvino", model="tiny", size=96, confidence=confidence, **(written or {})
        )
        detectors.append(open_detector(settings))
        return detectors[-1]

    yield open_tiny
    for each in detectors:
        each.close()


def scores(seen):
    return {each.label: each.confidence for each in seen}


@pytest.mark.parametrize("finished", [False, True])
@pytest.mark.parametrize(("name", "colour"), [("red", RED), ("green", GREEN), ("blue", BLUE)])
def test_video_range_planes_reach_the_model_as_the_colours_they_were(opened, finished, name, colour):
    # 96 × 64 fills the input: the mean over it is the colour itself, 1.0 for its channel and 0 for the others.
    (seen,) = opened(finished=finished).detect([picture(canvas(96, 64, colour))])
    assert set(scores(seen)) == {name}
    assert scores(seen)[name] == pytest.approx(1, abs=0.012)


def test_a_model_that_wants_blue_first_gets_it_first(opened):
    (seen,) = opened(input={"format": "bgr", "scale": 255}).detect([picture(canvas(96, 64, RED))])
    assert set(scores(seen)) == {"blue"}


def test_values_are_divided_by_what_the_registry_says(opened):
    (seen,) = opened(input={"format": "rgb", "scale": 510}).detect([picture(canvas(96, 64, RED))])
    assert scores(seen)["red"] == pytest.approx(0.5, abs=0.01)


def test_the_box_is_where_the_model_says_in_the_picture_without_its_bars(opened):
    (seen,) = opened().detect([picture(canvas(192, 108, RED))])
    # 96 × 54 in 96 × 64: the model's middle half, 16..48, is 11..43 of 54 rows once the bar of 4 rows is taken off.
    assert seen[0].box.as_list() == pytest.approx([0.25, 12 / 54, 0.75, 44 / 54], abs=0.01)


@pytest.mark.parametrize(
    ("width", "height", "shape"),
    [(1920, 1080, (96, 64)), (1280, 720, (96, 64)), (704, 576, (96, 96)), (640, 480, (96, 64)), (480, 854, (96, 96))],
)
def test_a_picture_goes_to_the_shape_that_it_fills_best(opened, width, height, shape):
    spec = opened()._backend.input_for(width, height)
    assert (spec.width, spec.height) == shape


def test_batches_of_any_number_give_each_picture_its_own(opened):
    tiny = opened()
    shades = [picture(canvas(96, 64, (20 * step, 0, 0))) for step in range(1, 12)]
    for count in range(1, 12):
        seen = [scores(each)["red"] for each in tiny.detect(shades[:count])]
        assert seen == pytest.approx([20 * step / 255 for step in range(1, count + 1)], abs=0.01)


def test_a_graph_that_froze_its_batch_gets_its_pictures_one_by_one(opened):
    tiny = opened(frozen=True)
    assert tiny._backend.input_for(96, 64).max_batch == 1
    seen = tiny.detect([picture(canvas(96, 64, (shade, 0, 0))) for shade in (50, 100, 200)])
    assert [scores(each)["red"] for each in seen] == pytest.approx([50 / 255, 100 / 255, 200 / 255], abs=0.01)


def test_the_precision_and_the_shapes_are_told_once(opened, caplog):
    caplog.set_level(logging.INFO)
    tiny = opened(written={"options": {"precision": "f32"}})
    tiny.detect([picture(canvas(96, 64))] * 3)
    told = [record.getMessage() for record in caplog.records if record.name == "detectors.backends.openvino"]
    assert told == [f"tiny@1 ({tiny.revision}) runs in f32 on CPU, shapes 64x96, 96x96"]


@pytest.mark.parametrize(
    ("flags", "asked", "computed"),
    [
        ({"avx2"}, "auto", "f32"),
        ({"avx512_bf16"}, "auto", "bf16"),
        ({"avx512_bf16"}, "f32", "f32"),
        ({"avx512_bf16"}, "bf16", "bf16"),
    ],
)
def test_the_runtime_computes_in_the_precision_that_is_told(opened, monkeypatch, flags, asked, computed):
    monkeypatch.setattr(openvino, "this_processor", lambda: Processor(AMD, frozenset(flags)))
    backend = opened(written={"options": {"precision": asked}})._backend
    assert (backend._precision, backend._properties()["INFERENCE_PRECISION_HINT"]) == (computed, computed)


def test_a_processor_without_bf16_is_not_asked_for_it(opened, monkeypatch):
    monkeypatch.setattr(openvino, "this_processor", lambda: Processor(AMD, frozenset({"avx2"})))
    with pytest.raises(ModelUnusable, match="tiny@1: this processor does not compute in bf16; set `precision: auto`"):
        opened(written={"options": {"precision": "bf16"}})


def test_another_file_is_another_revision(opened):
    assert opened().revision != opened(finished=True).revision


def test_an_exported_folder_of_ones_own_needs_no_registry(tmp_path):
    models = tiny_models(tmp_path / "models")
    (models / "weights" / "metadata.yaml").write_text("names: {0: red, 1: green, 2: blue}")
    settings = detector(tmp_path, backend="openvino", model="models/weights", size=96, labels={"red": "fire"})
    assert verify(settings, load=True) == []
    with open_detector(settings) as tiny:
        (seen,) = tiny.detect([picture(canvas(96, 64, RED))])
        assert tiny.model == "weights"
    assert set(scores(seen)) == {"fire"}


# -- models that cannot be used ---------------------------------------------------------------------------------------


def tiny_settings(folder, **written):
    return detector(
        folder, models=folder / "models", **({"backend": "openvino", "model": "tiny", "size": 96} | written)
    )


@pytest.mark.parametrize("which", ["tiny-64x96.xml", "tiny-64x96.bin"])
def test_an_altered_file_is_named_before_it_is_parsed(tmp_path, which):
    settings = tiny_settings(tiny_models(tmp_path / "models").parent)
    altered = tmp_path / "models" / "weights" / which
    altered.write_bytes(altered.read_bytes() + b" ")
    for load in (False, True):
        (fault,) = verify(settings, load=load)
        assert which in fault.message
        assert "is not the registered file" in fault.message
        assert fault.remedy == "Restore it, or register the new one."
    with pytest.raises(ModelUnusable, match="is not the registered file"):
        open_detector(settings)


def test_a_missing_file_is_named_with_every_other(tmp_path):
    settings = tiny_settings(tiny_models(tmp_path / "models").parent)
    for path in (tmp_path / "models" / "weights").iterdir():
        path.unlink()
    assert len(verify(settings, load=True)) == 2
    with pytest.raises(ModelUnusable, match="there is no file"):
        open_detector(settings)


def test_a_file_that_is_no_graph_is_unusable(tmp_path):
    folder = tmp_path / "models" / "weights"
    tiny_models(tmp_path / "models")
    (folder / "metadata.yaml").write_text("names: {0: red, 1: green, 2: blue}")
    (folder / "tiny-64x96.xml").write_text("<html>404 not found</html>")
    settings = detector(tmp_path, backend="openvino", model="models/weights", size=96)
    assert verify(settings, load=False) == []
    (fault,) = verify(settings, load=True)
    assert "OpenVINO cannot read the graph" in fault.message


def test_classes_that_are_not_the_graphs_are_unusable(tmp_path):
    settings = tiny_settings(tiny_models(tmp_path / "models", classes=["red", "green"]).parent)
    (fault,) = verify(settings, load=True)
    assert "for 2 classes" in fault.message


def test_a_registry_that_mistakes_the_head_is_told_so(tmp_path):
    settings = tiny_settings(
        tiny_models(tmp_path / "models", finished=True, output={"layout": "raw", "nms": True}).parent
    )
    (fault,) = verify(settings, load=True)
    assert "the registry says nms: True" in fault.message


def test_no_graph_runs_on_a_device_that_openvino_has_not(tmp_path):
    settings = tiny_settings(tiny_models(tmp_path / "models").parent, device="cuda:0")
    (fault,) = verify(settings, load=True)
    assert "does not run on cuda:0" in fault.message


def test_boxes_stay_within_the_picture(opened):
    (seen,) = opened().detect([picture(canvas(101, 57, GREEN))])
    assert isinstance(seen[0].box, Box)


def test_inference_stays_on_no_core_of_its_own_lest_all_workers_share_the_first(opened):
    tiny, here, seen, over = opened(), threading.get_native_id(), set[frozenset[int]](), threading.Event()

    def watch():
        while not over.is_set():
            seen.add(frozenset(os.sched_getaffinity(here)))

    watching = threading.Thread(target=watch)
    allowed = frozenset(os.sched_getaffinity(here))
    watching.start()
    for _ in range(50):
        tiny.detect([picture(canvas(96, 64))] * 3)
    over.set()
    watching.join()
    assert seen == {allowed}
