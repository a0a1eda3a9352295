"""Subscribers on real sockets: told of every event they asked for, in order for each case, whatever befalls them or us."""

from __future__ import annotations

import contextlib
import stat
import threading
import time
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest

from bench.ports import free_port
from citybrain import signing
from citybrain.delivery.sender import Pace
from citybrain.domain.case import CaseEventType
from events_api.security import Role
from events_api.subscriptions.telling import Terms
from tests.services.api_city import City, case, event, posted, serving
from tests.services.receiver import Receiver, receiving
from tests.waiting import until

PACE = Pace(
    first_retry=timedelta(milliseconds=20),
    longest_retry=timedelta(milliseconds=200),
    longest_probe=timedelta(milliseconds=100),
    look_every=timedelta(milliseconds=10),
)
TERMS = Terms(allow=("loopback",), timeout=timedelta(seconds=2), pace=PACE, look_every=timedelta(milliseconds=10))


@pytest.fixture
def city(tmp_path):
    made = City(tmp_path)
    yield made
    made.close()


class Client(httpx.Client):
    """Asks below /v1/subscriptions; a path that begins with a slash is one of the server's."""

    def request(self, method, url, **more):
        path = url if url.startswith("/") else f"/v1/subscriptions/{url}".rstrip("/")
        return super().request(method, path, **more)


@contextlib.contextmanager
def api(city, terms=TERMS, key=None):
    with serving(city.app(webhooks=terms)) as url:
        headers = {"authorization": f"Bearer {key}"} if key else {}
        with Client(base_url=url, headers=headers, timeout=20) as http:
            yield http


def subscribe(http, receiver, **more):
    answer = http.post("", json={"name": "platform", "url": receiver.address, **more})
    assert answer.status_code == 201, answer.text
    return answer.json()


def versions(n, count):
    """A case's events: filed, and what happened to it."""
    known = case(n)
    told = [event(known)]
    for _ in range(count - 1):
        known = replace(known, version=known.version + 1, note=f"v{known.version + 1}")
        told.append(event(known, CaseEventType.STATUS))
    return told


def test_a_subscriber_is_told_of_what_it_asked_for_signed_and_in_order(city):
    with receiving() as receiver, api(city) as http:
        city.file(case(1))
        made = subscribe(http, receiver, filter={"scenes": ["illegal_parking", "fire_risk"], "severities": ["normal"]})
        assert made["secret"].startswith("whsec_")
        told = [*versions(2, 5), *versions(3, 5)]
        city.tell(event(case(9, scene="fire_risk")), *told, event(case(8, scene="waterlogging")))
        assert sorted(receiver.wait_for(10)) == sorted(each.id for each in told)
        assert receiver.in_order()
        assert receiver.verified_by(made["secret"])
        assert not receiver.verified_by(signing.new_secret())
        assert receiver.told[0].headers["webhook-id"] == receiver.told[0].id

        def settled() -> dict[str, Any] | None:  # the last event is judged too, though it is not wanted
            found = http.get(made["id"]).json()
            return found if (found["waiting"], found["cursor"]) == (0, found["end"]) else None

        shown = until(settled)
        assert shown["secret"] == "whsec_…"
        assert (shown["state"], shown["dead"], shown["failing_since"]) == ("active", 0, None)


def test_subscribing_from_a_cursor_tells_what_came_before(city):
    city.tell(*versions(1, 3))
    with receiving() as receiver, api(city) as http:
        until(lambda: http.get("/v1/events").json()["end"] == "3")
        subscribe(http, receiver, after="1")
        assert receiver.wait_for(2) == [each.id for each in versions(1, 3)[1:]]


def test_areas_cells_and_types_restrict_what_is_told(city):
    with receiving() as cell, receiving() as area, receiving() as dispatched, api(city) as http:
        subscribe(http, cell, name="cell", filter={"grid_cell": "530111001001003"})
        subscribe(http, area, name="area", filter={"area": "530112"})
        subscribe(http, dispatched, name="dispatched", filter={"types": ["citybrain.case.dispatched"]})
        elsewhere = case(2, grid_cell="530112004001001")
        city.tell(event(case(1)), event(elsewhere), event(posted(elsewhere), CaseEventType.DISPATCHED))
        assert cell.wait_for(1) == [event(case(1)).id]
        assert area.wait_for(2) == [event(elsewhere).id, event(posted(elsewhere)).id]
        assert dispatched.wait_for(1) == [event(posted(elsewhere)).id]


def test_a_filter_changed_applies_from_then_on(city):
    with receiving() as receiver, api(city) as http:
        made = subscribe(http, receiver, filter={"scenes": ["fire_risk"]})
        city.file(case(1), case(2, scene="fire_risk"))
        receiver.wait_for(1)
        assert http.patch(made["id"], json={"filter": {"scenes": ["illegal_parking"]}}).status_code == 200
        city.file(case(3, scene="fire_risk"), case(4))
        assert set(receiver.wait_for(2)) == {event(case(2, scene="fire_risk")).id, event(case(4)).id}


def test_what_was_logged_before_a_filter_was_changed_is_judged_by_the_old_one(city):
    with receiving() as receiver, api(city) as http:
        made = subscribe(http, receiver, filter={"scenes": ["fire_risk"]})
        http.patch(made["id"], json={"state": "paused"})
        city.file(case(1), case(2, scene="fire_risk"))
        http.patch(made["id"], json={"filter": {"scenes": ["illegal_parking"]}})
        city.file(case(3, scene="fire_risk"), case(4))
        assert receiver.told == []
        http.patch(made["id"], json={"state": "active"})
        assert set(receiver.wait_for(2)) == {event(case(2, scene="fire_risk")).id, event(case(4)).id}


def test_a_rotated_secret_and_the_one_before_it_both_sign(city):
    with receiving() as receiver, api(city) as http:
        made = subscribe(http, receiver)
        rotated = http.post(f"{made['id']}/secret", json={}).json()
        assert rotated["secret"] != made["secret"]
        assert http.get(made["id"]).json()["previous_until"] == rotated["previous_until"]
        city.file(case(1))
        receiver.wait_for(1)
        assert receiver.verified_by(made["secret"])
        assert receiver.verified_by(rotated["secret"])
        own = signing.new_secret()
        assert http.post(f"{made['id']}/secret", json={"secret": own, "grace_s": 0}).json()["secret"] == own
        until(lambda: http.get(made["id"]).json()["previous_until"] is None)
        time.sleep(0.1)
        city.file(case(2))
        receiver.wait_for(2)
        assert receiver.verified_by(own)
        assert not receiver.verified_by(rotated["secret"])


def failing_first(receiver, times, answer):
    """Each message is refused so many times before it is taken."""
    tries: dict[str, int] = {}

    def answers(id):
        tries[id] = tries.get(id, 0) + 1
        return answer if tries[id] <= times else (204, {})

    receiver.answer = answers


@pytest.mark.parametrize(
    "answer",
    [(500, {}), (429, {"retry-after": "0.2"}), (302, {"location": "http://127.0.0.1:9/"}), (404, {}), None],
    ids=["500", "429", "redirect", "404", "hangs"],
)
def test_a_receiver_that_fails_gets_every_event_in_order_later(city, answer):
    terms = replace(TERMS, timeout=timedelta(milliseconds=200))
    with receiving() as receiver, api(city, terms) as http:
        failing_first(receiver, 2, answer)
        made = subscribe(http, receiver)
        told = [*versions(1, 3), *versions(2, 3)]
        city.tell(*told)
        assert sorted(receiver.wait_for(6)) == sorted(each.id for each in told)
        assert receiver.in_order()
        found = until(lambda: (each := http.get(made["id"]).json())["waiting"] == 0 and each)
        assert (found["dead"], found["failing_since"]) == (0, None)
        log = http.get(f"{made['id']}/deliveries").json()["items"]
        assert {each["state"] for each in log} == {"delivered"}
        assert all(each["attempts"] >= 3 and each["status"] == 204 for each in log)


def test_retry_after_is_obeyed(city):
    with receiving() as receiver, api(city) as http:
        receiver.answer = lambda _id: (429, {"retry-after": "3600"})
        made = subscribe(http, receiver)
        city.file(case(1))
        receiver.wait_for_tries(1)
        found = until(lambda: (each := http.get(made["id"]).json())["reason"] and each)
        assert found["reason"] == "answered 429"
        assert found["failing_since"] is not None
        [waiting] = http.get(f"{made['id']}/deliveries?state=waiting").json()["items"]
        assert waiting["status"] == 429
        assert waiting["next_attempt_at"] > city.clock.now().isoformat()[:16]
        time.sleep(0.3)
        assert len(receiver.told) == 1


def test_410_pauses_the_subscription_and_loses_nothing(city):
    with receiving() as receiver, api(city) as http:
        receiver.answer = lambda _id: (410, {})
        made = subscribe(http, receiver)
        city.file(case(1))
        paused = until(lambda: (each := http.get(made["id"]).json())["state"] == "paused" and each)
        assert paused["paused_reason"] == "answered 410 Gone"
        city.file(case(2))
        time.sleep(0.2)
        assert len(receiver.told) == 1
        assert http.post(f"{made['id']}/test").status_code == 409
        receiver.answer = lambda _id: (200, {})
        http.patch(made["id"], json={"state": "active"})
        assert set(receiver.wait_for(2)) == {event(case(1)).id, event(case(2)).id}


def test_a_dead_letter_is_kept_shown_and_sent_again(city):
    with receiving() as receiver, api(city) as http:
        refused = event(case(1)).id
        receiver.answer = lambda id: (422, {}) if id == refused else (204, {})
        made = subscribe(http, receiver)
        city.tell(*versions(1, 2), *versions(2, 1))
        assert len(receiver.wait_for(2)) == 2
        [dead] = until(lambda: http.get(f"{made['id']}/deliveries?state=dead").json()["items"])
        assert (dead["event"], dead["status"], dead["reason"], dead["attempts"]) == (refused, 422, "answered 422", 1)
        assert http.get(made["id"]).json()["dead"] == 1
        receiver.answer = lambda _id: (204, {})
        assert http.post(f"{made['id']}/deliveries/{refused}/resend").status_code == 202
        assert refused in receiver.wait_for(3)
        until(lambda: http.get(f"{made['id']}/deliveries?state=delivered").json()["items"][-1]["event"] == refused)
        assert http.get(made["id"]).json()["dead"] == 0
        assert http.post(f"{made['id']}/deliveries/{refused}/resend").status_code == 202
        until(lambda: sum(each.id == refused and each.taken for each in receiver.told) == 2)
        assert http.post(f"{made['id']}/deliveries/nothing/resend").status_code == 404


def test_one_that_hangs_holds_up_no_other(city):
    with receiving() as hung, receiving() as well, api(city) as http:
        hung.answer = lambda _id: None
        subscribe(http, hung, name="hung")
        subscribe(http, well, name="well")
        told = [each for n in range(1, 41) for each in versions(n, 2)]
        city.tell(*told)
        assert sorted(well.wait_for(80)) == sorted(each.id for each in told)
        assert well.in_order()
        assert not hung.taken()


def test_a_subscriber_that_was_away_is_told_everything_when_it_is_back(city):
    port = free_port()
    away = Receiver(address=f"http://127.0.0.1:{port}/events")
    with api(city, replace(TERMS, most_waiting=20)) as http:
        made = subscribe(http, away)
        told = [each for n in range(1, 301) for each in versions(n, 2)]
        city.tell(*told)

        def has_enough() -> dict[str, Any] | None:
            found = http.get(made["id"]).json()
            return found if found["failing_since"] and found["waiting"] >= 20 else None

        shown = until(has_enough)
        assert shown["waiting"] <= 220, "what it does not take stays in the log"
        assert int(shown["cursor"]) < int(shown["end"])
        with receiving(port, into=away):
            assert sorted(away.wait_for(600, within_s=90)) == sorted(each.id for each in told)
            assert away.in_order()


def test_a_replay_tells_everything_behind_a_cursor_again_under_the_same_ids(city):
    with receiving() as receiver, api(city) as http:
        made = subscribe(http, receiver)
        told = [*versions(1, 3), *versions(2, 3)]
        city.tell(*told)
        receiver.wait_for(6)
        until(lambda: http.get(made["id"]).json()["waiting"] == 0)
        receiver.told.clear()
        assert http.post(f"{made['id']}/replay", json={"after": "2"}).status_code == 200
        assert sorted(receiver.wait_for(4)) == sorted(each.id for each in told[2:])
        assert receiver.in_order()
        assert http.post(f"{made['id']}/replay", json={"after": "99"}).json()["title"] == "cursor from the future"


def test_a_ping_is_delivered_like_an_event(city):
    with receiving() as receiver, api(city) as http:
        made = subscribe(http, receiver, filter={"scenes": ["fire_risk"]})
        sent = http.post(f"{made['id']}/test").json()["event"]
        assert receiver.wait_for(1) == [sent]
        assert receiver.told[0].type == "citybrain.subscription.ping"
        assert receiver.verified_by(made["secret"])
        [logged] = until(lambda: http.get(f"{made['id']}/deliveries?state=delivered").json()["items"])
        assert (logged["event"], logged["type"], logged["status"]) == (sent, "citybrain.subscription.ping", 204)
        assert logged["duration_s"] >= 0
        assert logged["posted_at"] <= logged["acknowledged_at"]


def test_the_delivery_log_goes_by_pages(city):
    with receiving() as receiver, api(city) as http:
        made = subscribe(http, receiver)
        city.file(*(case(n) for n in range(1, 26)))
        receiver.wait_for(25)
        seen, cursor = [], None
        while True:
            query = f"?limit=10&cursor={cursor}" if cursor else "?limit=10"
            page = http.get(f"{made['id']}/deliveries{query}").json()
            seen += [each["event"] for each in page["items"]]
            if (cursor := page["next"]) is None:
                break
        assert seen == [event(case(n)).id for n in range(25, 0, -1)]
        assert http.get(f"{made['id']}/deliveries?cursor=x").status_code == 400


def test_who_unsubscribes_is_told_no_more(city):
    with receiving() as receiver, receiving() as other, api(city) as http:
        made = subscribe(http, receiver)
        subscribe(http, other, name="other")
        assert http.delete(made["id"]).status_code == 204
        city.file(case(1))
        other.wait_for(1)
        assert receiver.told == []
        for answer in (http.get(made["id"]), http.delete(made["id"]), http.get(f"{made['id']}/deliveries")):
            assert (answer.status_code, answer.json()["title"]) == (404, "no such subscription")


def test_another_url_is_used_at_once_for_what_waits(city):
    with receiving() as wrong, receiving() as right, api(city) as http:
        wrong.answer = lambda _id: (503, {"retry-after": "600"})
        made = subscribe(http, wrong)
        city.file(case(1))
        until(lambda: http.get(made["id"]).json()["reason"])  # and not while it is being answered
        http.patch(made["id"], json={"url": right.address})
        assert right.wait_for(1) == [event(case(1)).id]


def test_another_url_is_used_at_once_also_for_what_the_old_one_is_being_told(city):
    long = timedelta(minutes=10)
    pace = replace(PACE, first_retry=long, longest_retry=long, longest_probe=long)
    with receiving() as wrong, receiving() as right, api(city, replace(TERMS, timeout=long, pace=pace)) as http:
        wrong.answer = lambda _id: None
        made = subscribe(http, wrong)
        city.file(case(1))
        wrong.wait_for_tries(1)
        http.patch(made["id"], json={"url": right.address})
        assert right.wait_for(1) == [event(case(1)).id]


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://127.0.0.1:9/", "not a public address"),
        ("http://[::1]/", "not a public address"),
        ("http://169.254.169.254/latest/meta-data", "not a public address"),
        ("http://10.0.0.7/", "not a public address"),
        ("http://localhost/", "not a public address"),
        ("ftp://example.org/", "http or https"),
        ("https://user:password@example.org/", "without user and password"),
        ("nowhere", "http or https"),
        ("http://a b/", "cannot be read"),
        ("http://\u0000/", "cannot be read"),
    ],
)
def test_a_url_that_leads_inside_is_refused(city, url, says):
    with api(city, Terms()) as http:
        answer = http.post("", json={"name": "inside", "url": url})
        assert answer.status_code == 422
        assert says in answer.json()["detail"]
        assert "password@" not in answer.text
        assert http.get("").json()["items"] == []


def test_a_url_allowed_once_is_judged_anew_at_each_post(city):
    with receiving() as receiver:
        with api(city) as http:
            made = subscribe(http, receiver)
        with api(city, replace(TERMS, allow=())) as http:
            city.file(case(1))
            found = until(lambda: (each := http.get(made["id"]).json())["reason"] and each)
            assert "not a public address" in found["reason"]
        assert receiver.told == []


def test_engineers_manage_all_platforms_their_own_and_nobody_else_any(city):
    tokens: dict[str, str] = {role: city.keys.add(f"the-{role.value}", role) for role in Role if role is not Role.FIELD}
    tokens["other"] = city.keys.add("other-platform", Role.PLATFORM)
    with receiving() as receiver, api(city) as http:

        def ask(who, method, path, **more):
            return http.request(method, path, headers={"authorization": f"Bearer {tokens[who]}"}, **more)

        body = {"name": "mine", "url": receiver.address}
        mine = ask(Role.PLATFORM, "POST", "", json=body).json()
        assert mine["owner"] == "the-platform"
        assert ask("other", "POST", "", json=body).status_code == 201, "names are one's own"
        assert ask(Role.PLATFORM, "POST", "", json=body).json()["title"] == "name taken"
        of_all = ask(Role.ENGINEER, "POST", "", json={**body, "name": "of the house"}).json()
        assert len(ask(Role.ENGINEER, "GET", "").json()["items"]) == 3
        assert [each["id"] for each in ask(Role.PLATFORM, "GET", "").json()["items"]] == [mine["id"]]
        paths = [
            ("GET", "", None),
            ("PATCH", "", {"state": "paused"}),
            ("POST", "/secret", {}),
            ("GET", "/deliveries", None),
            ("POST", "/deliveries/x/resend", None),
            ("POST", "/replay", {"after": "0"}),
            ("POST", "/test", None),
            ("DELETE", "", None),
        ]
        for id in (mine["id"], of_all["id"]):
            for method, path, sent in paths:
                assert ask("other", method, id + path, json=sent).status_code == 404, path
                for small in (Role.VIEWER, Role.OPERATOR):
                    assert ask(small, method, id + path, json=sent).status_code == 403, path
                assert http.request(method, id + path, json=sent).status_code == 401, path
        for small in (Role.VIEWER, Role.OPERATOR):
            assert ask(small, "POST", "", json=body).status_code == 403
            assert ask(small, "GET", "").status_code == 403
        for method, path, sent in paths:
            assert ask(Role.PLATFORM, method, mine["id"] + path, json=sent).status_code in {200, 202, 204, 404, 409}
        assert ask(Role.ENGINEER, "DELETE", of_all["id"]).status_code == 204


def test_a_platforms_subscription_pauses_when_its_key_is_revoked(city):
    engineer = city.keys.add("eng", Role.ENGINEER)
    platform = city.keys.add("platform", Role.PLATFORM)
    with receiving() as receiver, api(city, key=engineer) as http:
        mine = {"authorization": f"Bearer {platform}"}
        made = http.post("", json={"name": "mine", "url": receiver.address}, headers=mine).json()
        house = http.post("", json={"name": "house", "url": receiver.address}).json()
        city.keys.revoke("platform")
        paused = until(lambda: (each := http.get(made["id"]).json())["state"] == "paused" and each)
        assert paused["paused_reason"] == "the key that it belongs to was revoked"
        assert http.get(house["id"]).json()["state"] == "active"


def test_secrets_are_in_their_own_file_and_nowhere_else(city, caplog):
    caplog.set_level("DEBUG")
    secret = signing.new_secret()
    with receiving() as receiver, api(city) as http:
        receiver.answer = lambda _id: (500, {})
        made = subscribe(http, receiver, secret=secret)
        assert made["secret"] == secret
        own = http.post(f"{made['id']}/secret", json={}).json()["secret"]
        city.file(case(1))
        receiver.wait_for_tries(2)
        http.patch(made["id"], json={"secret": secret})  # no such field: the answer must not repeat it
        answers = [http.get(path).text for path in ("", made["id"], f"{made['id']}/deliveries", "/v1/audit")]
        answers += [http.get("/metrics").text, http.post("", json={"secret": secret + "x"}).text]
    for word in (secret, own):
        assert word.removeprefix("whsec_") not in caplog.text + "".join(answers)
        for path in city.folder.rglob("*"):
            if path.is_file() and not path.name.startswith("subscriptions.db"):
                assert word.removeprefix("whsec_").encode() not in path.read_bytes(), path
    for path in city.folder.glob("subscriptions.db*"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_figures_say_who_lags(city):
    with receiving() as receiver, api(city) as http:
        receiver.answer = lambda _id: (500, {})
        subscribe(http, receiver)
        city.file(case(1))
        receiver.wait_for_tries(1)
        figures = until(
            lambda: (
                'waiting{owner="operator",subscription="platform"} 1.0' in (text := http.get("/metrics").text) and text
            )
        )
        assert 'citybrain_subscription_paused{owner="operator",subscription="platform"} 0.0' in figures
        assert "citybrain_subscription_lag_seconds" in figures


def test_what_people_do_with_subscriptions_is_in_the_audit_trail(city):
    with receiving() as receiver, api(city) as http:
        made = subscribe(http, receiver)
        http.post(f"{made['id']}/secret", json={})
        http.patch(made["id"], json={"state": "paused"})
        http.delete(made["id"])
        found = http.get("/v1/audit?what=subscription.").json()["items"]
        assert [each["what"] for each in found] == [
            f"subscription.{what}" for what in ("removed", "changed", "secret", "made")
        ]
        assert {each["on"] for each in found} == {made["id"]}


def test_many_change_one_subscription_at_once_and_no_change_is_lost(city):
    with receiving() as receiver, api(city) as http:
        made = subscribe(http, receiver)
        stop = threading.Event()

        def tell():
            for n in range(1, 301):  # a machine that changes slowly must not have to tell for ever
                if stop.wait(0.01):
                    return
                city.file(case(n))

        telling = threading.Thread(target=tell)
        telling.start()
        try:
            for n in range(30):
                assert http.patch(made["id"], json={"name": f"name {n}"}).json()["name"] == f"name {n}"
        finally:
            stop.set()
            telling.join()
        count = len(city.cases)
        assert len(receiver.wait_for(count, within_s=60)) == count
