"""What became of every detection that concerned a scene: the sums balance, so "why was there no case?" has an answer.

    concerned = opened + merged + suppressed + cleared + set aside + pending

opened      it belonged to a candidate that became an episode
merged      it showed an episode that was there already
suppressed  a rule of the city held it back: queue, inhibited
cleared     what it showed was gone before its hold was up
set aside   it could not be judged: the view was unusable, or nobody could look long enough
pending     its candidate is not decided yet
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum


class Outcome(StrEnum):
    OPENED = "opened"
    MERGED = "merged"
    SUPPRESSED = "suppressed"
    CLEARED = "cleared"
    SET_ASIDE = "set_aside"


Ledger = dict[str, int]
"""Counts of detections by `concerned` and `outcome` or `outcome:reason`; JSON as it is stored."""


def concern(ledger: Ledger, detections: int) -> None:
    """Enter detections that concern the scene."""
    _add(ledger, "concerned", detections)


def settle(ledger: Ledger, outcome: Outcome, detections: int, *, reason: str = "") -> None:
    """Name what became of detections entered before."""
    _add(ledger, f"{outcome}:{reason}" if reason else str(outcome), detections)


def outcomes(ledger: Mapping[str, int]) -> dict[tuple[str, str], int]:
    """Counts by (outcome, reason)."""
    found: dict[tuple[str, str], int] = {}
    for name, count in ledger.items():
        outcome, _, reason = name.partition(":")
        if outcome != "concerned":
            found[outcome, reason] = count
    return found


def imbalance(ledger: Mapping[str, int], *, pending: int) -> int:
    """Detections whose end is not known; anything but 0 is a fault of ours."""
    return ledger.get("concerned", 0) - sum(outcomes(ledger).values()) - pending


def total(ledgers: Iterable[Mapping[str, int]]) -> Ledger:
    """The sum of several ledgers."""
    summed: Ledger = {}
    for ledger in ledgers:
        add(summed, ledger)
    return summed


def add(summed: Ledger, ledger: Mapping[str, int]) -> None:
    """Add one ledger to a sum."""
    for name, count in ledger.items():
        _add(summed, name, count)


def _add(ledger: Ledger, name: str, count: int) -> None:
    if count:
        ledger[name] = ledger.get(name, 0) + count
