"""`make` starts what it says, and says what is missing before anything is half done."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.unit.tools.checkout import ROOT, make_targets


def make(*arguments: str) -> str:
    """What make would do, without doing it."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS"))}
    told = subprocess.run(
        ["make", "--dry-run", "--no-print-directory", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return " ".join(told.stdout.split())


def program(folder: Path, name: str, script: str) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/bash\n{script}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def test_make_run_starts_the_demo_city() -> None:
    assert '-m citybrain.demo --data "data"' in make("run")


def test_make_run_with_a_configuration_starts_that_city() -> None:
    told = make("run", "CONFIG=my city/", "DATA=/srv/data", "PORT=9000", "DISPATCH=http://127.0.0.1:9100/cases")
    assert 'citybrain up --config "my city/" --data "/srv/data"' in told
    assert '--port "9000" --dispatch "http://127.0.0.1:9100/cases"' in told
    assert "--host" not in told


def test_make_run_installs_no_torch() -> None:
    assert "requirements-torch" not in make("--always-make", "run")
    assert "requirements-torch" in make("--always-make", "install-ultralytics")


def test_make_without_a_target_lists_every_command_for_people() -> None:
    told = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in make_targets() - {"install-test"}:
        assert f"  make {target} " in told


def test_an_old_python_is_named_with_its_remedy(tmp_path: Path) -> None:
    old = program(tmp_path, "python3", 'case "$1" in --version) echo Python 3.9.2;; *) exit 1;; esac')
    told = subprocess.run(
        [ROOT / ".ci/virtual-environment", tmp_path / "venv"],
        env={**os.environ, "PYTHON": str(old)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 1
    assert "found: Python 3.9.2" in told.stderr
    assert "apt-get install python3" in told.stderr
    assert not (tmp_path / "venv").exists()


def test_a_python_that_cannot_make_environments_is_told_the_package(tmp_path: Path) -> None:
    bare = program(tmp_path, "python3", 'case "$2" in *ensurepip*) exit 1;; *print*) echo 3.12;; *) exit 0;; esac')
    told = subprocess.run(
        [ROOT / ".ci/virtual-environment", tmp_path / "venv"],
        env={**os.environ, "PYTHON": str(bare)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 1
    assert "sudo apt-get install python3.12-venv" in told.stderr


@pytest.mark.parametrize("present", [[], ["chromium", "chromedriver"]])
def test_missing_programs_are_named_with_what_is_skipped(tmp_path: Path, present: list[str]) -> None:
    for tool in ("bash", "id", "env"):
        (tmp_path / tool).symlink_to(f"/bin/{tool}" if Path(f"/bin/{tool}").exists() else f"/usr/bin/{tool}")
    for name in present:
        program(tmp_path, name, "exit 0")
    told = subprocess.run(
        [tmp_path / "bash", ROOT / ".ci/system-packages"],
        env={"PATH": str(tmp_path), "SYSTEM_PACKAGES": "no"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ("redis-server: tests with a real Redis" in told.stdout) == ("apt-get install redis-server" in told.stdout)
    for name in ("chromium", "chromedriver"):
        assert (f"{name}: tests of the wall" in told.stdout) == (name not in present)
