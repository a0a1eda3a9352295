"""The report of a frame evaluation as text, Markdown for a model's card, and JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from citybrain.evaluation.curves import Point
from citybrain.evaluation.frames import Answer, Measured, Report, Row
from citybrain.evaluation.intervals import RESAMPLES, SEED
from citybrain.evaluation.questions import ALL

Table = list[list[str]]
_HEADINGS = (
    "source",
    "class",
    "pictures with it",
    "picture recall",
    "picture precision",
    "false share of pictures without it",
    "box precision",
    "box recall",
    "AP50",
)
_AREA = "area IoU"
_YES = {True: "yes", False: "no", None: "?"}


@dataclass(frozen=True, slots=True)
class Tables:
    """The report in words: some lines about it, then tables whose first row is their heading; empty ones are not there."""

    about: list[str]
    figures: Table
    answers: Table
    beside: Table


def tables(report: Report) -> Tables:
    """What text, Markdown and the page show."""
    return Tables(
        list(_about(report)),
        _figures(report),
        _answers(report.answers) if report.answers else [],
        _beside(report) if report.beside and report.other is not None else [],
    )


def as_text(report: Report, *, markdown: bool = False) -> str:
    """Everything, table by table."""
    told = tables(report)
    laid_out = [_laid_out(each, markdown=markdown) for each in (told.figures, told.answers, told.beside) if each]
    return "\n\n".join([*told.about, *laid_out])


def _about(report: Report) -> Iterable[str]:
    one = report.measured
    things = f"{len(one.pictures)} pictures"
    beside = f" beside {report.other.name} ({report.other.revision})" if report.other is not None else ""
    yield f"{one.name} ({one.revision}){beside} on {things}: " + ", ".join(
        f"{source} {count}" for source, count in report.sources.items()
    )
    yield f"Counts from: {_points(one)}. In brackets 95 % intervals."
    if one.second_looks:
        yield f"Looked at again from further away: {one.second_looks} of {things}."
    if report.not_told:
        yield f"Labelled, but not told by this detector: {', '.join(report.not_told)}."


def _points(measured: Measured) -> str:
    by_value: dict[float, list[str]] = {}
    for label in measured.labels:
        by_value.setdefault(measured.points.of(label), []).append(label)
    return ", ".join(f"{' '.join(labels)} {value:.2f}" for value, labels in sorted(by_value.items()))


def _figures(report: Report) -> Table:
    area = any(row.area.value is not None for row in report.rows)
    table = [[*_HEADINGS, *([_AREA] if area else [])]]
    shown = [row for row in report.rows if row.source == ALL or row.told]
    table += [_figures_of(row) + ([str(row.area)] if area else []) for row in shown]
    if report.mean_ap50.value is not None:
        empty = ["–"] * (len(table[0]) - 2)
        table.append([ALL, "mean of classes", *empty])
        table[-1][_HEADINGS.index("AP50")] = str(report.mean_ap50)
    return table


def _figures_of(row: Row) -> list[str]:
    figures = (
        row.picture_recall,
        row.picture_precision,
        row.false_share,
        row.box_precision,
        row.box_recall,
        row.ap50,
    )
    return [row.source, row.question, f"{row.there}/{row.asked}", *map(str, figures)]


def _answers(answers: Sequence[Answer]) -> Table:
    table = [["wanted of", "what", "holds", "best threshold on these pictures", "at the operating points"]]
    for each in answers:
        told = [each.why] if each.why else []
        if each.best is not None:
            told.append(f"{each.best.threshold:.2f}: {_point(each.best)}")
        if each.lost.value is not None:
            told.append(f"lost {each.lost.value:.1f} ({each.lost.low:.1f} to {each.lost.high:.1f})")
        suggested = "–" if each.suggested is None else _point(each.suggested)
        table.append([each.question, str(each.wanted), _YES[each.holds], "; ".join(told) or "–", suggested])
    return table


def _point(at: Point) -> str:
    return f"recall {at.recall}, precision {at.precision}"


def _beside(report: Report) -> Table:
    assert report.other is not None  # noqa: S101  # only asked for where there is one
    table = [["AP50", report.measured.name, report.other.name, "first − second, points"]]
    for each in report.beside:
        apart = each.difference
        points = f"{apart.value or 0.0:+.1f} ({apart.low:+.1f} to {apart.high:+.1f})"
        name = "mean of classes" if each.question == ALL else each.question
        table.append([name, f"{each.first:.3f}", f"{each.second:.3f}", points])
    return table


def _laid_out(table: Table, *, markdown: bool) -> str:
    if markdown:
        rows = [table[0], ["---"] * len(table[0]), *table[1:]]
        return "\n".join(f"| {' | '.join(row)} |" for row in rows)
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in table)


def as_json(report: Report) -> dict[str, Any]:
    """Every figure, also of the questions that the text leaves out; figures are null where there was nothing to measure."""
    return {
        "detector": _detector(report.measured),
        "pictures": len(report.measured.pictures),
        "sources": dict(report.sources),
        "intervals": {"share": 0.95, "resamples": RESAMPLES, "seed": SEED, "over": "pictures"},
        "not_told": list(report.not_told),
        "mean_ap50": report.mean_ap50.as_json(),
        "figures": [
            {
                "source": row.source,
                "class": row.question,
                "pictures_with_it": row.there,
                "pictures": row.asked,
                "things": row.things,
                "picture_recall": row.picture_recall.as_json(),
                "picture_precision": row.picture_precision.as_json(),
                "false_share": row.false_share.as_json(),
                "box_precision": row.box_precision.as_json(),
                "box_recall": row.box_recall.as_json(),
                "ap50": row.ap50.as_json(),
                "area_iou": row.area.as_json(),
            }
            for row in report.rows
        ],
        "wanted": [
            {
                "class": each.question,
                "wanted": each.wanted.model_dump(exclude_none=True),
                "holds": each.holds,
                "why": each.why or None,
                "best": _point_json(each.best),
                "best_is_precise_enough": each.reached,
                "suggested": _point_json(each.suggested, threshold=False),
                "lost": each.lost.as_json(),
            }
            for each in report.answers
        ],
        "beside": None
        if report.other is None
        else {
            "detector": _detector(report.other),
            "ap50": [
                {
                    "class": each.question,
                    "first": round(each.first, 4),
                    "second": round(each.second, 4),
                    "difference_points": each.difference.as_json(),
                }
                for each in report.beside
            ],
        },
    }


def _detector(measured: Measured) -> Mapping[str, Any]:
    return {
        "name": measured.name,
        "revision": measured.revision,
        "labels": list(measured.labels),
        "counts_from": {label: measured.points.of(label) for label in measured.labels},
        "second_looks": measured.second_looks,
    }


def _point_json(at: Point | None, *, threshold: bool = True) -> Mapping[str, Any] | None:
    if at is None:
        return None
    figures = {
        "precision": at.precision.as_json(),
        "recall": at.recall.as_json(),
        "false_share": at.false_share.as_json(),
    }
    return {"threshold": at.threshold, **figures} if threshold else figures
