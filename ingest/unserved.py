"""Cameras that this process was given and cannot look at: told as refused with the reason, and to the pipeline as blind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from citybrain.domain.detection import Detections
from ingest.states import BLIND_EVERY_S, REPEAT_STATE_S, CameraState, State, blind_look


@dataclass(slots=True)
class _Unserved:
    state: CameraState
    taken_up_at: datetime
    seq: int = 0
    blind_told_s: float = float("-inf")
    told_s: float = float("-inf")


class Unserved:
    """By id of the camera. Monotonic seconds end in `_s`."""

    def __init__(self) -> None:
        self._cameras: dict[str, _Unserved] = {}

    def __len__(self) -> int:
        return len(self._cameras)

    def adopt(self, reasons: Mapping[str, str], now: datetime) -> None:
        """These from now on, each for its reason, which is one of `ingest.reasons`."""
        before, self._cameras = self._cameras, {}
        for camera, reason in reasons.items():
            each = before.get(camera)
            if each is None or each.state.reason != reason:
                state = CameraState(camera, since_at=now, state=State.REFUSED, reason=reason)
                each = _Unserved(state, now) if each is None else _Unserved(state, each.taken_up_at, each.seq)
            self._cameras[camera] = each

    def tick(self, now: datetime, now_s: float) -> tuple[list[Detections], list[CameraState]]:
        """The looks that say blind, and the states to be told, as of now."""
        blind: list[Detections] = []
        states: list[CameraState] = []
        for each in self._cameras.values():
            if now_s - each.blind_told_s >= BLIND_EVERY_S:
                each.blind_told_s = now_s
                each.seq += 1
                blind.append(blind_look(each.state, each.seq, now, taken_up_at=each.taken_up_at))
            if now_s - each.told_s >= REPEAT_STATE_S:
                each.told_s = now_s
                states.append(each.state)
        return blind, states
