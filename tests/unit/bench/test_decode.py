"""What decoding costs is compared round by round, on the same keyframes for every side."""

from __future__ import annotations

import av
import pytest

from bench.decode import keyframes_of, row
from bench.interleaved import Costs, Side, measured
from tests.unit.ingest.clips import make_clip


def test_a_disturbed_round_does_not_move_a_ratio():
    costs = Costs({"ours": [1.1, 11.0, 1.1], "theirs": [1.0, 10.0, 1.0]})
    assert costs.ratio("ours", "theirs") == pytest.approx(1.1)
    assert costs.median("ours") == 1.1


def test_sides_take_turns_and_the_first_round_does_not_count():
    order = []

    def side(name, units):
        def work(number):
            order.append((name, number))
            return units

        return work

    costs = measured({"a": Side(side("a", 2.0), times=2), "b": Side(side("b", 1.0))}, rounds=2)
    one_round = ["a", "b", "a"]
    assert [name for name, _ in order] == one_round * 3
    assert [number for _, number in order] == [0] * 6 + [1] * 3
    assert {name: len(found) for name, found in costs.by_side.items()} == {"a": 2, "b": 2}


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_keyframes_come_as_a_camera_sends_them(codec, tmp_path):
    found, keyframes = keyframes_of(make_clip(tmp_path / "street.mp4", codec=codec, seconds=2, group=5))
    assert found == codec
    assert len(keyframes) == 4
    context = av.CodecContext.create(codec, "r")
    assert sum(len(context.decode(av.Packet(each))) for each in [*keyframes]) + len(context.decode(None)) == 4


def test_a_clip_is_told_with_all_sides_and_shares(tmp_path):
    told = row(make_clip(tmp_path / "street.mp4", seconds=5, group=5), rounds=1)
    sides = ("libav", "ours", "opencv_grab", "opencv_read")
    assert all(told[side] > 0 for side in sides)
    assert {"of_libav", "of_grab", "of_read", "keyframe_kb", "kbit_s"} <= set(told)
