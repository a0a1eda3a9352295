"""Faces and plates: where they may be, what is left of them, and that a picture carries what was seen in it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from citybrain.domain.geometry import Box
from citybrain.errors import Fault, Unreadable
from citybrain.evidence import config, jpeg, preview
from citybrain.evidence.masking import coarsen, masked, pixelate, searched
from citybrain.evidence.regions import Masking, Region, Seen
from tests.unit.ingest.clips import make_clip

WALKING = Box(0.4, 0.2, 0.5, 0.8)
LYING = Box(0.1, 0.5, 0.6, 0.7)
CAR = Box(0.1, 0.4, 0.4, 0.6)


def noise(width: int = 640, height: int = 360, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def encoded(image: np.ndarray) -> bytes:
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()


def decoded(image: bytes) -> np.ndarray:
    found = cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_COLOR)
    assert found is not None
    return found


# -- where ----------------------------------------------------------------------------------------------------------------


def test_of_who_stands_the_head_is_masked_and_of_who_lies_all():
    [head] = Masking().regions([Seen("person", WALKING)])
    assert (head.box.y1, head.box.y2) == pytest.approx((0.14, 0.4))
    assert (head.box.x1, head.box.x2) == pytest.approx((0.39, 0.51))
    [whole] = Masking().regions([Seen("person", LYING)])
    assert LYING.covered_by(whole.box) == pytest.approx(1)


def test_of_a_vehicle_the_lower_half_is_masked_and_of_a_motorcycle_its_rider_too():
    [plate] = Masking().regions([Seen("car", CAR)])
    assert plate.box.y1 == pytest.approx(0.49)
    assert plate.box.y2 > CAR.y2
    assert len(Masking().regions([Seen("motorcycle", WALKING)])) == 2


def test_what_is_neither_stays_to_be_seen():
    assert Masking().regions([Seen("water", CAR), Seen("fire", CAR), Seen("stall", CAR)]) == []


SIDES = st.floats(0, 1)
BOXES = st.tuples(SIDES, SIDES, SIDES, SIDES).map(
    lambda s: Box(min(s[0], s[2]), min(s[1], s[3]), max(s[0], s[2]), max(s[1], s[3]))
)


@given(BOXES, st.sampled_from(["person", "car", "motorcycle", "bicycle", "bus", "truck"]))
def test_any_box_gives_regions_that_lie_in_the_picture_and_can_be_masked(box, label):
    image = noise(64, 48)
    regions = Masking().regions([Seen(label, box)])
    pixelate(image, regions)
    assert image.shape == (48, 64, 3)
    assert regions


# -- what is left ---------------------------------------------------------------------------------------------------------


def test_of_a_region_a_handful_of_cells_is_left_and_nothing_beside_it_changes():
    image, before = noise(), noise()
    pixelate(image, [Region(WALKING, 4)])
    rows, columns = slice(72, 288), slice(256, 320)
    cells = np.unique(image[rows, columns].reshape(-1, 3), axis=0)
    assert len(cells) <= 4 * 14
    outside = np.ones(image.shape[:2], dtype=bool)
    outside[rows, columns] = False
    assert (image[outside] == before[outside]).all()


def test_a_region_of_a_few_pixels_is_one_cell():
    image = noise(40, 40)
    pixelate(image, [Region(Box(0.5, 0.5, 0.6, 0.6), 6)])
    assert len(np.unique(image[20:24, 20:24].reshape(-1, 3), axis=0)) == 1


def test_what_nobody_looked_at_is_160_pixels_wide_and_keeps_its_size():
    image = noise(640, 360)
    coarsen(image)
    assert image.shape == (360, 640, 3)
    assert len(np.unique(image[:, :4].reshape(-1, 3), axis=0)) == 90
    small = noise(120, 90)
    coarsen(small)
    assert (small == noise(120, 90)).all()


def test_a_picture_in_which_nothing_was_seen_is_left_as_it_is_and_one_in_which_nobody_looked_is_searched():
    picture = encoded(np.full((96, 128, 3), 127, np.uint8))
    assert np.abs(decoded(masked(picture, Masking(), [])).astype(int) - 127).max() < 4
    assert decoded(masked(picture, Masking(), None)).shape == (96, 128, 3)
    assert searched(np.full((96, 128, 3), 127, dtype=np.uint8)) == []


def test_the_cascades_find_a_face_that_looks_at_the_camera():
    """Drawn as the cascade has it: eyes darker than cheeks and nose, in a lighter oval."""
    image = np.full((480, 480, 3), 90, np.uint8)
    cv2.ellipse(image, (240, 240), (110, 150), 0, 0, 360, (190, 190, 190), -1)
    for x in (195, 285):
        cv2.ellipse(image, (x, 205), (28, 13), 0, 0, 360, (40, 40, 40), -1)
    cv2.ellipse(image, (240, 320), (45, 12), 0, 0, 360, (70, 70, 70), -1)
    cv2.line(image, (240, 215), (240, 275), (150, 150, 150), 8)
    found = searched(np.asarray(cv2.GaussianBlur(image, (9, 9), 3), dtype=np.uint8))
    assert any(each.box.x1 < 0.5 < each.box.x2 and each.box.y1 < 0.5 < each.box.y2 for each in found)


@pytest.mark.parametrize("content", [b"", b"no picture", b"\xff\xd8\xff torn"])
def test_what_is_no_picture_cannot_be_masked(content):
    with pytest.raises(Unreadable, match="expected a picture"):
        masked(content, Masking(), [])


# -- what a picture carries -----------------------------------------------------------------------------------------------


@given(st.lists(st.builds(Seen, st.sampled_from(["person", "car", "摊位"]), BOXES), max_size=40))
def test_what_was_seen_is_read_back_and_the_pixels_are_untouched(seen):
    picture = encoded(noise(32, 16))
    told = jpeg.telling(picture, seen)
    found = jpeg.told(told)
    assert found is not None
    assert [each.label for each in found] == [each.label for each in seen]
    for one, other in zip(found, seen, strict=True):
        assert one.box.as_list() == other.box.as_list()
    assert (decoded(told) == decoded(picture)).all()


def test_nothing_seen_is_not_the_same_as_nothing_said():
    picture = encoded(noise(32, 16))
    assert jpeg.told(jpeg.telling(picture, [])) == []
    assert jpeg.told(picture) is None


def test_of_a_crowd_the_largest_are_told():
    crowd = [Seen("person", Box(0, 0, 1, n / 4000)) for n in range(1, 4001)]
    found = jpeg.told(jpeg.telling(encoded(noise(32, 16)), crowd))
    assert found is not None
    assert 500 < len(found) <= 2000
    assert found[0].box.y2 == 1.0


@pytest.mark.parametrize("cut", range(2, 60, 3))
def test_a_picture_that_is_torn_says_nothing(cut):
    whole = jpeg.telling(encoded(noise(32, 16)), [Seen("person", WALKING)])
    jpeg.told(whole[:cut])  # it may say nothing, and it ends nothing


@pytest.mark.parametrize(
    "comment", [b"citybrain seen 1 [", b"citybrain seen 1 [[1]]", b"citybrain seen 1 {}", b"other"]
)
def test_a_comment_of_another_hand_is_passed_over(comment):
    picture = encoded(noise(32, 16))
    foreign = picture[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2) + comment + picture[2:]
    assert not jpeg.told(foreign)


# -- clips ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_a_clip_becomes_a_coarse_preview_that_every_browser_plays(tmp_path, codec):
    import io

    import av

    clip = make_clip(tmp_path / "clip.mp4", codec=codec, seconds=2, fps=20, width=640, height=384)
    made = preview.preview(clip.read_bytes())
    with av.open(io.BytesIO(made), "r") as shown:
        video = shown.streams.video[0]
        assert (video.width, video.height, video.codec_context.name) == (160, 96, "h264")
        assert sum(1 for _ in shown.decode(video)) == 20
    assert made.index(b"moov") < made.index(b"mdat"), "it plays while it comes"


def test_what_is_no_clip_has_no_preview_and_says_why():
    with pytest.raises(Unreadable, match="expected a clip"):
        preview.preview(b"no clip at all")


# -- safety.yaml ----------------------------------------------------------------------------------------------------------


def test_a_city_without_the_file_masks(tmp_path):
    assert config.load(tmp_path / "safety.yaml", labels=(), faults=[]) == Masking()


def test_a_misspelt_label_is_a_fault_for_it_would_leave_faces_to_be_seen(tmp_path):
    (tmp_path / "safety.yaml").write_text("heads_of: [persn]\n")
    faults: list[Fault] = []
    config.load(tmp_path / "safety.yaml", labels={"person", "car"}, faults=faults)
    assert [(each.key, each.remedy) for each in faults] == [("heads_of", "Did you mean 'person'?")]


def test_masking_is_switched_off_with_a_word(tmp_path):
    (tmp_path / "safety.yaml").write_text("masking: off\n")
    assert not config.load(tmp_path / "safety.yaml", labels=(), faults=[]).on
