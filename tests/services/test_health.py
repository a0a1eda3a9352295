"""The page of camera health in a real browser: thousands of cameras sorted and sought, fresh, and never moving under the reader."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from selenium.webdriver.common.keys import Keys as Press

from citybrain.domain.camera import Text
from citybrain.wire import dumps
from tests.services.api_city import City, serving
from tests.services.wall_page import Wall

LINES = "[...document.querySelectorAll('#rows .line')]"
IN_ORDER = f"{LINES}.sort((a, b) => a.ariaRowIndex - b.ariaRowIndex).map(each => each.dataset.camera)"
TROUBLE: dict[str, dict[str, Any]] = {
    "gd-0007": {"state": "lost", "reason": "silent", "reason_zh": "无响应", "reconnects": 41},
    "gd-0003": {"state": "refused", "reason": "wrong password", "reason_zh": "密码错误"},
    "gd-0011": {"state": "unusable", "reason": "moved", "reason_zh": "视角移动", "clock_ok": False},
}


def told(city: City, id: str, **more) -> None:
    known = {
        "state": "live", "reason": "", "since": "2026-11-21T08:00:00.000Z", "staleness_s": 1.2, "patience_s": 2.0, "clock_ok": True,
        "codec": "hevc", "through": "rtsp", "width": 1920, "height": 1080, "looks": 500,
    }  # fmt: skip
    city.hot.put(f"camera/{id}", dumps({**known, **more}))


@pytest.fixture
def district(tmp_path):
    made = City(tmp_path, cameras=2400)
    made.beat()
    made.beat("ingest")
    made.cameras[41] = replace(made.cameras[41], name=Text("老桥", "Old bridge"))
    for each in made.cameras[:60]:
        told(made, each.id, **TROUBLE.get(each.id, {}))
    yield made
    made.close()


@pytest.fixture
def page(district, browser):
    with serving(district.app()) as url:
        made = Wall(browser, url).opened("/wall/health.html", ready="#link.live")
        made.until(f"{LINES}.length > 5")
        yield made
        browser.get("about:blank")


def test_of_thousands_those_in_trouble_come_first_and_only_those_in_sight_are_drawn(page):
    assert page.text("#count") == "2400 of 2400 shown"
    assert page.ask(f"{IN_ORDER}.slice(0, 3)") == ["gd-0003", "gd-0007", "gd-0011"]
    assert page.ask(f"{LINES}.length") < 60
    assert page.ask("document.querySelector('#table').getAttribute('aria-rowcount')") == "2401"
    assert "refused · wrong password" in page.text("#line-gd-0003")
    assert "1.2 / 2 s" in page.text("#line-gd-0007")
    assert "hevc · 1920×1080 · rtsp" in page.text("#line-gd-0011")
    page.do("document.querySelector('#rows').scrollTop = 1e9")
    page.until(f"{IN_ORDER}.at(-1) === 'gd-0060'")
    assert page.ask(f"{LINES}.length") < 60
    assert page.complaints() == []


def test_a_column_sorts_and_sorts_the_other_way(page):
    page.click("[data-sort=reconnects]")
    page.until(f"{IN_ORDER}[0] === 'gd-0007'")
    assert page.ask("document.querySelector('[data-sort=reconnects]').parentElement.ariaSort") == "ascending"
    page.click("[data-sort=camera]")
    page.click("[data-sort=camera]")
    page.until(f"{IN_ORDER}[0] === 'gd-0042'")
    assert "sort=camera&down=true" in page.ask("location.search")


def test_a_state_a_reason_and_words_restrict_what_is_shown_and_what_is_taken_home(page):
    page.click("[data-state=lost]")
    page.until(f"{IN_ORDER}.length === 1")
    assert page.ask("document.querySelector('#csv').getAttribute('href')") == "/v1/cameras.csv?state=lost"
    page.click("[data-state=lost]")
    page.until(f"{IN_ORDER}.length > 5")
    page.do(
        "const s = document.querySelector('select[name=reason]'); s.value = 'moved'; s.dispatchEvent(new Event('change'))"
    )
    page.until(f"{IN_ORDER}.join() === 'gd-0011'")
    page.do(
        "const s = document.querySelector('select[name=reason]'); s.value = ''; s.dispatchEvent(new Event('change'))"
    )
    page.do("document.querySelector('input[name=q]').focus()")
    page.press("old br")
    page.until(f"{IN_ORDER}.join() === 'gd-0042'")
    assert page.ask("document.querySelector('#csv').getAttribute('href')") == "/v1/cameras.csv?q=old+br"
    assert page.ask("location.search").startswith("?q=old+br")


def test_what_changes_is_shown_where_it_stands_and_sorted_when_somebody_asks(district, page):
    before = page.ask(f"{IN_ORDER}")
    told(district, "gd-0003", state="live", reason="")
    page.until("document.querySelector('#line-gd-0003').innerText.includes('live')")
    # How many are drawn depends on the height there is, which settles while the page opens.
    pairs = list(zip(before, page.ask(f"{IN_ORDER}"), strict=False))
    assert len(pairs) > 10
    assert all(one == other for one, other in pairs), "nothing moves under who reads it"
    page.until("!document.querySelector('#sort').hidden")
    assert "have changed" in page.text("#sort")
    page.click("#sort")
    page.until(f"{IN_ORDER}[0] === 'gd-0007'")
    assert page.ask("document.querySelector('#sort').hidden")


def test_keys_choose_a_camera_whose_particulars_stand_beside_it(page):
    page.do("document.querySelector('#rows').focus()")
    page.press(Press.HOME, Press.ARROW_DOWN)
    page.until("document.querySelector('.line.chosen')?.dataset.camera === 'gd-0007'")
    assert page.ask("document.querySelector('#line-gd-0007').ariaCurrent") == "true"
    assert "lost · silent" in page.text("#said"), "a screen reader hears of it"
    one = page.text("#one")
    assert "gd-0007" in one
    assert "lost · silent" in one
    assert "41" in one
    links = page.ask("[...document.querySelectorAll('#one nav a')].map(each => each.getAttribute('href'))")
    assert links == ["/wall/camera.html?id=gd-0007", "/wall/map.html?camera=gd-0007"]
    page.press(Press.END)
    page.until("document.querySelector('.line.chosen')?.dataset.camera === 'gd-0060'")


def test_it_speaks_both_languages(page):
    page.do("document.activeElement.blur()")
    page.press("l")
    page.until("document.querySelector('#line-gd-0003').innerText.includes('密码错误')")
    assert "重连" in page.text("#heads")
    assert "显示 2400 个" in page.text("#count")
    page.press("l")
    page.until("document.querySelector('#line-gd-0003').innerText.includes('wrong password')")


def test_the_table_is_taken_home_with_a_session(page):
    answer = page.browser.execute_async_script(
        "const done = arguments[0]; fetch(document.querySelector('#csv').href).then(async (got) =>"
        " done([got.status, (await got.text()).split('\\r\\n').length, got.headers.get('content-disposition')]))"
    )
    assert answer[:2] == [200, 2402]
    assert "attachment" in answer[2]
