"""How the two stages' states are stored: versioned JSON, so that a restart anywhere goes on as if nothing had been."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from citybrain.domain.detection import Detection
from citybrain.domain.episode import Evidence
from citybrain.domain.geometry import Box
from citybrain.errors import Unreadable
from citybrain.wire import case_fields, evidence_fields, read_case, read_evidence
from pipeline.camera_flow import CameraState, Held, Watch
from pipeline.cases.records import LocalityState
from pipeline.episode import Episode
from pipeline.grouping import CaseRecord, Sighting

VERSION = 1
_INSTANTS = ("began_at", "last_true_at", "last_usable_at", "last_look_at", "confirmed_at", "last_false_at")
_SPANS = ("cleared", "observed", "assumed", "doubted", "unseen")


def write_camera(state: CameraState) -> bytes:
    return _dumps(
        {
            "v": VERSION,
            "last_at": _seconds(state.last_at),
            "last_seq": state.last_seq,
            "looks": state.looks,
            "looks_lost": state.looks_lost,
            "watches": {
                key: {"memory": watch.memory, "held": {place: _held(held) for place, held in watch.held.items()}}
                for key, watch in state.watches.items()
                if watch.memory or watch.held
            },
            "ledgers": state.ledgers,
        }
    )


def read_camera(raw: bytes) -> CameraState:
    fields = _loads(raw)
    return CameraState(
        last_at=_instant(fields["last_at"]),
        last_seq=fields["last_seq"],
        looks=fields["looks"],
        looks_lost=fields["looks_lost"],
        watches={
            key: Watch(each["memory"], {place: _read_held(held) for place, held in each["held"].items()})
            for key, each in fields["watches"].items()
        },
        ledgers=fields["ledgers"],
    )


def write_locality(state: LocalityState) -> bytes:
    return _dumps({"v": VERSION, "records": [_record(each) for each in state.records], "counts": dict(state.counts)})


def read_locality(raw: bytes) -> LocalityState:
    fields = _loads(raw)
    return LocalityState([_read_record(each) for each in fields["records"]], fields["counts"])


def _held(held: Held) -> dict[str, Any]:
    return {
        "episode": _episode(held.episode),
        "tally": held.tally,
        "seen": [held.seen.label, held.seen.confidence, held.seen.box.as_list()],
        "first": evidence_fields(held.first) if held.first else None,
        "last": evidence_fields(held.last) if held.last else None,
        "withheld": held.withheld,
    }


def _read_held(fields: Mapping[str, Any]) -> Held:
    label, confidence, box = fields["seen"]
    return Held(
        episode=_read_episode(fields["episode"]),
        tally=fields["tally"],
        seen=Detection(label, confidence, Box(*box)),
        first=_read_evidence(fields["first"]),
        last=_read_evidence(fields["last"]),
        withheld=fields["withheld"],
    )


def _read_evidence(fields: Mapping[str, Any] | None) -> Evidence | None:
    return read_evidence(fields) if fields else None


def _episode(episode: Episode) -> dict[str, Any]:
    return {
        **{name: _seconds(getattr(episode, name)) for name in _INSTANTS},
        **{name: getattr(episode, name).total_seconds() for name in _SPANS},
        "false_since_true": episode.false_since_true,
        "blind": episode.blind,
    }


def _read_episode(fields: Mapping[str, Any]) -> Episode:
    return Episode(
        **{name: _instant(fields[name]) for name in _INSTANTS},  # type: ignore[arg-type]  # the first four are never None
        **{name: timedelta(seconds=fields[name]) for name in _SPANS},  # type: ignore[arg-type]
        false_since_true=fields["false_since_true"],
        blind=fields["blind"],
    )


def _record(record: CaseRecord) -> dict[str, Any]:
    return {
        "case": case_fields(record.case),
        "sightings": {place: _sighting(each) for place, each in record.sightings.items()},
        "dispatch": record.dispatch,
        "done": list(record.done),
        "rejected_at": _seconds(record.rejected_at),
    }


def _read_record(fields: Mapping[str, Any]) -> CaseRecord:
    return CaseRecord(
        case=read_case(fields["case"]),
        sightings={place: _read_sighting(each) for place, each in fields["sightings"].items()},
        dispatch=fields["dispatch"],
        done=tuple(fields["done"]),
        rejected_at=_instant(fields["rejected_at"]),
    )


def _sighting(sighting: Sighting) -> dict[str, Any]:
    return {
        "camera": sighting.camera,
        "began_at": _seconds(sighting.began_at),
        "box": sighting.box.as_list() if sighting.box else None,
        "ground": sighting.ground,
        "shared_place": sighting.shared_place,
        "open": sighting.open,
        "blind": sighting.blind,
    }


def _read_sighting(fields: Mapping[str, Any]) -> Sighting:
    return Sighting(
        camera=fields["camera"],
        began_at=datetime.fromtimestamp(fields["began_at"], UTC),
        box=Box(*fields["box"]) if fields["box"] else None,
        ground=tuple(fields["ground"]) if fields["ground"] else None,
        shared_place=fields["shared_place"],
        open=fields["open"],
        blind=fields["blind"],
    )


def _seconds(at: datetime | None) -> float | None:
    return None if at is None else round(at.timestamp(), 3)


def _instant(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _dumps(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _loads(raw: bytes) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(raw)
    if fields.get("v") != VERSION:
        raise Unreadable(f"stored state has version {fields.get('v')!r}, expected {VERSION}; upgrade or replay the log")
    return fields
