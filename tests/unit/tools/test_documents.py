"""Documents do not drift: links lead somewhere, commands and keys exist and are told, examples are what they claim."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from bench import NAMES
from citybrain import assembly, plugins
from citybrain.briefing import plan_of
from citybrain.bus.local import LocalBus
from citybrain.cli import _parser
from citybrain.clock import ManualClock, SystemClock, iso
from citybrain.configuration import Section, duration_text
from citybrain.database import Database
from citybrain.delivery.outbox import KEEP_DELIVERED
from citybrain.domain.case import CaseEventType, CaseState
from citybrain.domain.command import Act, Configured, Delivered, Filmed, LookAgain, Reported, Tick
from citybrain.domain.detection import Usable
from citybrain.evidence.config import SafetyFile
from citybrain.evidence.files import FileEvidence
from citybrain.hot.sqlite import SqliteHot
from citybrain.wire import dumps, read_case_event, read_command, read_detections, write_case_event, write_detections
from detectors.config import DetectorFile
from events_api import problems
from events_api.app import create_app
from events_api.parts import Parts
from events_api.routes.health import _Figures
from events_api.store.sql import SqlCases
from events_api.subscriptions.store import Subscriptions
from ingest.config import Entry, _Zone
from ingest.network import Network
from ingest.sensors import config as sensors
from ingest.sensors.book import Book
from ingest.sensors.watch import SensorPlan, Sensors
from ingest.workers import WorkerPool
from pipeline.areas import AreaFile, AreasFile
from pipeline.calendar import CalendarFile, Holiday, MadeUp
from pipeline.codes import Allowed, Category, CodeTable
from pipeline.routes import Match, Route, Routes, Silence
from pipeline.rules import dwell
from pipeline.runners.embedded import Embedded, Upkeep
from pipeline.runners.figures import flat
from pipeline.runners.replay import Replay
from pipeline.scene import CaseTerms, Grouping, SceneFile, SceneTest
from tests.unit.tools.checkout import ROOT, make_targets, tracked

PAGES = tracked("*.md")
DECISIONS = [page for page in PAGES if page.parent == ROOT / "docs/decisions"]


CONFIGURATION = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


def headings(page: Path) -> list[str]:
    return re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)


def anchor_of(heading: str) -> str:
    """As GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def section(text: str, begins: str, ends: str) -> str:
    """The part of a page from one text up to the next occurrence of another."""
    assert begins in text, begins
    return text.partition(begins)[2].partition(ends)[0]


def tells(text: str, word: str) -> bool:
    """Whether the word stands in code on the page."""
    return any(
        re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", code)
        for line in text.splitlines()
        for code in re.findall(r"`([^`]+)`", line)
    )


def examples(page: str, language: str) -> list[str]:
    return re.findall(
        rf"^```{language}\n(.*?)^```", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        found = page.parent / name if name else page
        assert found.exists(), f"{named(page)}: {target}"
        if anchor:
            assert anchor in {anchor_of(each) for each in headings(found)}, f"{named(page)}: {target}"


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_make_command_exists(page: Path) -> None:
    for target in re.findall(r"(?:^    |`)make ([a-z][a-z-]*)", page.read_text(encoding="utf-8"), re.MULTILINE):
        assert target in make_targets(), f"{named(page)}: make {target}"


def test_every_citybrain_command_exists() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "citybrain", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    commands = set(re.findall(r"^    ([a-z][a-z-]*)(?: |$)", told.stdout, re.MULTILINE))
    assert "up" in commands
    for page in [*PAGES, ROOT / "docker-compose.yml"]:
        named_here = re.findall(
            r"(?:^    |`|--rm )citybrain ([a-z][a-z-]*)", page.read_text(encoding="utf-8"), re.MULTILINE
        )
        assert set(named_here) <= commands, named(page)


def test_the_readme_names_every_folder_of_code() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for package in tracked("*/__init__.py"):
        if package.parent.parent == ROOT:
            assert f"`{package.parent.name}/`" in readme


@pytest.mark.parametrize("page", DECISIONS, ids=named)
def test_a_decision_says_what_was_refused_and_what_it_costs(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert re.match(rf"# {page.name[:4]} · \S", text)
    assert [line for line in text.splitlines() if line.startswith("## ")] == [
        "## The question",
        "## The choice",
        "## Refused",
        "## The cost",
    ]


def test_decisions_are_numbered_without_a_gap() -> None:
    numbers = sorted(int(page.name[:4]) for page in DECISIONS)
    assert numbers == list(range(len(numbers)))


def test_the_glossary_knows_every_state_and_every_kind_of_blindness() -> None:
    glossary = (ROOT / "docs/glossary.md").read_text(encoding="utf-8")
    for state in CaseState:
        assert f"`{state}`" in glossary, state
    for verdict in Usable:
        assert re.search(rf"\b{verdict}\b", glossary), verdict


# -- what is configured ---------------------------------------------------------------------------------------------------


def keys() -> Iterator[tuple[str, type[Section], str]]:
    """Where each model's keys are told: a text that begins the part of docs/configuration.md, and the model."""
    yield "## cameras.yaml", Entry, "\nA zone:"
    yield "\nA zone:", _Zone, "\n## "
    yield "## detectors/*.yaml", DetectorFile, "`options` of"
    yield "## scenes/*.yaml", SceneFile, "`when:` of"
    yield "`group:`", Grouping, "`case:`"
    yield "`case:`", CaseTerms, "`tests:`"
    yield "`tests:`", SceneTest, "\n## "
    yield "## codes/*.yaml", CodeTable, "\n## "
    yield "## codes/*.yaml", Category, "\n## "
    yield "## codes/*.yaml", Allowed, "\n## "
    yield from (("## calendar.yaml", model, "\n## ") for model in (CalendarFile, Holiday, MadeUp))
    yield from (("## areas.yaml", model, "\n## ") for model in (AreasFile, AreaFile))
    yield from (("## routes.yaml", model, "\n## ") for model in (Routes, Route, Silence, Match))
    yield "## safety.yaml", SafetyFile, "\n## "
    yield "## sensors.yaml", sensors._File, "\nA sensor:"
    yield "\nA sensor:", sensors.Sensor, "\n## "
    for name in plugins.offered("pipeline.rules"):
        yield f"`when:` of `{name}`", plugins.load("pipeline.rules", name).Config, "\n`"
    yield "`when:` of `dwell`", dwell.Queue, "\n`"
    for name in plugins.offered("detectors.backends"):
        yield f"`options` of `{name}`", plugins.load("detectors.backends", name).Config, "\n## "


@pytest.mark.parametrize(("begins", "model", "ends"), list(keys()))
def test_every_key_of_the_configuration_is_told(begins: str, model: type[Section], ends: str) -> None:
    part = section(CONFIGURATION, begins, ends)
    for field in model.model_fields:
        assert tells(part, field), f"{begins}: {field}"


@pytest.mark.parametrize(("begins", "model", "ends"), list(keys()))
def test_a_default_that_is_told_is_the_default(begins: str, model: type[Section], ends: str) -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| `([^`]+)` \|", section(CONFIGURATION, begins, ends), re.MULTILINE))
    for name, field in model.model_fields.items():
        told, default = rows.get(name), field.default
        if told is None or told in model.model_fields:
            continue
        if isinstance(default, timedelta):
            assert told == duration_text(default), f"{begins}: {name}"
        elif isinstance(default, str | bool | int | float) or default is None:
            shown = str(default).lower() if isinstance(default, bool) else str(default).removesuffix(".0")
            assert told == shown, f"{begins}: {name}"


@pytest.mark.parametrize(
    ("socket", "page"),
    [
        ("ingest.sources", "docs/configuration.md"),
        ("detectors.backends", "docs/configuration.md"),
        ("pipeline.rules", "docs/configuration.md"),
        ("pipeline.notifiers", "docs/delivery.md"),
    ],
)
def test_every_plug_in_is_told(socket: str, page: str) -> None:
    for name in plugins.offered(socket):
        assert f"`{name}`" in (ROOT / page).read_text(encoding="utf-8")


def test_every_notifiers_settings_are_told() -> None:
    delivery = (ROOT / "docs/delivery.md").read_text(encoding="utf-8")
    for name in plugins.offered("pipeline.notifiers"):
        for field in plugins.load("pipeline.notifiers", name).Config.model_fields:
            assert tells(delivery, field), f"{name}: {field}"


def commands_of(parser: argparse.ArgumentParser, before: str = "") -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Every command by its words, those of several words included."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, found in action.choices.items():
                yield before + name, found
                yield from commands_of(found, f"{before}{name} ")


def test_every_command_and_option_is_told() -> None:
    part = section(CONFIGURATION, "## The command line", "\n## ")
    for name, parser in commands_of(_parser()):
        row = "\n".join(line for line in part.splitlines() if f"`citybrain {name}" in line)
        assert row, name
        for action in parser._actions:
            for word in action.option_strings[:1] if action.option_strings else action.choices or ():
                assert word == "-h" or tells(row, word), f"citybrain {name}: {word}"
    for name in NAMES:
        assert f"`{name}`" in part


def test_every_variable_of_the_environment_is_told() -> None:
    part = section(CONFIGURATION, "## The environment", "\n## ")
    found: set[str] = set()
    for source in tracked("*.py"):
        if source.relative_to(ROOT).parts[0] not in ("tests", "models"):
            code = source.read_text(encoding="utf-8")
            found |= set(re.findall(r"environ(?:\.\w+\(|\[)\s*\"([A-Z_]+)\"", code))
            found |= set(re.findall(r"\"((?:CITYBRAIN|DEMO)_[A-Z_]+)\"", code))
    for file in [*tracked("configs/*.yaml"), *tracked("bench/*.yaml"), *tracked("docker-compose*.yml")]:
        found |= set(re.findall(r"\$\{([A-Z_]+)", file.read_text(encoding="utf-8")))
    assert found >= {"CITYBRAIN_MODELS", "CITYBRAIN_PARENT", "CAM_PASSWORD", "CITYBRAIN_PORT"}
    for name in found:
        assert f"`{name}`" in part, name


def test_every_page_that_the_code_sends_people_to_exists() -> None:
    for file in [*tracked("*.py"), *tracked("*.yaml"), *tracked("Makefile"), *tracked("pyproject.toml")]:
        for name in re.findall(r"docs/[\w/-]+\.md", file.read_text(encoding="utf-8")):
            assert (ROOT / name).exists(), f"{named(file)}: {name}"


# -- what is served -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """The API of the shipped configuration over an empty city whose processes have reported."""
    data = tmp_path_factory.mktemp("data")
    configuration, clock = assembly.load(ROOT / "configs"), SystemClock()
    bus, hot = LocalBus(data / "citybrain.db"), SqliteHot(data / "hot.db")
    embedded = Embedded(data / "citybrain.db", configuration.pipeline(), clock=clock, notifiers={})
    pool = WorkerPool(["worker", "{fd}"], count=1)
    network = Network(plan_of(configuration), workers=pool, bus=bus, hot=hot, clock=clock)
    hot.put("heartbeat/ingest/0", network.telling.heartbeat())
    beat = {"at": iso(clock.now()), "pid": 1, "figures": flat(embedded.figures())}
    hot.put("heartbeat/pipeline/0", dumps(beat))
    book = Book(data / "sensors.db")
    listener = Sensors(SensorPlan(), book=book, bus=bus, hot=hot, clock=clock)
    hot.put("heartbeat/sensors/0", listener.heartbeat([]))
    book.close()
    store = SqlCases.file(data / "view.db")
    app = create_app(
        bus=bus,
        store=store,
        subscriptions=Subscriptions(Database.memory(), clock=clock),
        hot=hot,
        evidence=FileEvidence(data / "evidence"),
        cameras=list(configuration.views.values()),
        scenes=configuration.scene_infos(),
        clock=clock,
    )
    yield app
    network.close()
    embedded.close()
    for each in (store, hot, bus):
        each.close()


def test_every_route_is_told(served) -> None:
    told = (ROOT / "docs/api.md").read_text(encoding="utf-8")
    paths = served.openapi()["paths"]
    assert "/v1/cases" in paths
    for path, methods in paths.items():
        assert tells(told, path), path
        for method in methods:
            verb = "" if method == "get" else f"{method.upper()} "
            assert f"{verb}{path}`" in told, f"{method} {path}"


def test_every_kind_of_problem_is_told() -> None:
    told = (ROOT / "docs/api.md").read_text(encoding="utf-8")
    for kind in problems.KINDS:
        assert f"| `{kind}` |" in told, kind


def test_every_metric_is_told(served) -> None:
    told = section((ROOT / "docs/operations.md").read_text(encoding="utf-8"), "## What to watch", "\n## ")
    parts: Parts = served.state.parts
    found = set()
    for metric in _Figures(parts, streams=0).collect():
        name = metric.name + ("_total" if metric.type == "counter" else "")
        for scene in parts.scenes:
            name = name.replace(f"scenes_{scene.id}_", "scenes_<scene>_")
        found.add(re.sub(r"^citybrain_ingest_cameras_\w+", "citybrain_ingest_cameras_<state>", name))
    assert found >= {
        "citybrain_cases_total",
        "citybrain_pipeline_scenes_<scene>_imbalance",
        "citybrain_ingest_workers_ready",
    }
    families = set()
    for row in told.splitlines():
        names = re.findall(r"`(citybrain_[\w<>]+)`", row)
        families |= {*names, *(names[-1].rpartition("_")[0] + last for last in re.findall(r"`(_[\w<>]+)`", row))}
    assert found - families == set()


# -- what is said of the code ---------------------------------------------------------------------------------------------


def test_the_figures_of_dwell_are_those_of_the_code() -> None:
    told = section((ROOT / "docs/architecture.md").read_text(encoding="utf-8"), "## Place first", "\n## ")
    rows = re.findall(r"^\| (`[A-Z_]+`(?:, `[A-Z_]+`)*) \| ([\d., ]+) \|", told, re.MULTILINE)
    figures = {
        name: float(value)
        for names, values in rows
        for name, value in zip(re.findall(r"`(\w+)`", names), values.split(", "), strict=True)
    }
    assert set(figures) == {
        name for name, value in vars(dwell).items() if name.isupper() and isinstance(value, int | float)
    }
    assert figures == {name: getattr(dwell, name) for name in figures}


def test_what_is_kept_for_how_long_is_told() -> None:
    told = section((ROOT / "docs/operations.md").read_text(encoding="utf-8"), "## The data folder", "\n## ")
    assert f"after {KEEP_DELIVERED.days} days (`KEEP_DELIVERED`)" in told
    hours = Upkeep().keep_detections // timedelta(hours=1)
    assert re.search(rf"after {hours} hours,[^|]*`keep_detections`", told)
    assert Upkeep().keep_evidence == Upkeep().keep_detections
    assert re.search(rf"after {hours} hours,[^|]*`keep_evidence`", told)


# -- the wire -------------------------------------------------------------------------------------------------------------

WIRE = "docs/wire.md"


def test_the_commands_on_the_page_can_be_read() -> None:
    found = [read_command(each) for each in examples(WIRE, "json") if '"kind"' in each]
    assert {type(each) for each in found} >= {Act, Configured, Delivered, Filmed, LookAgain, Reported, Tick}


def test_the_case_event_on_the_page_is_what_comes_of_the_look_on_the_page() -> None:
    (look,) = (read_detections(each) for each in examples(WIRE, "json") if '"boxes"' in each)
    (told,) = (read_case_event(each) for each in examples(WIRE, "json") if '"specversion"' in each)
    runner = Replay(assembly.load(ROOT / "configs").pipeline())
    clock = ManualClock(look.captured_at)
    looks = []
    for seq in range(1, 12):
        ref = f"gd-0001/{clock.now():%Y%m%d/%H%M%S}.000Z-0123456789abcdef.jpg"
        stamps = {name: at - look.captured_at + clock.now() for name, at in look.stamps.items()}
        seen = replace(look, captured_at=clock.now(), seq=seq, stamps=stamps, evidence=ref)
        looks.append(write_detections(seen))
        clock.advance(timedelta(seconds=30))
    (event,) = runner.run(looks)
    event = replace(event, case=replace(event.case, config=told.case.config))
    assert json.loads(write_case_event(event)) == json.loads(write_case_event(told))


def test_every_field_and_type_of_a_case_event_is_told() -> None:
    text = (ROOT / WIRE).read_text(encoding="utf-8")
    (event,) = (json.loads(each) for each in examples(WIRE, "json") if '"specversion"' in each)
    rows = section(text, "| field of `data` |", "\n\n")
    for field in event["data"].keys() - {"v"}:
        assert f"`{field}`" in rows, field
    for kind in CaseEventType:
        assert f"`{kind.removeprefix('citybrain.case.')}`" in section(text, "| `type`:", "\n\n"), kind
