"""Labels everything in a picture that nobody judged, by what the present model sees."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from citybrain.domain.detection import Detection
from citybrain.errors import UsageError
from detectors.batching import open_detector
from detectors.forms import longest, settings_of
from detectors.registry import Model
from detectors.stills import Bgr, planes


class Labeller:
    """A registered model at work on still pictures, as the product runs it. Raises ModelUnusable when it cannot be loaded."""

    def __init__(self, model: Model, *, confidence: float) -> None:
        if model.entry is None:
            raise UsageError(
                f"--model {model.name}: expected a model of the registry, whose classes the set is labelled by"
            )
        self.name, self.confidence = model.name, confidence
        self.classes = model.entry.classes
        settings = settings_of(model, "openvino", longest(model), {}, floor=confidence)
        self._detector = open_detector(settings, looks=())

    def label(self, picture: Bgr) -> tuple[Detection, ...]:
        """Everything that it sees, from that confidence on; classes are the registry's."""
        return self._detector.detect([planes(picture)])[0]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._detector.close()
