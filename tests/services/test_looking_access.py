"""Map, mosaic, camera health and a camera's page for everyone: what axe-core finds, in both themes."""

from __future__ import annotations

import pytest

from citybrain.domain.case import Light
from citybrain.evidence.stamp import stamped
from citybrain.wire import dumps
from tests.services.api_city import case, serving
from tests.services.test_wall_access import faults
from tests.services.wall_page import Wall, drawn, fresh

PAGES = {
    "/wall/map.html": "document.querySelectorAll('#within a').length === 5",
    "/wall/mosaic.html": "document.querySelectorAll('.tile.has').length === 1 && document.querySelector('.tile .cases')",
    "/wall/health.html": "document.querySelectorAll('#rows .line').length === 3 && document.querySelector('#one .facts dd')",
    "/wall/camera.html?id=gd-0001": f"document.querySelector('[data-case=\"{case(1).id}\"]')",
}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_stands_in_anyones_way(city, browser, theme):
    city.beat("ingest")
    told = {
        "reason": "silent",
        "reason_zh": "无响应",
        "late": True,
        "staleness_s": 9.1,
        "patience_s": 2.0,
        "reconnects": 90,
    }
    for id, state in {"gd-0001": "live", "gd-0002": "lost", "gd-0003": "stale"}.items():
        city.hot.put(f"camera/{id}", dumps({"state": state, **told}))
    city.hot.put("picture/gd-0001", stamped(drawn(), city.clock.now()))
    city.file(fresh(city, 1, light=Light.YELLOW), fresh(city, 2, scene="fire_risk", light=Light.RED, trial=True))
    with serving(city.app()) as url:
        browser.get(f"{url}/wall/icon.svg")
        browser.execute_script("localStorage.setItem('theme', arguments[0])", theme)
        page = Wall(browser, url)
        for path, ready in PAGES.items():
            page.opened(path, ready="#link.live")
            page.until(ready)
            assert faults(page) == [], path
        page.opened("/wall/mosaic.html", ready="#link.live")
        page.click("#choose")
        page.until("document.querySelectorAll('#chooser li').length === 3")
        assert faults(page) == []
        browser.execute_script("localStorage.removeItem('theme')")
        browser.get("about:blank")
