"""The words of `citybrain evaluate`: pictures with boxes, and clips with cases, against what people say of them."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

Command = Callable[[argparse.Namespace], int]
_COMMANDS = "citybrain.commands_evaluation"


def add_evaluate(commands: Any, lazily: Callable[[str, str], Command]) -> None:
    """`evaluate` with what can be evaluated; `lazily` makes a command of a function's name and its module's."""
    about = "what a model sees in pictures, and what the city makes of clips, against what people say is there"
    evaluate = commands.add_parser("evaluate", help=about, description=about[:1].upper() + about[1:] + ".")
    levels = evaluate.add_subparsers(dest="level", required=True, metavar="LEVEL")

    def level(name: str, run: Command, about: str) -> argparse.ArgumentParser:
        added: argparse.ArgumentParser = levels.add_parser(
            name, help=about, description=about[:1].upper() + about[1:] + "."
        )
        added.set_defaults(run=run)
        return added

    _add_frames(
        level("frames", lazily("frames", _COMMANDS), "a detector on labelled pictures: precision, recall, AP50")
    )
    about_scenes = "clips through the whole pipeline: cases found, missed, false by the hour, and how late"
    _add_scenes(level("scenes", lazily("scenes", "citybrain.commands_scenes"), about_scenes))


def _add_frames(frames: argparse.ArgumentParser) -> None:
    pictures = frames.add_argument_group("pictures (default: models/evaluation)")
    pictures.add_argument(
        "--set", type=Path, action="append", default=[], metavar="DIR", help="a labelled set; may be given again"
    )
    pictures.add_argument(
        "--tables",
        type=Path,
        nargs="+",
        default=[],
        metavar="CSV",
        help="training tables (models/scripts/dataset), labelled by city-n's classes",
    )
    pictures.add_argument("--split", default="test", help="of the tables (default: %(default)s)")
    pictures.add_argument("--sources", nargs="+", default=[], metavar="SOURCE", help="only pictures of these")

    detector = frames.add_argument_group("detector (default: the model city-n)")
    detector.add_argument("--config", type=Path, metavar="DIR", help="configuration folder that --detector is of")
    detector.add_argument("--detector", metavar="NAME", help="a detector of it")
    model = "a model of the registry, in a form if you like (city-n:int8), or a file"
    detector.add_argument("--model", metavar="NAME|FILE", help=model)
    detector.add_argument(
        "--beside",
        metavar="NAME|FILE",
        help="a second detector of --config or model: AP50 of both on the same pictures",
    )
    detector.add_argument(
        "--confidence",
        default="per-class",
        metavar="POINTS",
        help="from where on a detection counts: per-class (as the model or detector says), 0.4, or fire=0.4,water=0.3"
        " (default: %(default)s)",
    )

    frames.add_argument(
        "--wanted",
        action="append",
        default=[],
        metavar="CLASS:WHAT",
        help="what must hold, beside the set's own: fire_or_smoke:precision=0.9,recall=0.8 by picture, or vehicle:lost=0,"
        " points of AP50 against --beside; may be given again",
    )
    frames.add_argument("--require", action="store_true", help="1 unless all that is wanted holds")
    frames.add_argument(
        "--plots",
        type=Path,
        metavar="DIR",
        help="curves, and pictures of what was missed and what was false, as a page",
    )
    form = frames.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="every figure as JSON")
    form.add_argument("--markdown", action="store_true", help="tables for a model's card")


def _add_scenes(scenes: argparse.ArgumentParser) -> None:
    scenes.add_argument(
        "--set", type=Path, metavar="DIR", help="a configuration folder with truth.yaml (default: the set that ships)"
    )
    scenes.add_argument("--clips", type=Path, metavar="DIR", help="where the clips are that are not part of the set")
    scenes.add_argument(
        "--config",
        type=Path,
        metavar="DIR",
        help="a city's configuration: its detectors look, and its scenes judge in place of the shipped ones",
    )
    scenes.add_argument("--only", nargs="+", action="extend", metavar="CLIP", help="these clips only")
    scenes.add_argument(
        "--hours", type=float, metavar="H", help="how long ordinary footage is played in all (default: as the set says)"
    )
    scenes.add_argument("--workers", type=int, metavar="N", help="processes at once (default: one a core)")
    scenes.add_argument("--plots", type=Path, metavar="DIR", help="a timeline of each clip as SVG, and a page with all")
    form = scenes.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="everything as one JSON object")
    form.add_argument("--markdown", action="store_true", help="tables for a page")
