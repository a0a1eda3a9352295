"""ultralytics' multi-stream loader as its documentation shows it: a `.streams` file given to `predict`, pictures unbuffered."""

from __future__ import annotations

from pathlib import Path

from bench.peer_port import Teller, task
from bench.peer_ultralytics import yolo


def main() -> None:
    asked, teller = task(), Teller()
    results = yolo(Path(asked.model)).predict(
        source=str(asked.streams),
        stream=True,
        stream_buffer=False,
        vid_stride=asked.every,
        imgsz=(asked.height, asked.width),
        conf=asked.confidence,
        device="cpu",
        verbose=False,
    )
    # Each round gives a result for every camera, in the order of the file.
    for number, result in enumerate(results):
        teller.tell(number % len(asked.urls), result.orig_img)


if __name__ == "__main__":
    main()
