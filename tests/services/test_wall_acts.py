"""What one key does at the wall: confirm, reject, merge, undo, and whatever else can be done."""

from __future__ import annotations

from datetime import timedelta

from selenium.webdriver.common.keys import Keys as Press

from citybrain.clock import SystemClock
from citybrain.domain.case import CaseAction, CaseState
from events_api.security import Role
from tests.services.api_city import case, serving
from tests.services.wall_page import Wall, fresh


def test_one_key_confirms_the_chosen_case(city, wall):
    city.file(fresh(city, 1, ago=60), fresh(city, 2, ago=30))
    wall.see(case(1).id)
    wall.reads(case(2).id)
    with city.obeying():
        wall.press("j")
        assert wall.chosen() == case(1).id
        wall.press("c")
        wall.until(f"document.querySelector('.row[data-case=\"{case(1).id}\"] .judged.confirmed')")
    (act,) = city.acts
    assert (act.case, act.action, act.actor) == (case(1).id, CaseAction.CONFIRM, "operator")
    wall.says("#detail .timeline", "updated")


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
        wall.escape()
        wall.press("r", "6")
        wall.until("document.querySelector('#reject .wrong').innerText !== ''")
        wall.press("a film crew", Press.ENTER)
        wall.until("document.querySelector('.row .badge.state-rejected')")
    (act,) = city.acts
    assert (act.reason, act.note) == ("other", "a film crew")


def test_a_key_pressed_as_a_new_case_takes_the_place_of_another_does_nothing(city, wall):
    city.file(fresh(city, 1))
    wall.see(case(1).id)
    # By the page itself, for between two words of ours more time may pass than the wall takes a key for a slip.
    wall.do(
        "const detail = document.querySelector('#detail');"
        "const pressed = () => new KeyboardEvent('keydown', {key: 'c', bubbles: true, cancelable: true});"
        "new MutationObserver((_, watching) => {"
        f"  if (detail.dataset.case !== '{case(2).id}') return;"
        "  watching.disconnect();"
        "  document.body.dispatchEvent(pressed());"
        "}).observe(detail, {attributes: true, attributeFilter: ['data-case']})"
    )
    city.file(fresh(city, 2))
    wall.says("#toast", "press again")
    assert city.commands() == []


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


def test_merging_offers_the_open_cases_of_the_scene_the_nearest_first(city, wall):
    city.file(
        fresh(city, 1, ago=90),
        fresh(city, 2, ago=80, camera="gd-0002", location=(102.7511, 25.0142), place="gd-0002/kerb"),
        fresh(city, 3, ago=70, camera="gd-0003", location=(102.7421, 25.0142), place="gd-0003/kerb"),
        fresh(city, 4, ago=60, scene="waterlogging"),
        fresh(city, 5, ago=50, camera="gd-0003", state=CaseState.CLOSED),
    )
    wall.lists(4)
    wall.click(f'.row[data-case="{case(1).id}"]')
    with city.obeying():
        wall.press("m")
        wall.until("document.querySelector('#ask[open] .others')")
        offered = "[...document.querySelectorAll('#ask [data-other]')].map(each => each.dataset.other)"
        assert wall.ask(offered) == [case(3).id, case(2).id]
        assert "101 m" in wall.text("#ask")
        assert "1.0 km" in wall.text("#ask")
        wall.press("1")
        wall.until("document.querySelector('#detail .badge.state-closed')")
    (act,) = city.acts
    assert (act.case, act.action, act.into) == (case(1).id, CaseAction.MERGE, case(3).id)
    assert wall.ask(f"document.querySelector('#detail .facts a[href=\"/cases/{case(3).id}\"]') !== null")


def test_what_was_just_done_is_taken_back_by_one_key_while_the_wall_offers_it(city, wall):
    city.file(fresh(city, 1, ago=60), fresh(city, 2, ago=30))
    wall.reads(case(2).id)
    wall.lists(2)
    with city.obeying():
        wall.press("j", "r")
        wall.until("document.querySelector('#reject[open]')")
        wall.press("1")
        wall.until("document.querySelector('#toast .undo')")
        wall.press("k")
        assert wall.chosen() == case(2).id
        wall.press("z")
        wall.says("#toast", "taken back")
        wall.until(f"document.querySelector('.row[data-case=\"{case(1).id}\"] .badge.state-filed')")
    assert [(act.case, act.action) for act in city.acts] == [
        (case(1).id, CaseAction.REJECT),
        (case(1).id, CaseAction.UNDO),
    ]
    wall.press("z")
    wall.says("#toast", "nothing to take back")


def test_a_confirmation_can_be_taken_back_later_from_the_case(city, wall):
    city.file(fresh(city, 1, ago=60))
    wall.see(case(1).id)
    with city.obeying():
        wall.press("j", "c")
        wall.until("document.querySelector('#detail [data-action=undo]')")
        wall.until("document.querySelector('#toast .undo')")
        wall.click("#toast .undo")
        wall.until("!document.querySelector('#detail .judged')")
    assert [act.action for act in city.acts] == [CaseAction.CONFIRM, CaseAction.UNDO]


def test_everything_else_is_in_a_menu_that_digits_choose_from(city, wall):
    due_at = SystemClock().now() + timedelta(hours=2)
    city.file(fresh(city, 1, ago=60, due_at=due_at, unit="sanitation"))
    wall.see(case(1).id)
    with city.obeying():
        wall.press("j", "a")
        wall.until("document.querySelector('#ask[open] .reasons')")
        number = wall.ask(
            "[...document.querySelectorAll('#ask [data-choose]')].findIndex(x => x.dataset.choose === 'assign')"
        )
        wall.press(str(number + 1))
        wall.until("document.activeElement?.id === 'ask-unit'")
        wall.press(Press.ENTER)
        wall.says("#ask .wrong", "Unit is needed")
        wall.press("drainage", Press.ENTER)
        wall.says("#detail .facts", "drainage")
        wall.click("#detail [data-action=extend]")
        wall.until("document.querySelector('#ask[open] #ask-until')")
        wall.click("#ask [data-hours='24']")
        wall.do("document.querySelector('#ask-reason').focus()")
        wall.press("roadworks", Press.ENTER)
        wall.says("#detail .facts", "roadworks")
        wall.click("#detail [data-action=escalate]")
        wall.until("document.querySelector('#ask[open] #ask-reason')")
        wall.press(Press.ENTER)
        wall.says("#detail .facts", "Guanshang street")
    assigned, extended, escalated = city.acts
    assert (assigned.action, assigned.unit) == (CaseAction.ASSIGN, "drainage")
    assert extended.reason == "roadworks"
    assert extended.until - due_at < timedelta(hours=24, minutes=1)
    assert extended.until - due_at > timedelta(hours=23, minutes=58)
    assert escalated.action is CaseAction.ESCALATE
    wall.says("#detail .timeline", "drainage")


def test_who_may_only_look_is_offered_no_action(city, browser):
    token = city.keys.add("guest", Role.VIEWER)
    city.file(fresh(city, 1, ago=30))
    with serving(city.app()) as url:
        wall = Wall(browser, url).opened()
        wall.until("document.querySelector('#login[open]')")
        wall.press(token, Press.ENTER)
        wall.see(case(1).id)
        assert wall.ask("document.querySelectorAll('#detail [data-action]').length") == 0
        wall.press("j", "c")
        wall.says("#toast", "may look, not act")
        browser.get("about:blank")
    assert city.commands() == []


def test_whoever_works_in_chinese_is_asked_and_answered_in_chinese(city, wall):
    city.file(fresh(city, 1, ago=60), fresh(city, 2, ago=50, camera="gd-0002", place="gd-0002/kerb"))
    wall.lists(2)
    wall.press("l")
    wall.says(".row", "机动车乱停放")
    wall.click(f'.row[data-case="{case(1).id}"]')
    with city.obeying():
        wall.press("c")
        wall.says("#toast", "已确认")
        wall.says("#toast .undo", "撤销")
        wall.press("z")
        wall.says("#toast", "已撤销")
        wall.press("r")
        wall.says("#reject", "不予立案")
        wall.escape()
        wall.press("m")
        wall.says("#ask", "与哪个案件合并")
        wall.escape()
        wall.press("a")
        wall.says("#ask", "要做什么")
        wall.says("#ask", "改派其他单位")
        wall.escape()
    wall.press("f")
    wall.says("#filter-panel", "紧急程度")
    wall.click("#sound")
    wall.says("#help", "提示音")
    wall.press(Press.ESCAPE)
    left = wall.ask("[...document.body.innerText.matchAll(/\\b[a-z]+\\.[a-z_]+\\b/g)].map(each => each[0])")
    assert left == [], "every word has its translation"
    wall.press("l")
