"""Whether a process of this machine reports: what a supervisor of containers asks."""

from __future__ import annotations

import argparse
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from citybrain.clock import ManualClock, iso
from citybrain.commands_alive import alive
from citybrain.deployment import DataFolder
from citybrain.hot.sqlite import SqliteHot
from citybrain.wire import dumps

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
HERE = socket.gethostname()


def asked(folder: Path, role: str = "pipeline", hot: str | None = None) -> int:
    return alive(argparse.Namespace(role=role, data=folder, hot=hot), clock=ManualClock(NOW))


@pytest.fixture
def report(tmp_path):
    def put(name: str, *, age_s: float = 3) -> None:
        hot = SqliteHot(DataFolder(tmp_path).hot, clock=ManualClock(NOW))
        hot.put(f"heartbeat/{name}", dumps({"at": iso(NOW - timedelta(seconds=age_s)), "pid": 7, "figures": {}}))
        hot.close()

    return put


@pytest.mark.parametrize("name", ["pipeline/0", f"pipeline/{HERE}", f"pipeline/{HERE}-4711"])
def test_a_process_of_this_machine_that_reports_is_alive(tmp_path, report, capsys, name):
    report(name)
    assert asked(tmp_path) == 0
    assert capsys.readouterr().out == f"{name} reported 3.0 s ago\n"


@pytest.mark.parametrize("name", ["pipeline/elsewhere-7", f"ingest/{HERE}-7", f"pipeline/{HERE}x-7", "pipeline/10"])
def test_another_machine_or_role_does_not_answer_for_it(tmp_path, report, capsys, name):
    report(name)
    assert asked(tmp_path) == 1
    assert "no process of this machine has reported within 15 s" in capsys.readouterr().err


def test_one_that_hangs_is_not_alive(tmp_path, report):
    report("pipeline/0", age_s=16)
    assert asked(tmp_path) == 1


def test_while_redis_is_away_nobody_is_called_dead(tmp_path, capsys):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        assert asked(tmp_path, hot=f"redis://:secret@127.0.0.1:{nobody.getsockname()[1]}/0") == 0
    told = capsys.readouterr().out
    assert "cannot be known" in told
    assert "secret" not in told
