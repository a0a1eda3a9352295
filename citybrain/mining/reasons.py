"""What a rejection says of the picture that the case was filed by: most reasons say nothing of it.

The wall offers six words (events_api/wall/dialogs.js); a dispatch system, and whoever calls the API, may say anything.

not_there     nothing there, the detector was wrong           a negative
wrong_kind    something else than it says                     a negative where the label names the problem itself (fire, a stall);
                                                              of a car it says what it does, not that it is none
permitted     allowed here                                    it is there, and rightly seen
duplicate     the same as another case                        it is there, and rightly seen
bad_picture   cannot be told from the picture                 nothing can be learnt from it
other, …      in words                                        unknown: people read these, not a program
"""

from __future__ import annotations

from enum import StrEnum

EVERYDAY = frozenset({"person", "bicycle", "car", "motorcycle", "bus", "truck"})
"""What stands in a street by right: a scene about it judges what it does there."""
TOGETHER = (frozenset({"car", "bus", "truck"}), frozenset({"fire", "smoke"}))
"""What scenes ask for together, and a model takes for one another: who says that there is none of one means all."""
KNOWN = frozenset({"not_there", "wrong_kind", "permitted", "duplicate", "bad_picture"})
"""The wall's words; `other` comes with a note, which is not read."""


class Says(StrEnum):
    """What a reason makes of the picture."""

    NEGATIVE = "negative"
    NOT_OF_THE_PICTURE = "not about the picture"
    THERE_BY_RIGHT = "about what it does, not what it is"
    CANNOT_BE_TOLD = "cannot be told from the picture"
    UNKNOWN = "unknown reason"


def says(reason: str, label: str, *, any_reason: bool = False) -> Says:
    """What this reason says of a picture in which the label was seen; `any_reason` believes those that are not known."""
    match reason:
        case "not_there":
            return Says.NEGATIVE
        case "wrong_kind":
            return Says.THERE_BY_RIGHT if label in EVERYDAY else Says.NEGATIVE
        case "permitted" | "duplicate":
            return Says.NOT_OF_THE_PICTURE
        case "bad_picture":
            return Says.CANNOT_BE_TOLD
    return Says.NEGATIVE if any_reason else Says.UNKNOWN


def meant(label: str, classes: tuple[str, ...]) -> frozenset[str]:
    """The classes that are denied together with a label; all of them when it is no class of the model."""
    if label not in classes:
        return frozenset(classes)
    return next((group for group in TOGETHER if label in group), frozenset({label}))


def written(reason: str) -> str:
    """The reason as it may be handed on: one of the wall's words. What people wrote themselves may name somebody."""
    return reason if reason in KNOWN else "other"
