"""Ten thousand cases: the wall draws those in sight, and goes to any other."""

from __future__ import annotations

import time
from datetime import timedelta

import httpx
import pytest

from citybrain.clock import SystemClock
from tests.services.api_city import City, case, serving
from tests.services.wall_page import Wall

pytestmark = pytest.mark.timeout(400)  # the first of them fills the city

MANY = 10_000
PAGE = 100


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    """A city with ten thousand open cases, one a second, the last one just now."""
    city = City(tmp_path_factory.mktemp("full"))
    now = SystemClock().now()
    # Without pictures: what is to be seen here is the list.
    for first in range(1, MANY + 1, 1000):
        numbers = range(first, first + 1000)
        city.file(*(case(n, at=now - timedelta(seconds=MANY - n), evidence=()) for n in numbers))
    yield city
    city.close()


@pytest.fixture(scope="module")
def address(full):
    with serving(full.app()) as url:
        until = time.monotonic() + 240
        while httpx.get(f"{url}/v1/stats", timeout=60).json()["cases"].get("filed") != MANY:
            assert time.monotonic() < until, "the view has not taken the log in"
            time.sleep(0.2)
        yield url


@pytest.fixture
def wall(full, address, browser):
    full.beat()
    wall = Wall(browser, address).opened()
    wall.until(f"document.querySelector('.row')?.dataset.case === '{case(MANY).id}'", within=60)
    wall.until(f"document.querySelector('[data-figure=open] dd')?.innerText === '{MANY}'", within=60)
    yield wall
    browser.get("about:blank")


def test_only_the_rows_in_sight_are_in_the_page_and_the_rest_is_reached_by_scrolling(wall):
    assert wall.ask("document.querySelectorAll('.row').length") < 30
    assert wall.ask("document.querySelector('.row').getAttribute('aria-setsize')") == "-1", "nobody knows how many"
    reached = PAGE
    for _ in range(4):
        wall.do("document.querySelector('#cases').scrollTop = 1e9")
        reached += PAGE
        wall.until(f"document.querySelector('.row[aria-posinset=\"{reached - PAGE}\"]')")
        wall.until(f"document.querySelector('#cases').scrollHeight >= {reached} * 100")
    last, place = wall.ask(
        "(row => [row.dataset.case, Number(row.getAttribute('aria-posinset'))])([...document.querySelectorAll('.row')].at(-1))"
    )
    assert last == case(MANY + 1 - place).id
    assert wall.ask("document.querySelectorAll('.row').length") < 30


def test_the_chosen_case_stays_for_a_screen_reader_wherever_the_list_is_scrolled(wall):
    wall.press("j", "j", "j")
    chosen = wall.chosen()
    assert chosen == case(MANY - 3).id
    wall.do("document.querySelector('#cases').scrollTop = 1e9")
    wall.until("document.querySelector('.row[aria-posinset=\"95\"]')")
    active = "document.getElementById(document.querySelector('#cases').getAttribute('aria-activedescendant'))"
    assert wall.ask(f"{active}.dataset.case") == chosen
    assert wall.ask(f"{active}.getAttribute('aria-posinset')") == "4"
    wall.press("j")
    wall.until(f"document.querySelector('.row[aria-selected=true]').dataset.case === '{case(MANY - 4).id}'")
    box = wall.ask(
        "(r => [r.top, r.bottom])(document.querySelector('.row[aria-selected=true]').getBoundingClientRect())"
    )
    view = wall.ask("(r => [r.top, r.bottom])(document.querySelector('#cases').getBoundingClientRect())")
    assert view[0] - 1 <= box[0] < box[1] <= view[1] + 1, "what is chosen comes into sight"


def test_a_thousand_cases_that_come_at_once_leave_what_is_being_read_where_it_is(full: City, wall):
    wall.press("j", "j")
    chosen = wall.chosen()
    before = wall.top_of(chosen)
    now = SystemClock().now()
    full.file(*(case(MANY + n, at=now, evidence=()) for n in range(1, 1001)))
    wall.until("document.querySelector('#newer').innerText.startsWith('1000 new')")
    assert wall.top_of(chosen) == pytest.approx(before, abs=1.5)
    assert wall.chosen() == chosen
    assert wall.ask("document.querySelectorAll('.row').length") < 30
