"""What a model's card must say: which version it is for, its classes, its licence, and the sections that nobody may leave out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from detectors.registry import Entry


@dataclass(frozen=True, slots=True)
class Part:
    """A part that every card has: its heading's first words, what must stand in it, and what it is for."""

    heading: str
    holds: str
    about: str


PARTS = (
    Part("Data", r"licen[cs]e", "where the pictures come from, under which licences"),
    Part("Data", r"(?i)\bsplits?\b", "how they were split, by what, and what is held out"),
    Part("Figures", r"95\s?%", "what was measured, with 95 % intervals"),
    Part("Where it fails", r"\w", "where it fails"),
    Part("Again", r"`|\]\(", "how it is made and measured again: the commands, or a link to them"),
)


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Something that the card does not say, or says otherwise than the registry."""

    about: str
    expected: str
    got: str
    remedy: str


def disagreements(card: Path, entry: Entry) -> Iterator[Disagreement]:
    """What is wrong with a card, by what the registry says of the model."""
    try:
        text = card.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        yield Disagreement("card", str(card), f"it cannot be read ({type(error).__name__})", "Write it.")
        return
    told = re.search(r"(?i)\bfor\s+(version\s+(\d+))", text)  # it may speak of other versions, and of a data set's
    if told is None or int(told[2]) != entry.version:
        wanted, got = f"This card is for version {entry.version}", "none" if told is None else told[1]
        yield Disagreement("version", wanted, got, "Measure anew, and write the card for it.")
    classes = classes_of(text)
    if classes != entry.classes:
        yield Disagreement(
            "classes", " ".join(entry.classes), " ".join(classes) or "none", "Correct its first table, in their order."
        )
    if entry.licence not in text:
        yield Disagreement("licence", entry.licence, "it does not say so", "Name the licence as the registry does.")
    if entry.findings is not None and Path(entry.findings).name not in text:
        yield Disagreement(
            "findings", Path(entry.findings).name, "it does not name it", "Say what it must find, and where."
        )
    for part in PARTS:
        found = _section(text, part.heading)
        if found is None:
            yield Disagreement("sections", f"## {part.heading}…", "there is none", f"Say {part.about}.")
        elif re.search(part.holds, found) is None:
            yield Disagreement(
                "sections", f"{part.about}, in ## {part.heading}…", "it does not say", f"Say {part.about}."
            )


def classes_of(text: str) -> tuple[str, ...]:
    """The classes of the card's first table, in their order: words in code in its second column."""
    rows = text.partition("\n## ")[0].splitlines()
    cells = [row.split("|")[2] for row in rows if row.startswith("|") and row.count("|") > 2]
    return tuple(word for cell in cells for code in re.findall(r"`([^`]+)`", cell) for word in code.split())


def _section(text: str, heading: str) -> str | None:
    """Everything below the headings of the second level that begin so."""
    parts = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    found = [part.partition("\n")[2] for part in parts if part.startswith(heading)]
    return "\n".join(found) if found else None
