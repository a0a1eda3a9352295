"""The small picture of a thing by which it is known again."""

import numpy as np
import pytest

from citybrain.domain.detection import LOOK_SIDE
from citybrain.domain.geometry import Box
from detectors.looks import look


def test_a_look_is_what_lies_in_the_box_row_by_row():
    luma = np.full((480, 640), 30, np.uint8)
    luma[120:240, 160:240] = 200
    luma[120:240, 240:320] = 100
    seen = np.frombuffer(look(luma, Box(0.25, 0.25, 0.5, 0.5)), np.uint8).reshape(LOOK_SIDE, LOOK_SIDE)
    assert (seen[:, :8] == 200).all()
    assert (seen[:, 8:] == 100).all()


def test_the_same_thing_a_pixel_further_looks_alike():
    luma = np.random.default_rng(3).integers(0, 255, (480, 640), dtype=np.uint8)
    luma = np.repeat(np.repeat(luma[::8, ::8], 8, axis=0), 8, axis=1)
    one = np.frombuffer(look(luma, Box(0.25, 0.25, 0.75, 0.75)), np.uint8).astype(int)
    other = np.frombuffer(look(luma, Box(0.25 + 1 / 640, 0.25, 0.75 + 1 / 640, 0.75)), np.uint8).astype(int)
    assert np.abs(one - other).mean() < 4


@pytest.mark.parametrize(
    "box", [Box(0, 0, 0.0001, 0.0001), Box(0.9999, 0.9999, 1, 1), Box(1, 1, 1, 1), Box(0, 0, 1, 1), Box(0, 0.5, 1, 0.5)]
)
def test_however_small_the_box_there_is_a_look(box):
    assert len(look(np.zeros((288, 352), np.uint8), box)) == LOOK_SIDE * LOOK_SIDE
