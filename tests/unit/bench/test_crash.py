"""The crash bench's city is configured without a fault, and a real camera's fires are counted as who was blind could know them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import yaml

from bench import chaos
from bench.crash import PROBLEMS, RealCameras, kerbs, whole
from bench.imagined import Imagined, scheduled
from citybrain import assembly
from citybrain.demo.city import CONFIG as DEMO

EPOCH = datetime(2026, 11, 22, 8, tzinfo=UTC)
FIRE = next(each for each in chaos.STORIES if each.scene == "fire_risk")


def fire(began_s: float, *, cleared_s: float | None) -> dict[str, Any]:
    at = [None if each is None else (EPOCH + timedelta(seconds=each)).isoformat() for each in (began_s, cleared_s)]
    return {"id": f"{began_s}", "scene": "fire_risk", "cameras": ["fire"], "began_at": at[0], "cleared_at": at[1]}


def seen(*cases: dict[str, Any]) -> list[tuple[int, int]]:
    """Of the first two fires, which began 18 and 208 s after the epoch: cases that began with each, and that there were."""
    at = EPOCH + timedelta(seconds=FIRE.clip_s + FIRE.from_s) + chaos.SETTLED + timedelta(seconds=1)
    return [(began, there) for _, began, there in RealCameras(EPOCH).seen(at, cases)]


def test_a_case_for_each_fire_is_right():
    assert seen(fire(20, cleared_s=190), fire(210, cleared_s=None)) == [(1, 1), (1, 1)]


def test_one_case_is_right_for_both_where_nobody_saw_the_first_one_end():
    assert seen(fire(20, cleared_s=400)) == [(1, 1), (0, 1)]


def test_a_fire_that_came_back_after_its_case_had_cleared_is_lost_without_a_case():
    assert seen(fire(20, cleared_s=190)) == [(1, 1), (0, 0)]


def test_two_cases_of_one_fire_are_one_too_many():
    assert seen(fire(20, cleared_s=190), fire(60, cleared_s=190), fire(210, cleared_s=None))[0] == (2, 2)


def test_there_is_a_zone_for_each_problem():
    assert len(scheduled([kerbs()], PROBLEMS, since=EPOCH, until=EPOCH, lasts=timedelta(minutes=1), seed=1)) == PROBLEMS


def test_the_city_is_configured_without_a_fault(tmp_path, monkeypatch):
    monkeypatch.setenv("DEMO_RTSP_PORT", "8554")
    monkeypatch.setenv("DEMO_CAMERA_PASSWORD", "secret")
    configuration = assembly.load(whole(tmp_path / "whole", Imagined([kerbs()])))
    real = {each["id"] for each in yaml.safe_load((DEMO / "cameras.yaml").read_text())["cameras"]}
    assert len(configuration.cameras) == kerbs().count + len(real & {each.id for each in configuration.cameras})
    assert {"fire_risk", "stall_spillover"} == configuration.scenes.keys()
    assert configuration.patience_of("cam-00000") == timedelta(seconds=5)
