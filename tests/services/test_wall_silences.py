"""The page of silences in a real browser: what is silent, made and ended by hand, in both languages, by who may."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from citybrain.clock import SystemClock
from citybrain.domain.area import Area
from citybrain.domain.camera import Text
from citybrain.domain.command import Silence, Silenced
from citybrain.wire import COMMANDS, read_command, write_command
from events_api.security import Role
from tests.services.api_city import City, case, serving
from tests.services.test_wall_access import faults
from tests.services.wall_page import Wall

HOUR = timedelta(hours=1)
STREET = Area("530111001", Text("关上街道", "Guanshang Street"), "street", "street_office")
DISTRICT = Area("530111", Text("官渡区", "Guandu District"), "district", "district_office", areas=(STREET,))


@pytest.fixture
def page(city, browser) -> Iterator[Wall]:
    app = city.app()
    app.state.parts.registry.adopt(city.cameras, app.state.parts.registry.scenes, areas=[DISTRICT])
    with serving(app) as url:
        yield opened(Wall(browser, url))
        browser.get("about:blank")


def opened(page: Wall, query: str = "", *, language: str = "en") -> Wall:
    page.browser.get(f"{page.url}/healthz")
    page.do(f"localStorage.clear(); localStorage.setItem('language', '{language}')")
    page.opened(f"/wall/silences.html{query}", ready="#list > *")
    return page


def made(city: City) -> list[Silenced]:
    return [
        found
        for each in city.pipeline.read([COMMANDS], after=0)
        if isinstance(found := read_command(each.value), Silenced)
    ]


def choose(page: Wall, name: str, value: str) -> None:
    page.do(f"document.querySelector('#make [name={name}]').value = '{value}'")


def silenced(city: City, id: str, **more) -> None:
    now = SystemClock().now()
    known: dict[str, Any] = {"since": now, "until": now + HOUR, "author": "wang", "reason": "a fair"}
    silence = Silence(id, **{**known, **more})
    city.pipeline.publish(COMMANDS, "silences", write_command(Silenced(id, silence, now)))


def test_a_silence_is_made_by_hand_and_is_in_force_at_once(city, page):
    page.says("#list", "Nothing is silenced.")
    page.press("n")
    page.until("document.activeElement.name === 'scene'")
    choose(page, "scene", "street_stall")
    choose(page, "grid_cell", "530111001")
    choose(page, "for", "4h")
    page.do("document.querySelector('#make [name=reason]').focus()")
    page.press(*"Lantern fair", "\ue007")
    page.says(".active", "Street-stall spillover · Guanshang Street")
    page.says(".active", "Lantern fair")
    (command,) = made(city)
    assert (command.silence.scene, command.silence.grid_cell) == ("street_stall", "530111001")
    assert command.silence.until - command.silence.since == 4 * HOUR
    page.until("document.querySelector('#make [name=reason]').value === ''")
    assert page.complaints() == []


def test_a_silence_is_ended_after_saying_what_that_means(city, page):
    silenced(city, "silence-1", scene="street_stall")
    city.file(case(1, scene="street_stall", silenced="silence-1"), case(2, scene="street_stall", silenced="silence-1"))
    page.says(".active", "2 held back 2 still")
    page.click(".held summary")
    page.until("document.querySelectorAll('.held a').length === 2")
    assert page.ask("document.querySelector('.held a').pathname").startswith("/cases/case-street_stall-")
    page.click("[data-end]")
    page.says("#ask", "2 cases that it holds back are told at once")
    page.press("\ue00c")  # Esc: not meant
    page.until("!document.querySelector('#ask').open")
    assert len(made(city)) == 1
    page.do("document.querySelector('[data-end]').focus()")
    page.press("\ue007")
    page.until("document.querySelector('#ask').open")
    page.press("\ue007")
    page.says(".expired", "Street-stall spillover")
    assert page.ask("document.querySelectorAll('[data-end]').length") == 0
    assert made(city)[-1].silence.until <= made(city)[-1].at


def test_what_is_to_come_and_what_is_configured_is_told_apart(city, page):
    now = SystemClock().now()
    silenced(city, "silence-1", camera="gd-0002", since=now + 2 * HOUR, until=now + 3 * HOUR)
    page.says("#list", "To come")
    page.says(".pending", "begins in")
    page.says(".pending", "gd-0002")


def test_the_page_speaks_both_languages_and_keeps_what_was_written(page):
    page.do("document.querySelector('#make [name=reason]').value = '灯会'")
    page.click("#language")
    page.says("h2", "静默")
    page.says("#list", "当前没有静默。")
    assert page.ask("document.querySelector('#make [name=reason]').value") == "灯会"
    missing = page.ask(
        "[...document.querySelectorAll('body *')].map(n => n.children.length ? '' : n.textContent)"
        ".filter(x => /^(silences|pages|filter)\\./.test(x))"
    )
    assert missing == []


def test_what_the_link_says_is_filled_in(page):
    opened(page, "?scene=street_stall&camera=gd-0001")
    assert page.ask("document.querySelector('#make [name=scene]').value") == "street_stall"
    assert page.ask("document.querySelector('#make [name=camera]').value") == "gd-0001"


def test_a_wrong_camera_is_said_in_words(city, page):
    choose(page, "camera", "gd-9999")
    choose(page, "reason", "works")
    page.click("#make [type=submit]")
    page.says("#wrong", "There is no camera of this id.")
    assert made(city) == []


@pytest.mark.parametrize(("role", "makes"), [(Role.VIEWER, False), (Role.OPERATOR, True)])
def test_viewers_see_and_operators_make(city, browser, role, makes):
    token = city.keys.add("desk", role)
    silenced(city, "silence-1", scene="street_stall")
    with serving(city.app()) as url:
        page = Wall(browser, url)
        page.browser.get(f"{url}/healthz")
        page.do("localStorage.clear(); localStorage.setItem('language', 'en')")
        page.opened("/wall/silences.html", ready="#list > *")
        page.until("document.querySelector('#login-key')")
        page.do(f"document.querySelector('#login-key').value = '{token}'")
        page.click("#login [type=submit]")
        page.says(".active", "Street-stall spillover")
        assert page.ask("!document.querySelector('#make').hidden") is makes
        assert bool(page.ask("document.querySelectorAll('[data-end]').length")) is makes
        if makes:  # everything is more than an operator may silence
            choose(page, "reason", "quiet, please")
            page.click("#make [type=submit]")
            page.says("#wrong", "This needs an engineer")
        page.browser.get("about:blank")


def test_on_a_phone_nothing_is_cut_off(city, page):
    silenced(city, "silence-1", scene="street_stall", reason="a long reason " * 20)
    page.screen(390, 844, mobile=True)
    page.says(".active", "a long reason")
    assert page.ask("document.scrollingElement.scrollWidth <= innerWidth")
    page.screen(1600, 1000)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_stands_in_anyones_way(city, page, theme):
    now = SystemClock().now()
    silenced(city, "silence-1", scene="street_stall")
    silenced(city, "silence-2", camera="gd-0002", since=now + HOUR, until=now + 2 * HOUR)
    silenced(city, "silence-3", scene="fire_risk", until=now + timedelta(milliseconds=1))
    city.file(case(1, scene="street_stall", silenced="silence-1"))
    page.do(f"localStorage.setItem('theme', '{theme}')")
    page.opened("/wall/silences.html", ready="#list .expired")
    page.until("document.querySelector('.held summary')")
    page.click(".held summary")
    page.until("document.querySelectorAll('.held a').length === 1")
    assert faults(page) == []
    page.click("[data-end]")
    page.until("document.querySelector('#ask').open")
    assert faults(page) == []
    page.do("localStorage.removeItem('theme')")
