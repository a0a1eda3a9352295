"""A worker of the pipeline with so many standbys: the shipped one has one, and no option to choose.

python -m bench.kafka_worker CONFIG DATA NAME STANDBYS      the bus is where the environment says; it posts to nobody
"""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import uvloop

from citybrain import assembly, telemetry
from citybrain.bus.address import KafkaAddress
from citybrain.clock import SystemClock
from citybrain.deployment import Deployment
from pipeline.runners.kafka.app import Tuning
from pipeline.runners.kafka.worker import KafkaWorker


async def main(config: Path, data: Path, name: str, standbys: int) -> None:
    bus = Deployment.told(data).bus
    assert bus is not None, "the environment names no bus"
    worker = KafkaWorker(
        KafkaAddress.parse(bus),
        assembly.load(config).pipeline(),
        clock=SystemClock(),
        data=data / "pipeline" / name,
        notifiers={},
        tuning=Tuning(standbys=standbys),
        name=name,
    )
    stop = asyncio.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(each, stop.set)
    await worker.run(stop)


if __name__ == "__main__":
    telemetry.start_logging("pipeline")
    uvloop.run(main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])))
