"""How the two stages' states are stored: versioned JSON, so that a restart anywhere goes on as if nothing had been."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from citybrain.domain.case import CaseState
from citybrain.domain.detection import Detection
from citybrain.domain.episode import Evidence
from citybrain.domain.geometry import Box
from citybrain.errors import Unreadable
from citybrain.wire import case_fields, evidence_fields, read_case, read_evidence, read_silence, silence_fields
from pipeline.calendar import Counts
from pipeline.camera_flow import CameraState, Held, Watch
from pipeline.cases.records import LocalityState
from pipeline.episode import Episode
from pipeline.grouping import CaseRecord, Sighting
from pipeline.looking_again import Asked
from pipeline.loop import Absorbed, Undo, Verification
from pipeline.pace import Pace
from pipeline.silences import Silences

VERSION = 1
_INSTANTS = ("began_at", "last_true_at", "last_usable_at", "last_look_at", "confirmed_at", "last_false_at")
_ASKED_INSTANTS = ("asked_at", "said_at", "true_since", "true_at", "usable_at")
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
            "asked": {key: _asked(each) for key, each in state.asked.items()},
            "taken_up_at": _seconds(state.taken_up_at),
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
        asked={key: _read_asked(each) for key, each in fields.get("asked", {}).items()},
        taken_up_at=_instant(fields.get("taken_up_at")),
    )


def write_locality(state: LocalityState) -> bytes:
    return _dumps({"v": VERSION, "records": [_record(each) for each in state.records], "counts": dict(state.counts)})


def read_locality(raw: bytes) -> LocalityState:
    fields = _loads(raw)
    return LocalityState([_read_record(each) for each in fields["records"]], fields["counts"])


def write_silences(silences: Silences) -> bytes:
    return _dumps({"v": VERSION, "silences": [silence_fields(each) for each in silences.values()]})


def read_silences(raw: bytes) -> Silences:
    return {each.id: each for each in map(read_silence, _loads(raw)["silences"])}


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


def _asked(asked: Asked) -> dict[str, Any]:
    return {
        "locality": asked.locality,
        **{name: _seconds(getattr(asked, name)) for name in _ASKED_INSTANTS},
        "answered": asked.answered,
        "blind": asked.blind,
    }


def _read_asked(fields: Mapping[str, Any]) -> Asked:
    return Asked(
        locality=fields["locality"],
        **{name: _instant(fields[name]) for name in _ASKED_INSTANTS},  # type: ignore[arg-type]  # the first two are never None
        answered=fields["answered"],
        blind=fields["blind"],
    )


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
        "notice": record.notice,
        "pace": _pace(record.pace),
        "undo": [record.undo.state.value, record.undo.judged] if record.undo else None,
        "into_locality": record.into_locality,
        "absorbed": [_absorbed(each) for each in record.absorbed],
        "verification": _verification(record.verification) if record.verification else None,
    }


def _read_record(fields: Mapping[str, Any]) -> CaseRecord:
    return CaseRecord(
        case=read_case(fields["case"]),
        sightings={place: _read_sighting(each) for place, each in fields["sightings"].items()},
        dispatch=fields["dispatch"],
        done=tuple(fields["done"]),
        rejected_at=_instant(fields["rejected_at"]),
        notice=fields.get("notice", 1),
        pace=_read_pace(fields["pace"]) if "pace" in fields else Pace(),
        undo=_read_undo(fields.get("undo")),
        into_locality=fields.get("into_locality"),
        absorbed=tuple(_read_absorbed(each) for each in fields.get("absorbed", ())),
        verification=_read_verification(fields.get("verification")),
    )


def _read_undo(fields: Sequence[Any] | None) -> Undo | None:
    return Undo(CaseState(fields[0]), fields[1]) if fields else None


def _absorbed(absorbed: Absorbed) -> dict[str, Any]:
    return {
        "case": absorbed.case,
        "cameras": absorbed.cameras,
        "evidence": absorbed.evidence,
        "reports": absorbed.reports,
        "places": absorbed.places,
    }


def _read_absorbed(fields: Mapping[str, Any]) -> Absorbed:
    return Absorbed(
        case=fields["case"],
        cameras=tuple(fields["cameras"]),
        evidence=tuple(fields["evidence"]),
        reports=tuple(fields["reports"]),
        places=fields["places"],
    )


def _verification(verification: Verification) -> dict[str, Any]:
    return {
        "asked_at": _seconds(verification.asked_at),
        "said_at": _seconds(verification.said_at),
        "waiting": verification.waiting,
        "blind": sorted(verification.blind),
        "gone": sorted(verification.gone),
    }


def _read_verification(fields: Mapping[str, Any] | None) -> Verification | None:
    if not fields:
        return None
    return Verification(
        asked_at=datetime.fromtimestamp(fields["asked_at"], UTC),
        said_at=datetime.fromtimestamp(fields["said_at"], UTC),
        waiting=fields["waiting"],
        blind=frozenset(fields["blind"]),
        gone=frozenset(fields["gone"]),
    )


def _pace(pace: Pace) -> dict[str, Any]:
    return {
        "allowed": pace.allowed.total_seconds(),
        "counts": pace.counts.value,
        "every": pace.every.total_seconds(),
        "escalate_at": _seconds(pace.escalate_at),
        "stopped_at": _seconds(pace.stopped_at),
        "resume_at": _seconds(pace.resume_at),
    }


def _read_pace(fields: Mapping[str, Any]) -> Pace:
    return Pace(
        allowed=timedelta(seconds=fields["allowed"]),
        counts=Counts(fields["counts"]),
        every=timedelta(seconds=fields["every"]),
        escalate_at=_instant(fields["escalate_at"]),
        stopped_at=_instant(fields["stopped_at"]),
        resume_at=_instant(fields["resume_at"]),
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
