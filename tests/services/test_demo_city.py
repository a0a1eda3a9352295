"""The demo city as `make run` starts it: real streams, the real detector, real processes, a real desk."""

import time
from functools import partial
from typing import Any

import pytest

from bench import stories
from bench.running import FOOTAGE, running, wait_until
from citybrain import assembly
from citybrain.demo.city import CONFIG, DemoCity
from citybrain.domain.case import STAMPS

pytestmark = pytest.mark.timeout(600)  # the first of them encodes the clips: minutes where much else runs

KERB = {"kerb-a", "kerb-b"}
PATIENCE_S = 150  # a car parks at second 17, half a minute must pass, and a killed role needs some seconds to be back


@pytest.fixture(scope="module", autouse=True)
def footage():
    DemoCity(data=FOOTAGE.parent, footage=FOOTAGE, epoch=stories.START).build_footage(lambda *_: None)


@pytest.fixture(scope="module")
def configuration():
    return assembly.load(CONFIG)


@pytest.mark.parametrize("camera", ["kerb-a", "flood", "fire", "stalls", "junction"])
def test_a_clip_gives_the_cases_its_story_tells(camera, configuration):
    told = stories.row(configuration, camera)
    assert told["right"], told


def test_cases_reach_the_desk_with_picture_box_place_and_latency_whatever_role_dies():
    with running() as city:
        for role in ("worker", "ingest", "pipeline", "api", "desk"):
            time.sleep(4)
            wait_until(partial(city.kill, role), timeout_s=60, what=f"a {role} is running")
        scenes = {"illegal_parking", "fire_risk", "stall_spillover"}
        wait_until(
            lambda: scenes <= {each["data"]["scene"] for each in city.get("/cases", desk=True)["cases"]},
            timeout_s=PATIENCE_S,
            what="the desk has a case of each scene that begins early",
        )
        wait_until(
            lambda: any(set(case["cameras"]) == KERB for case in city.get("/v1/cases")["items"]),
            timeout_s=60,
            what="the car that two cameras see is one case",
        )
        cases: list[dict[str, Any]] = []

        def is_answered():
            cases[:] = city.get("/v1/cases?limit=200")["items"]  # another may be filed any moment
            return all(case["posted_at"] for case in cases)

        wait_until(is_answered, timeout_s=60, what="the desk's answers are in the view")
        at_desk = {each["case"]: each for each in city.get("/cases", desk=True)["cases"]}
        figures = city.get("/v1/stats")["figures"]
        cameras = city.get("/v1/cameras")["items"]
        log = city.log.read_text()
        password = city.city.password
        shown = {each["ref"]: each for case in cases for each in case["evidence"]}
        fetched = {ref: city.fetch(f"/v1/evidence/{ref}") for ref in shown}
    assert len(cameras) == 10
    for case in cases:
        assert set(case["stamps"]) == set(STAMPS)
        assert case["latency_s"] > 0
        assert case["location"]["crs"] == "EPSG:4326"
        assert case["external_id"] == at_desk[case["id"]]["external_id"]
        assert any(each["role"] == "confirming" and each["box"] for each in case["evidence"])
    assert [set(case["cameras"]) for case in cases if KERB & set(case["cameras"])] == [KERB]
    assert shown
    for ref, content in fetched.items():
        clip = shown[ref].get("kind") == "clip"
        assert content[4:8] == b"ftyp" if clip else content.startswith(b"\xff\xd8"), ref
    assert not [name for name, value in figures.items() if name.endswith(".imbalance") and value]
    assert password not in log
    assert password not in str(cases) + str(cameras)
