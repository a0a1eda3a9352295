"""How many connections a process may hold: as many as the system allows it, not as few as it begins with."""

from __future__ import annotations

import logging
import resource

log = logging.getLogger(__name__)

_BESIDE = 256  # databases, sockets to workers, logs


def allow_connections(cameras: int) -> int:
    """Raise the limit of open files to the hard one; returns it. Says so when it is too low for so many cameras."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard != resource.RLIM_INFINITY and hard < cameras + _BESIDE:
        log.warning("%d cameras need more open files than the %d allowed: raise `ulimit -Hn`", cameras, hard)
    return hard
