"""Zones drawn, tried on the last hour and saved: by the API over a real folder that roles follow, and by hand in a real browser."""

from __future__ import annotations

import json
import shutil
import threading
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.actions.action_builder import ActionBuilder
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys as Press

from citybrain import assembly, watching
from citybrain.bus.local import LocalBus
from citybrain.clock import ManualClock, SystemClock
from citybrain.domain.camera import ZoneKind
from citybrain.domain.geometry import Box
from citybrain.rehearsing import LogRehearsal
from citybrain.watching import Watching, follow_beside
from citybrain.wire import DETECTIONS, write_detections
from citybrain.zone_files import ConfiguredZones
from events_api.drawing import DrawnZone
from tests.flows.street import START, Street, Thing
from tests.services.api_city import City, serving
from tests.services.test_wall_access import faults
from tests.services.wall_page import Wall, drawn
from tests.waiting import until

LEFT = [[0.05, 0.4], [0.5, 0.4], [0.5, 0.9], [0.05, 0.9]]
RIGHT = [[0.5, 0.4], [0.95, 0.4], [0.95, 0.9], [0.5, 0.9]]
CAMERAS = """\
# the market's cameras
cameras:
  - id: gd-0001   # by the gate
    name: {zh: 关上中路口, en: Guanshang junction}
    url: rtsp://127.0.0.1:9/sub
    grid_cell: "530111001001003"
    detector: city
    zones:
      # since March
      - {id: kerb, kind: no_parking, polygon: [[0.05, 0.4], [0.5, 0.4], [0.5, 0.9], [0.05, 0.9]]}
  - {id: gd-0002, name: two, url: "rtsp://127.0.0.1:9/two", detector: city}   # as it is
"""
HERE = "/v1/cameras/gd-0001/zones"
PARKED_LEFT, PARKED_RIGHT = Box(0.15, 0.5, 0.3, 0.65), Box(0.65, 0.5, 0.8, 0.65)


class Drawn(City):
    """A small city whose configuration is a real folder, followed by two roles, with half an hour of one street in its log."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.config = folder / "config"
        shutil.copytree("tests/configs/folders/good", self.config)
        (self.config / "routes.yaml").unlink()
        self.file_of_cameras = self.config / "cameras.yaml"
        self.file_of_cameras.write_text(CAMERAS)
        self.hot.put("picture/gd-0001", drawn())
        self.now = ManualClock(START)
        bus = LocalBus(folder / "citybrain.db", clock=self.now)
        street = Street([Thing(PARKED_LEFT, who=1), Thing(PARKED_RIGHT, who=2)], camera="gd-0001", evidence=True)
        for look in street.looks(every=10, until=1800):
            self.now.advance(look.captured_at - self.now.now())
            bus.publish(DETECTIONS, look.camera, write_detections(look))
        bus.close()
        self.zone_files = ConfiguredZones(
            self.config, before=folder / "before", clock=SystemClock(), read=assembly.read
        )
        self.rehearsal = LogRehearsal(folder / "citybrain.db", lambda: assembly.load(self.config), clock=self.now)
        self.cameras = list(assembly.load(self.config).views.values())
        self.beat()

    def app(self, **more):
        return super().app(zone_files=self.zone_files, rehearsal=self.rehearsal, **more)

    def following(self) -> list[threading.Event]:
        """Two roles that follow the folder as ingest and pipeline do; set the events to end them."""
        found = []
        for role in ("ingest", "pipeline"):
            eye = Watching(
                self.config, role=role, clock=SystemClock(), hot=self.hot, accepted=self.folder / f"{role}.pickle"
            )
            found.append(follow_beside(eye, lambda _: None))
        return found

    @property
    def text(self) -> str:
        return self.file_of_cameras.read_text()


@pytest.fixture
def city(tmp_path, monkeypatch):
    monkeypatch.setattr(watching, "EVERY_S", 0.1)
    made = Drawn(tmp_path)
    yield made
    made.close()


@pytest.fixture
def http(city):
    with serving(city.app()) as url, httpx.Client(base_url=url, timeout=90) as client:
        yield client


def zone(id: str = "kerb", polygon=LEFT, **more):
    return {"id": id, "kind": "no_parking", "polygon": polygon, **more}


def put(http, *zones, revision: str | None = None):
    revision = revision or http.get(HERE).json()["revision"]
    return http.put(HERE, json={"zones": list(zones)}, headers={"if-match": f'"{revision}"'})


def test_saved_zones_are_in_the_file_beside_everything_that_was_there(city, http):
    sheet = http.get(HERE)
    assert sheet.headers["etag"] == f'"{sheet.json()["revision"]}"'
    assert sheet.json()["zones"] == [{**zone(), "place": None, "surveyed": False}]
    answer = put(http, zone(), zone("lane", RIGHT, place="关上: 路口"))
    assert answer.status_code == 200
    assert answer.json()["configuration"] == assembly.load(city.config).revision
    east = "[[0.5, 0.4], [0.95, 0.4], [0.95, 0.9], [0.5, 0.9]]"
    added = f"      - {{id: lane, kind: no_parking, polygon: {east}, place: '关上: 路口'}}\n"
    assert city.text == CAMERAS.replace("[0.05, 0.9]]}\n", "[0.05, 0.9]]}\n" + added)


def test_the_running_roles_take_them_up_by_themselves(city, http):
    ends = city.following()

    def revisions() -> list[str]:
        return [each["revision"] for each in http.get("/v1/configuration").json()["items"]]

    try:
        revision = put(http, zone(polygon=RIGHT)).json()["configuration"]
        until(lambda: revisions() == [revision] * 2)
    finally:
        for end in ends:
            end.set()


def test_somebody_who_was_faster_is_not_written_over(city, http):
    before = http.get(HERE).json()["revision"]
    assert put(http, zone(polygon=RIGHT)).status_code == 200
    text = city.text
    late = put(http, zone(), revision=before)
    assert (late.status_code, late.json()["type"]) == (412, "/docs#zones-changed")
    assert late.json()["revision"] == http.get(HERE).json()["revision"]
    assert http.put(HERE, json={"zones": []}).json()["type"] == "/docs#revision-needed"
    assert city.text == text
    # What is said of other cameras meanwhile is in nobody's way.
    city.file_of_cameras.write_text(text.replace("name: two", "name: second"))
    assert put(http, zone(), revision=late.json()["revision"]).status_code == 200
    assert "name: second" in city.text


@pytest.mark.parametrize(
    ("zones", "field", "word"),
    [
        (
            [zone(polygon=[[0, 0], [1, 0.8], [1, 0], [0, 1]])],
            "zones.0.polygon",
            "kerb: a polygon's edges must not cross",
        ),
        (
            [zone(), zone("lane", [[0.1, 0.1], [0.2, 0.2], [0.3, 0.3]])],
            "zones.1.polygon",
            "lane: a polygon must enclose",
        ),
        ([zone(), zone()], "zones.1.id", "another zone"),
        ([zone(polygon=[[0, 0], [2, 0], [1, 1]])], "zones.0.polygon.1.0", "less than or equal to 1"),
        ([zone("two words")], "zones.0.id", "pattern"),
        ([zone(place="a\x00b")], "zones.0.place", "letters that can be seen"),
        ([zone(kind="pond")], "zones.0.kind", "no_parking"),
    ],
)
def test_what_is_no_zone_is_named_and_nothing_is_written(city, http, zones, field, word):
    for answer in (put(http, *zones), http.post(f"{HERE}/preview", json={"zones": zones})):
        assert answer.status_code == 422
        (fault,) = answer.json()["errors"]
        assert fault["field"] == field
        assert word in fault["message"]
    assert city.text == CAMERAS


def test_a_folder_with_faults_elsewhere_is_not_written_into(city, http):
    (city.config / "scenes/standing.yaml").write_text("id: [")
    answer = put(http, zone(polygon=RIGHT))
    assert (answer.status_code, answer.json()["type"]) == (422, "/docs#zones-refused")
    assert any(str(city.config / "scenes/standing.yaml") in each for each in answer.json()["faults"])
    assert city.text == CAMERAS
    assert sorted(path.name for path in city.config.iterdir()) == ["cameras.yaml", "codes", "detectors", "scenes"]


def test_a_folder_that_cannot_be_written_says_so(city, http):
    (city.config / ".cameras.yaml.arriving").mkdir()  # in the way, whoever the tests run as
    answer = put(http, zone(polygon=RIGHT))
    assert (answer.status_code, answer.json()["type"]) == (409, "/docs#zones-not-writable")
    assert "cameras.yaml cannot be written (Is a directory)" in answer.json()["detail"]
    assert city.text == CAMERAS


def test_a_file_that_a_machine_cannot_change_alone_says_so(city, http):
    shared = CAMERAS.replace("zones:", "zones: &all").replace("detector: city}", "detector: city, zones: *all}")
    city.file_of_cameras.write_text(shared)
    answer = put(http, zone(polygon=RIGHT))
    assert (answer.status_code, answer.json()["type"]) == (409, "/docs#zones-not-writable")
    assert city.text == shared


def test_the_file_as_it_was_is_kept_for_its_owner_and_its_mode_stays(city):
    city.file_of_cameras.chmod(0o640)
    files = ConfiguredZones(city.config, before=city.folder / "before", clock=SystemClock())  # read by another process
    moved = DrawnZone("kerb", ZoneKind.NO_PARKING, tuple((x, y) for x, y in RIGHT))
    before = files.sheet("gd-0001")
    assert before is not None
    sheet, revision = files.write("gd-0001", [moved], revision=before.revision)
    assert (sheet.zones, revision) == ([moved], assembly.load(city.config).revision)
    (kept,) = (city.folder / "before").glob("*.yaml")
    assert kept.read_text() == CAMERAS
    assert kept.stat().st_mode & 0o777 == 0o600
    assert city.file_of_cameras.stat().st_mode & 0o777 == 0o640
    # The same once more is no change: nothing is written, nothing is kept.
    files.write("gd-0001", [moved], revision=sheet.revision)
    assert len(list((city.folder / "before").glob("*.yaml"))) == 1


def test_what_was_surveyed_lies_where_it_lay_when_its_corners_are_drawn_anew(city, http):
    ground = [[102.0, 25.0], [102.001, 25.0], [102.001, 24.999], [102.0, 24.999]]
    square = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]
    city.file_of_cameras.write_text(
        CAMERAS.replace(f"polygon: {json.dumps(LEFT)}", f"polygon: {square}, ground: {ground}")
    )
    assert http.get(HERE).json()["zones"][0]["surveyed"]
    half = [[0.0, 0.0], [0.5, 0.0], [0.5, 1.0], [0.0, 1.0]]
    assert put(http, zone(polygon=half)).json()["zones"][0]["surveyed"]
    assert "ground: [[102.0, 25.0], [102.0005, 25.0], [102.0005, 24.999], [102.0, 24.999]]" in city.text


def test_the_last_hour_says_what_other_zones_would_have_given(city, http):
    def tried(*zones):
        answer = http.post(f"{HERE}/preview", json={"zones": list(zones)}).json()
        assert answer["looks"] == 180
        where = {each["change"]: "west" if each["box"][0] < 0.5 else "east" for each in answer["cases"]}
        return {
            change: (side, *(each["zone"] for each in answer["cases"] if each["change"] == change))
            for change, side in where.items()
        }

    assert tried(zone()) == {"kept": ("west", "kerb")}
    assert tried(zone(polygon=RIGHT)) == {"gained": ("east", "kerb"), "lost": ("west", "kerb")}
    assert tried(zone(), zone("other", RIGHT)) == {"gained": ("east", "other"), "kept": ("west", "kerb")}
    assert tried() == {"lost": ("west", "kerb")}
    assert city.text == CAMERAS
    other = http.post("/v1/cameras/gd-0002/zones/preview", json={"zones": [zone()]}).json()
    assert (other["looks"], other["cases"]) == (0, [])


def test_one_rehearsal_runs_at_a_time_and_none_for_ever(city):
    city.rehearsal = LogRehearsal(
        city.folder / "citybrain.db",
        lambda: assembly.load(city.config),
        clock=city.now,
        limit=timedelta(milliseconds=1),
    )
    with serving(city.app()) as url:
        answer = httpx.post(f"{url}{HERE}/preview", json={"zones": []}, timeout=30)
        assert (answer.status_code, answer.json()["type"]) == (503, "/docs#rehearsal-too-long")
    city.rehearsal = LogRehearsal(city.folder / "citybrain.db", lambda: assembly.load(city.config), clock=city.now)
    inside = city.rehearsal._one  # as a rehearsal under way holds it
    with serving(city.app()) as url, inside:
        answer = httpx.post(f"{url}{HERE}/preview", json={"zones": []}, timeout=30)
        assert (answer.status_code, answer.json()["type"]) == (503, "/docs#rehearsal-busy")
        assert answer.headers["retry-after"] == "5"


# -- by hand ----------------------------------------------------------------------------------------------------------


class Editor(Wall):
    """The page as an engineer uses it. Places are 0..1 of the picture."""

    def come(self, *, language: str = "en", theme: str = "auto") -> Editor:
        self.browser.get(f"{self.url}/wall/icon.svg")
        self.do(f"localStorage.setItem('theme', '{theme}')")
        self.do(f"localStorage.setItem('language', '{language}')")
        self.opened("/wall/zones.html?camera=gd-0001", ready="body[data-ready] .point")
        self.until("document.querySelector('#board img').naturalWidth === 640")
        return self

    def spot(self, x: float, y: float) -> tuple[int, int]:
        frame = self.ask("document.querySelector('#board').getBoundingClientRect().toJSON()")
        return round(frame["left"] + x * frame["width"]), round(frame["top"] + y * frame["height"])

    def drag(self, since: tuple[float, float], to: tuple[float, float]) -> None:
        actions = ActionBuilder(self.browser)
        actions.pointer_action.move_to_location(*self.spot(*since)).pointer_down()
        actions.pointer_action.move_to_location(*self.spot(*to)).pointer_up()
        actions.perform()

    def press_at(self, x: float, y: float) -> None:
        actions = ActionBuilder(self.browser)
        actions.pointer_action.move_to_location(*self.spot(x, y)).pointer_down().pointer_up()
        actions.perform()

    def points(self, n: int = 0) -> list[tuple[float, float]]:
        """The corners of a zone as they are drawn, in hundredths."""
        said = self.ask(f"document.querySelectorAll('#board .line')[{n}].getAttribute('points')")
        pairs = (pair.split(",") for pair in said.split())
        return [(round(float(x) / 10), round(float(y) / 10)) for x, y in pairs]


@pytest.fixture
def editor(city, browser):
    ends = city.following()
    with serving(city.app()) as url:
        yield Editor(browser, url)
        browser.execute_script("window.onbeforeunload = null")
        browser.get("about:blank")
    for end in ends:
        end.set()


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_zone_is_moved_by_hand_tried_and_saved_and_is_in_force(city, editor, language):
    page = editor.come(language=language)
    assert page.points() == [(5, 40), (50, 40), (50, 90), (5, 90)]
    page.drag((0.05, 0.4), (0.6, 0.4))
    page.drag((0.05, 0.9), (0.6, 0.995))
    page.drag((0.5, 0.4), (0.95, 0.4))
    page.drag((0.5, 0.9), (0.95, 0.9))
    assert page.points() == [(60, 40), (95, 40), (95, 90), (60, 100)], "near the picture's edge it snaps to it"
    page.click("#preview")
    page.until("document.querySelectorAll('#told .case').length === 2", within=30)
    assert page.ask("[...document.querySelectorAll('#told .case')].map(each => each.dataset.change).sort()") == [
        "gained",
        "lost",
    ]
    said = {"en": "Cases more: 1, fewer: 1, the same: 0.", "zh": "多 1 件，少 1 件，不变 0 件。"}
    assert page.text("[data-told]") == said[language]
    page.click("#save")
    page.until("document.querySelector('#state.good')", within=30)
    assert "# since March" in city.text
    assert "polygon: [[0.6" in city.text
    assert assembly.load(city.config).views["gd-0001"].zones[0].polygon.points[3][1] == 1.0
    assert page.ask("document.querySelector('#save').disabled")
    assert page.complaints() == []


def test_a_new_zone_is_drawn_corner_by_corner_undone_and_redone(city, editor):
    page = editor.come()
    page.click("#new")
    for x, y in ((0.6, 0.1), (0.9, 0.1), (0.9, 0.3), (0.6, 0.3)):
        page.press_at(x, y)
    page.press_at(0.6, 0.1)  # on the first again: closed
    page.until("document.querySelectorAll('#zones .zone').length === 2")
    assert page.points(1) == [(60, 10), (90, 10), (90, 30), (60, 30)]
    name = page.browser.find_element(By.CSS_SELECTOR, "[data-field='id-1']")
    name.send_keys(Press.CONTROL + "a" + Press.NULL + "crossing", Press.TAB)
    assert page.ask("document.activeElement.dataset.field") == "kind-1"
    page.do("document.querySelector('[data-field=kind-1]').value = 'roadway'")
    page.do("document.querySelector('[data-field=kind-1]').dispatchEvent(new Event('change'))")
    page.until("document.querySelector('.zone.roadway')")
    page.do("document.activeElement.blur()")
    ActionChains(page.browser).key_down(Press.CONTROL).send_keys("z").key_up(Press.CONTROL).perform()
    page.until("!document.querySelector('.zone.roadway')")
    page.click("#redo")
    page.until("document.querySelector('.zone.roadway')")
    page.click("#save")
    page.until("document.querySelector('#state.good')", within=30)
    assert "- {id: crossing, kind: roadway, polygon: [[0.6" in city.text


def test_edges_that_cross_are_shown_where_and_cannot_be_saved(city, editor):
    page = editor.come()
    page.drag((0.05, 0.4), (0.9, 0.65))
    page.until("document.querySelector('#board .cross')")
    assert "Its edges cross at 50.0 % from the left" in page.text(".zone .wrong")
    left = page.ask("parseFloat(document.querySelector('#board .cross').style.left)")
    assert round(left) == 50
    assert page.ask("document.querySelector('#save').disabled && document.querySelector('#preview').disabled")
    page.click("#undo")
    page.until("!document.querySelector('#board .cross')")
    assert city.text == CAMERAS


def test_a_zone_is_drawn_with_keys_alone_and_each_step_is_spoken(city, editor):
    page = editor.come()
    page.do("document.querySelector('[data-point=\"0\"]').focus()")
    assert page.ask("document.activeElement.getAttribute('aria-label')") == (
        "kerb, corner 1 of 4: 5.0 % from the left, 40.0 % from the top"
    )
    page.press(Press.ARROW_RIGHT, Press.ARROW_RIGHT, Press.ARROW_UP)
    page.until("document.querySelector('#spoken').innerText === '6.0 % from the left, 39.5 % from the top'")
    page.press("+")
    page.until("document.querySelectorAll('.point').length === 5")
    assert page.ask("document.activeElement.dataset.point") == "1"
    page.press(Press.DELETE, Press.DELETE)
    page.until("document.querySelectorAll('.point').length === 3")
    page.press(Press.DELETE)
    page.until("document.querySelector('#state').innerText === 'A zone needs three corners.'")
    page.click("#save")
    page.until("document.querySelector('#state.good')", within=30)
    assert len(assembly.load(city.config).views["gd-0001"].zones[0].polygon.points) == 3


def test_a_camera_that_somebody_changed_meanwhile_is_loaded_anew(city, editor):
    page = editor.come()
    page.drag((0.05, 0.4), (0.1, 0.4))
    city.file_of_cameras.write_text(CAMERAS.replace("[0.05, 0.9]]", "[0.2, 0.9]]"))
    page.click("#save")
    page.until("document.querySelector('#reload')")
    page.click("#reload")
    page.until("!document.querySelector('#reload')")
    assert page.points()[3] == (20, 90)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_editor_is_for_everyone(city, editor, theme):
    page = editor.come(theme=theme)
    page.click("#preview")
    page.until("document.querySelector('#told .case')", within=30)
    assert faults(page) == []
    page.drag((0.05, 0.4), (0.9, 0.65))
    page.until("document.querySelector('#board .cross')")
    assert faults(page) == []
