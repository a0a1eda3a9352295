"""A plain OpenCV thread for each camera, written with care: latest picture only, converted only when due, small batches."""

from __future__ import annotations

import queue
import threading
from pathlib import Path
from typing import Any

import cv2

from bench.peer_port import Task, Teller, task
from bench.peer_ultralytics import yolo

_MOST = 4


class Cameras:
    """The threads, and the latest picture of each camera that nobody has looked at."""

    def __init__(self, asked: Task) -> None:
        self._asked = asked
        self._latest: dict[int, Any] = {}
        self._lock = threading.Lock()
        self._due: queue.SimpleQueue[int] = queue.SimpleQueue()

    def start(self) -> None:
        for camera, url in enumerate(self._asked.urls):
            threading.Thread(target=self._follow, args=(camera, url), daemon=True).start()

    def batch(self) -> list[tuple[int, Any]]:
        """Waits for one camera, and takes with it those that wait by then."""
        cameras = [self._due.get()]
        while len(cameras) < _MOST and not self._due.empty():
            cameras.append(self._due.get())
        with self._lock:
            return [(camera, self._latest.pop(camera)) for camera in cameras]

    def _follow(self, camera: int, url: str) -> None:
        capture = cv2.VideoCapture(url)
        number = 0
        while capture.grab():
            number += 1
            if number % self._asked.every:
                continue
            ok, picture = capture.retrieve()
            if not ok:
                break
            with self._lock:
                waits = camera in self._latest
                self._latest[camera] = picture
            if not waits:
                self._due.put(camera)


def main() -> None:
    asked, teller = task(), Teller()
    model = yolo(Path(asked.model))
    cameras = Cameras(asked)
    cameras.start()
    while True:
        batch = cameras.batch()
        pictures = [picture for _, picture in batch]
        model.predict(pictures, imgsz=(asked.height, asked.width), conf=asked.confidence, device="cpu", verbose=False)
        for camera, picture in batch:
            teller.tell(camera, picture)


if __name__ == "__main__":
    main()
