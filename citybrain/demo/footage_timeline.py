"""What happens before one demo camera, when: the YAML of a timeline and the figures read from it."""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from citybrain.errors import ConfigError, Fault

Label = Literal["car", "truck", "bus", "person", "bicycle", "stall", "fire", "smoke", "water", "scenery"]
Seconds = Annotated[float, Field(ge=0)]
Knots = Annotated[list[tuple[Seconds, float]], Field(min_length=1)]
"""(second, value) pairs in order of time; the value glides between them and stays beyond them."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Cast(_Strict):
    """Something that can appear: what the renderer makes of it, and the line on the ground that it moves along."""

    label: Label
    make: dict[str, Any]
    """Read by the renderer alone: `kind` and its measures."""
    track: Annotated[list[tuple[float, float]], Field(min_length=1)]
    """Metres on the ground (x across, y along the road); one point for what stands still."""
    z: float = 0.0
    heading: float | None = None
    """Degrees counter-clockwise from +y, where the track does not say it."""
    every: Annotated[float, Field(gt=0)] = 3.0
    """Metres between two renders along the track."""
    stops: list[float] = []
    """Metres along the track where it stands, rendered exactly there."""
    lights: bool = False


class Actor(_Strict):
    cast: str
    drive: Knots
    """Metres along the track over time; it is shown from the first second named to the last."""
    fade: Annotated[float, Field(ge=0)] = 0.0
    """Seconds of appearing and vanishing, for what is set up rather than driven in."""

    @property
    def shown(self) -> tuple[float, float]:
        return self.drive[0][0], self.drive[-1][0]


class Water(_Strict):
    kind: Literal["water"]
    level: Knots
    """0 dry, 1 all of the flooded picture."""


class Fire(_Strict):
    kind: Literal["fire"]
    at: tuple[float, float, float]
    width: Annotated[float, Field(gt=0)]
    height: Annotated[float, Field(gt=0)]
    strength: Knots


class Smoke(_Strict):
    kind: Literal["smoke"]
    at: tuple[float, float, float]
    height: Annotated[float, Field(gt=0)]
    grey: Annotated[float, Field(ge=0, le=1)] = 0.35
    wind: float = 0.4
    strength: Knots


class Dark(_Strict):
    """The lens is covered or the lights are out: 0 as usual, 1 black but for the sensor's noise."""

    kind: Literal["dark"]
    level: Knots


class Exposure(_Strict):
    kind: Literal["exposure"]
    gain: Knots


class Signal(_Strict):
    """A traffic light's glow: green where 0, red where 1."""

    kind: Literal["signal"]
    at: tuple[float, float, float]
    red: Knots


Effect = Annotated[Water | Fire | Smoke | Dark | Exposure | Signal, Field(discriminator="kind")]


class Timeline(_Strict):
    about: str
    seconds: Annotated[float, Field(gt=0, le=600)]
    fps: Annotated[int, Field(ge=1, le=30)] = 5
    codec: Literal["h264", "h265"] = "h264"
    kbps: Annotated[int, Field(ge=50, le=4000)] = 400
    seed: int
    noise: Annotated[float, Field(ge=0, le=30)] = 2.5
    """Standard deviation of the sensor's noise, in grey levels."""
    mirror: Annotated[float, Field(ge=0, le=1)] = 0.0
    """How much a wet roadway reflects lamps."""
    scene: dict[str, Any]
    """Read by the renderer alone: street, view and flood."""
    cast: dict[str, Cast] = {}
    actors: list[Actor] = []
    effects: list[Effect] = []
    camera: str = ""
    folder: Path = Path()

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        for number, actor in enumerate(self.actors):
            if actor.cast not in self.cast:
                known = ", ".join(sorted(self.cast))
                raise ValueError(f"actors.{number}.cast: {actor.cast!r} is not in the cast: {known}")
            _check_order(f"actors.{number}.drive", actor.drive, self.seconds)
        for number, effect in enumerate(self.effects):
            for name in ("level", "strength", "gain", "red"):
                if hasattr(effect, name):
                    _check_order(f"effects.{number}.{name}", getattr(effect, name), self.seconds)
        return self

    @property
    def frames(self) -> int:
        return round(self.seconds * self.fps)

    @property
    def art(self) -> Path:
        return self.folder / "art" / self.camera


def load(path: Path) -> Timeline:
    """Reads a timeline; its art lies in `art/<name of the file>/` beside it. Raises ConfigError with every fault."""
    try:
        said = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as problem:
        raise ConfigError([Fault(str(path), "", f"cannot be read: {problem}")]) from problem
    if not isinstance(said, dict):
        raise ConfigError([Fault(str(path), "", "must be a mapping of keys, as in configs/demo/footage/")])
    try:
        return Timeline.model_validate({**said, "camera": path.stem, "folder": path.parent})
    except ValidationError as problem:
        raise ConfigError(
            Fault(str(path), ".".join(str(part) for part in fault["loc"]), fault["msg"].removeprefix("Value error, "))
            for fault in problem.errors()
        ) from problem


def value_at(knots: list[tuple[float, float]], at: float) -> float:
    """The knots' value at a second: monotone cubic (Fritsch and Carlson 1980), so that nothing overshoots or jerks."""
    times = [t for t, _ in knots]
    if at <= times[0]:
        return knots[0][1]
    if at >= times[-1]:
        return knots[-1][1]
    i = bisect_right(times, at) - 1
    (t0, v0), (t1, v1) = knots[i], knots[i + 1]
    width = t1 - t0
    u = (at - t0) / width
    m0, m1 = _slope(knots, i) * width, _slope(knots, i + 1) * width
    return (1 + 2 * u) * (1 - u) ** 2 * v0 + u * (1 - u) ** 2 * m0 + u * u * (3 - 2 * u) * v1 + u * u * (u - 1) * m1


def _slope(knots: list[tuple[float, float]], i: int) -> float:
    def secant(k: int) -> float:
        return (knots[k + 1][1] - knots[k][1]) / (knots[k + 1][0] - knots[k][0])

    if i == 0:
        return secant(0)
    if i == len(knots) - 1:
        return secant(i - 1)
    before, after = secant(i - 1), secant(i)
    return 0.0 if before * after <= 0 else 2 * before * after / (before + after)


def _check_order(where: str, knots: list[tuple[float, float]], seconds: float) -> None:
    times = [t for t, _ in knots]
    if any(later <= sooner for sooner, later in pairwise(times)):
        raise ValueError(f"{where}: seconds must grow, got {times}")
    if times[-1] > seconds:
        raise ValueError(f"{where}: second {times[-1]:g} lies after the clip's end at {seconds:g}")
