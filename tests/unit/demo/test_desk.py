"""The reference desk: whom it believes, what it remembers, which number it gives, and how it fails when told to."""

import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from random import Random

import httpx
import pytest

from citybrain import signing
from citybrain.clock import ManualClock
from citybrain.demo import desk
from citybrain.demo.desk_book import CALLBACK, Book, Step
from citybrain.demo.desk_faults import Faults, Switch
from citybrain.errors import Unreadable

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
SECRET = signing.new_secret()
SECOND = timedelta(seconds=1)


def event(case="case-1", version=1, *, kind="filed", **data):
    return json.dumps(
        {
            "specversion": "1.0",
            "id": f"{case}-{version}",
            "type": f"citybrain.case.{kind}",
            "source": "/citybrain",
            "subject": case,
            "data": {"version": version, "state": kind, "title": {"zh": "道路积水", "en": "Waterlogging"}} | data,
        }
    ).encode()


@pytest.fixture
def clock():
    return ManualClock(NOW)


@pytest.fixture
def book(tmp_path, clock):
    book = Book(tmp_path / "desk.db", clock=clock)
    yield book
    book.close()


@pytest.fixture
async def door(book, clock):
    """The desk's HTTP face, without a network."""
    async with opened(book, clock) as client:
        yield client


@asynccontextmanager
async def opened(book, clock, *, switch=None):
    app = desk.create_app(book, secret=SECRET, clock=clock, switch=switch or Switch())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://desk") as client:
        yield client


async def post(door, body, *, message_id="m1", secret=SECRET, at=NOW):
    headers = signing.sign(secret, message_id=message_id, at=at, body=body)
    return await door.post("/events", content=body, headers=headers)


# -- the book ---------------------------------------------------------------------------------------------------------


def test_each_case_has_one_number_whatever_is_told_of_it(book):
    first = book.receive("m1", event("a", 1))
    assert first.external_id == "DD2026000001"
    assert book.receive("m2", event("a", 2)).external_id == first.external_id
    assert book.receive("m3", event("b", 1)).external_id == "DD2026000002"


def test_a_repeat_is_counted_and_changes_nothing(book, clock):
    assert not book.receive("m1", event("a", 1)).repeat
    clock.advance(SECOND)
    assert book.receive("m1", event("a", 1)).repeat
    [delivery] = book.deliveries()
    assert (delivery["id"], delivery["count"]) == ("m1", 2)
    assert (delivery["first_at"], delivery["last_at"]) == ("2026-11-21T08:00:00.000Z", "2026-11-21T08:00:01.000Z")
    [case] = book.cases()
    assert (case["messages"], case["deliveries"]) == (1, 2)


def test_an_older_version_that_comes_late_does_not_overwrite_the_newer(book):
    book.receive("m3", event("a", 3, kind="closed"))
    book.receive("m2", event("a", 2, kind="dispatched"))
    [case] = book.cases()
    assert (case["version"], case["type"], case["data"]["state"]) == (3, "citybrain.case.closed", "closed")


def test_what_it_acknowledged_it_still_knows_after_a_restart(tmp_path, clock):
    first = Book(tmp_path / "desk.db", clock=clock)
    number = first.receive("m1", event("a")).external_id
    first.close()
    again = Book(tmp_path / "desk.db", clock=clock)
    receipt = again.receive("m1", event("a"))
    again.close()
    assert (receipt.external_id, receipt.repeat) == (number, True)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", "expected JSON"),
        (b"[]", "expected a JSON object"),
        (b"{}", "specversion"),
        (b'{"specversion":"1.0"}', "id: expected text"),
        (event(case=""), "subject: expected text"),
        (event(version="1"), "data.version"),
        (event(version=True), "data.version"),
        (b'{"specversion":"1.0","id":"e","type":"t","subject":"s","data":[]}', "data.version"),
    ],
)
def test_what_is_no_case_event_is_not_entered(book, body, expected):
    with pytest.raises(Unreadable, match=expected):
        book.receive("m1", body)
    assert book.deliveries() == book.cases() == []


def test_fields_it_does_not_know_do_not_disturb_it(book):
    fields = json.loads(event()) | {"traceparent": "00-…", "data": {"version": 1, "colour": "red"}}
    book.receive("m1", json.dumps(fields).encode())
    assert book.cases()[0]["data"]["colour"] == "red"


def test_it_says_in_time_what_it_does_with_a_case_and_says_it_once(tmp_path, clock):
    course = [Step("accepted", 2 * SECOND), Step("done", 60 * SECOND)]
    book = Book(tmp_path / "desk.db", clock=clock, course=course)
    number = book.receive("m1", event("a", 1)).external_id
    book.receive("m1", event("a", 1))
    book.receive("m2", event("a", 2, kind="status"))
    assert book.outbox.due(NOW + SECOND) == []
    assert book.outbox.figures()["waiting"] == 2
    [said] = book.outbox.due(NOW + 2 * SECOND)
    assert said.endpoint == CALLBACK
    assert json.loads(said.body) == {
        "case": "a",
        "external_id": number,
        "status": "accepted",
        "note": "",
        "at": "2026-11-21T08:00:02.000Z",
    }
    assert book.cases()[0]["status"] == "received"
    book.called_back(said.body)
    assert book.cases()[0]["status"] == "accepted"
    book.close()


def test_a_case_that_is_reopened_is_accepted_anew(tmp_path, clock):
    book = Book(tmp_path / "desk.db", clock=clock, course=[Step("accepted", 2 * SECOND)])
    book.receive("m1", event("a", 1))
    book.receive("m5", event("a", 5, kind="reopened"))
    book.receive("m5", event("a", 5, kind="reopened"))
    assert book.outbox.figures()["waiting"] == 2
    book.close()


def test_a_unit_has_its_own_time_and_says_again_that_it_is_done_when_a_camera_still_sees_it(tmp_path, clock):
    course = [Step("handling", SECOND), Step("done", 90 * SECOND), Step("done", 30 * SECOND, "traffic_order")]
    book = Book(tmp_path / "desk.db", clock=clock, course=course)
    book.receive("m1", event("a", 1, unit="traffic_order"))
    book.receive("m2", event("b", 1, unit="urban_order"))
    book.receive("m3", event("a", 2, kind="status", unit="traffic_order", reason="still there"))
    book.receive("m3", event("a", 2, kind="status", unit="traffic_order", reason="still there"))
    said = [json.loads(body) for (body,) in book.outbox._connection.execute("SELECT body FROM outbox ORDER BY n")]
    assert [(each["case"], each["status"], each["at"][14:19]) for each in said] == [
        ("a", "handling", "00:01"),
        ("a", "done", "00:30"),
        ("b", "handling", "00:01"),
        ("b", "done", "01:30"),
        ("a", "done", "00:30"),
    ]
    book.close()


# -- the door ---------------------------------------------------------------------------------------------------------


async def test_a_signed_event_is_acknowledged_with_the_desks_number(door):
    answer = await post(door, event())
    assert (answer.status_code, answer.json()) == (200, {"external_id": "DD2026000001", "repeat": False})
    assert (await post(door, event())).json() == {"external_id": "DD2026000001", "repeat": True}
    deliveries = (await door.get("/deliveries")).json()
    assert (deliveries["count"], deliveries["deliveries"][0]["count"]) == (1, 2)
    assert (await door.get("/cases")).json()["cases"][0]["case"] == "case-1"


@pytest.mark.parametrize(
    ("how", "named"),
    [
        ({"secret": signing.new_secret()}, "webhook-signature"),
        ({"at": NOW - timedelta(minutes=6)}, "webhook-timestamp"),
        ({"at": NOW + timedelta(minutes=6)}, "webhook-timestamp"),
    ],
)
async def test_a_stranger_is_turned_away_and_leaves_no_trace(door, book, how, named):
    answer = await post(door, event(), **how)
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert named in answer.json()["title"]
    assert SECRET.removeprefix("whsec_") not in answer.text
    assert book.deliveries() == []


async def test_an_unsigned_event_is_turned_away(door):
    answer = await door.post("/events", content=event())
    assert (answer.status_code, answer.json()["title"]) == (401, "webhook-id: missing")


async def test_a_signed_message_that_is_no_event_is_a_problem(door):
    answer = await post(door, b'{"hello": 1}')
    assert answer.status_code == 400
    assert "specversion" in answer.json()["title"]


async def test_a_message_larger_than_any_case_is_a_problem(door):
    answer = await post(door, b" " * (1024 * 1024 + 1))
    assert answer.status_code == 413


async def test_people_see_the_cases_in_both_languages_and_no_markup_from_outside(door):
    assert "尚未收到案件" in (await door.get("/")).text
    await post(door, event("<case>", title={"zh": "道路积水", "en": "<script>alert(1)</script>"}, cameras=["gd-1"]))
    await post(door, event("bare", title=None, cameras=None), message_id="m2")
    page = (await door.get("/")).text
    assert "道路积水" in page
    assert "DD2026000001" in page
    assert "&lt;script&gt;" in page
    assert "<script>" not in page
    assert "派遣台 Dispatch desk" in page
    assert "已收 received" in page


async def test_it_says_that_it_is_there(door):
    assert (await door.get("/healthz")).json() == {"status": "ok"}


# -- its faults -------------------------------------------------------------------------------------------------------


async def test_faults_are_switched_while_it_runs(door, book):
    assert (await door.put("/faults", json={"mode": "500"})).status_code == 200
    assert (await post(door, event())).status_code == 500
    assert book.deliveries() == []
    assert (await door.get("/faults")).json()["mode"] == "500"
    await door.put("/faults", json={"mode": "ok"})
    assert (await post(door, event())).status_code == 200


async def test_a_desk_that_repeats_has_handled_what_it_answers_500_to(door, book):
    await door.put("/faults", json={"mode": "repeat"})
    assert (await post(door, event())).status_code == 500
    assert len(book.cases()) == 1


async def test_a_slow_desk_still_answers(door):
    await door.put("/faults", json={"mode": "slow", "delay_s": 0})
    assert (await post(door, event())).status_code == 200


@pytest.mark.parametrize(
    "wanted", [{"mode": "sulk"}, {"mode": "slow", "delay_s": -1}, {"mode": "500", "share": 2}, {"mod": "ok"}]
)
async def test_a_fault_nobody_knows_is_refused(door, wanted):
    assert (await door.put("/faults", json=wanted)).status_code == 422
    assert (await door.get("/faults")).json()["mode"] == "ok"


def test_a_flaky_desk_fails_in_every_way_but_silence_and_in_its_share_of_cases():
    switch = Switch(random=Random(1))
    switch.faults = Faults(mode="flaky")
    assert {switch.next() for _ in range(200)} == {"ok", "500", "slow", "drop", "repeat"}
    switch.faults = Faults(mode="500", share=0.25)
    assert 180 < sum(switch.next() == "500" for _ in range(1000)) < 320


# -- the command line -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--secret", SECRET], "--data"),
        (["--data", "x.db", "--secret", "hunter2"], "--secret"),
        (["--data", "x.db", "--secret", SECRET, "--course", "pondering=2s"], "pondering"),
        (["--data", "x.db", "--secret", SECRET, "--course", "accepted=soon"], "duration"),
    ],
)
def test_a_wrong_command_line_is_wrong_usage(arguments, named, capsys, monkeypatch):
    monkeypatch.delenv(desk.SECRET_VARIABLE, raising=False)
    with pytest.raises(SystemExit) as raised:
        desk.main(arguments)
    assert raised.value.code == 2
    said = capsys.readouterr().err
    assert named in said
    assert "hunter2" not in said
