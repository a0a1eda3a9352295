"""Trouble for a city under test: processes are killed and the desk fails, at random, by a seed."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from random import Random
from typing import Any

from citybrain.clock import SystemClock
from citybrain.errors import Transient

FAULTS = ("500", "slow", "hang", "drop", "repeat", "flaky")


def disturb(
    *,
    until_at: datetime,
    first: timedelta,
    kills: float,
    dice: Random,
    kill: Callable[[], str | None],
    set_desk: Callable[..., Any],
    meanwhile: Callable[[], Any],
) -> Counter[str]:
    """Kill and break until then, beginning after `first`, and do once a second what is to be done `meanwhile`. What was done.

    `kills` is the share of kills among all troubles; `kill` says whom it killed, if any.
    """
    clock, done = SystemClock(), Counter[str]()
    next_at = clock.now() + first
    while (now := clock.now()) < until_at:
        with suppress(Transient):
            meanwhile()
        if now >= next_at:
            next_at = now + timedelta(seconds=dice.uniform(3, 15))
            if dice.random() < kills:
                if (role := kill()) is not None:
                    done[f"killed {role}"] += 1
            else:
                fault = dice.choice(FAULTS)
                with suppress(Transient):
                    set_desk(mode=fault, delay_s=dice.uniform(1, 12), share=dice.uniform(0.3, 1.0))
                    done[f"desk {fault}"] += 1
        elif dice.random() < 0.05:
            with suppress(Transient):
                set_desk(mode="ok")
        time.sleep(1)
    return done
