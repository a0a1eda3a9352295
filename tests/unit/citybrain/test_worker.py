"""A worker process from the inside: what it is told, what it remembers, and what it answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import numpy as np
import pytest

from citybrain import assembly
from citybrain.assembly import Configuration
from citybrain.briefing import configuration_of, plan_of
from citybrain.bus.local import LocalBus
from citybrain.clock import ManualClock
from citybrain.domain.camera import Text
from citybrain.domain.detection import Detections, Looked, Usable
from citybrain.domain.frame import Frame
from citybrain.errors import ModelUnusable
from citybrain.looking import Looking
from citybrain.wire import DETECTIONS, read_detections
from citybrain.worker import Worker, _charged
from ingest.worker_port import NOTHING_NEWER, OUT_OF_STEP, Report
from tests.unit.ingest.clips import street

ROOT = Path(__file__).parents[3]
AT = datetime(2026, 11, 21, 8, tzinfo=UTC)
GROUP, FPS = 10, 5


@cache
def packets(*, fire_from: int) -> tuple[bytes, ...]:
    """Four seconds of a still, grey street, two groups of ten pictures; a fire, a red rectangle, from some picture on."""
    context = av.CodecContext.create("libx264", "w")
    context.width, context.height, context.pix_fmt, context.framerate = 320, 192, "yuv420p", Fraction(FPS)
    context.options = {"x264-params": f"keyint={GROUP}:min-keyint={GROUP}:scenecut=0:bframes=0", "preset": "ultrafast"}
    grey = np.repeat(street(0, noise=0).mean(2, keepdims=True), 3, 2).astype(np.uint8)
    coded: list[bytes] = []
    for index in range(2 * GROUP):
        picture = grey.copy()
        if index >= fire_from:
            picture[40:120, 100:220] = (250, 10, 10)
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts = index
        coded += [bytes(packet) for packet in context.encode(frame)]
    coded += [bytes(packet) for packet in context.encode(None)]
    return tuple(coded)


def configuration(*cameras: str) -> Configuration:
    found = assembly.load(ROOT / "tests" / "configs" / "folders" / "good")
    (like,) = found.cameras
    return replace(
        found, cameras=[replace(like, camera=replace(like.camera, id=name, name=Text(name, name))) for name in cameras]
    )


def with_detector(told: Configuration, **changes) -> Configuration:
    return replace(told, detectors={id: replace(each, **changes) for id, each in told.detectors.items()})


class Desk:
    """A worker and what it has put on the bus."""

    def __init__(self, tmp_path: Path, told: Configuration) -> None:
        self.bus, self.clock = LocalBus(tmp_path / "citybrain.db"), ManualClock(AT)
        self.worker = Worker(Looking, self.bus, self.clock)
        self.seq = 0
        self.brief(told)

    def brief(self, told: Configuration) -> None:
        self.worker.brief(plan_of(told).briefing)

    def look(self, camera: str, first: int, last: int | None = None, *, fire_from: int = 0, since: int = 0) -> Report:
        """Look at pictures `first` to `last` of the street; the later one is meant."""
        last = first if last is None else last
        self.seq += 1
        instants = tuple(AT + timedelta(seconds=index / FPS) for index in range(first, last + 1))
        coded = packets(fire_from=fire_from)[first : last + 1]
        frame = Frame(camera, "h264", coded, instants[-1], instants[-1], True, b"", self.seq, 1 + first // GROUP)
        if len(coded) > 1 or since:
            frame = replace(frame, since=since, instants=instants)
        (report,) = self.worker.look([frame])
        return report

    def seen(self) -> list[Detections]:
        return [read_detections(each.value) for each in self.bus.read([DETECTIONS], after=0)]


@pytest.fixture
def desk(tmp_path) -> Callable[..., Desk]:
    return lambda *cameras: Desk(tmp_path, configuration(*cameras))


def test_a_briefing_says_all_that_a_configuration_says():
    told = configuration("a", "b")
    found = configuration_of(plan_of(told).briefing)
    assert (found.cameras, found.detectors, found.revision) == (told.cameras, told.detectors, told.revision)
    assert found.scenes.keys() == told.scenes.keys()


def test_a_worker_says_what_is_asked_and_what_began(desk):
    desk = desk("a")
    assert desk.look("a", 0, fire_from=3).asks == ()
    assert desk.look("a", 0, 4, fire_from=3).asks == ("burning",)
    assert desk.look("a", 10, fire_from=3).asks == ("burning",)
    report = desk.look("a", 10, 19, fire_from=3)
    assert report.asks == ()
    (began,) = report.began
    assert (began.scene, began.began_at, began.confirmed_at) == (
        "burning",
        AT + timedelta(seconds=0.8),
        AT + timedelta(seconds=3.8),
    )


def test_a_followed_look_is_of_its_own_instant_and_each_packet_is_decoded_once(desk):
    desk = desk("a")
    desk.look("a", 0)
    desk.look("a", 0, 3, fire_from=0)
    assert desk.look("a", 4, 6, since=4).error is None
    assert desk.look("a", 8, 9, since=8).error == OUT_OF_STEP
    assert desk.look("a", 0, 9).error is None
    assert desk.look("a", 0, 9).error == NOTHING_NEWER
    assert [(each.captured_at - AT).total_seconds() for each in desk.seen()] == [0.0, 0.6, 1.2, 1.8]


def test_a_picture_that_was_looked_at_is_not_looked_at_again_when_following_begins(desk):
    """A decoder that holds pictures back may give the keyframe itself first."""
    desk = desk("a")
    desk.look("a", 0)
    desk.look("a", 10)
    assert desk.look("a", 0, 3).error == NOTHING_NEWER
    assert desk.look("a", 10, 11).error is None
    assert len(desk.seen()) == 3


def test_a_look_costs_its_own_decoding_and_its_share_of_the_inference():
    looked = [
        Report("a", 1, Usable.OK, Looked.INFERRED),
        Report("b", 1, Usable.OK, Looked.UNCHANGED),
        Report("c", 1, Usable.OK, Looked.INFERRED),
        Report("d", 1, Usable.LOST, Looked.NOT, error="damaged"),
    ]
    costs = _charged(looked, {"a": 0.1, "b": 0.01, "c": 0.01, "d": 0.02}, 0.2)
    assert [round(each.cost_s, 3) for each in costs] == [0.13, 0.01, 0.04, 0.02]
    assert [each.cost_s for each in _charged(looked[1:2], {"b": 0.01}, 0.03)] == [0.03]


def test_a_new_configuration_keeps_what_is_remembered_of_cameras_that_stay(desk):
    desk = desk("a", "b")
    assert desk.look("a", 0).looked is Looked.INFERRED
    desk.brief(configuration("a", "c"))
    assert desk.look("a", 0, 2).looked is Looked.UNCHANGED
    assert desk.look("c", 0).looked is Looked.INFERRED


def test_a_camera_that_is_no_longer_configured_is_answered_with_a_fault_and_the_others_are_looked_at(desk):
    desk = desk("a", "b")
    desk.brief(configuration("a"))
    assert "expected a camera of the configuration" in str(desk.look("b", 0).error)
    assert desk.look("a", 0).error is None
    assert {each.camera for each in desk.seen()} == {"a"}


def test_what_an_old_detector_said_says_nothing_of_a_new_one(desk):
    desk = desk("a")
    desk.look("a", 0)
    desk.brief(with_detector(configuration("a"), device="another"))
    assert desk.look("a", 0, 2).looked is Looked.INFERRED


def test_a_detector_that_cannot_be_loaded_is_refused_and_the_worker_goes_on_as_before(desk):
    desk = desk("a")
    desk.look("a", 0)
    good = configuration("a", "new")
    with pytest.raises(ModelUnusable):
        desk.brief(with_detector(good, classes=("what", "the", "model", "does", "not", "answer")))
    assert desk.look("a", 0, 2).looked is Looked.UNCHANGED
    assert desk.look("new", 0).error is not None
    desk.brief(good)
    assert desk.look("a", 0, 4).looked is Looked.UNCHANGED
    assert desk.look("new", 0).error is None
