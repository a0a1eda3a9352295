"""Ports for servers that are processes of their own: nobody is given such a port before its server listens, or while it is away.

Whoever asks the system for any port, and each connection, gets one of the system's own range; these lie below it. That one was
chosen is known to other processes that choose by a socket without a file, which ends with who chose it.
"""

from __future__ import annotations

import random
import socket
from pathlib import Path

from citybrain.demo.city import Ports

_LOWEST = 11_000  # browsers refuse some that are lower
_SYSTEMS_OWN = Path("/proc/sys/net/ipv4/ip_local_port_range")
_TRIES = 1000


def free_port() -> int:
    """On 127.0.0.1, and each time another one."""
    below = int(_SYSTEMS_OWN.read_text().split()[0])
    if below < _LOWEST + _TRIES:  # the system takes nearly all for its own
        below = 2**15
    chance = random.SystemRandom()
    for _ in range(_TRIES):
        port = chance.randrange(_LOWEST, below)
        if _is_free(port) and _is_ours(port):
            return port
    raise AssertionError(f"no port between {_LOWEST} and {below} is free")


def free_ports() -> Ports:
    """For a demo city."""
    return Ports(free_port(), free_port(), free_port())


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _is_ours(port: int) -> bool:
    """Whether nobody else has chosen it; from now on nobody will."""
    with socket.socket(socket.AF_UNIX) as mark:
        try:
            mark.bind(f"\0citybrain-port-{port}")
        except OSError:
            return False
        mark.detach()  # open until this process ends
    return True
