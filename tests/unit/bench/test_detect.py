"""What detecting costs is compared on the same pictures, shape and batch for every side."""

from __future__ import annotations

import pytest

from bench import peer_ultralytics
from bench.detect import opened, pictures_of, row, shares
from bench.interleaved import Costs
from tests.unit.ingest.clips import make_clip


def test_half_the_cost_is_twice_the_pictures_per_second():
    told = shares(Costs({"ours": [10.0, 10.0], "runtime": [9.0, 9.0], "ultralytics_pt": [20.0, 20.0]}))
    assert told == {"of_runtime": pytest.approx(0.9), "of_ultralytics_pt": pytest.approx(2.0)}


def test_a_batch_is_told_with_the_runtimes_own_loops(tmp_path):
    model = peer_ultralytics.shipped()
    clip = make_clip(tmp_path / "street.mp4", seconds=1, group=5)
    told = row(model, opened(model), pictures_of(clip), 2, {}, rounds=1)
    assert (told["shape"], told["batch"]) == ("384x640", 2)
    assert all(told[side] > 0 for side in ("ours", "runtime", "runtime_float", "of_runtime", "of_runtime_float"))
