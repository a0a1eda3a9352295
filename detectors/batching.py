"""One detector at work: pictures of any size in, our detections out, in batches as large as the backend takes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Self

import numpy as np

from citybrain.domain.detection import Detection
from citybrain.errors import ModelUnusable
from citybrain.ports import Backend, InputSpec, Picture, Plane
from detectors.config import DetectorSettings, backend_file
from detectors.labels import Labels
from detectors.letterbox import Letterbox, fit, input_shape
from detectors.looks import look


class Detector:
    """Letterboxes, batches, infers, takes the answers back to the pictures and our labels. For one thread at a time."""

    def __init__(self, settings: DetectorSettings, backend: Backend, *, looks: Collection[str] | None = None) -> None:
        """`looks` are the labels whose detections carry a look; None means all."""
        self.settings = settings
        self._backend = backend
        self._labels = Labels(settings.labels, settings.confidence)
        self._looks = looks
        self._buffers: dict[InputSpec, Plane] = {}

    @property
    def model(self) -> str:
        """What looks carry: `city-n@1`."""
        return self.settings.model.name

    @property
    def revision(self) -> str:
        """A short hash of what was loaded."""
        return self._backend.revision

    def detect(self, pictures: Sequence[Picture]) -> list[tuple[Detection, ...]]:
        """What each picture shows, surest first. Raises Unreadable when a picture's planes do not belong together."""
        seen: list[tuple[Detection, ...]] = [()] * len(pictures)
        for spec, indices in self._batches(pictures):
            batch = self._buffer(spec)
            places = [fit(pictures[index], spec, batch[slot]) for slot, index in enumerate(indices)]
            answers = self._backend.infer(batch, len(indices), spec)
            for index, place, answer in zip(indices, places, answers, strict=True):
                seen[index] = self._told(pictures[index], place, answer)
        return seen

    def warmup(self) -> None:
        """Make the first look as quick as the others."""
        self._backend.warmup()

    def close(self) -> None:
        self._buffers.clear()
        self._backend.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _batches(self, pictures: Sequence[Picture]) -> Iterator[tuple[InputSpec, list[int]]]:
        by_spec: dict[InputSpec, list[int]] = defaultdict(list)
        for index, picture in enumerate(pictures):
            by_spec[self._backend.input_for(picture.width, picture.height)].append(index)
        for spec, indices in by_spec.items():
            for start in range(0, len(indices), spec.max_batch):
                yield spec, indices[start : start + spec.max_batch]

    def _buffer(self, spec: InputSpec) -> Plane:
        if spec not in self._buffers:
            self._buffers[spec] = np.empty((spec.max_batch, *input_shape(spec)), np.uint8)
        return self._buffers[spec]

    def _told(self, picture: Picture, place: Letterbox, answer: Sequence[Detection]) -> tuple[Detection, ...]:
        told = []
        for each in answer:
            box = place.picture_box(each.box)
            if box is not None:
                told.append(replace(each, box=box))
        return tuple(
            replace(each, look=look(picture.y, each.box)) if self._looks is None or each.label in self._looks else each
            for each in self._labels.apply(told)
        )


def open_detector(settings: DetectorSettings, *, looks: Collection[str] | None = None) -> Detector:
    """Load the detector's model. Raises ModelUnusable, saying which file and what to do."""
    backend = backend_file(settings.backend).build(settings.for_backend())
    missing = sorted(set(settings.labels) - set(backend.classes))
    if missing or (settings.classes is not None and tuple(backend.classes) != settings.classes):
        expected = settings.classes if settings.classes is not None else settings.labels
        backend.close()
        raise ModelUnusable(
            f"{settings.model.name}: expected the classes {', '.join(expected)},"
            f" the model answers {', '.join(backend.classes)}; correct `labels` or the registry"
        )
    return Detector(settings, backend, looks=looks)
