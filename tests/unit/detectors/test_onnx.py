"""A detector from an ONNX file: OpenVINO reads it, whatever size it was exported for, and it says itself what it knows."""

from typing import Any

import pytest

from citybrain.errors import ModelUnusable
from detectors.batching import open_detector
from detectors.onnx_file import classes_of, metadata_of
from detectors.verify import verify
from tests.unit.detectors.drawing import BLUE, GREEN, RED, canvas, detector, picture, tiny_onnx

pytest.importorskip("onnx", reason="draws its graphs with onnx, which is not installed (make install-ultralytics)")


def seen_by(folder, *pictures, **written):
    known: dict[str, Any] = {"backend": "openvino", "model": "own.onnx", "size": 96, "confidence": 0.3}
    settings = detector(folder, models=None, **known | written)
    assert verify(settings, load=True) == []
    with open_detector(settings) as opened:
        shapes = {
            (width, height): opened._backend.input_for(width, height) for width, height in ((1280, 720), (704, 576))
        }
        return opened.detect(pictures), [(spec.width, spec.height) for spec in shapes.values()]


@pytest.mark.parametrize(("colour", "label"), [(RED, "red"), (GREEN, "green"), (BLUE, "blue")])
def test_a_file_that_takes_any_size_is_fixed_to_the_shapes_of_wide_and_of_narrow_pictures(tmp_path, colour, label):
    tiny_onnx(tmp_path / "own.onnx")
    shown = [picture(canvas(96, 64, colour)), picture(canvas(96, 96, colour))]
    seen, shapes = seen_by(tmp_path, *shown, size=320)
    assert shapes == [(320, 192), (320, 256)]
    assert [[each.label for each in found] for found in seen] == [[label], [label]]


def test_the_size_that_was_asked_for_is_the_one_it_gets(tmp_path):
    tiny_onnx(tmp_path / "own.onnx")
    _, shapes = seen_by(tmp_path, size={"width": 96, "height": 64})
    assert shapes == [(96, 64), (96, 64)]


@pytest.mark.parametrize("batch", ["batch", 1])
def test_a_file_of_one_shape_keeps_it(tmp_path, batch):
    tiny_onnx(tmp_path / "own.onnx", height=64, width=96, batch=batch)
    (seen, alone), shapes = seen_by(tmp_path, *[picture(canvas(96, 64, GREEN))] * 2)
    assert shapes == [(96, 64), (96, 64)]
    assert [each.box.as_list() for each in seen] == [pytest.approx([0.25, 0.25, 0.75, 0.75], abs=0.01)]
    assert seen == alone


def test_the_classes_stand_in_the_file_and_can_be_given_labels_before_it_is_loaded(tmp_path):
    tiny_onnx(tmp_path / "own.onnx")
    assert metadata_of(tmp_path / "own.onnx")["task"] == "detect"
    ((found,),), _ = seen_by(tmp_path, picture(canvas(96, 64, RED)), labels={"red": "fire"})
    assert found.label == "fire"


def test_a_file_without_names_takes_them_from_beside_it_and_says_so_when_there_are_none(tmp_path):
    tiny_onnx(tmp_path / "own.onnx", names=None)
    with pytest.raises(AssertionError, match=r"expected .*metadata.yaml with `names`"):
        seen_by(tmp_path)
    (tmp_path / "metadata.yaml").write_text("names: {0: rouge, 1: vert, 2: bleu}")
    ((found,),), _ = seen_by(tmp_path, picture(canvas(96, 64, RED)))
    assert found.label == "rouge"


def test_a_file_that_was_cut_off_names_nothing_and_is_unusable(tmp_path):
    path = tiny_onnx(tmp_path / "own.onnx")
    path.write_bytes(path.read_bytes()[:200])
    assert classes_of(path) is None
    (tmp_path / "metadata.yaml").write_text("names: {0: red, 1: green, 2: blue}")
    settings = detector(tmp_path, backend="openvino", model="own.onnx", size=96)
    (fault,) = verify(settings, load=True)
    assert "OpenVINO cannot read the graph" in fault.message
    with pytest.raises(ModelUnusable, match="export it again"):
        open_detector(settings)


@pytest.mark.parametrize(
    "content", [b"", b"\x00", b"<html>404 not found</html>", b"\xff" * 99, b"r" + b"\xff" * 9 + b"\x01"]
)
def test_what_is_no_onnx_file_says_nothing_of_itself(tmp_path, content):
    (tmp_path / "own.onnx").write_bytes(content)
    assert metadata_of(tmp_path / "own.onnx") == {}
    assert classes_of(tmp_path / "own.onnx") is None
    assert classes_of(tmp_path / "none.onnx") is None
