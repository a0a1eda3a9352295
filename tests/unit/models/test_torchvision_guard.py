"""torchvision can be imported beside any torch, and its NMS answers as it should."""

import pytest

torch = pytest.importorskip("torch", reason="the extra `ultralytics` is not installed")

from detectors.torchvision_guard import greedy_nms, make_torchvision_importable  # noqa: E402 - needs torch


def test_the_best_of_overlapping_boxes_stays_and_distant_ones_stay_too():
    boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0], [1.0, 1.0, 10.0, 10.0], [20.0, 20.0, 30.0, 30.0]])
    scores = torch.tensor([0.5, 0.9, 0.3])
    assert greedy_nms(boxes, scores, 0.5).tolist() == [1, 2]
    assert greedy_nms(boxes, scores, 0.9).tolist() == [1, 0, 2]


def test_no_boxes_are_no_fault():
    assert greedy_nms(torch.empty(0, 4), torch.empty(0), 0.5).tolist() == []


def test_torchvision_is_there_afterwards_and_is_left_alone_the_second_time():
    make_torchvision_importable()
    assert make_torchvision_importable() is False
    from torchvision.ops import nms

    random = torch.Generator().manual_seed(3)
    corners = torch.rand(60, 2, generator=random) * 80
    boxes = torch.cat([corners, corners + 5 + torch.rand(60, 2, generator=random) * 30], 1)
    scores = torch.rand(60, generator=random)
    assert nms(boxes, scores, 0.4).tolist() == greedy_nms(boxes, scores, 0.4).tolist()
