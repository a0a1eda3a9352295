"""How long a camera may go unseen, and how long an open question is looked at closely: what scenes say, and do not say."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from citybrain import assembly
from citybrain.briefing import plan_of
from tests.flows.street import FIRE, scene

ROOT = Path(__file__).parents[3]
GOOD = ROOT / "tests" / "configs" / "folders" / "good"
S = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("said", "patience", "attention"),
    [
        ({"hold": "5m", "max_gap": "90s"}, 22.5 * S, 0 * S),  # a quarter of the gap: four times overload breaks no hold
        ({"hold": "3s", "max_gap": "4s"}, 2 * S, 8 * S),  # a closer look keeps the hold alive: half is enough
        ({"hold": "3s", "max_gap": "4s", "attention": "0s"}, 1 * S, 0 * S),
        ({"hold": "10m", "max_gap": "1h"}, 30 * S, 0 * S),
        ({"hold": "1s", "max_gap": "400ms"}, 0.5 * S, 6 * S),
        ({"hold": "0s", "max_gap": "1m"}, 2 * S, 0 * S),
        ({"hold": "5m", "max_gap": "90s", "patience": "7s", "attention": "6m"}, 7 * S, 360 * S),
    ],
)
def test_a_scene_that_says_nothing_is_as_patient_as_its_hold_allows(said, patience, attention):
    found = scene(FIRE, **said)
    assert (found.patience, found.attention) == (patience, attention)


def edited(tmp_path: Path, **files: dict[str, str]) -> assembly.Configuration:
    """The good folder, with parts of its files exchanged."""
    folder = tmp_path / "city"
    shutil.copytree(GOOD, folder, dirs_exist_ok=True)
    for name, parts in files.items():
        path = folder / f"{name.replace('__', '/')}.yaml"
        text = path.read_text()
        for before, after in parts.items():
            assert before in text
            text = text.replace(before, after)
        path.write_text(text)
    return assembly.load(folder)


def test_a_camera_is_as_impatient_as_the_most_impatient_scene_that_judges_it(tmp_path):
    assert edited(tmp_path).patience_of("gd-0001") == 2 * S
    trial = {"status: trial": "status: draft"}
    assert edited(tmp_path, scenes__burning=trial).patience_of("gd-0001") == 22.5 * S
    elsewhere = {"kind: no_parking": "kind: pavement"}
    assert edited(tmp_path, scenes__burning=trial, cameras=elsewhere).patience_of("gd-0001") == 30 * S


def test_a_camera_may_go_unseen_for_as_long_as_it_asks_to_be(tmp_path):
    slow = {"detector: city": "detector: city\n    look_every: 20s"}
    unhurried = {"max_gap: 4s": "max_gap: 40s\npatience: 3s"}
    assert edited(tmp_path, cameras=slow, scenes__burning=unhurried).patience_of("gd-0001") == 20 * S


def test_the_network_process_is_told_both(tmp_path):
    plan = plan_of(edited(tmp_path))
    (camera,) = plan.cameras
    assert plan.patience_of(camera) == 2 * S
    assert plan.attention == {"burning": 8 * S}


def test_how_often_and_how_closely_a_scene_looks_is_no_part_of_what_it_judges_by(tmp_path):
    before = edited(tmp_path).scenes["burning"].revision
    closer = {"max_gap: 4s": "max_gap: 4s\npatience: 1s\nattention: 20s"}
    assert edited(tmp_path, scenes__burning=closer).scenes["burning"].revision == before
    assert edited(tmp_path, scenes__burning={"hold: 3s": "hold: 2s"}).scenes["burning"].revision != before


def test_the_scenes_that_ship_are_impatient_in_the_order_of_what_is_at_stake():
    scenes = assembly.load(ROOT / "configs").scenes
    assert scenes["fire_risk"].patience < scenes["waterlogging"].patience < scenes["illegal_parking"].patience
    assert scenes["fire_risk"].attention
    for each in scenes.values():
        if not each.attention:
            assert each.patience * 4 <= each.file.max_gap, "a hold survives four times overload"
