"""Figures of several processes of one role: added up, and nothing that changed hands counted twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from citybrain.clock import iso
from citybrain.wire import dumps
from events_api.signs import added_up, heartbeats

NOW = datetime(2026, 11, 21, 8, tzinfo=UTC)


class Hot:
    """A hot store of what is given."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}

    def beats(self, name: str, *, ago: float = 0.0, every_s: float | None = 1, **figures: float) -> None:
        said = {"at": iso(NOW - timedelta(seconds=ago)), "figures": figures, "greatest": ["lateness_s"]}
        self.values[f"heartbeat/{name}"] = dumps(said if every_s is None else {**said, "every_s": every_s})

    def scan(self, prefix):
        yield from sorted((key, value) for key, value in self.values.items() if key.startswith(prefix))

    def added_up(self) -> dict[str, float]:
        return added_up(heartbeats(self), NOW)  # type: ignore[arg-type]


def test_cameras_and_looks_are_summed_and_of_lateness_the_worst_counts() -> None:
    hot = Hot()
    hot.beats("ingest/a", looks=10, lateness_s=0.5)
    hot.beats("ingest/b", looks=20, lateness_s=3.0)
    hot.beats("pipeline/0", looks=29)
    assert hot.added_up() == {"ingest.looks": 30, "ingest.lateness_s": 3.0, "pipeline.looks": 29}


def test_what_a_dead_process_had_is_counted_once_as_soon_as_another_may_have_it() -> None:
    hot = Hot()
    hot.beats("ingest/a", ago=5.5, cameras=10)
    hot.beats("ingest/b", ago=0.5, cameras=20)
    assert hot.added_up() == {"ingest.cameras": 20}
    hot.beats("ingest/a", ago=4.5, cameras=10)
    assert hot.added_up() == {"ingest.cameras": 30}


def test_a_process_that_nobody_succeeds_is_counted_as_long_as_it_is_known() -> None:
    hot = Hot()
    hot.beats("ingest/0", ago=20, cameras=10)
    hot.beats("pipeline/0", ago=40, every_s=None, looks=3)
    hot.beats("pipeline/1", ago=1, every_s=None, looks=4)
    assert hot.added_up() == {"ingest.cameras": 10, "pipeline.looks": 7}


def test_a_heartbeat_that_says_nonsense_of_itself_is_summed() -> None:
    hot = Hot()
    hot.values["heartbeat/ingest/a"] = dumps(
        {"at": iso(NOW), "figures": {"looks": 1, "x": float("inf")}, "every_s": "often", "greatest": 7}
    )
    hot.beats("ingest/b", looks=2)
    assert hot.added_up() == {"ingest.looks": 3}
