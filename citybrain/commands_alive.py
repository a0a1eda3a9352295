"""Whether a process of this machine reports: what a supervisor of containers asks, so it loads little."""

from __future__ import annotations

import argparse
import socket
import sys

from citybrain.clock import Clock, SystemClock
from citybrain.deployment import Deployment
from events_api.signs import FRESH, heartbeats

DONE, FAILED = 0, 1


def alive(given: argparse.Namespace, *, clock: Clock | None = None) -> int:
    """0 when a process of this machine has reported lately as this role, or when nobody can know: then 1 would be a guess."""
    hot = Deployment.told(given.data, hot=given.hot).open_hot()
    beats = heartbeats(hot)
    away, now = hot.away_since(), (clock or SystemClock()).now()
    hot.close()
    if away is not None:
        print(f"{given.role}: what is hot is away; whether it reports cannot be known")
        return DONE
    here = {given.role, f"{given.role}/0", f"{given.role}/{socket.gethostname()}"}
    for beat in beats:
        # A name is that of its machine, or that and a number; `0` is the only one of its city.
        if beat.name in here or beat.name.rpartition("-")[0] in here:
            age = now - beat.at
            if age <= FRESH:
                print(f"{beat.name} reported {age.total_seconds():.1f} s ago")
                return DONE
    print(
        f"{given.role}: no process of this machine has reported within {FRESH.total_seconds():.0f} s", file=sys.stderr
    )
    return FAILED
