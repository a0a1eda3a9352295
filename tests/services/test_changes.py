"""A running city whose cameras are added, changed and removed by writing files: the others lose no look and stay connected."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from bench.ports import free_port
from citybrain.demo.simulator import Simulator
from citybrain.wire import DETECTIONS, read_detections
from tests.unit.ingest.clips import make_clip

PASSWORD = "planted-secret-4417"
SCENE = """
id: burning
title: {zh: 烟火, en: Fire}
status: live
rule: presence
when: {labels: [fire]}
hold: 2s
max_gap: 30s
clear_after: 60s
case: {code: "1", unit: fire, deadline: 1h}
tests:
  - {name: burns, looks: fire x3, every: 1s, expect: [begins 2s]}
  - {name: does not, looks: none x3, every: 1s}
"""


class Running:
    """`citybrain up` over simulated cameras, and what people see of it."""

    def __init__(self, folder: Path, simulator: Simulator) -> None:
        self.config, self.data, self.simulator = folder / "config", folder / "data", simulator
        for name in ("scenes", "detectors", "cameras"):
            (self.config / name).mkdir(parents=True)
        (self.config / "scenes/burning.yaml").write_text(SCENE)
        # Red as the moving car is, so that a case begins on every camera.
        (self.config / "detectors/city.yaml").write_text("backend: scripted\noptions: {min_share: 0.002}\n")
        self.cameras: dict[str, str] = {}
        self.env = self.config / "cameras/town.env"
        self.env.touch(mode=0o600)
        self.env.write_text(f"TOWN_PASSWORD={PASSWORD}\n")
        self.port = free_port()
        self.http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", timeout=30)

    def write(self, **cameras: str) -> None:
        """The cameras by id, each with the clip that it shows; '' removes one."""
        self.cameras = {id: clip for id, clip in (self.cameras | cameras).items() if clip}
        lines = "".join(
            f"  - {{id: {id}, name: {id}, look_every: 500ms, url: 'rtsp://admin:${{TOWN_PASSWORD}}@127.0.0.1:"
            f"{self.simulator.port}/{clip}'}}\n"
            for id, clip in self.cameras.items()
        )
        partial = self.config / "cameras/.part"
        partial.write_text("cameras:\n" + lines)
        partial.replace(self.config / "cameras/town.yaml")

    async def states(self) -> dict[str, dict[str, Any]]:
        answer = await self.http.get("/v1/cameras")
        return {each["id"]: each for each in answer.json()["items"]}

    async def until(self, claim: Callable[[dict[str, dict[str, Any]]], bool], *, seconds: float = 120) -> None:
        found: Any = None
        try:
            async with asyncio.timeout(seconds):
                while True:
                    try:
                        found = await self.states()
                        if claim(found):
                            return
                    except httpx.HTTPError as error:
                        found = error
                    await asyncio.sleep(0.2)
        except TimeoutError:
            raise AssertionError(f"never became so: {found}") from None

    async def until_refused(self, refused: bool) -> None:
        """Until the city says that it refuses what is on disk, or that it does so no more."""
        while True:
            since = (await self.http.get("/v1/stats")).json()["configuration_refused_since"]
            if (since is not None) is refused:
                return
            await asyncio.sleep(0.2)

    def numbers(self, camera: str) -> list[int]:
        """The numbers of the camera's looks, as they stand in the log."""
        rows = self.asked("SELECT value FROM log WHERE topic = ? AND key = ? ORDER BY offset", DETECTIONS, camera)
        return [read_detections(value).seq for (value,) in rows]

    def asked(self, question: str, *values: object) -> list[tuple]:
        with sqlite3.connect(self.data / "citybrain.db") as connection:
            return connection.execute(question, values).fetchall()


@pytest.fixture
async def city(tmp_path, monkeypatch):
    footage = tmp_path / "footage"
    footage.mkdir()
    for seed, name in enumerate(("street", "yard", "lane")):
        make_clip(footage / f"{name}.mp4", seconds=3, seed=seed, group=5)
    async with Simulator(footage, users={"admin": PASSWORD}) as simulator:
        running = Running(tmp_path, simulator)
        running.write(a="street", b="yard", c="lane")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "citybrain", "up", "--config", running.config, "--data", running.data),
            *("--port", str(running.port), "--workers", "1"),
            env=os.environ | {"PYTHONPATH": str(Path.cwd())},
        )
        running.process = process  # type: ignore[attr-defined]
        yield running
        await running.http.aclose()
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 60) == 0


def live(states: dict[str, dict[str, Any]], *ids: str) -> bool:
    return set(states) == set(ids) and all(each["state"] == "live" for each in states.values())


@pytest.mark.timeout(600)
async def test_cameras_come_change_and_go_and_the_others_lose_no_look(city):
    await city.until(lambda states: live(states, "a", "b", "c"))
    city.write(d="yard")
    await city.until(lambda states: live(states, "a", "b", "c", "d"))
    viewers = city.simulator.viewers("lane")
    city.write(b="street", c="")
    await city.until(lambda states: live(states, "a", "b", "d") and city.simulator.viewers("lane") < viewers)
    (city.config / "cameras/town.yaml").write_text("cameras:\n  - {id: a, nmae: a}\n")
    await city.until_refused(True)
    faults = [fault for each in (await city.http.get("/v1/configuration")).json()["items"] for fault in each["faults"]]
    assert "nmae: is not a known key. Did you mean 'name'?" in "\n".join(faults)
    await city.until(lambda states: live(states, "a", "b", "d"))
    city.write()
    await city.until_refused(False)
    states = await city.states()
    assert states["a"]["counts"]["reconnects"] == states["d"]["counts"]["reconnects"] == 0
    for camera in ("a", "d"):
        numbers = city.numbers(camera)
        assert numbers == list(range(1, len(numbers) + 1)), camera
    unknown = city.asked("SELECT key FROM set_aside WHERE kind = 'unknown'")
    assert {key for (key,) in unknown} <= {"c"}, "only the camera that went may have been looked at once too often"
    assert PASSWORD not in (await city.http.get("/v1/configuration")).text
