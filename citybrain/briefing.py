"""What the network process, its workers and the sensors' listener are told of a configuration."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from datetime import timedelta

from citybrain.assembly import Configuration
from citybrain.domain.camera import ZoneKind
from citybrain.domain.locality import kept_at
from ingest.plan import Plan
from ingest.sensors.config import Sensor
from ingest.sensors.watch import Placed, SensorPlan


def plan_of(configuration: Configuration) -> Plan:
    """The plan by which a configuration is watched."""
    return Plan(
        cameras=configuration.cameras,
        patience={each.id: configuration.patience_of(each.id) for each in configuration.cameras},
        attention=attention_of(configuration),
        briefing=pickle.dumps(configuration, protocol=pickle.HIGHEST_PROTOCOL),
    )


def sensor_plan_of(configuration: Configuration) -> SensorPlan:
    """What is listened to, and where the cases of each sensor are kept."""
    if configuration.sensors is None:
        return SensorPlan()
    placed = [_placed(each, configuration) for each in configuration.sensors.sensors]
    return SensorPlan(configuration.sensors.broker, placed)


def _placed(sensor: Sensor, configuration: Configuration) -> Placed:
    file = configuration.scenes[sensor.scene].file
    location = None if sensor.location is None else (sensor.location.lon, sensor.location.lat)
    kept = kept_at(
        location,
        sensor.grid_cell,
        cameras=configuration.views.values(),
        kind=ZoneKind(file.zone_kind),
        reach_m=file.group.reach_m,
    )
    return Placed(sensor, kept.locality, kept.grid_cell)


def configuration_of(briefing: bytes) -> Configuration:
    """What `plan_of` put into the plan's briefing. Only for bytes that come from our own parent process."""
    configuration: Configuration = pickle.loads(briefing)  # noqa: S301  # see above
    return configuration


def attention_of(configuration: Configuration) -> Mapping[str, timedelta]:
    """How long an open question is looked at closely, by scene; scenes that never want it are left out."""
    return {each.id: each.attention for each in configuration.scenes.values() if each.attention}
