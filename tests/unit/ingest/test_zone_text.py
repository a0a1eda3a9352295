"""Zones put into a file of cameras: whatever is written is read back, and every other byte stays."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from citybrain import strict_yaml
from citybrain.errors import Unreadable
from ingest import zone_text
from ingest.zone_text import Unwritable, spliced

CONFIGS = Path(__file__).parents[3] / "configs"
SQUARE = [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9]]
KERB = {"id": "kerb", "kind": "no_parking", "polygon": SQUARE}
LANE = {"id": "lane", "kind": "roadway", "polygon": [[0.0, 0.5], [1.0, 0.5], [1.0, 1.0], [0.0, 1.0]]}

ALL = "{id: x, kind: any, polygon: [[0, 0], [1, 0], [1, 1]]}"
BLOCK = """\
# the west
cameras:
  - id: a   # the first
    name: {zh: 甲, en: A}
    url: rtsp://192.0.2.1/sub
    zones:
      # surveyed in March
      - {id: kerb, kind: no_parking, polygon: [[0.10, 0.10], [0.90, 0.10], [0.90, 0.90]]}   # by li

      - id: lane
        kind: roadway
        polygon:
          - [0, 0.5]
          - [1, 0.5]
          - [1, 1]
          - [0, 1]

  # two more
  - id: b
    name: B
    url: rtsp://192.0.2.2/sub

  - {id: c, name: C, url: "rtsp://192.0.2.3/sub"}
  - id: d
    zones: []   # none yet
    name: D
    url: rtsp://192.0.2.4/sub
# the end"""

points = st.lists(
    st.tuples(*[st.integers(0, 10_000).map(lambda n: round(n / 10_000, 4))] * 2).map(list), min_size=3, max_size=6
)
names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,12}", fullmatch=True)
places = st.text(st.characters(exclude_categories=["C", "Z"]) | st.just(" "), min_size=1, max_size=20)
zones = st.lists(
    st.fixed_dictionaries(
        {"id": names, "kind": st.sampled_from(["no_parking", "roadway", "pavement", "any"]), "polygon": points},
        optional={"place": places},
    ),
    max_size=5,
    unique_by=lambda zone: zone["id"],
)


def entry_of(text: str, camera: str) -> Mapping[str, Any]:
    """The camera's entry; these tests ask only for cameras that are there."""
    found = zone_text.entry_of(text, camera)
    assert found is not None
    return found


def others(text: str, camera: str) -> list[object]:
    return [each for each in strict_yaml.load(text)["cameras"] if each["id"] != camera]


@given(zones, st.sampled_from("abcd"), st.sampled_from(["\n", "\r\n"]), st.sampled_from(["", "\ufeff"]))
def test_whatever_zones_are_written_are_read_back_and_the_rest_is_as_it_was(wanted, camera, line_end, mark):
    text = mark + BLOCK.replace("\n", line_end)
    after = spliced(text, camera, wanted)
    entry = entry_of(after.removeprefix("\ufeff"), camera)
    assert (entry.get("zones") or []) == wanted
    assert others(after.removeprefix("\ufeff"), camera) == others(text.removeprefix("\ufeff"), camera)
    assert {key: value for key, value in entry.items() if key != "zones"} == {
        key: value for key, value in entry_of(BLOCK, camera).items() if key != "zones"
    }
    assert after.count("\r\n") == after.count("\n") or line_end == "\n"
    # Going back over it: from there any other zones can be written, too.
    assert (entry_of(spliced(after, camera, [KERB]).removeprefix("\ufeff"), camera)["zones"]) == [KERB]


@given(zones, zones)
def test_every_line_before_and_behind_the_cameras_own_stays_byte_for_byte(first, second):
    after = spliced(spliced(BLOCK, "a", first), "a", second)
    assert after.startswith(BLOCK[: BLOCK.index("    zones:")])
    assert after.endswith(BLOCK[BLOCK.index("\n  # two more") :])


def test_one_zone_drawn_anew_changes_its_own_words_alone():
    moved = {**KERB, "polygon": [[0.2, 0.1], [0.9, 0.1], [0.9, 0.9]]}
    lane = entry_of(BLOCK, "a")["zones"][1]
    after = spliced(BLOCK, "a", [moved, lane])
    changed = [(a, b) for a, b in zip(BLOCK.splitlines(), after.splitlines(), strict=True) if a != b]
    assert changed == [
        (
            "      - {id: kerb, kind: no_parking, polygon: [[0.10, 0.10], [0.90, 0.10], [0.90, 0.90]]}   # by li",
            "      - {id: kerb, kind: no_parking, polygon: [[0.2, 0.1], [0.9, 0.1], [0.9, 0.9]]}   # by li",
        )
    ]


def test_the_same_zones_change_nothing():
    assert spliced(BLOCK, "a", entry_of(BLOCK, "a")["zones"]) == BLOCK
    assert spliced(BLOCK, "b", []) == BLOCK


@pytest.mark.parametrize("path", sorted(CONFIGS.rglob("cameras.yaml")), ids=lambda path: path.parent.name)
def test_every_camera_that_ships_can_be_drawn_anew(path):
    text = path.read_text()
    for entry in strict_yaml.load(text)["cameras"]:
        for wanted in ([], [KERB], [*entry.get("zones", [])[::-1], LANE | {"id": "neu"}]):
            assert (entry_of(spliced(text, entry["id"], wanted), entry["id"]).get("zones") or []) == wanted


def test_a_file_of_an_import_is_written_as_any_other():
    entries = [
        {"id": "a", "name": "甲", "url": "rtsp://192.0.2.1/1"},
        {"id": "b", "name": "乙", "url": "x", "zones": [LANE]},
    ]
    text = yaml.safe_dump({"cameras": entries}, allow_unicode=True, sort_keys=False, width=1000)
    for camera in "ab":
        assert entry_of(spliced(text, camera, [KERB, LANE]), camera)["zones"] == [KERB, LANE]


@pytest.mark.parametrize(
    "text",
    [
        "cameras:\n  - &one {id: a, zones: &z [{id: x, kind: any, polygon: [[0, 0], [1, 0], [1, 1]]}]}\n  - {id: b, zones: *z}\n",
        "zones: &z\n  - {id: x, kind: any, polygon: [[0, 0], [1, 0], [1, 1]]}\ncameras:\n  - id: a\n    zones: *z\n",
        "cameras:\n  - id: a\n    zones: 7\n",
    ],
    ids=["shared by another camera", "shared from above", "no list"],
)
def test_what_a_machine_cannot_change_alone_is_left_to_a_person(text):
    with pytest.raises(Unwritable):
        spliced(text, "a", [KERB])


def test_zones_that_a_merge_brings_are_said_anew_by_the_camera_itself():
    text = f"cameras:\n  - &one\n    id: a\n    zones: [{ALL}]\n  - <<: *one\n    id: b\n"
    after = spliced(text, "b", [KERB])
    assert entry_of(after, "b")["zones"] == [KERB]
    assert entry_of(after, "a") == entry_of(text, "a")


def test_a_camera_or_a_file_that_is_none_is_said():
    with pytest.raises(Unwritable, match="no camera 'x'"):
        spliced(BLOCK, "x", [KERB])
    with pytest.raises(Unreadable):
        spliced("cameras: [", "a", [KERB])
    assert zone_text.entry_of("cameras: 3", "a") is None
