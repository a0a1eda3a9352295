"""Charts are SVG that stands alone, with every point where it belongs."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from citybrain.domain.camera import Text
from citybrain.evaluation.charts import Axis, Line, Mark, chart

SVG = "{http://www.w3.org/2000/svg}"
SHARE = Axis(Text("比例", "share"))


def test_a_line_goes_from_corner_to_corner_of_its_axes() -> None:
    drawn = ET.fromstring(
        chart(
            Text("甲", "A"),
            [Line(Text("线", "line"), [(10.0, 0.0), (20.0, 1.0)])],
            x=Axis(Text("时", "hours"), 10, 20),
            y=SHARE,
        )
    )
    (line,) = drawn.iter(f"{SVG}polyline")
    grid = [each for each in drawn.iter(f"{SVG}line") if each.get("stroke") == "#e2e8f0"]
    left, right = min(float(each.get("x1", 0)) for each in grid), max(float(each.get("x2", 0)) for each in grid)
    top, bottom = min(float(each.get("y1", 0)) for each in grid), max(float(each.get("y2", 0)) for each in grid)
    assert line.get("points") == f"{left},{bottom} {right},{top}"
    assert [each.text for each in drawn.iter(f"{SVG}text")][1:4] == ["10", "12", "14"]


def test_what_lies_beyond_an_axis_stays_at_its_end() -> None:
    beyond = ET.fromstring(chart(Text("甲", "A"), [], x=SHARE, y=SHARE, marks=[Mark(Text("点", "dot"), 3.0, -1.0)]))
    at_end = ET.fromstring(chart(Text("甲", "A"), [], x=SHARE, y=SHARE, marks=[Mark(Text("点", "dot"), 1.0, 0.0)]))
    assert ET.tostring(beyond) == ET.tostring(at_end)


def test_names_are_told_in_both_languages_and_cannot_break_the_picture() -> None:
    drawn = chart(Text("<甲>", "A & B"), [Line(Text("same", "same"), [(0, 0)])], x=SHARE, y=SHARE, upright=[0.4])
    words = [each.text for each in ET.fromstring(drawn).iter(f"{SVG}text")]
    assert words[0] == "<甲> A & B"
    assert words[-1] == "same"
