"""A picture carries its instant, and one that carries none is no worse for it."""

from __future__ import annotations

from datetime import UTC, datetime

import cv2
import numpy as np
import pytest

from citybrain.evidence.stamp import stamp_of, stamped

AT = datetime(2026, 11, 21, 8, 0, 0, 123000, tzinfo=UTC)


def test_a_stamped_picture_is_the_same_picture():
    plain = cv2.imencode(".jpg", np.full((48, 64, 3), 90, np.uint8))[1].tobytes()
    image = stamped(plain, AT)
    assert stamp_of(image) == AT
    assert stamp_of(plain) is None
    before, after = (cv2.imdecode(np.frombuffer(each, np.uint8), cv2.IMREAD_COLOR) for each in (plain, image))
    assert before is not None
    assert after is not None
    assert np.array_equal(before, after)


@pytest.mark.parametrize(
    "image", [b"", b"\xff\xd8", b"\xff\xd8\xff\xfe", b"\xff\xd8\xff\xfe\x00\x10captured_at=2", b"PNG"]
)
def test_what_says_nothing_readable_has_no_instant(image):
    assert stamp_of(image) is None
