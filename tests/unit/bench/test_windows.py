"""What windows save and miss is told beside the gate alone and beside looking at everything."""

from __future__ import annotations

from bench.decode import keyframes_of
from bench.windows import holds, row, summed
from citybrain import assembly
from citybrain.demo.city import CONFIG
from detectors.batching import open_detector
from tests.unit.ingest.clips import make_clip


def test_every_look_is_counted_once(tmp_path):
    clip = make_clip(tmp_path / "street.mp4", seconds=2, group=5, width=640, height=384)
    with open_detector(assembly.load(CONFIG).detectors["city"], looks=()) as detector:
        told = row(detector, *keyframes_of(clip), rounds=1)
    assert told["looks"] == 4
    assert told["unchanged"] + told["in_windows"] + told["whole"] == 1
    assert min(told["ms_windows"], told["ms_gate_only"], told["ms_every_look"]) > 0


def test_more_misses_than_the_gate_makes_alone_are_a_fault():
    still, lively = ({"missed_windows": count, "missed_gate_only": 2, "looks": 60} for count in (2, 7))
    assert holds(summed([still, lively]))
    assert not holds(summed([lively, lively]))
