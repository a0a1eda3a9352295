"""Seals beside the evidence, for a city of many machines: written once each, by whichever worker has the case.

    seals/<case>/000001.json    {"document": base64, "signature": base64}; the first to write a number has it

The document follows from the event, the content and the seal before it, and Ed25519 signs the same bytes in one way only: an event
that two workers seal, or one worker twice, has one seal.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Sequence
from urllib.parse import quote

from citybrain.domain.case import CaseEvent
from citybrain.domain.episode import Evidence
from citybrain.errors import Transient, Unreadable
from citybrain.evidence.objects import Objects
from citybrain.evidence.seals import Seal, canonical, document_of
from citybrain.evidence.signer import Signer
from citybrain.ports import EvidenceStore

_TRIES = 5  # how often another worker may have been quicker
_CASES = 2000  # whose seals are remembered


class StoredSeals:
    """Sealing in what keeps evidence. Safe to share between threads."""

    def __init__(self, objects: Objects, signer: Signer, evidence: EvidenceStore) -> None:
        self._objects, self._signer, self._evidence = objects, signer, evidence
        self._known: OrderedDict[str, list[Seal]] = OrderedDict()
        self._lock = threading.Lock()

    def seal(self, event: CaseEvent, evidence: Evidence) -> bool:
        case = event.case.id
        if any(_ref(each) == evidence.ref for each in self._remembered(case)):
            return True
        for _ in range(_TRIES):
            before = self.of(case)
            if any(_ref(each) == evidence.ref for each in before):
                return True
            try:
                content = self._evidence.get(evidence.ref)
            except KeyError:
                return False
            previous = before[-1].hash if before else None
            document = document_of(event, evidence, content, n=len(before) + 1, previous=previous)
            seal = Seal(document, self._signer.sign(document))
            if self._objects.put_new(_key(case, len(before) + 1), _written(seal)):
                self._remember(case, [*before, seal])
                return True
        raise Transient(f"{case}: others were quicker {_TRIES} times")

    def of(self, case: str) -> Sequence[Seal]:
        """Raises Unreadable for what is no seal."""
        known = self._remembered(case)
        seals = [
            *known,
            *(_read(key, self._objects.get(key)) for key in self._objects.keys(_folder(case))[len(known) :]),
        ]
        self._remember(case, seals)
        return seals

    def _remembered(self, case: str) -> list[Seal]:
        with self._lock:
            return self._known.get(case, [])

    def _remember(self, case: str, seals: list[Seal]) -> None:
        with self._lock:
            self._known[case] = seals
            self._known.move_to_end(case)
            while len(self._known) > _CASES:
                self._known.popitem(last=False)


def _folder(case: str) -> str:
    name = quote(case, safe="").replace(".", "%2E")  # no name leads elsewhere
    return f"seals/{name}/"


def _key(case: str, n: int) -> str:
    return f"{_folder(case)}{n:06}.json"


def _written(seal: Seal) -> bytes:
    return canonical({name: base64.b64encode(getattr(seal, name)).decode() for name in ("document", "signature")})


def _read(key: str, content: bytes) -> Seal:
    try:
        fields = json.loads(content)
        return Seal(*(base64.b64decode(fields[name], validate=True) for name in ("document", "signature")))
    except (ValueError, TypeError, KeyError, binascii.Error):
        raise Unreadable(f"{key}: expected a seal, got {hashlib.sha256(content).hexdigest()[:16]}…") from None


def _ref(seal: Seal) -> str:
    return str(json.loads(seal.document)["ref"])
