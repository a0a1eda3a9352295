"""One look: from a frame to what the camera saw. The worker process runs it on live frames, replay on a recording.

frame ─► picture ─► thumbnail ─► usable? ─no─► detections: usable=dark …, looked=not
                                    │yes
                                 unchanged? ─yes─► the last detections again, looked=unchanged
                                    │no
                                 detector (batched over cameras) ─► looked=inferred, evidence
                                 of what changed, or of the whole
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from citybrain.assembly import Configuration
from citybrain.domain.detection import Detection, Detections, Looked, Usable
from citybrain.errors import ModelUnusable, Transient, Unreadable
from citybrain.evidence import jpeg
from citybrain.evidence.masking import Image, coarsen, pixelate
from citybrain.evidence.regions import Seen
from citybrain.evidence.stamp import stamped
from citybrain.ports import EvidenceStore, HotStore, Picture, Plane
from citybrain.wire import write_detections
from detectors.audit import is_audited, is_miss
from detectors.batching import Detector, open_detector
from detectors.config import DetectorSettings
from detectors.gate import Gate
from detectors.windows import Part
from ingest.config import CameraSettings
from ingest.quality import Usability, sight_of

log = logging.getLogger(__name__)

EVIDENCE_WIDTH, EVIDENCE_QUALITY = 1280, 82
LATEST_WIDTH, LATEST_QUALITY, LATEST_EVERY = 640, 70, timedelta(seconds=1)
LATEST_WATCHED, WATCHED_EVERY = timedelta(milliseconds=250), timedelta(seconds=1)
"""How often while somebody watches the camera (`watched/<camera>` is hot), and how often that is asked."""
LATEST_A_SECOND = 20
"""Latest pictures of one worker: with very many cameras each is renewed less often, or showing would cost more than looking."""
BASELINE_EVERY = timedelta(minutes=1)
ACCEPTED_WITHIN = timedelta(seconds=10)
"""How long it may take until a view that people accepted is learnt."""


@dataclass(frozen=True, slots=True)
class Glance:
    """A decoded picture of one camera, with what is known of its way; `again` and `taken_up_at` as in `Frame`."""

    camera: str
    picture: Picture
    captured_at: datetime
    seq: int
    clock_ok: bool = True
    stamps: Mapping[str, datetime] = field(default_factory=dict)
    again: bool = False
    taken_up_at: datetime | None = None


@dataclass(slots=True)
class _Eye:
    """What is remembered of one camera between looks: nothing that could not be learnt again."""

    usability: Usability
    gate: Gate | None
    last: Detections | None = None
    concerned: bool = False
    latest_at: datetime | None = None
    baseline_at: datetime | None = None
    asked_at: datetime | None = None
    audited: bool = False
    missed: bool = False

    def forget(self) -> None:
        """The detector's last answer is no longer to be trusted."""
        self.last, self.concerned = None, False
        if self.gate is not None:
            self.gate.forget()


@dataclass(frozen=True, slots=True)
class _Opened:
    """A detector, and the labels whose detections it gives a look."""

    detector: Detector
    remembered: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A glance that waits for its detector: which of the batch, its thumbnail, and the part to which it may be confined."""

    index: int
    glance: Glance
    luma: Plane
    part: Part | None


class Looking:
    """Looks at pictures of the configured cameras. `evidence` and `hot` may be left out where nobody will ask for them."""

    def __init__(
        self,
        configuration: Configuration,
        *,
        evidence: EvidenceStore | None = None,
        hot: HotStore | None = None,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        self._evidence, self._hot, self._now = evidence, hot, clock
        self._detectors: dict[str, _Opened] = {}
        self._eyes: dict[str, _Eye] = {}
        self._watched: tuple[datetime, frozenset[str]] | None = None
        self._set(configuration)

    def open(self) -> None:
        """Load every detector that a camera uses, or may come to use. Raises ModelUnusable."""
        for each in self._configuration.detectors_in_use:
            self._opened_detector(self._configuration.detectors[each])

    def adopt(self, configuration: Configuration) -> None:
        """Look by another configuration from now on, with what is remembered of the cameras that stay. Raises ModelUnusable
        when a detector cannot be loaded; then nothing has changed."""
        before, eyes, opened = self._configuration, self._eyes, dict(self._detectors)
        self._set(configuration)
        self._eyes = {}
        try:
            self.open()
        except ModelUnusable:
            self._close({key: each for key, each in self._detectors.items() if opened.get(key) is not each})
            self._detectors, self._eyes = opened, eyes
            self._set(before)
            raise
        used = configuration.detectors_in_use
        self._close({key: each for key, each in opened.items() if self._detectors.get(key) is not each})
        self._close({key: self._detectors.pop(key) for key in list(self._detectors) if key not in used})
        was = {camera.id: camera for camera in before.cameras}
        for camera, eye in eyes.items():
            settings = self._settings.get(camera)
            if settings is None:
                continue
            old, new = before.detector_of(was[camera]), configuration.detector_of(settings)
            if (old.gate, old.reaffirm_for, was[camera].fixed) != (new.gate, new.reaffirm_for, settings.fixed):
                continue  # it is begun anew when it is looked at; the view's baseline is hot
            if opened.get(old.id) is not self._detectors[new.id]:
                eye.forget()  # what the old detector said of this view says nothing of the new one
            self._eyes[camera] = eye

    def knows(self, camera: str) -> bool:
        return camera in self._settings

    def look(self, glances: Sequence[Glance]) -> list[Detections]:
        """What was seen, glance by glance; pictures that want the detector are inferred together."""
        seen: list[Detections] = []
        waiting: dict[str, list[_Waiting]] = {}
        for index, glance in enumerate(glances):
            eye, sight = self._accepted(glance), sight_of(glance.picture)
            diagnosis = eye.usability.judge(sight, glance.captured_at)
            eye.audited = eye.missed = False
            base = Detections(
                camera=glance.camera,
                captured_at=glance.captured_at,
                seq=glance.seq,
                usable=diagnosis.usable,
                looked=Looked.NOT,
                clock_ok=glance.clock_ok,
                stamps=glance.stamps,
                model=self._detector(glance.camera).model,
                findings=diagnosis.findings,
                taken_up_at=glance.taken_up_at,
            )
            seen.append(base)
            if diagnosis.usable is not Usable.OK:
                if eye.gate is not None:
                    eye.gate.forget()
                continue
            before = eye.last if eye.gate is not None and not glance.again else None
            changed = eye.gate.changed(sight.luma, glance.captured_at) if eye.gate is not None and before else None
            repeated = before is not None and changed is not None and not changed.any()
            eye.audited = repeated and is_audited(glance.camera, glance.seq)
            if repeated and not eye.audited and before is not None:
                seen[index] = replace(
                    base, looked=Looked.UNCHANGED, evidence=before.evidence, detections=before.detections
                )
                continue
            part = Part(changed, before.detections) if changed is not None and before and not repeated else None
            waits = _Waiting(index, glance, sight.luma, part)
            waiting.setdefault(self._settings[glance.camera].detector or "", []).append(waits)
        for group in waiting.values():
            detector = self._detector(group[0].glance.camera)
            answers = detector.detect_changes([each.glance.picture for each in group], [each.part for each in group])
            for waits, answer in zip(group, answers, strict=True):
                glance, gate = waits.glance, self._eyes[waits.glance.camera].gate
                if gate is not None:
                    gate.saw(waits.luma, glance.captured_at, only=answer.cells)
                seen[waits.index] = self._inferred(seen[waits.index], glance, answer.detections)
        for glance, each in zip(glances, seen, strict=True):
            self._show(glance, each)
        return [self._stamped(each) for each in seen]

    def audit(self, camera: str) -> tuple[bool, bool]:
        """Of the camera's last look: whether it was inferred although the gate would have skipped it, and showed news then."""
        eye = self._eyes[camera]
        return eye.audited, eye.missed

    def close(self) -> None:
        self._close(self._detectors)

    def _set(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._settings: Mapping[str, CameraSettings] = {each.id: each for each in configuration.cameras}
        scenes = configuration.scenes.values()
        self._concerning: dict[str, frozenset[str]] = {}
        self._remembered = frozenset().union(*(each.rule.labels for each in scenes if each.rule.per_object))

    def _close(self, opened: Mapping[str, _Opened]) -> None:
        for each in opened.values():
            each.detector.close()

    def _inferred(self, base: Detections, glance: Glance, answer: tuple[Detection, ...]) -> Detections:
        eye, concerning = self._eyes[glance.camera], self._concerns(glance.camera)
        eye.missed = eye.audited and eye.last is not None and is_miss(eye.last.detections, answer, concerning)
        concerned = any(each.label in concerning for each in answer)
        evidence = None
        # A picture is also kept when something was there a moment ago: it may be the one that shows it gone.
        if self._evidence is not None and (concerned or eye.concerned or glance.again):
            image = jpeg.encode(glance.picture, width=EVIDENCE_WIDTH, quality=EVIDENCE_QUALITY)
            image = jpeg.telling(image, _things(answer))  # where people and vehicles are, for whoever masks it
            try:
                evidence = self._evidence.put(glance.camera, glance.captured_at, image)
            except Transient as error:
                log.error("no picture kept for %s: %s", glance.camera, error)  # noqa: TRY400  # the case matters more
        eye.concerned = concerned
        eye.last = replace(base, looked=Looked.INFERRED, evidence=evidence, detections=answer)
        return eye.last

    def _stamped(self, seen: Detections) -> Detections:
        now = self._now() if self._now else seen.captured_at
        return replace(seen, stamps={**seen.stamps, "inferred": now})

    def _show(self, glance: Glance, seen: Detections) -> None:
        """Leave the latest picture and the view's baseline where they may be lost."""
        if self._hot is None:
            return
        eye = self._eyes[glance.camera]
        every = max(LATEST_EVERY, timedelta(seconds=len(self._eyes) / LATEST_A_SECOND))
        if glance.camera in self._watched_at(glance.captured_at, self._hot):
            every = LATEST_WATCHED
        if eye.latest_at is None or glance.captured_at - eye.latest_at >= every:
            eye.latest_at = glance.captured_at
            image = jpeg.encode(glance.picture, width=LATEST_WIDTH, quality=LATEST_QUALITY, mask=self._mask(seen))
            self._hot.put(f"picture/{glance.camera}", stamped(image, glance.captured_at))
        if seen.usable is Usable.OK and (
            eye.baseline_at is None or glance.captured_at - eye.baseline_at >= BASELINE_EVERY
        ):
            if eye.baseline_at is not None and self._hot.get(f"baseline/{glance.camera}") == b"":
                # People have accepted another view since: what is known of this one must not come back.
                eye.asked_at = None
                return
            eye.baseline_at = glance.captured_at
            self._hot.put(f"baseline/{glance.camera}", eye.usability.baseline)

    def _watched_at(self, at: datetime, hot: HotStore) -> frozenset[str]:
        """The cameras whose pictures somebody watches."""
        now = self._now() if self._now else at  # cameras' own clocks differ by seconds
        if self._watched is None or not timedelta(0) <= now - self._watched[0] < WATCHED_EVERY:
            self._watched = now, frozenset(key.removeprefix("watched/") for key, _ in hot.scan("watched/"))
        return self._watched[1]

    def _mask(self, seen: Detections) -> Callable[[Image], None] | None:
        """What hides faces and plates in the latest picture: nobody sees more of it, so nothing else is kept of it."""
        masking = self._configuration.masking
        if not masking.on:
            return None
        if seen.looked is Looked.NOT:  # nobody knows where people are in it
            return coarsen
        regions = masking.regions(_things(seen.detections))
        return lambda image: pixelate(image, regions)

    def _eye(self, camera: str) -> _Eye:
        if camera not in self._eyes:
            settings = self._configuration.detector_of(self._settings[camera])
            gate = Gate(settings.reaffirm_for) if settings.gate else None
            self._eyes[camera] = _Eye(self._usability(camera), gate)
        return self._eyes[camera]

    def _concerns(self, camera: str) -> frozenset[str]:
        """The labels that mean something on this camera: a car is nothing to keep a picture of where nobody may park badly."""
        if camera not in self._concerning:
            labels = (each.rule.labels for each in self._configuration.scenes_of(camera))
            self._concerning[camera] = frozenset().union(*labels)
        return self._concerning[camera]

    def _accepted(self, glance: Glance) -> _Eye:
        """The camera's eye; one that learns its view anew when people have accepted another: they emptied the baseline."""
        eye = self._eye(glance.camera)
        if self._hot is None or not self._settings[glance.camera].fixed:
            return eye
        if eye.asked_at is not None and timedelta(0) <= glance.captured_at - eye.asked_at < ACCEPTED_WITHIN:
            return eye
        eye.asked_at = glance.captured_at
        if eye.usability.knows_its_view and self._hot.get(f"baseline/{glance.camera}") == b"":
            eye.forget()
            eye.usability, eye.baseline_at = Usability(), None
            log.info("camera %s: its view was accepted anew", glance.camera)
        return eye

    def _usability(self, camera: str) -> Usability:
        fixed = self._settings[camera].fixed
        baseline = self._hot.get(f"baseline/{camera}") if self._hot is not None else None
        try:
            return Usability(baseline or b"", fixed=fixed)
        except Unreadable:
            return Usability(fixed=fixed)  # what is hot may be lost; the view is learnt again

    def _detector(self, camera: str) -> Detector:
        return self._opened_detector(self._configuration.detector_of(self._settings[camera]))

    def _opened_detector(self, settings: DetectorSettings) -> Detector:
        opened = self._detectors.get(settings.id)
        if opened is None or (opened.detector.settings, opened.remembered) != (settings, self._remembered):
            detector = open_detector(settings, looks=self._remembered)
            detector.warmup()
            opened = self._detectors[settings.id] = _Opened(detector, self._remembered)
            log.info("detector %s: %s, revision %s", settings.id, detector.model, detector.revision)
        return opened.detector


def _things(detections: Iterable[Detection]) -> list[Seen]:
    return [Seen(each.label, each.box) for each in detections]


def recorded(looking: Looking, camera: str, shown: Iterable[tuple[datetime, Picture]]) -> Iterator[bytes]:
    """What the camera would have seen in these pictures, as messages; every station is the instant itself."""
    for seq, (at, picture) in enumerate(shown, start=1):
        stamps = {"received": at, "decoded": at}
        (seen,) = looking.look([Glance(camera, picture, at, seq, stamps=stamps)])
        yield write_detections(seen)
