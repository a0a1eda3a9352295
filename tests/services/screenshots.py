"""The pictures of the wall in docs/images, taken anew from a small made-up evening of the demo's city.

python -m tests.services.screenshots [NAME …]
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from base64 import b64decode
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import cv2

from citybrain.clock import SystemClock, iso
from citybrain.demo.footage_picture import boxes_at, compose
from citybrain.demo.footage_timeline import load
from citybrain.domain.camera import Camera, Text
from citybrain.domain.case import Case, CaseEventType, CaseState, Light, Origin, Report
from citybrain.domain.episode import Evidence
from citybrain.domain.geometry import Box
from citybrain.wire import dumps
from tests.services.api_city import City, camera, case, event, posted, serving
from tests.services.wall_page import Wall, chromium

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "docs" / "images"
TIMELINES = ROOT / "configs" / "demo" / "footage"
MOST_BYTES = 200_000
NAMES = {
    "kerb-a": Text("关上路东侧", "Guanshang Road, east"),
    "kerb-b": Text("关上路西侧", "Guanshang Road, west"),
    "flood": Text("关兴下穿隧道", "Guanxing underpass"),
    "fire": Text("金马后街", "Jinma back street"),
    "stalls": Text("关中菜市场", "Guanzhong market"),
    "dark": Text("永丰路", "Yongfeng Road"),
}


class Evening:
    """What happened until now; each camera shows the second of its clip that a case needs."""

    def __init__(self, city: City) -> None:
        self.city = city
        self.now = SystemClock().now()
        self._n = 0
        city.cameras[:] = [self._camera(n, id) for n, id in enumerate(NAMES, start=1)]

    def happen(self) -> None:
        self._look()
        done = self.case("illegal_parking", "kerb-a", 60, ago=5400, label="car")
        after = self.picture("kerb-a", 190, self.now - timedelta(minutes=40), role="after")
        gone = replace(
            posted(done),
            state=CaseState.CLOSED,
            version=5,
            unit="Guanshang traffic order",
            accepted_at=done.filed_at + timedelta(minutes=4),
            done_at=self.now - timedelta(minutes=42),
            verified_at=self.now - timedelta(minutes=40),
            closed_at=self.now - timedelta(minutes=40),
            evidence=(*done.evidence, self.picture("kerb-b", 60, done.filed_at), after),
            cameras=("kerb-a", "kerb-b"),
        )
        taken = replace(
            gone, version=3, state=CaseState.HANDLING, verified_at=None, done_at=None, evidence=done.evidence
        )
        steps = [
            event(posted(done), CaseEventType.DISPATCHED),
            event(taken, CaseEventType.STATUS),
            event(replace(taken, version=4, state=CaseState.VERIFYING, done_at=gone.done_at), CaseEventType.STATUS),
            event(gone, CaseEventType.VERIFIED),
        ]
        self.city.file(done)
        self.city.tell(*(replace(each, at=done.filed_at + timedelta(minutes=n * 9)) for n, each in enumerate(steps)))
        self.closed = gone
        self.told(self.case("street_stall", "stalls", 60, ago=2700, label="stall", judged="confirmed", trial=True))
        self.told(
            self.case(
                "illegal_parking", "dark", 60, ago=1500, label="car", unseen_since=self.now - timedelta(minutes=14)
            )
        )
        self.told(
            self.case("waterlogging", "flood", 100, ago=780, label="water", light=Light.YELLOW, judged="confirmed")
        )
        self.city.file(
            case(
                70,
                scene="waterlogging",
                at=self.now - timedelta(seconds=240),
                cameras=(),
                zone="",
                evidence=(),
                stamps={},
                origin=Origin.HOTLINE,
                location=(102.7423, 25.0148),
                reports=(
                    Report(
                        "r1", Origin.HOTLINE, self.now, "隧道口积水，电动车过不去", "12345-2611", (102.7423, 25.0148)
                    ),
                ),
            )
        )
        self.told(self.case("illegal_parking", "kerb-b", 60, ago=95, label="car", recurrence_of=done.id))
        self.fire = self.case("fire_risk", "fire", 60, ago=12, label="fire")
        self.told(self.fire)

    def told(self, told: Case) -> None:
        self.city.file(told)
        self.city.tell(event(replace(posted(told), light=told.light), CaseEventType.DISPATCHED))

    def case(self, scene: str, camera: str, second: float, *, ago: float, label: str, **more) -> Case:
        self._n += 1
        at = self.now - timedelta(seconds=ago)
        shown = self.picture(camera, second, at, label=label)
        return case(self._n, scene=scene, at=at, camera=camera, label=label, evidence=(shown,), **more)

    def picture(
        self, camera: str, second: float, at, *, label: str | None = None, role: str = "confirming"
    ) -> Evidence:
        timeline = load(TIMELINES / f"{camera}.yaml")
        jpeg = cv2.imencode(".jpg", compose(timeline, at=second))[1].tobytes()
        boxes = [box for seen, box in boxes_at(timeline, second) if seen == label]
        return Evidence(self.city.evidence.put(camera, at, jpeg), camera, at, role, Box(*boxes[0]) if boxes else None)

    def _look(self) -> None:
        for each in self.city.cameras:
            jpeg = cv2.imencode(".jpg", compose(load(TIMELINES / f"{each.id}.yaml"), at=5))[1].tobytes()
            self.city.hot.put(f"picture/{each.id}", jpeg)
            self.city.hot.put(
                f"camera/{each.id}", dumps({"state": "live", "at": iso(self.now), "last_look_at": iso(self.now)})
            )
        self.city.beat("ingest")
        self.city.beat()

    @staticmethod
    def _camera(n: int, id: str) -> Camera:
        return replace(camera(n), id=id, name=NAMES[id], location=(102.7411 + n / 900, 25.0142 + n / 1300))


def wall(page: Wall, evening: Evening) -> None:
    page.screen(1600, 900)
    page.opened("/?open=false")
    page.reads(evening.fire.id)


def case_page(page: Wall, evening: Evening) -> None:
    page.screen(1100, 1500)
    page.opened(f"/cases/{evening.closed.id}", ready="#case[data-version]")
    page.until("document.querySelectorAll('.pair .fitted').length === 2")


def kiosk(page: Wall, evening: Evening) -> None:
    page.screen(1600, 900)
    page.opened("/?kiosk")
    page.until(f"document.querySelector('#shown').dataset.case === '{evening.fire.id}'")
    page.until("document.querySelector('#counts dd')")


def phone(page: Wall, evening: Evening) -> None:
    page.screen(390, 780, mobile=True)
    page.opened("/?open=true")
    page.see(evening.fire.id)


SHOWN: dict[str, Callable[[Wall, Evening], None]] = {"wall": wall, "case": case_page, "kiosk": kiosk, "phone": phone}


def take(names: list[str]) -> None:
    """Take these pictures, each below 200 kB as WebP."""

    def program(name: str) -> str:
        found = shutil.which(name)
        if found is None:
            raise SystemExit(f"screenshots: {name} is not installed (Debian packages: chromium, chromium-driver)")
        return found

    with tempfile.TemporaryDirectory() as folder:
        city = City(Path(folder))
        browser = chromium(program, Path(folder) / "profile")
        try:
            evening = Evening(city)
            evening.happen()
            with serving(city.app()) as url:
                page = Wall(browser, url)
                browser.get(url)
                page.do("localStorage.setItem('theme', 'dark'); localStorage.setItem('language', 'en')")
                for name in names:
                    SHOWN[name](page, evening)
                    _save(page, IMAGES / f"{name}.webp")
                browser.get("about:blank")
        finally:
            browser.quit()
            city.close()


def _save(page: Wall, path: Path) -> None:
    page.until("[...document.images].every(each => !each.checkVisibility() || each.complete)")
    content = b""
    for quality in (85, 70, 55, 40):
        taken = page.browser.execute_cdp_cmd("Page.captureScreenshot", {"format": "webp", "quality": quality})
        content = b64decode(taken["data"])
        if len(content) <= MOST_BYTES:
            break
    path.write_bytes(content)
    print(f"{path.relative_to(ROOT)}: {len(content) // 1000} kB")


if __name__ == "__main__":
    take(sys.argv[1:] or list(SHOWN))
