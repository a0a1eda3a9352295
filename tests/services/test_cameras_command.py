"""`citybrain cameras list` and `probe` on a city of good and bad cameras: who answers, with what, and why the others do not."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from pathlib import Path

import pytest

from citybrain.demo.simulator import Simulator
from tests.unit.ingest.clips import make_clip

PASSWORD = "planted-secret-9917"


async def command(*words: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "citybrain", "cameras", *words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=Path.cwd(),
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


@pytest.fixture
async def config(tmp_path):
    footage, folder = tmp_path / "footage", tmp_path / "config"
    footage.mkdir()
    make_clip(footage / "street.mp4", seconds=4, seed=1, group=10)
    make_clip(footage / "lane.mp4", seconds=4, seed=2, group=20, codec="hevc")
    shutil.copytree("tests/configs/folders/good", folder)
    async with Simulator(footage, users={"admin": PASSWORD}) as simulator:
        addresses = {
            "north gate": simulator.url("street", user="admin", password=PASSWORD),
            "north lane": simulator.url("lane", user="admin", password=PASSWORD),
            "south gate": simulator.url("street", user="admin", password="another"),
            "south lane": "rtsp://127.0.0.1:9/x",
            "老桥": simulator.url("none", user="admin", password=PASSWORD),
        }
        (folder / "cameras.yaml").write_text(
            "cameras:\n"
            + "".join(
                f"  - {{id: cam-{n}, name: {name}, url: '{url}', grid_cell: '53011100100100{n}'}}\n"
                for n, (name, url) in enumerate(addresses.items())
            )
        )
        yield str(folder)


async def test_each_camera_is_opened_and_says_what_it_is_or_what_is_wrong_with_it(config):
    status, out, err = await command("probe", "--config", config, "--json", "--concurrency", "3")
    assert status == 1
    told = {each["id"]: each for each in map(json.loads, out.splitlines())}
    assert {id: (each["state"], each["reason"]) for id, each in told.items()} == {
        "cam-0": ("live", ""),
        "cam-1": ("live", ""),
        "cam-2": ("refused", "wrong password"),
        "cam-3": ("lost", "refused"),
        "cam-4": ("refused", "not found"),
    }
    assert (told["cam-0"]["codec"], told["cam-0"]["keyframe_s"]) == ("h264", 1.0)
    assert (told["cam-1"]["codec"], told["cam-1"]["keyframe_s"]) == ("hevc", 2.0)
    assert told["cam-0"]["fps"] == pytest.approx(10, abs=1)
    assert (told["cam-0"]["width"], told["cam-0"]["height"], told["cam-0"]["clock_ok"]) == (320, 192, True)
    assert PASSWORD not in out + err


async def test_a_table_is_for_people_and_0_says_that_all_answered(config):
    status, out, _ = await command("probe", "--config", config, "--text", "north")
    assert status == 0
    heading, *rows = out.splitlines()
    assert heading.split() == ["camera", "state", "codec", "size", "keyframe", "rate", "clock", "took", "reason"]
    assert [row.split()[:4] for row in rows] == [
        ["cam-0", "live", "h264", "320×192"],
        ["cam-1", "live", "hevc", "320×192"],
    ]


@pytest.mark.parametrize(
    ("words", "ids"),
    [
        ((), "01234"),
        (("--text", "SOUTH"), "23"),
        (("--text", "老"), "4"),
        (("--camera", "cam-3", "--camera", "cam-1"), "13"),
        (("--grid-cell", "530111001001002"), "2"),
        (("--grid-cell", "9"), ""),
    ],
)
async def test_the_list_is_of_those_that_are_asked_for(config, words, ids):
    status, out, _ = await command("list", "--config", config, "--json", *words)
    assert status == 0
    told = [json.loads(line) for line in out.splitlines()]
    assert [each["id"] for each in told] == [f"cam-{n}" for n in ids]
    assert all(each["file"].endswith("cameras.yaml") for each in told)
    assert PASSWORD not in out


async def test_a_camera_that_is_not_there_is_told_with_those_that_are(config):
    status, _, err = await command("list", "--config", config, "--camera", "cam-9")
    assert status == 2
    assert "--camera cam-9: no such camera; there are cam-0, cam-1" in err
