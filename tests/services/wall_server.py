"""The API of a test's city in a process of its own, to be killed.

python -m tests.services.wall_server FOLDER PORT
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from events_api.server import Server
from tests.services.api_city import City


@contextmanager
def killable(folder: Path, *, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """The process, answering; killed at the end if it still lives."""
    command = [sys.executable, "-m", "tests.services.wall_server", str(folder), str(port)]
    process = subprocess.Popen(command)
    try:
        for _ in range(1200):
            try:
                httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=2).raise_for_status()
                break
            except httpx.HTTPError:
                assert process.poll() is None, "the server has ended"
                time.sleep(0.05)
        else:
            raise TimeoutError(f"port {port} did not answer")
        yield process
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    city = City(Path(sys.argv[1]))
    Server(city.app(), host="127.0.0.1", port=int(sys.argv[2])).run()
