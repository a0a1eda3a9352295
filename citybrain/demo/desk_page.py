"""The desk's one page: the cases it was given, for people, in Chinese and English."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

_STATUS = {
    "received": "已收 received",
    "accepted": "已受理 accepted",
    "handling": "处置中 handling",
    "arrived": "已到场 arrived",
    "done": "已办结 done",
    "returned": "已退回 returned",
}
_STATE = {
    "filed": "已立案 filed",
    "dispatched": "已派遣 dispatched",
    "handling": "处置中 handling",
    "verifying": "核查中 verifying",
    "deferred": "挂账 deferred",
    "returned": "回退 returned",
    "closed": "已结案 closed",
    "rejected": "不予立案 rejected",
}
_COLUMNS = (
    "编号 No.",
    "案件 Case",
    "地点 Place",
    "案件状态 State",
    "本席 Desk",
    "收到 Received",
    "秒 Latency s",
    "份 Copies",
)

_PAGE = """<!doctype html>
<html lang="zh"><head><meta charset="utf-8"><meta http-equiv="refresh" content="5">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>派遣台 Dispatch desk</title>
<style>
:root {{ color-scheme: light dark; font: 16px/1.5 system-ui, "Noto Sans CJK SC", sans-serif; }}
body {{ margin: 2rem auto; max-width: 76rem; padding: 0 1rem; }}
h1 {{ font-size: 1.4rem; }} h1 small {{ font-weight: 400; opacity: .7; }}
table {{ border-collapse: collapse; width: 100%; }}
th, td {{ text-align: left; padding: .5rem .6rem; border-bottom: 1px solid #8884; vertical-align: top; }}
th {{ font-size: .85rem; opacity: .75; }} td small {{ display: block; opacity: .7; }}
td.n {{ font-variant-numeric: tabular-nums; white-space: nowrap; }}
</style></head><body>
<h1>派遣台 Dispatch desk <small>{count} 件案件 cases · {fault}</small></h1>
{table}
</body></html>
"""


def page(cases: Sequence[Mapping[str, Any]], *, fault: str) -> str:
    """The page as HTML; everything that came from outside is escaped."""
    if not cases:
        table = "<p>尚未收到案件。No case has been received yet.</p>"
    else:
        head = "".join(f"<th>{name}</th>" for name in _COLUMNS)
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(_row(each) for each in cases)}</tbody></table>"
    shown = "正常 answering" if fault == "ok" else f"故障 fault: {escape(fault)}"
    return _PAGE.format(count=len(cases), fault=shown, table=table)


def _row(each: Mapping[str, Any]) -> str:
    data = each["data"]
    title = data.get("title") if isinstance(data.get("title"), dict) else {}
    cameras = data.get("cameras") if isinstance(data.get("cameras"), list) else []
    latency = data.get("latency_s")
    cells = (
        ("n", escape(each["external_id"])),
        ("", f"{_text(title, 'zh')} {_text(title, 'en')}<small>{escape(each['case'])}</small>"),
        ("", f"{escape(', '.join(str(name) for name in cameras))}<small>{_text(data, 'zone')}</small>"),
        ("", escape(_STATE.get(str(data.get("state")), str(data.get("state", ""))))),
        ("", escape(_STATUS.get(each["status"], each["status"]))),
        ("n", f'<time datetime="{each["received_at"]}">{each["received_at"][:19].replace("T", " ")}</time>'),
        ("n", f"{latency:.1f}" if isinstance(latency, int | float) else "–"),
        ("n", f"{each['deliveries']} / {each['messages']}"),
    )
    return "<tr>" + "".join(f'<td class="{kind}">{cell}</td>' for kind, cell in cells) + "</tr>"


def _text(fields: Any, name: str) -> str:
    return escape(str(fields.get(name) or ""))
