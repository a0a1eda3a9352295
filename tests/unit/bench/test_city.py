"""The bench of a whole city: how a limit is found, what counts as unseen, and that its configurations are sound."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bench.city import _MIXED, _SCENES, EVERY_S, Found, Step, search
from bench.crowd import Group, Seen, write
from bench.processes import ROLES, Taken
from citybrain import assembly
from citybrain.domain.detection import Detections, Looked, Usable

AT = datetime(2026, 11, 21, 8, tzinfo=UTC)
CLIP = Path("street.mp4")


def look(camera: str, second: float, *, latency: float = 0.4, looked: Looked = Looked.INFERRED) -> Detections:
    at = AT + timedelta(seconds=second)
    stamps = {"inferred": at + timedelta(seconds=latency)}
    return Detections(camera, at, round(second * 10) + 1, Usable.OK, looked=looked, stamps=stamps)


def seen(every: dict[str, float], *, seconds: float = 30.0, latency: float = 0.4) -> Seen:
    """Cameras looked at in their own rhythm for so long, and once more after it."""
    looks = {
        camera: [look(camera, rhythm * n, latency=latency) for n in range(int(seconds / rhythm))]
        for camera, rhythm in every.items()
    }
    after = {camera: look(camera, every[camera] * len(looks[camera])) for camera in every}
    until_at = AT + timedelta(seconds=seconds)
    return Seen(AT, until_at, until_at + timedelta(seconds=10), looks, after)


def found(step: Step, *, limit: int, latency: float = 0.4) -> Found:
    """A machine that looks at so many cameras in time, and at more of them half as often."""
    count = step.groups[0].count
    rhythm = EVERY_S if count <= limit else 2 * EVERY_S
    before, after = (Taken(at, dict.fromkeys(ROLES, at), dict.fromkeys(ROLES, count * 1_000_000)) for at in (0.0, 30.0))
    figures = {"ingest.load.demand": 2.0 * count / limit, "ingest.load.capacity": 2.0}
    looks = seen({f"cam-{n:04d}": rhythm for n in range(count)}, latency=latency)
    return Found(step, looks, before, after, figures)


@pytest.mark.parametrize("limit", [2, 17, 48, 100, 333])
@pytest.mark.parametrize("first", [6, 48, 200])
def test_the_limit_is_found_wherever_the_search_begins(limit, first):
    row = search(CLIP, 30, first=first, measured=lambda step: found(step, limit=limit))
    assert limit * 0.93 - 1 <= row["cameras"] <= limit
    assert len(row["steps"].split()) <= 9


def test_looks_that_come_too_late_are_none_that_is_carried():
    row = search(CLIP, 30, first=48, measured=lambda step: found(step, limit=400, latency=3.5))
    assert row["cameras"] == 0


def test_a_camera_costs_what_memory_grows_by():
    row = search(CLIP, 30, first=10, measured=lambda step: found(step, limit=60))
    assert row["memory_mb_per_camera"] == 2.0, "of the network process and the workers together"


def test_a_spell_counts_from_picture_to_picture_also_beyond_the_end_of_the_time():
    spells = seen({"a": 2.0, "b": 7.0}).gaps()
    assert spells == [2.0] * 15 + [7.0] * 4


def test_a_camera_that_was_never_looked_at_is_unseen_for_all_of_the_time():
    none = Seen(AT, AT + timedelta(seconds=30), AT + timedelta(seconds=40), {"a": []})
    assert none.gaps() == [40.0]


def test_fairness_compares_the_looks_of_like_cameras():
    assert seen({"a": 2.0, "b": 2.0}).fairness() == {"jain": 1.0, "most_to_fewest": 1.0}
    uneven = seen({"a": 1.0, "b": 3.0}).fairness()
    assert uneven["most_to_fewest"] == 3.0
    assert uneven["jain"] == 0.8


def test_overload_is_what_was_wanted_over_what_was_got():
    step = Step([Group("cam", CLIP, 40)], 30)
    assert found(step, limit=39).times == pytest.approx(2.0, rel=0.1)
    assert found(step, limit=40).times == pytest.approx(1.0)


@pytest.mark.parametrize("scenes", [_SCENES, _MIXED])
def test_the_crowd_is_configured_without_a_fault(tmp_path, monkeypatch, scenes):
    monkeypatch.setenv("DEMO_RTSP_PORT", "8554")
    monkeypatch.setenv("DEMO_CAMERA_PASSWORD", "secret")
    clip = tmp_path / "street.mp4"
    clip.write_bytes(b"")
    groups = [Group("fire", clip, 3, zone="pavement"), Group("parking", clip, 2, zone="no_parking")]
    config, clips = write(tmp_path / "crowd", groups, scenes=scenes, gate=False)
    configuration = assembly.load(config)
    patience = [configuration.patience_of(each.id).total_seconds() for each in configuration.cameras]
    assert patience == [2.0, 2.0, 2.0] + ([20.0, 20.0] if scenes is _MIXED else [2.0, 2.0])
    assert not configuration.detectors["city"].gate
    shown = [each.url.get_secret_value().rpartition("/")[2] for each in configuration.cameras]
    assert len(set(shown[:3])) == 3, "no two cameras are in step"
    assert [each.name for each in clips.iterdir()] == ["street.mp4"]
