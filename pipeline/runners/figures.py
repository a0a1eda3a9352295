"""What a runner counts, summed over its cameras and localities: ledgers and their balance, looks, what became of episodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pipeline import ledger as entries
from pipeline.camera_flow import CameraState, pending
from pipeline.cases.records import LocalityState


class Sums:
    """Takes one state after the other. Sums of several runners add up: each camera and locality is one runner's."""

    def __init__(self, scenes: Iterable[str]) -> None:
        self._ledgers: dict[str, dict[str, int]] = {scene: {} for scene in scenes}
        self._pending = dict.fromkeys(self._ledgers, 0)
        self._episodes: dict[str, int] = {}
        self._looks = self._looks_lost = 0

    def camera(self, state: CameraState) -> None:
        self._looks += state.looks
        self._looks_lost += state.looks_lost
        for scene, ledger in self._ledgers.items():
            entries.add(ledger, state.ledgers.get(scene, {}))
            self._pending[scene] += pending(state, scene)

    def locality(self, state: LocalityState) -> None:
        entries.add(self._episodes, state.counts)

    def figures(self) -> dict[str, Any]:
        """`imbalance` are detections whose end is not known."""
        return {
            "looks": self._looks,
            "looks_lost": self._looks_lost,
            "scenes": {
                scene: {
                    **ledger,
                    "pending": self._pending[scene],
                    "imbalance": entries.imbalance(ledger, pending=self._pending[scene]),
                }
                for scene, ledger in self._ledgers.items()
            },
            "episodes": self._episodes,
        }


def flat(figures: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """Nested figures as numbers by dotted name; what is no number is left out."""
    found: dict[str, float] = {}
    for name, figure in figures.items():
        if isinstance(figure, Mapping):
            found |= flat(figure, f"{prefix}{name}.")
        elif isinstance(figure, int | float):
            found[f"{prefix}{name}"] = figure
    return found
