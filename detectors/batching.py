"""One detector at work: pictures of any size in, our detections out, in batches as large as the backend takes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

import numpy as np

from citybrain.domain.detection import Detection
from citybrain.domain.geometry import Box
from citybrain.errors import ModelUnusable
from citybrain.ports import Backend, InputSpec, Picture, Plane
from detectors.config import DetectorSettings, backend_file
from detectors.gate import Cells
from detectors.labels import Labels
from detectors.letterbox import Letterbox, fit, input_shape
from detectors.looks import look
from detectors.second_look import SHARE, TwoLooks
from detectors.windows import Part, covered, cut, merged, outwards, plan, sizes


@dataclass(frozen=True, slots=True)
class Look:
    """What a picture shows, and which of its part's cells were really looked at; None: all of it was."""

    detections: tuple[Detection, ...]
    cells: Cells | None = None


_WHOLE = Box(0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True)
class _Piece:
    """A picture or a window's part of one, what it goes into and which share of that it fills, and where it lies in the picture."""

    picture: Picture
    spec: InputSpec
    share: float = 1.0
    place: Box = _WHOLE


class Detector:
    """Letterboxes, batches, infers, takes the answers back to the pictures and our labels. For one thread at a time."""

    def __init__(self, settings: DetectorSettings, backend: Backend, *, looks: Collection[str] | None = None) -> None:
        """`looks` are the labels whose detections carry a look; None means all."""
        self.settings = settings
        self._backend = backend
        self._labels = Labels(settings.labels, settings.candidates())
        self._two_looks = TwoLooks(settings.second_look, settings.confidence)
        self._looks = looks
        self._buffers: dict[InputSpec, Plane] = {}
        self.second_looks = 0
        """Pictures that were looked at again from further away, so far."""

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
        first = self._inferred([_Piece(each, self._backend.input_for(each.width, each.height)) for each in pictures])
        asked = [index for index, seen in enumerate(first) if self._two_looks.asks(seen)]
        self.second_looks += len(asked)
        second = dict(zip(asked, self._inferred([self._farther(pictures[index]) for index in asked]), strict=True))
        told = [self._two_looks.settled(seen, second.get(index, ())) for index, seen in enumerate(first)]
        return [self._remembered(picture, seen) for picture, seen in zip(pictures, told, strict=True)]

    def detect_changes(self, pictures: Sequence[Picture], parts: Sequence[Part | None]) -> list[Look]:
        """The same, looking only where a picture's part says that it changed, as far as that can be; None: at the whole."""
        if not self.settings.windows:
            parts = [None] * len(parts)
        cut_outs = [self._cut_out(picture, part) for picture, part in zip(pictures, parts, strict=True)]
        answers = iter(self._inferred([each for cut_out in cut_outs for each in cut_out]))
        looks: list[Look | None] = []
        for picture, part, cut_out in zip(pictures, parts, cut_outs, strict=True):
            places = [each.place for each in cut_out]
            seen = [[replace(each, box=outwards(each.box, place)) for each in next(answers)] for place in places]
            told = None
            if part is not None and places and not any(map(self._two_looks.asks, seen)):
                told = merged(part, places, [self._two_looks.sure(each) for each in seen])
            if told is None or part is None:
                looks.append(None)
                continue
            shape = (part.cells.shape[0], part.cells.shape[1])
            looks.append(Look(self._remembered(picture, told), covered(places, shape)))
        whole = iter(self.detect([picture for picture, look in zip(pictures, looks, strict=True) if look is None]))
        return [Look(next(whole)) if look is None else look for look in looks]

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

    def _cut_out(self, picture: Picture, part: Part | None) -> list[_Piece]:
        """What is to be seen of a picture; nothing when it is to be seen whole."""
        if part is None:
            return []
        whole = self._backend.input_for(picture.width, picture.height)
        specs = self._backend.windows_for(whole)
        windows = plan(part, sizes(picture.width, picture.height, whole, specs)) or ()
        pieces = []
        for window in windows:
            shown, place = cut(picture, window.box)
            pieces.append(_Piece(shown, specs[window.size], place=place))
        return pieces

    def _farther(self, picture: Picture) -> _Piece:
        """The whole picture at half the scale: in a form that is so small, else with much grey around it."""
        whole = self._backend.input_for(picture.width, picture.height)
        halves = [each for each in self._backend.windows_for(whole) if each.width == whole.width * SHARE]
        return _Piece(picture, halves[0]) if halves else _Piece(picture, whole, SHARE)

    def _inferred(self, pieces: Sequence[_Piece]) -> list[list[Detection]]:
        """What each piece shows under our labels, boxes 0..1 of the piece."""
        seen: list[list[Detection]] = [[]] * len(pieces)
        for spec, indices in self._batches([piece.spec for piece in pieces]):
            batch = self._buffer(spec)
            given = [pieces[index] for index in indices]
            places = [fit(each.picture, spec, batch[slot], share=each.share) for slot, each in enumerate(given)]
            answers = self._backend.infer(batch, len(indices), spec)
            for index, place, answer in zip(indices, places, answers, strict=True):
                seen[index] = self._told(place, answer)
        return seen

    def _batches(self, specs: Sequence[InputSpec]) -> Iterator[tuple[InputSpec, list[int]]]:
        by_spec: dict[InputSpec, list[int]] = defaultdict(list)
        for index, spec in enumerate(specs):
            by_spec[spec].append(index)
        for spec, indices in by_spec.items():
            for start in range(0, len(indices), spec.max_batch):
                yield spec, indices[start : start + spec.max_batch]

    def _buffer(self, spec: InputSpec) -> Plane:
        if spec not in self._buffers:
            self._buffers[spec] = np.empty((spec.max_batch, *input_shape(spec)), np.uint8)
        return self._buffers[spec]

    def _told(self, place: Letterbox, answer: Sequence[Detection]) -> list[Detection]:
        told = []
        for each in answer:
            box = place.picture_box(each.box)
            if box is not None:
                told.append(replace(each, box=box))
        return self._labels.apply(told)

    def _remembered(self, picture: Picture, seen: Sequence[Detection]) -> tuple[Detection, ...]:
        """With a look for each that is to carry one; what was seen before keeps the one it has."""
        return tuple(
            replace(each, look=look(picture.y, each.box))
            if not each.look and (self._looks is None or each.label in self._looks)
            else each
            for each in seen
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
