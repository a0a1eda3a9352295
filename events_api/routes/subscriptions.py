"""Subscriptions: who is told of case events by webhook, how far they are, what was delivered, and once more."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Literal

import httpx
from fastapi import APIRouter, Depends, Query
from fastapi.responses import JSONResponse, Response
from starlette.responses import Response as PlainResponse

from citybrain import netguard, signing
from citybrain.clock import iso
from citybrain.configuration import did_you_mean
from citybrain.ports import Outgoing
from citybrain.wire import CASE_EVENTS, dumps
from events_api.cursors import event_cursor
from events_api.parts import Given, Parts, audit, needs
from events_api.problems import Problem
from events_api.schemas import PROBLEM, answers
from events_api.security import Actor, Role
from events_api.subscriptions.records import Subscription
from events_api.subscriptions.schemas import (
    DeliveryList,
    Filter,
    PingSent,
    ReplayRequest,
    RotationRequest,
    SecretMade,
    ShownSubscription,
    SubscriptionChange,
    SubscriptionList,
    SubscriptionMade,
    SubscriptionRequest,
    shown,
    shown_delivery,
)
from events_api.subscriptions.store import NameTaken, with_filter

router = APIRouter(tags=["subscriptions"])

MOST = 200
PING = "citybrain.subscription.ping"

Subscriber = Annotated[Actor, Depends(needs(Role.ENGINEER, Role.PLATFORM))]


@router.get("/subscriptions", responses=answers(SubscriptionList))
def subscriptions(given: Given, actor: Subscriber) -> JSONResponse:
    """All of them; a platform key sees its own."""
    found = [(each, standing) for each, standing in given.subscriptions.with_standings() if _is_for(actor, each)]
    end, now = given.bus.end(CASE_EVENTS), given.clock.now()
    items = [shown(each, standing, end=end, lag_s=standing.lag_s(now)) for each, standing in found]
    return JSONResponse({"items": items})


@router.post(
    "/subscriptions",
    status_code=201,
    responses={201: {"model": SubscriptionMade}, **dict.fromkeys((400, 409, 422), PROBLEM)},
    response_class=Response,
)
async def subscribe(asked: SubscriptionRequest, given: Given, actor: Subscriber) -> JSONResponse:
    """Tell a URL of every event that the filter lets through, from now on or from behind a cursor. Shows the secret once."""
    await _check_leads_out(given, asked.url)
    return await asyncio.to_thread(_subscribe, asked, given, actor)


@router.get("/subscriptions/{id}", responses=answers(ShownSubscription, 404))
def subscription(id: str, given: Given, actor: Subscriber) -> JSONResponse:
    """One subscription, and how its deliveries stand."""
    return JSONResponse(_shown(given, actor, id))


@router.patch("/subscriptions/{id}", responses=answers(ShownSubscription, 404, 409, 422))
async def change(id: str, asked: SubscriptionChange, given: Given, actor: Subscriber) -> JSONResponse:
    """Another filter (for what is logged from now on), another URL, pause, resume. A pause loses nothing."""
    if asked.url is not None:
        await _check_leads_out(given, asked.url)
    return await asyncio.to_thread(_change, id, asked, given, actor)


@router.delete("/subscriptions/{id}", status_code=204, responses={404: PROBLEM}, response_class=Response)
def unsubscribe(id: str, given: Given, actor: Subscriber) -> PlainResponse:
    """Forget it, its deliveries and what waits."""
    found = _mine(given, actor, id)
    audit(given, actor, "subscription.removed", found.id, name=found.name)
    given.subscriptions.remove(found.id)
    return PlainResponse(status_code=204)


@router.post("/subscriptions/{id}/secret", responses=answers(SecretMade, 404, 409, 422))
def rotate(id: str, asked: RotationRequest, given: Given, actor: Subscriber) -> JSONResponse:
    """A new secret, shown once. The old one signs along for a while, so that the receiver can change over without a gap."""
    secret = asked.secret or signing.new_secret()
    until = given.clock.now() + timedelta(seconds=asked.grace_s)

    def rotated(before: Subscription) -> Subscription:
        previous = before.secret if asked.grace_s else None
        return replace(before, secret=secret, previous_secret=previous, previous_until=until if previous else None)

    _write(given, actor, id, rotated, "subscription.secret", grace_s=str(asked.grace_s))
    return JSONResponse({"secret": secret, "previous_until": iso(until) if asked.grace_s else None})


@router.get("/subscriptions/{id}/deliveries", responses=answers(DeliveryList, 400, 404, 422))
def deliveries(  # noqa: PLR0917 - FastAPI calls it, by name
    id: str,
    given: Given,
    actor: Subscriber,
    state: Annotated[list[Literal["waiting", "delivered", "dead"]], Query(max_length=3)] = [],  # noqa: B006
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=20, description="`next` of a page")] = None,
) -> JSONResponse:
    """The delivery log, the newest first: what was delivered within seven days, what waits, and dead letters of thirty."""
    found = _mine(given, actor, id)
    if cursor is not None and not (cursor.isascii() and cursor.isdecimal()):
        raise Problem(400, "bad-cursor", f"expected a `next` that this API gave, got {cursor[:40]!r}")
    before = None if cursor is None else min(int(cursor), 2**62)
    rows = given.subscriptions.deliveries(found.id, limit=limit + 1, states=state, before=before)
    page = rows[:limit]
    more = len(rows) > len(page)
    return JSONResponse({"items": [shown_delivery(each) for each in page], "next": str(page[-1].n) if more else None})


@router.post(
    "/subscriptions/{id}/deliveries/{event:path}/resend",
    status_code=202,
    responses={404: PROBLEM},
    response_class=Response,
)
def resend(id: str, event: str, given: Given, actor: Subscriber) -> PlainResponse:
    """Post it once more, under the id it always had, whether it was taken or not."""
    found = _mine(given, actor, id)
    audit(given, actor, "subscription.resent", found.id, event=event)
    if not given.subscriptions.resend(found.id, event):
        raise Problem(404, "no-such-delivery", f"nothing that was delivered or is dead has the id {event[:80]!r}")
    return PlainResponse(status_code=202)


@router.post("/subscriptions/{id}/replay", responses=answers(ShownSubscription, 400, 404, 422))
def replay(id: str, asked: ReplayRequest, given: Given, actor: Subscriber) -> JSONResponse:
    """Tell it everything behind a cursor again, in order and under the same ids, by the filter that it has now."""
    found, after = _mine(given, actor, id), event_cursor(asked.after, given=given)
    audit(given, actor, "subscription.replayed", found.id, after=str(after))
    given.subscriptions.replay(found.id, after=after)
    return JSONResponse(_shown(given, actor, id))


@router.post(
    "/subscriptions/{id}/test",
    status_code=202,
    responses={202: {"model": PingSent}, 404: PROBLEM, 409: PROBLEM},
    response_class=Response,
)
def ping(id: str, given: Given, actor: Subscriber) -> JSONResponse:
    """Post a ping, signed and delivered like every event."""
    found, now = _mine(given, actor, id), given.clock.now()
    if found.paused_at is not None:
        raise Problem(409, "subscription-paused", f"the subscription is paused: {found.paused_reason}")
    audit(given, actor, "subscription.tested", found.id)
    event = f"ping-{found.id}-{int(now.timestamp() * 1000)}"
    body = {
        "specversion": "1.0",
        "id": event,
        "type": PING,
        "source": f"/citybrain/subscriptions/{found.id}",
        "subject": found.id,
        "time": iso(now),
        "datacontenttype": "application/json",
        "data": {"subscription": found.id, "name": found.name},
    }
    given.subscriptions.put(Outgoing(event, found.id, event, dumps(body)))
    return JSONResponse({"event": event}, status_code=202)


def _subscribe(asked: SubscriptionRequest, given: Parts, actor: Actor) -> JSONResponse:
    _check_scenes(given, asked.filter)
    end = given.bus.end(CASE_EVENTS)
    cursor = end if asked.after is None else event_cursor(asked.after, given=given)
    if len(given.subscriptions.all()) >= MOST:
        raise Problem(409, "too-many-subscriptions", f"there are {MOST} subscriptions; remove one first")
    now = given.clock.now()
    made = Subscription(
        id=hashlib.sha256(f"{actor.name}\0{asked.name}\0{iso(now)}".encode()).hexdigest()[:16],
        owner=actor.name,
        of_platform=actor.role is Role.PLATFORM,
        name=asked.name,
        url=asked.url,
        filters=((cursor, asked.filter.wanted),),
        cursor=cursor,
        created_at=now,
        secret=asked.secret or signing.new_secret(),
    )
    audit(given, actor, "subscription.made", made.id, name=made.name, host=httpx.URL(made.url).host)
    try:
        given.subscriptions.add(made)
    except NameTaken as error:
        raise Problem(409, "name-taken", str(error)) from None
    answer = {**_shown(given, actor, made.id), "secret": made.secret}
    return JSONResponse(answer, status_code=201, headers={"location": f"/v1/subscriptions/{made.id}"})


def _change(id: str, asked: SubscriptionChange, given: Parts, actor: Actor) -> JSONResponse:
    if asked.filter is not None:
        _check_scenes(given, asked.filter)
    end, now = given.bus.end(CASE_EVENTS), given.clock.now()

    def changed(before: Subscription) -> Subscription:
        after = replace(before, name=asked.name or before.name, url=asked.url or before.url)
        if asked.filter is not None:
            after = with_filter(after, asked.filter.wanted, after=end)
        if asked.state == "paused" and before.paused_at is None:
            after = replace(after, paused_at=now, paused_reason=f"by {actor.name}")
        if asked.state == "active":
            after = replace(after, paused_at=None, paused_reason="")
        return after

    host = None if asked.url is None else httpx.URL(asked.url).host
    filtered = None if asked.filter is None else asked.filter.model_dump_json(exclude_defaults=True)
    _write(given, actor, id, changed, "subscription.changed", state=asked.state, host=host, filter=filtered)
    return JSONResponse(_shown(given, actor, id))


def _write(
    given: Parts,
    actor: Actor,
    id: str,
    change: Callable[[Subscription], Subscription],
    what: str,
    **more: str | None,
) -> None:
    """Change it as it is now: who else changes it meanwhile, the deliverer for one, is not overwritten."""
    audit(given, actor, what, _mine(given, actor, id).id, outcome="done", once_within=None, **more)
    while True:
        before = _mine(given, actor, id)
        try:
            if given.subscriptions.change(before, change(before)):
                return
        except NameTaken as error:
            raise Problem(409, "name-taken", str(error)) from None


def _is_for(actor: Actor, subscription: Subscription) -> bool:
    return actor.role.covers(Role.ENGINEER) or (subscription.of_platform and subscription.owner == actor.name)


def _mine(given: Parts, actor: Actor, id: str) -> Subscription:
    found = given.subscriptions.get(id)
    if found is None or not _is_for(actor, found):
        raise _unknown(id)
    return found


def _unknown(id: str) -> Problem:
    return Problem(404, "no-such-subscription", f"there is no subscription {id[:80]!r}")


def _shown(given: Parts, actor: Actor, id: str) -> dict[str, object]:
    found = given.subscriptions.with_standing(id)
    if found is None or not _is_for(actor, found[0]):
        raise _unknown(id)
    subscription, standing = found
    end = given.bus.end(CASE_EVENTS)
    return shown(subscription, standing, end=end, lag_s=standing.lag_s(given.clock.now()))


def _check_scenes(given: Parts, wanted: Filter) -> None:
    """A name that no scene has would leave out what is meant, in silence and for good."""
    known = [each.id for each in given.scenes]
    for scene in wanted.scenes:
        if scene not in known:
            message = f"no scene has the id {scene[:80]!r}. {did_you_mean(scene, known)}"
            fault = {"field": "filter.scenes", "in": "body", "message": message}
            raise Problem(422, "invalid-request", f"filter.scenes: {message}", more={"errors": [fault]})


async def _check_leads_out(given: Parts, url: str) -> None:
    """A first look at where the URL leads; it is looked at again at each post, for a name may lead elsewhere by then."""
    read = httpx.URL(url)
    try:
        port = read.port or (443 if read.scheme == "https" else 80)
        await netguard.Guard(given.webhooks.allow).resolve(read.host, port)
    except netguard.Forbidden as error:
        fault = {"field": "url", "in": "body", "message": str(error)}
        raise Problem(422, "forbidden-address", str(error), more={"errors": [fault]}) from None
    except netguard.Unreachable:
        return  # it may come to resolve: the deliveries will tell
