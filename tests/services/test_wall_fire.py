"""A fire waits for somebody to judge it: thirty seconds on the clock of the city, and a tone that comes again."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

from citybrain.clock import ManualClock, SystemClock
from tests.services.api_city import City, case, serving
from tests.services.wall_page import Wall, fresh

HEARD = "window.heard"
LISTEN = "window.heard = []; document.addEventListener('rang', each => heard.push([each.detail, performance.now()]))"


def fire(city: City, n: int, *, ago: float = 0, **more):
    return fresh(city, n, ago=ago, scene="fire_risk", **more)


def test_a_fire_counts_down_until_somebody_judges_it_and_is_red_when_nobody_did(city, wall):
    city.file(fire(city, 1, ago=8), fire(city, 2, ago=83), fresh(city, 3))
    wall.see(case(2, scene="fire_risk").id)
    wall.lists(3)
    young, old, other = (
        f'.row[data-case="{id}"] .countdown'
        for id in (case(1, scene="fire_risk").id, case(2, scene="fire_risk").id, case(3).id)
    )
    wall.until(f"/^judge within (1[0-9]|2[0-2]) s$/.test(document.querySelector('{young}')?.innerText)")
    wall.until(f"/^not judged for 1:[23][0-9]$/.test(document.querySelector('{old}')?.innerText)")
    assert wall.ask(f"document.querySelector('{old}').classList.contains('late')")
    assert not wall.ask(f"document.querySelector('{young}').classList.contains('late')")
    assert wall.ask(f"document.querySelector('{other}')") is None
    wall.click(f'.row[data-case="{case(2, scene="fire_risk").id}"]')
    assert wall.text("#detail .countdown").startswith("not judged for 1:")
    with city.obeying():
        wall.press("c")
        wall.until(f"document.querySelector('{old}') === null && document.querySelector('#detail .judged')")
    assert wall.ask("document.querySelector('#detail .countdown')") is None
    wall.press("l")
    wall.until(f"/请在|未研判/.test(document.querySelector('{young}').innerText)")
    wall.press("l")


def test_the_countdown_goes_by_the_servers_clock(tmp_path, browser):
    clock = ManualClock(SystemClock().now() - timedelta(hours=3))
    city = City(tmp_path, clock=clock)
    try:
        city.beat()
        city.file(fire(city, 1, at=clock.now() - timedelta(seconds=12)))
        with serving(city.app()) as url:
            wall = Wall(browser, url).opened()
            # The city's time stands still, and the page asks for it each four seconds.
            wall.until("/^judge within (1[5-8]) s$/.test(document.querySelector('.row .countdown')?.innerText)")
            wall.until("/1[23] s ago/.test(document.querySelector('.row .when').innerText)")
            browser.get("about:blank")
    finally:
        city.close()


def test_sound_is_off_until_someone_allows_it_and_is_kept_for_them(city, wall):
    wall.do(LISTEN)
    assert wall.text("#sound") == "sound off"
    city.file(fire(city, 1))
    wall.see(case(1, scene="fire_risk").id)
    assert wall.ask(f"{HEARD}.length") == 0
    wall.press("s")
    wall.until("document.querySelector('#sound').innerText === 'sound on'")
    city.file(fresh(city, 2))
    wall.until(f"{HEARD}.some(([severity]) => severity === 'normal')")
    wall.until(f"{HEARD}.some(([severity]) => severity === 'critical')")
    wall.opened()
    wall.until("document.querySelector('#sound').innerText !== 'sound off'")
    wall.press("s")
    wall.until("document.querySelector('#sound').innerText === 'sound off'")


def test_never_more_than_one_tone_a_second_and_the_gravest_is_heard(city, wall):
    wall.do(LISTEN)
    wall.press("s")
    wall.until("document.querySelector('#sound').innerText === 'sound on'")
    city.file(*(fresh(city, n) for n in range(1, 9)))
    city.file(*(fresh(city, n, scene="waterlogging") for n in range(11, 14)))
    wall.until(f"{HEARD}.some(([severity]) => severity === 'high')")
    city.file(*(fresh(city, n) for n in range(20, 30)))
    wall.until(f"{HEARD}.length >= 3")
    times = wall.ask(f"{HEARD}.map(([, at]) => at)")
    assert min(later - earlier for earlier, later in pairwise(times)) >= 999
    wall.press("s")


def test_each_severity_and_the_volume_can_be_chosen(city, wall):
    wall.do(LISTEN)
    wall.click("#sound")
    wall.until("document.querySelector('#help[open] [data-sound=volume]')")
    wall.click("[data-sound=on]")
    wall.click("[data-sound=normal]")
    wall.until("document.querySelector('#sound').innerText !== 'sound off'")
    wall.do("document.querySelector('#help').close()")
    wall.until(
        "!document.activeElement.closest('dialog')"
    )  # a key pressed before that would go to what is no longer shown
    wall.press("?")
    wall.until("document.querySelector('#sound').innerText === 'sound on'")
    wall.do("document.querySelector('#help').close()")
    city.file(fresh(city, 1))
    wall.see(case(1).id)
    city.file(fresh(city, 2, scene="waterlogging"))
    wall.until(f"{HEARD}.length > 0")
    assert wall.ask(f"{HEARD}.map(([severity]) => severity)") == ["high"]
    wall.press("s")
