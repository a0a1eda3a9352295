"""What the how-to pages tell is done: their files are put in place, loaded, held to the contracts, and run."""

from __future__ import annotations

import importlib
import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import numpy as np
import pytest
import yaml

from citybrain import plugins
from citybrain.clock import ManualClock
from citybrain.errors import Fault, NotDelivered, Refused
from citybrain.ports import Outgoing
from detectors import config as detector_config
from detectors.batching import open_detector
from detectors.verify import verify
from ingest import config as camera_config
from ingest.decode import Decoder
from ingest.sensors import config as sensor_config
from pipeline import areas, calendar, routes, scene, story
from tests.contracts import test_backends as backends
from tests.contracts import test_notifiers as notifiers
from tests.contracts import test_rules as rules
from tests.contracts import test_sources as sources
from tests.unit.ingest.clips import jpeg, street
from tests.unit.tools.checkout import ROOT, tracked

PAGES = [page for page in tracked("*.md") if "docs" in page.relative_to(ROOT).parts]
BLOCK = re.compile(r"^```(?:yaml|python)\n# (\S+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
"""A block whose first line is a comment naming a file is that file."""


def written(page: Path) -> list[tuple[str, str]]:
    """The files that stand on a page."""
    return BLOCK.findall(page.read_text(encoding="utf-8"))


def example(name: str) -> str:
    (text,) = (text for page in PAGES for path, text in written(page) if path == name)
    return text


@pytest.fixture
def placed(tmp_path, monkeypatch) -> Iterator[list[str]]:
    """Every plug-in on the pages, put into its socket for the length of a test."""
    found = []
    for page in PAGES:
        for path, text in written(page):
            if not path.endswith(".py"):
                continue
            folder, _, file = path.rpartition("/")
            beside = tmp_path / "plugins" / folder
            beside.mkdir(parents=True, exist_ok=True)
            (beside / file).write_text(text, encoding="utf-8")
            socket, name = folder.replace("/", "."), file.removesuffix(".py")
            assert name not in plugins.offered(socket)
            package = importlib.import_module(socket)
            monkeypatch.setattr(package, "__path__", [*package.__path__, str(beside)])
            monkeypatch.delitem(sys.modules, f"{socket}.{name}", raising=False)
            importlib.invalidate_caches()
            found.append(f"{socket}.{name}")
    yield found
    for name in found:
        sys.modules.pop(name, None)


def test_every_socket_has_its_example(placed):
    assert sorted(placed) == [
        "detectors.backends.hog",
        "ingest.sources.snapshot",
        "pipeline.notifiers.journal",
        "pipeline.rules.near",
    ]


def test_the_plug_ins_on_the_pages_are_written_like_ours(placed, tmp_path):
    subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--config", ROOT / "pyproject.toml", tmp_path / "plugins"], check=True
    )
    subprocess.run(
        [sys.executable, "-m", "ruff", "format", "--check", "--config", ROOT / "pyproject.toml", tmp_path / "plugins"],
        check=True,
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_files_of_a_configuration_that_stand_on_a_page_load(page, placed, tmp_path):
    faults: list[Fault] = []
    for number, (path, text) in enumerate(written(page)):
        folder = tmp_path / f"city-{number}"
        file = folder / path.removeprefix("my-city/")
        if not path.startswith("my-city/"):
            continue
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        if file.name == "cameras.yaml":
            assert camera_config.load(folder, faults)
        elif file.name == "routes.yaml":
            found = routes.load(file, faults=faults, scenes=["stall_spillover"], cameras=["gd-0002"])
            assert found.routes
            assert found.silences
        elif file.name == "calendar.yaml":
            assert not calendar.load(file, timezone="Asia/Shanghai", faults=faults).every_hour
        elif file.name == "areas.yaml":
            assert areas.load(file, faults=faults, scenes=["stall_spillover"]).districts
        elif file.name == "sensors.yaml":
            environment = {"MQTT_USER": "city", "MQTT_PASSWORD": "of the city"}
            scenes = ["waterlogging", "fire_risk"]
            assert sensor_config.load(folder, faults=faults, scenes=scenes, environment=environment)
        elif file.parent.name == "detectors":
            assert detector_config.load(folder, faults=faults)
        else:
            assert file.parent.name == "scenes", path
            told = scene.load_file(file, faults=faults)
            assert told is not None, faults
            assert [verdict for verdict in story.tell(told) if not verdict.passed] == []
    assert faults == []


# -- a scene --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def my_city(tmp_path) -> Path:
    """A copy of configs/ with what docs/how-to/scene.md adds to it; the market's camera tries the scene without a model."""
    city = tmp_path / "my-city"
    shutil.copytree(ROOT / "configs", city, ignore=shutil.ignore_patterns("demo"))
    for name in ("my-city/scenes/bicycle_heap.yaml", "my-city/detectors/trial.yaml"):
        (tmp_path / name).write_text(example(name), encoding="utf-8")
    table = city / "codes/street.yaml"
    (added,) = re.findall(r"# categories of my-city/codes/street.yaml\n(.*?)```", _page("scene"), re.DOTALL)
    table.write_text(table.read_text() + "".join(f"  {line}\n" for line in added.splitlines()), encoding="utf-8")
    cameras = yaml.safe_load((city / "cameras.yaml").read_text())
    (market,) = (each for each in cameras["cameras"] if each["id"] == "gd-0002")
    market["detector"] = "trial"
    (city / "cameras.yaml").write_text(yaml.safe_dump(cameras, allow_unicode=True), encoding="utf-8")
    return city


def test_a_fifth_scene_goes_from_nothing_to_a_case(my_city, tmp_path):
    _draw_market(tmp_path / "market.mp4")
    commands = re.findall(r"^    citybrain (.+)$", _page("scene"), re.MULTILINE)
    assert [command.split()[0] for command in commands] == ["check", "replay"]
    checked, replayed = (_citybrain(command, cwd=tmp_path) for command in commands)
    assert checked.returncode == 0, checked.stderr
    assert "5 scenes" in checked.stdout
    assert replayed.returncode == 0, replayed.stderr
    (event,) = [json.loads(line) for line in replayed.stdout.splitlines()]
    assert event["type"] == "citybrain.case.filed"
    assert (event["data"]["scene"], event["data"]["trial"]) == ("bicycle_heap", True)
    assert event["data"]["confirmed_at"] == "2026-01-01T00:05:00.000Z"


def test_a_story_that_comes_out_otherwise_says_so_in_the_words_of_the_page(tmp_path):
    name = "my-city/scenes/bicycle_heap.yaml"
    file = tmp_path / "bicycle_heap.yaml"
    file.write_text(example(name).replace("at_least: 5, fewer_than: 4", "at_least: 3, fewer_than: 3"), encoding="utf-8")
    told = scene.load_file(file, faults=[])
    assert told is not None
    (verdict,) = (each for each in story.tell(told) if each.name == "three are none")
    shown = f"{verdict.name!r} expected [{', '.join(verdict.expected)}], got [{', '.join(verdict.found)}]."
    assert f"`{shown}`" in _page("scene")


def test_the_page_knows_every_place_and_every_unusable_view():
    told = _page("scene").partition("## Stories")[2]
    for word in (*story._PLACES, *story._UNUSABLE, "none"):
        assert f"`{word}`" in told, word


# -- a rule, a notifier, a source, a backend --------------------------------------------------------------------------------


def test_the_rule_on_the_page_keeps_the_contract(placed):
    near = plugins.load("pipeline.rules", "near")
    rule = near.build(near.Config(labels=frozenset({"car"}), beside=frozenset({"person"})))
    assert rule.labels == frozenset({"car", "person"})
    for seed in range(5):
        rules.test_the_same_looks_give_the_same_answers_and_nothing_given_is_altered(rule, seed)
    with pytest.raises(ValueError, match="must differ"):
        near.build(near.Config(labels=frozenset({"car"}), beside=frozenset({"car"})))


async def test_the_notifier_on_the_page_keeps_the_contract(placed, tmp_path, monkeypatch):
    journal = plugins.load("pipeline.notifiers", "journal")
    clock, path = ManualClock(datetime(2026, 11, 21, 8, tzinfo=UTC)), tmp_path / "events.jsonl"
    builder = lambda _receiver, clock: journal.build(journal.Config(path=path), clock=clock)  # noqa: E731
    monkeypatch.setitem(notifiers.BUILDERS, "journal", builder)
    await notifiers.test_every_notifier_hands_a_case_event_over_as_often_as_it_is_asked("journal", None, clock)
    notifiers.test_every_notifier_forbids_keys_it_does_not_know("journal")
    assert [json.loads(line)["id"] for line in path.read_text().splitlines()] == ["e1", "e1"]
    nowhere = journal.build(journal.Config(path=tmp_path / "no/such/folder"), clock=clock)
    with pytest.raises(NotDelivered, match="No such file"):
        await nowhere.notify(notifiers.EVENT)
    with pytest.raises(Refused):
        await nowhere.notify(Outgoing("e2", "desk", "case-1", b"no json"))


@pytest.fixture
def snapshots() -> Iterator[str]:
    """A camera that shows a new JPEG each time, under /ok; elsewhere it wants a password, sends garbage or has nothing."""
    shown = iter(range(1000))

    class Camera(BaseHTTPRequestHandler):
        def do_GET(self):
            status, body = {
                "/ok": (200, b""),
                "/locked": (401, b"who are you"),
                "/garbage": (200, b"<html>"),
            }.get(self.path, (404, b"nothing"))
            body = body or jpeg(street(next(shown)))
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Camera) as server:
        serving = threading.Thread(target=server.serve_forever, daemon=True)
        serving.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        serving.join()


async def test_the_source_on_the_page_keeps_the_contract(placed, snapshots):
    addresses = {"snapshot": (f"{snapshots}/ok", f"{snapshots}/nowhere", "not found")}
    await sources.test_what_does_not_work_says_why_in_both_languages("snapshot", addresses)
    await sources.test_a_source_that_nobody_asks_any_more_can_be_opened_anew("snapshot", addresses)
    frames, gone = await sources.watch("snapshot", f"{snapshots}/ok", look_every=timedelta(milliseconds=10), limit=3)
    assert gone is None
    assert [each.captured_at for each in frames] == sorted({each.captured_at for each in frames})
    assert {Decoder().decode(each).width for each in frames} == {320}
    for path, reason in (("locked", "wrong password"), ("garbage", "garbage")):
        _, gone = await sources.watch("snapshot", f"{snapshots}/{path}")
        assert gone is not None
        assert gone.reason == reason


def test_the_backend_on_the_page_keeps_the_contract(placed, tmp_path):
    if not backends.HAS_ULTRALYTICS:
        pytest.skip("the photographs come with ultralytics, which is not installed (make install-ultralytics)")
    (tmp_path / "detectors").mkdir()
    (tmp_path / "detectors/people.yaml").write_text(example("my-city/detectors/people.yaml"), encoding="utf-8")
    faults: list[Fault] = []
    settings = detector_config.load(tmp_path, faults=faults)["people"]
    assert (faults, verify(settings, load=True)) == ([], [])
    pictures, _ = backends._photographs()
    opened = open_detector(settings)
    shows = [{"person": (1, 9)}]
    trial = backends.Trial(settings, opened, opened._backend, pictures[:1], shows, exact=True)
    backends.test_it_sees_what_the_pictures_show(trial)
    backends.test_boxes_lie_in_the_picture_and_labels_are_the_models_own(trial)
    backends.test_an_even_grey_view_shows_nothing(trial)
    backends.test_the_same_picture_gives_the_same_answer_each_time(trial)
    backends.test_what_lies_behind_the_nth_picture_of_a_batch_is_not_looked_at(trial)
    backends.test_a_batch_of_another_shape_is_refused(trial)
    backends.test_it_says_what_it_loaded(trial)
    backends.test_after_closing_it_can_be_closed_again(trial)


# -- what the above stands on -------------------------------------------------------------------------------------------------


def _page(name: str) -> str:
    return (ROOT / f"docs/how-to/{name}.md").read_text(encoding="utf-8")


def _citybrain(command: str, *, cwd: Path) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "citybrain", *command.split()]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    return subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def _draw_market(path: Path) -> None:
    """A market for six and a half minutes, a picture each ten seconds, with five magenta bicycles on the pavement."""
    street_seen = (
        street(0, width=640, height=384, noise=0).astype(np.float32) * 0.4 + 90
    )  # nothing vivid but the bicycles
    street_seen = np.repeat(street_seen.mean(axis=2, keepdims=True), 3, axis=2)
    noise = np.random.default_rng(1)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(1, 10))
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 640, 384, "yuv444p"
        stream.time_base, stream.options = Fraction(10), {"preset": "ultrafast", "crf": "12"}
        for index in range(39):
            picture = street_seen + noise.normal(0, 3, street_seen.shape)
            for bicycle in range(5):
                top = 250 + 24 * bicycle
                picture[top : top + 16, 60:110] = (255, 0, 255)
            frame = av.VideoFrame.from_ndarray(np.clip(picture, 0, 255).astype(np.uint8), format="rgb24")
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
