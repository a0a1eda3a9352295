"""The process that listens to the sensors of one machine: built from the configuration and a data folder."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

from citybrain import reading
from citybrain.briefing import sensor_plan_of
from citybrain.clock import SystemClock
from citybrain.deployment import Deployment
from citybrain.watching import Watching, follow_beside
from ingest.sensors.book import Book
from ingest.sensors.watch import Sensors


def run_sensors(config: Path, city: Deployment) -> None:
    """Listen to the sensors of sensors.yaml, until told to stop; without that file, wait for it."""
    clock, hot, stop = SystemClock(), city.open_hot(), threading.Event()
    watching = Watching(config, role="sensors", clock=clock, hot=hot, accepted=city.data.accepted, read=reading.apart)
    book, bus = Book(city.data.sensors), city.open_bus(durable=True)
    sensors = Sensors(sensor_plan_of(watching.current), book=book, bus=bus, hot=hot, clock=clock)
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: stop.set())
    following = follow_beside(watching, lambda configuration: sensors.adopt(sensor_plan_of(configuration)))
    sensors.run(stop)
    following.set()
    bus.close()
    book.close()
