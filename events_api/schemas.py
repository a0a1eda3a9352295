"""What the API answers, as models: the OpenAPI document is made of them, and tests hold every answer against them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from citybrain.domain.case import CaseAction, CaseState, Origin

Instant = Annotated[str, Field(examples=["2026-11-21T08:00:00.000Z"], description="ISO 8601, UTC")]
Short = Annotated[str, StringConstraints(max_length=200, strip_whitespace=True)]


class Answer(BaseModel):
    """Readers ignore what they do not know; the tests see to it that there is nothing of the kind."""

    model_config = ConfigDict(extra="forbid")


class Text(Answer):
    zh: str = Field(examples=["机动车乱停放"])
    en: str = Field(examples=["Illegal parking"])


class Location(Answer):
    lon: float = Field(examples=[102.7411])
    lat: float = Field(examples=[25.0142])
    crs: Literal["EPSG:4326"]


class Evidence(Answer):
    ref: str = Field(description="GET /v1/evidence/{ref} is the picture or clip")
    camera: str = Field(examples=["gd-0001"])
    captured_at: Instant
    role: str = Field(
        examples=["confirming"], description="first, confirming, clear, after, field, report; a clip: around"
    )
    box: list[float] | None = Field(examples=[[0.21, 0.4, 0.35, 0.55]], description="left, top, right, bottom, 0..1")
    kind: Literal["clip"] | None = Field(default=None, description="clip: a video; not there: a picture")
    until_at: Instant | None = Field(default=None, description="when a clip ends; it begins at `captured_at`")


class Report(Answer):
    """What somebody else than a camera said of it."""

    id: str
    origin: Origin
    at: Instant
    words: str
    reference: str | None = Field(description="their own number")
    location: Location | None


class Case(Answer):
    v: int = Field(examples=[1])
    id: str
    scene: str = Field(examples=["illegal_parking"])
    code: str = Field(examples=["05-05"])
    title: Text
    severity: str = Field(examples=["normal"])
    state: CaseState
    cameras: list[str]
    zone: str
    place: str
    locality: str
    grid_cell: str | None = Field(examples=["530111001001003"])
    location: Location | None
    label: str = Field(examples=["car"])
    confidence: float = Field(ge=0, le=1)
    began_at: Instant
    confirmed_at: Instant
    filed_at: Instant
    posted_at: Instant | None
    due_at: Instant | None
    cleared_at: Instant | None
    closed_at: Instant | None
    unseen_since: Instant | None = Field(description="since when nobody could look; null while it can be seen")
    present: bool = Field(description="whether it was there at the last usable look")
    judged: Literal["confirmed", "rejected"] | None
    light: Literal["green", "yellow", "red"] = Field(description="time used: below 80 %, to 100 %, beyond")
    stamps: dict[str, str] = Field(description="captured received decoded inferred confirmed filed posted acknowledged")
    latency_s: float | None = Field(description="posted − captured of the confirming look; null until posted")
    observed_s: float
    assumed_s: float
    unseen_s: float
    evidence: list[Evidence]
    unit: str | None
    external_id: str | None
    reason: str
    note: str
    actor: str
    recurrence_of: str | None
    merged_into: str | None = Field(description="the case that this one was made part of")
    origin: Origin
    reports: list[Report]
    warn_at: Instant | None = Field(description="four fifths of the time allowed")
    accepted_at: Instant | None = Field(description="the unit took it")
    arrived_at: Instant | None = Field(description="its person was there")
    done_at: Instant | None = Field(description="the unit said that it is done")
    verified_at: Instant | None = Field(description="a camera saw that it is gone")
    escalation: int = Field(description="how many levels of the area tree were told")
    escalated_to: str | None = Field(description="the last of them")
    silenced: str | None = Field(description="id of the silence for which nobody was told")
    undoable: str | None = Field(examples=["reject"], description="the action that undo would take back now")
    trial: bool
    model: str | None
    config: str | None
    version: int


class ShownCase(Case):
    """A case with what can be done about it now."""

    allowed: list[CaseAction]


class CasePage(Answer):
    items: list[ShownCase]
    next: str | None = Field(description="`cursor` of the next page; null at the end")
    as_of: str = Field(description="events cursor that this page is not older than: stream from here to miss nothing")


class CaseEvent(Answer):
    """A CloudEvent 1.0; `data` is the case after it, `cursor` its place in the events."""

    specversion: Literal["1.0"]
    id: str
    type: str = Field(examples=["citybrain.case.filed"])
    source: str
    subject: str
    time: Instant
    datacontenttype: Literal["application/json"]
    data: Case
    cause: str | None = Field(default=None, description="id of the command that brought it about, if one did")
    cursor: str = Field(examples=["4711"])


class Timeline(Answer):
    items: list[CaseEvent]


class EventPage(Answer):
    items: list[CaseEvent]
    next: str = Field(description="`after` of the next page", examples=["4711"])
    end: str = Field(description="cursor of the last event there is", examples=["4711"])


class ActionRequest(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"action": "reject", "reason": "glare"}]})

    action: CaseAction
    reason: Short = Field(default="", description="must be given to reject")
    note: Annotated[str, StringConstraints(max_length=2000, strip_whitespace=True)] = ""
    unit: Short | None = Field(default=None, description="to assign: whose it is from now on")
    until: AwareDatetime | None = Field(default=None, description="to extend: by when; to defer: until when")
    into: Short | None = Field(default=None, description="to merge: the case that it is made part of")
    evidence: list[Short] = Field(default=[], max_length=12, description="references of pictures taken on the spot")


class ActionAnswer(Answer):
    command: str = Field(description="id of the command; the event that it brings about names it as its `cause`")
    applied: bool = Field(description="false: on its way, watch the events")
    case: ShownCase


class CallbackRequest(BaseModel):
    """What the dispatch system says of a case."""

    model_config = ConfigDict(extra="ignore")

    case: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    status: Literal["accepted", "handling", "arrived", "done", "returned", "rejected"]
    external_id: Short | None = None
    note: Annotated[str, StringConstraints(max_length=2000, strip_whitespace=True)] = ""
    at: AwareDatetime | None = None


class CallbackAnswer(Answer):
    command: str | None = Field(description="id of the command given, null when there was nothing to do")


CameraStateName = Literal["connecting", "live", "stale", "unusable", "refused", "lost", "unknown"]


class Zone(Answer):
    id: str
    kind: str = Field(examples=["no_parking"])
    polygon: list[list[float]]


class Looks(Answer):
    looks: int
    overtaken: int
    lost_looks: int
    reconnects: int
    strikes: int


class Camera(Answer):
    id: str = Field(examples=["gd-0001"])
    name: Text
    location: Location | None
    grid_cell: str | None
    zones: list[Zone]
    state: CameraStateName
    reason: Text
    since: Instant | None
    last_look_at: Instant | None
    usable: str | None
    findings: list[Text] = Field(description="what a person should see to although the camera still sees")
    staleness_s: float | None = Field(
        description="for how long it went unseen at most within the last half minute to minute, the present included"
    )
    patience_s: float | None = Field(description="for how long the scenes that judge it let it go unseen")
    late: bool = Field(description="it goes unseen for a quarter longer than that, or more")
    clock_ok: bool | None
    codec: str | None
    through: str | None = Field(description="what reads it: rtsp, rtsp-udp (as datagrams), libav, file, images")
    width: int | None
    height: int | None
    counts: Looks
    snapshot: str | None = Field(description="path of the latest picture; null when there is none")


class CameraList(Answer):
    items: list[Camera]
    next: str | None = Field(description="`cursor` of the next page; null after the last")
    counts: dict[str, int] = Field(description="cameras that match, by state, whichever `state` was asked for")


class Scene(Answer):
    id: str = Field(examples=["illegal_parking"])
    title: Text
    status: Literal["draft", "trial", "live"]
    severity: str
    code: str
    zone_kind: str
    hold_s: float


class SceneList(Answer):
    items: list[Scene]


class Latency(Answer):
    """Of the cases filed within the last 24 hours that were posted."""

    count: int
    p50_s: float | None
    p99_s: float | None
    within_10s: int


class ConfigurationStanding(Answer):
    process: str = Field(examples=["pipeline/0"])
    revision: str = Field(description="as in a case's `config`")
    adopted_at: Instant
    refused_since: Instant | None = Field(description="since when the folder holds another one that is faulty")
    faults: list[str] = Field(description="file, key, what is wrong, remedy; for engineers")
    fault_count: int


class ConfigurationList(Answer):
    items: list[ConfigurationStanding]


class Lacking(Answer):
    """A comfort that is missing at present; cases are found, posted and shown all the same."""

    what: str = Field(examples=["hot"], description="hot: Redis, and what lies there; evidence: its storage")
    since: Instant
    reason: str


class Stats(Answer):
    at: Instant
    cursor: str
    cases: dict[str, int] = Field(description="by state")
    scenes: dict[str, dict[str, int]] = Field(description="by scene and state")
    cameras: dict[str, int] = Field(description="by state")
    latency: Latency
    view: dict[str, int] = Field(description="lag: offsets behind the log; set_aside: messages that could not be read")
    configuration_refused_since: Instant | None = Field(description="GET /v1/configuration says why")
    degraded: list[Lacking] = Field(description="what the city goes on without, as this replica of the API knows")
    figures: dict[str, float] = Field(description="what the processes report of themselves, as role.figure")


class DeadLetter(Answer):
    id: str
    endpoint: str
    case: str
    attempts: int
    reason: str
    failed_at: Instant


class DeadLetterList(Answer):
    items: list[DeadLetter]


class SessionRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    key: Annotated[str, StringConstraints(min_length=1, max_length=200)]


class Who(Answer):
    name: str
    role: str
    unit: str | None = Field(description="the unit that a field key belongs to; null for all others")
    keys: bool = Field(description="whether this installation has keys at all")


class Problem(BaseModel):
    """RFC 9457."""

    type: str = Field(examples=["/docs#impossible-action"])
    title: str
    status: int
    detail: str
    instance: str
    errors: list[dict[str, Any]] | None = Field(default=None, description="for each field: field, in, message")
    allowed: list[CaseAction] | None = Field(default=None, description="what is possible instead")


PROBLEM: dict[str, Any] = {"model": Problem, "content": {"application/problem+json": {}}, "description": "Problem"}


def answers(model: type[BaseModel], *problems: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that writes its JSON itself."""
    return {200: {"model": model}, **dict.fromkeys(problems, PROBLEM)}
