"""A wall that loses its server says so, and misses nothing."""

from __future__ import annotations

from tests.services.api_city import case, serving
from tests.services.wall_page import Wall, fresh


def test_a_lost_connection_shows_and_is_caught_up_without_a_gap(city, browser):
    with serving(city.app()) as url:
        wall = Wall(browser, url).opened()
        city.file(fresh(city, 1))
        wall.see(case(1).id)
        port = int(url.rpartition(":")[2])
    wall.until("!document.querySelector('#lost').hidden")
    assert "Connection lost since" in wall.text("#lost")
    city.file(fresh(city, 2), fresh(city, 3))
    with serving(city.app(), port=port):
        wall.until("document.querySelector('#lost').hidden")
        wall.see(case(3).id)
        assert sorted(wall.rows()) == [case(n).id for n in (1, 2, 3)]
        wall.until("document.querySelector('#toast').innerText.includes('2 missed events')")
        city.file(fresh(city, 4))
        wall.see(case(4).id)
        assert wall.ask("window.neverReloaded")
        browser.get("about:blank")
