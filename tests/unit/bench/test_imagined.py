"""Imagined cameras: the same look whoever makes it, in the rhythm that was assumed, and problems that become one case each."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from bench.distributed import SCENE, imagined_cameras, write_config
from bench.imagined import Class, Imagined, Problem, scheduled
from bench.metropolis_classes import CAMERAS, SCENES, classes
from citybrain import assembly
from citybrain.domain.case import CaseEventType
from citybrain.domain.detection import Usable
from citybrain.wire import read_detections, write_detections
from pipeline.runners.replay import Replay

AT = datetime(2026, 11, 22, 8, tzinfo=UTC)
SECOND = timedelta(seconds=1)
KERB = Class("cam", 5, 2 * SECOND, "pavement", "stall", zones=4, passing=2.0, unchanged=0.3)


def looks(imagined, seconds):
    return list(imagined.looks(AT, AT + seconds * SECOND))


def test_a_look_is_the_same_whoever_makes_it_again():
    made, again = (looks(Imagined([KERB]), 30) for _ in range(2))
    assert made == again
    assert [read_detections(write_detections(each)).camera for each in made] == [each.camera for each in made]


def test_looks_come_in_order_and_in_the_assumed_rhythm():
    made = looks(Imagined([KERB]), 40)
    assert made == sorted(made, key=lambda look: look.captured_at)
    assert len(made) == pytest.approx(Imagined([KERB]).looks_s * 40, abs=5)
    mine = [each.captured_at for each in made if each.camera == "cam-00003"]
    assert {later - earlier for earlier, later in pairwise(mine)} == {2 * SECOND}


def test_cameras_are_not_in_step():
    firsts = {Imagined([KERB]).first_after(camera, AT) for camera in KERB.cameras()}
    assert len(firsts) == KERB.count


def test_an_open_question_is_looked_at_closely_until_its_hold_is_over():
    problem = Problem("cam-00001", "z2", AT + 10 * SECOND, AT + 30 * SECOND)
    made = [each for each in looks(Imagined([KERB], [problem]), 40) if each.camera == "cam-00001"]
    close = [later for earlier, later in pairwise(made) if later.captured_at - earlier.captured_at < SECOND]
    assert 20 <= len(close) <= 28
    assert all(each.captured_at <= AT + 18 * SECOND for each in close)


def test_a_share_of_the_cameras_cannot_be_judged_by_and_says_so():
    blind = Class("cam", 100, 2 * SECOND, "pavement", "stall", unusable=0.03)
    made = looks(Imagined([blind]), 20)
    lost = {each.camera for each in made if each.usable is Usable.LOST}
    assert 1 <= len(lost) <= 5
    assert len(made) == pytest.approx(Imagined([blind]).looks_s * 20, rel=0.05)


def test_problems_stand_in_zones_of_their_own():
    problems = scheduled([KERB], 20, since=AT, until=AT + 60 * SECOND, lasts=30 * SECOND, seed=7)
    assert len({(each.camera, each.zone) for each in problems}) == 20
    assert all(AT <= each.begins_at <= AT + 60 * SECOND for each in problems)
    with pytest.raises(ValueError, match="21 problems need as many zones, there are 20"):
        scheduled([KERB], 21, since=AT, until=AT + SECOND, lasts=SECOND, seed=7)


def test_each_problem_is_one_case_and_what_passes_by_is_none(tmp_path):
    problems = scheduled([KERB], 8, since=AT + 10 * SECOND, until=AT + 60 * SECOND, lasts=30 * SECOND, seed=7)
    imagined = Imagined([KERB], problems)
    configuration = assembly.load(write_config(tmp_path / "config", imagined_cameras(imagined)))
    told = Replay(configuration.pipeline()).run(write_detections(each) for each in looks(imagined, 110))
    filed = Counter((e.case.scene, e.case.cameras[0], e.case.zone) for e in told if e.type is CaseEventType.FILED)
    assert filed == Counter((SCENE, each.camera, each.zone) for each in problems)


def test_the_metropolis_is_as_large_as_it_says_and_configured_without_a_fault(tmp_path):
    assert sum(one.count for one in classes()) == CAMERAS
    small = classes(40)
    assert [one.count for one in small] == [4, 12, 24]
    imagined = Imagined(small)
    configuration = assembly.load(write_config(tmp_path / "config", imagined_cameras(imagined), scenes=SCENES))
    rhythm = {camera: configuration.patience_of(camera) for camera in imagined.cameras}
    assert rhythm["key-00000"] == 2 * SECOND
    assert rhythm["water-00000"] == 10 * SECOND
    assert rhythm["kerb-00000"] == 20 * SECOND
