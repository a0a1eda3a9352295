"""The frame level: what a detector's findings are worth, by class and source, against what is wanted, and beside another one's.

By picture: is it in the picture at all? Recall is the share of the pictures with it in which it is told, precision the share of
the pictures in which it is told that have it, the false share the share of the pictures without it in which it is told all
the same. By box: each thing has to be found where it is. `intervals` says what the intervals are, `curves` what AP50 is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property

import numpy as np

from citybrain.domain.detection import Detection
from citybrain.evaluation.curves import (
    Point,
    Tally,
    average_precision,
    average_precisions,
    best_point,
    most_precise,
    point,
    point_of,
)
from citybrain.evaluation.intervals import NOTHING, Counts, Figure, Floats, draws, percentiles, share, spread
from citybrain.evaluation.labelled import Labelled
from citybrain.evaluation.matching import Outcome, Points, Question, area_agreement, outcome
from citybrain.evaluation.questions import ALL, Questions, Wanted

AREAS = ("water",)
"""Labels of which it counts how much ground they cover."""


@dataclass(frozen=True)
class Measured:
    """What one detector found in the pictures, and everything that is counted of it."""

    name: str
    revision: str
    labels: tuple[str, ...]
    points: Points
    pictures: Sequence[Labelled]
    found: Sequence[tuple[Detection, ...]]
    second_looks: int = 0
    """Pictures that were looked at again from further away."""

    @cached_property
    def counted(self) -> list[tuple[Detection, ...]]:
        """What counts at the operating points."""
        return [self.points.counted(each) for each in self.found]

    def outcomes(self, question: Question) -> list[Outcome]:
        """By picture, whatever the confidence."""
        return self._outcomes(question, counted=False)

    def counted_outcomes(self, question: Question) -> list[Outcome]:
        """By picture, at the operating points."""
        return self._outcomes(question, counted=True)

    def said(self, question: Question) -> Counts:
        """By picture, whether it is told at the operating points."""
        return _column(bool(each.matches) for each in self.counted_outcomes(question))

    @cached_property
    def _outcomes(self) -> _Outcomes:
        return _Outcomes(self)

    def within(self, source: str) -> list[int]:
        """The pictures of a source, by index; of all of them for `all`."""
        return [index for index, each in enumerate(self.pictures) if source in (ALL, each.source)]


class _Outcomes:
    """Each question is answered once, for the table, the answers and the plots alike."""

    def __init__(self, of: Measured) -> None:
        self._of = of
        self._known: dict[tuple[str, bool], list[Outcome]] = {}

    def __call__(self, question: Question, *, counted: bool) -> list[Outcome]:
        key = question.name, counted
        if key not in self._known:
            found = self._of.counted if counted else self._of.found
            pairs = zip(self._of.pictures, found, strict=True)
            self._known[key] = [outcome(picture.truth, seen, question) for picture, seen in pairs]
        return self._known[key]


@dataclass(frozen=True, slots=True)
class Row:
    """One question in one source: pictures that have it of those labelled for it, and its figures at the operating points."""

    source: str
    question: str
    there: int
    asked: int
    things: int
    picture_recall: Figure
    picture_precision: Figure
    false_share: Figure
    box_precision: Figure
    box_recall: Figure
    ap50: Figure
    area: Figure

    @property
    def told(self) -> bool:
        """Whether there is anything to say but that it is neither there nor told."""
        return self.there > 0 or bool(self.false_share.value)


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether what is wanted of a question holds; None when nobody can say.

    `best` is the operating point with the highest recall among those precise enough on these pictures, or the most precise one
    where none is; `suggested` is what the detector's own operating points give. `lost` are points of AP50 against the other.
    """

    question: str
    wanted: Wanted
    holds: bool | None
    why: str = ""
    best: Point | None = None
    reached: bool = False
    suggested: Point | None = None
    lost: Figure = NOTHING


@dataclass(frozen=True, slots=True)
class Beside:
    """One question's AP50 of both detectors on the same pictures, and first minus second in points, paired."""

    question: str
    first: float
    second: float
    difference: Figure


@dataclass(frozen=True)
class Report:
    """Everything that was measured."""

    measured: Measured
    questions: Sequence[Question]
    rows: Sequence[Row]
    answers: Sequence[Answer] = ()
    other: Measured | None = None
    beside: Sequence[Beside] = ()
    mean_ap50: Figure = NOTHING
    sources: Mapping[str, int] = field(default_factory=dict)
    not_told: tuple[str, ...] = ()
    """Labels that the pictures are judged by and this detector does not know."""


def measure(measured: Measured, questions: Questions, *, other: Measured | None = None) -> Report:
    """The report on pictures that have been looked at."""
    judged: set[str] = set().union(*(each.truth.judged for each in measured.pictures))
    asked = questions.asked(measured.labels, judged)
    sources = Counter(each.source for each in measured.pictures)
    scopes = [ALL, *sorted(sources)] if len(sources) > 1 else [ALL]
    drawn = cache(draws)
    rows = [_row(measured, source, each, drawn(len(measured.within(source)))) for source in scopes for each in asked]
    by_name = {each.name: each for each in asked}
    classes = [each for each in asked if len(each.labels) == 1]
    everything = drawn(len(measured.pictures))
    beside = _beside(measured, other, asked, everything) if other is not None else []
    return Report(
        measured=measured,
        questions=asked,
        rows=[each for each in rows if each.asked],
        answers=[
            _answer(name, one, measured, by_name.get(name), beside=beside, drawn=everything)
            for name, one in questions.wanted.items()
        ],
        other=other,
        beside=beside,
        mean_ap50=_mean([_tally(measured, each) for each in classes], everything),
        sources=dict(sorted(sources.items())),
        not_told=tuple(sorted(judged - set(measured.labels))),
    )


def _tally(measured: Measured, question: Question) -> Tally:
    return Tally.of(measured.outcomes(question))


def _row(measured: Measured, source: str, question: Question, drawn: Counts) -> Row:
    within = measured.within(source)
    counted = [measured.counted_outcomes(question)[index] for index in within]
    tally = Tally.of([measured.outcomes(question)[index] for index in within])
    at = point_of(tally, measured.said(question)[within], 0.0, drawn)
    hits = _column(each.hits if each.complete else 0 for each in counted)
    found = _column(len(each.matches) if each.complete else 0 for each in counted)
    area = NOTHING
    if set(question.labels) <= set(AREAS) and tally.there.any():
        pairs = [
            area_agreement(measured.pictures[index].truth, measured.counted[index], question)
            if each.complete
            else (0, 0)
            for index, each in zip(within, counted, strict=True)
        ]
        area = share(_column(both for both, _ in pairs), _column(either for _, either in pairs), drawn)
    return Row(
        source=source,
        question=question.name,
        there=int(tally.there.sum()),
        asked=int(tally.asked.sum()),
        things=int(tally.things.sum()),
        picture_recall=at.recall,
        picture_precision=at.precision,
        false_share=at.false_share,
        box_precision=share(hits, found, drawn),
        box_recall=share(hits, tally.things, drawn),
        ap50=_ap(tally, drawn),
        area=area,
    )


def _ap(tally: Tally, drawn: Counts) -> Figure:
    value = average_precision(tally)
    pictures = int(np.count_nonzero(tally.things))
    return NOTHING if value is None else spread(value, average_precisions(tally, drawn), pictures=pictures)


def _column(values: Iterable[int]) -> Counts:
    return np.array([int(each) for each in values], np.int64)


def _means(columns: Sequence[Floats]) -> Floats:
    """The mean in each draw over those that have a value in it; not a number where none has."""
    table = np.array(columns)
    known = ~np.isnan(table)
    count = known.sum(axis=0)
    means: Floats = np.where(known, table, 0.0).sum(axis=0) / np.maximum(count, 1)
    means[count == 0] = np.nan
    return means


def _mean(tallies: Sequence[Tally], drawn: Counts) -> Figure:
    """The mean AP50 over what there is to find; in each draw over what is in it."""
    present = [(value, each) for each in tallies if (value := average_precision(each)) is not None]
    if not present:
        return NOTHING
    in_draws = [average_precisions(each, drawn) for _, each in present]
    pictures = int(np.count_nonzero(sum(each.things for _, each in present)))
    return spread(float(np.mean([value for value, _ in present])), _means(in_draws), pictures=pictures)


def _beside(one: Measured, two: Measured, asked: Sequence[Question], drawn: Counts) -> list[Beside]:
    """By question that both can answer; a detector without one of a question's labels cannot, unless by another of them."""
    compared, singles = [], []
    for question in asked:
        if not set(question.labels) & set(two.labels):
            continue
        tallies = _tally(one, question), _tally(two, question)
        values = [average_precision(each) for each in tallies]
        if values[0] is None or values[1] is None:
            continue
        in_draws = average_precisions(tallies[0], drawn), average_precisions(tallies[1], drawn)
        apart = percentiles(100 * (in_draws[0] - in_draws[1]))
        compared.append(Beside(question.name, values[0], values[1], Figure(100 * (values[0] - values[1]), *apart)))
        if len(question.labels) == 1:
            singles.append((values[0], values[1], *in_draws))
    if singles:
        first, second = (float(np.mean([each[side] for each in singles])) for side in (0, 1))
        apart = percentiles(100 * _means([each[2] - each[3] for each in singles]))
        compared.append(Beside(ALL, first, second, Figure(100 * (first - second), *apart)))
    return compared


def _answer(
    name: str, wanted: Wanted, measured: Measured, question: Question | None, *, beside: Sequence[Beside], drawn: Counts
) -> Answer:
    parts = []
    if wanted.precision is not None or wanted.recall is not None:
        parts.append(_by_picture(name, wanted, measured, question, drawn))
    if wanted.lost is not None:
        parts.append(_against(name, wanted, wanted.lost, beside))
    said = [each.holds for each in parts]
    holds = None if None in said else all(said)
    first = parts[0] if parts else Answer(name, wanted, holds=True)
    return Answer(
        name,
        wanted,
        holds=False if False in said else holds,
        why="; ".join(each.why for each in parts if each.why),
        best=first.best,
        reached=first.reached,
        suggested=first.suggested,
        lost=parts[-1].lost if parts else NOTHING,
    )


def _by_picture(name: str, wanted: Wanted, measured: Measured, question: Question | None, drawn: Counts) -> Answer:
    if question is None:
        return Answer(name, wanted, holds=None, why="the detector does not tell it, or no picture is labelled for it")
    tally = _tally(measured, question)
    if not tally.there.any() or not (tally.asked - tally.there).any():
        return Answer(name, wanted, holds=None, why="needs pictures with it and pictures without it")
    suggested = point_of(tally, measured.said(question), 0.0, drawn)
    if wanted.precision is None:
        holds = (suggested.recall.value or 0.0) >= (wanted.recall or 0.0)
        return Answer(name, wanted, holds, suggested=suggested)
    reaching = best_point(tally, precision=wanted.precision)
    near = reaching or most_precise(tally)
    best = None if near is None else point(tally, near.threshold, drawn)
    if reaching is None or best is None:
        why = f"no threshold is as precise as {wanted.precision:.2f}"
        return Answer(name, wanted, holds=False, why=why, best=best, suggested=suggested)
    holds = wanted.recall is None or (best.recall.value or 0.0) >= wanted.recall
    return Answer(name, wanted, holds, best=best, reached=True, suggested=suggested)


def _against(name: str, wanted: Wanted, most: float, beside: Sequence[Beside]) -> Answer:
    both = next((each for each in beside if each.question == name), None)
    if both is None:
        why = "both must tell it, and the pictures must have it" if beside else "needs a detector with --beside"
        return Answer(name, wanted, holds=None, why=why)
    gained = both.difference
    assert gained.value is not None  # noqa: S101  # a comparison always has a value
    lost = Figure(-gained.value, -gained.high, -gained.low)
    return Answer(name, wanted, holds=-gained.value <= most + 1e-9, lost=lost)
