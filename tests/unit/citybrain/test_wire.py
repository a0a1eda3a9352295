"""Messages are read as they were written; what cannot be read names the field, what was expected and what was found."""

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citybrain.domain.camera import Text
from citybrain.domain.case import STAMPS, Case, CaseAction, CaseEvent, CaseEventType, CaseState, Light, Origin, Report
from citybrain.domain.command import (
    Absorb,
    Act,
    Configured,
    Delivered,
    Filmed,
    LookAgain,
    Reported,
    Silence,
    Silenced,
    Tick,
)
from citybrain.domain.detection import Detection, Detections, Finding, Looked, Usable
from citybrain.domain.episode import Evidence
from citybrain.domain.geometry import Box
from citybrain.errors import Unreadable
from citybrain.wire import (
    case_fields,
    dumps,
    evidence_fields,
    loads,
    read_case,
    read_case_event,
    read_command,
    read_detections,
    write_case_event,
    write_command,
    write_detections,
)

EIGHT = datetime(2026, 11, 21, 8, tzinfo=UTC)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
instants = st.integers(0, 2**42).map(
    lambda ms: datetime.fromtimestamp(ms // 1000, UTC) + timedelta(milliseconds=ms % 1000)
)
shares = st.integers(0, 10_000).map(lambda n: n / 10_000)
figures = st.integers(0, 10**9).map(lambda n: n / 1000)


@st.composite
def boxes(draw):
    (x1, x2), (y1, y2) = sorted([draw(shares), draw(shares)]), sorted([draw(shares), draw(shares)])
    return Box(x1, y1, x2, y2)


detections = st.builds(
    Detections,
    camera=texts,
    captured_at=instants,
    seq=st.integers(0, 2**60),
    usable=st.sampled_from(Usable),
    looked=st.sampled_from(Looked),
    clock_ok=st.booleans(),
    stamps=st.dictionaries(texts, instants, max_size=3),
    model=st.none() | texts,
    evidence=st.none() | texts,
    detections=st.lists(
        st.builds(Detection, texts, shares, boxes(), st.none() | st.binary(min_size=256, max_size=256)), max_size=3
    ).map(tuple),
)
evidence = st.builds(Evidence, texts, texts, instants, texts, st.none() | boxes(), st.none() | instants)
locations = st.none() | st.tuples(st.integers(-180, 180).map(float), st.integers(-90, 90).map(float))
reports = st.builds(Report, texts, st.sampled_from(Origin), instants, texts, st.none() | texts, locations)
silences = st.builds(
    Silence, texts, instants, instants, texts, texts, st.none() | texts, st.none() | texts, st.none() | texts
)
cases = st.builds(
    Case,
    **dict.fromkeys(("id", "scene", "code", "severity", "zone", "place", "locality", "label"), texts),
    **dict.fromkeys(("began_at", "confirmed_at", "filed_at"), instants),
    **dict.fromkeys(
        (
            *("posted_at", "due_at", "cleared_at", "closed_at", "unseen_since", "warn_at"),
            *("accepted_at", "arrived_at", "done_at", "verified_at"),
        ),
        st.none() | instants,
    ),
    **dict.fromkeys(("observed_s", "assumed_s", "unseen_s"), figures),
    **dict.fromkeys(("reason", "note", "actor"), texts),
    **dict.fromkeys(
        (
            *("grid_cell", "unit", "external_id", "recurrence_of", "model", "config", "judged"),
            *("merged_into", "escalated_to", "silenced", "undoable"),
        ),
        st.none() | texts,
    ),
    title=st.builds(Text, texts, texts),
    state=st.sampled_from(CaseState),
    cameras=st.lists(texts, max_size=3).map(tuple),
    confidence=shares,
    location=locations,
    origin=st.sampled_from(Origin),
    reports=st.lists(reports, max_size=2).map(tuple),
    escalation=st.integers(0, 5),
    present=st.booleans(),
    light=st.sampled_from(Light),
    stamps=st.dictionaries(st.sampled_from(STAMPS), instants, max_size=3),
    latency_s=st.none() | figures,
    evidence=st.lists(evidence, max_size=2).map(tuple),
    trial=st.booleans(),
    version=st.integers(0, 2**31),
)
commands = st.one_of(
    st.builds(
        Act,
        **dict.fromkeys(("id", "case", "locality", "actor", "reason", "note"), texts),
        **dict.fromkeys(("unit", "into", "into_locality"), st.none() | texts),
        action=st.sampled_from(CaseAction),
        at=instants,
        until=st.none() | instants,
        evidence=st.lists(evidence, max_size=2).map(tuple),
    ),
    st.builds(
        Absorb,
        **dict.fromkeys(("id", "case", "locality", "actor"), texts),
        other=cases,
        at=instants,
        places=st.dictionaries(texts, texts, max_size=2),
        undone=st.booleans(),
    ),
    st.builds(
        Reported,
        **dict.fromkeys(("id", "scene", "locality", "place", "actor"), texts),
        location=locations,
        grid_cell=st.none() | texts,
        report=reports,
        at=instants,
        evidence=st.lists(evidence, max_size=2).map(tuple),
        label=texts.filter(bool),
        ended=st.booleans(),
    ),
    st.builds(LookAgain, texts, texts, texts, texts, texts, texts, instants, instants),
    st.builds(Silenced, texts, silences, instants),
    st.builds(Delivered, texts, texts, texts, texts, instants, instants, instants, st.none() | texts),
    st.builds(Filmed, texts, texts, texts, texts, instants, instants, evidence, instants),
    st.builds(Tick, texts, instants),
    st.builds(Configured, texts, instants, texts),
)
case_events = st.builds(
    CaseEvent, texts, st.sampled_from(CaseEventType), cases, instants, st.none() | texts.filter(bool)
)


@given(detections)
def test_detections_are_read_as_written(seen):
    assert read_detections(write_detections(seen)) == seen


@given(commands)
def test_commands_are_read_as_written(command):
    assert read_command(write_command(command)) == command


@given(case_events)
def test_case_events_are_read_as_written(event):
    assert read_case_event(write_case_event(event)) == event


@given(detections)
def test_what_is_written_again_is_the_same_bytes(seen):
    assert write_detections(read_detections(write_detections(seen))) == write_detections(seen)


def test_a_writer_more_exact_than_the_wire_is_read_as_finely_as_is_written():
    """Or a state that was stored and read again would differ from one that was not."""
    fields = a_look() | {"captured_at": "2026-11-21T16:00:00.123456+08:00"}
    fields["boxes"][0] |= {"confidence": 0.123456, "box": [0.1234567, 0.2, 0.3, 0.4]}
    seen = read_detections(dumps(fields))
    assert seen.captured_at == EIGHT + timedelta(milliseconds=123)
    assert seen.detections[0].confidence == 0.1235
    assert seen.detections[0].box.x1 == 0.1235
    assert read_detections(write_detections(seen)) == seen


def test_a_picture_is_written_as_ever_and_a_clip_says_that_it_is_one_and_when_it_ends():
    picture = Evidence("e.jpg", "gd-1", EIGHT, "first")
    assert list(evidence_fields(picture)) == ["ref", "camera", "captured_at", "role", "box"]
    clip = evidence_fields(Evidence("e.mp4", "gd-1", EIGHT, "around", until_at=EIGHT + timedelta(seconds=9)))
    assert (clip["kind"], clip["until_at"]) == ("clip", "2026-11-21T08:00:09.000Z")


def test_findings_are_read_as_written_and_a_newer_versions_finding_is_passed_over():
    seen = Detections("gd-1", EIGHT, 7, findings=(Finding.COLOUR_CAST, Finding.PARTLY_OCCLUDED))
    fields = json.loads(write_detections(seen))
    assert read_detections(dumps(fields)) == seen
    fields["findings"].append("spider on the lens")
    assert read_detections(dumps(fields)) == seen
    assert "findings" not in a_look()


def a_look():
    box = Detection("car", 0.8, Box(0.1, 0.2, 0.3, 0.4), bytes(range(256)))
    stamps = {"received": EIGHT}
    seen = Detections("gd-1", EIGHT, 7, stamps=stamps, model="city-n@1", evidence="e.jpg", detections=(box,))
    return json.loads(write_detections(seen))


def an_act():
    return json.loads(
        write_command(Act("a1", "case-1", "cell:1", CaseAction.REJECT, "li", EIGHT, "no", "nothing there"))
    )


def a_report():
    report = {"id": "report-1", "origin": "hotline", "at": "2026-11-21T08:00:00.000Z", "words": "", "reference": None}
    return {
        "v": 1,
        "kind": "reported",
        "id": "report-1",
        "at": "2026-11-21T08:00:01.000Z",
        "scene": "illegal_parking",
        "locality": "cell:530111001001003",
        "place": "report/report-1",
        "location": {"lon": 102.7, "lat": 25.0},
        "grid_cell": None,
        "report": report,
        "actor": "platform",
    }


def test_a_report_says_by_itself_that_it_is_one_and_not_over():
    command = read_command(dumps(a_report()))
    assert isinstance(command, Reported)
    assert (command.label, command.ended, command.evidence, command.report.location) == ("report", False, (), None)


def a_delivery():
    return json.loads(write_command(Delivered("d1", "case-1", "cell:1", "case-1-1", EIGHT, EIGHT, EIGHT, "D-1")))


def a_case():
    evidence = (Evidence("e.jpg", "gd-1", EIGHT, "first", Box(0, 0, 1, 1)),)
    return Case(
        "case-1",
        "fire_risk",
        "04-11",
        Text("烟火", "Fire"),
        "high",
        CaseState.FILED,
        ("gd-1",),
        "view",
        "gd-1/view",
        "camera:gd-1",
        EIGHT,
        EIGHT,
        EIGHT,
        "fire",
        0.9,
        3.0,
        0.0,
        0.0,
        location=(102.7, 25.0),
        evidence=evidence,
        stamps={"captured": EIGHT},
        version=1,
    )


def an_event():
    return json.loads(write_case_event(CaseEvent("case-1-1", CaseEventType.FILED, a_case(), EIGHT)))


def test_readers_ignore_what_they_do_not_know():
    look = a_look()
    assert read_detections(dumps(look | {"colour": "red"})) == read_detections(dumps(look))
    look["boxes"][0]["track"] = 12
    assert read_detections(dumps(look)).detections[0].label == "car"
    assert read_command(dumps(an_act() | {"mood": "good"})) == read_command(dumps(an_act()))
    event = an_event()
    event["data"]["weather"] = "rain"
    assert read_case_event(dumps(event | {"traceparent": "00"})) == read_case_event(dumps(an_event()))


@pytest.mark.parametrize("name", ["clock_ok", "stamps", "model", "evidence"])
def test_what_a_look_may_leave_out_it_may_leave_out(name):
    look = a_look()
    del look[name]
    assert read_detections(dumps(look)).camera == "gd-1"


@pytest.mark.parametrize("version", [0, 2, 99, "1", None, True, 1.0])
def test_a_newer_or_unversioned_message_is_refused(version):
    event = an_event()
    event["data"]["v"] = version
    for read, fields in (
        (read_detections, a_look() | {"v": version}),
        (read_command, an_act() | {"v": version}),
        (read_case_event, event),
    ):
        with pytest.raises(Unreadable, match=r"^v: expected 1\.\.1, got"):
            read(dumps(fields))


WORDS: tuple = (None, 7, "noon", [], {}, True)
NUMBERS: tuple = (None, "7", [], True)


def _wrong(name, *values):
    return [(name, value) for value in values]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *_wrong("camera", None, 7, [], True),
        *_wrong("captured_at", *WORDS, "2026-11-21T08:00:00", "0001-01-01T00:00:00+08:00", 1795248000),
        *_wrong("seq", *NUMBERS, 1.5),
        *_wrong("usable", None, "fine", []),
        *_wrong("looked", None, "yes", {}),
        *_wrong("clock_ok", None, "false", 1),
        *_wrong("stamps", [], "x", 0, {"received": "noon"}),
        *_wrong("model", 7, []),
        *_wrong("evidence", 7, {}),
        *_wrong("boxes", None, {}, "x", [7], [None]),
    ],
)
def test_a_look_that_cannot_be_read_names_the_field(name, value):
    with pytest.raises(Unreadable) as caught:
        read_detections(dumps(a_look() | {name: value}))
    assert str(caught.value).startswith(name)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *_wrong("label", None, 7, []),
        *_wrong("confidence", *NUMBERS, -0.1, 1.1, float("nan"), float("inf"), 10**400),
        *_wrong("box", None, "x", [], [0, 0, 1], [0, 0, 1, "1"], [0, 0, 1, True], [0, 0, 1280.0, 1], [0.5, 0, 0.4, 1]),
        *_wrong("box", [0, 0, float("nan"), 1], [0, 0, 10**400, 1]),
        *_wrong("look", 7, "not base64!", "QUJD", []),
    ],
)
def test_a_box_that_cannot_be_read_names_itself_and_the_field(name, value):
    look = a_look()
    look["boxes"].append(look["boxes"][0] | {name: value})
    with pytest.raises(Unreadable) as caught:
        read_detections(dumps(look))
    assert str(caught.value).startswith(f"boxes[1].{name}")


def test_the_message_says_expected_and_found():
    look = a_look()
    look["boxes"][0]["box"] = [0, 0, 1280.0, 1]
    with pytest.raises(Unreadable, match=r"box must be 0\.\.1, got 1280\.0"):
        read_detections(dumps(look))


@pytest.mark.parametrize(
    ("fields", "name", "value"),
    [
        *((an_act, name, None) for name in ("kind", "id", "case", "locality", "action", "actor", "at")),
        *((a_delivery, name, None) for name in ("event", "committed_at", "posted_at", "acknowledged_at")),
        (an_act, "kind", "wish"),
        (an_act, "action", "dance"),
        (an_act, "reason", 7),
        (an_act, "note", []),
        (a_delivery, "external_id", 7),
        *((a_report, name, None) for name in ("scene", "locality", "place", "report", "actor")),
        (a_report, "location", {"lon": 102.7}),
        (a_report, "ended", 1),
        (a_report, "label", 7),
    ],
)
def test_a_command_that_cannot_be_read_names_the_field(fields, name, value):
    with pytest.raises(Unreadable) as caught:
        read_command(dumps(fields() | {name: value}))
    assert str(caught.value).startswith(name)


REQUIRED = ("id", "scene", "code", "title", "severity", "state", "cameras", "zone", "place", "locality", "label")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, None) for name in (*REQUIRED, "began_at", "confirmed_at", "filed_at", "light", "evidence", "version")),
        ("cameras", [7]),
        ("location", 7),
        ("location", {"lon": 1}),
        ("location", {"lon": "1", "lat": 2}),
        ("confidence", "high"),
        ("observed_s", []),
        ("latency_s", float("inf")),
        ("present", "yes"),
        ("trial", 0),
        ("judged", 1),
        ("posted_at", "soon"),
        ("stamps", {"filed": 1}),
        ("evidence", [7]),
    ],
)
def test_a_case_that_cannot_be_read_names_the_field(name, value):
    with pytest.raises(Unreadable) as caught:
        read_case(case_fields(a_case()) | {name: value})
    assert name.removesuffix("s") in str(caught.value) or any(key in str(caught.value) for key in ("lon", "lat"))


@pytest.mark.parametrize("name", ["specversion", "id", "type", "data", "time"])
def test_a_case_event_that_is_no_cloud_event_names_the_attribute(name):
    with pytest.raises(Unreadable, match=f"^{name}"):
        read_case_event(dumps(an_event() | {name: None}))


def test_a_case_event_is_a_cloud_event_about_its_case():
    event = an_event()
    assert event["specversion"] == "1.0"
    assert event["subject"] == event["data"]["id"] == "case-1"
    assert event["source"] == "/citybrain/cameras/gd-1"
    assert event["time"] == "2026-11-21T08:00:00.000Z"
    assert event["data"]["location"] == {"lon": 102.7, "lat": 25.0, "crs": "EPSG:4326"}


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"\xff", b"[]", b"null", b'"v"', b"[" * 100_000, b'{"a":"\\ud800"}', b"1" * 5000]
)
def test_what_is_no_json_object_is_unreadable(raw):
    with pytest.raises(Unreadable, match="expected"):
        loads(raw)


@given(st.binary(max_size=200))
def test_no_bytes_make_a_reader_fail_in_another_way(raw):
    for read in (read_detections, read_command, read_case_event):
        with pytest.raises(Unreadable):
            read(raw)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@given(value=anything, data=st.data())
def test_no_value_of_any_field_makes_a_reader_fail_in_another_way(value, data):
    for read, fields in (
        (read_detections, a_look()),
        (read_command, an_act()),
        (read_command, a_report()),
        (read_case_event, an_event()),
    ):
        inner = fields
        if "data" in fields and data.draw(st.booleans()):
            inner = fields["data"]
        inner[data.draw(st.sampled_from(sorted(inner)))] = value
        with suppress(Unreadable):
            read(json.dumps(fields))
