"""How messages look in JSON: versioned, readers ignore what they do not know, and what cannot be read says why.

Topics: `detections` (Detections), `commands` (citybrain.domain.command), `case-events` (CaseEvent as CloudEvents 1.0).
Every reader raises Unreadable naming the field, what was expected and what was found.
"""

from citybrain.wire.case_events import (
    CASE_EVENTS,
    case_fields,
    read_case,
    read_case_event,
    write_case_event,
)
from citybrain.wire.commands import COMMANDS, read_command, read_silence, silence_fields, write_command
from citybrain.wire.detections import DETECTIONS, read_detections, write_detections
from citybrain.wire.evidence import evidence_fields, read_evidence
from citybrain.wire.fields import VERSION, dumps, loads

__all__ = [
    "CASE_EVENTS",
    "COMMANDS",
    "DETECTIONS",
    "VERSION",
    "case_fields",
    "dumps",
    "evidence_fields",
    "loads",
    "read_case",
    "read_case_event",
    "read_command",
    "read_detections",
    "read_evidence",
    "read_silence",
    "silence_fields",
    "write_case_event",
    "write_command",
    "write_detections",
]
