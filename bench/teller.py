"""Tells a bus what imagined cameras see, as ingest would: in the rhythm of life, bounded, and the newest or nothing.

python -m bench.teller CITY.pickle DATA FIGURES SHARE/OF     the bus of that data folder, unless the environment names another;
of so many tellers it is that one; each second it writes a line of figures
"""

from __future__ import annotations

import heapq
import json
import pickle
import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from bench.imagined import INFERRED, Imagined
from citybrain.clock import Clock, SystemClock
from citybrain.deployment import Deployment
from citybrain.errors import BusAway
from citybrain.ports import Bus
from citybrain.wire import DETECTIONS, write_detections

_NAP = timedelta(milliseconds=20)
_LATE = timedelta(seconds=1)


@dataclass
class Teller:
    """One process's share of the cameras. `overtaken`: looks whose turn came late, and that were made of a newer picture."""

    city: Imagined
    cameras: list[str]
    bus: Bus
    clock: Clock
    told: int = 0
    refused: int = 0
    overtaken: int = 0
    _due: list[tuple[datetime, str, int]] = field(default_factory=list)

    def begin(self) -> None:
        now = self.clock.now()
        self._due = [(self.city.first_after(camera, now), camera, 1) for camera in self.cameras]
        heapq.heapify(self._due)

    def catch_up(self) -> datetime:
        """Tell what is due; when the next look is."""
        now = self.clock.now()
        while (due := self._due[0])[0] <= now:
            at, camera, seq = due
            self.overtaken += now - at > _LATE
            shown_at = (at if now - at <= _LATE else now) - INFERRED
            try:
                self.bus.offer(DETECTIONS, camera, write_detections(self.city.look(camera, shown_at, seq)))
                self.told += 1
            except BusAway:
                self.refused += 1
            again = self.city.next_after(camera, shown_at) + INFERRED
            heapq.heapreplace(self._due, (max(again, now), camera, seq + 1))
        return self._due[0][0]

    def figures(self) -> dict[str, int]:
        return {"told": self.told, "refused": self.refused, "overtaken": self.overtaken, **self.bus.figures()}


def told(figures: Path) -> dict[str, int]:
    """What all lives of a teller say together: each line of the file is one second's."""
    summed: dict[str, int] = {}
    for life in _lives(figures):
        for name, count in life.items():
            summed[name] = summed.get(name, 0) + count
    return summed


def _lives(figures: Path) -> Iterator[dict[str, int]]:
    last: dict[str, int] | None = None
    for line in figures.read_text().splitlines() if figures.exists() else ():
        try:
            found = json.loads(line)
        except ValueError:
            continue  # cut short by its teller's death
        if last is not None and found["told"] < last["told"]:
            yield last
        last = found
    if last is not None:
        yield last


def main(city: Path, data: Path, figures: Path, share: str) -> None:
    number, of = map(int, share.split("/"))
    imagined: Imagined = pickle.loads(city.read_bytes())  # noqa: S301  # the bench wrote it
    bus, clock, stop = Deployment.told(data).open_bus(), SystemClock(), threading.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: stop.set())
    teller = Teller(imagined, imagined.cameras[number::of], bus, clock)
    teller.begin()
    say_at = clock.monotonic()
    with figures.open("a") as out:
        while not stop.is_set():
            next_at = teller.catch_up()
            if clock.monotonic() >= say_at:
                say_at += 1
                print(json.dumps(teller.figures()), file=out, flush=True)
            stop.wait(min(_NAP, max(timedelta(), next_at - clock.now())).total_seconds())
        print(json.dumps(teller.figures()), file=out, flush=True)
    bus.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4])
