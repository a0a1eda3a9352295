"""One worker of the pipeline on Kafka as a process: `pipeline_worker.py BUS DATA NAME FAULT TOWN [DESK SECRET]`.

FAULT is `none`, or what happens to it: `ahead` begins past the place that the state names, however often it is put there,
`slipped` loses its place once, `unsaid` never hears from the changelog, `deaf` gets no messages any more, `hung` stops its event
loop, `broken` cannot take a message, `slow` takes a while for each commit, `diskless` keeps its tables in memory. TOWN is `whole`
or `smaller`; SIGUSR1 makes it judge by the smaller one.
"""

import asyncio
import logging
import signal
import sys
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import uvloop

from citybrain.bus.address import KafkaAddress
from citybrain.clock import SystemClock
from citybrain.hot.sqlite import SqliteHot
from pipeline.flow import Pipeline
from pipeline.notifiers import webhook
from pipeline.runners.kafka.app import Tuning
from pipeline.runners.kafka.worker import KafkaWorker
from tests.services.kafka_city import SMALLER, TOWN

MOMENT = timedelta(milliseconds=100)
TUNING = Tuning(commit_every=MOMENT, beat_every=MOMENT, tick_every=timedelta(hours=1))


class Ahead(KafkaWorker):
    async def _take(self, stage, event):
        if event.message.offset != 0:
            await super()._take(stage, event)


class Slipped(KafkaWorker):
    """What Faust was handing on when it was put in its place moves its mark on: once here, some moments later."""

    async def _take(self, stage, event):
        tp, marks = event.message.tp, self._app.consumer._read_offset
        slipped = self.__dict__.setdefault("slipped", set())
        if tp in slipped:
            await super()._take(stage, event)
        else:
            slipped.add(tp)
            asyncio.get_running_loop().call_later(0.2, marks.__setitem__, tp, 10**6)


class Unsaid(KafkaWorker):
    def _open_lanes(self, stage, partitions):
        super()._open_lanes(stage, partitions)
        for table in self._tables.values():
            table.write = lambda *_: asyncio.Event().wait()  # type: ignore[assignment]


class Deaf(KafkaWorker):
    async def _take(self, stage, event):
        self._app.consumer.pause_partitions({event.message.tp})  # and nobody resumes them


class Hung(KafkaWorker):
    async def _take(self, stage, event):
        time.sleep(600)  # noqa: ASYNC251  # this is the fault


class Broken(KafkaWorker):
    async def _take_message(self, stage, event):
        raise MemoryError


class Slow(KafkaWorker):
    async def _carry_out(self, held, cut):
        await asyncio.sleep(0.3)
        await super()._carry_out(held, cut)


WORKERS = {
    "none": KafkaWorker,
    "ahead": Ahead,
    "slipped": Slipped,
    "unsaid": Unsaid,
    "deaf": Deaf,
    "hung": Hung,
    "broken": Broken,
    "slow": Slow,
    "diskless": KafkaWorker,
}
TUNINGS = {"none": TUNING, "slow": TUNING, "slipped": TUNING, "diskless": replace(TUNING, store="memory")}
HURRIED = replace(TUNING, stuck_after=timedelta(seconds=4))


async def main(bus: str, data: str, name: str, fault: str = "none", town: str = "whole", *desk: str) -> None:
    notifiers = {}
    if desk:
        url, secret = desk
        config = {"url": url, "secret": secret, "allow": ["loopback"], "timeout": "5s"}
        notifiers["dispatch"] = webhook.build(webhook.Config.model_validate(config))
    worker = WORKERS[fault](
        KafkaAddress.parse(bus),
        Pipeline(TOWN if town == "whole" else SMALLER),
        clock=SystemClock(),
        data=Path(data) / name,
        notifiers=notifiers,
        hot=SqliteHot(Path(data) / "hot.db"),
        tuning=TUNINGS.get(fault, HURRIED),
        name=name,
    )
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, stop.set)
    loop.add_signal_handler(signal.SIGUSR1, lambda: worker.adopt(Pipeline(SMALLER)))
    await worker.run(stop)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    logging.getLogger("aiokafka").setLevel(logging.ERROR)
    uvloop.run(main(*sys.argv[1:]))
