"""The wall for everyone: what axe-core finds, keys alone, no motion for who wants none, in both themes and languages."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys as Press

from citybrain.clock import SystemClock
from citybrain.domain.case import CaseState
from tests.services.api_city import City, case, posted
from tests.services.wall_page import Wall, fresh

AXE = (Path(__file__).parent / "axe" / "axe.min.js").read_text()


def faults(wall: Wall) -> list[str]:
    """What axe-core finds wrong with the page as it is, by WCAG 2.2 A and AA and its own good practice."""
    wall.do(AXE)
    found = wall.browser.execute_async_script(
        "const done = arguments[arguments.length - 1];"
        "axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']})"
        ".then(found => done(found.violations.flatMap(each => each.nodes.map(node => "
        "`${each.id}: ${node.target.join(' ')}: ${node.failureSummary}`))), error => done([String(error)]))"
    )
    assert isinstance(found, list)
    return found


def busy(city: City) -> None:
    now = SystemClock().now()
    city.file(
        fresh(city, 1, ago=90, state=CaseState.CLOSED),
        posted(fresh(city, 2, ago=80, unseen_since=now - timedelta(minutes=3))),
        fresh(city, 3, ago=70, judged="confirmed", trial=True, recurrence_of=case(1).id),
        fresh(city, 4, ago=60, scene="waterlogging", due_at=now - timedelta(minutes=3)),
        fresh(city, 5, ago=50, scene="fire_risk"),
        fresh(city, 6, scene="fire_risk"),
    )


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("language", ["zh", "en"])
def test_nothing_stands_in_anyones_way(city, wall, theme, language):
    busy(city)
    wall.do(f"localStorage.setItem('theme', '{theme}'); localStorage.setItem('language', '{language}')")
    wall.opened("/?open=false")
    wall.lists(6)
    assert wall.ask("document.documentElement.dataset.theme") == theme
    wall.until("document.querySelector('#detail .facts') && document.querySelector('#detail .timeline li')")
    assert faults(wall) == []
    wall.press("f")
    wall.until("!document.querySelector('#filter-panel').hidden")
    assert faults(wall) == []
    wall.press(Press.ESCAPE)
    wall.opened(f"/cases/{case(2).id}", ready="#case[data-version]")
    assert faults(wall) == []
    wall.do("localStorage.setItem('language', 'en')")


@pytest.mark.parametrize(("key", "dialog"), [("r", "reject"), ("m", "ask"), ("a", "ask"), ("?", "help")])
def test_what_the_wall_asks_can_be_answered_by_everyone(city, wall, key, dialog):
    busy(city)
    wall.lists(5)
    wall.press("j", key)
    wall.until(f"document.querySelector('#{dialog}[open] :is(button, textarea)')")
    assert wall.ask(f"document.querySelector('#{dialog}').contains(document.activeElement)")
    assert faults(wall) == []
    wall.escape()


def test_the_video_wall_is_read_to_everyone(city, wall):
    busy(city)
    wall.opened("/?kiosk")
    wall.until("document.querySelectorAll('#next li').length > 3 && document.querySelector('#counts dd')")
    assert faults(wall) == []


def test_tab_goes_through_the_wall_in_its_order_and_shows_where_it_is(city, wall):
    busy(city)
    wall.lists(5)
    wall.do("document.activeElement.blur()")
    seen: list[str] = []
    for _ in range(40):
        wall.press(Press.TAB)
        where = wall.ask(
            "document.activeElement.closest('.skip, .top, .filters, #cases, #detail, .strip')?.className || "
            "document.activeElement.closest('#cases')?.id || ''"
        )
        if not seen or seen[-1] != where:
            seen.append(where)
        outline = wall.ask("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none", wall.ask("document.activeElement.outerHTML")
        if where == "strip":
            break
    assert seen == ["skip", "top", "filters", "cases", "detail", "strip"]


def test_a_screen_reader_is_told_of_what_came(city, wall):
    city.file(fresh(city, 1))
    wall.says("#said", "New case: Illegal parking, Guanshang junction · kerb")
    city.file(*(fresh(city, n) for n in range(2, 12)))
    wall.says("#said", "new cases; the last")


def test_who_wants_no_motion_gets_none(city, wall):
    wall.browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-reduced-motion", "value": "reduce"}]}
    )
    try:
        city.file(fresh(city, 1))
        wall.see(case(1).id)
        assert wall.ask("getComputedStyle(document.querySelector('.row')).animationName") == "none"
    finally:
        wall.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
