"""How a detector feeds its backend: grouped by input, never more than it takes, answers to the right pictures."""

import numpy as np
import pytest

from citybrain.domain.detection import Detection
from citybrain.domain.geometry import Box
from citybrain.errors import Unreadable
from citybrain.ports import InputSpec, Picture
from detectors.batching import Detector
from tests.unit.detectors.drawing import RED, canvas, detector, draw, picture


class Recording:
    """A backend of two shapes that says how bright the middle of each input is, and remembers what it was fed."""

    classes = ("fire",)
    revision = "recording"

    def __init__(self):
        self.fed = []
        self.closed = False

    def input_for(self, width, height):
        return InputSpec(64, 32 if width > height else 64, "i420", max_batch=3)

    def windows_for(self, spec):
        return []

    def warmup(self):
        pass

    def infer(self, batch, n, spec):
        self.fed.append((spec.height, n))
        return [
            [Detection("fire", float(each[spec.height // 2, 32]) / 255, Box(0.25, 0.25, 0.75, 0.75))]
            for each in batch[:n]
        ]

    def close(self):
        self.closed = True


@pytest.fixture
def settings(tmp_path):
    return detector(tmp_path, backend="scripted", confidence=0.01)


def shade(level, *, width=160, height=80):
    return Picture(
        np.full((height, width), level, np.uint8),
        np.full((height // 2, width // 2), 128, np.uint8),
        np.full((height // 2, width // 2), 128, np.uint8),
    )


def test_pictures_are_grouped_by_input_in_batches_the_backend_takes_and_told_in_their_order(settings):
    backend = Recording()
    levels = [10, 20, 30, 40, 50, 60, 70, 80]
    mixed = [shade(level) if index % 3 else shade(level, width=80, height=80) for index, level in enumerate(levels)]
    seen = Detector(settings, backend).detect(mixed)
    assert [round(each[0].confidence * 255) for each in seen] == levels
    assert sorted(backend.fed) == [(32, 2), (32, 3), (64, 3)]


def test_no_pictures_need_no_backend(settings):
    backend = Recording()
    assert Detector(settings, backend).detect([]) == []
    assert backend.fed == []


def test_a_look_shows_the_picture_itself_and_not_the_input(settings):
    shown = picture(draw(canvas(640, 160), Box(0.25, 0, 0.75, 1), RED))
    (seen,) = Detector(settings, Recording()).detect([shown])
    assert seen[0].look is not None
    assert np.abs(np.frombuffer(seen[0].look, np.uint8).astype(int) - int(shown.y[80, 320])).max() <= 1


def test_looks_are_taken_for_the_labels_asked_for(settings):
    assert Detector(settings, Recording(), looks={"car"}).detect([shade(90)])[0][0].look is None
    assert Detector(settings, Recording(), looks={"fire"}).detect([shade(90)])[0][0].look is not None


def test_one_batch_leaves_nothing_behind_for_the_next(settings):
    opened = Detector(settings, Recording())
    opened.detect([shade(200), shade(210), shade(220)])
    (seen,) = opened.detect([shade(16, width=200, height=20)])
    assert round(seen[0].confidence * 255) == 16


def test_planes_that_do_not_belong_together_are_unreadable(settings):
    whole = shade(90)
    with pytest.raises(Unreadable, match="expected planes"):
        Detector(settings, Recording()).detect([Picture(whole.y, whole.u[1:], whole.v)])


def test_leaving_the_block_closes_the_backend(settings):
    backend = Recording()
    with Detector(settings, backend) as opened:
        assert (opened.model, opened.revision) == ("none", "recording")
    assert backend.closed
