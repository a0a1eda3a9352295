"""Stage one: what looks, and questions about places, make of a camera. Keyed by camera; every runner takes this step."""

from __future__ import annotations

from collections.abc import Sequence

from citybrain.domain.command import LookAgain
from citybrain.domain.detection import Detections
from citybrain.domain.episode import EpisodeChange
from pipeline.camera_flow import advance_camera, let_go, look_again
from pipeline.city import City
from pipeline.effects import CameraStates, Effects, SetAside
from pipeline.scene import Scene


class StageOne:
    """The cameras and scenes of one city. Holds no state: every step is given it, and enters what follows in `effects`."""

    def __init__(self, city: City) -> None:
        self._city = city
        self._scenes: Sequence[Scene] = list(city.scenes.values())

    def look(self, seen: Detections, states: CameraStates, effects: Effects) -> Sequence[EpisodeChange]:
        """What stage two is to know of one look of a camera, in this order."""
        camera = self._city.cameras.get(seen.camera)
        if camera is None:
            effects.set_aside.append(_unknown(seen.camera))
            return ()
        before = states.camera(seen.camera)
        after, changes = advance_camera(before, seen, camera, self._scenes)
        if after is not before:
            effects.cameras[seen.camera] = after
        return changes

    def look_again(self, command: LookAgain, states: CameraStates, effects: Effects) -> None:
        """A question about one of a camera's places; its looks will answer it."""
        if command.camera not in self._city.cameras:
            effects.set_aside.append(_unknown(command.camera))
            return
        before = states.camera(command.camera)
        after = look_again(before, command)
        if after is not before:
            effects.cameras[command.camera] = after

    def configured(self, states: CameraStates, effects: Effects) -> None:
        """From here on judged by this city: what it no longer watches is let go."""
        for key in states.known_cameras():
            before = states.camera(key)
            after = let_go(before, self._city.cameras.get(key), self._scenes)
            if after is not before:
                effects.cameras[key] = after


def _unknown(camera: str) -> SetAside:
    return SetAside("unknown", f"no camera {camera!r} is configured")
