"""The page of one case: everything that is known of it, by a link, on paper, and as it changes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import httpx
import pytest

from citybrain.clock import SystemClock, iso
from citybrain.domain.case import CaseEventType, CaseState, Origin, Report
from citybrain.domain.episode import Evidence
from citybrain.wire import CASE_EVENTS
from tests.services.api_city import City, case, event, posted, serving
from tests.services.wall_page import Wall, drawn, fresh
from tests.waiting import until


@pytest.fixture
def at(city, browser):
    """Opens the page of a case as it is once everything told so far is in the view."""
    with serving(city.app()) as url:

        def opened(id: str) -> Wall:
            until(lambda: city.store.cursor() >= city.pipeline.end(CASE_EVENTS))
            return Wall(browser, url).opened(f"/cases/{id}", ready="#case[data-version], #case .choose")

        yield opened
        browser.get("about:blank")


def verified(city: City):
    """A case from the first look to the picture of the place put right."""
    told = posted(fresh(city, 1, ago=3600))
    now = SystemClock().now()
    after = Evidence(city.evidence.put("gd-0001", now, drawn()), "gd-0001", now, "after")
    steps = [
        event(replace(told, version=1, state=CaseState.FILED, posted_at=None, unit=None)),
        event(told, CaseEventType.DISPATCHED),
        event(replace(told, version=3, state=CaseState.HANDLING, accepted_at=now, actor="desk"), CaseEventType.STATUS),
    ]
    done = replace(
        told,
        version=4,
        state=CaseState.CLOSED,
        verified_at=now,
        closed_at=now,
        done_at=now - timedelta(minutes=5),
        escalation=1,
        escalated_to="Guanshang street",
        recurrence_of=case(77).id,
        evidence=(*told.evidence, after),
        warn_at=now,
    )
    return done, [*steps, event(done, CaseEventType.VERIFIED)]


def test_the_page_tells_everything_from_the_first_look_to_before_and_after(city, at):
    told, events = verified(city)
    city.tell(*events)
    page = at(told.id)
    for name, instant in told.stamps.items():
        assert iso(instant) in page.text(".stamps"), name
    assert page.ask("document.querySelectorAll('.timeline li').length") == 4
    timeline = page.text(".timeline")
    for said in ("dispatched", "desk", "Unit: traffic police", "1 more pictures", "Escalated to: Guanshang street"):
        assert said in timeline
    facts = page.text(".facts")
    for said in ("Guanshang street", "WX-", "Seen to be gone", "Said to be done", "traffic police"):
        assert said in facts
    page.says('.facts a[href="/wall/camera.html?id=gd-0001"]', "Guanshang junction")
    assert page.ask(f"document.querySelector('.facts a[href=\"/cases/{case(77).id}\"]').innerText") == case(77).id
    page.until("document.querySelectorAll('.pair .fitted').length === 2")
    left, right = page.ask(
        "[...document.querySelectorAll('.pair figure')].map(each => each.getBoundingClientRect().left)"
    )
    assert left < right
    assert page.ask("[...document.querySelectorAll('.pair figcaption b')].map(each => each.innerText)") == [
        "Before",
        "After",
    ]
    assert page.ask("document.querySelectorAll('.gallery figure').length") == 2
    export = page.ask("document.querySelector('.case header a.act').getAttribute('href')")
    bundle = httpx.get(page.url + export)
    assert (bundle.status_code, bundle.headers["content-type"]) == (200, "application/zip")
    assert page.complaints() == []


def test_a_case_that_only_people_told_of_shows_their_words(city, at):
    now = SystemClock().now()
    words = "路口积水，车过不去 <b>"
    told = case(
        5,
        scene="waterlogging",
        at=now,
        cameras=(),
        zone="",
        evidence=(),
        stamps={},
        origin=Origin.HOTLINE,
        reports=(Report("r1", Origin.HOTLINE, now, words, "12345-777", (102.7411, 25.0142)),),
    )
    city.file(told)
    page = at(told.id)
    assert words in page.text(".reports")
    assert "12345-777" in page.text(".reports")
    assert "Hotline · 102.7411, 25.0142" in page.text("header .place")
    page.opened()
    page.see(told.id)
    assert words in page.text(".row .said")
    page.reads(told.id)
    assert words in page.text("#detail figure .said")


def test_the_page_follows_its_case_and_acts_on_it(city, at):
    told = fresh(city, 1, ago=30)
    city.file(told)
    page = at(told.id)
    city.tell(event(posted(told), CaseEventType.DISPATCHED))
    page.says(".case header .state", "dispatched")
    with city.obeying():
        page.press("c")
        page.until("document.querySelector('.case header .judged.confirmed')")
    page.press("l")
    page.says(".case header", "机动车乱停放")
    page.says(".timeline", "办理过程")
    page.press("l")
    assert page.ask("window.neverReloaded")


def test_the_page_has_a_second_address_for_those_who_write_links_by_hand(city, at):
    told = fresh(city, 1, ago=30, silenced="silence-1")
    city.file(told)
    page = at(told.id)
    page.opened(f"/wall/case.html?id={told.id}", ready="#case[data-version]")
    assert "Illegal parking" in page.text("#case h2")
    page.opened()
    page.see(told.id)
    assert "silenced" in page.text(".row .state")


def test_a_case_that_is_not_there_is_said_to_be_not_there(at):
    assert "There is no case nowhere/at all" in at("nowhere/at%20all").text("#case")


def test_on_paper_there_is_the_case_and_nothing_to_press(city, at):
    told, events = verified(city)
    city.tell(*events)
    page = at(told.id)
    page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        shown = "[...document.querySelectorAll('button, .top, dialog')].filter(each => each.checkVisibility()).length"
        assert page.ask(shown) == 0
        assert page.ask("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert page.ask("document.querySelector('.timeline').checkVisibility()")
    finally:
        page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_the_wall_leads_to_the_page_by_one_key(city, wall):
    city.file(fresh(city, 1, ago=60))
    wall.see(case(1).id)
    wall.press("j", "p")
    wall.until("document.querySelector('#case[data-version]')")
    assert wall.ask("location.pathname") == f"/cases/{case(1).id}"
    wall.press("u")
    wall.until("document.querySelector('.row')")
