"""Knows whether a view has changed since the model last looked at it, lighting set aside.

    luma thumbnail 160×90 ─► fit new ≈ gain · old + offset ──► 16×9 cells: mean |difference| ──► the largest, less noise

The reference is the last view that was inferred, never the last one seen: what creeps in slowly adds up and counts.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import cv2
import numpy as np
import numpy.typing as npt

from citybrain.ports import Plane

THUMBNAIL = (90, 160)
"""Height and width of the luma thumbnail."""

CELL = 10
ROWS, COLUMNS = THUMBNAIL[0] // CELL, THUMBNAIL[1] // CELL

CHANGED = 4.0
"""Grey levels by which some cell must differ. In one scene noise gives 1, litter 7, a person 34, a moved camera 68."""

_MOST_NOISE = 6.0  # noise is in every cell; beyond this, what is in every cell is no noise
_GAINS, _OFFSETS = (0.5, 2.0), (-64.0, 64.0)  # more than that is no passing cloud: look again

_Grey = npt.NDArray[np.float32]
Cells = npt.NDArray[np.bool_]
"""ROWS × COLUMNS."""


class Gate:
    """One camera's gate. `reaffirm_for` bounds how long an unchanged view may stand in for a look."""

    def __init__(self, reaffirm_for: timedelta, *, changed: float = CHANGED) -> None:
        self._reaffirm_for = reaffirm_for
        self._changed = changed
        self._reference: _Grey | None = None
        self._seen_at: datetime | None = None

    def unchanged(self, thumbnail: Plane, at: datetime) -> bool:
        """Whether the last inferred view still holds; never for longer than `reaffirm_for`, nor backwards in time."""
        changed = self.changed(thumbnail, at)
        return changed is not None and not changed.any()

    def changed(self, thumbnail: Plane, at: datetime) -> Cells | None:
        """The cells in which the view differs from the last inferred one; None when all of it is to be looked at anew.

        Where some cell changed, those count too that changed by half as much: they are the rims of what did.
        """
        if self._reference is None or self._seen_at is None:
            return None
        if not timedelta(0) <= at - self._seen_at < self._reaffirm_for:
            return None
        new = _grey(thumbnail)
        # Light seldom changes from one look to the next: the fit is made when the plain difference speaks against it.
        difference = _difference(self._reference, new)
        if difference.max() >= self._changed:
            relit = _difference(_relit(self._reference, new), new)
            difference = relit if relit.max() < self._changed or relit.sum() < difference.sum() else difference
        if difference.max() < self._changed:
            return np.zeros((ROWS, COLUMNS), bool)
        rims: Cells = difference >= self._changed / 2
        return rims

    def saw(self, thumbnail: Plane, at: datetime, *, only: Cells | None = None) -> None:
        """The model has looked at this view: it is the reference from now on.

        Or at some cells `only`: what changes slowly elsewhere goes on adding up, and `reaffirm_for` goes on running.
        """
        new = _grey(thumbnail)
        if only is None or self._reference is None:
            self._reference, self._seen_at = new, at
            return
        relit = _relit(self._reference, new)
        lit = _difference(relit, new)[~only].sum() < _difference(self._reference, new)[~only].sum()
        looked_at = only.repeat(CELL, axis=0).repeat(CELL, axis=1)
        self._reference = np.where(looked_at, new, relit if lit else self._reference)

    def forget(self) -> None:
        """The next view has to be looked at: the camera was lost, or its answer is no longer to be trusted."""
        self._reference = self._seen_at = None


def _difference(old: _Grey, new: _Grey) -> _Grey:
    """How much each cell differs, in grey levels, beyond the noise that is in every cell."""
    cells = _cells(np.abs(new - old))
    beyond: _Grey = cells - np.float32(min(float(np.median(cells)), _MOST_NOISE))
    return beyond


def _relit(old: _Grey, new: _Grey) -> _Grey:
    """The old view under the light of the new one."""
    gain, offset = _lighting(_cells(old), _cells(new))
    relit: _Grey = np.clip(old * gain + offset, 0, 255)
    return relit


def _lighting(old: _Grey, new: _Grey) -> tuple[np.float32, np.float32]:
    """Gain and offset that take the old cell means to the new, by least squares over the cells that agree best.

    What has moved must not be taken for light: after a first fit the quarter that fits worst is left out, twice.
    """
    x, y = old.ravel(), new.ravel()
    chosen = np.arange(x.size)
    gain, offset = np.float32(1), np.float32(0)
    for _ in range(3):
        mean_x, mean_y = x[chosen].mean(), y[chosen].mean()
        spread = ((x[chosen] - mean_x) ** 2).mean()
        if spread > 1:
            gain = np.clip(((x[chosen] - mean_x) * (y[chosen] - mean_y)).mean() / spread, *_GAINS)
        offset = np.clip(mean_y - gain * mean_x, *_OFFSETS)
        chosen = np.argsort(np.abs(y - gain * x - offset), kind="stable")[: x.size * 3 // 4]
    return np.float32(gain), np.float32(offset)


def _cells(grey: _Grey) -> _Grey:
    """Cell means: by a whole factor, INTER_AREA is the mean, a tenth of numpy's time for it."""
    return np.asarray(cv2.resize(grey, (COLUMNS, ROWS), interpolation=cv2.INTER_AREA), np.float32)


def _grey(thumbnail: Plane) -> _Grey:
    if thumbnail.shape != THUMBNAIL:
        raise ValueError(f"expected a thumbnail of {THUMBNAIL}, got {thumbnail.shape}")
    return thumbnail.astype(np.float32)
