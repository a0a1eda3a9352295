"""When an episode begins and when it ends: the clock of one scene at one place, fed with verdicts, in the time of the data.

    TRUE ──► candidate ── true for `hold`, no gap over `max_gap` ──► BEGAN
                 │ not true for more than `max_gap`: dropped           │
                 ▼                                                     ├─ UNKNOWN for more than `max_gap` ──► UNSEEN ──► SEEN_AGAIN
              nothing                                                  └─ FALSE for `clear_after` ──► ENDED

UNKNOWN neither confirms nor clears. A single FALSE between two TRUE is bridged like a gap, for detectors flicker; `min_seen`
bounds how much of the hold may be bridged so.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from citybrain.domain.episode import ChangeKind
from citybrain.domain.observation import Verdict


@dataclass(frozen=True, slots=True)
class Terms:
    """What a scene asks of an episode. `min_seen` is the least share of the hold in which looks did not say FALSE."""

    hold: timedelta
    max_gap: timedelta
    clear_after: timedelta
    min_seen: float = 0.5


@dataclass(frozen=True, slots=True)
class Episode:
    """Where one scene stands at one place; a candidate until `confirmed_at`.

    `observed` is time between two looks that both saw it, `assumed` time bridged between such looks, `unseen` time in gaps
    too long to bridge; `doubted` is the part of `assumed` in which a look said FALSE.
    """

    began_at: datetime
    last_true_at: datetime
    last_usable_at: datetime
    last_look_at: datetime
    confirmed_at: datetime | None = None
    last_false_at: datetime | None = None
    false_since_true: bool = False
    blind: bool = False
    cleared: timedelta = timedelta()
    observed: timedelta = timedelta()
    assumed: timedelta = timedelta()
    doubted: timedelta = timedelta()
    unseen: timedelta = timedelta()

    @property
    def is_open(self) -> bool:
        return self.confirmed_at is not None


def begin(at: datetime) -> Episode:
    """A candidate first seen at this look."""
    return Episode(began_at=at, last_true_at=at, last_usable_at=at, last_look_at=at)


def advance(
    episode: Episode, verdict: Verdict, at: datetime, *, terms: Terms, withheld: bool = False
) -> tuple[Episode | None, ChangeKind | None]:
    """The episode after a look, and what is to be told of it; None when it is over or was never one.

    `withheld` keeps a candidate from beginning although its time is up. Looks must come in order of `at`.
    """
    if verdict is Verdict.TRUE:
        return _seen(episode, at, terms=terms, withheld=withheld)
    if verdict is Verdict.FALSE:
        return _absent(episode, at, terms=terms)
    return _blind(episode, at, terms=terms)


def confirm_if_due(
    episode: Episode, at: datetime, *, terms: Terms, withheld: bool
) -> tuple[Episode, ChangeKind | None]:
    """Begin when the candidate has been true for `hold`."""
    length = at - episode.began_at
    if episode.is_open or withheld or length < terms.hold or episode.doubted > length * (1 - terms.min_seen):
        return episode, None
    return replace(episode, confirmed_at=at), ChangeKind.BEGAN


def _seen(episode: Episode, at: datetime, *, terms: Terms, withheld: bool) -> tuple[Episode, ChangeKind | None]:
    since = at - episode.last_true_at
    bridged = episode.last_look_at > episode.last_true_at
    seen = replace(
        episode,
        last_true_at=at,
        last_usable_at=at,
        last_look_at=at,
        last_false_at=None,
        false_since_true=False,
        blind=False,
        cleared=timedelta(),
    )
    if since > terms.max_gap:
        if not episode.is_open:  # the hold must be whole: it starts again with this look
            return confirm_if_due(begin(at), at, terms=terms, withheld=withheld)
        dark = at - episode.last_usable_at
        seen = replace(seen, unseen=episode.unseen + dark if dark > terms.max_gap else episode.unseen)
    elif bridged:
        doubted = since if episode.false_since_true else timedelta()
        seen = replace(seen, assumed=episode.assumed + since, doubted=episode.doubted + doubted)
    else:
        seen = replace(seen, observed=episode.observed + since)
    if episode.is_open:
        return seen, ChangeKind.SEEN_AGAIN if episode.blind else None
    return confirm_if_due(seen, at, terms=terms, withheld=withheld)


def _absent(episode: Episode, at: datetime, *, terms: Terms) -> tuple[Episode | None, ChangeKind | None]:
    if not episode.is_open and at - episode.last_true_at > terms.max_gap:
        return None, None
    cleared = episode.cleared
    if episode.last_false_at is not None and at - episode.last_false_at <= terms.max_gap:
        cleared += at - episode.last_false_at
    dark = at - episode.last_usable_at
    absent = replace(
        episode,
        last_usable_at=at,
        last_look_at=at,
        last_false_at=at,
        false_since_true=True,
        blind=False,
        cleared=cleared,
        unseen=episode.unseen + dark if episode.is_open and dark > terms.max_gap else episode.unseen,
    )
    if episode.is_open and cleared >= terms.clear_after:
        return None, ChangeKind.ENDED
    return absent, ChangeKind.SEEN_AGAIN if episode.blind else None


def _blind(episode: Episode, at: datetime, *, terms: Terms) -> tuple[Episode | None, ChangeKind | None]:
    if not episode.is_open:
        over = at - episode.last_true_at > terms.max_gap
        return (None if over else replace(episode, last_look_at=at)), None
    if not episode.blind and at - episode.last_usable_at > terms.max_gap:
        return replace(episode, last_look_at=at, blind=True), ChangeKind.UNSEEN
    return replace(episode, last_look_at=at), None
