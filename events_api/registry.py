"""The cameras and scenes of the configuration in force: replaced as a whole while requests go on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from citybrain.domain.area import Area
from citybrain.domain.camera import Camera
from citybrain.domain.command import Silence
from citybrain.evidence.regions import Masking
from events_api.ports import SceneInfo


class Registry:
    """What the API knows of the configuration. A request takes `cameras` once: the mapping that it took does not change."""

    def __init__(self, cameras: Iterable[Camera], scenes: Iterable[SceneInfo]) -> None:
        self.cameras: Mapping[str, Camera] = {}
        self.scenes: Sequence[SceneInfo] = ()
        self.areas: Sequence[Area] = ()
        self.silences: Sequence[Silence] = ()
        self.timezone = "Asia/Shanghai"
        self.masking = Masking(on=False)
        self.adopt(cameras, scenes)

    def adopt(
        self,
        cameras: Iterable[Camera],
        scenes: Iterable[SceneInfo],
        *,
        masking: Masking | None = None,
        areas: Iterable[Area] | None = None,
        silences: Iterable[Silence] | None = None,
        timezone: str | None = None,
    ) -> None:
        """Go on by another configuration. What is left out stays as it was: how evidence is shown (`masking`), the
        districts with all within them, the silences and the time zone of routes.yaml."""
        self.timezone = timezone or self.timezone
        self.masking = masking or self.masking
        self.areas = self.areas if areas is None else tuple(areas)
        self.silences = self.silences if silences is None else tuple(silences)
        self.cameras = {camera.id: camera for camera in sorted(cameras, key=lambda each: each.id)}
        self.scenes = tuple(scenes)
