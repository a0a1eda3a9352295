"""A recording in, case events out, as fast as it can: nothing is sent, nothing is asked of the clock."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from pathlib import Path

from citybrain.domain.case import CaseEvent
from citybrain.errors import Unreadable
from citybrain.wire import DETECTIONS, dumps, loads
from pipeline.effects import SetAside
from pipeline.flow import Pipeline
from pipeline.runners.memory import HeldStates, advance
from pipeline.state import (
    read_camera,
    read_locality,
    read_silences,
    write_camera,
    write_locality,
    write_silences,
)


class Replay:
    """Runs messages through a pipeline. `states` may come from a snapshot, so that a recording can be cut anywhere."""

    def __init__(self, pipeline: Pipeline, *, states: HeldStates | None = None) -> None:
        self._pipeline = pipeline
        self.states = states or HeldStates()
        self.set_aside: list[SetAside] = []

    def run(self, values: Iterable[bytes], *, topic: str = DETECTIONS) -> Iterator[CaseEvent]:
        """The case events of the messages, in order, each as soon as its message was read."""
        for value in values:
            for effects in advance(self._pipeline, topic, value, self.states):
                self.set_aside += effects.set_aside
                for told in effects.told:
                    yield told.event


def save(states: HeldStates, path: Path) -> None:
    """Write a snapshot from which a later run goes on."""
    fields = {
        "v": 1,
        "cameras": {key: _pack(write_camera(state)) for key, state in sorted(states.cameras.items())},
        "localities": {key: _pack(write_locality(state)) for key, state in sorted(states.held.items())},
        "silences": _pack(write_silences(states.silences())),
    }
    partial = path.with_suffix(path.suffix + ".part")
    partial.write_bytes(dumps(fields))
    partial.replace(path)


def restore(path: Path) -> HeldStates:
    """The states of a snapshot. Raises Unreadable when it is none."""
    fields = loads(path.read_bytes())
    if fields.get("v") != 1 or "cameras" not in fields or "localities" not in fields:
        raise Unreadable(f"{path}: expected a snapshot that `replay --state` wrote")
    states = HeldStates()
    states.cameras = {key: read_camera(base64.b64decode(raw)) for key, raw in fields["cameras"].items()}
    states.held = {key: read_locality(base64.b64decode(raw)) for key, raw in fields["localities"].items()}
    if "silences" in fields:  # a snapshot from before there were any has none
        states.kept_silent = read_silences(base64.b64decode(fields["silences"]))
    return states


def _pack(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
