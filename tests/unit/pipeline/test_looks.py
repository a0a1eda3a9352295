"""Whether two small pictures show one thing, whatever the light."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.looks import likeness

CAR, OTHER = Random(1).randbytes(256), Random(2).randbytes(256)
pictures = st.binary(min_size=256, max_size=256)


def test_a_picture_is_wholly_like_itself_and_its_negative_is_its_opposite():
    assert likeness(CAR, CAR) == pytest.approx(1)
    assert likeness(CAR, bytes(255 - grey for grey in CAR)) == pytest.approx(-1)


def test_dimmer_and_brighter_light_changes_nothing():
    assert likeness(CAR, bytes(grey // 2 + 40 for grey in CAR)) > 0.999


def test_strangers_are_not_alike():
    assert abs(likeness(CAR, OTHER)) < 0.2


def test_a_flat_picture_is_like_nothing():
    assert likeness(bytes([7] * 256), CAR) == 0
    assert likeness(bytes(256), bytes(256)) == 0


@given(pictures, pictures)
def test_likeness_is_mutual_and_bounded(a, b):
    assert likeness(a, b) == pytest.approx(likeness(b, a))
    assert -1 - 1e-9 <= likeness(a, b) <= 1 + 1e-9
