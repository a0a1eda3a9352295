"""The report of a day or week: as JSON, as a table for a spreadsheet, and on its page."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from typing import Any

import httpx
import pytest

from citybrain.clock import ManualClock
from citybrain.domain.area import Area
from citybrain.domain.camera import Text
from citybrain.domain.case import CaseState
from tests.services.api_city import START, City, case, serving
from tests.services.wall_page import Wall

HOUR = timedelta(hours=1)
DAY = "2026-11-21"
STREETS = tuple(Area(f"53011100{n}", Text(f"{n}街道", f"Street {n}"), "street") for n in (1, 2))
DISTRICT = Area("530111", Text("官渡区", "Guandu"), "district", areas=STREETS)


@pytest.fixture
def city(tmp_path):
    made = City(tmp_path, clock=ManualClock(START + 10 * HOUR))
    made.beat()
    done: dict[str, Any] = {"state": CaseState.CLOSED, "accepted_at": START + HOUR / 2, "done_at": START + HOUR}
    made.file(
        case(1, unit="parks", closed_at=START + HOUR, **done),
        case(2, unit="parks", grid_cell="530111002001001"),
        case(3, unit="=1+1", state=CaseState.REJECTED, closed_at=START + HOUR, judged="rejected"),
        case(4, unit="parks", at=START - timedelta(days=1)),
    )
    yield made
    made.close()


@pytest.fixture
def url(city):
    app = city.app()
    registry = app.state.parts.registry
    registry.adopt(registry.cameras.values(), registry.scenes, areas=[DISTRICT])
    with serving(app) as served:
        while city.store.cursor() < city.bus.end("case-events"):
            city.pipeline.wait(timedelta(milliseconds=20))
        yield served


def test_each_unit_of_the_day_has_its_rates(url):
    report = httpx.get(f"{url}/v1/performance", params={"of": DAY}).json()
    assert (report["since"], report["until"]) == ("2026-11-20T16:00:00.000Z", "2026-11-21T16:00:00.000Z")
    rows = {row["key"]: row for row in report["rows"]}
    assert set(rows) == {"parks", "=1+1"}
    parks = rows["parks"]
    assert (parks["counted"], parks["responded"], parks["on_time"], parks["overdue"]) == (2, 1, 1, 1)
    assert (parks["response_rate"], parks["on_time_rate"]) == (0.5, 0.5)
    assert rows["=1+1"]["on_time_rate"] is None
    assert report["total"]["filed"] == 3


def test_the_week_has_the_day_before_as_well(url):
    report = httpx.get(f"{url}/v1/performance", params={"of": DAY, "period": "week"}).json()
    assert report["total"]["filed"] == 4


def test_by_area_each_street_has_its_name(url):
    report = httpx.get(f"{url}/v1/performance", params={"of": DAY, "by": "area", "level": "street"}).json()
    found = [(row["key"], row["name"]["en"], row["filed"]) for row in report["rows"]]
    assert found == [("530111001", "Street 1", 2), ("530111002", "Street 2", 1)]


def test_a_spreadsheet_reads_the_same_figures_and_no_formula(url):
    answer = httpx.get(f"{url}/v1/performance.csv", params={"of": DAY})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert [row["unit"] for row in rows] == ["'=1+1", "parks", ""]
    assert [row["filed"] for row in rows] == ["1", "2", "3"]
    assert rows[0]["on_time_rate"] == ""


@pytest.mark.parametrize("wrong", [{"of": "2026-02-30"}, {"of": "0001-01-01"}, {"by": "colour"}, {"perod": "day"}])
def test_what_is_no_report_is_refused_by_name(url, wrong):
    problem = httpx.get(f"{url}/v1/performance", params=wrong)
    assert problem.status_code == 422
    assert problem.json()["errors"][0]["field"].endswith(next(iter(wrong)))


@pytest.mark.parametrize(("language", "unit", "all_"), [("en", "Unit", "all"), ("zh", "处置单位", "合计")])
def test_somebody_reads_the_week_by_unit_and_then_by_scene(url, browser, language, unit, all_):
    page = Wall(browser, url)
    browser.get(f"{url}/wall/icon.svg")
    page.do(f"localStorage.setItem('language', '{language}')")
    page.opened(f"/wall/performance.html?of={DAY}&period=week", ready="#table tfoot")
    assert page.ask("document.querySelector('#table thead th').innerText") == unit
    assert page.ask("document.querySelector('#table tfoot th').innerText") == all_
    assert page.ask("document.querySelector('tfoot [data-figure=filed]').innerText") == "4"
    assert page.ask("new URL(document.querySelector('#csv').href).search").endswith(f"period=week&of={DAY}&by=unit")
    page.do("const by = document.querySelector('[name=by]'); by.value = 'scene'; by.dispatchEvent(new Event('change'))")
    page.until("document.querySelector('#table tbody tr[data-key=illegal_parking]')")
    assert page.ask("location.search").endswith("by=scene")
    assert page.complaints() == []
