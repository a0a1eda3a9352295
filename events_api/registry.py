"""The cameras and scenes of the configuration in force: replaced as a whole while requests go on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from citybrain.domain.camera import Camera
from events_api.ports import SceneInfo


class Registry:
    """What the API knows of the configuration. A request takes `cameras` once: the mapping that it took does not change."""

    def __init__(self, cameras: Iterable[Camera], scenes: Iterable[SceneInfo]) -> None:
        self.cameras: Mapping[str, Camera] = {}
        self.scenes: Sequence[SceneInfo] = ()
        self.adopt(cameras, scenes)

    def adopt(self, cameras: Iterable[Camera], scenes: Iterable[SceneInfo]) -> None:
        """Go on by another configuration."""
        self.cameras = {camera.id: camera for camera in sorted(cameras, key=lambda each: each.id)}
        self.scenes = tuple(scenes)
