"""Roboflow's InferencePipeline around the same graph in OpenVINO: its threads, its buffers, its batches, a lean detector."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from bench.peer_port import Task, Teller, task

_MOST_OVERLAP = 0.7


class Detector:
    """Letterbox, inference and non-maximum suppression of one picture after the other."""

    def __init__(self, asked: Task) -> None:
        import openvino

        self._asked = asked
        self._compiled = openvino.Core().compile_model(asked.model, "CPU")

    def detect(self, picture: npt.NDArray[np.uint8]) -> int:
        """How many boxes there are."""
        scale = min(self._asked.width / picture.shape[1], self._asked.height / picture.shape[0])
        small = cv2.resize(picture, None, fx=scale, fy=scale)
        canvas = np.full((self._asked.height, self._asked.width, 3), 114, np.uint8)
        canvas[: small.shape[0], : small.shape[1]] = small
        blob = cv2.dnn.blobFromImage(canvas, 1 / 255, swapRB=True)
        answer = self._compiled(blob)[0][0].T
        scores = answer[:, 4:].max(axis=1)
        sure = scores >= self._asked.confidence
        boxes, scores, kinds = answer[sure, :4], scores[sure], answer[sure, 4:].argmax(axis=1)
        boxes[:, :2] -= boxes[:, 2:] / 2
        return len(cv2.dnn.NMSBoxesBatched(boxes.tolist(), scores.tolist(), kinds.tolist(), 0.0, _MOST_OVERLAP))


def main() -> None:
    os.environ.update(TELEMETRY_OPT_OUT="True", METRICS_ENABLED="False")
    asked, teller = task(), Teller()
    from inference import InferencePipeline  # type: ignore[import-not-found]  # of a Python of its own

    detector = Detector(asked)

    def seen(frames: Sequence[Any]) -> list[int]:
        return [detector.detect(frame.image) for frame in frames]

    def told(_: Any, frames: Any) -> None:
        for frame in frames if isinstance(frames, list) else [frames]:
            if frame is not None:
                teller.tell(frame.source_id or 0, frame.image)

    pipeline = InferencePipeline.init_with_custom_logic(
        video_reference=asked.urls,
        on_video_frame=seen,
        on_prediction=told,
        # Of all sources together: as many looks as are due, and a fifth more, for it drops what comes between.
        max_fps=1.2 * len(asked.urls) * 25 / asked.every,
    )
    pipeline.start()
    pipeline.join()


if __name__ == "__main__":
    main()
