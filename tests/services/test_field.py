"""The page of the person on the spot in a real browser the size of a phone: good network, bad network, none, and photographs."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import cv2
import httpx
import numpy as np
import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys as Press
from selenium.webdriver.support.wait import WebDriverWait

from bench.ports import free_port
from citybrain.clock import SystemClock
from citybrain.domain.case import CaseAction, CaseState
from events_api.security import Role
from tests.services.api_city import case, event, serving
from tests.services.test_wall_access import faults
from tests.services.wall_page import Wall, drawn, fresh
from tests.waiting import until

UNIT = "traffic police"
PAGE = "/wall/field.html"
WORDS = {
    "en": {
        "handle": "Accept",
        "arrive": "I am there",
        "verify": "Done",
        "offline": "No connection",
        "unsent": "not sent yet",
    },
    "zh": {"handle": "接单", "arrive": "已到场", "verify": "办结", "offline": "没有网络", "unsent": "未发送"},
}


@pytest.fixture
def phone(city, browser):
    """The page on a phone's screen, with the city's server behind it."""
    with serving(city.app()) as url, city.obeying():
        yield from on_a_phone(browser, url)


def on_a_phone(browser, url):
    page = Field(browser, url)
    page.screen(360, 740, mobile=True)
    # Asked and denied: nobody is there to answer.
    denied = {"permission": {"name": "geolocation"}, "setting": "denied", "origin": url}
    browser.execute_cdp_cmd("Browser.setPermission", denied)
    try:
        yield page
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
        page.connect()
        page.whole_screen()
        browser.get("about:blank")


class Field(Wall):
    """What a thumb does there."""

    def come(self, query: str = "", *, language: str = "en") -> Field:
        self.browser.get(f"{self.url}/wall/icon.svg")
        self.do(f"localStorage.setItem('language', '{language}')")
        self.opened(PAGE + query, ready="#cases .card, #bar button, #case .over, #none:not([hidden])")
        return self

    def act(self, action: str) -> None:
        self.until(f"document.querySelector('#bar:not([hidden]) [data-action={action}]')")
        self.click(f"#bar [data-action={action}]")

    def photograph(self, path) -> None:
        self.browser.find_element(By.CSS_SELECTOR, "#take").send_keys(str(path))

    def sent(self, city, count: int) -> None:
        """So many actions have arrived, and the page says nothing any more of what is not sent."""
        WebDriverWait(self.browser, 60, poll_frequency=0.05).until(lambda _: len(city.acts) >= count, self.text("body"))
        self.until("!document.querySelector('[data-pending]') && document.querySelector('#network').hidden")

    def cut(self) -> None:
        self.network(offline=True)

    def connect(self) -> None:
        self.network(offline=False)

    def network(self, *, offline: bool) -> None:
        self.browser.execute_cdp_cmd("Network.enable", {})
        conditions = {"offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
        self.browser.execute_cdp_cmd("Network.emulateNetworkConditions", conditions)


@pytest.fixture
def photograph(tmp_path):
    """As a phone takes it: larger than what is sent, and with something behind the picture."""
    path = tmp_path / "IMG_2026.jpg"
    picture = np.zeros((1500, 2000, 3), np.uint8)
    picture[:, :1000] = (0, 160, 0)
    path.write_bytes(cv2.imencode(".jpg", picture)[1].tobytes() + b"GPS 25.0142 N")
    return path


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_case_is_accepted_visited_photographed_and_reported_done(city, phone, photograph, language):
    words = WORDS[language]
    told = fresh(city, 1, ago=600, state=CaseState.DISPATCHED, unit=UNIT)
    city.file(told)
    phone.come(f"?case={told.id}", language=language)
    assert phone.ask("document.documentElement.scrollWidth") <= 360
    assert phone.text("#bar .main") == words["handle"]
    assert phone.ask("document.querySelector('#bar .main').getBoundingClientRect().height") >= 48
    phone.act("handle")
    phone.until(f"document.querySelector('#bar .main').innerText === '{words['arrive']}'")
    phone.act("arrive")
    phone.until(f"document.querySelector('#bar .main').innerText === '{words['verify']}'")
    phone.photograph(photograph)
    phone.until("document.querySelectorAll('.photos img').length === 1")
    phone.act("verify")
    phone.until("document.querySelector('#ask[open] button[type=submit]')")
    phone.click("#ask button[type=submit]")
    phone.until("document.querySelector('#case .over')")
    phone.sent(city, 3)
    assert [act.action for act in city.acts] == [CaseAction.HANDLE, CaseAction.ARRIVE, CaseAction.VERIFY]
    assert city.cases[told.id].state is CaseState.VERIFYING
    (picture,) = city.acts[-1].evidence
    kept = city.evidence.get(picture.ref)
    assert b"GPS" not in kept
    image = cv2.imdecode(np.frombuffer(kept, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    assert image.shape[:2] == (1200, 1600)
    assert phone.complaints() == []


def test_without_a_photograph_a_reason_is_asked_for(city, phone):
    city.file(fresh(city, 1, state=CaseState.HANDLING, accepted_at=SystemClock().now(), unit=UNIT))
    phone.come(f"?case={case(1).id}")
    phone.act("verify")
    phone.until("document.querySelector('#ask[open] [name=without]')")
    phone.click("#ask button[type=submit]")
    phone.until("document.querySelector('#ask .wrong').innerText !== ''")
    phone.click("#ask [name=without]")
    phone.click("#ask button[type=submit]")
    phone.sent(city, 1)
    phone.until("document.querySelector('#case .over')")
    assert [act.note for act in city.acts] == ["no photo: too dark"]


def test_a_case_is_returned_with_a_reason(city, phone):
    city.file(fresh(city, 1, state=CaseState.DISPATCHED, unit=UNIT))
    phone.come(f"?case={case(1).id}")
    phone.act("return")
    phone.until("document.querySelector('#ask[open] [value=not_ours]')")
    phone.click("#ask [value=not_ours]")
    phone.click("#ask button[type=submit]")
    phone.until("document.querySelector('#case .over')")
    phone.sent(city, 1)
    assert [(act.action, act.reason) for act in city.acts] == [(CaseAction.RETURN, "not_ours")]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_what_is_pressed_without_a_connection_is_kept_over_a_reload_and_sent_once_later(
    city, phone, photograph, language
):
    city.file(fresh(city, 1, state=CaseState.DISPATCHED, unit=UNIT))
    phone.come(f"?case={case(1).id}", language=language)
    phone.until("document.querySelector('#bar .main')")
    phone.cut()
    phone.act("handle")
    phone.until(f"document.querySelector('[data-pending=handle]')?.innerText.includes('{WORDS[language]['unsent']}')")
    phone.until(f"document.querySelector('#network').innerText.includes('{WORDS[language]['offline']}')")
    phone.photograph(photograph)
    phone.until("document.querySelectorAll('.photos img').length === 1")
    phone.act("verify")
    phone.until("document.querySelector('#ask[open] button[type=submit]')")
    phone.click("#ask button[type=submit]")
    phone.until("document.querySelectorAll('[data-pending]').length === 2")
    assert city.commands() == []
    phone.browser.get("about:blank")  # the page is gone before anything came through
    phone.connect()
    phone.come(f"?case={case(1).id}", language=language)
    phone.sent(city, 2)
    phone.until("document.querySelector('#case .over')")
    assert [act.action for act in city.acts] == [CaseAction.HANDLE, CaseAction.VERIFY]
    assert len(city.acts[-1].evidence) == 1


def test_the_page_itself_opens_without_a_server_and_goes_on_when_it_is_back(city, browser):
    city.file(fresh(city, 1, state=CaseState.DISPATCHED, unit=UNIT))
    port = free_port()
    with serving(city.app(), port=port) as url:
        pages = on_a_phone(browser, url)
        page = next(pages)
        page.come(f"?case={case(1).id}")
        page.until("document.body.dataset.offline === 'kept'")
        page.until("document.querySelector('#bar .main')")
    page.browser.refresh()
    page.until("document.querySelector('#network:not([hidden])')")
    page.act("handle")
    page.until("document.querySelector('[data-pending=handle]')")
    with serving(city.app(), port=port), city.obeying():
        page.sent(city, 1)
        assert city.cases[case(1).id].state is CaseState.HANDLING
        for _ in pages:
            pass


def test_what_the_server_refuses_is_said_with_what_the_case_is_now_and_nothing_is_lost(city, phone, photograph):
    told = fresh(city, 1, state=CaseState.HANDLING, accepted_at=SystemClock().now(), unit=UNIT)
    city.file(told)
    phone.come(f"?case={told.id}")
    phone.photograph(photograph)
    phone.until("document.querySelectorAll('.photos img').length === 1")
    phone.cut()
    phone.act("verify")
    phone.until("document.querySelector('#ask[open] button[type=submit]')")
    phone.click("#ask button[type=submit]")
    phone.until("document.querySelector('[data-pending]')")
    closed = city.tell(event(replace(told, state=CaseState.CLOSED, version=9)))
    until(lambda: city.store.cursor() == closed)
    phone.connect()
    phone.until("document.querySelector('.pending.refused')")
    assert "it is closed now" in phone.text(".pending.refused")
    assert phone.text("#network").startswith("1 not sent yet")
    phone.click("[data-drop]")
    phone.until("!document.querySelector('[data-pending]')")
    assert city.acts == []


def test_the_units_cases_come_nearest_first_when_the_phone_says_where_it_is(city, phone):
    here = (102.7500, 25.0200)
    city.file(
        fresh(city, 1, ago=50, unit=UNIT, location=(102.8500, 25.0200), due_at=SystemClock().now()),
        fresh(city, 2, ago=40, unit=UNIT, state=CaseState.HANDLING, location=(102.7501, 25.0201)),
        fresh(city, 3, ago=30, unit="parks", location=here),
    )
    phone.browser.execute_cdp_cmd("Browser.grantPermissions", {"permissions": ["geolocation"], "origin": phone.url})
    place = {"latitude": here[1], "longitude": here[0], "accuracy": 12}
    phone.browser.execute_cdp_cmd("Emulation.setGeolocationOverride", place)
    try:
        phone.come()
        phone.until("document.querySelectorAll('.card').length === 3")
        phone.do(f"unit.value = {json.dumps(UNIT)}; unit.dispatchEvent(new Event('change'))")
        phone.until("document.querySelectorAll('.card').length === 2")
        order = "[...document.querySelectorAll('.card')].map(each => each.dataset.case)"
        assert phone.ask(order) == [case(1).id, case(2).id]
        phone.click("#nearest")
        phone.until(f"{order}[0] === '{case(2).id}'")
        assert " · 20 m" in phone.text(f".card[data-case='{case(2).id}'] .where")
        phone.click(f".card[data-case='{case(2).id}']")
        phone.act("arrive")
        phone.sent(city, 1)
        assert [act.note for act in city.acts] == ["25.02000,102.75000 ±12 m"]
    finally:
        phone.browser.execute_cdp_cmd("Emulation.clearGeolocationOverride", {})
        phone.browser.execute_cdp_cmd("Browser.resetPermissions", {})


def test_a_field_key_opens_its_units_cases_and_another_units_link_says_so(city, browser):
    token = city.keys.add("zhang.san", Role.FIELD, unit=UNIT)
    city.file(fresh(city, 1, unit=UNIT), fresh(city, 2, unit="parks"))
    with serving(city.app()) as url, city.obeying():
        pages = on_a_phone(browser, url)
        page = next(pages)
        page.opened(PAGE, ready="#cases .card")
        page.until("document.querySelector('#login[open]')")
        page.press(token, Press.ENTER)
        page.until("document.querySelectorAll('.card').length === 1")
        assert page.text("#title") == UNIT
        assert "Guanshang junction" in page.text(".card") or page.until(
            "document.querySelector('.card').innerText.includes('Guanshang junction')"
        )
        page.browser.get(f"{url}{PAGE}?case={case(2).id}")
        page.until("document.body.innerText.includes('another unit')")
        assert token not in page.ask(
            "document.documentElement.outerHTML + document.cookie + JSON.stringify(localStorage)"
        )
        for _ in pages:
            pass


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page_is_for_everyone(city, phone, photograph, theme):
    city.file(fresh(city, 1, state=CaseState.DISPATCHED, unit=UNIT), fresh(city, 2, unit=UNIT))
    phone.browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": theme}]}
    )
    phone.come()
    phone.until("document.querySelectorAll('.card').length === 2")
    assert faults(phone) == []
    phone.click(f".card[data-case='{case(1).id}']")
    phone.photograph(photograph)
    phone.until("document.querySelectorAll('.photos img').length === 1")
    phone.act("return")
    phone.until("document.querySelector('#ask[open] [value=not_ours]')")
    assert faults(phone) == []
    phone.escape()
    phone.cut()
    phone.act("handle")
    phone.until("document.querySelector('[data-pending]') && !document.querySelector('#network').hidden")
    assert faults(phone) == []


def test_the_same_press_twice_is_one_action(city, phone):
    city.file(fresh(city, 1, state=CaseState.DISPATCHED, unit=UNIT))
    phone.come(f"?case={case(1).id}")
    phone.until("document.querySelector('#bar .main')")
    # The answer to the first attempt never arrives, although the server acted on it.
    phone.do(
        "const real = window.fetch; let lost = false; window.fetch = async (path, options) => {"
        " const answer = await real(path, options);"
        " if (!lost && String(path).endsWith('/actions')) { lost = true; throw new TypeError('lost'); } return answer; }"
    )
    phone.act("handle")
    phone.sent(city, 1)
    assert [act.action for act in city.acts] == [CaseAction.HANDLE]


def test_a_photograph_is_taken_by_the_api_for_what_it_is(city, phone):
    at = SystemClock().now() - timedelta(minutes=40)
    with httpx.Client(base_url=phone.url) as http:
        query = {"captured_at": at.isoformat()}
        answer = http.post("/v1/photos", params=query, content=drawn(), headers={"content-type": "image/jpeg"})
        assert answer.status_code == 201
        said = answer.json()
        assert said["ref"].startswith("field/")
        assert said["captured_at"][:19] == at.isoformat()[:19]
        assert http.get(f"/v1/evidence/{said['ref']}").headers["content-type"] == "image/jpeg"
        old = http.post(
            "/v1/photos",
            params={"captured_at": "2020-01-01T00:00:00Z"},
            content=drawn(),
            headers={"content-type": "image/jpeg"},
        )
        assert old.json()["captured_at"][:4] != "2020"
        for content, kind, status in (
            (b"no picture", "image/jpeg", 422),
            (drawn(), "text/html", 415),
            (bytes(5 * 1024 * 1024), "image/jpeg", 413),
        ):
            assert http.post("/v1/photos", content=content, headers={"content-type": kind}).status_code == status
        assert http.post("/v1/cases/x/actions", content=bytes(70_000)).status_code == 413
