"""Zones written into folders as they are found: behind links, beside faults, by several at once."""

from __future__ import annotations

import shutil
import threading
from datetime import UTC, datetime

import pytest

from citybrain import assembly
from citybrain.clock import ManualClock
from citybrain.domain.camera import ZoneKind
from citybrain.zone_files import KEPT, ConfiguredZones
from events_api.drawing import Changed, DrawnZone, NotWritable

START = datetime(2026, 11, 21, 8, tzinfo=UTC)
CAMERA = "gd-0001"


def drawn(width: float = 0.5, **more) -> DrawnZone:
    return DrawnZone("kerb", ZoneKind.NO_PARKING, ((0.1, 0.1), (width, 0.1), (width, 0.9)), **more)


@pytest.fixture
def folder(tmp_path):
    shutil.copytree("tests/configs/folders/good", tmp_path / "config")
    return tmp_path / "config"


@pytest.fixture
def files(folder, tmp_path):
    return ConfiguredZones(folder, before=tmp_path / "before", clock=ManualClock(START), read=assembly.read)


def write(files, *zones):
    return files.write(CAMERA, list(zones), revision=files.sheet(CAMERA).revision)


def test_a_file_behind_a_link_is_written_where_it_lies_and_the_link_stays(folder, files):
    (folder / "..data").mkdir()
    (folder / "cameras.yaml").rename(folder / "..data/cameras.yaml")
    (folder / "cameras.yaml").symlink_to("..data/cameras.yaml")
    (folder / "..data/round").symlink_to(folder)  # in a circle
    sheet, revision = write(files, drawn())
    assert (folder / "cameras.yaml").is_symlink()
    assert [zone.points for zone in sheet.zones] == [drawn().points]
    assert revision == assembly.load(folder).revision


def test_cameras_in_a_folder_that_is_a_link_are_written_too(folder, files, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (folder / "cameras.yaml").rename(tmp_path / "elsewhere/west.yaml")
    (folder / "cameras").symlink_to(tmp_path / "elsewhere")
    sheet, _ = write(files, drawn())
    assert sheet.file == "cameras/west.yaml"
    assert assembly.load(folder).views[CAMERA].zones[0].polygon.points == drawn().points


def test_of_several_who_drew_upon_the_same_one_is_written_and_the_others_are_told(folder, files, tmp_path):
    revision, told = files.sheet(CAMERA).revision, []

    def save(n: int) -> None:
        mine = ConfiguredZones(folder, before=tmp_path / "before", clock=ManualClock(START), read=assembly.read)
        try:
            mine.write(CAMERA, [drawn(0.2 + n / 10)], revision=revision)
            told.append("written")
        except Changed:
            told.append("changed")

    savers = [threading.Thread(target=save, args=(n,)) for n in range(4)]
    for each in savers:
        each.start()
    for each in savers:
        each.join()
    assert sorted(told) == ["changed"] * 3 + ["written"]


def test_what_changes_in_the_file_while_it_is_judged_is_not_written_over(folder, files, tmp_path):
    def read(copy):
        (folder / "cameras.yaml").write_text((folder / "cameras.yaml").read_text() + "# by hand\n")
        return assembly.read(copy)

    slow = ConfiguredZones(folder, before=tmp_path / "before", clock=ManualClock(START), read=read)
    with pytest.raises(Changed):
        write(slow, drawn())
    assert (folder / "cameras.yaml").read_text().endswith("# by hand\n")
    assert not [path for path in folder.iterdir() if path.name.endswith(".arriving")]


def test_the_last_files_are_kept_and_no_more(folder, tmp_path):
    clock = ManualClock(START)
    files = ConfiguredZones(folder, before=tmp_path / "before", clock=clock, read=assembly.read)
    for n in range(KEPT + 3):
        clock.advance(assembly.PATIENCE_WITHOUT_SCENE)
        write(files, drawn(0.2 + n / 100))
    kept = sorted((tmp_path / "before").glob("*.yaml"))
    assert len(kept) == KEPT
    assert kept[0].name.startswith("20261121T0802"), "the oldest are gone"


def test_a_camera_that_no_file_names_and_one_whose_zones_have_faults(folder, files):
    assert files.sheet("nobody") is None
    with pytest.raises(NotWritable, match="no file of the configuration names"):
        files.write("nobody", [drawn()], revision="")
    text = (folder / "cameras.yaml").read_text()
    (folder / "cameras.yaml").write_text(text.replace("kind: no_parking", "kind: pond"))
    with pytest.raises(NotWritable, match="mend them by hand first"):
        files.sheet(CAMERA)
