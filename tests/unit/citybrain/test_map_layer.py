"""The city's base map is checked like the rest of the configuration, and brings nothing to the wall that is not drawn."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from citybrain import assembly, map_layer
from citybrain.errors import Fault
from citybrain.map_layer import NO_LAYER, MapFile, load

LINE = {"type": "LineString", "coordinates": [[102.70000049, 25.0, 1890.0], [102.8, 25.0]]}
DEMO = Path(__file__).parents[3] / "configs" / "demo"
GOOD = Path(__file__).parents[2] / "configs" / "folders" / "good"


def feature(geometry=LINE, **properties):
    return {"type": "Feature", "properties": properties, "geometry": geometry}


def written(folder: Path, *features, **more) -> Path:
    collection = {"type": "FeatureCollection", "features": list(features), **more}
    (folder / "map.geojson").write_text(json.dumps(collection))
    return folder


def faults_of(folder: Path) -> list[str]:
    faults: list[Fault] = []
    assert load(folder, faults=faults) is NO_LAYER
    return [str(fault).removeprefix(f"{folder}/") for fault in faults]


def test_what_is_served_is_what_is_drawn(tmp_path):
    road = feature(kind="road", name="关上路", owner="somebody", phone="139…")
    lake = feature(
        {"type": "Polygon", "coordinates": [[[1, 1], [2, 1], [2, 2], [1, 1]]]}, name={"zh": "湖", "en": "Lake"}
    )
    place = feature({"type": "Point", "coordinates": [102.7, 25.0]})
    faults: list[Fault] = []
    layer = load(written(tmp_path, road, lake, place), faults=faults)
    assert faults == []
    served = json.loads(layer.content)["features"]
    assert [each["properties"] for each in served] == [
        {"kind": "road", "name": {"zh": "关上路", "en": "关上路"}},
        {"kind": "boundary", "name": {"zh": "湖", "en": "Lake"}},
        {"kind": "place"},
    ]
    assert served[0]["geometry"]["coordinates"] == [[102.7, 25.0], [102.8, 25.0]]


def test_no_file_is_an_empty_layer_and_no_fault(tmp_path):
    assert faults_of(tmp_path) == []


@pytest.mark.parametrize(
    ("features", "more", "expected"),
    [
        (
            [feature(kind="motorway")],
            {},
            "features[0].properties.kind: 'motorway' is not drawn. Known: boundary, building",
        ),
        (
            [feature({"type": "MultiPoint", "coordinates": []})],
            {},
            "features[0].geometry: expected a geometry of Point",
        ),
        ([feature(), "road"], {}, "features[1].geometry: expected a geometry of Point"),
        (
            [feature({"type": "LineString", "coordinates": [[25.0, 102.7], [25.0, 102.8]]})],
            {},
            "features[0].geometry.coordinates: expected lon within 180 and lat within 85, got [25.0, 102.7]. Longitude first",
        ),
        (
            [feature({"type": "Point", "coordinates": ["1", 2]})],
            {},
            "features[0].geometry.coordinates: expected [lon, lat]",
        ),
        ([], {"crs": {"properties": {"name": "EPSG:4490"}}}, "crs: names another system than EPSG:4326. Convert"),
    ],
    ids=["kind", "geometry", "no feature", "swapped", "text", "crs"],
)
def test_each_fault_is_named(tmp_path, features, more, expected):
    (fault,) = faults_of(written(tmp_path, *features, **more))
    assert fault.startswith(f"map.geojson: {expected}")


@pytest.mark.parametrize("content", ["{torn", "[]", '{"features": 1}', "[" * 100_000])
def test_what_is_no_map_is_told(tmp_path, content):
    (tmp_path / "map.geojson").write_text(content)
    (fault,) = faults_of(tmp_path)
    assert "GeoJSON" in fault or "FeatureCollection" in fault


def test_a_map_that_is_too_large_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(map_layer, "MOST_POINTS", 3)
    (fault,) = faults_of(written(tmp_path, feature(), feature(), feature()))
    assert fault == "map.geojson: features[1]: is beyond 3 points. Simplify the lines."
    monkeypatch.setattr(map_layer, "MOST_BYTES", 10)
    (fault,) = faults_of(tmp_path)
    assert "expected at most 10 bytes" in fault


def test_of_many_faults_some_are_told(tmp_path):
    assert len(faults_of(written(tmp_path, *(feature(kind="?") for _ in range(100))))) == 20


def test_a_faulty_map_leaves_the_one_before(tmp_path):
    file = MapFile(written(tmp_path, feature(kind="road")))
    before = file.now()
    (tmp_path / "map.geojson").write_text("{torn")
    assert file.now() is before
    written(tmp_path, feature(kind="rail"))
    assert file.now().etag != before.etag
    assert MapFile(None).now() is NO_LAYER


def test_the_demo_city_has_a_map_around_its_cameras():
    faults: list[Fault] = []
    layer = load(DEMO, faults=faults)
    assert faults == []
    kinds = {each["properties"]["kind"] for each in json.loads(layer.content)["features"]}
    assert kinds == set(map_layer.KINDS)


def test_check_tells_of_a_faulty_map_with_everything_else(tmp_path):
    folder = tmp_path / "city"
    shutil.copytree(GOOD, folder)
    written(folder, feature(kind="motorway"))
    _, faults = assembly.read(folder)
    assert [str(fault).removeprefix(f"{folder}/") for fault in faults] == [
        "map.geojson: features[0].properties.kind: 'motorway' is not drawn. Known: boundary, building, green, place, rail,"
        " road, street, water."
    ]
