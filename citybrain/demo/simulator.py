"""Simulated cameras: every clip of a folder as an endless RTSP stream, all on one clock, with faults to order.

    python -m citybrain.demo.simulator --folder clips --port 8554 --fault yard=stall
    rtsp://127.0.0.1:8554/street         the clip street.mp4, for ever
    rtsp://127.0.0.1:8554/street~12.4    the same 12.4 s ahead: many cameras of one clip, not in step
    rtsp://127.0.0.1:8554/street?fault=loss:0.02      (see rtsp_faults.py)

Pictures are never coded anew: what the clip holds is what is sent, at some 0.3 CPU-ms per second and viewer.
"""

from __future__ import annotations

import argparse
import asyncio
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import uvloop

from citybrain.clock import Clock, SystemClock, instant
from citybrain.demo.rtsp_channel import Channel, Track, Viewer
from citybrain.demo.rtsp_clip import ENDINGS, Clip, read_clip
from citybrain.demo.rtsp_faults import CameraFault, read_fault
from citybrain.demo.rtsp_login import Login
from citybrain.demo.rtsp_session import Session

_PACE_S = 0.01


class Simulator:
    """An RTSP server for a folder of clips. All began at `epoch`: cameras that watch one story tell it together."""

    def __init__(
        self,
        folder: Path,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        epoch: datetime | None = None,
        users: Mapping[str, str] | None = None,
        faults: Mapping[str, str] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.login = Login(users or {})
        self.host, self.port = host, port
        self._folder, self._clock = folder, clock or SystemClock()
        self.epoch = epoch or self._clock.now()
        self._faults = {name: [read_fault(text)] for name, text in (faults or {}).items()}
        self._channels: dict[str, Channel] = {}
        self._clips: dict[str, Clip] = {}
        self._tracks: dict[str, Track] = {}
        self._sent: Counter[str] = Counter()
        self._playing: dict[Viewer, str] = {}
        self._pacing: asyncio.Task[None] | None = None
        self.connects: Counter[int] = Counter()
        """Connections taken, by second of the monotonic clock."""
        self._shown_as: dict[str, str] = {}
        self._dark_until: dict[str, float] = {}
        self._server: asyncio.Server | None = None
        self._sessions: set[asyncio.Task[None]] = set()

    @property
    def names(self) -> list[str]:
        """The clips that can be watched."""
        return sorted(path.stem for path in self._folder.iterdir() if path.suffix in ENDINGS)

    def url(self, name: str, *, user: str = "", password: str = "", fault: str = "") -> str:
        login = f"{quote(user, safe='')}:{quote(password, safe='')}@" if user else ""
        return f"rtsp://{login}{self.host}:{self.port}/{quote(name)}" + (f"?fault={quote(fault)}" if fault else "")

    async def start(self) -> None:
        """Listen. `port` is then the real one."""
        self._server = await asyncio.start_server(self._connected, self.host, self.port, backlog=2048)
        self.port = self._server.sockets[0].getsockname()[1]
        self._pacing = asyncio.create_task(self._pace())

    async def close(self) -> None:
        """Stop listening and drop everybody."""
        if self._server is not None:
            self._server.close()
        tasks = [*self._sessions, *([self._pacing] if self._pacing else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._server is not None:
            await self._server.wait_closed()

    async def __aenter__(self) -> Simulator:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # -- what happens to cameras --------------------------------------------------------------------------------------

    def cut(self, name: str, *, for_s: float = 0.0) -> None:
        """Drop who watches this camera, and everybody who comes within that time."""
        self._dark_until[name] = self._clock.monotonic() + for_s
        if name in self._channels:
            self._channels[name].drop()

    def blackout(self, name: str, on: bool) -> None:  # noqa: FBT001  # a switch
        """Drop who watches this camera and refuse everybody, until it is switched off again."""
        if on:
            self.cut(name, for_s=math.inf)
        else:
            self._dark_until.pop(name, None)

    def set_fault(self, name: str, fault: str | None) -> None:
        """From the next connection on this camera has this fault, or none."""
        if fault is None:
            self._faults.pop(name, None)
        else:
            self._faults[name] = [read_fault(fault)]

    async def recode(self, name: str, to: str) -> None:
        """From now on the camera sends another clip: who watches is not told, who comes is described the new one."""
        self._shown_as[name] = to
        track = await asyncio.to_thread(self._track, to)
        if track is not None and name in self._channels:
            self._channels[name].show(track)

    def viewers(self, name: str) -> int:
        return len(self._channels[name].viewers) if name in self._channels else 0

    def halt(self) -> None:
        """Send nobody anything any more, and answer all the same."""
        if self._pacing is not None:
            self._pacing.cancel()

    def keyframes(self) -> dict[str, int]:
        """How many keyframes were sent, by the name that was asked for."""
        sent = self._sent.copy()
        for viewer, name in self._playing.items():
            sent[name] += viewer.keyframes
        return dict(sent)

    # -- what connections ask (rtsp_session.City) ---------------------------------------------------------------------

    async def channel(self, name: str) -> Channel | None:
        if name not in self._channels:
            shown, ahead = _ahead(self._shown_as.get(name, name))
            track = await asyncio.to_thread(self._track, shown)
            if track is None:
                return None
            epoch_s = (self.epoch - ahead).timestamp()
            self._channels.setdefault(name, Channel(track, epoch_s, self._clock, self._find))
        return self._channels[name]

    def faults(self, name: str) -> list[CameraFault]:
        return list(self._faults.get(name, []))

    def is_dark(self, name: str) -> bool:
        return self._clock.monotonic() < self._dark_until.get(name, -math.inf)

    def play(self, channel: Channel, viewer: Viewer, name: str) -> None:
        for over in [each for each in self._playing if each.transport.is_closing()]:
            self._sent[self._playing.pop(over)] += over.keyframes
        self._playing[viewer] = name
        channel.join(viewer)

    def now_s(self) -> float:
        return self._clock.monotonic()

    async def _pace(self) -> None:
        while True:
            wall_s = self._clock.now().timestamp()
            for channel in list(self._channels.values()):
                channel.pace(wall_s)
            await asyncio.sleep(_PACE_S)

    def _track(self, name: str) -> Track | None:
        if name not in self._tracks:
            clip = self._find(name)
            if clip is None:
                return None
            self._tracks.setdefault(name, Track(clip))
        return self._tracks[name]

    def _find(self, name: str) -> Clip | None:
        if name in self._clips:
            return self._clips[name]
        path = next(
            (self._folder / (name + ending) for ending in ENDINGS if (self._folder / (name + ending)).is_file()), None
        )
        if path is None or path.resolve().parent != self._folder.resolve():
            return None
        return self._clips.setdefault(name, read_clip(path))

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connects[int(self._clock.monotonic())] += 1
        task = asyncio.current_task()
        if task is not None:
            self._sessions.add(task)
            task.add_done_callback(self._sessions.discard)
        with suppress(asyncio.CancelledError):
            await Session(self, reader, writer).serve()


def _ahead(name: str) -> tuple[str, timedelta]:
    """`street~12.4` as the clip's name and by how much it is ahead of the others."""
    clip, _, seconds = name.partition("~")
    try:
        return clip, timedelta(seconds=float(seconds or 0))
    except (ValueError, OverflowError):
        return name, timedelta()


async def _serve(arguments: argparse.Namespace) -> None:
    faults = dict(each.split("=", 1) for each in arguments.fault)
    users = dict(each.split(":", 1) for each in arguments.user)
    epoch = instant(arguments.epoch) if arguments.epoch else None
    simulator = Simulator(
        arguments.folder, host=arguments.host, port=arguments.port, epoch=epoch, users=users, faults=faults
    )
    async with simulator:
        for name in simulator.names:
            print(simulator.url(name), flush=True)
        await asyncio.Event().wait()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="citybrain.demo.simulator", description="Simulated RTSP cameras.")
    parser.add_argument("--folder", type=Path, required=True, help="where the clips are")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8554)
    parser.add_argument("--epoch", help="when all clips began, such as 2026-11-21T08:00:00Z; now by default")
    parser.add_argument(
        "--user", action="append", default=[], metavar="NAME:PASSWORD", help="who may watch; all by default"
    )
    parser.add_argument(
        "--fault", action="append", default=[], metavar="NAME=FAULT", help="see citybrain.demo.rtsp_faults"
    )
    with suppress(KeyboardInterrupt):
        uvloop.run(_serve(parser.parse_args(arguments)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
