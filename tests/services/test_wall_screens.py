"""The wall on a phone and in a room: everything in reach of a thumb, and everything readable from three metres."""

from __future__ import annotations

from dataclasses import replace

import pytest
from selenium.webdriver.common.by import By

from citybrain.domain.case import CaseEventType, CaseState
from citybrain.wire import CASE_EVENTS
from tests.services.api_city import case, event, posted, serving
from tests.services.wall_page import Wall, fresh
from tests.waiting import until


@pytest.fixture
def phone(city, browser):
    wall = Wall(browser, "")
    wall.screen(360, 740, mobile=True)
    with serving(city.app()) as url:
        wall.url = url
        yield wall
        browser.get("about:blank")
    wall.whole_screen()


def test_a_phone_shows_the_list_then_the_case_without_scrolling_sideways(city, phone):
    city.file(*(fresh(city, n, ago=90 - n, scene="fire_risk") for n in range(1, 4)))
    phone.opened()
    phone.lists(3)
    assert phone.ask("document.documentElement.scrollWidth") <= 360
    assert phone.ask("document.querySelector('.row').getBoundingClientRect().right") <= 360
    beyond = (
        "[...document.querySelectorAll('.row .countdown')].filter(each => each.getBoundingClientRect().right > 360)"
    )
    assert phone.ask(f"{beyond}.length") == 0
    phone.says(".row", "Guanshang junction")  # rows are drawn anew when the camera's name comes
    phone.browser.find_element(By.CSS_SELECTOR, ".row").click()
    phone.until("document.querySelector('#detail').getBoundingClientRect().width > 300")
    assert phone.ask("document.documentElement.scrollWidth") <= 360
    small = (
        "[...document.querySelectorAll('#detail header .act')].filter(each => each.getBoundingClientRect().height < 40)"
    )
    assert phone.ask(f"{small}.length") == 0, "a thumb is no mouse"
    phone.until("document.querySelector('#detail .timeline li')")  # what is shown is drawn anew when its timeline comes
    phone.browser.find_element(By.CSS_SELECTOR, ".back").click()
    phone.until("document.querySelector('.list').getBoundingClientRect().width > 300")
    phone.click("[data-filter=more]")
    phone.until("!document.querySelector('#filter-panel').hidden")
    assert phone.ask("document.documentElement.scrollWidth") <= 360


def test_the_page_of_a_case_fits_a_phone(city, phone):
    city.file(fresh(city, 1, ago=30))
    until(lambda: city.store.cursor() >= city.pipeline.end(CASE_EVENTS))
    phone.opened(f"/cases/{case(1).id}", ready="#case[data-version]")
    assert phone.ask("document.documentElement.scrollWidth") <= 360


@pytest.fixture
def room(city, browser):
    wall = Wall(browser, "")
    wall.screen(1920, 1080)
    with serving(city.app()) as url:
        wall.url = url
        yield wall
        browser.get("about:blank")
    wall.whole_screen()


def test_the_video_wall_has_nothing_to_click_and_is_read_from_three_metres(city, room):
    city.file(*(fresh(city, n, ago=600 - n) for n in range(1, 9)), fresh(city, 9, scene="fire_risk", ago=40))
    room.opened("/wall/?kiosk")
    room.until("document.querySelectorAll('#next li').length === 5")
    pressable = "document.querySelectorAll('button, a, input, select, [tabindex]').length"
    assert room.ask(pressable) == 0
    words = (
        "[...document.body.querySelectorAll('*')].filter(each => each.checkVisibility() && "
        "[...each.childNodes].some(node => node.nodeType === 3 && node.data.trim()))"
    )
    small = room.ask(
        f"{words}.filter(each => parseFloat(getComputedStyle(each).fontSize) < 28).map(each => each.outerHTML)"
    )
    assert small == [], "at three metres 28 px of a 55 inch screen are read with ease"
    beyond = f"{words}.filter(each => each.getBoundingClientRect().bottom > 1080).map(each => each.outerHTML)"
    assert room.ask(beyond) == []
    room.says("#counts", "not judged")
    room.says("#counts", "open\n9")
    room.says("#counts", "not judged\n1")


def test_the_video_wall_goes_from_case_to_case_and_shows_what_is_new_at_once(city, room):
    city.file(fresh(city, 1, ago=60), fresh(city, 2, ago=50))
    room.opened("/?kiosk")
    room.until("document.querySelector('#shown').dataset.case")
    first = room.ask("document.querySelector('#shown').dataset.case")
    room.until(f"document.querySelector('#shown').dataset.case !== '{first}'")
    new = fresh(city, 3)
    city.file(new)
    # Its turn would come after 8 s.
    room.until(f"document.querySelector('#shown').dataset.case === '{new.id}'", within=6)
    room.until("document.querySelector('#shown .fitted')")
    city.tell(event(posted(new), CaseEventType.DISPATCHED))
    room.says("#shown .state", "dispatched")
    city.tell(event(replace(posted(new), state=CaseState.CLOSED, version=3), CaseEventType.CLOSED))
    room.until(f"document.querySelector('#shown').dataset.case !== '{new.id}'", within=6)
    room.press("l")
    room.says("#shown", "机动车乱停放")
    room.press("l")
