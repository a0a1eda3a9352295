"""One replica of the API of a test's city, in a process of its own: a view and a Redis that it shares with others.

python -m tests.services.replica_server FOLDER PORT REDIS [DATABASE]
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import httpx

from citybrain.hot.redis import RedisHot
from events_api.server import Server
from tests.services.api_city import City


class Replica:
    """The process; killed as it stands."""

    def __init__(self, folder: Path, *, port: int, redis: str, database: str | None) -> None:
        self.url = f"http://127.0.0.1:{port}"
        words = [str(folder), str(port), redis, *([database] if database else [])]
        self._process = subprocess.Popen([sys.executable, "-m", "tests.services.replica_server", *words])

    def wait(self) -> None:
        """Until it answers."""
        for _ in range(1200):
            try:
                httpx.get(f"{self.url}/healthz", timeout=2).raise_for_status()
                return
            except httpx.HTTPError:
                assert self._process.poll() is None, "the replica has ended"
                time.sleep(0.05)
        raise TimeoutError(f"{self.url} did not answer")

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


def _serve(folder: Path, port: int, redis: str, database: str | None) -> None:
    city, hot = City(folder, database=database), RedisHot(redis)
    city.hot = hot
    Server(city.app(nudges=hot), host="127.0.0.1", port=port).run()


if __name__ == "__main__":
    _serve(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4] if len(sys.argv) > 4 else None)
