"""The wall in a real browser: first paint with ten thousand cases, smoothness in a flood, from event to picture with 50 walls."""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from bench.endtoend import percentile
from bench.machine import machine
from bench.ports import free_port
from bench.running import wait_until
from bench.wall_city import WallCity
from citybrain.clock import SystemClock
from citybrain.errors import Transient, UsageError

CASES = 10_000
CAMERAS = 2_000
WALLS = 50
PAINT_TARGET_S = 2.0
SHOWN_TARGET_S = 1.0
_PAINTS = 5
_FLOOD_HZ = 50
_NEW_EACH = 5  # every fifth event of the flood is a new case
_CALM_HZ = 2.0
_FLAGS = "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-dev-shm-usage"

_WATCH = """
window.bench = {rows: null, shown: {}, long: []};
const longer = list => bench.long.push(...list.getEntries().map(each => each.duration));
new PerformanceObserver(longer).observe({type: 'longtask', buffered: true});
const look = () => {
  const rows = document.querySelectorAll('.row');
  if (rows.length && bench.rows === null) bench.rows = performance.now();
  for (const row of rows) {
    const image = row.querySelector('img');
    if (!(row.dataset.case in bench.shown) && image?.complete && image.naturalWidth) bench.shown[row.dataset.case] = Date.now();
  }
  requestAnimationFrame(look);
};
requestAnimationFrame(look);
"""


def measure(given: argparse.Namespace) -> dict[str, Any]:
    """All three, one after the other; a step lasts 30 s unless --seconds says otherwise."""
    seconds = given.seconds or 30.0
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="citybrain-wall-")))
        city = WallCity(folder, cameras=CAMERAS)
        stack.callback(city.close)
        city.build(CASES)
        url = stack.enter_context(_serving(folder))
        wait_until(lambda: _stats(url)["cases"].get("filed", 0) >= CASES, timeout_s=180, what="the view has every case")
        browser = stack.enter_context(_browser(folder / "profile"))
        paints = [_first_paint(browser, url) for _ in range(_PAINTS)]
        flood = _flood(browser, city, url, seconds=seconds)
        shown = _shown(browser, city, url, seconds=seconds)
    rows = sorted(paint["rows_s"] for paint in paints)
    return {
        "machine": machine(),
        "cases": CASES,
        "cameras": CAMERAS,
        "first_paint": {"rows_s": rows, "first_contentful_s": sorted(paint["content_s"] for paint in paints)},
        "flood": flood,
        "event_to_picture": shown,
        "target_s": {"first_paint": PAINT_TARGET_S, "event_to_picture_p99": SHOWN_TARGET_S},
        "holds": rows[-1] <= PAINT_TARGET_S and shown["missing"] == 0 and shown["p99_s"] <= SHOWN_TARGET_S,
    }


def _first_paint(browser: Any, url: str) -> dict[str, float]:
    """From the address to content, and to rows of cases; each time with an empty cache."""
    browser.execute_cdp_cmd("Network.clearBrowserCache", {})
    _open(browser, url)
    found = browser.execute_script(
        "return [bench.rows, performance.getEntriesByName('first-contentful-paint')[0].startTime]"
    )
    return {"rows_s": round(found[0] / 1000, 3), "content_s": round(found[1] / 1000, 3)}


def _flood(browser: Any, city: WallCity, url: str, *, seconds: float) -> dict[str, Any]:
    """Long tasks (over 50 ms, in which the page answers nobody) while events come faster than anybody reads."""
    _open(browser, url)
    browser.execute_script("bench.long.length = 0")
    recent = [city.file()]
    due_s = SystemClock().monotonic()
    for n in range(int(seconds * _FLOOD_HZ)):
        if n % _NEW_EACH == 0:
            recent = [*recent[-99:], city.file()]
        else:
            index = n % len(recent)
            recent[index] = city.change(recent[index])
        due_s += 1 / _FLOOD_HZ
        time.sleep(max(0.0, due_s - SystemClock().monotonic()))
    time.sleep(1)
    tasks = sorted(browser.execute_script("return bench.long"))
    drawn = browser.execute_script("return document.querySelectorAll('.row').length")
    return {
        "events_per_s": _FLOOD_HZ,
        "seconds": seconds,
        "long_tasks": len(tasks),
        "longest_ms": round(tasks[-1]) if tasks else 0,
        "blocked": f"{sum(tasks) / (seconds * 1000):.1%}",
        "rows_in_page": drawn,
        "load_1m": machine()["load_1m"],
    }


def _shown(browser: Any, city: WallCity, url: str, *, seconds: float) -> dict[str, Any]:
    """From the instant before a case event is written to the log until its picture stands in the list."""
    clock = SystemClock()
    with _clients(url) as told:
        _open(browser, url)
        time.sleep(2)
        written: dict[str, float] = {}
        for _ in range(int(seconds * _CALM_HZ)):
            at = clock.now().timestamp()
            written[city.file().id] = at
            time.sleep(1 / _CALM_HZ)
        time.sleep(2)
        shown = browser.execute_script("return bench.shown")
    waited = sorted(shown[id] / 1000 - at for id, at in written.items() if id in shown)
    return {
        "walls": WALLS,
        "cases": len(written),
        "missing": len(written) - len(waited),
        "p50_s": _rank(waited, 0.5),
        "p99_s": _rank(waited, 0.99),
        "max_s": _rank(waited, 1.0),
        "others": told,
        "load_1m": machine()["load_1m"],
    }


def _rank(ascending: Sequence[float], share: float) -> float:
    return round(percentile(ascending, share), 3) if ascending else float("inf")


# -- processes ---------------------------------------------------------------------------------------------------------


@contextmanager
def _serving(folder: Path) -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "-m", "bench.wall_city", str(folder), str(port), str(CAMERAS)]
    with (folder / "log").open("wb") as out, _ended(subprocess.Popen(command, stdout=out, stderr=out)):
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: _stats(url), timeout_s=60, what=f"the API answers ({folder / 'log'})")
        yield url


@contextmanager
def _clients(url: str) -> Iterator[dict[str, Any]]:
    """The other walls; what they had is there once they are gone."""
    host, _, port = url.removeprefix("http://").partition(":")
    command = [sys.executable, "-m", "bench.wall_clients", host, port, str(WALLS - 1)]
    told: dict[str, Any] = {}
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            process.stdout.readline()
            yield told
        finally:
            process.send_signal(signal.SIGTERM)
            told |= json.loads(process.stdout.read() or b"{}")


@contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        process.kill()


@contextmanager
def _browser(profile: Path) -> Iterator[Any]:
    from selenium import webdriver  # of the test extra: only this bench drives a browser
    from selenium.webdriver.chrome.service import Service

    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        raise UsageError("bench wall: install a browser first (Debian packages: chromium, chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*_FLAGS.split(), "--window-size=1600,1000", "--lang=en-GB", f"--user-data-dir={profile}"):
        options.add_argument(flag)
    browser = webdriver.Chrome(options=options, service=Service(driver))
    browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": _WATCH})
    try:
        yield browser
    finally:
        browser.quit()


def _open(browser: Any, url: str) -> None:
    browser.get("about:blank")
    browser.get(url)
    ready = "return Boolean(document.querySelector('#link.live') && Object.keys(bench.shown).length > 3)"
    wait_until(lambda: browser.execute_script(ready), timeout_s=30, what="the wall shows cases", every_s=0.1)


def _stats(url: str) -> dict[str, Any]:
    try:
        with urllib.request.urlopen(f"{url}/v1/stats", timeout=10) as answer:  # noqa: S310  # loopback, our own
            found: dict[str, Any] = json.loads(answer.read())
            return found
    except OSError as error:
        raise Transient(str(error)) from None
