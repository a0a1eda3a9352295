"""The sets that ship: whole, judged as the city judges but for their holds, an hour and more of ordinary footage, small."""

from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from citybrain.evaluation.scenes import differences
from citybrain.evaluation.truth import load

ROOT = Path(__file__).parents[3]
SETS = ROOT / "models" / "evaluation" / "scenes"
OURS, PUBLIC = SETS / "ours", SETS / "public"


@pytest.fixture(scope="module")
def ours():
    return load(OURS)


@pytest.fixture
def public(tmp_path):
    """The public set with empty files for clips: none of them is opened by reading the set."""
    for camera in yaml.safe_load((PUBLIC / "cameras.yaml").read_text(encoding="utf-8"))["cameras"]:
        (tmp_path / camera["url"].rpartition("/")[2]).touch()
    return load(PUBLIC, clips=tmp_path)


def ordinary(given) -> timedelta:
    return sum((each.looped.lasts for each in given.truth.clips.values() if each.ordinary), timedelta())


def test_the_scenes_of_our_set_differ_from_those_that_ship_in_how_long_only(ours):
    found = list(differences(ours))
    assert {each.key for each in found} == {"hold", "max_gap", "clear_after"}
    assert "fire_risk" not in {each.scene for each in found}
    assert ours.judges["shipped"].scenes.keys() == ours.own.scenes.keys()


def test_so_do_those_of_the_public_set_and_one_is_its_own(public):
    found = list(differences(public))
    assert {each.key for each in found if each.key} == {"hold", "max_gap", "clear_after"}
    assert [each.scene for each in found if not each.key] == ["motorbike_on_pavement"]


def test_both_look_with_the_detector_that_ships():
    shipped = yaml.safe_load((ROOT / "configs" / "detectors" / "city.yaml").read_text(encoding="utf-8"))
    for folder in (OURS, PUBLIC):
        assert yaml.safe_load((folder / "detectors" / "city.yaml").read_text(encoding="utf-8")) == shipped


def test_each_set_has_more_than_an_hour_of_ordinary_footage_judged_by_what_ships(ours, public):
    for given in (ours, public):
        assert ordinary(given) >= timedelta(hours=1)
        hours = [each for each in given.truth.clips.values() if each.ordinary]
        assert all(each.judged_by == "shipped" and each.disturbances for each in hours)
        told = {name for each in hours for name, does in each.disturbances if does}
        assert told >= {"jitter", "drift", "switches", "rain", "noise", "compression"}


def test_ordinary_footage_has_zones_for_every_scene_that_ships(ours):
    kinds = {scene.file.zone_kind for scene in ours.judges["shipped"].scenes.values()}
    cameras = [ours.camera(name).camera for name, clip in ours.truth.clips.items() if clip.ordinary]
    for kind in kinds:
        assert any(camera.zones_of(kind) for camera in cameras), kind


def test_a_fire_must_be_filed_within_ten_seconds(ours, public):
    for given in (ours, public):
        assert given.truth.within == {"fire_risk": timedelta(seconds=10)}
        assert any(event.scene == "fire_risk" for clip in given.truth.clips.values() for event in clip.events)


def test_our_clips_are_small_and_each_is_told_of_with_its_licence():
    readme = (SETS / "README.md").read_text(encoding="utf-8")
    licences = (OURS / "clips" / "LICENSES.md").read_text(encoding="utf-8")
    clips = sorted((OURS / "clips").glob("*.mp4"))
    assert len(clips) >= 3
    for clip in clips:
        assert f"`{clip.name}`" in readme
        assert f"## {clip.name}" in licences
    assert sum(clip.stat().st_size for clip in clips) < 4_000_000


def test_every_key_of_truth_is_told():
    page = (
        (ROOT / "docs" / "evaluation.md").read_text(encoding="utf-8").partition("\n## Scenes")[2].partition("\n## ")[0]
    )
    for word in (
        *("tolerance:", "within:", "shipped:", "clips:", "events:", "judged_by:", "stills:", "looped:"),
        *(
            "disturbances:",
            "each:",
            "lasts:",
            "parts:",
            "way:",
            "seed:",
            "strength:",
            "scene:",
            "zone:",
            "from:",
            "to:",
        ),
        *("`jitter`", "`drift`", "`switches`", "`rain`", "`noise`", "`compression`"),
    ):
        assert word in page, word
