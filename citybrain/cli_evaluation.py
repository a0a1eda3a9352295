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


def _add_frames(frames: argparse.ArgumentParser) -> None:
    frames.add_argument("--set", type=Path, action="append", metavar="DIR", help="a labelled set; may be given again")
