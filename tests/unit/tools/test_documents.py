"""Documents do not drift: links lead somewhere, commands exist, decisions have a reason and a cost."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from citybrain.domain.case import CaseState
from citybrain.domain.detection import Usable
from tests.unit.tools.checkout import ROOT, make_targets, tracked

PAGES = tracked("*.md")
DECISIONS = [page for page in PAGES if page.parent == ROOT / "docs/decisions"]


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:|#", target):
            continue
        assert (page.parent / target.split("#")[0]).exists(), f"{named(page)}: {target}"


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_make_command_exists(page: Path) -> None:
    for target in re.findall(r"(?:^    |`)make ([a-z][a-z-]*)", page.read_text(encoding="utf-8"), re.MULTILINE):
        assert target in make_targets(), f"{named(page)}: make {target}"


def test_every_citybrain_command_exists() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "citybrain", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    commands = set(re.findall(r"^    ([a-z]+) ", told.stdout, re.MULTILINE))
    assert "up" in commands
    for page in [*PAGES, ROOT / "docker-compose.yml"]:
        named_here = re.findall(r"(?:^    |`|--rm )citybrain ([a-z]+)", page.read_text(encoding="utf-8"), re.MULTILINE)
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
