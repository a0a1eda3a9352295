"""`citybrain cameras publish` before it speaks to any broker: what it refuses, and how it says so."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from citybrain import cli

GOOD = Path(__file__).parents[2] / "configs" / "folders" / "good"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.delenv("CITYBRAIN_BUS", raising=False)
    return Path(shutil.copytree(GOOD, tmp_path / "config"))


def publish(folder: Path, *options: str) -> int:
    return cli.run(["cameras", "publish", "--config", str(folder), *options])


def rewrite(folder: Path, old: str, new: str) -> None:
    path = folder / "cameras.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")


def test_without_a_bus_it_asks_for_one(folder, capsys):
    assert publish(folder) == cli.WRONG
    assert "--bus kafka://HOST:PORT, or in $CITYBRAIN_BUS" in capsys.readouterr().err


def test_a_folder_with_faults_is_not_published(folder, capsys):
    rewrite(folder, "detector: city", "detector: ctiy")
    assert publish(folder, "--bus", "kafka://127.0.0.1:1") == cli.WRONG
    assert "Did you mean 'city'?" in capsys.readouterr().err


def test_a_password_that_is_written_out_is_refused_and_not_shown(folder, capsys):
    rewrite(folder, "rtsp://127.0.0.1", "rtsp://admin:planted-7731@127.0.0.1")
    assert publish(folder, "--bus", "kafka://127.0.0.1:1", "--dry-run") == cli.WRONG
    said = capsys.readouterr().err
    assert "cameras[0].url: holds a password that is written out. Write it as ${NAME}" in said
    assert "planted" not in said


def test_a_broker_that_does_not_answer_is_said_and_nothing_was_done(folder, capsys):
    rewrite(folder, "rtsp://127.0.0.1", "rtsp://admin:${NOBODY_KNOWS}@127.0.0.1")  # the secrets need not be set here
    assert publish(folder, "--bus", "kafka://127.0.0.1:1/city") == cli.FAILED
    assert "kafka://127.0.0.1:1/city: no answer" in capsys.readouterr().err
