"""For tests and trials: sees rectangles of pure colour and calls them by name, so that the picture is the script.

Draw a red rectangle and there is a fire; it goes through encoding, network, decoding and letterboxing like any other
picture, yet what should be seen, and where, is known exactly. No model is loaded and no picture remembered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import Field

from citybrain.configuration import Section
from citybrain.domain.detection import Detection
from citybrain.domain.geometry import Box
from citybrain.ports import InputSpec
from detectors.config import BackendSettings

Colour = Literal["red", "yellow", "green", "cyan", "blue", "magenta"]

_HUES: dict[Colour, int] = {"red": 0, "yellow": 30, "green": 60, "cyan": 90, "blue": 120, "magenta": 150}
_TOLERANCE = 12  # of OpenCV's 180 hues; lossy video shifts a pure colour by some 5
_LEAST_SATURATION, _LEAST_VALUE = 150, 80  # footage seldom is this colourful


class Config(Section):
    """`options` of a detector with this backend."""

    colours: dict[Colour, str] = Field(
        default={
            "red": "fire",
            "yellow": "stall",
            "green": "car",
            "cyan": "water",
            "blue": "truck",
            "magenta": "person",
        },
        min_length=1,
    )
    """What a rectangle of each colour is called; colours not named here are not seen."""
    min_share: Annotated[float, Field(gt=0, lt=1)] = 0.0008
    """Share of the input below which a blob is noise."""
    max_batch: Annotated[int, Field(ge=1, le=64)] = 4


def classes(settings: BackendSettings) -> tuple[str, ...] | None:
    """The names that the colours go by."""
    options: Config = settings.options
    return tuple(dict.fromkeys(options.colours.values()))


def files(settings: BackendSettings) -> tuple[Path, ...]:
    """None: there is no model."""
    del settings
    return ()


def build(settings: BackendSettings) -> ScriptedBackend:
    """Ready at once."""
    return ScriptedBackend(settings)


class ScriptedBackend:
    """Finds saturated blobs; confidence is how much of its box a blob fills, less the edges that blur."""

    def __init__(self, settings: BackendSettings) -> None:
        self._options: Config = settings.options
        self._classes = classes(settings) or ()
        self._floor = settings.floor
        self._longest = settings.size.longest
        self._exact = settings.size.exact

    @property
    def classes(self) -> tuple[str, ...]:
        return self._classes

    @property
    def revision(self) -> str:
        return "scripted"

    def input_for(self, width: int, height: int) -> InputSpec:
        wide, high = self._exact or (self._longest, self._longest * 3 // 4 // 2 * 2)
        return InputSpec(width=wide, height=high, format="rgb24", max_batch=self._options.max_batch)

    def windows_for(self, spec: InputSpec) -> Sequence[InputSpec]:
        return [replace(spec, width=spec.width // 2, height=spec.height // 2 // 2 * 2)]

    def warmup(self) -> None:
        """Nothing to warm."""

    def infer(self, batch: npt.NDArray[np.uint8], n: int, spec: InputSpec) -> list[list[Detection]]:
        if batch.shape[1:] != (spec.height, spec.width, 3) or not 0 <= n <= len(batch):
            raise ValueError(f"expected at most {len(batch)} inputs of {spec}, got {n} of {batch.shape[1:]}")
        return [self._blobs(picture) for picture in batch[:n]]

    def close(self) -> None:
        """Nothing to close."""

    def _blobs(self, picture: npt.NDArray[np.uint8]) -> list[Detection]:
        hsv = cv2.cvtColor(picture, cv2.COLOR_RGB2HSV)
        hue = hsv[..., 0].astype(np.int16)
        vivid = (hsv[..., 1] >= _LEAST_SATURATION) & (hsv[..., 2] >= _LEAST_VALUE)
        height, width = vivid.shape
        seen = []
        for colour, name in self._options.colours.items():
            away = np.abs(hue - _HUES[colour])
            mask = (vivid & (np.minimum(away, 180 - away) <= _TOLERANCE)).astype(np.uint8)
            count, _, figures, _ = cv2.connectedComponentsWithStats(mask, connectivity=4)
            for left, top, wide, high, area in figures[1:count].tolist():
                if area < self._options.min_share * width * height:
                    continue
                confidence = round(min(0.99, area / (wide * high)), 2)
                if confidence >= self._floor:
                    box = Box(left / width, top / height, (left + wide) / width, (top + high) / height)
                    seen.append(Detection(name, confidence, box))
        return sorted(seen, key=lambda each: (-each.confidence, each.box.x1, each.box.y1))
