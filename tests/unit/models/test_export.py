"""Two graphs that read one set of weights, and the head that they are made from."""

from importlib import import_module

import cv2
import numpy as np
import pytest

export = import_module("export")
quantise = import_module("quantise")

XML = b'<net><layers><layer><data element_type="f32" shape="%d" offset="%d" size="%d"/></layer></layers></net>'


def constant(xml, weights):
    entry = next(export.ElementTree.fromstring(xml).iter("data"))
    offset, size = int(entry.attrib["offset"]), int(entry.attrib["size"])
    return weights[offset : offset + size]


def test_constants_that_two_graphs_share_are_kept_once():
    first, second = XML % (8, 0, 32), XML % (8, 16, 32)
    weights = bytes(range(32))
    rewritten, shared = export.share_weights([(first, weights), (second, b"\1" * 16 + weights)])
    assert shared == weights
    assert [constant(xml, shared) for xml in rewritten] == [weights, weights]


def test_what_differs_between_graphs_keeps_its_own_place():
    one, other = b"a" * 32, b"b" * 32
    rewritten, shared = export.share_weights([(XML % (8, 0, 32), one), (XML % (8, 0, 32), other)])
    assert [constant(xml, shared) for xml in rewritten] == [one, other]


def test_an_entry_joins_the_registry_without_touching_the_others(tmp_path):
    path = tmp_path / "registry.yaml"
    export.write_registry(path, name="one", entry={"version": 1})
    export.write_registry(path, name="two", entry={"version": 3})
    export.write_registry(path, name="one", entry={"version": 2})
    models = export.yaml.safe_load(path.read_text(encoding="utf-8"))["models"]
    assert models == {"one": {"version": 2}, "two": {"version": 3}}


def test_calibration_shows_each_shape_what_the_detector_feeds_it(tmp_path):
    picture = tmp_path / "street.png"
    cv2.imwrite(str(picture), np.tile(np.linspace(0, 255, 704).astype(np.uint8), (576, 1))[..., None].repeat(3, 2))
    for height, width in export.SHAPES:
        (fed,) = quantise.calibration([picture], height, width)
        assert fed.shape == (1, 3, height, width)
        assert 0 <= fed.min() < fed.max() <= 1
    assert list(quantise.calibration([tmp_path / "nothing.png"], 480, 640)) == []
    # A window is a part at the scale of the whole: its columns brighten as slowly.
    whole = next(quantise.calibration([picture], 480, 640))[0, 0, 240, 100:500]
    part = next(quantise.calibration([picture], 256, 320))[0, 0, 128]
    assert np.polyfit(np.arange(len(part)), part, 1)[0] == pytest.approx(
        np.polyfit(np.arange(400), whole, 1)[0], rel=0.1
    )


def test_the_same_pictures_calibrate_in_the_same_way(tmp_path):
    picture = tmp_path / "noise.png"
    cv2.imwrite(str(picture), np.random.default_rng(1).integers(0, 255, (480, 640, 3), dtype=np.uint8))
    one, two = (next(quantise.calibration([picture], 192, 320)) for _ in range(2))
    assert np.array_equal(one, two)
