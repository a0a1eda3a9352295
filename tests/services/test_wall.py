"""The wall in a real browser against a real server: what operators see, and what their keys do."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import cv2
import numpy as np
import pytest
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys as Press
from selenium.webdriver.support.wait import WebDriverWait

from citybrain.clock import SystemClock
from citybrain.domain.case import CaseAction, CaseEventType, CaseState
from citybrain.domain.episode import Evidence, EvidenceKind
from citybrain.domain.geometry import Box
from citybrain.wire import dumps
from events_api.security import Role
from ingest.remux import in_mp4
from tests.services.api_city import City, camera, case, event, posted, serving
from tests.unit.ingest.footage import footage

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-dev-shm-usage --window-size=1600,1000 --lang=en-GB"
)
BOX = Box(0.25, 0.4, 0.5, 0.7)


@pytest.fixture(scope="module")
def browser(program, tmp_path_factory):
    options = Options()
    options.binary_location = program("chromium")
    for flag in FLAGS.split():
        options.add_argument(flag)
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('chromium')}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(program("chromedriver")))
    yield driver
    driver.quit()


@pytest.fixture
def city(tmp_path):
    made = City(tmp_path)
    made.beat()
    yield made
    made.close()


@pytest.fixture
def wall(city, browser):
    with serving(city.app()) as url:
        yield Wall(browser, url).opened()
        browser.get("about:blank")  # or its streams would outlive the server


class Wall:
    """The page as a person at it would use it."""

    def __init__(self, browser, url: str) -> None:
        self.browser = browser
        self.url = url

    def opened(self) -> Wall:
        self.browser.get(self.url)
        self.until("document.querySelector('#link.live') || document.querySelector('#login[open]')")
        self.browser.execute_script("window.neverReloaded = true")
        return self

    def ask(self, script: str):
        return self.browser.execute_script(f"return {script}")

    def until(self, script: str, within: float = 15):
        return WebDriverWait(self.browser, within, poll_frequency=0.05).until(
            lambda _: self.ask(script), f"{script}\n{self.ask('document.body.innerText')}"
        )

    def press(self, *keys: str) -> None:
        chain = ActionChains(self.browser)
        for key in keys:
            chain.send_keys(key)
        chain.perform()

    def rows(self) -> list[str]:
        return self.ask("[...document.querySelectorAll('.row')].map(row => row.dataset.case)")

    def text(self, selector: str) -> str:
        return self.ask(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''")

    def chosen(self) -> str:
        return self.ask("document.querySelector('.row[aria-selected=true]')?.dataset.case ?? ''")

    def see(self, id: str) -> None:
        self.until(f"document.querySelector('.row[data-case=\"{id}\"]')")

    def views(self, which: str) -> None:
        """Choose a picture or clip; at once, for what is drawn anew meanwhile cannot be clicked."""
        self.browser.execute_script(f"document.querySelector('#detail .views button:{which}').click()")

    def top_of(self, id: str) -> float:
        return self.ask(f"document.querySelector('.row[data-case=\"{id}\"]').getBoundingClientRect().top")


def drawn(width: int = 640, height: int = 480) -> bytes:
    picture = np.full((height, width, 3), 90, np.uint8)
    left, top, right, bottom = (int(v * s) for v, s in zip(BOX.as_list(), (width, height, width, height), strict=True))
    picture[top:bottom, left:right] = (40, 40, 220)
    return cv2.imencode(".jpg", picture)[1].tobytes()


def fresh(city: City, n: int, *, ago: float = 0, **more):
    """A case filed so many seconds ago, with a picture."""
    at = SystemClock().now() - timedelta(seconds=ago)
    ref = city.evidence.put("gd-0001", at, drawn())
    return case(n, at=at, evidence=(Evidence(ref, "gd-0001", at, "confirming", BOX),), **more)


def test_a_case_appears_by_itself_with_picture_place_and_latency(city, wall):
    assert wall.text("#none") == "No open cases."
    told = fresh(city, 1)
    city.file(told)
    wall.see(told.id)
    city.tell(event(posted(told), CaseEventType.DISPATCHED))
    wall.until("document.querySelector('.row .latency').innerText === 'posted in 0.9 s'")
    row = wall.text(".row")
    assert "Illegal parking" in row
    assert "Guanshang junction · kerb" in row
    assert "530111001001003" in row
    assert "dispatched" in row
    assert wall.ask("window.neverReloaded")


def test_the_box_lies_where_the_detector_saw_it(city, wall):
    for shape in ((640, 480), (1280, 720), (400, 900)):
        n = shape[0]
        at = SystemClock().now()
        ref = city.evidence.put("gd-0001", at, drawn(*shape))
        told = case(n, at=at, evidence=(Evidence(ref, "gd-0001", at, "confirming", BOX),))
        city.file(told)
        wall.until(f"document.querySelector('#detail[data-case=\"{told.id}\"] .fitted')")
        for within in ("#detail figure", f'.row[data-case="{told.id}"]'):
            image, box, frame = (
                wall.ask(
                    f"(r => [r.left, r.top, r.width, r.height])"
                    f"(document.querySelector({json.dumps(f'{within} {part}')}).getBoundingClientRect())"
                )
                for part in ("img", ".over", ".frame")
            )
            assert image[2] / image[3] == pytest.approx(shape[0] / shape[1], rel=0.02)
            assert frame[2] - image[2] > -1
            assert frame[3] - image[3] > -1
            found = [(box[0] - image[0]) / image[2], (box[1] - image[1]) / image[3]]
            found += [found[0] + box[2] / image[2], found[1] + box[3] / image[3]]
            assert found == pytest.approx(BOX.as_list(), abs=0.03)


def filmed(city: City, told, content: bytes):
    """The case once a clip of eleven seconds has come."""
    since_at, until_at = told.confirmed_at - timedelta(seconds=6), told.confirmed_at + timedelta(seconds=5)
    ref = city.evidence.put("gd-0001", since_at, content, EvidenceKind.CLIP)
    clip = Evidence(ref, "gd-0001", since_at, "around", until_at=until_at)
    return replace(told, evidence=(*told.evidence, clip), version=told.version + 1)


def test_a_clip_comes_after_the_case_and_plays_where_the_picture_was(city, wall):
    told = fresh(city, 1)
    city.file(told)
    wall.see(told.id)
    assert wall.ask("document.querySelectorAll('#detail .views').length") == 0
    told = filmed(city, told, in_mp4(footage()))
    city.tell(event(told, CaseEventType.STATUS, cause="filmed-fire_risk-1"))
    wall.until("document.querySelector('#detail .views .play')")
    assert wall.ask("document.querySelector('#detail figure video')") is None, "the picture stays until someone asks"
    assert wall.ask("document.querySelector('.row img').naturalWidth > 0"), "the list shows the picture"
    assert "11 s" in wall.text("#detail .views .play")
    wall.until("document.querySelector('#detail .timeline').innerText.includes('clip added')")
    wall.views("last-child")
    wall.until("document.querySelector('#detail figure video')?.currentTime > 0.3")
    video = "document.querySelector('#detail figure video')"
    assert wall.ask(f"[{video}.videoWidth, {video}.videoHeight, {video}.error]") == [320, 192, None]
    assert wall.ask(f"{video}.duration") == pytest.approx(12, abs=0.1)
    wall.browser.execute_script(f"{video}.currentTime = 11; window.shown = {video}")
    city.tell(event(replace(told, version=told.version + 1, judged="confirmed"), CaseEventType.STATUS))
    wall.until("document.querySelector('#detail .judged.confirmed')")
    assert wall.ask(f"{video} === window.shown && {video}.currentTime >= 11"), "a change of the case stops no clip"
    assert "before and after" in wall.text("#detail figcaption")
    wall.press("l")
    wall.until("document.querySelector('#detail figcaption').innerText.includes('前后经过')")
    assert "下载视频" in wall.text("#detail figcaption")
    wall.press("l")
    wall.views("first-child")
    wall.until("document.querySelector('#detail figure img')")
    complaints = [each for each in wall.browser.get_log("browser") if "Content Security" in each["message"]]
    assert complaints == []


@pytest.mark.parametrize(
    ("gone", "said"),
    [(False, "This browser cannot play the clip"), (True, "Clip no longer kept")],
    ids=["codec", "gone"],
)
def test_a_clip_that_this_browser_cannot_play_is_offered_and_one_that_is_gone_says_so(city, wall, gone, said):
    told = fresh(city, 1)
    told = filmed(city, told, b"\0\0\0\x20ftypisom and what no browser knows")
    if gone:
        (city.folder / "evidence" / "recent" / told.evidence[-1].ref).unlink()
    city.file(told)
    wall.see(told.id)
    wall.until("document.querySelector('#detail .views .play')")
    wall.views("last-child")
    wall.until(f"document.querySelector('#detail figure .frame').innerText.includes('{said}')")
    offered = wall.ask("document.querySelector('#detail figure .frame .download')?.getAttribute('href') ?? ''")
    assert offered == ("" if gone else f"/v1/evidence/{told.evidence[-1].ref}")


def test_the_newest_is_on_top_and_the_oldest_is_reached_by_page(city, browser):
    city.file(*(fresh(city, n, ago=1000 - n) for n in range(1, 131)))
    with serving(city.app()) as url:
        wall = Wall(browser, url).opened()
        wall.until("document.querySelectorAll('.row').length === 100")
        assert wall.rows()[0] == case(130).id
        browser.find_element(By.ID, "older").click()
        wall.until("document.querySelectorAll('.row').length === 130")
        assert wall.rows() == [case(n).id for n in range(130, 0, -1)]
        browser.get("about:blank")


def test_one_key_confirms_the_chosen_case(city, wall):
    city.file(fresh(city, 1, ago=60), fresh(city, 2, ago=30))
    wall.see(case(2).id)
    wall.see(case(1).id)
    with city.obeying():
        wall.press("j")
        assert wall.chosen() == case(1).id
        wall.press("c")
        wall.until(f"document.querySelector('.row[data-case=\"{case(1).id}\"] .judged.confirmed')")
    (act,) = city.acts
    assert (act.case, act.action, act.actor) == (case(1).id, CaseAction.CONFIRM, "operator")
    wall.until("document.querySelector('#detail .timeline').innerText.includes('updated')")


def test_rejecting_asks_for_a_reason_which_one_digit_gives(city, wall):
    city.file(fresh(city, 1, ago=60))
    wall.see(case(1).id)
    with city.obeying():
        wall.press("j", "r")
        wall.until("document.querySelector('#reject[open]')")
        wall.press("3")
        wall.until("document.querySelector('.row .badge.state-rejected')")
    (act,) = city.acts
    assert (act.action, act.reason) == (CaseAction.REJECT, "permitted")
    assert "Allowed here" in wall.text("#detail .facts")


def test_a_reason_in_ones_own_words_and_a_change_of_mind(city, wall):
    city.file(fresh(city, 1, ago=60))
    wall.see(case(1).id)
    with city.obeying():
        wall.press("j", "r")
        wall.until("document.querySelector('#reject[open]')")
        wall.press(Press.ESCAPE)
        wall.until("!document.querySelector('#reject[open]')")
        wall.press("r", "6")
        wall.until("document.querySelector('#reject .wrong').innerText !== ''")
        wall.press("a film crew", Press.ENTER)
        wall.until("document.querySelector('.row .badge.state-rejected')")
    (act,) = city.acts
    assert (act.reason, act.note) == ("other", "a film crew")


def test_a_key_pressed_as_a_new_case_takes_the_place_of_another_does_nothing(city, wall):
    city.file(fresh(city, 1))
    wall.see(case(1).id)
    city.file(fresh(city, 2))
    wall.until(f"document.querySelector('#detail').dataset.case === '{case(2).id}'")
    wall.press("c")
    assert "press again" in wall.text("#toast")
    assert city.commands() == []


def test_a_new_case_does_not_move_what_is_being_read(city, wall):
    city.file(*(fresh(city, n, ago=500 - n) for n in range(1, 20)))
    wall.until("document.querySelectorAll('.row').length === 19")
    wall.press("j", "j")
    chosen = wall.chosen()
    assert chosen == case(17).id
    before = wall.top_of(chosen)
    city.file(fresh(city, 50), fresh(city, 51))
    wall.until("document.querySelector('#newer').innerText.startsWith('2 new')")
    assert wall.top_of(chosen) == pytest.approx(before, abs=1.5)
    assert wall.chosen() == wall.ask("document.querySelector('#detail').dataset.case") == chosen
    wall.press("n")
    wall.until(f"document.querySelector('#detail').dataset.case === '{case(51).id}'")
    assert wall.ask("document.querySelector('#newer').hidden")


def test_everything_is_said_in_both_languages(city, wall):
    unseen_since = SystemClock().now() - timedelta(minutes=14)
    city.file(fresh(city, 1, unseen_since=unseen_since))
    city.hot.put("camera/gd-0002", dumps({"state": "refused", "reason": "wrong password", "reason_zh": "密码错误"}))
    seldom = {"state": "live", "staleness_s": 7.4, "patience_s": 2.0, "late": True}
    city.hot.put("camera/gd-0001", dumps(seldom))
    wall.see(case(1).id)
    wall.until("document.querySelector('#cameras').innerText.includes('refused · wrong password')")
    wall.until("document.querySelector('#cameras').innerText.includes('live · seen each 7 s instead of 2 s')")
    assert "unseen for 14 min" in wall.text(".row")
    wall.press("l")
    wall.until("document.querySelector('.row').innerText.includes('机动车乱停放')")
    page = wall.text("body")
    assert "已 14 分钟看不到" in page
    assert "关上中路口" in page
    wall.until("document.querySelector('#cameras').innerText.includes('拒绝连接 · 密码错误')")
    wall.until("document.querySelector('#cameras').innerText.includes('在线 · 每 7 秒查看一次，应为 2 秒')")
    assert wall.ask("document.documentElement.lang") == "zh-CN"
    wall.press("l")
    wall.until("document.querySelector('.row').innerText.includes('Illegal parking')")


def test_of_thousands_of_cameras_those_in_trouble_are_shown_and_any_cases_camera_has_its_name(tmp_path, browser):
    city = City(tmp_path, cameras=300)
    try:
        city.beat()
        city.hot.put("camera/gd-0250", dumps({"state": "lost", "reason": "unreachable", "reason_zh": "网络不可达"}))
        city.hot.put("configuration/api/0", dumps({"revision": "c0ffee", "refused_since": "2026-11-21T08:00:00.000Z"}))
        city.cameras[280] = camera(281, "老桥", "Old bridge")
        with serving(city.app()) as url:
            wall = Wall(browser, url).opened()
            wall.until("document.querySelector('#cameras li')?.dataset.camera === 'gd-0250'")
            assert wall.ask("document.querySelectorAll('#cameras li').length") == 41
            assert wall.text("#cameras .more") == "260 more"
            wall.until("document.querySelector('[data-figure=cameras]')?.innerText.includes('0/300')")
            assert "refused since" in wall.text("[data-figure=configuration]")
            told = fresh(city, 1, camera="gd-0281")
            city.file(told, fresh(city, 2, camera="gd-removed"))
            wall.until(
                f"document.querySelector('.row[data-case=\"{told.id}\"]')?.innerText.includes('Old bridge · kerb')"
            )
            wall.until("document.querySelector('#detail').innerText.includes('gd-removed')")
            wall.press("l")
            wall.until(f"document.querySelector('.row[data-case=\"{told.id}\"]')?.innerText.includes('老桥 · kerb')")
            wall.press("l")
            browser.get("about:blank")
    finally:
        city.close()


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


def test_more_than_ten_seconds_is_red(city, wall):
    told = fresh(city, 1)
    city.file(posted(told, after_ms=12_400))
    wall.see(told.id)
    assert wall.ask("document.querySelector('.row .ten.over') !== null")
    assert "over ten seconds" in wall.text(".row .latency.over")
    assert "posting 12.14 s" in wall.text("#detail .legend").replace("\n", " ")


def test_a_case_says_when_it_is_gone_overdue_or_on_trial(city, wall):
    now = SystemClock().now()
    told = fresh(city, 1, ago=60, trial=True, due_at=now - timedelta(minutes=5))
    city.file(replace(told, present=False, cleared_at=now - timedelta(minutes=3)))
    wall.see(told.id)
    row = wall.text(".row")
    assert "gone for 3 min" in row
    assert "trial" in row
    assert "not dispatched" in row
    assert "overdue by 5 min" in wall.text("#detail .facts")


def test_a_filter_restricts_what_is_shown_and_what_comes(city, wall):
    city.file(fresh(city, 1), fresh(city, 2, scene="fire_risk"), fresh(city, 3, state=CaseState.CLOSED))
    wall.see(case(2, scene="fire_risk").id)
    assert len(wall.rows()) == 2
    wall.browser.find_element(By.CSS_SELECTOR, "[data-filter=all]").click()
    wall.until("document.querySelectorAll('.row').length === 3")
    wall.browser.find_element(By.CSS_SELECTOR, "[data-filter=fire_risk]").click()
    wall.until("document.querySelectorAll('.row').length === 1")
    city.file(fresh(city, 4), fresh(city, 5, scene="fire_risk"))
    wall.see(case(5, scene="fire_risk").id)
    assert case(4).id not in wall.rows()


def test_with_keys_the_wall_asks_for_one_and_the_key_is_the_actor(city, browser):
    token = city.keys.add("li.wei", Role.OPERATOR)
    city.file(fresh(city, 1, ago=30))
    with serving(city.app()) as url, city.obeying():
        wall = Wall(browser, url).opened()
        wall.until("document.querySelector('#login[open]')")
        wall.press("cb_wrong", Press.ENTER)
        wall.until("document.querySelector('#login .wrong').innerText !== ''")
        wall.press(token, Press.ENTER)
        wall.see(case(1).id)
        wall.press("j", "c")
        wall.until("document.querySelector('.row .judged.confirmed')")
        assert token not in wall.ask(
            "document.documentElement.outerHTML + document.cookie + JSON.stringify(localStorage)"
        )
        browser.get("about:blank")
    assert [act.actor for act in city.acts] == ["li.wei"]


def test_a_phone_shows_the_list_then_the_case_without_scrolling_sideways(city, browser):
    city.file(*(fresh(city, n, ago=90 - n) for n in range(1, 4)))
    metrics = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        with serving(city.app()) as url:
            wall = Wall(browser, url).opened()
            wall.see(case(1).id)
            assert wall.ask("document.documentElement.scrollWidth") <= 390
            assert wall.ask("document.querySelector('.row').getBoundingClientRect().right") <= 390
            browser.find_element(By.CSS_SELECTOR, ".row").click()
            wall.until("document.querySelector('#detail').getBoundingClientRect().width > 300")
            assert wall.ask("document.documentElement.scrollWidth") <= 390
            browser.find_element(By.CSS_SELECTOR, ".back").click()
            wall.until("document.querySelector('.list').getBoundingClientRect().width > 300")
            browser.get("about:blank")
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_the_page_needs_nothing_from_elsewhere_and_runs_no_text_as_script(city, wall):
    nasty = "<img src=x onerror='window.pwned=1'>"
    city.file(fresh(city, 1, zone=nasty, note=nasty, unit=nasty))
    wall.see(case(1).id)
    wall.until("document.querySelector('#detail .facts').innerText.includes('onerror')")
    time.sleep(0.2)
    assert not wall.ask("window.pwned")
    origins = wall.ask("[...new Set(performance.getEntriesByType('resource').map(each => new URL(each.name).origin))]")
    assert origins == [wall.url]
    wall.browser.get(f"{wall.url}/docs#no-such-case")
    wall.until("document.querySelector('#no-such-case')")
    wall.until("document.body.innerText.includes('/v1/events/stream')")
    complaints = [each for each in wall.browser.get_log("browser") if "Content Security" in each["message"]]
    assert complaints == []


@pytest.mark.parametrize("path", [Path(__file__).parents[2] / "events_api" / "wall"], ids=["wall"])
def test_both_locales_say_the_same_things(path):
    zh, en = (json.loads((path / "locale" / f"{name}.json").read_text()) for name in ("zh", "en"))
    assert zh.keys() == en.keys()
    assert all(zh.values())
    assert all(en.values())
