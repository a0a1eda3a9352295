"""The one place where the parts meet: a configuration folder read whole, and what is built from it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property
from pathlib import Path

from citybrain import map_layer
from citybrain.configuration import did_you_mean, duration_text
from citybrain.domain.camera import Camera, ZoneKind
from citybrain.errors import ConfigError, Fault
from citybrain.evidence import config as safety_config
from citybrain.evidence.regions import Masking
from detectors import config as detector_config
from detectors import verify as detector_verify
from detectors.config import DetectorSettings, labels_of
from events_api.ports import SceneInfo
from ingest import config as camera_config
from ingest.config import CameraSettings
from ingest.sensors import config as sensor_config
from ingest.sensors.config import SensorsSettings
from pipeline import areas, calendar, codes, routes, scene, story
from pipeline.areas import Areas
from pipeline.calendar import Calendar
from pipeline.city import City
from pipeline.flow import Pipeline
from pipeline.routes import Routes
from pipeline.scene import Scene, Status

LEAST_LOOKS_IN_GAP = 2
"""A scene's max_gap must span at least two looks, or one lost look would already be a gap."""

PATIENCE_WITHOUT_SCENE = timedelta(seconds=30)
"""How long a camera may go unseen on which no scene judges anything: it is kept for its picture."""


@dataclass(frozen=True)
class Configuration:
    """A folder of YAML, checked: every name in it is known and every file belongs to the others."""

    folder: Path
    cameras: Sequence[CameraSettings]
    detectors: Mapping[str, DetectorSettings]
    scenes: Mapping[str, Scene]
    tables: Sequence[codes.CodeTable]
    routes: Routes
    areas: Areas
    calendar: Calendar
    revision: str
    masking: Masking = safety_config.DEFAULT
    sensors: SensorsSettings | None = None
    shared: bool = False
    """Whether its cameras come and go, as they are shared out over processes: then every detector stands ready for them."""

    @property
    def views(self) -> Mapping[str, Camera]:
        """The cameras as cases know them."""
        return {settings.id: settings.camera for settings in self.cameras}

    @property
    def city(self) -> City:
        return City(
            self.scenes,
            self.views,
            self.routes,
            self.revision,
            areas=self.areas,
            calendar=self.calendar,
            allowed=codes.allowed(self.tables),
        )

    @property
    def longest_hold(self) -> timedelta:
        return max((each.file.hold for each in self.scenes.values()), default=timedelta())

    def pipeline(self) -> Pipeline:
        return Pipeline(self.city)

    def patience_of(self, camera: str) -> timedelta:
        """How long the camera may go unseen: the shortest patience of the scenes that judge it, never below `look_every`."""
        settings = self._settings[camera]
        return max(
            settings.look_every,
            min((each.patience for each in self.scenes_of(camera)), default=PATIENCE_WITHOUT_SCENE),
        )

    def scenes_of(self, camera: str) -> list[Scene]:
        """The scenes that judge something of the camera's view."""
        view = self._settings[camera].camera
        return [
            each
            for each in self.scenes.values()
            if each.file.status is not Status.DRAFT and view.zones_of(each.file.zone_kind)
        ]

    @cached_property
    def _settings(self) -> Mapping[str, CameraSettings]:
        return {each.id: each for each in self.cameras}

    def detector_of(self, camera: CameraSettings) -> DetectorSettings:
        """The detector a camera names, or the only one there is."""
        return self.detectors[camera.detector or next(iter(self.detectors))]

    @property
    def detectors_in_use(self) -> set[str]:
        return set(self.detectors) if self.shared else {self.detector_of(camera).id for camera in self.cameras}

    def scene_infos(self) -> list[SceneInfo]:
        return [
            SceneInfo(
                id=each.id,
                title=each.file.title,
                status=each.file.status.value,
                severity=each.file.case.severity,
                code=each.file.case.code,
                zone_kind=each.file.zone_kind.value,
                hold=each.file.hold,
                reach_m=each.file.group.reach_m,
            )
            for each in self.scenes.values()
        ]


def load(folder: Path) -> Configuration:
    """The folder's configuration. Raises ConfigError with every fault in it."""
    configuration, faults = read(folder)
    if faults or configuration is None:
        raise ConfigError(faults)
    return configuration


def with_detectors(configuration: Configuration, folder: Path, *, faults: list[Fault]) -> Configuration | None:
    """The same cameras and scenes, looked at by the detectors of another folder; None after adding what is wrong with them."""
    before = len(faults)
    detectors = detector_config.load(folder, faults=faults)
    if set(detectors) == _names(folder / "detectors"):
        known = {label for settings in detectors.values() for label in labels_of(settings)}
        scene.check_labels(list(configuration.scenes.values()), known, faults=faults)
        _check_detectors(configuration.cameras, set(detectors), faults)
    return None if len(faults) > before else replace(configuration, detectors=detectors)


def with_scenes(configuration: Configuration, folder: Path, *, faults: list[Fault]) -> Configuration | None:
    """The same cameras and detectors, judged by the scenes of another folder; None after adding what is wrong with them."""
    before = len(faults)
    scenes = {each.id: each for each in scene.load(folder, faults=faults)}
    if not _names(folder):
        faults.append(Fault(str(folder), "", "holds no scene.", "Name a folder with one file for each scene."))
    known = {label for settings in configuration.detectors.values() for label in labels_of(settings)}
    scene.check_labels(list(scenes.values()), known, faults=faults)
    _check_gaps(configuration.cameras, scenes, faults)
    return None if len(faults) > before else replace(configuration, scenes=scenes)


def check(folder: Path, *, say: Callable[[str], None]) -> list[Fault]:
    """Every fault of the folder, its scenes' own tests and its models included; `say` is told what was found well."""
    configuration, faults = read(folder)
    found = _scenes_of(folder) if configuration is None else configuration.scenes
    for each in found.values():
        faults += _story_faults(each)
    if configuration is not None:
        for settings in configuration.detectors.values():
            faults += detector_verify.verify(settings, load=True)
        tests = sum(len(each.file.tests) for each in configuration.scenes.values())
        sensors = f", {len(configuration.sensors.sensors)} sensors" if configuration.sensors else ""
        say(
            f"{len(configuration.cameras)} cameras, {len(configuration.detectors)} detectors,"
            f" {len(configuration.scenes)} scenes with {tests} tests{sensors}"
        )
    return sorted(set(faults))


def read(
    folder: Path, *, cameras: bool = True, variables: Mapping[str, str] | None = None
) -> tuple[Configuration | None, list[Fault]]:
    """The folder's configuration as far as it can be read, and every fault in it; None with a fault that is in its way.

    `cameras=False` leaves the cameras' files alone, for a process that is told its cameras otherwise (`Configuration.shared`).
    `variables` stand in for the environment's.
    """
    if not folder.is_dir():
        return None, [Fault(str(folder), "", "there is no such folder.", "Name one with --config; see configs/.")]
    faults: list[Fault] = []
    found = camera_config.load(folder, faults, environment=variables) if cameras else []
    all_cameras = cameras and not faults
    detectors = detector_config.load(folder, faults=faults)
    scenes = {each.id: each for each in scene.load(folder / "scenes", faults=faults)}
    if not any((folder / "scenes").glob("*.yaml")):
        faults.append(
            Fault(str(folder / "scenes"), "", "holds no scene.", "Add one file for each; see docs/how-to/scene.md.")
        )
    has_calendar = (folder / "calendar.yaml").exists()
    tables = codes.load(folder / "codes", faults=faults, calendar=has_calendar)
    views = {settings.id: settings.camera for settings in found}
    # What a faulty file would have offered is not known: nothing is blamed for naming it.
    routing = routes.load(
        folder / "routes.yaml",
        faults=faults,
        scenes=_names(folder / "scenes"),
        cameras=views if all_cameras else None,
    )
    working = calendar.load(folder / "calendar.yaml", timezone=routing.timezone, faults=faults)
    if not has_calendar:
        routes.check_calendar(routing, file=str(folder / "routes.yaml"), faults=faults)
    tree = areas.load(folder / "areas.yaml", faults=faults, scenes=_names(folder / "scenes"))
    areas.check_cameras(tree, [(each.file, each.camera) for each in found], faults=faults)
    if len(tables) == len(_names(folder / "codes")):
        codes.check_codes(list(scenes.values()), tables, faults=faults)
    known: set[str] = set()
    if set(detectors) == _names(folder / "detectors"):
        known = {label for settings in detectors.values() for label in labels_of(settings)}
        scene.check_labels(list(scenes.values()), known, faults=faults)
    _check_detectors(found, _names(folder / "detectors"), faults)
    _check_gaps(found, scenes, faults)
    map_layer.load(folder, faults=faults)
    sensors = sensor_config.load(folder, faults=faults, scenes=_names(folder / "scenes"))
    masking = safety_config.load(folder / "safety.yaml", labels=known, faults=faults)
    if faults:
        return None, sorted(set(faults))
    revision = _revision(folder)
    return Configuration(
        folder,
        found,
        detectors,
        scenes,
        tables,
        routing,
        tree,
        working,
        revision,
        masking=masking,
        sensors=sensors,
        shared=not cameras,
    ), []


def _names(folder: Path) -> set[str]:
    return {path.stem for path in folder.glob("*.yaml")}


def _check_detectors(cameras: Sequence[CameraSettings], detectors: Collection[str], faults: list[Fault]) -> None:
    for camera in cameras:
        if camera.detector is None and len(detectors) > 1:
            message = f"camera {camera.id!r} names none, and there are several."
            faults.append(Fault(camera.file, "detector", message, f"Name one of {', '.join(sorted(detectors))}."))
        elif camera.detector is not None and camera.detector not in detectors:
            message = (
                f"camera {camera.id!r} names {camera.detector!r}, and there is no detectors/{camera.detector}.yaml."
            )
            faults.append(Fault(camera.file, "detector", message, did_you_mean(camera.detector, detectors)))


def _check_gaps(cameras: Sequence[CameraSettings], scenes: Mapping[str, Scene], faults: list[Fault]) -> None:
    """A scene can only hold where cameras look often enough for its max_gap."""
    for each in scenes.values():
        slow = [
            camera
            for camera in cameras
            if camera.camera.zones_of(ZoneKind(each.file.zone_kind))
            and each.file.max_gap < camera.look_every * LEAST_LOOKS_IN_GAP
        ]
        if slow and each.file.hold > timedelta():
            longest = max(camera.look_every for camera in slow)
            faults.append(
                Fault(
                    each.path,
                    "max_gap",
                    f"{duration_text(each.file.max_gap)} is too short for camera {slow[0].id!r},"
                    f" which is looked at every {duration_text(longest)}.",
                    f"Give at least {duration_text(longest * LEAST_LOOKS_IN_GAP)}, or look more often.",
                )
            )


def _story_faults(each: Scene) -> list[Fault]:
    file = each.path
    try:
        verdicts = story.tell(each)
    except ValueError as error:
        return [Fault(file, "tests", f"{error}.", "See docs/how-to/scene.md for the words of a story.")]
    return [
        Fault(
            file,
            f"tests[{index}]",
            f"{verdict.name!r} expected [{', '.join(verdict.expected)}], got [{', '.join(verdict.found)}].",
            "Correct the scene or the expectation.",
        )
        for index, verdict in enumerate(verdicts)
        if not verdict.passed
    ]


def _scenes_of(folder: Path) -> Mapping[str, Scene]:
    return {each.id: each for each in scene.load(folder / "scenes", faults=[])}


def _revision(folder: Path) -> str:
    """A short hash of what the folder says; addresses are in it with their variables' names, not with their secrets."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.yaml")):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]
