"""Which cameras' pictures have killed a worker, and which of them must rest for it."""

from __future__ import annotations

from datetime import timedelta


class Strikes:
    """Three strikes within five minutes, and the camera's frames rest for a minute. Times are monotonic seconds."""

    def __init__(
        self,
        *,
        limit: int = 3,
        within: timedelta = timedelta(minutes=5),
        rest: timedelta = timedelta(minutes=1),
    ) -> None:
        self._limit = limit
        self._within, self._rest = within.total_seconds(), rest.total_seconds()
        self._struck: dict[str, list[float]] = {}
        self._until: dict[str, float] = {}

    def strike(self, camera: str, now: float) -> None:
        """A worker died with a frame of this camera in its hands."""
        recent = [at for at in self._struck.get(camera, []) if now - at < self._within] + [now]
        if len(recent) >= self._limit:
            self._until[camera] = now + self._rest
            recent = []
        self._struck[camera] = recent

    def count(self, camera: str, now: float) -> int:
        """Strikes that still count against the camera."""
        return sum(1 for at in self._struck.get(camera, []) if now - at < self._within)

    def resting(self, camera: str, now: float) -> bool:
        return now < self._until.get(camera, float("-inf"))

    def suspected(self, camera: str, now: float) -> bool:
        """Whether to look at this camera alone, so that the next crash names the guilty one and nobody else."""
        return self.count(camera, now) > 0

    def forget(self, camera: str) -> None:
        """The camera is gone, or has become another."""
        self._struck.pop(camera, None)
        self._until.pop(camera, None)
