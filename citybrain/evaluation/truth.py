"""truth.yaml: what a person watching the clips of a set says happens in them, and how each clip is played.

A set is a configuration folder with a truth.yaml; its cameras read files.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import unquote, urlsplit

from pydantic import Field

from citybrain import assembly
from citybrain.assembly import Configuration
from citybrain.configuration import Duration, Section, SomeDuration, did_you_mean, parse, read
from citybrain.domain.camera import Camera
from citybrain.errors import ConfigError, Fault, UsageError
from citybrain.evaluation.disturbed import Disturbances
from ingest.config import CameraSettings
from ingest.footage import IMAGE_CODECS

FILE = "truth.yaml"
CLIPS = "CLIPS"
"""The variable that a set's cameras.yaml names where its clips are not part of it."""
READABLE = ("file", "images")

Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Judge = Literal["set", "shipped"]


class Event(Section):
    """Something that happens: which scene, from when to when in seconds of the playing (`to`: the end), and in which zone."""

    scene: str
    from_s: Seconds = Field(alias="from")
    to_s: Seconds | None = Field(default=None, alias="to")
    zone: str | None = None


class Looped(Section):
    """A clip played over and over until it `lasts` so long: `parts` of it, in seconds (else all), always forwards
    (`again`) or forwards and backwards (`to_and_fro`, which never jumps)."""

    lasts: SomeDuration
    parts: tuple[tuple[Seconds, Seconds], ...] = ()
    way: Literal["again", "to_and_fro"] = "again"


class Stills(Section):
    """A folder of pictures in the order of their names, or one picture: each is shown for so long. `files`: which of them."""

    each: SomeDuration
    files: str = "*"


class Clip(Section):
    """One camera's playing. `judged_by`: the set's own scenes, or those that `shipped` names."""

    events: tuple[Event, ...]
    judged_by: Judge = "set"
    looped: Looped | None = None
    stills: Stills | None = None
    disturbances: Disturbances | None = None

    @property
    def ordinary(self) -> bool:
        """Whether it is footage in which nothing happens, played for as long as one likes."""
        return self.looped is not None and not self.events


class TruthFile(Section):
    """The whole file. `within`: how long after its beginning the case of an event may be filed, by scene; `shipped`: the
    folder of the scenes that run in the city, from here."""

    clips: dict[str, Clip] = Field(min_length=1)
    tolerance: Duration = timedelta(seconds=2)
    within: dict[str, SomeDuration] = Field(default_factory=dict)
    shipped: str | None = None


@dataclass(frozen=True)
class SceneSet:
    """A set that was read and found whole: each clip is a camera of the configuration, and its scenes and zones exist.

    `judges` holds the configuration once for each kind of judge that the clips name: the same cameras and detectors, other
    scenes. `own` is always among them.
    """

    folder: Path
    truth: TruthFile
    judges: Mapping[Judge, Configuration]
    clips_folder: Path | None = None
    config: Path | None = None

    @property
    def own(self) -> Configuration:
        return self.judges["set"]

    def camera(self, clip: str) -> CameraSettings:
        return next(each for each in self.own.cameras if each.id == clip)

    def judge_of(self, clip: str) -> Configuration:
        return self.judges[self.truth.clips[clip].judged_by]


def load(folder: Path, *, clips: Path | None = None, config: Path | None = None) -> SceneSet:
    """The set in a folder; `clips` is where `${CLIPS}` of its cameras.yaml leads. A `config` lends its detectors, and its
    scenes in place of the shipped ones. Raises ConfigError with every fault, UsageError when clips are wanted."""
    variables = dict(os.environ)
    if clips is not None:
        if not clips.is_dir():
            raise UsageError(f"--clips {clips}: there is no such folder")
        variables[CLIPS] = str(clips.resolve())
    if CLIPS not in variables and _names_clips(folder):
        raise UsageError(f"{folder}: its clips are not part of it; name their folder with --clips DIR (see its README)")
    configuration, faults = assembly.read(folder, variables=variables)
    path = folder / FILE
    value = read(path, faults=faults)
    truth = None if value is None else parse(TruthFile, value, file=str(path), faults=faults)
    if configuration is None or truth is None:
        raise ConfigError(faults)
    if config is not None:
        configuration = assembly.with_detectors(configuration, config, faults=faults) or configuration
    judges: dict[Judge, Configuration] = {"set": configuration}
    scenes = config / "scenes" if config is not None else truth.shipped and (folder / truth.shipped).resolve()
    if scenes:
        shipped = assembly.with_scenes(configuration, scenes, faults=faults)
        if shipped is not None:
            judges["shipped"] = shipped
    _check(truth, judges, str(path), faults)
    if faults:
        raise ConfigError(faults)
    return SceneSet(folder, truth, judges, clips, config)


def file_of(camera: CameraSettings) -> Path:
    """The file or folder that a camera of a set reads."""
    return Path(unquote(urlsplit(camera.url.get_secret_value()).path))


def stills_of(path: Path, stills: Stills) -> list[Path]:
    """The pictures that are shown, in order."""
    found = sorted(path.glob(stills.files)) if path.is_dir() else [path]
    return [each for each in found if each.suffix.lower() in IMAGE_CODECS]


def _names_clips(folder: Path) -> bool:
    try:
        return f"${{{CLIPS}}}" in (folder / "cameras.yaml").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False  # the configuration's own reading says what is wrong


def _check(truth: TruthFile, judges: Mapping[Judge, Configuration], file: str, faults: list[Fault]) -> None:
    cameras = {each.id: each for each in judges["set"].cameras}
    for name in cameras.keys() - truth.clips.keys():
        remedy = "Say what happens in it; `events: []` where nothing does."
        faults.append(Fault(file, "clips", f"says nothing of camera {name!r}.", remedy))
    for name, clip in truth.clips.items():
        at = f"clips.{name}"
        if name not in cameras:
            faults.append(Fault(file, at, "is no camera of cameras.yaml.", did_you_mean(name, cameras)))
            continue
        if clip.judged_by not in judges:
            if truth.shipped is None:
                remedy = "Name their folder under `shipped`."
                faults.append(Fault(file, f"{at}.judged_by", "asks for the shipped scenes.", remedy))
            continue  # a folder that is named and faulty has had its say
        scenes = judges[clip.judged_by].scenes
        faults += _check_events(clip.events, cameras[name].camera, scenes, at=f"{at}.events", file=file)
        faults += _check_playing(clip, cameras[name], at=at, file=file)
    known = {scene for configuration in judges.values() for scene in configuration.scenes}
    faults += [
        Fault(file, f"within.{scene}", "is no scene.", did_you_mean(scene, known))
        for scene in truth.within
        if scene not in known
    ]


def _check_events(
    events: Sequence[Event], camera: Camera, scenes: Collection[str], *, at: str, file: str
) -> Iterator[Fault]:
    zones = [zone.id for zone in camera.zones]
    for number, event in enumerate(events):
        key = f"{at}[{number}]"
        if event.scene not in scenes:
            remedy = did_you_mean(event.scene, scenes)
            yield Fault(file, f"{key}.scene", f"{event.scene!r} is no scene that judges it.", remedy)
        if event.zone is not None and event.zone not in zones:
            remedy = did_you_mean(event.zone, zones)
            yield Fault(file, f"{key}.zone", f"{event.zone!r} is no zone of {camera.id!r}.", remedy)
        if event.to_s is not None and event.to_s <= event.from_s:
            message = f"ends at {event.to_s:g} s and begins at {event.from_s:g} s."
            yield Fault(file, f"{key}.to", message, "Leave `to` out where it lasts to the end.")


def _check_playing(clip: Clip, camera: CameraSettings, *, at: str, file: str) -> Iterator[Fault]:
    if camera.source not in READABLE:
        yield Fault(camera.file, camera.id, "reads no file.", "Begin its url with file: or images:.")
        return
    path = file_of(camera)
    if clip.stills is not None and not _is_pictures(path):
        remedy = "`stills` is for a folder of pictures, or one; a video is `looped`."
        yield Fault(file, f"{at}.stills", f"{path.name} holds no pictures.", remedy)
    if clip.stills is None and _is_pictures(path) and (clip.looped or not path.is_dir()):
        yield Fault(file, at, f"{path.name} holds pictures.", "Say for how long each is shown: `stills: {each: 2s}`.")
    if clip.stills is not None and path.is_dir() and not any(stills_of(path, clip.stills)):
        remedy = "It is a pattern for names, such as fire-*.jpg."
        yield Fault(file, f"{at}.stills.files", f"{clip.stills.files!r} fits no picture in {path.name}.", remedy)
    parts = () if clip.looped is None else clip.looped.parts
    if clip.stills is not None and parts:
        yield Fault(file, f"{at}.looped.parts", "are parts of a video.", "Leave out what is not to be shown.")
    for number, (begins, ends) in enumerate(parts):
        if ends <= begins:
            key = f"{at}.looped.parts[{number}]"
            yield Fault(file, key, f"ends at {ends:g} s and begins at {begins:g} s.", "Write [from, to].")


def _is_pictures(path: Path) -> bool:
    return path.is_dir() or path.suffix.lower() in IMAGE_CODECS
