"""Every scene that ships passes its own tests."""

from pathlib import Path

import pytest

from pipeline import scene, story

CONFIGS = Path(__file__).parents[3] / "configs"
FOLDERS = sorted({path.parent for path in CONFIGS.rglob("scenes/*.yaml")})
STORIES = [
    pytest.param(each, index, id=f"{folder.parent.name}-{each.id}-{test.name}")
    for folder in FOLDERS
    for each in scene.load(folder, faults=[])
    for index, test in enumerate(each.file.tests)
]


def test_every_scene_file_can_be_read():
    faults: list = []
    loaded = [each.path for folder in FOLDERS for each in scene.load(folder, faults=faults)]
    assert faults == []
    assert len(loaded) == len(list(CONFIGS.rglob("scenes/*.yaml"))) >= 4


@pytest.mark.parametrize(("told", "index"), STORIES)
def test_its_story_is_told_as_expected(told, index):
    verdict = story.tell(told)[index]
    assert verdict.found == verdict.expected


@pytest.mark.parametrize(
    "path", sorted(CONFIGS.rglob("scenes/*.yaml")), ids=lambda path: f"{path.parts[-3]}-{path.stem}"
)
def test_each_scene_has_a_story_that_fires_and_one_that_must_not(path):
    loaded = scene.load_file(path, faults=[])
    assert loaded is not None
    assert {bool(test.expect) for test in loaded.file.tests} == {True, False}
