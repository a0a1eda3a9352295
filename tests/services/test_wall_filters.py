"""Which cases the wall shows: by scene, state, severity, area and words; in its address, and kept for the person."""

from __future__ import annotations

from citybrain.domain.area import Area
from citybrain.domain.camera import Text
from citybrain.domain.case import CaseState
from tests.services.api_city import SCENES, case, serving
from tests.services.wall_page import Wall, fresh


def test_a_filter_restricts_what_is_shown_and_what_comes(city, wall):
    city.file(fresh(city, 1), fresh(city, 2, scene="fire_risk"), fresh(city, 3, state=CaseState.CLOSED))
    wall.see(case(2, scene="fire_risk").id)
    assert len(wall.rows()) == 2
    wall.click("[data-filter=all]")
    wall.lists(3)
    wall.click("[data-filter=fire_risk]")
    wall.lists(1)
    city.file(fresh(city, 4), fresh(city, 5, scene="fire_risk"))
    wall.see(case(5, scene="fire_risk").id)
    assert case(4).id not in wall.rows()


def test_state_severity_area_and_words_restrict_as_the_server_does(city, wall):
    north, south = "530111001001001", "530111002001001"
    city.file(
        fresh(city, 1, grid_cell=north),
        fresh(city, 2, grid_cell=south),
        fresh(city, 3, grid_cell=north, scene="waterlogging", unit="drainage"),
        fresh(city, 4, grid_cell=north, state=CaseState.CLOSED),
    )
    wall.lists(3)
    wall.press("/")
    wall.until("document.activeElement?.dataset.filter === 'words'")
    wall.press("DRAINAGE")
    wall.until("location.search.includes('q=DRAINAGE')")  # letters that come slowly are sought one by one
    wall.lists(1)
    assert wall.rows() == [case(3, scene="waterlogging").id]
    wall.click("[data-filter=clear]")
    wall.lists(3)
    wall.click("[data-filter=severity-high]")
    wall.lists(1)
    wall.click("[data-filter=severity-high]")
    wall.lists(3)
    wall.click("[data-filter=state-closed]")
    wall.see(case(4).id)
    wall.lists(1)
    assert wall.rows() == [case(4).id]
    city.file(fresh(city, 5), fresh(city, 6, state=CaseState.CLOSED))
    wall.see(case(6, state=CaseState.CLOSED).id)
    assert case(5).id not in wall.rows()


def test_a_filter_is_a_link_and_is_kept_for_the_person(city, browser):
    inside, outside = fresh(city, 1, grid_cell="530111002001001"), fresh(city, 2)
    city.file(inside, outside, fresh(city, 3, scene="fire_risk", grid_cell="530111002001002"))
    with serving(city.app()) as url:
        wall = Wall(browser, url).opened("/?area=530111002&scene=illegal_parking")
        wall.lists(1)
        assert wall.rows() == [inside.id]
        wall.opened()
        wall.lists(3)
        wall.until("document.querySelector('[data-filter=fire_risk]')")
        wall.click("[data-filter=fire_risk]")
        wall.lists(1)
        wall.opened()
        wall.lists(1)
        assert "scene=fire_risk" in wall.ask("location.search")
        browser.get("about:blank")


def test_an_area_of_the_city_is_chosen_by_its_name(city, browser):
    street = Area("530111002", Text("矣六街道", "Yiliu street"), "street")
    district = Area("530111", Text("官渡区", "Guandu district"), "district", areas=(street,))
    inside = fresh(city, 1, grid_cell="530111002001001")
    city.file(inside, fresh(city, 2))
    app = city.app()
    app.state.parts.registry.adopt(city.cameras, SCENES, areas=[district])
    with serving(app) as url:
        wall = Wall(browser, url).opened()
        wall.lists(2)
        wall.press("f")
        wall.until("document.querySelectorAll('select[data-filter=area] option').length === 3")
        assert "Yiliu street" in wall.text("select[data-filter=area]")
        chooser = "document.querySelector('select[data-filter=area]')"
        wall.do(f"{chooser}.value = '530111002'; {chooser}.dispatchEvent(new Event('change'))")
        wall.lists(1)
        assert wall.rows() == [inside.id]
        assert "area=530111002" in wall.ask("location.search")
        browser.get("about:blank")
