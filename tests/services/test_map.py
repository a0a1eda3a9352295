"""The map in a real browser: it draws without the internet, follows what happens, and leads to cases and cameras."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys as Press

from bench.ports import free_port
from citybrain.domain.camera import Camera, Text
from citybrain.domain.case import CaseEventType, CaseState, Light
from citybrain.map_layer import MapFile
from citybrain.wire import CASE_EVENTS, dumps
from events_api.security import Role
from tests.services.api_city import camera, case, event, serving
from tests.services.wall_page import Wall, fresh
from tests.waiting import until

DEMO = Path(__file__).parents[2] / "configs" / "demo"
NAMES = (("关上路", "Guanshang Road"), ("金马后街", "Jinma back street"), ("双桥路", "Shuangqiao Road"))
PLACES = ((102.7411, 25.0142), (102.7471, 25.0103), (102.7571, 25.0142))
MARKS = "document.querySelectorAll('#within a')"


@pytest.fixture
def at_map(city, browser):
    city.beat("ingest")
    city.cameras[:] = [
        Camera(f"gd-{n:04}", Text(*name), place, f"53011100100{n}003", camera(1).zones)
        for n, (name, place) in enumerate(zip(NAMES, PLACES, strict=True), start=1)
    ]
    for each in city.cameras:
        city.hot.put(f"camera/{each.id}", dumps({"state": "live"}))
    with serving(city.app(map_file=MapFile(DEMO))) as url:

        def opened(more: str = "") -> Wall:
            while city.store.cursor() < city.bus.end(CASE_EVENTS):
                city.pipeline.wait(timedelta(milliseconds=20))
            page = Wall(browser, url).opened(f"/wall/map.html{more}", ready="#link.live")
            page.until(f"{MARKS}.length > 0")
            return page

        yield opened
        browser.get("about:blank")


def at(city, n: int, which: int, **more):
    """The n-th case, at one of the cameras."""
    lon, lat = PLACES[which]
    cell = city.cameras[which].grid_cell
    return fresh(city, n, camera=f"gd-{which + 1:04}", location=(lon, lat), grid_cell=cell, evidence=(), **more)


def inked(page: Wall) -> int:
    """How many pixels of the map are anything but its ground."""
    return page.ask(
        "(c => { const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; let n = 0;"
        " for (let i = 3; i < d.length; i += 4) n += d[i] > 0; return n; })(document.getElementById('chart'))"
    )


def lists(page: Wall, *ids: str) -> None:
    """Wait until the list names these in this order; it follows the figures and the map a moment later."""
    page.until(f"[...{MARKS}].map(each => each.dataset.id).join() === {json.dumps(','.join(ids))}")


def painted(page: Wall) -> None:
    """Wait until what the list names can be pointed at: marks are found where they were drawn last."""
    page.ask("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))")


def test_cameras_and_cases_are_on_the_map_and_in_the_list_beside_it(city, at_map):
    city.file(at(city, 1, 0), at(city, 2, 1, scene="fire_risk", light=Light.RED))
    page = at_map()
    page.until("document.querySelector('#figures').innerText.includes('2 cases · 3 cameras')")
    lists(page, case(2, scene="fire_risk").id, case(1).id, "gd-0001", "gd-0002", "gd-0003")  # the gravest first
    assert "Fire risk" in page.text("#within")
    assert "Jinma back street" in page.text("#within a")
    until(lambda: inked(page) > 20_000)  # roads, cells, graticule and marks are drawn
    origins = page.ask("[...new Set(performance.getEntriesByType('resource').map(each => new URL(each.name).origin))]")
    assert origins == [page.url]
    assert page.complaints() == []


def test_what_happens_is_on_the_map_without_reload(city, at_map):
    page = at_map()
    page.until(f"{MARKS}.length === 3")
    told = at(city, 1, 2)
    city.file(told)
    page.until(f"document.querySelector('#within a[data-id=\"{told.id}\"]')")
    city.tell(event(replace(told, light=Light.RED, version=2), CaseEventType.STATUS))
    page.until(f"document.querySelector('#within a[data-id=\"{told.id}\"] .light.red')")
    city.tell(event(replace(told, state=CaseState.CLOSED, version=3), CaseEventType.CLOSED))
    page.until(f"!document.querySelector('#within a[data-id=\"{told.id}\"]')")
    city.hot.put("camera/gd-0002", dumps({"state": "lost", "reason": "silent", "reason_zh": "无响应"}))
    page.until("document.querySelector('#within').innerText.includes('lost · silent')")
    page.until("document.querySelector('#figures').innerText.includes('1 in trouble')")
    assert page.ask("window.neverReloaded")


def test_an_address_leads_to_a_case_or_a_camera_and_the_view_is_kept_in_it(city, at_map):
    city.file(at(city, 1, 1))
    page = at_map(f"?case={case(1).id}")
    page.until("!document.querySelector('#card').hidden")
    assert "Illegal parking" in page.text("#card")
    page.until("location.hash.startsWith('#18')")
    assert page.ask("location.hash").startswith("#18.0/25.0103")
    page = at_map("?camera=gd-0003")
    page.until("document.querySelector('#card').innerText.includes('Shuangqiao Road')")
    lists(page, "gd-0003")  # it names what is in sight
    page.click("#whole")
    page.until(f"{MARKS}.length === 4")
    page.until("!location.hash.startsWith('#18')")
    zoomed = page.ask("location.hash")
    page.browser.refresh()
    page.until(f"{MARKS}.length > 0")
    assert page.ask("location.hash.split('/')[0]") in ("#18.0", zoomed.split("/")[0])


def test_keys_move_it_and_the_list_leads_to_the_page(city, at_map):
    city.file(at(city, 1, 0))
    page = at_map()
    page.do("document.getElementById('chart').focus()")
    page.until("location.hash !== ''")
    before = page.ask("location.hash")
    page.press(Press.ARROW_RIGHT, "+")
    page.until(f"location.hash !== {json.dumps(before)}")
    nearer = float(before[1:].split("/")[0]) + 0.5
    page.until(f"Math.abs(Number(location.hash.slice(1).split('/')[0]) - {nearer}) < 0.11")
    page.press(Press.HOME)
    page.until(f"location.hash === {json.dumps(before)}")
    page.until(f"document.querySelector('#within a[data-id=\"{case(1).id}\"]')")  # the list follows a moment later
    page.do(f"document.querySelector('#within a[data-id=\"{case(1).id}\"]').focus()")
    page.until("document.querySelector('#card').innerText.includes('Illegal parking')")
    page.press(Press.ENTER)
    page.until(f"location.pathname === '/cases/{case(1).id}'")


def test_a_click_opens_what_is_there_and_a_drag_moves_the_ground(city, at_map):
    page = at_map("#17/25.0142/102.7571")
    page.until(f"{MARKS}.length === 1")
    painted(page)
    chart = page.browser.find_element("id", "chart")
    ActionChains(page.browser).move_to_element(chart).perform()
    page.until("!document.querySelector('#card').hidden && document.querySelector('#chart.over')")
    assert "WGS 84" in page.text("#pointer")
    ActionChains(page.browser).move_to_element(chart).click_and_hold().move_by_offset(-200, 0).release().perform()
    page.until("!location.hash.includes('102.75710')")
    assert page.ask("location.pathname") == "/wall/map.html", "what was dragged was not clicked"
    ActionChains(page.browser).move_to_element_with_offset(chart, -200, 0).click().perform()
    page.until("location.pathname === '/wall/camera.html' && location.search === '?id=gd-0003'")


def test_many_at_one_spot_are_one_mark_that_lists_them(city, at_map):
    city.file(*(at(city, n, 1) for n in range(1, 31)))
    page = at_map("#19/25.01030/102.74710")
    page.until("document.querySelector('#within-title').innerText.includes('30 cases')")
    painted(page)
    chart = page.browser.find_element("id", "chart")
    ActionChains(page.browser).move_to_element_with_offset(chart, 0, -20).click().perform()
    page.until("document.querySelectorAll('#card.held li').length === 12")
    assert "and 18 more" in page.text("#card")


def test_a_choice_restricts_both_map_and_list_and_stays_in_the_address(city, at_map):
    city.file(at(city, 1, 0), at(city, 2, 1, scene="fire_risk"), at(city, 3, 2, state=CaseState.DISPATCHED))
    page = at_map()
    page.until(f"{MARKS}.length === 6")

    def choose(name: str, value: str, left: int) -> None:
        page.do(
            f"const s = document.querySelector('[data-choice={name}]'); s.value = {json.dumps(value)};"
            " s.dispatchEvent(new Event('change'))"
        )
        page.until(f"{MARKS}.length === {left}")

    choose("cameras", "none", 3)
    choose("scene", "illegal_parking", 2)
    choose("state", "dispatched", 1)
    choose("area", "530111001001", 0)
    assert page.ask("location.search") == "?scene=illegal_parking&state=dispatched&area=530111001001&cameras=none"
    choose("area", "", 1)
    choose("cameras", "troubled", 1)
    page.browser.refresh()
    page.until("document.querySelector('#figures').innerText.startsWith('1 cases · 0 cameras')")


def test_the_map_speaks_both_languages_and_says_what_has_no_place(city, at_map):
    city.file(at(city, 1, 0), fresh(city, 2, camera="gd-gone", location=None, evidence=()))
    page = at_map()
    page.until("document.querySelector('#figures').innerText.includes('1 without a place')")
    page.press("l")
    page.until("document.querySelector('#figures').innerText.includes('1 件无坐标')")
    page.until("document.querySelector('#within').innerText.includes('机动车乱停放')")
    assert "关上路" in page.text("#within")
    assert "场景" in page.text("#choice")
    assert page.ask("document.querySelector('#chart').getAttribute('aria-label')") == "案件与摄像机地图"
    page.press("l")
    page.until("document.querySelector('#figures').innerText.includes('1 without a place')")


def test_a_phone_shows_the_map_above_the_list(city, at_map):
    city.file(at(city, 1, 0))
    page = at_map()
    page.screen(390, 844, mobile=True)
    try:
        page = at_map()
        page.until(f"{MARKS}.length === 4")
        assert page.ask("document.documentElement.scrollWidth") <= 390
        assert page.ask("document.querySelector('#chart').getBoundingClientRect().width") == 390
        assert page.ask("document.querySelector('#within').getBoundingClientRect().top") > 400
    finally:
        page.whole_screen()


def test_a_whole_citys_cameras_and_cases_are_gathered_into_few_marks_and_none_is_lost(at_map):
    browser = at_map().browser
    script = """
        const done = arguments[0];
        import('/wall/clusters.js').then(({ gathered, outline, toWorld, toDegrees, hull }) => {
          const at = (item) => ({ x: 0.78 + (item % 113) / 1e5, y: 0.42 + (item % 71) / 1e5, item });
          const points = Array.from({ length: 12000 }, (_, n) => at(n));
          const found = gathered(points, 40 / (256 * 2 ** 12));
          const [lon, lat] = toDegrees(toWorld(102.7411, 25.0142));
          const ring = outline([[0, 0], [10, 0], [10, 10], [0, 10], [5, 5]], 1);
          done({ marks: found.length, held: found.reduce((sum, each) => sum + each.items.length, 0), lon, lat,
                 ring: Math.max(...ring.map(([x]) => x)), few: hull([[1, 1]]).length });
        });
    """
    browser.set_script_timeout(30)
    found = browser.execute_async_script(script)
    assert found["held"] == 12_000
    assert found["marks"] < 1_000
    assert (found["lon"], found["lat"]) == (pytest.approx(102.7411), pytest.approx(25.0142))
    assert (found["ring"], found["few"]) == (pytest.approx(11), 1)


def test_a_lost_connection_shows_on_the_map_and_is_caught_up(city, browser):
    city.beat("ingest")
    app, port = {"map_file": MapFile(DEMO)}, free_port()
    with serving(city.app(**app), port=port) as url:
        page = Wall(browser, url).opened("/wall/map.html", ready="#link.live")
    page.until("!document.querySelector('#lost').hidden")
    city.file(fresh(city, 1, evidence=()))
    with serving(city.app(**app), port=port):
        page.until("document.querySelector('#lost').hidden")
        page.until(f"document.querySelector('#within a[data-id=\"{case(1).id}\"]')")
        assert page.ask("window.neverReloaded")
        browser.get("about:blank")


def test_with_keys_the_map_asks_for_one(city, browser):
    city.beat("ingest")
    token = city.keys.add("li.wei", Role.VIEWER)
    with serving(city.app()) as url:
        page = Wall(browser, url).opened("/wall/map.html", ready="#link.live")
        page.until("document.querySelector('#login[open]')")
        assert page.ask(f"{MARKS}.length") == 0
        page.press(token, Press.ENTER)
        page.until(f"{MARKS}.length === 3")
        browser.delete_all_cookies()
        browser.get("about:blank")


def test_a_case_leads_to_its_place_on_the_map_and_to_its_camera(city, at_map):
    city.file(at(city, 1, 1))
    page = at_map()
    page.browser.get(f"{page.url}/cases/{case(1).id}")
    page.until("document.querySelector('#case .facts')")
    links = page.ask("[...document.querySelectorAll('#case .facts a')].map(each => each.getAttribute('href'))")
    assert {"/wall/camera.html?id=gd-0002", f"/wall/map.html?case={case(1).id}"} <= set(links)


def test_two_fingers_enlarge_and_one_gets_the_card_before_the_page(city, at_map):
    page = at_map()
    page.screen(390, 844, mobile=True)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        fingers = [{"x": x, "y": y, "id": n} for n, (x, y) in enumerate(points)]
        page.browser.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers})

    try:
        page = at_map("#16/25.0142/102.7571")
        page.until("document.querySelector('#within-title').innerText.includes('cameras')")
        left, top = page.ask(
            "(r => [r.left + r.width / 2, r.top + r.height / 2])(document.querySelector('#chart').getBoundingClientRect())"
        )
        held = "document.querySelector('#card.held a')?.getAttribute('href') === '/wall/camera.html?id=gd-0003'"
        for _ in range(5):  # a slow machine may not have drawn the camera yet: whoever taps then taps again
            touch("touchStart", (left, top))
            touch("touchEnd")
            with suppress(AssertionError):
                page.until(held, within=3)
                break
        page.until(held)
        assert "Shuangqiao Road" in page.text("#card")
        touch("touchStart", (left - 40, top), (left + 40, top))
        for spread in (60, 80):
            touch("touchMove", (left - spread, top), (left + spread, top))
        touch("touchEnd")
        page.until("Math.abs(Number(location.hash.slice(1).split('/')[0]) - 17) < 0.11")
        assert page.ask("location.pathname") == "/wall/map.html"
    finally:
        page.whole_screen()
