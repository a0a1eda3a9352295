"""The closed loop in real processes: a camera is asked, what it sees sends the case back, and closes it, with pictures."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import httpx
import numpy as np
import pytest

from bench.ports import free_port
from citybrain.demo.simulator import Simulator

FPS, LENGTH_S, FIRE_FROM_S, FIRE_UNTIL_S = 5, 70, 15, 45
RED = (200, 360, 120, 240)
"""Left, right, top, bottom of what burns, in pixels of 640×360."""
SCENE = """
id: burning
title: {zh: 烟火, en: Fire}
status: live
rule: presence
when: {labels: [fire]}
hold: 2s
max_gap: 5s
clear_after: 3s
verify_for: 3s
case: {code: "1", unit: fire, deadline: 1h}
tests:
  - {name: burns, looks: fire x3, every: 1s, expect: [begins 2s]}
  - {name: does not, looks: none x3, every: 1s}
"""
CAMERA = "cameras:\n  - {id: yard, name: yard, look_every: 500ms, url: '%s'}\n"


def burning(path: Path, *, length_s: int = LENGTH_S) -> None:
    """A grey yard in which something red stands for half a minute; a short clip ends before it burns."""
    noise = np.random.default_rng(7)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt, stream.time_base = 640, 360, "yuv420p", Fraction(1, FPS)
        stream.options = {
            "preset": "ultrafast",
            "x264-params": f"keyint={FPS}:min-keyint={FPS}:scenecut=0:bframes=0",
        }
        still = noise.integers(70, 150, (45, 80)).repeat(8, 0).repeat(8, 1)[..., None].repeat(3, 2)
        left, right, top, bottom = RED
        for index in range(length_s * FPS):
            picture = still + noise.integers(-4, 5, still.shape)
            if FIRE_FROM_S <= index / FPS < FIRE_UNTIL_S:
                picture[top:bottom, left:right] = (255, 0, 0)
            frame = av.VideoFrame.from_ndarray(picture.astype(np.uint8), format="rgb24")
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def burns(jpeg: bytes) -> bool:
    """Whether the picture shows what is red."""
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    scale = picture.shape[1] / 640
    left, right, top, bottom = (int(each * scale) for each in RED)
    blue, _, red = picture[top:bottom, left:right].mean((0, 1))
    return bool(red > 150 and blue < 80)


def shown(case: dict[str, Any], role: str) -> dict[str, Any]:
    """The newest piece of evidence of the case that is for this."""
    return [each for each in case["evidence"] if each["role"] == role][-1]


class City:
    """`citybrain up` over one simulated camera, and what people see of it."""

    def __init__(self, folder: Path, address: str) -> None:
        self.config, self.data = folder / "config", folder / "data"
        for name in ("scenes", "detectors"):
            (self.config / name).mkdir(parents=True)
        (self.config / "scenes/burning.yaml").write_text(SCENE)
        (self.config / "detectors/city.yaml").write_text("backend: scripted\n")
        (self.config / "cameras.yaml").write_text(CAMERA % address)
        self.port = free_port()
        self.http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", timeout=30)

    async def until_live(self) -> None:
        """Until the camera is looked at."""
        async with asyncio.timeout(120):
            while True:
                with suppress(httpx.HTTPError):
                    answer = await self.http.get("/v1/cameras")
                    if [each["state"] for each in answer.json()["items"]] == ["live"]:
                        return
                await asyncio.sleep(0.2)

    async def until(self, claim: Callable[[dict[str, Any]], bool], *, seconds: float = 60) -> dict[str, Any]:
        """The first case, once the claim holds."""
        found: Any = None
        try:
            async with asyncio.timeout(seconds):
                while True:
                    try:
                        found = (await self.http.get("/v1/cases")).json()["items"]
                        if found and claim(found[-1]):
                            return found[-1]
                    except httpx.HTTPError as error:
                        found = error
                    await asyncio.sleep(0.2)
        except TimeoutError:
            raise AssertionError(f"never became so: {found}") from None

    async def act(self, case: dict[str, Any], action: str) -> None:
        answer = await self.http.post(f"/v1/cases/{case['id']}/actions", json={"action": action})
        assert answer.status_code == 200, answer.text

    async def picture(self, evidence: dict[str, Any]) -> bytes:
        answer = await self.http.get(f"/v1/evidence/{evidence['ref']}")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
        return answer.content


@pytest.fixture
async def city(tmp_path):
    footage, before = tmp_path / "footage", tmp_path / "before"
    for folder, length_s in ((footage, LENGTH_S), (before, 4)):
        folder.mkdir()
        burning(folder / "yard.mp4", length_s=length_s)
    async with Simulator(before) as simulator:
        running = City(tmp_path, simulator.url("yard"))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "citybrain", "up", "--config", running.config, "--data", running.data),
            *("--port", str(running.port), "--workers", "1"),
            env=os.environ | {"PYTHONPATH": str(Path.cwd())},
        )
        try:
            await running.until_live()
        except BaseException:
            process.terminate()
            raise
    # Only now the story begins: on a busy machine it would be half over before anybody looks.
    async with Simulator(footage, port=simulator.port):
        yield running
        await running.http.aclose()
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 60) == 0


@pytest.mark.timeout(500)
async def test_a_unit_that_is_done_too_early_has_its_case_again_and_then_it_is_verified_and_closed_with_before_and_after(
    city,
):
    case = await city.until(lambda _: True, seconds=120)
    await city.act(case, "handle")
    await city.act(case, "verify")
    early = await city.until(lambda case: case["reason"] == "still there", seconds=60)
    assert (early["state"], early["actor"], early["done_at"]) == ("handling", "citybrain", None)
    assert burns(await city.picture(shown(early, "after")))

    await city.until(lambda case: not case["present"], seconds=90)
    await city.act(case, "verify")
    closed = await city.until(lambda case: case["state"] == "closed", seconds=60)
    assert (closed["reason"], closed["actor"], closed["verified_at"]) == (
        "seen to be gone",
        "citybrain",
        closed["closed_at"],
    )
    before, after = closed["evidence"][0], shown(closed, "after")
    assert before["role"] in ("first", "confirming")
    assert burns(await city.picture(before))
    assert not burns(await city.picture(after))
    assert after["captured_at"] > closed["done_at"], "it was looked at again, and not what was known before"

    timeline = (await city.http.get(f"/v1/cases/{case['id']}/timeline")).json()["items"]
    kinds = [each["type"].rpartition(".")[2] for each in timeline]
    assert kinds[-2:] == ["verified", "closed"]
