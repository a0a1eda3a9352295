"""What the network process and its workers are told of a configuration."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from datetime import timedelta

from citybrain.assembly import Configuration
from ingest.plan import Plan


def plan_of(configuration: Configuration) -> Plan:
    """The plan by which a configuration is watched."""
    return Plan(
        cameras=configuration.cameras,
        patience={each.id: configuration.patience_of(each.id) for each in configuration.cameras},
        attention=attention_of(configuration),
        briefing=pickle.dumps(configuration, protocol=pickle.HIGHEST_PROTOCOL),
    )


def configuration_of(briefing: bytes) -> Configuration:
    """What `plan_of` put into the plan's briefing. Only for bytes that come from our own parent process."""
    configuration: Configuration = pickle.loads(briefing)  # noqa: S301  # see above
    return configuration


def attention_of(configuration: Configuration) -> Mapping[str, timedelta]:
    """How long an open question is looked at closely, by scene; scenes that never want it are left out."""
    return {each.id: each.attention for each in configuration.scenes.values() if each.attention}
