"""What is drawn is seen, also after a video encoder has had it."""

import io

import av
import numpy as np
import pytest

from citybrain.domain.geometry import Box
from citybrain.ports import Picture
from detectors.batching import open_detector
from tests.unit.detectors.drawing import BLUE, GREEN, RED, canvas, detector, draw, picture

YELLOW, CYAN, MAGENTA = (255, 255, 0), (0, 255, 255), (255, 0, 255)
FIRE = Box(0.125, 0.25, 0.375, 0.5)


@pytest.fixture
def scripted(tmp_path):
    with open_detector(detector(tmp_path, backend="scripted")) as opened:
        yield opened


def through(codec, rgb):
    """The picture as it comes out of the encoder and a decoder again."""
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as container:
        stream = container.add_stream(codec, rate=1)
        stream.width, stream.height = rgb.shape[1], rgb.shape[0]
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        container.mux(stream.encode(None))
    file.seek(0)
    with av.open(file, "r") as container:
        frame = next(container.decode(video=0)).reformat(format="yuv420p")
        return Picture(*(_plane(each) for each in frame.planes[:3]))


def _plane(plane):
    return np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]


@pytest.mark.parametrize("codec", ["libx264", "libx265", "mjpeg"])
@pytest.mark.parametrize(
    ("colour", "label"),
    [(RED, "fire"), (GREEN, "car"), (BLUE, "truck"), (YELLOW, "stall"), (CYAN, "water"), (MAGENTA, "person")],
)
def test_a_rectangle_is_seen_where_it_is_after_any_codec(scripted, codec, colour, label):
    (seen,) = scripted.detect([through(codec, draw(canvas(640, 360), FIRE, colour))])
    assert [each.label for each in seen] == [label]
    assert seen[0].box.overlap(FIRE) > 0.9
    assert seen[0].confidence > 0.9


def test_what_is_not_drawn_is_not_seen(scripted):
    assert scripted.detect([through("libx264", canvas(640, 360, (150, 120, 90)))]) == [()]


def test_two_rectangles_of_a_colour_are_two(scripted):
    shown = draw(draw(canvas(640, 360), FIRE, RED), Box(0.6, 0.6, 0.9, 0.9), RED)
    (seen,) = scripted.detect([picture(shown)])
    assert [each.label for each in seen] == ["fire", "fire"]


def test_a_rectangle_half_hidden_is_less_sure(scripted):
    shown = draw(draw(canvas(640, 360), FIRE, RED), Box(0.25, 0.25, 0.375, 0.375), (114, 114, 114))
    (seen,) = scripted.detect([picture(shown)])
    assert 0.6 < seen[0].confidence < 0.85


def test_a_speck_is_noise(scripted):
    assert scripted.detect([picture(draw(canvas(640, 360), Box(0.5, 0.5, 0.51, 0.51), RED))]) == [()]


def test_colours_go_by_the_names_given(tmp_path):
    settings = detector(tmp_path, backend="scripted", options={"colours": {"red": "bin_full"}})
    with open_detector(settings) as opened:
        (seen,) = opened.detect([picture(draw(draw(canvas(640, 360), FIRE, RED), Box(0.6, 0.6, 0.9, 0.9), BLUE))])
    assert [each.label for each in seen] == ["bin_full"]
