"""What a YOLO head's numbers mean, and which of two overlapping boxes stays."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from citybrain.domain.geometry import Box
from detectors.heads import MOST, Head, detections, head_of, suppress

CLASSES = ("car", "fire")


def raw(*answers, anchors=64):
    """A raw head's output for 100 × 100 with these (cx, cy, w, h, car, fire) among anchors that say nothing."""
    output = np.zeros((6, anchors), np.float32)
    for index, answer in enumerate(answers):
        output[:, index * 3] = answer
    return output


def read(output, *, head=Head.RAW, floor=0.25, max_overlap=0.7):
    return detections(output, head=head, classes=CLASSES, floor=floor, width=100, height=100, max_overlap=max_overlap)


def test_a_raw_answer_is_centre_and_size_and_the_best_class():
    (seen,) = read(raw((50, 40, 20, 10, 0.2, 0.9)))
    assert (seen.label, seen.confidence) == ("fire", pytest.approx(0.9))
    assert seen.box.as_list() == [0.4, 0.35, 0.6, 0.45]


def test_a_finished_answer_is_corners_score_and_class():
    output = np.array([[40, 35, 60, 45, 0.9, 1], [0, 0, 10, 10, 0.1, 0], [0, 0, 50, 50, 0.5, 7]], np.float32)
    (seen,) = read(output, head=Head.FINISHED)
    assert (seen.label, seen.box.as_list()) == ("fire", [0.4, 0.35, 0.6, 0.45])


def test_of_two_answers_for_one_thing_the_surer_stays():
    seen = read(raw((50, 50, 20, 20, 0.6, 0), (51, 50, 20, 20, 0.8, 0)))
    assert [each.confidence for each in seen] == [pytest.approx(0.8)]


def test_a_fire_on_a_car_is_both():
    assert {each.label for each in read(raw((50, 50, 20, 20, 0.6, 0), (50, 50, 20, 20, 0, 0.8)))} == set(CLASSES)


def test_a_chain_of_overlaps_loses_only_those_next_to_one_that_stays():
    chain = raw((40, 50, 30, 30, 0.9, 0), (50, 50, 30, 30, 0.8, 0), (60, 50, 30, 30, 0.7, 0))
    assert [round(each.confidence, 1) for each in read(chain, max_overlap=0.4)] == [0.9, 0.7]


def test_boxes_are_cut_at_the_edge_and_what_lies_outside_is_nothing():
    seen = read(raw((0, 0, 20, 20, 0.9, 0), (150, 50, 20, 20, 0.9, 0), (100, 100, 20, 20, 0, 0.5)))
    assert [each.box.as_list() for each in seen] == [[0, 0, 0.1, 0.1], [0.9, 0.9, 1, 1]]


def test_numbers_that_went_wrong_are_nothing():
    nan, inf = float("nan"), float("inf")
    assert read(raw((50, 50, 20, 20, nan, nan), (nan, 50, 20, 20, 0.9, 0), (50, 50, inf, 20, 0.9, 0))) == []
    assert read(np.full((4, 6), nan, np.float32), head=Head.FINISHED) == []


def test_a_view_full_of_answers_is_bounded():
    columns = np.arange(3000)
    output = np.zeros((6, 3000), np.float32)
    output[0], output[1], output[2], output[3] = columns % 60 * 1.6, columns // 60 * 1.9, 1.0, 1.0
    output[4] = 0.5 + columns / 10_000
    seen = read(output)
    assert len(seen) == MOST
    assert seen[0].confidence == pytest.approx(0.7999)


@pytest.mark.parametrize(
    ("shape", "head"),
    [((6, 5040), Head.RAW), ((300, 6), Head.FINISHED), ((6, 300), Head.RAW), ((84, 8400), None), ((6,), None)],
)
def test_the_shape_tells_the_heads_apart(shape, head):
    if head is None:
        with pytest.raises(ValueError, match="for 2 classes"):
            head_of(shape, classes=2)
    else:
        assert head_of(shape, classes=2) is head


def plain(boxes, scores, kinds, max_overlap):
    """Suppression as the textbook writes it, one pair at a time."""
    left = sorted(range(len(boxes)), key=lambda index: (-scores[index], index))
    kept: list[int] = []
    for index in left:
        rivals = (k for k in kept if kinds[k] == kinds[index])
        if all(Box(*boxes[index]).overlap(Box(*boxes[k])) <= max_overlap for k in rivals):
            kept.append(index)
    return kept


eighths = st.integers(0, 7)
some_boxes = st.lists(
    st.tuples(eighths, eighths, st.integers(1, 8), st.integers(1, 8), st.integers(1, 20), st.integers(0, 1)),
    max_size=24,
)


@settings(deadline=None)
@given(some_boxes, st.sampled_from([0.3, 0.55, 0.7]))
def test_all_pairs_at_once_gives_what_one_by_one_gives(rows, max_overlap):
    boxes = [(x / 8, y / 8, min(8, x + w) / 8, min(8, y + h) / 8) for x, y, w, h, _, _ in rows]
    scores, kinds = [row[4] / 20 for row in rows], [row[5] for row in rows]
    kept = suppress(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(scores, np.float32),
        np.array(kinds, np.intp),
        max_overlap=max_overlap,
    )
    assert kept.tolist() == plain(boxes, scores, kinds, max_overlap)
