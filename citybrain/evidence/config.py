"""safety.yaml: whether faces and plates are masked, and whose. A city without the file masks."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from citybrain.configuration import Section, did_you_mean, parse, read
from citybrain.errors import Fault
from citybrain.evidence.regions import Masking

DEFAULT = Masking()


class SafetyFile(Section):
    """The file's keys."""

    masking: bool = DEFAULT.on
    heads_of: tuple[str, ...] = tuple(DEFAULT.heads_of)
    plates_of: tuple[str, ...] = tuple(DEFAULT.plates_of)


def load(path: Path, *, labels: Collection[str], faults: list[Fault]) -> Masking:
    """How pictures are masked; as if the file were not there after adding a fault.

    `labels` are those of all detectors, empty when they are not known: a misspelt label would leave faces to be seen.
    """
    if not path.exists():
        return DEFAULT
    file = parse(SafetyFile, read(path, faults=faults), file=str(path), faults=faults)
    if file is None:
        return DEFAULT
    for key in sorted(file.model_fields_set & {"heads_of", "plates_of"}):
        for label in getattr(file, key):
            if labels and label not in labels:
                message = f"{label!r} is not a label of any detector."
                faults.append(Fault(str(path), key, message, did_you_mean(label, labels)))
    return Masking(on=file.masking, heads_of=file.heads_of, plates_of=file.plates_of)
