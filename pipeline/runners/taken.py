"""What a runner tells itself when an endpoint has taken an event."""

from __future__ import annotations

from datetime import datetime

from citybrain.domain.command import Delivered
from citybrain.ports import Acknowledgement, Outgoing
from citybrain.wire import read_case_event


def delivered_id(endpoint: str, event: str) -> str:
    """The id of the command that says that an endpoint took an event."""
    return f"delivered-{endpoint}-{event}"


def delivered(outgoing: Outgoing, ack: Acknowledgement, committed_at: datetime) -> Delivered:
    """The command that says so, to the locality of the case."""
    return Delivered(
        id=delivered_id(outgoing.endpoint, outgoing.id),
        case=outgoing.case,
        locality=locality_of(outgoing),
        event=outgoing.id,
        committed_at=committed_at,
        posted_at=ack.posted_at,
        acknowledged_at=ack.acknowledged_at,
        external_id=ack.external_id,
    )


def locality_of(outgoing: Outgoing) -> str:
    """Where the case of a message to an endpoint lies."""
    return read_case_event(outgoing.body).case.locality
