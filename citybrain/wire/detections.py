"""Topic `detections`: one look of one camera."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from citybrain.clock import iso
from citybrain.domain.detection import LOOK_SIDE, Detection, Detections, Finding, Looked, Usable
from citybrain.errors import Unreadable
from citybrain.wire.fields import (
    VERSION,
    as_written,
    box_of,
    dumps,
    flag,
    instant_of,
    loads,
    maybe,
    maybe_instant,
    need,
    one_of,
    stamps_of,
    versioned,
)

DETECTIONS = "detections"


def write_detections(seen: Detections) -> bytes:
    return dumps(
        {
            "v": VERSION,
            "camera": seen.camera,
            "captured_at": iso(seen.captured_at),
            "clock_ok": seen.clock_ok,
            "usable": seen.usable.value,
            "looked": seen.looked.value,
            "seq": seen.seq,
            **({"taken_up_at": iso(seen.taken_up_at)} if seen.taken_up_at else {}),
            "stamps": {name: iso(at) for name, at in seen.stamps.items()},
            "model": seen.model,
            "evidence": seen.evidence,
            **({"findings": [each.value for each in seen.findings]} if seen.findings else {}),
            "boxes": [_write_box(each) for each in seen.detections],
        }
    )


def _write_box(each: Detection) -> dict[str, Any]:
    written: dict[str, Any] = {
        "label": each.label,
        "confidence": round(each.confidence, 4),
        "box": each.box.as_list(),
    }
    if each.look is not None:
        written["look"] = base64.b64encode(each.look).decode()
    return written


def read_detections(raw: bytes | str) -> Detections:
    fields = versioned(loads(raw))
    boxes = need(fields, "boxes", list)
    return Detections(
        camera=need(fields, "camera", str),
        captured_at=instant_of(fields, "captured_at"),
        seq=need(fields, "seq", int),
        usable=one_of(fields, "usable", Usable),
        looked=one_of(fields, "looked", Looked),
        clock_ok=flag(fields, "clock_ok", default=True),
        stamps=stamps_of(fields),
        model=maybe(fields, "model", str),
        evidence=maybe(fields, "evidence", str),
        findings=_findings(fields),
        taken_up_at=maybe_instant(fields, "taken_up_at"),
        detections=tuple(_read_box(each, f"boxes[{index}]") for index, each in enumerate(boxes)),
    )


def _findings(fields: Mapping[str, Any]) -> tuple[Finding, ...]:
    """Those that this version knows: a finding decides nothing, so that one of a newer version may be passed over."""
    told = maybe(fields, "findings", list) or []
    return tuple(each for each in Finding if each.value in told)


def _read_box(each: Any, where: str) -> Detection:
    if not isinstance(each, dict):
        raise Unreadable(f"{where}: expected an object, got {each!r}")
    confidence = each.get("confidence")
    if isinstance(confidence, bool) or not isinstance(confidence, int | float) or not 0 <= confidence <= 1:
        raise Unreadable(f"{where}.confidence: expected 0..1, got {confidence!r}")
    label = each.get("label")
    if not isinstance(label, str):
        raise Unreadable(f"{where}.label: expected str, got {label!r}")
    return Detection(label, as_written(confidence), box_of(each, where), _look(each.get("look"), where))


def _look(text: Any, where: str) -> bytes | None:
    if text is None:
        return None
    try:
        look = base64.b64decode(text, validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise Unreadable(f"{where}.look: expected base64, got {str(text)[:40]!r}") from None
    if len(look) != LOOK_SIDE * LOOK_SIDE:
        raise Unreadable(f"{where}.look: expected {LOOK_SIDE * LOOK_SIDE} bytes, got {len(look)}")
    return look
