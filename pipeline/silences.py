"""Silences (静默): what is filed and shown while nobody is told, for a time that someone answers for with a reason.

As in Alertmanager a silence holds back notices, not facts. A case that matches is filed, shown, counted and can be acted
on; the dispatch system is not told of it. When no silence holds it any more and the thing is still there, it is told then,
late and saying so, and the time allowed begins then. One that was over by itself meanwhile is never told. What was told
before a silence began stays told: the desk goes on hearing of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta

from citybrain.domain.command import Silence, Silenced

Silences = Mapping[str, Silence]
"""Those made at run time, by id, in the order they were made."""
REMEMBER = timedelta(days=1)
"""How long one that is over is known, so that the same said twice is known for it."""


def silenced(silences: Silences, command: Silenced) -> tuple[Silences, str]:
    """The silences after one was made or ended; the word says why not, when it could not be."""
    asked = command.silence
    known = silences.get(asked.id)
    if known is None and asked.until <= command.at:
        return silences, "the silence was over when it was asked for"
    if known is not None and known.until <= command.at and asked != known:
        return silences, "the silence is over"
    kept = {id: each for id, each in silences.items() if each.until + REMEMBER > command.at}
    return {**kept, asked.id: asked}, ""


def holding(
    silences: Iterable[Silence], at: datetime, *, scene: str, cameras: Collection[str], grid_cell: str | None
) -> Silence | None:
    """The first silence that holds a case then; one about a camera holds what any of the case's cameras saw."""
    return next(
        (
            each
            for each in silences
            if each.since <= at < each.until
            and each.scene in (None, scene)
            and (each.camera is None or each.camera in cameras)
            and (each.grid_cell is None or (grid_cell or "").startswith(each.grid_cell))
        ),
        None,
    )
