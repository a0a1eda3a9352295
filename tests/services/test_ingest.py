"""Simulated cameras over real RTSP, real network process, real workers: one camera's trouble is its own."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from pydantic import SecretStr

from citybrain import wire
from citybrain.clock import SystemClock
from citybrain.demo.simulator import Simulator
from citybrain.domain.camera import Camera, Text
from citybrain.domain.detection import Detections, Looked, Usable
from citybrain.ports import Message
from ingest.config import CameraSettings
from ingest.network import Network
from ingest.plan import Plan
from ingest.secrets import masked
from ingest.turns import Turns
from ingest.workers import WorkerPool
from tests.unit.ingest.clips import make_clip

PASSWORD = "planted-secret-7731"
LOOK = timedelta(milliseconds=400)


class Log:
    """A bus that remembers."""

    def __init__(self) -> None:
        self.seen: dict[str, list[Detections]] = defaultdict(list)

    def offer(self, topic: str, key: str, value: bytes) -> None:
        assert topic == wire.DETECTIONS
        self.seen[key].append(wire.read_detections(value))

    def end(self, topic: str) -> int:
        return 0

    def read(self, topics: Sequence[str], *, after: int) -> list[Message]:
        """Nobody asks anything of a camera."""
        return []


class Board:
    """A hot store that remembers."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}

    def put(self, key: str, value: bytes, *, ttl: timedelta | None = None) -> None:
        self.values[key] = value

    def state(self, camera: str) -> dict:
        return json.loads(self.values.get(f"camera/{camera}", b'{"state": "", "reason": "", "looks": 0}'))


def further(city: City, before: dict[str, int]) -> bool:
    """Whether every camera has been looked at more than once since."""
    return all(city.looks(name) > looks + 1 for name, looks in before.items())


class City:
    """What a test sees of a running network process."""

    def __init__(self, pool: WorkerPool, cameras: list[CameraSettings], *, turns: Turns | None = None) -> None:
        self.pool, self.bus, self.hot = pool, Log(), Board()
        self.network = Network(
            Plan(cameras),
            workers=pool,
            bus=self.bus,  # type: ignore[arg-type]
            hot=self.hot,  # type: ignore[arg-type]
            clock=SystemClock(),
            turns=turns,
        )

    async def until(self, claim: Callable[[], bool], *, seconds: float = 45) -> None:
        try:
            async with asyncio.timeout(seconds):
                while not claim():  # noqa: ASYNC110  # states are told by the second, and only read here
                    await asyncio.sleep(0.1)
        except TimeoutError:
            states = {key: json.loads(value) for key, value in self.hot.values.items()}
            pytest.fail(f"it did not come true: {json.dumps(states, indent=1)}")

    def is_in(self, camera: str, state: str, reason: str = "") -> bool:
        now = self.hot.state(camera)
        return (now["state"], now["reason"]) == (state, reason)

    def looks(self, camera: str) -> int:
        return self.hot.state(camera)["looks"]


def camera(name: str, url: str) -> CameraSettings:
    return CameraSettings(Camera(name, Text(name, name)), "rtsp", SecretStr(url), masked(url), LOOK)


@asynccontextmanager
async def running(cameras: list[CameraSettings], *options: str, workers: int = 1, **pool) -> AsyncIterator[City]:
    command = [sys.executable, "-m", "tests.services.ingest_worker", "{fd}", *options]
    city = City(WorkerPool(command, count=workers, **pool), cameras)
    stop = asyncio.Event()
    task = asyncio.create_task(city.network.run(stop))
    try:
        yield city
    finally:
        pids = city.pool.pids
        stop.set()
        await asyncio.wait_for(task, 60)
        assert city.pool.pids == []
        for pid in pids:
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)


@pytest.fixture(scope="module")
def footage(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("footage")
    for index, name in enumerate(["street", "yard", "lane"]):
        make_clip(folder / f"{name}.mp4", seconds=3, seed=index, group=4)
    make_clip(folder / "avenue.mp4", codec="hevc", seconds=3, seed=9, group=4)
    return folder


@pytest.fixture
async def simulator(footage) -> AsyncIterator[Simulator]:
    async with Simulator(footage, users={"admin": PASSWORD}) as simulator:
        yield simulator


def at(simulator: Simulator, name: str, fault: str = "", password: str = PASSWORD) -> str:
    return simulator.url(name, user="admin", password=password, fault=fault)


async def test_bad_cameras_do_not_slow_good_ones_and_each_says_what_is_wrong_with_it(simulator, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    bad = {
        "password": (at(simulator, "street", password=PASSWORD + "x"), "refused", "wrong password"),
        "missing": (at(simulator, "nowhere"), "refused", "not found"),
        "away": (at(simulator, "street", "503"), "lost", "unavailable"),
        "silent": (at(simulator, "street", "silent"), "lost", "silent"),
        "garbage": (at(simulator, "street", "garbage"), "lost", "garbage"),
        "stalled": (at(simulator, "street", "stall"), "lost", "silent"),
        "keyless": (at(simulator, "street", "nokeyframe"), "lost", "no keyframe"),
        "corrupt": (at(simulator, "street", "corrupt"), "lost", "no picture"),
        "changed": (at(simulator, "street", "codec:avenue@3"), "lost", "codec changed"),
        "short": (at(simulator, "street", "fin:0.1"), "lost", "ended"),
        "off": (f"rtsp://admin:{PASSWORD}@127.0.0.1:9/street", "lost", "refused"),
        "nameless": (f"rtsp://admin:{PASSWORD}@camera.invalid/street", "lost", "unresolvable"),
    }
    good = {name: at(simulator, name) for name in ("yard", "lane", "avenue")}
    cameras = [camera(name, url) for name, url in good.items()]
    cameras += [camera(name, url) for name, (url, _, _) in bad.items()]
    async with running(cameras) as city:
        waiting = dict(bad)
        await city.until(lambda: all(city.is_in(name, "live") for name in good))
        begun = {name: city.looks(name) for name in good}
        started = asyncio.get_running_loop().time()

        def all_told() -> bool:
            for name, (_, state, reason) in list(waiting.items()):
                if city.is_in(name, state, reason):
                    del waiting[name]
            return not waiting

        await city.until(all_told, seconds=100)
        elapsed = asyncio.get_running_loop().time() - started
        for name in good:
            now = city.hot.state(name)
            assert now["state"] == "live"
            assert now["reconnects"] == 0
            assert now["looks"] - begun[name] >= 0.7 * elapsed / LOOK.total_seconds()
            assert (now["codec"], now["width"], now["clock_ok"]) == ("hevc" if name == "avenue" else "h264", 320, True)
        assert city.hot.state("password")["reason_zh"] == "用户名或密码错误"
        told = city.bus.seen["missing"]
        assert {(each.usable, each.looked) for each in told} == {(Usable.LOST, Looked.NOT)}
        assert [each.seq for each in told] == list(range(1, len(told) + 1))
        assert not any(city.bus.seen[name] for name in good)
        beat = json.loads(city.hot.values["heartbeat/ingest/0"])
        assert beat["pid"] == os.getpid()
        assert beat["figures"]["cameras.live"] >= 3
        everything = b"".join(city.hot.values.values()).decode() + caplog.text + "".join(capfd.readouterr())
    assert PASSWORD not in everything
    assert "admin:" not in everything
    assert "wrong password" in caplog.text


def dozen(simulator, names):
    """Cameras of these names, each a little later in its clip than the one before."""
    return [camera(name, at(simulator, f"{name.partition('-')[0]}~{index / 10}")) for index, name in enumerate(names)]


async def test_a_killed_worker_costs_the_frames_it_held_and_no_connection(simulator):
    async with running([camera(name, at(simulator, name)) for name in ("yard", "lane")]) as city:
        await city.until(lambda: city.is_in("yard", "live") and city.is_in("lane", "live"))
        for _ in range(3):
            await city.until(lambda: not city.pool.away)
            (pid,) = city.pool.pids
            os.kill(pid, signal.SIGKILL)
            before = {name: city.looks(name) for name in ("yard", "lane")}
            await city.until(partial(further, city, before))
        for name in ("yard", "lane"):
            now = city.hot.state(name)
            assert now["reconnects"] == 0
            assert now["lost_looks"] <= 3
            assert now["strikes"] == 0  # a SIGKILL comes from outside: nobody's picture did it
        await city.until(lambda: city.pool.figures()["restarts"] == 3)


async def test_workers_killed_once_a_second_cost_no_connection_and_only_the_looks_in_their_hands(simulator):
    names = [f"{clip}-{number}" for clip in ("street", "yard", "lane") for number in range(4)]
    async with running(dozen(simulator, names), workers=2, max_batch=2) as city:
        await city.until(lambda: all(city.is_in(name, "live") for name in names))
        before = {name: city.looks(name) for name in names}
        for kills in range(1, 16):
            await city.until(lambda: not city.pool.away)  # a machine may be too busy to start one within the second
            os.kill(city.pool.pids[kills % 2], signal.SIGKILL)
            await asyncio.sleep(1)
        await city.until(partial(further, city, before))
        states = [city.hot.state(name) for name in names]
        figures = city.pool.figures()
    looked = sum(each["looks"] for each in states) - sum(before.values())
    lost = sum(each["lost_looks"] for each in states)
    print(f"{kills} kills, {figures['restarts']} restarts, {looked} looks, {lost} lost")
    assert {each["state"] for each in states} == {"live"}
    assert sum(each["reconnects"] for each in states) == 0
    assert sum(each["strikes"] for each in states) == 0
    assert lost <= kills * 2  # what a worker has in its hands: max_batch
    assert figures["restarts"] >= kills - 1


async def test_while_a_worker_is_away_the_other_looks_in_its_place(simulator, caplog):
    names = [f"{clip}-{number}" for clip in ("street", "yard", "lane") for number in range(4)]
    async with running(dozen(simulator, names), workers=2, max_batch=2) as city:
        await city.until(lambda: all(city.is_in(name, "live") for name in names) and not city.pool.away)
        _, stays = city.pool.pids
        before = {name: city.looks(name) for name in names}

        def looked_at_by_one() -> bool:
            for pid in city.pool.pids:
                if pid != stays:
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)  # before it stands ready
            return further(city, before)

        await city.until(looked_at_by_one)
    assert "(SIGKILL)" in caplog.text
    assert "(exit status" not in caplog.text


async def test_a_camera_whose_pictures_crash_the_decoder_rests_and_the_others_go_on(simulator):
    cameras = [camera(name, at(simulator, name)) for name in ("yard", "lane", "street")]
    async with running(cameras, "--crash-on", "lane") as city:
        await city.until(lambda: city.hot.state("lane").get("strikes") == 3)
        before = {name: city.looks(name) for name in ("yard", "street")}
        await city.until(lambda: all(city.looks(name) > before[name] + 5 for name in before))
        assert city.hot.state("lane")["strikes"] == 3
        assert city.hot.state("lane")["looks"] == 0
        assert city.hot.state("yard")["strikes"] <= 1
        assert city.hot.state("street")["strikes"] <= 1
        assert city.hot.state("lane")["reason"] == "decoder crash"


async def test_a_worker_that_hangs_is_killed_and_another_takes_its_place(simulator):
    cameras = [camera(name, at(simulator, name)) for name in ("yard", "lane")]
    async with running(cameras, "--hang-on", "lane", patience=timedelta(seconds=1)) as city:
        await city.until(lambda: city.hot.state("lane").get("strikes") == 3)
        before = city.looks("yard")
        await city.until(lambda: city.looks("yard") > before + 5)


async def test_a_camera_that_was_cut_off_comes_back_by_itself(simulator):
    async with running([camera("yard", at(simulator, "yard"))]) as city:
        await city.until(lambda: city.is_in("yard", "live"))
        simulator.blackout("yard", True)
        await city.until(lambda: city.hot.state("yard")["state"] == "lost")
        await city.until(lambda: len(city.bus.seen["yard"]) >= 1)
        simulator.blackout("yard", False)
        await city.until(lambda: city.is_in("yard", "live"))
        assert city.hot.state("yard")["reconnects"] >= 1


async def test_a_camera_whose_clock_is_behind_is_lost_by_its_own_clock(simulator):
    """By ours, its first looks after the recovery would come before the last that saw nothing, and be passed over."""
    async with running([camera("late", at(simulator, "yard", "clock:-4"))]) as city:
        await city.until(lambda: city.is_in("late", "live"))
        simulator.blackout("yard", True)
        await city.until(lambda: bool(city.bus.seen["late"]))
    lost = city.bus.seen["late"][0]
    assert (lost.usable, lost.clock_ok) == (Usable.LOST, True)
    assert timedelta(seconds=3) < lost.stamps["received"] - lost.captured_at < timedelta(seconds=5)


async def test_a_camera_that_changes_its_codec_is_opened_anew(simulator):
    async with running([camera("street", at(simulator, "street"))]) as city:
        await city.until(lambda: city.is_in("street", "live"))
        await simulator.recode("street", "avenue")
        await city.until(lambda: city.hot.state("street")["codec"] == "hevc" and city.is_in("street", "live"))


async def test_cameras_come_change_and_go_and_the_others_do_not_notice(simulator):
    lane, yard, street = (camera(name, at(simulator, name)) for name in ("lane", "yard", "street"))
    async with running([yard, lane]) as city:
        await city.until(lambda: city.is_in("yard", "live") and city.is_in("lane", "live"))
        told = city.network.reconcile(Plan([yard, street], briefing=b"second"))
        assert (told.added, told.removed, told.changed) == (("street",), ("lane",), ())
        city.hot.values.pop("camera/lane")
        await city.until(lambda: city.is_in("street", "live"))
        moved = camera("street", at(simulator, "avenue"))
        assert city.network.reconcile(Plan([yard, moved], briefing=b"third")).reopened == ("street",)
        await city.until(lambda: city.is_in("street", "live") and city.hot.state("street")["codec"] == "hevc")
        before = city.looks("yard")
        await city.until(lambda: city.looks("yard") > before + 3)
        now = city.hot.state("yard")
        assert (now["state"], now["reconnects"], now["lost_looks"]) == ("live", 0, 0)
        assert "camera/lane" not in city.hot.values
        assert city.pool.figures()["restarts"] == 0


async def test_a_configuration_that_workers_refuse_leaves_the_old_one_in_place_and_says_so(simulator, caplog):
    yard = camera("yard", at(simulator, "yard"))
    async with running([yard], workers=2) as city:
        await city.until(lambda: city.is_in("yard", "live"))
        city.network.reconcile(Plan([yard], briefing=b"refuse this"))
        await city.until(lambda: city.pool.figures()["refused"] == 2)
        for pid in city.pool.pids:  # who comes later works by what was accepted, too
            os.kill(pid, signal.SIGKILL)
        before = city.looks("yard")
        await city.until(lambda: city.looks("yard") > before + 3 and city.pool.figures()["refused"] == 2)
        city.network.reconcile(Plan([yard], briefing=b"good again"))
        await city.until(lambda: city.pool.figures()["refused"] == 0)
        await city.until(lambda: city.is_in("yard", "live"))
    assert "goes on by the configuration it had: it was to be refused" in caplog.text


async def test_after_a_power_cut_a_district_comes_back_in_turns_and_in_no_storm():
    per_second, knocks = 25, list[tuple[float, str]]()
    loop = asyncio.get_running_loop()

    async def refuses(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        knocks.append((loop.time(), (await reader.readline()).decode().split()[1]))
        writer.close()

    server = await asyncio.start_server(refuses, "127.0.0.1", 0, backlog=512)
    port = server.sockets[0].getsockname()[1]
    names = [f"c{number}" for number in range(75)]
    city = City(
        WorkerPool([sys.executable, "-m", "tests.services.ingest_worker", "{fd}"], count=1),
        [camera(name, f"rtsp://127.0.0.1:{port}/{name}") for name in names],
        turns=Turns(per_second=per_second),
    )
    stop, started = asyncio.Event(), loop.time()
    task = asyncio.create_task(city.network.run(stop))
    await city.until(lambda: len(knocks) >= 150)
    took, came = knocks[-1][0] - started, len(knocks)  # more come until it has stopped
    stop.set()
    await task
    server.close()
    await server.wait_closed()
    # Each waits half a second at first, so without turns all would be back within one.
    assert came <= took * per_second + 2
    first = [url.rpartition("/")[2] for _, url in knocks[: len(names)]]
    assert len(set(first)) >= len(names) - 5  # nobody comes twice while others wait for their first turn
