"""Tells before start whether a detector's model is there, unaltered, and can be loaded."""

from __future__ import annotations

from citybrain.errors import Fault, ModelUnusable
from detectors.batching import open_detector
from detectors.config import DetectorSettings, backend_file
from detectors.registry import read_verified


def verify(settings: DetectorSettings, *, load: bool) -> list[Fault]:
    """What is wrong with the detector's model: its files, their hashes, and with `load` whether it can be loaded."""
    faults = []
    try:
        for path in backend_file(settings.backend).files(settings.for_backend()):
            try:
                read_verified(settings.model, path)
            except ModelUnusable as error:
                faults.append(_fault(settings, error))
        if load and not faults:
            with open_detector(settings) as detector:
                detector.warmup()
    except ModelUnusable as error:
        faults.append(_fault(settings, error))
    return faults


def _fault(settings: DetectorSettings, error: ModelUnusable) -> Fault:
    message, _, remedy = str(error).partition("; ")
    return Fault(settings.file, "model", f"{message}.", f"{remedy[:1].upper()}{remedy[1:]}." if remedy else "")
