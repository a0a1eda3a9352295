"""The wall in a real browser against a real server: what operators see, and that it never moves under their eyes."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from citybrain.clock import SystemClock
from citybrain.domain.case import CaseEventType
from citybrain.domain.episode import Evidence, EvidenceKind
from citybrain.wire import dumps
from ingest.remux import in_mp4
from tests.services.api_city import City, camera, case, event, posted, serving
from tests.services.wall_page import BOX, Wall, drawn, fresh
from tests.unit.ingest.footage import footage

WALL = Path(__file__).parents[2] / "events_api" / "wall"


def test_a_case_appears_by_itself_with_picture_place_and_latency(city, wall):
    assert wall.text("#none") == "No open cases."
    told = fresh(city, 1)
    city.file(told)
    wall.see(told.id)
    city.tell(event(posted(told), CaseEventType.DISPATCHED))
    wall.until("document.querySelector('.row .latency').innerText === 'posted in 0.9 s'")
    wall.says(".row", "Guanshang junction · kerb")
    row = wall.text(".row")
    assert "Illegal parking" in row
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
        wall.until(f"document.querySelector('#detail[data-case=\"{told.id}\"] figure .fitted')")
        wall.until(f"document.querySelector('.row[data-case=\"{told.id}\"] .fitted')")
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
    wall.until("document.querySelector('.row img')?.naturalWidth > 0")  # the list shows the picture
    assert "11 s" in wall.text("#detail .views .play")
    wall.says("#detail .timeline", "clip added")
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
    wall.says("#detail figcaption", "前后经过")
    assert "下载视频" in wall.text("#detail figcaption")
    wall.press("l")
    wall.views("first-child")
    wall.until("document.querySelector('#detail figure img')")
    assert wall.complaints() == []


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


def test_a_new_case_does_not_move_what_is_being_read(city, wall):
    city.file(*(fresh(city, n, ago=500 - n) for n in range(1, 20)))
    wall.lists(19)
    wall.reads(case(19).id)
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
    unseen_since = SystemClock().now() - timedelta(minutes=13, seconds=35)  # it is said rounded, until 14:30
    city.file(fresh(city, 1, unseen_since=unseen_since))
    city.hot.put("camera/gd-0002", dumps({"state": "refused", "reason": "wrong password", "reason_zh": "密码错误"}))
    seldom = {"state": "live", "staleness_s": 7.4, "patience_s": 2.0, "late": True}
    city.hot.put("camera/gd-0001", dumps(seldom))
    wall.see(case(1).id)
    wall.says("#cameras", "refused · wrong password")
    wall.says("#cameras", "live · seen each 7 s instead of 2 s")
    assert "unseen for 14 min" in wall.text(".row")
    wall.press("l")
    wall.says(".row", "机动车乱停放")
    page = wall.text("body")
    assert "已 14 分钟看不到" in page
    assert "关上中路口" in page
    wall.says("#cameras", "拒绝连接 · 密码错误")
    wall.says("#cameras", "在线 · 每 7 秒查看一次，应为 2 秒")
    assert wall.ask("document.documentElement.lang") == "zh-CN"
    wall.press("l")
    wall.says(".row", "Illegal parking")


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
            wall.says("#detail", "gd-removed")
            wall.press("l")
            wall.until(f"document.querySelector('.row[data-case=\"{told.id}\"]')?.innerText.includes('老桥 · kerb')")
            wall.press("l")
            browser.get("about:blank")
    finally:
        city.close()


def test_more_than_ten_seconds_is_red(city, wall):
    told = fresh(city, 1)
    city.file(posted(told, after_ms=12_400))
    wall.see(told.id)
    assert wall.ask("document.querySelector('.row .ten.over') !== null")
    assert "over ten seconds" in wall.text(".row .latency.over")
    wall.until("document.querySelector('#detail .legend')?.innerText.replace('\\n', ' ').includes('posting 12.14 s')")


def test_a_case_says_when_it_is_gone_overdue_or_on_trial(city, wall):
    now = SystemClock().now()
    told = fresh(city, 1, ago=60, trial=True, due_at=now - timedelta(minutes=5))
    city.file(replace(told, present=False, cleared_at=now - timedelta(minutes=3)))
    wall.see(told.id)
    row = wall.text(".row")
    assert "gone for 3 min" in row
    assert "trial" in row
    assert "not dispatched" in row
    wall.says("#detail .facts", "overdue by 5 min")


def test_the_page_needs_nothing_from_elsewhere_and_runs_no_text_as_script(city, wall):
    nasty = "<img src=x onerror='window.pwned=1'>"
    city.file(fresh(city, 1, zone=nasty, note=nasty, unit=nasty))
    wall.see(case(1).id)
    wall.says("#detail .facts", "onerror")
    time.sleep(0.2)
    assert not wall.ask("window.pwned")
    origins = wall.ask("[...new Set(performance.getEntriesByType('resource').map(each => new URL(each.name).origin))]")
    assert origins == [wall.url]
    wall.browser.get(f"{wall.url}/docs#no-such-case")
    wall.until("document.querySelector('#no-such-case')")
    wall.until("document.body.innerText.includes('/v1/events/stream')")
    assert wall.complaints() == []


def test_both_locales_say_the_same_things():
    zh, en = (json.loads((WALL / "locale" / f"{name}.json").read_text()) for name in ("zh", "en"))
    assert zh.keys() == en.keys()
    assert all(zh.values())
    assert all(en.values())


def test_the_menu_leads_to_pages_that_are_there(city, wall):
    wall.until("document.querySelectorAll('#pages nav a').length > 3")
    wall.click("#pages summary")
    links = wall.ask(
        "[...document.querySelectorAll('#pages nav a')].map(each => [each.getAttribute('href'), each.innerText])"
    )
    assert all(name and "." not in name for _, name in links)
    for path, name in links:
        answer = httpx.get(wall.url + path, timeout=30)
        assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, "text/html"), name
