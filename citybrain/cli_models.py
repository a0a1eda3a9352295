"""The words of `citybrain models`: which there are, whether they are what is said of them, what the next one learns from."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

Command = Callable[[argparse.Namespace], int]
_COMMANDS = "citybrain.commands_models"
PSEUDO = 0.4
"""From which confidence on what the present model sees becomes a label of the next one's."""


def add_models(
    commands: Any, lazily: Callable[[str, str], Command], *, instant: Callable[[str], Any], count: Callable[[str], int]
) -> None:
    """`models`, which lists when it is told nothing else; `instant` and `count` read such words."""
    about = "the models of the registry"
    models = commands.add_parser("models", help=about, description=about[:1].upper() + about[1:] + ".")
    models.set_defaults(run=lazily("listed", _COMMANDS))
    models.add_argument("--json", action="store_true", help="as JSON lines")
    actions = models.add_subparsers(dest="action", metavar="ACTION")

    def action(name: str, run: str, about: str) -> argparse.ArgumentParser:
        added: argparse.ArgumentParser = actions.add_parser(
            name, help=about, description=about[:1].upper() + about[1:] + "."
        )
        added.set_defaults(run=lazily(run, _COMMANDS))
        return added

    listed = action("list", "listed", "name, version, classes, forms and licence of each; so does `models` alone")
    verify = action(
        "verify", "verified", "files, card and findings of each in every form that can be run here; 1 when one is wrong"
    )
    mine = action(
        "mine",
        "mined",
        "pictures of rejected cases as a labelled set for the next training; a second run adds what is new",
    )
    for each in (listed, verify, mine):
        # The word may stand before or behind the action: what is not said behind it must not unsay it.
        each.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="as JSON lines")
    for each in (verify, mine):
        each.add_argument("--registry", type=Path, metavar="DIR", help="the folder with registry.yaml")
    verify.add_argument("names", nargs="*", metavar="NAME", help="only these, such as city-n")
    _add_mine(mine, instant=instant, count=count)


def _add_mine(mine: argparse.ArgumentParser, *, instant: Callable[[str], Any], count: Callable[[str], int]) -> None:
    where = mine.add_mutually_exclusive_group(required=True)
    where.add_argument("--data", type=Path, metavar="DIR", help="a city's data folder")
    where.add_argument("--api", metavar="URL", help="a running city, wherever its cases and pictures lie")
    mine.add_argument("--key", metavar="KEY", help="for --api: a key of the role operator (else $CITYBRAIN_KEY)")
    mine.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the set is, or shall be")
    mine.add_argument("--since", type=instant, metavar="ISO", help="only cases filed from then on")
    mine.add_argument("--scene", metavar="NAME", help="only cases of this scene")
    mine.add_argument("--limit", type=count, metavar="N", help="take up this many pictures at most")
    mine.add_argument("--any-reason", action="store_true", help="rejected in other words than the wall's, too")
    mine.add_argument(
        "--model", default="city-n", metavar="NAME", help="what labels everything else (default: %(default)s)"
    )
    mine.add_argument(
        "--confidence",
        type=float,
        default=PSEUDO,
        metavar="SHARE",
        help="from which on it does (default: %(default)s)",
    )
