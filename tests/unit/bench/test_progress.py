"""A reader's pace as seen from outside, a worker's death as its cases show it, and what a city of many cameras comes to."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from bench.following import Case, spread
from bench.imagined import Imagined
from bench.metropolis import carried, ingest, needed
from bench.metropolis_classes import CAMERAS, classes
from bench.progress import Pace, Sample, pace
from bench.recovery import ours
from bench.takeover import summed, told
from bench.teller import told as told_by_tellers
from citybrain.errors import Transient

AT = datetime(2026, 11, 22, 8, tzinfo=UTC)


def test_a_pace_is_taken_where_the_count_moved_and_from_a_tenth_on():
    # It starts for ten seconds, commits each second, and nothing is measured between its commits.
    samples = [Sample(0.25 * n, 500 * max(0, int(0.25 * n) - 10), 0.5 * 0.25 * n) for n in range(80)]
    found = pace(samples, of=5000)
    assert found.messages_s == pytest.approx(500)
    assert found.each_us == pytest.approx(1000)


def test_a_reader_that_commits_once_has_no_pace():
    with pytest.raises(Transient, match="too few to tell a pace"):
        pace([Sample(0, 0, 0), Sample(1, 0, 0), Sample(2, 1000, 1)], of=1000)


def test_what_was_confirmed_while_nobody_had_its_camera_is_told_apart():
    def case(read_s: float, took_s: float) -> Case:
        return Case(AT + timedelta(seconds=read_s), took_s)

    cases = [case(-5, 0.1), case(-1, 0.2), case(8, 7.5), case(11, 10.5), case(12, 0.3)]
    found = told(cases, AT, 9.0)
    assert found["before_s"] == spread([0.1, 0.2])
    assert (found["confirmed_during"], found["during_s"]["max"]) == (2, 10.5)
    assert found["later_than_ten_seconds"] == 1
    assert found["afterwards_s"]["max"] == 0.3
    both = summed([found | {"problems": 5}, told([], AT, 12.0) | {"problems": 5}])
    assert both["taken_over_s"] == {"median": 10.5, "slowest": 12.0}
    assert both["case_event_s_during"]["max"] == float("inf"), "no case at all is no good case"


def test_partitions_are_those_that_a_worker_said_last():
    said = "x cameras: partitions [0, 1] are ours\nlocalities: partitions [5] are ours\ncameras: partitions [2, 3] are ours"
    assert ours(said) == {2, 3}
    assert ours("nothing yet") == set()


def test_a_teller_that_is_killed_is_counted_in_each_of_its_lives(tmp_path):
    figures = tmp_path / "figures.jsonl"
    lives = [
        {"told": 10, "refused": 0},
        {"told": 25, "refused": 2},
        {"told": 5, "refused": 0},
        {"told": 9, "refused": 1},
    ]
    figures.write_text("\n".join(json.dumps(each) for each in lives) + '\n{"told": 1')
    assert told_by_tellers(figures) == {"told": 34, "refused": 3}
    assert told_by_tellers(tmp_path / "never.jsonl") == {}


def test_what_a_city_of_eleven_thousand_cameras_comes_to():
    imagined = Imagined(classes())
    found = needed(imagined)
    assert sum(each["cameras"] for each in found["classes"].values()) == CAMERAS
    assert found["messages_s"] == pytest.approx(1240, abs=60)
    assert ingest(imagined)["machines_of_two_cores"] == 35


def test_workers_are_counted_by_the_pace_with_all_cameras_and_room_to_spare():
    found = carried(Pace(3000, 300, 100), Pace(1000, 300, 199), wanted=1200)
    assert (found["workers_at_full_pace"], found["workers_at_60%"]) == (2, 2)
    assert found["memory_kb_per_camera"] == 10.0
