"""Ports for servers that are processes of their own: nobody is given such a port before its server listens, or while it is away.

Whoever asks the system for any port, and each connection, gets one of the system's own range; these lie below it. That a test
has chosen one is known to the tests of other processes by a socket without a file, which ends with its process.
"""

from __future__ import annotations

import random
import socket
from pathlib import Path

_LOWEST = 11_000  # browsers refuse some that are lower
_SYSTEMS_OWN = Path("/proc/sys/net/ipv4/ip_local_port_range")
_TRIES = 1000


def free_port() -> int:
    """On 127.0.0.1, and each time another one."""
    below, chance = int(_SYSTEMS_OWN.read_text().split()[0]), random.SystemRandom()
    for _ in range(_TRIES):
        port = chance.randrange(_LOWEST, below)
        if _is_free(port) and _is_ours(port):
            return port
    raise AssertionError(f"no port between {_LOWEST} and {below} is free")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _is_ours(port: int) -> bool:
    """Whether no other test has chosen it; from now on none will."""
    with socket.socket(socket.AF_UNIX) as mark:
        try:
            mark.bind(f"\0citybrain-test-port-{port}")
        except OSError:
            return False
        mark.detach()  # open until this process ends
    return True
