"""Timelines to look at: what happened in each clip and what was told of it, as an SVG each and a page with all of them.

truth   ▐██████████████████▌          one bar for each event, dashed when it was missed
cases      ┣━━━━◆ +4.0 s              from its beginning to its confirmation, ◆ where it was filed
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path

from citybrain.domain.camera import Text
from citybrain.evaluation.counting import Count, Fate, Happened, Judged
from citybrain.evaluation.scenes import Evaluation, Row

_WIDTH, _LEFT, _RIGHT, _TOP, _LANE, _FOOT = 1000, 210, 70, 34, 46, 30
_BAR, _LINE, _WORDS_LONG = 14, 18, 90
_STEPS_S = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 43200, 86400)
_MOST_MARKS = 12

_WORDS = {
    Fate.FOUND: ("找到", "found"),
    Fate.TWICE: ("重复立案", "told twice"),
    Fate.FALSE: ("误报", "false"),
}
_COLOURS = {Fate.FOUND: "#1f6fb2", Fate.TWICE: "#b25f00", Fate.FALSE: "#c0182b"}
_STYLE = """
text{font:12px system-ui,"Noto Sans CJK SC",sans-serif;fill:#1b1f24}
.small{font-size:11px;fill:#5b6570}.name{font-size:14px;font-weight:600}
.lane{stroke:#d9dee3}.truth{fill:#9fb3a4}.missed{fill:#fff;stroke:#c0182b;stroke-width:1.5;stroke-dasharray:4 3}
""".strip()
_PAGE = """<!doctype html>
<html lang="zh"><head><meta charset="utf-8"><title>场景评测 · Scenes</title>
<meta name="viewport" content="width=device-width,initial-scale=1">
<style>body{{font:15px/1.5 system-ui,"Noto Sans CJK SC",sans-serif;margin:24px auto;max-width:1040px;padding:0 16px;color:#1b1f24}}
svg{{width:100%;height:auto;border:1px solid #d9dee3;border-radius:6px;margin:6px 0 18px}}table{{border-collapse:collapse}}
td,th{{padding:3px 12px 3px 0;text-align:right}}td:first-child,th:first-child{{text-align:left}}</style></head><body>
<h1>场景评测 · Scenes against truth</h1>
<p>{about}</p>
<table><tr><th>录像 · clip</th><th>事件 · events</th><th>找到 · found</th><th>漏报 · missed</th><th>误报 · false</th></tr>
{rows}</table>
<p>浅色条：实际发生；虚线框：漏报 · a pale bar: what happened; dashed: missed.<br>
线：从开始到确认；◆：立案，数字为距事件开始的秒数 · a line: from its beginning to its confirmation; ◆: filed, so long after the
event began.</p>
{drawings}
</body></html>
"""


def draw(found: Evaluation, into: Path) -> list[Path]:
    """`<clip>.svg` for each clip and `index.html` with all of them, which needs no other file; the paths written."""
    into.mkdir(parents=True, exist_ok=True)
    drawings = {row.playing.clip: timeline(row, found.titles) for row in found.rows}
    written = []
    for clip, drawing in drawings.items():
        written.append(into / f"{clip}.svg")
        written[-1].write_text(drawing, encoding="utf-8")
    rows = "\n".join(_summary(row) for row in found.rows)
    models = ", ".join(sorted({row.playing.model for row in found.rows}))
    page = _PAGE.format(about=escape(f"{found.folder} · {models}"), rows=rows, drawings="\n".join(drawings.values()))
    written.append(into / "index.html")
    written[-1].write_text(page, encoding="utf-8")
    return written


def timeline(row: Row, titles: Mapping[str, Text]) -> str:
    """One clip as an SVG document of its own; words in both languages."""
    count, playing = row.count, row.playing
    ends_s = max([playing.ended_s + playing.every_s, *(each.to_s for each in count.events)])
    scenes = sorted({each.scene for each in count.events} | {each.told.scene for each in count.cases})
    scale = _Scale(ends_s)
    lanes, bottom = [], _TOP
    for scene in scenes:
        drawn, deep = _lane(count, scene, bottom, scale)
        title = titles.get(scene, Text(scene, scene))
        lanes.append(f'<line class="lane" x1="0" x2="{_WIDTH}" y1="{bottom}" y2="{bottom}"/>')
        lanes.append(f'<text x="12" y="{bottom + 20}">{escape(title.zh)}</text>')
        lanes.append(f'<text class="small" x="12" y="{bottom + 36}">{escape(title.en)}</text>')
        lanes += drawn
        bottom += deep
    if not scenes:
        lanes.append(
            f'<text class="small" x="{_LEFT}" y="{_TOP + 26}">无事件，无立案 · nothing happened, nothing told</text>'
        )
        bottom += _LANE
    height = bottom + _FOOT
    return "".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img">',
            f"<title>{escape(playing.clip)}</title><style>{_STYLE}</style>",
            f'<rect width="{_WIDTH}" height="{height}" fill="#fff"/>',
            f'<text class="name" x="12" y="22">{escape(playing.clip)}</text>',
            f'<text class="small" x="{_WIDTH - 12}" y="22" text-anchor="end">{_about(row)}</text>',
            *_axis(scale, bottom),
            *lanes,
            "</svg>",
        ]
    )


class _Scale:
    """From seconds of the playing to where they are drawn."""

    def __init__(self, ends_s: float) -> None:
        self.ends_s = max(ends_s, 1.0)

    def __call__(self, at_s: float) -> float:
        return round(_LEFT + (_WIDTH - _LEFT - _RIGHT) * min(max(at_s, 0.0), self.ends_s) / self.ends_s, 1)

    @property
    def marks(self) -> Sequence[float]:
        step = next((each for each in _STEPS_S if self.ends_s / each <= _MOST_MARKS), _STEPS_S[-1])
        return [step * number for number in range(int(self.ends_s // step) + 1)]


def _axis(scale: _Scale, bottom: int) -> Iterator[str]:
    for at_s in scale.marks:
        x = scale(at_s)
        shown = f"{at_s:g} s" if scale.ends_s < 600 else f"{at_s // 60:g}:{at_s % 60:02.0f}"
        yield f'<line class="lane" x1="{x}" x2="{x}" y1="{_TOP}" y2="{bottom}"/>'
        yield f'<text class="small" x="{x}" y="{bottom + 18}" text-anchor="middle">{shown}</text>'


def _lane(count: Count, scene: str, top: int, scale: _Scale) -> tuple[list[str], int]:
    """What happened and was told of one scene, and how deep that is; what overlaps lies one below the other."""
    events = [each for each in count.events if each.scene == scene]
    cases = [each for each in count.cases if each.told.scene == scene]
    missed, drawn, y = list(count.missed), [], top + 8
    event_rows = _rows([(scale(each.from_s), scale(each.to_s)) for each in events])
    for event, row in zip(events, event_rows, strict=True):
        left_out = event in missed
        if left_out:
            missed.remove(event)
        drawn.append(_truth(event, y + row * _BAR, scale, missed=left_out))
    y += (max(event_rows, default=0) + 1) * _BAR
    # A case is as long as its words.
    case_rows = _rows([(scale(each.told.began_s), scale(each.told.filed_s) + _WORDS_LONG) for each in cases])
    drawn += [_case(case, y + row * _LINE, scale) for case, row in zip(cases, case_rows, strict=True)]
    y += (max(case_rows, default=0) + 1) * _LINE
    return drawn, max(_LANE, y - top + 6)


def _rows(spans: Sequence[tuple[float, float]]) -> list[int]:
    """For each span the first row in which nothing before it reaches into it."""
    ends: list[float] = []
    chosen = []
    for begins, until in spans:
        row = next((number for number, end in enumerate(ends) if end <= begins), len(ends))
        ends[row : row + 1] = [until]
        chosen.append(row)
    return chosen


def _truth(event: Happened, top: int, scale: _Scale, *, missed: bool) -> str:
    begins, ends = scale(event.from_s), scale(event.to_s)
    bar = (
        f'<rect class="{"missed" if missed else "truth"}" x="{begins}" y="{top}" width="{max(2.0, ends - begins):.1f}"'
        f' height="11" rx="2"><title>{escape(event.zone or event.scene)} {event.from_s:g}–{event.to_s:g} s</title></rect>'
    )
    return bar + (
        f'<text x="{begins + 4}" y="{top + 9}" style="fill:#c0182b;font-size:10px">漏报 · missed</text>'
        if missed
        else ""
    )


def _case(case: Judged, top: int, scale: _Scale) -> str:
    told, colour = case.told, _COLOURS[case.fate]
    begins, confirmed, filed = scale(told.began_s), scale(told.confirmed_s), scale(told.filed_s)
    y = top + 10
    zh, en = _WORDS[case.fate]
    said = f"+{case.to_filed_s:.1f} s" if case.to_filed_s is not None else f"{zh} · {en}"
    diamond = f"M{filed} {y - 6}l6 6l-6 6l-6 -6z"
    title = f"{zh} · {en}: {told.zone} {told.label} {told.confidence:.2f}, {told.began_s:g}–{told.confirmed_s:g} s"
    return (
        f'<g stroke="{colour}" fill="{colour}"><title>{escape(title)}</title>'
        f'<path d="M{begins} {y - 5}v10M{begins} {y}H{confirmed}" stroke-width="2" fill="none"/>'
        f'<path d="{diamond}" stroke="none"/></g><text x="{filed + 9}" y="{y + 4}">{said}</text>'
    )


def _about(row: Row) -> str:
    playing = row.playing
    usable = f"{playing.usable / max(1, playing.looks):.0%}"
    judge = "现行场景 · shipped scenes" if row.judged_by == "shipped" else "本集场景 · the set's scenes"
    return f"{judge} · {playing.looks} 次 looks · {usable} 可用 usable"


def _summary(row: Row) -> str:
    count = row.count
    figures = "".join(f"<td>{len(each)}</td>" for each in (count.events, count.found, count.missed, count.false))
    return f"<tr><td>{escape(row.playing.clip)}</td>{figures}</tr>"
