"""The verdict on one camera's looks: each is compared with how its view has looked, and what is found must last.

    a look ──▸ black, frozen, a card "no signal"?  told at once: the whole picture says so
           ──▸ hidden, washed out, soft, elsewhere? told once it has lasted: a bus, a flash, a gust pass
           ──▸ a cast, partly hidden, partly washed out? a finding beside the verdict: a person should see to the camera,
               but what it sees still counts (docs/decisions/0009-what-blinds-a-camera.md)

A camera's baseline holds how its view looks by day, by night and by infrared light. It is kept across restarts: what a
camera shows after one is compared with what it showed before, and a camera that was turned meanwhile does not pass for
a new normal. Only people can accept a new view: they drop the baseline.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt

from citybrain.domain.detection import Finding, Usable
from citybrain.ports import Plane
from ingest.quality.colour import has_cast, is_card, is_grey
from ingest.quality.place import has_moved, is_in_place
from ingest.quality.settling import Settling
from ingest.quality.sight import Sight, correlation
from ingest.quality.views import Light, Shown, View, read_views, write_views

FROZEN_AFTER = timedelta(seconds=10)
DOUBT = timedelta(seconds=5)
"""How long a view must read as hidden, washed out, soft or elsewhere before it is called so."""
NOTICE = timedelta(seconds=30)
"""How long a finding must last before it is told."""
RECOVERY = timedelta(seconds=2)
"""How long a view must read otherwise before that is told."""

_AT_ONCE = frozenset({Usable.DARK, Usable.FROZEN, Usable.NO_SIGNAL, Usable.OK})
_BLACK, _LIT = 40, 0.002  # luma that a lamp exceeds, and the share of the view that one lamp lights
_NIGHT, _DUSK = (
    70.0,
    8.0,
)  # mean luma below which a view is compared with how it looks by night, and how sharp that edge is
_SAME, _LIVELY = 0.985, 4  # share of lit values that are bit for bit as before, and cells that a running clock changes
_FLAT, _TEXTURED = 2.5, 6.0  # deviation within a cell: sensor noise alone, and something to see
_HIDDEN, _MOSTLY, _PARTLY = 0.5, 0.35, 0.2  # share of what was textured that is flat
_WASHED, _BRIGHT = 0.6, 0.25  # share of the view that is clipped; and how much more of it than usual is worth a word
_SOFT = 0.3  # fine detail left of what it was: 0.17 and less out of focus, 0.85 and more in any weather
_ENOUGH, _NOTHING = 8, 0.01  # cells to judge sharpness by, and what no detail at all divides by
_ALIKE = 0.9  # correlation of the cells' means when it is the same view, seen through a haze


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Whether the look can be judged by, and what a person should see to although it can."""

    usable: Usable
    findings: tuple[Finding, ...] = ()


class Usability:
    """One camera's verdicts, look by look. Raises Unreadable for a baseline that is not one.

    A camera that is not `fixed`, a dome on patrol, has no view to compare with: it is never blurred, occluded or moved.
    """

    def __init__(self, baseline: bytes = b"", *, fixed: bool = True) -> None:
        self._views = read_views(baseline)
        self._fixed = fixed
        self._still: Plane | None = None
        self._still_since: datetime | None = None
        self._followed_at: datetime | None = None
        self._light: Light | None = None
        self._verdict: Settling[Usable] = Settling(Usable.OK, recovery=RECOVERY)
        self._findings = {each: Settling(False, recovery=RECOVERY) for each in Finding}

    @property
    def baseline(self) -> bytes:
        """How the view looks, to be handed to the next `Usability` of this camera."""
        return write_views(self._views)

    @property
    def knows_its_view(self) -> bool:
        return bool(self._views)

    def judge(self, sight: Sight, captured_at: datetime) -> Diagnosis:
        """The verdict on one look; `captured_at` must not run backwards."""
        now = Shown(sight.luma.astype(np.float32))
        found, hidden = self._found(sight, now, captured_at)
        patience = timedelta(0) if found in _AT_ONCE else DOUBT
        usable = self._verdict.found(found, captured_at, patience=patience)
        if usable is not Usable.OK:
            return Diagnosis(usable)
        return Diagnosis(usable, self._told_findings(sight, now, captured_at, found=found, hidden=hidden))

    def _found(self, sight: Sight, now: Shown, at: datetime) -> tuple[Usable, float]:
        """What this look alone says, and the share of the view that is hidden."""
        frozen = self._frozen(sight.luma, at)
        if float(now.clipped.mean()) > _WASHED:
            return Usable.OVEREXPOSED, 0.0
        if is_card(sight, now):
            return Usable.NO_SIGNAL, 0.0
        if _dark(sight.luma):
            return Usable.DARK, 0.0
        if frozen:
            return Usable.FROZEN, 0.0
        if not self._fixed:
            return Usable.OK, 0.0
        light = self._light = _light(sight, now.mean, self._light)
        view = self._views.get(light)
        if view is None:
            return self._first(now, light), 0.0
        hidden = _hidden(now, view.shown)
        share = _share_hidden(hidden, view.shown)
        found = _compare(now, view.shown, hidden, share)
        if found is Usable.OK and self._verdict.told is Usable.OK:
            self._follow(now, view, at, hidden if share > _PARTLY else np.zeros_like(hidden))
        self._followed_at = at
        return found, share

    def _frozen(self, luma: Plane, at: datetime) -> bool:
        """A sensor's noise makes every picture of a still street different: the same bits again are not a look.

        A clock that the camera writes into its picture may run on over a frozen street.
        """
        if self._still is None or self._still_since is None or not _same(luma, self._still):
            self._still, self._still_since = luma, at
        return at - self._still_since >= FROZEN_AFTER

    def _first(self, now: Shown, light: Light) -> Usable:
        """Nothing to compare with in this light: only what is plain without, and what is plain becomes the view."""
        if float((now.deviations < _FLAT).mean()) > 0.95:
            return Usable.OCCLUDED
        others = [view.shown for other, view in sorted(self._views.items()) if other is not light]
        if others and not any(is_in_place(now.edges, other.edges) for other in others):
            # By another light edges differ: only what no light does is held against it.
            for other in others:
                hidden = _hidden(now, other)
                found = _compare(now, other, hidden, _share_hidden(hidden, other), strange=False)
                if found in (Usable.OCCLUDED, Usable.MOVED):
                    return found
        self._views[light] = View(now.luma.copy())
        return Usable.OK

    def _follow(self, now: Shown, view: View, at: datetime, hidden: npt.NDArray[np.bool_]) -> None:
        if self._followed_at is not None:
            view.follow(now.luma, (at - self._followed_at).total_seconds(), hidden)

    def _told_findings(
        self, sight: Sight, now: Shown, at: datetime, *, found: Usable, hidden: float
    ) -> tuple[Finding, ...]:
        view = self._views.get(self._light) if self._light is not None else None
        usual = float(view.shown.clipped.mean()) if view is not None else 0.0
        present = {
            Finding.COLOUR_CAST: has_cast(sight, now.mean),
            Finding.PARTLY_OVEREXPOSED: float(now.clipped.mean()) > usual + _BRIGHT,
            Finding.PARTLY_OCCLUDED: hidden > _PARTLY,
        }
        return tuple(
            each
            for each, settling in self._findings.items()
            if settling.found(present[each] and found is Usable.OK, at, patience=NOTICE)
        )


def _compare(now: Shown, view: Shown, hidden: npt.NDArray[np.bool_], share: float, *, strange: bool = True) -> Usable:
    if share > _HIDDEN:
        if float(now.clipped[hidden].mean()) > 0.5:
            return Usable.OVEREXPOSED
        return Usable.OCCLUDED if correlation(now.means, view.means) < _ALIKE else Usable.BLURRED
    if _is_soft(now, view):
        return Usable.BLURRED
    if has_moved(now.edges, view.edges, strange=strange):
        return Usable.OCCLUDED if share > _MOSTLY else Usable.MOVED
    return Usable.OK


def _is_soft(now: Shown, view: Shown) -> bool:
    """Fine detail gone in one direction at least, in most cells that have something to see; what is new does not count."""
    both = (view.deviations > _TEXTURED) & (now.deviations > _FLAT)
    if int(both.sum()) < _ENOUGH:
        return False
    return any(
        float(np.median(fine[both] / (was[both] + _NOTHING))) < _SOFT
        for fine, was in zip(now.fine, view.fine, strict=True)
    )


def _light(sight: Sight, mean: float, before: Light | None) -> Light:
    if is_grey(sight):
        return Light.INFRARED
    # Between the two it stays what it was: a view must not pass for another by a headlight, or by being turned.
    edge = _NIGHT if before in (None, Light.INFRARED) else _NIGHT + (_DUSK if before is Light.NIGHT else -_DUSK)
    return Light.NIGHT if mean < edge else Light.DAY


def _hidden(now: Shown, view: Shown) -> npt.NDArray[np.bool_]:
    """Cells that had something to see and are flat."""
    was = view.deviations
    return (was > _TEXTURED) & (now.deviations < np.minimum(_FLAT, was / 3))


def _share_hidden(hidden: npt.NDArray[np.bool_], view: Shown) -> float:
    textured = int((view.deviations > _TEXTURED).sum())
    return float(hidden.sum()) / textured if textured else 0.0


def _dark(luma: Plane) -> bool:
    """Black all over: a street at night has a lamp, a window, a headlight somewhere."""
    return float((luma > _BLACK).mean()) < _LIT


def _same(luma: Plane, before: Plane) -> bool:
    lit = np.maximum(luma, before) > _BLACK
    other = (luma != before) & lit
    if not other.any():
        return bool(lit.any()) or bool((luma == before).all())
    if float(other.sum()) > (1 - _SAME) * float(lit.sum()):
        return False
    return int(other.reshape(9, 10, 16, 10).any(axis=(1, 3)).sum()) <= _LIVELY
