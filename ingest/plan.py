"""What the network process is to do: which cameras it watches, how patiently, how closely, and what its workers are told."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from ingest.config import CameraSettings


@dataclass(frozen=True, slots=True)
class Plan:
    """One configuration as the network process needs it; the next one is reconciled with it (`Network.reconcile`).

    `patience`: how long a camera may go unseen before somebody is kept waiting, by camera; missing: its `look_every`.
    `attention`: how long one open question of a scene is looked at closely, by scene; missing or nothing: never.
    `briefing`: what workers are told before they look, opaque here. They read no files of the configuration: what was
    accepted is what they work by, also the worker that starts an hour later, when the folder no longer holds it.
    `leaving`: those of the cameras that are another process's by now, which are looked at and not told of. `unserved`: cameras
    that are ours and cannot be looked at, with the reason (`ingest.reasons`).
    """

    cameras: Sequence[CameraSettings]
    patience: Mapping[str, timedelta] = field(default_factory=dict)
    attention: Mapping[str, timedelta] = field(default_factory=dict)
    briefing: bytes = b""
    leaving: Collection[str] = ()
    unserved: Mapping[str, str] = field(default_factory=dict)

    def patience_of(self, camera: CameraSettings) -> timedelta:
        return max(camera.look_every, self.patience.get(camera.id, camera.look_every))


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What a new plan changed, by camera; `reopened` are those of `changed` whose connection was opened anew."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    reopened: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
