"""A wall that loses its server says so, and misses nothing."""

from __future__ import annotations

from bench.ports import free_port
from tests.services.api_city import case, serving
from tests.services.wall_page import Wall, fresh
from tests.services.wall_server import killable


def test_a_lost_connection_shows_and_is_caught_up_without_a_gap(city, browser):
    port = free_port()
    with serving(city.app(), port=port) as url:
        wall = Wall(browser, url).opened()
        city.file(fresh(city, 1))
        wall.see(case(1).id)
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


def test_a_server_killed_and_started_again_leaves_no_gap_however_often(city, browser):
    port = free_port()
    wall = Wall(browser, f"http://127.0.0.1:{port}")
    filed = 0
    for life in range(3):
        with killable(city.folder, port=port) as server:
            if life == 0:
                wall.opened()
            else:
                wall.until("document.querySelector('#lost').hidden")
            wall.lists(filed) if filed else wall.says("#none", "No open cases.")
            city.file(*(fresh(city, filed + n) for n in (1, 2)))
            wall.lists(filed + 2)
            # Some are told of as it dies, others while it is dead.
            city.file(*(fresh(city, filed + n) for n in (3, 4)))
            server.kill()
            wall.until("!document.querySelector('#lost').hidden")
            city.file(fresh(city, filed + 5))
            filed += 5
    with killable(city.folder, port=port):
        wall.until("document.querySelector('#lost').hidden")
        wall.lists(filed)
        assert wall.ask("window.neverReloaded")
        assert wall.ask(
            "new Set([...document.querySelectorAll('.row')].map(each => each.dataset.case)).size"
        ) == wall.ask("document.querySelectorAll('.row').length")
        browser.get("about:blank")
