"""The tools look at the whole tree, and the drawn architecture names modules that exist."""

from __future__ import annotations

import fnmatch
import re

from tests.unit.tools.checkout import ROOT, pyproject, tracked

PROJECT = pyproject()
TOOLS = PROJECT["tool"]
CONTRACTS = {contract["id"]: contract for contract in TOOLS["importlinter"]["contracts"]}
PACKAGES = sorted(path.parent.name for path in tracked("*/__init__.py") if path.parent.parent == ROOT)


def test_every_package_is_installed_typed_and_under_contract() -> None:
    assert {"citybrain", "ingest", "detectors", "pipeline", "events_api", "bench"} <= set(PACKAGES)
    for package in PACKAGES:
        assert any(fnmatch.fnmatch(package, pattern) for pattern in TOOLS["setuptools"]["packages"]["find"]["include"])
        assert package in TOOLS["mypy"]["files"]
        assert package in TOOLS["importlinter"]["root_packages"]


def test_types_are_strict_and_exempt_only_tests_and_libraries_without_types() -> None:
    assert TOOLS["mypy"]["strict"] is True
    for override in TOOLS["mypy"]["overrides"]:
        modules = [override["module"]] if isinstance(override["module"], str) else override["module"]
        assert not [module for module in modules if module.split(".")[0] in PACKAGES]


def test_every_module_of_the_vocabulary_has_its_layer() -> None:
    drawn = {name.strip("() ") for layer in CONTRACTS["layers"]["layers"] for name in re.split(r"[|:]", layer)}
    found = [
        path for path in (ROOT / "citybrain").iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()
    ]
    for path in found:
        assert path.stem == "__init__" or f"citybrain.{path.stem}" in drawn, f"citybrain.{path.stem} has no layer"


def test_all_logic_of_the_pipeline_is_under_the_pure_contract() -> None:
    pure = set(CONTRACTS["pure"]["source_modules"])
    found = {f"pipeline.{path.stem}" for path in (ROOT / "pipeline").glob("*.py")} - {"pipeline.__init__"}
    assert found <= pure
    libraries = {"faust", "redis", "fastapi", "cv2", "av", "ultralytics", "asyncio", "time", "sqlite3", "httpx"}
    assert set(CONTRACTS["pure"]["forbidden_modules"]) >= libraries


def test_every_lint_rule_that_is_off_says_why() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    section = text[text.index("\nignore = [") : text.index("[tool.ruff.lint.flake8-builtins]")]
    rules = [line for line in section.splitlines() if line.strip().startswith('"')]
    assert len(rules) > 5
    for line in rules:
        assert re.search(r"# .{10,}", line), line


def test_the_licence_is_the_affero_one_and_the_metadata_says_so() -> None:
    assert PROJECT["project"]["license"] == "AGPL-3.0-only"
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "GNU AFFERO GENERAL PUBLIC LICENSE" in text
    assert "Remote Network Interaction" in text
