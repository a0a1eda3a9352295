"""How stage one's changes travel to stage two: versioned JSON that gives back exactly what was written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple
from typing import Any

from citybrain.clock import instant, iso
from citybrain.domain.episode import ChangeKind, EpisodeChange
from citybrain.domain.geometry import Box
from citybrain.errors import Unreadable
from citybrain.wire import dumps, evidence_fields, loads, read_evidence

VERSION = 1
_SPANS = ("confidence", "observed_s", "assumed_s", "unseen_s")
_WORDS = ("scene", "camera", "zone", "place", "locality", "label", "reason")


def write_change(change: EpisodeChange, *, n: int) -> bytes:
    """`n` numbers the changes of one look: with its camera and instant it says which change this is."""
    return dumps(
        {
            "v": VERSION,
            "n": n,
            "kind": change.kind.value,
            **{name: getattr(change, name) for name in (*_WORDS, *_SPANS)},
            "began_at": iso(change.began_at),
            "at": iso(change.at),
            "box": None if change.box is None else list(astuple(change.box)),  # as it is: `as_list` would round it
            "shared_place": change.shared_place,
            "ground": change.ground,
            "evidence": [evidence_fields(each) for each in change.evidence],
            "stamps": {name: iso(at) for name, at in change.stamps.items()},
            "model": change.model,
        }
    )


def read_change(raw: bytes) -> tuple[EpisodeChange, int]:
    """The change and its number within its look. Raises Unreadable for what stage one never wrote."""
    fields = loads(raw)
    if fields.get("v") != VERSION:
        raise Unreadable(f"v: expected {VERSION}, got {fields.get('v')!r}; upgrade both stages together")
    try:
        return _read(fields), int(fields["n"])
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise Unreadable(f"expected a change of an episode, got {raw[:60]!r} ({error!r})") from None


def _read(fields: Mapping[str, Any]) -> EpisodeChange:
    return EpisodeChange(
        kind=ChangeKind(fields["kind"]),
        **{name: str(fields[name]) for name in _WORDS},  # type: ignore[arg-type]  # each name with its own kind
        **{name: float(fields[name]) for name in _SPANS},  # type: ignore[arg-type]
        began_at=instant(fields["began_at"]),
        at=instant(fields["at"]),
        box=Box(*fields["box"]) if fields["box"] is not None else None,
        shared_place=fields["shared_place"],
        ground=(fields["ground"][0], fields["ground"][1]) if fields["ground"] is not None else None,
        evidence=tuple(read_evidence(each) for each in fields["evidence"]),
        stamps={name: instant(at) for name, at in fields["stamps"].items()},
        model=fields["model"],
    )
