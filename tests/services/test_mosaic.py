"""The mosaic and a camera's own page in a real browser: pictures that say how old they are, and are asked for with care."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import cv2
import numpy as np
import pytest

from citybrain.clock import SystemClock
from citybrain.domain.camera import Text
from citybrain.domain.case import CaseEventType, CaseState, Light
from citybrain.evidence.stamp import stamped
from citybrain.wire import dumps
from events_api.security import Role
from tests.services.api_city import case, event, serving
from tests.services.wall_page import Wall, fresh

TILES = "document.querySelectorAll('#tiles .tile')"


def show(city, id: str, *, shade: int = 90, ago_s: float = 0) -> None:
    """A picture of one shade of grey."""
    picture = cv2.imencode(".jpg", np.full((90, 160, 3), shade, np.uint8))[1].tobytes()
    city.hot.put(f"picture/{id}", stamped(picture, SystemClock().now() - timedelta(seconds=ago_s)))


@pytest.fixture
def streets(city):
    city.beat("ingest")
    for n, each in enumerate(city.cameras, start=1):
        city.cameras[n - 1] = replace(each, name=Text(f"第{n}路", f"Street {n}"))
        city.hot.put(f"camera/{each.id}", dumps({"state": "live", "patience_s": 2.0}))
        show(city, each.id)
    return city


@pytest.fixture
def at(streets, browser):
    with serving(streets.app()) as url:

        def opened(path: str) -> Wall:
            return Wall(browser, url).opened(path, ready="#link.live")

        yield opened
        browser.get("about:blank")


def shade(page: Wall, id: str) -> int:
    """How light the picture is that is shown for this camera; -1 when there is none."""
    return page.ask(
        f"(image => {{ if (!image?.complete || !image.naturalWidth) return -1; const c = document.createElement('canvas');"
        f" c.getContext('2d').drawImage(image, 0, 0); return c.getContext('2d').getImageData(5, 5, 1, 1).data[0]; }})"
        f"(document.querySelector('[data-camera={id}] img'))"
    )


def until_shade(page: Wall, id: str, wanted: int) -> None:
    deadline = SystemClock().monotonic() + 60
    while abs(shade(page, id) - wanted) > 3:
        assert SystemClock().monotonic() < deadline, (id, shade(page, id))


def test_the_chosen_cameras_show_their_newest_picture_and_how_old_it_is(streets, at):
    show(streets, "gd-0002", ago_s=300)
    page = at("/wall/mosaic.html?camera=gd-0002&camera=gd-0001")
    page.until(f"{TILES}.length === 2 && document.querySelectorAll('.tile.has').length === 2")
    assert page.ask(f"[...{TILES}].map(each => each.dataset.camera)") == ["gd-0002", "gd-0001"]
    page.until("document.querySelector('[data-camera=gd-0002].old .age')?.innerText === '5 min'")
    page.until("document.querySelector('[data-camera=gd-0001] .said').innerText.includes('Street 1')")
    show(streets, "gd-0001")  # it may have taken long to open the page
    page.until("!document.querySelector('[data-camera=gd-0001]').classList.contains('old')")
    until_shade(page, "gd-0001", 90)
    show(streets, "gd-0001", shade=200)
    until_shade(page, "gd-0001", 200)
    assert page.text("#figures") == "2/2 live"
    assert page.complaints() == []


def test_a_picture_that_is_no_newer_is_not_sent_again_and_what_nobody_sees_is_not_asked_for(streets, at):
    page = at("/wall/mosaic.html?camera=gd-0001")
    page.until("document.querySelectorAll('.tile.has').length === 1")
    snapshots = "performance.getEntriesByType('resource').filter(each => each.name.includes('/snapshot.jpg'))"
    page.until(f"{snapshots}.length >= 3")
    sent = page.ask(f"{snapshots}.map(each => each.encodedBodySize)")
    assert sent[0] > 500
    assert not any(sent[1:]), "304 has no body"
    page.do("document.querySelector('#tiles').style.display = 'none'")
    asked = page.ask("new Promise(done => setTimeout(() => done(" + snapshots + ".length), 1500))")
    later = page.ask("new Promise(done => setTimeout(() => done(" + snapshots + ".length), 2500))")
    assert later - asked <= 1


def test_trouble_and_open_cases_show_on_the_tile(streets, at):
    streets.hot.put("camera/gd-0001", dumps({"state": "refused", "reason": "wrong password", "reason_zh": "密码错误"}))
    told = fresh(streets, 1, camera="gd-0002", evidence=(), light=Light.RED)
    streets.file(told)
    page = at("/wall/mosaic.html?camera=gd-0001&camera=gd-0002")
    page.until("document.querySelector('[data-camera=gd-0001]').innerText.includes('refused · wrong password')")
    page.until("document.querySelector('[data-camera=gd-0002][data-light=red] .cases')")
    assert page.ask("document.querySelector('.tile .cases').getAttribute('href')") == f"/cases/{told.id}"
    streets.tell(event(replace(told, state=CaseState.CLOSED, version=2), CaseEventType.CLOSED))
    page.until("!document.querySelector('[data-camera=gd-0002][data-light=red]')")
    page.press("l")
    page.until("document.querySelector('[data-camera=gd-0001]').innerText.includes('拒绝连接 · 密码错误')")
    assert "第1路" in page.text("[data-camera=gd-0001]")
    page.press("l")
    page.until("document.querySelector('[data-camera=gd-0001]').innerText.includes('refused')")


def test_cameras_are_chosen_by_words_and_the_choice_is_in_the_address(streets, at):
    page = at("/wall/mosaic.html")
    page.until(f"{TILES}.length === 3")  # nobody chose: a few are shown
    assert page.ask("location.search") == ""
    page.click("#choose")
    page.until("document.querySelectorAll('#chooser li').length === 3")
    page.press("street 3")
    page.until("document.querySelectorAll('#chooser li').length === 1")
    page.click("[data-do=all]")
    page.until(f"{TILES}.length === 1")
    assert page.ask("location.search") == "?camera=gd-0003"
    page.do("const q = document.querySelector('#chooser input'); q.value = ''; q.dispatchEvent(new Event('input'))")
    page.until("document.querySelectorAll('#chooser li').length === 3")
    page.click("#chooser input[value=gd-0001]")
    page.until(f"{TILES}.length === 2")
    page.click("[data-camera=gd-0003] .drop")
    page.until("location.search === '?camera=gd-0001'")
    page.click("[data-do=clear]")
    page.until("!document.querySelector('#none').hidden")


def test_a_cameras_page_is_live_and_has_its_zones_cases_and_states(streets, at):
    streets.file(fresh(streets, 1, evidence=()), fresh(streets, 2, evidence=(), state=CaseState.CLOSED, ago=50))
    page = at("/wall/camera.html?id=gd-0001")
    page.until("document.querySelector('.stage.has')")
    assert page.ask("document.querySelectorAll('.zones polygon').length") == 1
    page.until(f"document.querySelector('[data-case=\"{case(2).id}\"]')")
    text = page.text("#camera")
    assert "kerb (no parking)" in text
    assert "Illegal parking, Waterlogging, Fire risk, Street-stall spillover (trial)" in text
    assert text.index("Open cases") < text.index("Past cases") < text.index("States")
    for wanted in (200, 30):
        show(streets, "gd-0001", shade=wanted)
        page.do("document.querySelector('.stage img').parentElement.dataset.camera = 'gd-0001'")
        until_shade(page, "gd-0001", wanted)
    requests = "performance.getEntriesByType('resource').filter(each => each.name.includes('snapshot'))"
    assert page.ask(f"{requests}.length") == 0, "live pictures come without being asked for one by one"
    page.press("l")
    page.until("document.querySelector('#camera').innerText.includes('未结案件')")
    page.press("l")
    page.until("document.querySelector('#camera').innerText.includes('Open cases')")
    assert page.complaints() == []


def test_when_there_is_no_stream_left_a_cameras_page_goes_on_picture_by_picture(streets, at, monkeypatch):
    monkeypatch.setattr("events_api.routes.live.MOST_STREAMS", 0)
    page = at("/wall/camera.html?id=gd-0001")
    page.until("document.querySelector('#camera').innerText.includes('picture by picture')")
    page.until("document.querySelector('.stage.has')")


def test_an_engineer_accepts_a_view_by_pressing_twice_and_a_viewer_cannot(streets, browser):
    tokens = {role: streets.keys.add(f"{role}-desk", role) for role in (Role.ENGINEER, Role.VIEWER)}
    with serving(streets.app()) as url:
        for role, token in tokens.items():
            browser.get(f"{url}/wall/icon.svg")
            browser.execute_async_script(
                "const [key, done] = arguments; fetch('/v1/session', {method: 'POST', body: JSON.stringify({key}),"
                " headers: {'content-type': 'application/json'}}).then(done)",
                token,
            )
            page = Wall(browser, url).opened("/wall/camera.html?id=gd-0001", ready="#link.live")
            page.until("document.querySelector('.stage')")
            if role is Role.VIEWER:
                assert page.ask("document.querySelector('[data-do=accept]')") is None
                continue
            page.click("[data-do=accept]")
            assert "Sure?" in page.text("[data-do=accept]")
            assert streets.hot.get("baseline/gd-0001") is None
            page.click("[data-do=accept]")
            page.until("document.querySelector('[data-do=accept]').innerText === 'View accepted'")
            assert streets.hot.get("baseline/gd-0001") == b""
        browser.delete_all_cookies()
        browser.get("about:blank")


def test_a_camera_that_there_is_not_says_so(at):
    page = at("/wall/camera.html?id=nobody")
    page.until("document.querySelector('#camera').innerText === 'There is no camera nobody.'")
