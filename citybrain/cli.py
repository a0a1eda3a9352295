"""The command line. Exit status: 0 done, 1 failed, 2 wrong usage or configuration (each fault on stderr)."""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path

from citybrain import __version__, cli_evaluation, cli_models, telemetry
from citybrain.clock import SystemClock, instant
from citybrain.configuration import duration
from citybrain.errors import CityBrainError, ConfigError, UnknownPlugin, UsageError
from citybrain.netguard import networks
from ingest.worker_port import die_with_parent

DONE, FAILED, WRONG = 0, 1, 2
_SAFETY = "citybrain.commands_safety"
_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
"""When a replayed video began, unless told: always the same, so that the same video always tells the same."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit with its status."""
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status; argparse exits by itself, with 2, for words it does not know."""
    given = _parser().parse_args(arguments)
    telemetry.start_logging(given.command)
    _end_with_parent()
    command: Callable[[argparse.Namespace], int] = given.run
    try:
        return command(given)
    except UnknownPlugin as error:
        return _fail(WRONG, error.message)
    except ConfigError as error:
        return _fail(WRONG, *(str(fault) for fault in error.faults))
    except UsageError as error:
        return _fail(WRONG, str(error))
    except CityBrainError as error:
        return _fail(FAILED, str(error))
    except BrokenPipeError:  # whoever read our lines has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _end_with_parent() -> None:
    """A role started by `citybrain up` ends with it, also when it is killed."""
    parent = os.environ.get("CITYBRAIN_PARENT")
    if parent is not None:
        die_with_parent()
        if os.getppid() != int(parent):  # it died before we could ask
            sys.exit(FAILED)


def _fail(status: int, *lines: str) -> int:
    for line in lines:
        print(line, file=sys.stderr)
    return status


# -- running a city ---------------------------------------------------------------------------------------------------


def _up(given: argparse.Namespace) -> int:
    from citybrain import commands

    return commands.up(
        given.config,
        given.data,
        host=given.host,
        port=given.port,
        dispatch=given.dispatch,
        workers=given.workers,
        webhooks_to=given.webhooks_to,
        clock=SystemClock(),
    )


def _role(given: argparse.Namespace) -> int:
    from citybrain import roles
    from citybrain.deployment import Deployment

    city = Deployment.told(given.data, bus=given.bus, database=given.database, hot=given.hot, evidence=given.evidence)
    city.data.make()
    city.export()
    if given.command == "ingest":
        from citybrain.ingesting import run_ingest

        run_ingest(given.config, city, workers=given.workers, member=given.member)
    elif given.command == "pipeline":
        roles.run_pipeline(given.config, city, dispatch=given.dispatch, member=given.member)
    elif given.command == "sensors":
        from citybrain.sensing import run_sensors

        run_sensors(given.config, city)
    else:
        roles.run_api(given.config, city, host=given.host, port=given.port, webhooks_to=given.webhooks_to)
    return DONE


# -- looking into one -------------------------------------------------------------------------------------------------


def _lazily(name: str, module: str = "citybrain.commands") -> Callable[[argparse.Namespace], int]:
    """A command of such a module, imported when it is run: `--help` must not load a model runtime."""

    def run_it(given: argparse.Namespace) -> int:
        command: Callable[[argparse.Namespace], int] = getattr(import_module(module), name)
        return command(given)

    return run_it


def _bench(given: argparse.Namespace) -> int:
    measure: Callable[[argparse.Namespace], int] = import_module("bench").run
    return measure(given)


# -- the words --------------------------------------------------------------------------------------------------------


def _instant(text: str) -> datetime:
    try:
        return instant(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _port(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"expected a port 1..65535, got {text!r}")
    return int(text)


def _name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", text):
        raise argparse.ArgumentTypeError(f"expected up to 63 letters, digits, '.', '_' or '-', got {text!r}")
    return text


def _reachable(text: str) -> str:
    try:
        networks([text])
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def _duration(text: str) -> timedelta:
    try:
        found = duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return found


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a number of at least 1, got {text!r}")
    return int(text)


def _add_cameras(cameras: argparse.ArgumentParser, config: Callable[[argparse.ArgumentParser], None]) -> None:
    actions = cameras.add_subparsers(dest="action", required=True, metavar="ACTION")

    def action(name: str, run: str, about: str) -> argparse.ArgumentParser:
        added = actions.add_parser(name, help=about, description=about[:1].upper() + about[1:] + ".")
        added.set_defaults(run=_lazily(run, "citybrain.commands_cameras"))
        config(added)
        return added

    listed = action("list", "listed", "the cameras as configured")
    probe = action(
        "probe", "probed", "open each, look at a picture of it, and say what it is; 1 when some do not answer"
    )
    for each in (listed, probe):
        each.add_argument("--camera", metavar="ID", action="append", help="only this one; may be given again")
        each.add_argument("--grid-cell", metavar="CODE", help="only those whose grid cell begins so")
        each.add_argument("--text", metavar="TEXT", help="only those with this in their id or name")
        each.add_argument("--json", action="store_true", help="as JSON lines")
    probe.add_argument("--concurrency", type=_count, default=32, metavar="N", help="at once (default: %(default)s)")
    imported = action(
        "import", "imported", "a CSV of cameras into cameras/NAME.yaml, its passwords into cameras/NAME.env"
    )
    imported.add_argument("file", type=Path, metavar="FILE", help="CSV in UTF-8 or GB18030")
    imported.add_argument("--name", metavar="NAME", help="of the file of cameras (default: the CSV's own)")
    imported.add_argument("--crs", choices=("wgs84", "gcj02", "bd09"), default="wgs84", help="of rows that name none")
    imported.add_argument("--replace", action="store_true", help="remove what the table does not name from that file")
    imported.add_argument("--skip-faulty", action="store_true", help="import the other rows although some have faults")
    imported.add_argument("--dry-run", action="store_true", help="say what would be done, and write nothing")
    published = action(
        "publish",
        "published",
        "the cameras into the topic that ingest processes share out: what changed, and who is gone",
    )
    published.add_argument("--bus", metavar="kafka://HOST:PORT", help="where that topic is (else $CITYBRAIN_BUS)")
    published.add_argument("--dry-run", action="store_true", help="say what would be done, and publish nothing")


def _add_safety(
    command: Callable[[str, Callable[[argparse.Namespace], int], str], argparse.ArgumentParser],
    data: Callable[..., None],
) -> None:
    keys = command(
        "keys", _lazily("keys", _SAFETY), "the keys that open the API to others, and the one that signs evidence"
    )
    keys.add_argument(
        "action", choices=("add", "list", "revoke", "public"), help="public: what evidence is checked with"
    )
    keys.add_argument("name", nargs="?", help="whose key")
    keys.add_argument("--role", choices=("viewer", "operator", "engineer", "platform", "field"), default="operator")
    keys.add_argument("--unit", metavar="UNIT", help="with --role field: whose people hold the key")
    data(keys, required=False)
    _add_database(keys)

    audit = command("audit", _lazily("audit", _SAFETY), "the audit trail: whether anything in it was altered")
    audit.add_argument("action", choices=("verify",))
    audit.add_argument("--head", metavar="N:HASH", help="what it said another time: then its end is checked, too")
    data(audit, required=False)
    _add_database(audit)

    verify = command(
        "verify-evidence",
        _lazily("verify_evidence", _SAFETY),
        "check a bundle of evidence without any server; 1 when something is wrong with it",
    )
    verify.add_argument("bundle", type=Path, metavar="BUNDLE", help="the ZIP file, or the folder it was unpacked into")
    verify.add_argument("--key", type=Path, metavar="FILE", help="the public key that it must be signed with")


def _add_database(to: argparse.ArgumentParser) -> None:
    to.add_argument(
        "--database",
        metavar="postgresql://HOST/NAME",
        help="what the API's replicas share, instead of --data (else $CITYBRAIN_DATABASE)",
    )


def _add_record(record: argparse.ArgumentParser, data: Callable[..., None]) -> None:
    record.add_argument("--config", type=Path, metavar="DIR", help="configuration folder, for a video")
    data(record, required=False)
    record.add_argument(
        "--bus", metavar="kafka://HOST:PORT", help="the log of a city of many machines (else $CITYBRAIN_BUS)"
    )
    record.add_argument("--camera", metavar="ID", help="whose view; all cameras of a city's log when left out")
    record.add_argument("--start", type=_instant, metavar="ISO", help="when the video began, or from when in the log")
    record.add_argument("--end", type=_instant, metavar="ISO", help="until when in the log")
    record.add_argument("video", nargs="?", type=Path, metavar="VIDEO", help="a video, or a folder of pictures")


def _add_topics(topics: argparse.ArgumentParser) -> None:
    topics.add_argument("action", choices=("create",), help="make what is missing, and say of each what was done")
    topics.add_argument("--bus", metavar="kafka://HOST:PORT", help="where (else $CITYBRAIN_BUS)")
    topics.add_argument(
        "--partitions",
        type=_count,
        default=64,
        metavar="N",
        help="into how many parts the city is cut: as many workers can share it; never changed later (default: %(default)s)",
    )
    topics.add_argument(
        "--keep-detections",
        type=_duration,
        default=timedelta(hours=6),
        metavar="DURATION",
        help="for how long what cameras saw can be recorded and judged once more (default: 6h)",
    )
    topics.add_argument(
        "--replicas",
        type=_count,
        default=1,
        metavar="N",
        help="on how many brokers each lies; 3 where there are three (default: %(default)s)",
    )


def _add_bench(bench: argparse.ArgumentParser) -> None:
    bench.add_argument("name", metavar="NAME", help="endtoend, chaos, …; `list` names them")
    bench.add_argument("--json", action="store_true", help="as JSON")
    bench.add_argument("--minutes", type=float, metavar="N", help="how long to run, where that can be chosen")
    bench.add_argument("--seconds", type=float, metavar="N", help="how long each step lasts, where there are steps")
    bench.add_argument(
        "--only", action="append", metavar="PART", help="a part of it, where it has parts; several times"
    )
    bench.add_argument(
        "--python", type=Path, metavar="PATH", help="another Python, for peers that need one of their own"
    )
    bench.add_argument(
        "--clips", type=Path, metavar="DIR", help="the folder of public clips, for `gate`, `looks` and `quality`"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="citybrain", description="A city's cameras in, governance cases out.")
    parser.add_argument("--version", action="version", version=f"citybrain {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[argparse.Namespace], int], about: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=about, description=about[:1].upper() + about[1:] + ".")
        added.set_defaults(run=run)
        return added

    def config(to: argparse.ArgumentParser) -> None:
        to.add_argument("--config", type=Path, required=True, metavar="DIR", help="configuration folder")

    def data(to: argparse.ArgumentParser, *, required: bool = True) -> None:
        to.add_argument("--data", type=Path, required=required, metavar="DIR", help="where everything is kept")

    def address(to: argparse.ArgumentParser) -> None:
        to.add_argument("--host", default="127.0.0.1", metavar="H", help="address to listen on (default: %(default)s)")
        to.add_argument("--port", type=_port, default=8000, metavar="P", help="(default: %(default)s)")

    def shared(to: argparse.ArgumentParser) -> None:
        """What several machines share, and else lies in --data; an address with a password belongs into the variable."""
        where = to.add_argument_group("beyond one machine")
        for option, example, what in (
            ("bus", "kafka://HOST:PORT", "what carries the messages"),
            (
                "database",
                "postgresql://HOST/NAME",
                "what keeps the view of the cases, keys, subscriptions, audit trail",
            ),
            ("hot", "redis://HOST:PORT", "what keeps the latest pictures and states"),
            ("evidence", "s3://BUCKET", "what keeps pictures and clips"),
        ):
            where.add_argument(f"--{option}", metavar=example, help=f"{what} (else $CITYBRAIN_{option.upper()})")

    up = command("up", _up, "everything on one machine: cameras in, cases out, wall and API")
    ingest = command("ingest", _role, "one role: the network process and its workers")
    pipeline = command("pipeline", _role, "one role: the pipeline and the sender")
    api = command("api", _role, "one role: the events API and the wall")
    sensors = command("sensors", _role, "one role: listens to the sensors of sensors.yaml by MQTT")
    for each in (up, ingest, pipeline, api, sensors):
        config(each)
        data(each)
    for each in (ingest, pipeline, api, sensors):
        shared(each)
    for each in (up, pipeline):
        each.add_argument("--dispatch", metavar="URL", help="the dispatch system that cases are posted to")
    for each in (up, ingest):
        each.add_argument("--workers", type=_count, metavar="N", help="worker processes (default: one a core)")
    kept_name = "with --bus: the name that it keeps over restarts, unlike all others"
    ingest.add_argument("--member", type=_name, metavar="NAME", help=kept_name)
    pipeline.add_argument("--member", type=_name, metavar="NAME", help=kept_name)
    for each in (up, api):
        address(each)
        each.add_argument(
            "--webhooks-to",
            type=_reachable,
            action="append",
            default=[],
            metavar="WHERE",
            help="where subscribers' URLs may lead beside public addresses: private, loopback, link-local, or a network;"
            " may be given again",
        )

    check = command(
        "check", _lazily("check"), "read a configuration, run its scenes' tests, load its models: every fault"
    )
    config(check)

    replay = command("replay", _lazily("replay"), "case events of a recording, as JSON lines")
    config(replay)
    replay.add_argument("--camera", metavar="ID", help="whose view the video is")
    replay.add_argument("--start", type=_instant, default=_EPOCH, metavar="ISO", help="when the video began")
    replay.add_argument(
        "--detections", type=Path, metavar="FILE", help="a recording made by `record`, instead of a video"
    )
    replay.add_argument("--state", type=Path, metavar="FILE", help="go on from this snapshot, and leave one there")
    replay.add_argument("video", nargs="?", type=Path, metavar="VIDEO", help="a video, or a folder of pictures")

    _add_record(
        command("record", _lazily("record"), "what cameras saw, as JSON lines: from a video, or from a city's log"),
        data,
    )
    alive = command(
        "alive",
        _lazily("alive", "citybrain.commands_alive"),
        "whether a process of this machine has reported lately; 1 when not",
    )
    alive.add_argument("role", choices=("ingest", "pipeline", "sensors"))
    data(alive)
    alive.add_argument("--hot", metavar="redis://HOST:PORT", help="where it reports (else $CITYBRAIN_HOT)")

    _add_topics(command("topics", _lazily("topics"), "the topics of a bus that many machines share"))

    cli_models.add_models(commands, _lazily, instant=_instant, count=_count)
    cli_evaluation.add_evaluate(commands, _lazily)

    _add_cameras(commands.add_parser("cameras", help="the cameras of a configuration"), config)

    _add_safety(command, data)

    _add_bench(command("bench", _bench, "measure, side by side"))
    return parser
