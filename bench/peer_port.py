"""What every peer's script shares: the cameras it is given, when a picture was taken, and telling that it was looked at.

A script is a process of its own, perhaps of another Python: it needs OpenCV and nothing of ours. A line on its standard
output is a look: the camera's number, when its picture was taken, when what it shows was known; monotonic seconds.
"""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import cv2

TAKEN: dict[int, float] = {}
"""When a picture was taken, by its identity."""


@dataclass(frozen=True, slots=True)
class Task:
    """What a script is asked to do. `every` is the number of pictures from one look to the next."""

    urls: list[str]
    streams: Path
    model: str
    height: int
    width: int
    every: int
    confidence: float


class TimedCapture(cv2.VideoCapture):
    """OpenCV's capture, which also notes when each picture it hands out was taken.

    A stream says how far into it a picture is; the soonest that any has come says when it began. So a picture that waited
    in a buffer is as old as it is, unless all of them waited: then the side is judged too well.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._began_s = float("inf")

    def retrieve(self, *arguments: Any, **named: Any) -> Any:
        ok, picture = super().retrieve(*arguments, **named)
        if ok:
            self._note(picture)
        return ok, picture

    def read(self, *arguments: Any, **named: Any) -> Any:
        ok, picture = super().read(*arguments, **named)
        if ok:
            self._note(picture)
        return ok, picture

    def _note(self, picture: Any) -> None:
        shown_s = self.get(cv2.CAP_PROP_POS_MSEC) / 1000
        self._began_s = min(self._began_s, time.monotonic() - shown_s)
        TAKEN[id(picture)] = self._began_s + shown_s


class Teller:
    """The only one that writes to what was the standard output: what libraries print goes with the errors."""

    def __init__(self) -> None:
        self._out: TextIO = os.fdopen(os.dup(1), "w", buffering=1)
        os.dup2(2, 1)

    def tell(self, camera: int, picture: Any) -> None:
        """What this picture of that camera shows is known now."""
        self._out.write(f"{camera} {TAKEN[id(picture)]:.4f} {time.monotonic():.4f}\n")


def task(arguments: list[str] | None = None) -> Task:
    """What the command line asks for; OpenCV's captures are timed from now on."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--streams", type=Path, required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--height", type=int, required=True)
    parser.add_argument("--width", type=int, required=True)
    parser.add_argument("--every", type=int, required=True)
    parser.add_argument("--confidence", type=float, default=0.3)
    given = parser.parse_args(arguments)
    os.environ.setdefault("YOLO_VERBOSE", "false")
    cv2.VideoCapture = TimedCapture  # type: ignore[assignment,misc]  # every library that looks it up gets it
    urls = given.streams.read_text().split()
    return Task(urls, given.streams, given.model, given.height, given.width, given.every, given.confidence)
