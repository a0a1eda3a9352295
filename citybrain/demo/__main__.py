"""`make run`: builds the demo city's footage, then runs its cameras, citybrain and its dispatch desk until told to stop."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from citybrain import telemetry
from citybrain.clock import SystemClock, instant
from citybrain.demo.city import CONFIG, DemoCity, Ports
from citybrain.deployment import DataFolder
from citybrain.errors import CityBrainError, ConfigError
from citybrain.supervisor import Supervisor

_BAR = 30


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status as of `citybrain`: 0 done, 1 failed, 2 wrong usage or configuration."""
    given = _parser().parse_args(arguments)
    telemetry.start_logging("demo")
    clock = SystemClock()
    city = DemoCity(
        data=given.data,
        footage=given.footage or given.data / "footage",
        epoch=instant(given.epoch) if given.epoch else clock.now(),
        host=given.host,
        ports=Ports(given.port, given.camera_port, given.desk_port),
        config=given.config,
        workers=given.workers,
    )
    try:
        DataFolder(given.data).make()
        _build(city)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    except CityBrainError as error:
        print(error, file=sys.stderr)
        return 1
    if not given.epoch:
        city = city.begin_at(clock.now())  # the stories begin when there is someone to look
    print(f"\n    the wall:          {city.wall}\n    the dispatch desk: {city.desk}\n", flush=True)
    Supervisor(city.commands(), clock=clock, environment=city.environment()).run()
    return 0


def _build(city: DemoCity) -> None:
    """Compose the footage, showing how far it is."""
    shares: dict[str, float] = {}

    def progress(camera: str, share: float) -> None:
        shares[camera] = share
        done = sum(shares.values()) / max(len(shares), 10)
        filled = "#" * round(done * _BAR)
        end = "\r" if sys.stdout.isatty() else "\n"
        if sys.stdout.isatty() or share >= 1.0:
            print(
                f"composing the demo city's footage [{filled:<{_BAR}}] {done:4.0%}  {camera:<10}", end=end, flush=True
            )

    city.build_footage(progress)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m citybrain.demo", description="The bundled demo city.")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="where everything is kept")
    parser.add_argument("--footage", type=Path, metavar="DIR", help="where the clips are built (default: DATA/footage)")
    parser.add_argument(
        "--config", type=Path, default=CONFIG, metavar="DIR", help="another demo city, with its footage/"
    )
    parser.add_argument("--host", default="127.0.0.1", help="address of the wall (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="port of the wall (default: %(default)s)")
    parser.add_argument("--camera-port", type=int, default=8554, help="port of the cameras (default: %(default)s)")
    parser.add_argument("--desk-port", type=int, default=9100, help="port of the dispatch desk (default: %(default)s)")
    parser.add_argument("--epoch", metavar="ISO", help="when the stories began (default: now)")
    parser.add_argument("--workers", type=int, metavar="N", help="worker processes (default: one a core)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
