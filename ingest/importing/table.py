"""A CSV as spreadsheets write it: its encoding, separator and headings found out, every cell known by line and column."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from citybrain.errors import Fault

HEADINGS: Mapping[str, tuple[str, ...]] = {
    "id": (
        *(
            "id",
            "camera",
            "camera id",
            "code",
            "编号",
            "编码",
            "设备编号",
            "设备编码",
            "设备ID",
            "摄像机编号",
            "摄像机编码",
        ),
        *("点位编号", "点位编码", "国标编码", "国标编号", "通道编码", "通道编号"),
    ),
    "name": ("name", "名称", "设备名称", "摄像机名称", "点位名称", "监控点名称", "通道名称"),
    "name_en": ("name en", "english name", "英文名称", "英文名"),
    "url": (
        *("url", "address", "stream", "stream url", "rtsp", "rtsp url", "取流地址", "视频流地址", "流地址", "码流地址"),
        *("RTSP地址", "播放地址", "视频地址", "地址"),
    ),
    "user": ("user", "username", "login", "用户名", "用户", "账号", "账户"),
    "password": ("password", "密码", "口令"),
    "lon": ("lon", "lng", "longitude", "x", "经度"),
    "lat": ("lat", "latitude", "y", "纬度"),
    "crs": ("crs", "坐标系", "坐标系统"),
    "grid_cell": (
        "grid",
        "grid cell",
        "grid code",
        "网格",
        "网格编码",
        "网格编号",
        "网格代码",
        "单元网格编码",
        "单元网格",
        "所属网格",
    ),
    "detector": ("detector", "检测器", "检测模型"),
    "source": ("source", "取流方式", "接入方式"),
    "look_every": ("look every", "interval", "查看间隔", "巡检间隔"),
    "fixed": ("fixed", "固定", "是否固定"),
}
"""The headings by which each column is known; capitals, spaces, `_`, `-` and what stands in brackets do not matter."""

REQUIRED = ("id", "url")
_SEPARATORS = ",;\t"
_BRACKETS = re.compile(r"[（(【\[].*?[)）\]】]")
_FORMULA = re.compile(r'="(.*)"', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Row:
    """One camera's line: its cells by our names, without the spaces around them."""

    line: int
    cells: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Table:
    """`columns` are the file's own headings by our names; `ignored` the headings that say nothing to us."""

    path: Path
    columns: Mapping[str, str]
    ignored: Sequence[str]
    rows: Sequence[Row]

    def fault(self, line: int, column: str, message: str, remedy: str = "") -> Fault:
        """A fault of a cell."""
        title = self.columns.get(column)
        where = f"line {line}" + (f", column {title}" if title else "")
        return Fault(str(self.path), where, message, remedy)


def read(path: Path, *, faults: list[Fault]) -> Table | None:
    """The table, without its faulty lines; None after adding a fault when it cannot be read at all."""
    text = _text(path, faults)
    if text is None:
        return None
    head = next((line for line in text.splitlines() if line.strip()), "")
    if not head:
        faults.append(Fault(str(path), "", "is empty.", "The first line names the columns."))
        return None
    separator = max(_SEPARATORS, key=head.count)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        return _table(path, lines, faults)
    except csv.Error as error:
        said = f"{error}."
        faults.append(Fault(str(path), f"line {lines.line_num}", said, "Save the table as CSV again."))
        return None


def _text(path: Path, faults: list[Fault]) -> str | None:
    try:
        raw = path.read_bytes()
    except OSError as error:
        faults.append(Fault(str(path), "", f"cannot be read ({type(error).__name__}).", "Name the CSV file."))
        return None
    codings = ("utf-16",) if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8-sig", "gb18030")
    for coding in codings:
        try:
            text = raw.decode(coding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    faults.append(Fault(str(path), "", "is no text in UTF-8 or GB18030.", "Save the table as CSV, not as a workbook."))
    return None


def _table(path: Path, lines: Any, faults: list[Fault]) -> Table | None:
    titles = [_cell(title) for title in next(row for row in lines if any(row))]
    columns, places, ignored = dict[str, str](), dict[int, str](), list[str]()
    # `地址` is where the stream is, or the street: where another heading names the stream, it is the street.
    found = [(place, title, _column(title)) for place, title in enumerate(titles)]
    urls = [title for _, title, column in found if column == "url"]
    for place, title, column in found:
        if column is None or (column == "url" and len(urls) > 1 and _plain(title) == "地址"):
            ignored += [title] if title else []
        elif column in columns:
            faults.append(
                Fault(str(path), "", f"has two columns for {column}: {columns[column]}, {title}.", "Keep one.")
            )
        else:
            columns[column], places[place] = title, column
    for column in REQUIRED:
        if column not in columns:
            known = ", ".join(HEADINGS[column])
            faults.append(Fault(str(path), "", f"has no column for {column}.", f"Name it one of: {known}."))
    if any(column not in columns for column in REQUIRED):
        return None
    rows, before = list[Row](), lines.line_num
    for cells in lines:
        line, before = before + 1, lines.line_num
        if not any(cell.strip() for cell in cells):
            continue
        if any(cell.strip() for cell in cells[len(titles) :]):
            said = f"has {len(cells)} cells for {len(titles)} columns."
            faults.append(Fault(str(path), f"line {line}", said, "Put quotes around a cell with a separator in it."))
            continue
        rows.append(Row(line, {places[n]: _cell(cell) for n, cell in enumerate(cells) if n in places}))
    return Table(path, columns, ignored, rows)


def _cell(text: str) -> str:
    formula = _FORMULA.fullmatch(text.strip())
    return (formula[1] if formula else text).strip().strip("\u3000\ufeff").strip()


def _column(title: str) -> str | None:
    return _COLUMNS.get(_plain(title))


def _plain(title: str) -> str:
    bare = _BRACKETS.sub("", unicodedata.normalize("NFKC", title))
    return re.sub(r"[\s_\-*]", "", bare).casefold()


_COLUMNS = {_plain(heading): column for column, headings in HEADINGS.items() for heading in headings}
