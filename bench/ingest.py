"""What it costs to be connected: 400 substreams beside libav's way, and 1,000 cameras of which a third misbehave.

The network process is the real one. Decoding and detection are left out: its workers take each keyframe, note it and look
at none (bench/glance.py); bus and hot store keep nothing. The cameras are simulated on the same machine, in a process of
their own whose cost is told apart.
"""

from __future__ import annotations

import argparse
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import footage
from bench.machine import machine
from bench.ports import free_port
from citybrain.clock import SystemClock

PARTS = ("cost", "chaos")
CAMERAS, CROWD = 400, 1000
MOST_CPU_MS, MOST_MB = 0.6, 0.3
CONNECTED_WITHIN_S = 60.0
MOST_CONNECTS = 150  # in one second: the network process allows itself 100, and those that are redirected connect twice
_SETTLE_S = 12.0  # until as much is kept as will be
_LOOK_S = 1.0  # twice as often as keyframes come: none is passed over
_CLIPS = ("sub-h264", "sub-h265")
_STEP = 0.618034  # of a clip from one camera to the next: however many, they are spread evenly
_KILL_EVERY_S = 60.0

FAULTS = (
    "401",
    "404",
    "503",
    "silent",
    "garbage",
    "stall:0",
    "stall:20",
    "noise:15",
    "nokeyframe",
    "corrupt",
    "loss:0.02",
    "fin:10",
    "rst:10",
    "bye:10",
    "codec:sub-h265@10",
    "codec:main-h264@10",
    "sender:10",
    "session:20&fault=timeout:30",
    "timeout:6",
    "noreports",
    "clock:3600",
    "redirect:sub-h264",
    "redirect:nowhere",
    "markers:none",
    "extended",
    "jpeg",
    "audio",
    "fin:0",
)
"""What is wrong with a third of the crowd, beside those that refuse, swallow, do not resolve, and are killed each minute."""


def measure(given: argparse.Namespace) -> dict[str, Any]:
    """Both parts, or those named with `--only`; `--seconds` for the first, `--minutes` for the second."""
    parts = tuple(given.only or PARTS)
    clips = footage.clips((*_CLIPS, "main-h264"), source=given.clips)
    folder = next(iter(clips.values())).parent
    found: dict[str, Any] = {"machine": machine(), "left out": "decoding, detection, bus, hot store"}
    if "cost" in parts:
        found["cost"] = _cost(folder, given.seconds or 30.0)
    if "chaos" in parts:
        found["chaos"] = _chaos(folder, 60 * (given.minutes or 10.0))
    found["holds"] = all(found[part]["holds"] for part in parts)
    return found


# -- 400 substreams ---------------------------------------------------------------------------------------------------


def _cost(folder: Path, seconds: float) -> dict[str, Any]:
    found: dict[str, Any] = {"cameras": CAMERAS, "seconds": seconds, "clip": _CLIPS[0]}
    for name, source in (("ours", "rtsp"), ("libav, a thread per stream", "libav")):
        with _Process.started("bench.simulated", str(folder)) as simulator:
            port = int(simulator.line())
            cameras = [[f"c{index}", source, _url(port, index, _CLIPS[0]), _LOOK_S] for index in range(CAMERAS)]
            with _Process.started("bench.connected") as ingest:
                found[name] = _costs(ingest, simulator, cameras, seconds)
    ours = found["ours"]
    found["must hold"] = f"ours at most {MOST_CPU_MS} CPU-ms per camera-second and {MOST_MB} MB a camera"
    found["holds"] = (
        ours["connected"] == CAMERAS and ours["cpu_ms_per_camera_s"] <= MOST_CPU_MS and ours["mb_per_camera"] <= MOST_MB
    )
    return found


def _costs(ingest: _Process, simulator: _Process, cameras: Sequence[Sequence[Any]], seconds: float) -> dict[str, Any]:
    ingest.say(json.dumps(cameras))
    empty = ingest.ask("figures")
    ingest.ask("begin")
    _until(lambda: _live(ingest.ask("figures")) == len(cameras), CONNECTED_WITHIN_S)
    time.sleep(_SETTLE_S)
    ingest.ask("lags")
    before, served, begun_s = ingest.ask("figures"), simulator.ask("cpu"), _now_s()
    time.sleep(seconds)
    after, served_after, passed_s = ingest.ask("figures"), simulator.ask("cpu"), _now_s() - begun_s
    lags = ingest.ask("lags")
    camera_s = passed_s * len(cameras)
    return {
        "connected": _live(after),
        "cpu_ms_per_camera_s": round(1000 * (after["cpu_s"] - before["cpu_s"]) / camera_s, 3),
        "mb_per_camera": round((after["memory"] - empty["memory"]) / 1e6 / len(cameras), 3),
        "kept_mb_per_camera": round(after["kept"]["bytes"] / 1e6 / len(cameras), 3),
        "kept_short_or_cut": after["kept"]["short"] + after["kept"]["cut"],
        "threads": after["threads"],
        "looks": len(lags),
        "capture_to_look_ms_p50": round(1000 * lags[len(lags) // 2]) if lags else None,
        "capture_to_look_ms_p99": round(1000 * lags[len(lags) * 99 // 100]) if lags else None,
        "simulator_cpu_ms_per_camera_s": round(1000 * (served_after - served) / camera_s, 3),
    }


# -- 1,000 cameras, a third of them bad -------------------------------------------------------------------------------


@dataclass
class _Crowd:
    """Who is in it: addresses by camera, the good ones apart."""

    good: dict[str, str] = field(default_factory=dict)
    bad: dict[str, str] = field(default_factory=dict)

    @property
    def all(self) -> list[list[Any]]:
        return [[name, "rtsp", url, _LOOK_S] for name, url in (self.good | self.bad).items()]


def _chaos(folder: Path, seconds: float) -> dict[str, Any]:
    with ExitStack() as stack:
        simulator = stack.enter_context(_Process.started("bench.simulated", str(folder)))
        port = int(simulator.line())
        doomed_port = free_port()
        doomed = _Doomed(folder, doomed_port)
        stack.callback(doomed.kill)
        crowd = _crowd(port, doomed_port, stack.enter_context(_swallowing()))
        ingest = stack.enter_context(_Process.started("bench.connected"))
        ingest.say(json.dumps(crowd.all))
        begun_s = _now_s()
        ingest.ask("begin")
        _until(lambda: _live(ingest.ask("figures"), crowd.good) == len(crowd.good), 2 * CONNECTED_WITHIN_S)
        connected_s = _now_s() - begun_s
        ingest.ask("lags")
        before, measured_s = ingest.ask("figures"), _now_s()
        while _now_s() - begun_s < seconds:
            time.sleep(1.0)
            doomed.live()
        after, passed_s, lags = ingest.ask("figures"), _now_s() - measured_s, ingest.ask("lags")
        simulator.ask("halt")
        time.sleep(3.0)  # what was sent arrives
        last, sent, connects = ingest.ask("figures"), simulator.ask("sent"), simulator.ask("connects")
        simulator_pause_s = simulator.ask("pause")
        ingest.say("stop")
    missing = {name: sent.get(url.rpartition("/")[2], 0) - last["cameras"][name][2] for name, url in crowd.good.items()}
    reasons: dict[str, int] = {}
    for name in crowd.bad:
        state, reason, *_ = after["cameras"][name]
        reasons[f"{state} {reason}".strip()] = reasons.get(f"{state} {reason}".strip(), 0) + 1
    lost = sum(missing.values())
    return {
        "cameras": CROWD,
        "misbehaving": len(crowd.bad),
        "seconds": round(seconds),
        "good ones connected after_s": round(connected_s, 1),
        "most connections in a second": connects[-1],
        "connections in all": sum(connects),
        "keyframes sent to good ones": sum(sent.get(url.rpartition("/")[2], 0) for url in crowd.good.values()),
        "looks lost by good ones": lost,
        "of them overtaken by a newer keyframe": sum(last["cameras"][name][3] for name in crowd.good),
        "longest pause of ingest_s": round(after["longest_pause_s"], 2),
        "longest pause of the simulator_s": round(simulator_pause_s, 2),
        "good ones that reconnected": sum(last["cameras"][name][5] > 0 for name in crowd.good),
        "reconnects of bad ones": sum(last["cameras"][name][5] for name in crowd.bad),
        "cpu_ms_per_camera_s": round(1000 * (after["cpu_s"] - before["cpu_s"]) / passed_s / CROWD, 3),
        "threads": after["threads"],
        "memory_mb": round(after["memory"] / 1e6),
        "kept_mb": round(after["kept"]["bytes"] / 1e6),
        "capture_to_look_ms_p99": round(1000 * lags[len(lags) * 99 // 100]) if lags else None,
        "what the bad ones are called": dict(sorted(reasons.items())),
        "must hold": (
            f"connected within {CONNECTED_WITHIN_S:.0f} s with at most {MOST_CONNECTS} connections in a second, and not one "
            "look lost by those that behave, which never reconnect"
        ),
        "holds": connected_s <= CONNECTED_WITHIN_S
        and connects[-1] <= MOST_CONNECTS
        and all(count == 0 for count in missing.values())
        and not any(last["cameras"][name][5] for name in crowd.good),
    }


def _crowd(port: int, doomed_port: int, swallowing_port: int) -> _Crowd:
    crowd = _Crowd()
    for index in range(CROWD):
        clip = _CLIPS[index % 7 == 0]
        if index % 3:
            crowd.good[f"good{index}"] = _url(port, index, clip)
            continue
        at = index // 3 % (len(FAULTS) + 4)
        beside = (
            f"rtsp://127.0.0.1:{free_port()}/{clip}",
            f"rtsp://127.0.0.1:{swallowing_port}/{clip}",
            "rtsp://camera.invalid/live",
            _url(doomed_port, index, clip),
        )
        crowd.bad[f"bad{index}"] = (
            f"{_url(port, index, clip)}?fault={FAULTS[at]}" if at < len(FAULTS) else beside[at - len(FAULTS)]
        )
    return crowd


@dataclass
class _Doomed:
    """A recorder that is killed each minute and comes back half a minute later."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None
    turn_s: float = 0.0

    def live(self) -> None:
        if _now_s() - self.turn_s < _KILL_EVERY_S / 2:
            return
        self.turn_s = _now_s()
        if self.process is not None:
            self.kill()
            return
        command = [sys.executable, "-m", "citybrain.demo.simulator", "--folder", str(self.folder)]
        self.process = subprocess.Popen(
            [*command, "--port", str(self.port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@contextmanager
def _swallowing() -> Iterator[int]:
    """A port whose queue is full: who tries to connect hears nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server, ExitStack() as stack:
        port = int(server.getsockname()[1])
        for _ in range(4):
            filling = stack.enter_context(socket.socket())
            filling.setblocking(False)
            filling.connect_ex(("127.0.0.1", port))
        yield port


# -- processes --------------------------------------------------------------------------------------------------------


class _Process:
    """One of ours, asked line by line."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    @classmethod
    @contextmanager
    def started(cls, module: str, *arguments: str) -> Iterator[_Process]:
        command = [sys.executable, "-m", module, *arguments]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        try:
            yield cls(process)
        finally:
            for each in (process.stdin, process.stdout):
                if each is not None:
                    each.close()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def ask(self, line: str) -> Any:
        self.say(line)
        return json.loads(self.line())


def _url(port: int, index: int, clip: str) -> str:
    return f"rtsp://127.0.0.1:{port}/{clip}~{index * _STEP % 1 * 60:.3f}"


def _live(figures: Mapping[str, Any], among: Mapping[str, Any] | None = None) -> int:
    return sum(each[0] == "live" for name, each in figures["cameras"].items() if among is None or name in among)


def _until(holds: Any, limit_s: float) -> None:
    until_s = _now_s() + limit_s
    while _now_s() < until_s and not holds():
        time.sleep(0.5)


def _now_s() -> float:
    return SystemClock().monotonic()
