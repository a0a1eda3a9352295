"""A scene evaluation as people and programs read it: tables in text and Markdown, and one JSON object."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from citybrain.evaluation.counting import Count, Fate, Judged
from citybrain.evaluation.scenes import Difference, Evaluation, Row, Sums, told_delays

Table = tuple[tuple[str, ...], list[tuple[str, ...]]]

BY = {"set": "the set's scenes", "shipped": "the shipped scenes"}
_WORDS = 2
"""Columns of a table that hold words, from the left; what follows is set to the right."""


def as_json(found: Evaluation) -> dict[str, Any]:
    """Everything, by clip and in sum; seconds count from the beginning of the playing, or of the event."""
    return {
        "set": str(found.folder),
        "models": sorted({each.playing.model for each in found.rows if each.playing.model}),
        "clips": [_clip(row) for row in found.rows],
        "sums": {by: _sums(found.judged(by)) for by in ("set", "shipped") if found.judged(by).clips},
        "ordinary": _sums(found.ordinary),
        "ordinary_by_the_set": _sums(found.ordinary_besides),
        "within_s": dict(found.within_s),
        "late": found.late,
        "tolerance_s": found.tolerance_s,
        "differences": [
            {"scene": each.scene, "key": each.key, "set": each.own, "shipped": each.shipped}
            for each in found.differences
        ],
        "holds": found.holds,
    }


def as_text(found: Evaluation) -> str:
    """For a terminal."""
    parts = [_told(found), _aligned(clips(found)), _aligned(sums(found)), *_aligned_delays(found), _policy(found)]
    return "\n\n".join(each for each in [*parts, _verdict(found)] if each)


def as_markdown(found: Evaluation) -> str:
    """For a page."""
    parts = [_told(found), _piped(clips(found)), _piped(sums(found))]
    parts += [_piped(delays(found))] if delays(found)[1] else []
    return "\n\n".join(each for each in [*parts, _policy(found), _verdict(found)] if each)


def clips(found: Evaluation) -> Table:
    """A row for each clip."""
    head = (
        "clip",
        "judged by",
        "played, s",
        "looks",
        "usable",
        "events",
        "found",
        "missed",
        "false",
        "twice",
        "filed after, s",
    )
    return head, [
        (
            row.playing.clip,
            row.judged_by,
            f"{row.playing.ended_s + row.playing.every_s:.0f}",
            str(row.playing.looks),
            f"{row.playing.usable / max(1, row.playing.looks):.0%}",
            *_counted(row.count),
            ", ".join(_number(each.to_filed_s) for each in row.count.found) or "–",
        )
        for row in found.rows
    ]


def sums(found: Evaluation) -> Table:
    """A row for each way of judging, and for the ordinary footage."""
    head = ("footage", "judged by", "hours seen", "events", "found", "missed", "false", "twice", "false an hour (95 %)")
    told = [
        ("all clips", BY["set"], found.judged("set")),
        ("all clips", BY["shipped"], found.judged("shipped")),
        ("ordinary", BY["shipped"] if found.ordinary_besides.clips else BY["set"], found.ordinary),
        ("ordinary, besides", BY["set"], found.ordinary_besides),
    ]
    return head, [
        (name, by, f"{each.hours:.3f}", *_summed(each), str(each.false_an_hour))
        for name, by, each in told
        if each.clips
    ]


def delays(found: Evaluation) -> Table:
    """A row for each scene of which something was found: seconds from the events' beginnings."""
    head = ("scene", "judged by", "found", "filed p50", "p95", "max", "confirmed p50", "p95", "max", "allowed")
    rows = []
    for by in ("set", "shipped"):
        judged = found.judged(by)
        for scene in judged.scenes:
            filed, confirmed = judged.delays(scene)
            told = [told_delays(each) for each in (filed, confirmed)]
            allowed = found.within_s.get(scene)
            rows.append(
                (
                    scene,
                    BY[by],
                    str(len(filed)),
                    *(_number(each[key]) for each in told for key in ("p50", "p95", "max")),
                    "–" if allowed is None else _number(allowed),
                )
            )
    return head, rows


def policy(differences: Sequence[Difference]) -> list[str]:
    """A line for each scene of the set that judges otherwise than the shipped one."""
    lines = []
    for scene in dict.fromkeys(each.scene for each in differences):
        keys = [each for each in differences if each.scene == scene]
        if not keys[0].key:
            lines.append(f"{scene}: only in this set")
        else:
            said = ", ".join(f"{each.key} {each.own} (shipped: {each.shipped})" for each in keys)
            lines.append(f"{scene}: {said}")
    return lines


def _told(found: Evaluation) -> str:
    models = ", ".join(sorted({each.playing.model for each in found.rows if each.playing.model}))
    return f"{found.folder}: {len(found.rows)} clips, {models}"


def _policy(found: Evaluation) -> str:
    lines = policy(found.differences)
    return (
        "\n".join(["The set's scenes judge otherwise than the shipped ones:", *(f"- {each}" for each in lines)])
        if lines
        else ""
    )


def _verdict(found: Evaluation) -> str:
    missed = [
        f"{row.playing.clip}: {each.scene} at {each.from_s:g} s missed"
        for row in found.rows
        for each in row.count.missed
    ]
    false = [
        f"{row.playing.clip}: {each.told.scene} at {each.told.confirmed_s:g} s {_FALSE[each.fate]}"
        f" ({each.told.label} {each.told.confidence:.2f}, zone {each.told.zone})"
        for row in found.rows
        for each in row.count.false
    ]
    late = [
        f"{row.playing.clip}: {each.told.scene} filed {_number(each.to_filed_s)} s after its beginning, allowed"
        f" {found.within_s[each.told.scene]:g} s"
        for row in found.rows
        for each in row.count.late(found.within_s)
    ]
    return "\n".join([*missed, *false, *late, "holds" if found.holds else "does not hold"])


_FALSE = {Fate.TWICE: "told twice", Fate.FALSE: "false"}


def _clip(row: Row) -> dict[str, Any]:
    playing = row.playing
    told: dict[str, Any] = {
        "clip": playing.clip,
        "judged_by": row.judged_by,
        "ordinary": row.ordinary,
        "played_s": round(playing.ended_s + playing.every_s, 3),
        "looks": playing.looks,
        "usable": playing.usable,
        "unchanged": playing.unchanged,
        **_count(row.count),
    }
    return told if row.besides is None else told | {"by_the_set": _count(row.besides)}


def _count(count: Count) -> dict[str, Any]:
    return {
        "events": len(count.events),
        "found": len(count.found),
        "missed": [{"scene": each.scene, "from_s": each.from_s, "to_s": each.to_s} for each in count.missed],
        "twice": len(count.twice),
        "false": len(count.false),
        "cases": [_case(each) for each in count.cases],
    }


def _case(judged: Judged) -> dict[str, Any]:
    told = judged.told
    return {
        "scene": told.scene,
        "zone": told.zone,
        "label": told.label,
        "confidence": told.confidence,
        "fate": judged.fate.value,
        "began_s": round(told.began_s, 3),
        "confirmed_s": round(told.confirmed_s, 3),
        "filed_s": round(told.filed_s, 3),
        "after_s": None if judged.to_filed_s is None else round(judged.to_filed_s, 3),
    }


def _sums(sums: Sums) -> dict[str, Any]:
    filed, confirmed = sums.delays()
    return {
        "clips": sums.clips,
        "hours": round(sums.hours, 4),
        "events": sums.events,
        "found": sums.found,
        "missed": sums.missed,
        "false": sums.false,
        "twice": sums.twice,
        "false_an_hour": sums.false_an_hour.as_json(),
        "to_filed_s": told_delays(filed),
        "to_confirmed_s": told_delays(confirmed),
    }


def _counted(count: Count) -> tuple[str, ...]:
    return tuple(str(len(each)) for each in (count.events, count.found, count.missed, count.false, count.twice))


def _summed(sums: Sums) -> tuple[str, ...]:
    return tuple(str(each) for each in (sums.events, sums.found, sums.missed, sums.false, sums.twice))


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"


def _aligned_delays(found: Evaluation) -> list[str]:
    table = delays(found)
    return [_aligned(table)] if table[1] else []


def _aligned(table: Table) -> str:
    head, rows = table
    widths = [max(len(row[n]) for row in [head, *rows]) for n in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if n < _WORDS else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in [head, *rows]
    )


def _piped(table: Table) -> str:
    head, rows = table
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in lines)
