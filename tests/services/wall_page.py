"""A page of the wall as a person at it would use it, in Debian's own Chromium; and cases with pictures to show there."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from selenium import webdriver
from selenium.common.exceptions import TimeoutException
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from citybrain.clock import SystemClock
from citybrain.domain.case import Case
from citybrain.domain.episode import Evidence
from citybrain.domain.geometry import Box
from tests.services.api_city import City, case

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-dev-shm-usage --window-size=1600,1000 --lang=en-GB"
)
BOX = Box(0.25, 0.4, 0.5, 0.7)


def chromium(program: Callable[[str], str], profile: Path) -> webdriver.Chrome:
    """A headless browser with a profile of its own; the caller quits it."""
    options = Options()
    options.binary_location = program("chromium")
    for flag in FLAGS.split():
        options.add_argument(flag)
    options.add_argument(f"--user-data-dir={profile}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options=options, service=Service(program("chromedriver")))


class Wall:
    """The page as a person at it would use it."""

    def __init__(self, browser: webdriver.Chrome, url: str) -> None:
        self.browser = browser
        self.url = url

    def opened(self, path: str = "/", *, ready: str = "#link.live") -> Wall:
        """The page once it is up: `ready` is there, or it asks for a key."""
        self.browser.get(self.url + path)
        self.until(f"document.querySelector('{ready}') || document.querySelector('#login[open]')")
        self.browser.execute_script("window.neverReloaded = true")
        return self

    def ask(self, script: str) -> Any:
        return self.browser.execute_script(f"return {script}")

    def do(self, script: str) -> None:
        self.browser.execute_script(script)

    def until(self, script: str, within: float = 60) -> Any:
        try:
            return WebDriverWait(self.browser, within, poll_frequency=0.05).until(lambda _: self.ask(script))
        except TimeoutException:
            shown = self.ask("document.body.innerText")
            raise AssertionError(f"not within {within:.0f} s: {script}\n{shown}") from None

    def press(self, *keys: str) -> None:
        chain = ActionChains(self.browser)
        for key in keys:
            chain.send_keys(key)
        chain.perform()

    def escape(self) -> None:
        """Out of a dialog; a dialog that is closed is heard of a moment later, and until then keys are its own."""
        self.press(Keys.ESCAPE)
        self.until("!document.querySelector('dialog[open]')")
        self.browser.execute_async_script("setTimeout(arguments[0], 50)")

    def click(self, selector: str) -> None:
        """At once, by script: what is drawn anew meanwhile cannot be clicked otherwise."""
        self.browser.execute_script(f"document.querySelector({json.dumps(selector)}).click()")

    def rows(self) -> list[str]:
        """The cases whose rows are drawn, from the top."""
        return self.ask("[...document.querySelectorAll('.row')].map(row => row.dataset.case)")

    def lists(self, count: int) -> None:
        """Wait until the list has so many cases, drawn or not."""
        self.until(f"Number(document.querySelector('.row')?.getAttribute('aria-setsize') ?? 0) === {count}")

    def says(self, selector: str, words: str) -> None:
        """Wait until these words stand there."""
        self.until(f"document.querySelector({json.dumps(selector)})?.innerText.includes({json.dumps(words)})")

    def text(self, selector: str) -> str:
        return self.ask(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''")

    def chosen(self) -> str:
        return self.ask("document.querySelector('.row[aria-selected=true]')?.dataset.case ?? ''")

    def see(self, id: str) -> None:
        self.until(f"document.querySelector('.row[data-case=\"{id}\"]')")

    def reads(self, id: str) -> None:
        """Wait until this case is the one in full beside the list."""
        self.until(f"document.querySelector('#detail').dataset.case === {json.dumps(id)}")

    def views(self, which: str) -> None:
        """Choose a picture or clip."""
        self.click(f"#detail .views button:{which}")

    def top_of(self, id: str) -> float:
        return self.ask(f"document.querySelector('.row[data-case=\"{id}\"]').getBoundingClientRect().top")

    def complaints(self) -> list[str]:
        """What the browser refused for the Content-Security-Policy's sake, and errors of the page's scripts."""
        told = self.browser.get_log("browser")
        return [
            each["message"] for each in told if "Content Security" in each["message"] or "Uncaught" in each["message"]
        ]

    def screen(self, width: int, height: int, *, mobile: bool = False) -> None:
        """Show the page on a screen of this size until `whole_screen`."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def whole_screen(self) -> None:
        self.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def drawn(width: int = 640, height: int = 480) -> bytes:
    """A picture with something red where BOX is."""
    picture = np.full((height, width, 3), 90, np.uint8)
    left, top, right, bottom = (int(v * s) for v, s in zip(BOX.as_list(), (width, height, width, height), strict=True))
    picture[top:bottom, left:right] = (40, 40, 220)
    return cv2.imencode(".jpg", picture)[1].tobytes()


def fresh(city: City, n: int, *, ago: float = 0, **more: Any) -> Case:
    """A case filed so many seconds ago, with a picture."""
    at = SystemClock().now() - timedelta(seconds=ago)
    ref = city.evidence.put("gd-0001", at, drawn())
    return case(n, **{"at": at, "evidence": (Evidence(ref, "gd-0001", at, "confirming", BOX),), **more})
