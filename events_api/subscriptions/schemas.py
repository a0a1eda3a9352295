"""What is asked and answered about subscriptions, as models."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import httpx
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from citybrain import signing
from citybrain.clock import iso
from citybrain.domain.case import CaseEventType
from citybrain.netguard import check_url
from events_api.ports import EventFilter
from events_api.schemas import Answer, Instant
from events_api.subscriptions.records import Delivery, Standing, Subscription

MASKED = "whsec_…"

_Names = Annotated[list[Annotated[str, StringConstraints(min_length=1, max_length=200)]], Field(max_length=50)]
_Code = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z_-]{1,40}$")]
_Cursor = Annotated[str, StringConstraints(max_length=40)]


def _check_secret(secret: str) -> str:
    signing.check_secret(secret)
    return secret


def _check_target(url: str) -> str:
    check_url(url)
    try:
        read = httpx.URL(url)  # as it will be read when it is posted to
    except httpx.InvalidURL:
        read = None
    if read is None or not url.isprintable() or " " in url:
        raise ValueError("expected an http or https URL, got one that cannot be read")
    if read.userinfo:
        raise ValueError("expected a URL without user and password: each message is signed instead")
    return url


Url = Annotated[str, StringConstraints(max_length=2000), AfterValidator(_check_target)]
Secret = Annotated[str, StringConstraints(max_length=200), AfterValidator(_check_secret)]


class Filter(BaseModel):
    """Which events; what is empty does not restrict."""

    model_config = ConfigDict(extra="forbid")

    scenes: _Names = Field(default=[], examples=[["fire_risk", "waterlogging"]])
    types: list[CaseEventType] = Field(default=[], max_length=50)
    severities: list[Literal["low", "normal", "high", "critical"]] = Field(default=[], max_length=4)
    grid_cell: _Code | None = Field(
        default=None, examples=["530111001"], description="code or its beginning: 530111001 is a street"
    )
    area: _Code | None = Field(default=None, examples=["530111"], description="code of an area; all cells within it")

    @property
    def wanted(self) -> EventFilter:
        return EventFilter(
            scenes=tuple(self.scenes),
            types=tuple(each.value for each in self.types),
            severities=tuple(self.severities),
            grid_cells=(self.grid_cell,) if self.grid_cell else (),
            areas=(self.area,) if self.area else (),
        )


class SubscriptionRequest(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "name": "case platform",
                    "url": "https://cases.example.org/citybrain",
                    "filter": {"scenes": ["fire_risk"], "grid_cell": "530111"},
                }
            ]
        },
    )

    name: Annotated[str, StringConstraints(min_length=1, max_length=100, strip_whitespace=True)]
    url: Url
    filter: Filter = Filter()
    secret: Secret | None = Field(default=None, description="whsec_ and 24 to 64 bytes in base64; made when left out")
    after: _Cursor | None = Field(default=None, description="cursor to begin behind; 0 is the beginning, none is now")


class SubscriptionChange(BaseModel):
    """What is left out stays as it is."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, StringConstraints(min_length=1, max_length=100, strip_whitespace=True)] | None = None
    url: Url | None = None
    filter: Filter | None = Field(default=None, description="the whole filter; judges what is logged from now on")
    state: Literal["active", "paused"] | None = None


class RotationRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    secret: Secret | None = Field(default=None, description="made when left out")
    grace_s: int = Field(default=86400, ge=0, le=30 * 86400, description="for how long the old one signs along")


class ReplayRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    after: _Cursor = Field(
        examples=["4711"], description="everything behind this cursor is told again; 0 is the beginning"
    )


class ShownSubscription(Answer):
    id: str
    name: str
    owner: str = Field(description="name of the key that made it")
    url: str
    filter: Filter
    state: Literal["active", "paused"]
    paused_at: Instant | None
    paused_reason: str
    failing_since: Instant | None = Field(
        description="since when it has taken nothing of what it was sent; null: it takes it"
    )
    reason: str = Field(description="why the last attempt at what waits failed")
    cursor: str = Field(
        description="every event up to there was judged; what was let through is delivered, waiting or dead"
    )
    end: str = Field(description="cursor of the last event there is")
    waiting: int = Field(description="events not yet taken")
    dead: int = Field(description="events it refused, or did not take within three days")
    lag_s: float = Field(description="for how long the oldest of those that wait has been waiting")
    next_attempt_at: Instant | None
    secret: str = Field(examples=[MASKED], description="never shown again")
    previous_until: Instant | None = Field(description="until when the secret before it signs along")
    created_at: Instant


class SubscriptionMade(ShownSubscription):
    """`secret` is shown this once."""


class SubscriptionList(Answer):
    items: list[ShownSubscription]


class SecretMade(Answer):
    secret: str = Field(description="shown this once")
    previous_until: Instant | None = Field(description="until when the one before it signs along")


class ShownDelivery(Answer):
    event: str = Field(description="the event's id, which is the webhook-id of every attempt")
    type: str = Field(examples=["citybrain.case.filed"])
    case: str
    state: Literal["waiting", "delivered", "dead"]
    attempts: int
    status: int | None = Field(description="HTTP status of the last answer; null when none came")
    reason: str = Field(description="why the last attempt failed")
    queued_at: Instant
    next_attempt_at: Instant | None
    posted_at: Instant | None = Field(description="when the last attempt began")
    acknowledged_at: Instant | None
    duration_s: float | None = Field(description="how long the last attempt took")


class DeliveryList(Answer):
    items: list[ShownDelivery]
    next: str | None = Field(description="`cursor` of the next page; null at the end")


class PingSent(Answer):
    event: str = Field(description="id of the ping; GET …/deliveries tells what came of it")


def filter_fields(wanted: EventFilter) -> dict[str, Any]:
    return {
        "scenes": list(wanted.scenes),
        "types": list(wanted.types),
        "severities": list(wanted.severities),
        "grid_cell": next(iter(wanted.grid_cells), None),
        "area": next(iter(wanted.areas), None),
    }


def shown(subscription: Subscription, standing: Standing, *, end: int, lag_s: float) -> dict[str, Any]:
    """A subscription as the API shows it: its secret masked, and what its URL's query says: many receivers have a token there."""
    return {
        "id": subscription.id,
        "name": subscription.name,
        "owner": subscription.owner,
        "url": _shown_url(subscription.url),
        "filter": filter_fields(subscription.filter),
        "state": "active" if subscription.paused_at is None else "paused",
        "paused_at": None if subscription.paused_at is None else iso(subscription.paused_at),
        "paused_reason": subscription.paused_reason,
        "failing_since": None if subscription.failing_since is None else iso(subscription.failing_since),
        "reason": standing.reason,
        "cursor": str(subscription.cursor),
        "end": str(end),
        "waiting": standing.waiting,
        "dead": standing.dead,
        "lag_s": round(lag_s, 3),
        "next_attempt_at": None
        if standing.next_attempt_at is None or subscription.paused_at is not None
        else iso(standing.next_attempt_at),
        "secret": MASKED,
        "previous_until": None if subscription.previous_until is None else iso(subscription.previous_until),
        "created_at": iso(subscription.created_at),
    }


def _shown_url(url: str) -> str:
    return re.sub(r"(?<==)[^&#]+", "***", url) if "?" in url else url


def shown_delivery(delivery: Delivery) -> dict[str, Any]:
    posted, answered = delivery.posted_at, delivery.answered_at
    return {
        "event": delivery.event,
        "type": delivery.type,
        "case": delivery.case,
        "state": delivery.state,
        "attempts": delivery.attempts,
        "status": delivery.status,
        "reason": delivery.reason,
        "queued_at": iso(delivery.queued_at),
        "next_attempt_at": None if delivery.next_attempt_at is None else iso(delivery.next_attempt_at),
        "posted_at": None if posted is None else iso(posted),
        "acknowledged_at": None if delivery.acknowledged_at is None else iso(delivery.acknowledged_at),
        "duration_s": None if posted is None or answered is None else round((answered - posted).total_seconds(), 3),
    }
