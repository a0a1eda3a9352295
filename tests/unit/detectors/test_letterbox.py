"""Where a picture goes in a model's input, and that boxes find the way back."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from citybrain.domain.geometry import Box
from citybrain.errors import Unreadable
from citybrain.ports import InputSpec, Picture
from detectors.letterbox import fit, input_shape, letterbox
from tests.unit.detectors.drawing import BLUE, GREEN, RED, canvas, draw, picture

WIDE = InputSpec(640, 384, "i420")


def as_rgb(rgb, spec):
    """The picture in the input `spec`, read back as the model would see it."""
    out = np.full(input_shape(spec), 77, np.uint8)
    fit(picture(rgb), spec, out)
    if spec.format == "rgb24":
        return out
    code = cv2.COLOR_YUV2RGB_I420 if spec.format == "i420" else cv2.COLOR_YUV2RGB_NV12
    return cv2.cvtColor(out, code)


def test_a_wide_picture_gets_bars_above_and_below():
    place = letterbox(1920, 1080, WIDE)
    assert (place.left, place.top, place.width, place.height) == (0, 12, 640, 360)


def test_a_tall_picture_gets_bars_at_the_sides():
    place = letterbox(480, 854, WIDE)
    assert place.height == 384
    assert place.left > 0
    assert place.top == 0


def test_from_further_away_it_is_smaller_and_in_the_middle():
    place = letterbox(1920, 1080, WIDE, 0.5)
    assert (place.left, place.top, place.width, place.height) == (160, 102, 320, 180)


sides = st.integers(2, 4000)
edges = st.floats(0, 1)


inputs = st.sampled_from([InputSpec(640, 384, "i420"), InputSpec(96, 64, "i420"), InputSpec(64, 640, "i420")])


@given(sides, sides, inputs, st.tuples(edges, edges), st.tuples(edges, edges))
def test_a_box_survives_the_way_there_and_back(width, height, spec, across, down):
    box = Box(min(across), min(down), max(across), max(down))
    place = letterbox(width, height, spec)
    assert place.left >= 0
    assert place.left + place.width <= spec.width
    assert place.top >= 0
    assert place.top + place.height <= spec.height
    assert place.left % 2 == place.top % 2 == place.width % 2 == place.height % 2 == 0
    inside = place.input_box(box)
    back = place.picture_box(inside)
    if back is None:
        assert box.area == pytest.approx(0, abs=1e-6)
    else:
        assert back.as_list() == pytest.approx(box.as_list(), abs=1e-3)


def test_a_box_that_reaches_into_the_bars_is_cut_at_the_pictures_edge():
    place = letterbox(1920, 1080, WIDE)
    assert place.picture_box(Box(0.0, 0.0, 1.0, 1.0)) == Box(0.0, 0.0, 1.0, 1.0)


def test_a_box_in_the_bars_alone_is_none():
    assert letterbox(1920, 1080, WIDE).picture_box(Box(0.1, 0.0, 0.9, 0.02)) is None


@pytest.mark.parametrize("layout", ["i420", "nv12", "rgb24"])
@pytest.mark.parametrize(
    ("width", "height"), [(1280, 720), (1920, 1080), (704, 576), (480, 854), (1001, 563), (63, 35)]
)
def test_colours_and_places_are_the_same_in_every_layout(layout, width, height):
    box = Box(0.25, 0.25, 0.75, 0.75)
    spec = InputSpec(640, 384, layout)
    for colour in (RED, GREEN, BLUE, (200, 200, 200), (20, 20, 20)):
        seen = as_rgb(draw(canvas(width, height), box, colour), spec)
        middle = letterbox(width, height, spec).input_box(Box(0.4, 0.4, 0.6, 0.6))
        inner = seen[round(middle.y1 * 384) : round(middle.y2 * 384), round(middle.x1 * 640) : round(middle.x2 * 640)]
        assert np.abs(inner.reshape(-1, 3).mean(axis=0) - colour).max() < 4


@pytest.mark.parametrize("layout", ["i420", "nv12", "rgb24"])
def test_the_bars_are_the_grey_that_models_were_trained_with_whatever_was_there_before(layout):
    spec = InputSpec(640, 384, layout)
    seen = as_rgb(canvas(1280, 720, RED), spec)
    for bar in (seen[:10], seen[-10:]):
        assert np.abs(bar.astype(int) - 114).max() <= 1


@pytest.mark.parametrize("size", [(640, 360), (704, 396), (1280, 720), (1920, 1080), (3200, 1800), (1920, 360)])
def test_whatever_the_factor_a_picture_is_resized_linearly(size):
    random = np.random.default_rng(1)
    width, height = size
    luma = random.integers(0, 255, (height, width), np.uint8)
    shown = Picture(luma, *(random.integers(0, 255, (height // 2, width // 2), np.uint8) for _ in range(2)))
    out = np.zeros(input_shape(WIDE), np.uint8)
    place = fit(shown, WIDE, out)
    expected = cv2.resize(luma, (place.width, place.height), interpolation=cv2.INTER_LINEAR)
    assert np.array_equal(out[place.top : place.top + place.height, place.left : place.left + place.width], expected)
    first_chroma = out[384:].reshape(2, 192, 320)[0, place.top // 2 : (place.top + place.height) // 2]
    expected = cv2.resize(shown.u, (place.width // 2, place.height // 2), interpolation=cv2.INTER_LINEAR)
    assert np.array_equal(first_chroma[:, place.left // 2 : (place.left + place.width) // 2], expected)


def test_planes_of_a_decoder_may_be_views_with_gaps_between_their_rows():
    rgb = draw(canvas(320, 180), Box(0.2, 0.2, 0.5, 0.5), RED)
    whole = picture(rgb)
    padded = Picture(*(np.pad(plane, ((0, 0), (0, 32)))[:, : plane.shape[1]] for plane in (whole.y, whole.u, whole.v)))
    one, other = (np.zeros(input_shape(WIDE), np.uint8) for _ in range(2))
    fit(whole, WIDE, one)
    fit(padded, WIDE, other)
    assert np.array_equal(one, other)


@pytest.mark.parametrize(
    "broken",
    [
        lambda p: Picture(p.y, p.u[:-1], p.v),
        lambda p: Picture(p.y, p.u, p.y),
        lambda p: Picture(p.y[:0], p.u, p.v),
        lambda p: Picture(p.y[None], p.u, p.v),
        lambda p: Picture(p.y.astype(np.uint16), p.u, p.v),
    ],
)
def test_planes_that_do_not_belong_together_are_unreadable(broken):
    with pytest.raises(Unreadable, match="expected"):
        fit(broken(picture(canvas(64, 48))), WIDE, np.zeros(input_shape(WIDE), np.uint8))
