"""Whether this process lives, whether the whole is ready, and its figures for Prometheus."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector
from pydantic import Field

from citybrain.errors import BusAway, DatabaseAway
from events_api.camera_overview import STATES
from events_api.limits import Limited
from events_api.parts import Given, Parts, Reader
from events_api.problems import Problem
from events_api.routes.cameras import count_of, staleness_of
from events_api.routes.configuration import standings
from events_api.routes.overview import figures
from events_api.schemas import PROBLEM, Answer, Lacking, answers
from events_api.signs import heartbeats

router = APIRouter(tags=["health"])

_SMALL_LAG = 2000  # offsets; the topics share them, so the view is ready a little before it is level
_SCRAPED_EACH = 1000  # cameras; more of them would make a scrape of megabytes
_MOST_REASONS = 200
_BUCKETS = (0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 10.0, 15.0, 30.0, 60.0)


@router.get("/healthz", response_class=PlainTextResponse)
async def healthz() -> str:
    """This process answers."""
    return "alive\n"


class Ready(Answer):
    ready: bool
    degraded: list[Lacking] = Field(description="what the city goes on without")


@router.get("/readyz", responses={**answers(Ready), 503: PROBLEM})
def readyz(given: Given) -> JSONResponse:
    """Whether cases that arise now will be shown, and without which comforts; 503 with every reason why not."""
    reasons = _unready(given)
    if reasons:
        raise Problem(503, "not-ready", "; ".join(reasons), headers={"Retry-After": "2"}, more={"reasons": reasons})
    return JSONResponse({"ready": True, "degraded": [each.as_fields() for each in given.vitals.lacking()]})


@router.get("/metrics", response_class=Response)
def metrics(
    request: Request,
    given: Given,
    _: Reader,
    cameras: Annotated[
        Literal["each", "summed"] | None, Query(description="figures of each camera, or sums only")
    ] = None,
) -> Response:
    """Prometheus text. Above 1,000 cameras the figures of each one are left out, unless they are asked for."""
    registry = CollectorRegistry()
    each_camera = len(given.cameras) <= _SCRAPED_EACH if cameras is None else cameras == "each"
    registry.register(_Figures(given, streams=len(request.app.state.streams), each_camera=each_camera))
    return Response(generate_latest(registry), headers={"content-type": CONTENT_TYPE_PLAIN_0_0_4})


def _unready(given: Parts) -> list[str]:
    reasons = []
    try:
        lag = given.projector.lag()
    except DatabaseAway:
        reasons.append("the database does not answer")
    except Exception as error:  # noqa: BLE001 - whatever a bus raises, the answer is that it is not ready
        reasons.append(f"the bus cannot be read ({type(error).__name__})")
    else:
        if lag > _SMALL_LAG:
            reasons.append(f"the case view is {lag} offsets behind")
    if given.projector.failure:
        reasons.append(f"the case view cannot follow the log ({given.projector.failure.split(':')[0]})")
    return reasons + given.vitals.silent()


class _Figures(Collector):
    """Counted when asked for, from what is stored: a restart loses no figure and none is counted twice."""

    def __init__(self, given: Parts, *, streams: int, each_camera: bool = True) -> None:
        self._given, self._streams, self._each_camera = given, streams, each_camera

    def collect(self) -> Iterator[Metric]:
        given = self._given
        counts = given.store.counts()
        filed = CounterMetricFamily("citybrain_cases", "Cases ever filed.", labels=["scene"])
        per_scene: Counter[str] = Counter()
        for (scene, _), count in counts.items():
            per_scene[scene] += count
        for scene, count in per_scene.items():
            filed.add_metric([scene], count)
        yield filed
        by_state = GaugeMetricFamily(
            "citybrain_cases_in_state", "Cases by what they are now.", labels=["scene", "state"]
        )
        for (scene, state), count in counts.items():
            by_state.add_metric([scene, state], count)
        yield by_state
        yield self._latency()
        with suppress(BusAway):  # nobody knows then
            yield GaugeMetricFamily("citybrain_view_lag", "Offsets the case view is behind.", given.projector.lag())
        if given.dead_letters is not None:
            with suppress(BusAway):
                yield GaugeMetricFamily(
                    "citybrain_dead_letters", "What delivery gave up on.", given.dead_letters.count()
                )
        for name, figure in given.bus.figures().items():
            yield GaugeMetricFamily(f"citybrain_bus_{name}", "Of this process's own way to the bus.", figure)
        lacking = {each.what for each in given.vitals.lacking()}
        for what, says in (("hot", "Whether Redis is gone."), ("evidence", "Whether the evidence storage is gone.")):
            yield GaugeMetricFamily(f"citybrain_{what}_away", says, what in lacking)
        yield CounterMetricFamily("citybrain_view_failures", "Batches not taken in.", given.projector.failures)
        yield GaugeMetricFamily("citybrain_events_set_aside", "Messages not readable.", given.store.set_aside())
        yield GaugeMetricFamily("citybrain_streams", "Event streams open.", self._streams)
        limited = CounterMetricFamily("citybrain_requests_limited", "Requests told to wait.", labels=["kind"])
        for kind in Limited:
            limited.add_metric([kind.value], given.limits.refused[kind])
        yield limited
        yield CounterMetricFamily("citybrain_audit_entries", "Entries of the audit trail.", given.trail.count())
        yield from self._subscriptions()
        yield from self._cameras()
        yield from self._reported()

    def _subscriptions(self) -> Iterator[Metric]:
        labels = ["owner", "subscription"]
        lag = GaugeMetricFamily(
            "citybrain_subscription_lag_seconds", "Age of the oldest event not taken.", labels=labels
        )
        waiting = GaugeMetricFamily("citybrain_subscription_waiting", "Events not yet taken.", labels=labels)
        dead = GaugeMetricFamily("citybrain_subscription_dead", "Events refused or given up.", labels=labels)
        paused = GaugeMetricFamily("citybrain_subscription_paused", "Whether it is paused.", labels=labels)
        failing = GaugeMetricFamily("citybrain_subscription_failing", "Whether it takes nothing.", labels=labels)
        now = self._given.clock.now()
        for each, standing in self._given.subscriptions.with_standings():
            who = [each.owner, each.name]
            lag.add_metric(who, standing.lag_s(now))
            waiting.add_metric(who, standing.waiting)
            dead.add_metric(who, standing.dead)
            paused.add_metric(who, each.paused_at is not None)
            failing.add_metric(who, each.failing_since is not None)
        yield from (lag, waiting, dead, paused, failing)

    def _latency(self) -> Metric:
        latencies = self._given.store.latencies()
        buckets = [(str(bound), float(bisect_right(latencies, bound))) for bound in _BUCKETS]
        family = HistogramMetricFamily("citybrain_case_latency_seconds", "Posted − captured of the confirming look.")
        family.add_metric([], [*buckets, ("+Inf", float(len(latencies)))], sum_value=sum(latencies))
        return family

    def _cameras(self) -> Iterator[Metric]:
        overview = self._given.overview.now()
        states = GaugeMetricFamily("citybrain_cameras", "Cameras by state.", labels=["state"])
        for state in (*STATES, "unknown"):
            states.add_metric([state], overview.counts.get(state, 0))
        yield states
        reasons = GaugeMetricFamily("citybrain_cameras_in_trouble", "Why not.", labels=["state", "reason"])
        troubled = Counter((known.state, known.reason) for known in overview.cameras if known.state != "live")
        for (state, reason), count in troubled.most_common(_MOST_REASONS):
            reasons.add_metric([state, reason], count)
        yield reasons
        if not self._each_camera:
            return
        for name, what in (("looks", "Looks taken."), ("overtaken", "Frames a newer one overtook.")):
            family = CounterMetricFamily(f"citybrain_camera_{name}", what, labels=["camera"])
            for known in overview.cameras:
                family.add_metric([known.camera.id], count_of(known, name))
            yield family
        staleness = GaugeMetricFamily("citybrain_camera_staleness_seconds", "Unseen, lately.", labels=["camera"])
        for known in overview.cameras:
            if (unseen_s := staleness_of(known)) is not None:
                staleness.add_metric([known.camera.id], unseen_s)
        yield staleness

    def _reported(self) -> Iterator[Metric]:
        beats = GaugeMetricFamily("citybrain_heartbeat_age_seconds", "Since a process reported.", labels=["process"])
        now = self._given.clock.now()
        for beat in heartbeats(self._given.hot):
            beats.add_metric([beat.name], (now - beat.at).total_seconds())
        yield beats
        refused = GaugeMetricFamily(
            "citybrain_configuration_refused", "Whether the configuration on disk is refused.", labels=["process"]
        )
        for standing in standings(self._given.hot):
            refused.add_metric([standing["process"]], standing["refused_since"] is not None)
        yield refused
        families: dict[str, Metric] = {}
        for name, figure in sorted(figures(self._given).items()):
            metric = "citybrain_" + re.sub(r"[^a-z0-9_]", "_", name.lower())
            if metric not in families:
                families[metric] = GaugeMetricFamily(metric, f"{name}, as its process reports it.", figure)
        yield from families.values()
