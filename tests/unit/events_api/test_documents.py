"""What the pages say is what there is: every route, problem and metric in docs/, every word of the wall in both languages."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from citybrain.domain.case import CaseAction, CaseEventType, CaseState, Light
from events_api.camera_overview import STATES
from events_api.problems import KINDS
from events_api.routes import health
from events_api.routes.overview import percentile

ROOT = Path(__file__).parents[3]
WALL = ROOT / "events_api" / "wall"
API = (ROOT / "docs" / "api.md").read_text()
EN = json.loads((WALL / "locale" / "en.json").read_text())
SCRIPTS = {path.name: path.read_text() for path in WALL.glob("*.js")}


def raised() -> set[str]:
    text = "".join(path.read_text() for path in (ROOT / "events_api").rglob("*.py"))
    return set(re.findall(r'Problem\(\s*\d{3},\s*"([a-z-]+)"', text))


def test_every_kind_of_problem_is_listed_and_none_is_listed_for_nothing():
    assert raised() == set(KINDS)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_of_problem_is_explained(kind):
    assert f"`{kind}`" in API


def test_every_route_is_described():
    for path in (ROOT / "events_api" / "routes").glob("*.py"):
        routes = re.findall(r"@router\.(get|post|delete|put|patch|websocket)\(\s*\"(/[^\"]*)\"", path.read_text())
        for method, route in routes:
            plain = route.replace(":path", "")
            if path.stem != "page":
                assert plain in API, f"{method.upper()} {plain}"


def test_every_metric_is_described():
    text = Path(health.__file__).read_text()
    for metric in re.findall(r'"(citybrain_[a-z_]+[a-z])"', text):
        assert metric in API, metric


def test_every_word_that_the_wall_says_is_in_its_locale():
    text = "".join(SCRIPTS.values())
    said = set(re.findall(r'\bt\("([\w.?]+)"', text))
    page = (WALL / "index.html").read_text()
    said |= set(re.findall(r'data-t(?:-title|-label)?="([^"]+)"', page))
    assert said - EN.keys() == set()


@pytest.mark.parametrize(
    "keys",
    [
        [f"state.{each}" for each in CaseState],
        [f"action.{each}" for each in CaseAction],
        [f"done.{each}" for each in CaseAction],
        [f"event.{each.removeprefix('citybrain.case.')}" for each in CaseEventType],
        [f"light.{each}" for each in Light],
        [f"camera.{each}" for each in (*STATES, "unknown")],
    ],
    ids=lambda keys: keys[0].partition(".")[0],
)
def test_every_value_of_the_domain_has_its_word(keys):
    assert [key for key in keys if key not in EN] == []


def test_the_wall_fetches_from_its_own_server_only():
    for name, text in SCRIPTS.items():
        assert re.findall(r"https?://(?!www\.w3\.org/2000/svg)", text) == [], name
    assert "innerHTML" not in "".join(SCRIPTS.values())


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [([], 0.5, None), ([1.0], 0.99, 1.0), ([1.0, 2.0], 0.5, 1.0), ([float(n) for n in range(1, 101)], 0.99, 99.0)],
)
def test_a_percentile_is_a_value_that_was_measured(values, share, expected):
    assert percentile(values, share) == expected


def test_every_word_of_the_audit_trail_is_told_and_none_is_told_for_nothing():
    code = "".join(
        path.read_text() for path in [*(ROOT / "events_api").rglob("*.py"), ROOT / "citybrain" / "commands_safety.py"]
    )
    nouns = "case|camera|dead-letter|dispatch|evidence|key|photo|report|silence|subscription|zones"
    said = set(re.findall(rf'"((?:{nouns})\.[a-z-]+)"', code)) - {"evidence.zip", "case.html", "camera.html"}
    rows = (ROOT / "docs" / "safety.md").read_text().partition("## The audit trail")[2].partition("\n## ")[0]
    told = set(re.findall(r"`([a-z-]+\.[a-z-]+)`", rows)) - {"audit.db"}
    assert said == told
