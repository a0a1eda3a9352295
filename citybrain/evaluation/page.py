"""Writes what people would rather look at: a page with curves, and with the pictures that went wrong, in two languages."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from citybrain.domain.camera import Text
from citybrain.evaluation import sheets
from citybrain.evaluation.charts import COLOURS, DASHES, Axis, Line, Mark, chart
from citybrain.evaluation.curves import Curve, Tally, box_curve, picture_curve, point_of, sweep
from citybrain.evaluation.frames import Measured, Report, Row
from citybrain.evaluation.matching import Question
from citybrain.evaluation.questions import ALL, Questions
from citybrain.evaluation.telling import tables

PAGE = "index.html"
NAMES = {
    "person": "行人",
    "bicycle": "自行车",
    "car": "小汽车",
    "motorcycle": "摩托车",
    "bus": "公交车",
    "truck": "卡车",
    "fire": "明火",
    "smoke": "烟雾",
    "water": "积水",
    "stall": "摊位",
    "goods": "货物",
    "umbrella": "遮阳伞",
    "tricycle": "三轮车",
    "fire_or_smoke": "烟火",
    "vehicle": "机动车",
}
"""What labels are called in Chinese; others stand as they are."""
RECALL, PRECISION = Text("召回率", "recall"), Text("准确率", "precision")
THRESHOLD, SHARE = Text("置信度阈值", "threshold"), Text("比例", "share")

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 1600px; padding: 0 1rem; color: #111; }
table { border-collapse: collapse; font-size: 13px; display: block; overflow-x: auto; }
td, th { border: 1px solid #cbd5e1; padding: 3px 8px; text-align: left; white-space: nowrap; }
th { background: #f1f5f9; } .charts { display: flex; flex-wrap: wrap; gap: 1rem; }
img { max-width: 100%; } h2 { margin-top: 2.5rem; border-top: 1px solid #cbd5e1; padding-top: 1rem; }
.key span { padding: 0 .5rem; border-left: 12px solid; margin-right: 1rem; }
"""
_HEADINGS = {
    "source": "来源",
    "class": "类别",
    "pictures with it": "含该类图片",
    "picture recall": "图片召回率",
    "picture precision": "图片准确率",
    "false share of pictures without it": "无该类图片误报比例",
    "box precision": "目标框准确率",
    "box recall": "目标框召回率",
    "AP50": "平均精度",
    "area IoU": "面积交并比",
    "wanted of": "要求对象",
    "what": "要求",
    "holds": "是否达到",
    "best threshold on these pictures": "这些图片上的最佳阈值",
    "at the operating points": "工作点处",
    "first − second, points": "前者减后者（百分点）",
}
_KEY = (
    (sheets.FOUND, "标注，已发现 there and found"),
    (sheets.MISSED, "标注，漏检 there and missed"),
    (sheets.TOLD, "检出，正确 told rightly"),
    (sheets.FALSE, "检出，误报 told falsely"),
    (sheets.IGNORED, "不评判区域 not judged"),
)


def make_folder(folder: Path) -> None:
    """Make sure that the page can be written there, before anything is measured. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / PAGE).touch()


def write_page(report: Report, questions: Questions, folder: Path) -> Path:
    """The page, and beside it every chart and sheet as a file of its own; the page's path."""
    body = [
        f"<h1>{escape(report.measured.name)}</h1>",
        *(f"<p>{escape(line)}</p>" for line in tables(report).about),
        *(_table(heading, table) for heading, table in _headed(report)),
        '<p class="key">'
        + "".join(f'<span style="border-color:{colour}">{words}</span>' for colour, words in _KEY)
        + "</p>",
    ]
    for question in report.questions:
        row = next((each for each in report.rows if each.source == ALL and each.question == question.name), None)
        if row is not None and row.told:
            body += _section(report, question, row, questions, folder)
    text = (
        '<!doctype html>\n<html lang="zh-CN"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(report.measured.name)}</title><style>{_STYLE}</style></head><body>\n"
        + "\n".join(body)
        + "\n</body></html>\n"
    )
    (folder / PAGE).write_text(text, encoding="utf-8")
    return folder / PAGE


def name_of(label: str) -> Text:
    """A label in both languages."""
    return Text(NAMES.get(label, label), label)


def _section(report: Report, question: Question, row: Row, questions: Questions, folder: Path) -> Iterable[str]:
    name = name_of(question.name)
    stem = re.sub(r"[^\w-]", "_", question.name)
    yield f"<h2>{escape(name.zh)} {escape(name.en)}</h2>"
    yield (
        f"<p>{row.there} / {row.asked} 张图片中有 · pictures have it · "
        f"召回率 recall {row.picture_recall} · 准确率 precision {row.picture_precision} · AP50 {row.ap50}</p>"
    )
    yield '<div class="charts">'
    for kind, drawn in (
        ("curve", _precision_recall(report, question, questions)),
        ("threshold", _over_threshold(report.measured, question)),
    ):
        (folder / f"{kind}-{stem}.svg").write_text(drawn, encoding="utf-8")
        yield drawn
    yield "</div>"
    for kind, heading, sheet in (
        ("missed", "漏检 Missed", sheets.missed(report.measured, question)),
        ("false", "误报 False", sheets.false(report.measured, question)),
    ):
        if sheet is not None:
            (folder / f"{kind}-{stem}.svg").write_text(sheet.svg, encoding="utf-8")
            yield f"<h3>{heading}: {sheet.shown} / {sheet.of}</h3>"
            yield f'<img src="{kind}-{stem}.svg" alt="{heading}: {escape(question.name)}" loading="lazy">'


def _precision_recall(report: Report, question: Question, questions: Questions) -> str:
    lines, marks = [], []
    both = [report.measured, *([report.other] if report.other is not None else [])]
    for index, measured in enumerate(both):
        tally = Tally.of(measured.outcomes(question))
        whose = f" {measured.name}" if len(both) > 1 else ""
        pictures, boxes = picture_curve(tally), box_curve(tally)
        for curve, words, colour in ((pictures, ("按图片", "by picture"), 0), (boxes, ("按目标框", "by box"), 1)):
            if curve is not None and len(curve.recall):
                name = Text(f"{words[0]}{whose}", f"{words[1]}{whose}" if not whose else words[1])
                lines.append(Line(name, _points(curve), COLOURS[colour + 2 * index], DASHES[index]))
        at = point_of(tally, measured.said(question), 0.0)
        if at.recall.value is not None and at.precision.value is not None:
            name = Text(f"工作点{whose}", "operating point, by picture")
            marks.append(Mark(name, at.recall.value, at.precision.value, COLOURS[2 * index]))
    wanted = questions.wanted.get(question.name)
    if wanted is not None and wanted.precision is not None and wanted.recall is not None:
        marks.append(Mark(Text("要求", "wanted, by picture"), wanted.recall, wanted.precision, COLOURS[6], "cross"))
    return chart(name_of(question.name), lines, x=Axis(RECALL), y=Axis(PRECISION), marks=marks)


def _over_threshold(measured: Measured, question: Question) -> str:
    points = sweep(Tally.of(measured.outcomes(question)))
    lines = []
    for name, figure, index in (
        (Text("召回率", "recall"), "recall", 0),
        (Text("准确率", "precision"), "precision", 1),
        (Text("误报比例", "false share of pictures without it"), "false_share", 2),
    ):
        known = [(each.threshold, getattr(each, figure).value) for each in points]
        lines.append(Line(name, [each for each in known if each[1] is not None], COLOURS[index], DASHES[index]))
    upright = sorted({measured.points.of(label) for label in question.labels if label in measured.labels})
    title = name_of(question.name)
    heading = Text(f"{title.zh}，按图片", f"{title.en}, by picture")
    return chart(heading, lines, x=Axis(THRESHOLD), y=Axis(SHARE), upright=upright)


def _points(curve: Curve) -> Sequence[tuple[float, float]]:
    """From no recall on, where precision is what it is for the surest."""
    points = list(zip(curve.recall.tolist(), curve.precision.tolist(), strict=True))
    return [(0.0, points[0][1]), *points]


def _headed(report: Report) -> Iterable[tuple[str, list[list[str]]]]:
    told = tables(report)
    yield "各类各来源 By class and source", told.figures
    if told.answers:
        yield "要求 What is wanted", told.answers
    if told.beside:
        yield "对比 Side by side", told.beside


def _table(heading: str, rows: list[list[str]]) -> str:
    head = "".join(f"<th>{escape(_HEADINGS.get(cell, ''))}<br>{escape(cell)}</th>" for cell in rows[0])
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows[1:])
    return f"<h3>{heading}</h3><table><tr>{head}</tr>{body}</table>"
