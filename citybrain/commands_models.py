"""What `citybrain models` does: list the registry, prove what is in it, and mine what the next model learns from."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from itertools import groupby
from pathlib import Path
from typing import Any

from citybrain.errors import UsageError
from detectors.registry import Model, find_models, list_models

DONE, FAILED = 0, 1
KEY = "CITYBRAIN_KEY"


def listed(given: argparse.Namespace) -> int:
    """The registry's models: name, version, classes, forms, licence."""
    for model in list_models(find_models(Path.cwd())):
        entry = model.entry
        if entry is None:  # a registry holds entries only; a path of one's own is in none
            continue
        fields: dict[str, Any] = {
            "name": model.name,
            "architecture": entry.architecture,
            "classes": list(entry.classes),
            "forms": sorted(form for form, files in entry.files if files),
            "licence": entry.licence,
            "card": entry.card,
        }
        if given.json:
            print(json.dumps(fields, ensure_ascii=False))
        else:
            print("  ".join(", ".join(each) if isinstance(each, list) else str(each) for each in fields.values()))
    return DONE


def verified(given: argparse.Namespace) -> int:
    """A line for each form, and for each thing that is wrong, on stderr, or for each that was asked as JSON; 1 when any is."""
    from detectors.proof import Outcome, prove

    counts: Counter[Outcome] = Counter()
    for model in _chosen(given.registry, given.names):
        for _, checks in groupby(prove(model), key=lambda each: (each.form, each.shape)):
            well = []
            for check in checks:
                counts[check.outcome] += 1
                if given.json:
                    fields = {name: getattr(check, name) for name in check.__slots__}
                    print(json.dumps(fields, ensure_ascii=False), flush=True)
                elif check.outcome is Outcome.OK:
                    well.append(check)
                elif check.outcome is Outcome.FAILED:
                    print(f"WRONG    {check}", file=sys.stderr, flush=True)
                else:
                    print(f"not run  {check}", flush=True)
            if well:
                more = f", and {len(well) - 1} more" if len(well) > 1 else ""
                print(f"ok       {well[0]}{more}", flush=True)
    said = f"{counts[Outcome.OK]} ok, {counts[Outcome.FAILED]} wrong, {counts[Outcome.NOT_RUN]} not run"
    print(said, file=sys.stderr)
    return FAILED if counts[Outcome.FAILED] else DONE


def _chosen(registry: Path | None, names: list[str]) -> list[Model]:
    """The models of those names, or all. Raises UsageError for a name that is none."""
    found = list_models(registry or find_models(Path.cwd()))
    known = {model.name.partition("@")[0]: model for model in found} | {model.name: model for model in found}
    if unknown := [each for each in names if each not in known]:
        raise UsageError(f"models: there is no {unknown[0]!r}; the registry has {', '.join(m.name for m in found)}")
    return [known[each] for each in names] if names else found


def mined(given: argparse.Namespace) -> int:
    """The set made or gone on with, and what was counted on the way."""
    from citybrain.mining import rejections
    from citybrain.mining.labelling import Labeller
    from citybrain.mining.mine import Wanted, mine

    if not 0 < given.confidence < 1:
        raise UsageError(f"--confidence: expected a number between 0 and 1, got {given.confidence}")
    (model,) = _chosen(given.registry, [given.model])
    key = given.key or os.environ.get(KEY)
    source = rejections.of_folder(given.data) if given.data is not None else rejections.of_api(given.api, key=key)
    wanted = Wanted(given.since, given.scene, given.limit, any_reason=given.any_reason)
    with source, Labeller(model, confidence=given.confidence) as labeller:
        report = mine(source, labeller, given.out, wanted)
    if given.json:
        print(json.dumps(report.fields(), ensure_ascii=False))
    else:
        for line in report.lines():
            print(line)
    return DONE
