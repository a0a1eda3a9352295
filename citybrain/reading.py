"""The configuration read in a process of its own, so that a role with thousands of cameras goes on undisturbed meanwhile."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

from citybrain import assembly
from citybrain.assembly import Configuration
from citybrain.errors import Fault, Unreadable
from citybrain.strict_yaml import undisturbed
from ingest.worker_port import die_with_parent

LIMIT_S = 300.0
_WITHOUT = "without-cameras"


def apart(folder: Path, *, cameras: bool = True) -> tuple[Configuration | None, list[Fault]]:
    """As `assembly.read`. Raises Unreadable when the other process does not answer."""
    command = [sys.executable, "-m", "citybrain.reading", str(folder), *([] if cameras else [_WITHOUT])]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True, timeout=LIMIT_S)
    except (subprocess.SubprocessError, OSError) as error:
        raise Unreadable(f"{folder} could not be read by another process ({type(error).__name__})") from None
    with undisturbed():
        found: tuple[Configuration | None, list[Fault]] = pickle.loads(done.stdout)  # noqa: S301  # our own process
    return found


def main() -> None:
    """One reading: the answer is pickled on stdout."""
    die_with_parent()
    found = assembly.read(Path(sys.argv[1]), cameras=_WITHOUT not in sys.argv[2:])
    sys.stdout.buffer.write(pickle.dumps(found, protocol=pickle.HIGHEST_PROTOCOL))


if __name__ == "__main__":
    main()
