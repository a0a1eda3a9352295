"""sensors.yaml: the broker, and what each sensor's readings mean."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import quote, unquote, urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from citybrain.configuration import Section, SomeDuration, did_you_mean, expand, parse, read
from citybrain.errors import Fault
from ingest import environment as env_file
from ingest.config import GridCell, Id, Location, Name
from ingest.secrets import masked

FILE = "sensors.yaml"
_PORTS = {"mqtt": 1883, "mqtts": 8883}
_PATH = re.compile(r"[^.\s]+(\.[^.\s]+)*")


class Sensor(Section):
    """One sensor. It is on from `alarm_at`, and off again from `clear_at`: above, or below where the first is the smaller.

    (Not `on` and `off`: to YAML those are true and false.)
    """

    id: Id
    name: Name
    kind: Literal["smoke", "water_level", "any"] = "any"
    topic: str
    value: str = ""
    time: str = ""
    alarm_at: float = Field(default=1.0, allow_inf_nan=False)
    clear_at: float = Field(default=0.0, allow_inf_nan=False)
    scene: str
    location: Location | None = None
    grid_cell: GridCell | None = None
    silent_after: SomeDuration = timedelta(hours=1)

    @field_validator("topic")
    @classmethod
    def _topic(cls, value: str) -> str:
        levels = value.split("/")
        if not value or "\0" in value or len(value.encode()) > 1000:
            raise ValueError("expected a topic such as city/water/wl-001/level")
        if any("#" in each or ("+" in each and each != "+") for each in levels) or levels[0].startswith("$"):
            raise ValueError("expected names between slashes, or + for any one name; # and $… are refused")
        return value

    @field_validator("value", "time")
    @classmethod
    def _path(cls, value: str) -> str:
        if value and not _PATH.fullmatch(value):
            raise ValueError("expected keys with dots between them, such as data.level or readings.0.value")
        return value

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if self.location is None and self.grid_cell is None:
            raise ValueError("says not where it is: give its location, or its grid_cell at least")
        return self


class _File(Section):
    broker: str
    ca: str | None = None
    sensors: list[Any]


@dataclass(frozen=True, slots=True)
class Broker:
    """Where the readings come from. `masked_url` is what people may see; `ca` signed its certificate, None: a public one."""

    host: str
    port: int
    tls: bool
    user: str | None
    password: SecretStr | None
    masked_url: str
    ca: Path | None = None


@dataclass(frozen=True, slots=True)
class SensorsSettings:
    broker: Broker
    sensors: Sequence[Sensor]
    file: str = field(default="", compare=False)


def load(
    folder: Path, *, faults: list[Fault], scenes: Collection[str], environment: Mapping[str, str] | None = None
) -> SensorsSettings | None:
    """The sensors of a configuration folder; None when it has none, or after adding their faults."""
    path = folder / FILE
    if not path.exists():
        return None
    found: list[Fault] = []
    settings = _load(path, folder, found, scenes, os.environ if environment is None else environment)
    # As with cameras: a fault may quote an address, and keeps its password to itself.
    faults.extend(replace(each, message=masked(each.message), key=masked(each.key)) for each in found)
    return None if found else settings


def _load(
    path: Path, folder: Path, faults: list[Fault], scenes: Collection[str], environment: Mapping[str, str]
) -> SensorsSettings | None:
    shown = str(path)
    value = read(path, faults=faults)
    file = None if value is None else parse(_File, value, file=shown, faults=faults)
    variables = {**environment, **env_file.read(env_file.beside(path), faults=faults)}
    if file is None:
        return None
    if not file.sensors:
        faults.append(Fault(shown, "sensors", "names no sensor.", "Add one, or remove the file."))
    seen: set[str] = set()
    sensors: list[Sensor] = []
    for index, written in enumerate(file.sensors):
        each = parse(Sensor, written, file=shown, faults=faults, at=f"sensors[{index}]")
        if each is None:
            continue
        sensors.append(each)
        if each.id in seen:
            said = f"{each.id!r} is the id of another sensor too."
            faults.append(Fault(shown, f"sensors[{index}].id", said, "Ids are given once."))
        if each.scene not in scenes:
            remedy = did_you_mean(each.scene, scenes)
            faults.append(Fault(shown, f"sensors[{index}].scene", f"there is no scene {each.scene!r}.", remedy))
        seen.add(each.id)
    ca = None if file.ca is None else folder / file.ca
    if ca is not None and not ca.is_file():
        faults.append(Fault(shown, "ca", f"there is no file {file.ca!r}.", "Name a PEM file beside sensors.yaml."))
    broker = _broker(file.broker, shown, faults, variables, ca)
    return None if broker is None else SensorsSettings(broker, sensors, shown)


def _broker(url: str, file: str, faults: list[Fault], environment: Mapping[str, str], ca: Path | None) -> Broker | None:
    text, unset = expand(url, environment=environment, quote=partial(quote, safe=""))
    faults += [
        Fault(
            file, "broker", f"${{{name}}} is not set.", f"Set {name} in the environment, or in sensors.env beside it."
        )
        for name in unset
    ]
    if unset:
        return None
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
        parts = urlsplit("")
    if parts.scheme not in _PORTS or not host or parts.path not in ("", "/") or parts.query or parts.fragment:
        remedy = "Give mqtt://HOST:1883 or mqtts://HOST:8883, with ${USER}:${PASSWORD}@ before the host."
        faults.append(Fault(file, "broker", "is no address of an MQTT broker.", remedy))
        return None
    return Broker(
        host=host,
        port=port or _PORTS[parts.scheme],
        tls=parts.scheme == "mqtts",
        user=None if parts.username is None else unquote(parts.username),
        password=None if parts.password is None else SecretStr(unquote(parts.password)),
        masked_url=masked(url),
        ca=ca,
    )
