"""A camera's zones put into the text of its file: its order, its comments and every other byte stay as they are.

    zones:
      # by the market                                          ← stays
      - {id: kerb, kind: no_parking, polygon: [[…]]}  # 2026   ← unchanged: stays; drawn anew: its {…} alone is replaced
      - {id: lane, kind: roadway, polygon: [[…]]}              ← no longer there: its lines go
                                                               ← new ones come behind the last

What the new text says is read again: it must be what the old one said, with these zones, or nothing is written.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from citybrain import strict_yaml
from citybrain.errors import Unreadable

Zone = Mapping[str, Any]
_Edit = tuple[int, int, str]
_BOM = "\ufeff"


class Unwritable(ValueError):
    """The file says the camera's zones in a way that only a person should change."""


def entry_of(text: str, camera: str) -> Mapping[str, Any] | None:
    """What the file says of the camera; None when it does not have it. Raises Unreadable for what is no file of cameras."""
    found = [each for each in _entries(_loaded(text)) if isinstance(each, dict) and each.get("id") == camera]
    return found[0] if len(found) == 1 else None


def spliced(text: str, camera: str, zones: Sequence[Zone]) -> str:
    """The text with these zones in place of the camera's. A zone that the file says already in the same words keeps its text.

    Raises Unwritable, and Unreadable as `entry_of`.
    """
    mark = _BOM if text.startswith(_BOM) else ""
    plain = text.removeprefix(_BOM)
    before = _loaded(plain)
    index = next(
        (n for n, each in enumerate(_entries(before)) if isinstance(each, dict) and each.get("id") == camera), None
    )
    if index is None:
        raise Unwritable(f"no camera {camera!r} stands in it")
    expected = copy.deepcopy(before)
    wanted = [dict(each) for each in zones]
    was = expected["cameras"][index].get("zones") or []
    if wanted == was:
        return text
    expected["cameras"][index]["zones"] = wanted
    after = _edited(plain, _Writing(plain, index, was, wanted).edits())
    try:
        right = _loaded(after) == expected
    except Unreadable:
        right = False
    if not right:
        raise Unwritable(
            "it says these zones by an alias, a merge or otherwise so that a machine could not change them alone"
        )
    return mark + after


def _loaded(text: str) -> Any:
    try:
        return strict_yaml.load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise Unreadable(f"it cannot be read as YAML ({type(error).__name__})") from None


def _entries(value: Any) -> list[Any]:
    cameras = value.get("cameras") if isinstance(value, dict) else None
    return cameras if isinstance(cameras, list) else []


def _edited(text: str, edits: Sequence[_Edit]) -> str:
    for start, end, new in sorted(edits, key=lambda each: each[:2], reverse=True):
        text = text[:start] + new + text[end:]
    return text


class _Writing:
    """The edits of one text that turn `was` into `wanted`."""

    def __init__(self, text: str, index: int, was: list[Any], wanted: list[dict[str, Any]]) -> None:
        self._text, self._was, self._wanted = text, was, wanted
        self._newline = "\r\n" if "\r\n" in text else "\n"
        root = strict_yaml.compose(text)
        self._camera = _sequence(_value_of(root, "cameras")).value[index]
        if not isinstance(self._camera, yaml.MappingNode):
            raise Unwritable("the camera is no mapping of its own")

    def edits(self) -> list[_Edit]:
        key = next((each for each, _ in self._camera.value if each.value == "zones"), None)
        if key is None:
            return [self._new_key()]
        zones = _sequence(_value_of(self._camera, "zones"))
        colon = self._text.index(":", key.end_mark.index)
        if zones.start_mark.index < colon:
            raise Unwritable("its zones are an alias of what stands elsewhere")
        in_block = not self._camera.flow_style
        if not zones.value:
            new = self._block(_indent(self._text, key) + "  ") if in_block else self._flow()
            return [(colon + 1, _end(zones), new if in_block else f" {new}")]
        if zones.flow_style:
            return self._in_flow(zones)
        return self._in_block(zones, colon)

    # -- the camera has no zones yet --------------------------------------------------------------------------------

    def _new_key(self) -> _Edit:
        end = _end(self._camera)
        if self._camera.flow_style:
            last = _end(self._camera.value[-1][1])
            return last, last, f", zones: {self._flow()}"
        indent = _indent(self._text, self._camera.value[0][0])
        at = _line_end(self._text, end)
        ended = self._text[:at].endswith("\n")
        lines = f"{indent}zones:{self._block(indent + '  ')}"
        return at, at, lines + self._newline if ended else self._newline + lines

    def _block(self, indent: str) -> str:
        if not self._wanted:
            return " []"
        return "".join(f"{self._newline}{indent}- {_flow(each)}" for each in self._wanted)

    def _flow(self) -> str:
        return f"[{', '.join(_flow(each) for each in self._wanted)}]"

    # -- it has some ------------------------------------------------------------------------------------------------

    def _in_flow(self, zones: yaml.SequenceNode) -> list[_Edit]:
        nodes, kept = zones.value, len(self._was)
        same_first = [each["id"] for each in self._wanted[:kept]] == [_id(each) for each in self._was]
        if not same_first:
            return [(zones.start_mark.index, zones.end_mark.index, self._flow())]
        edits = self._replaced(nodes)
        last = _end(nodes[-1])
        return [*edits, (last, last, "".join(f", {_flow(each)}" for each in self._wanted[kept:]))]

    def _in_block(self, zones: yaml.SequenceNode, colon: int) -> list[_Edit]:
        nodes = zones.value
        starts = [self._text.rfind("\n", 0, node.start_mark.index) + 1 for node in nodes]
        if any(self._text[at : node.start_mark.index].strip() != "-" for at, node in zip(starts, nodes, strict=True)):
            raise Unwritable("its zones do not each begin on a line of their own")
        ends = [_line_end(self._text, _end(node)) for node in nodes]
        wanted = [each["id"] for each in self._wanted]
        stay = [_id(each) for each in self._was if _id(each) in wanted]
        dash = self._text[starts[0] : nodes[0].start_mark.index].rstrip()[:-1]
        if wanted[: len(stay)] != stay:  # another order: all of them anew
            gone: Sequence[int] = range(len(nodes))
            edits, new = [], self._wanted
        else:
            gone = [n for n, each in enumerate(self._was) if _id(each) not in wanted]
            edits, new = self._replaced(nodes), self._wanted[len(stay) :]
        edits += [(starts[n], ends[n], "") for n in gone]
        if not wanted:
            return [*edits, (colon + 1, colon + 1, " []")]
        at = ends[-1]
        lines = [f"{dash}- {_flow(each)}" for each in new]
        if lines:
            # The last line of a file may lack its end.
            ended = self._text[:at].endswith("\n")
            joined = self._newline.join(lines)
            edits.append((at, at, joined + self._newline if ended else self._newline + joined))
        return edits

    def _replaced(self, nodes: Sequence[yaml.Node]) -> list[_Edit]:
        wanted = {each["id"]: each for each in self._wanted}
        return [
            (node.start_mark.index, _end(node), _flow(wanted[_id(was)]))
            for node, was in zip(nodes, self._was, strict=True)
            if _id(was) in wanted and wanted[_id(was)] != was
        ]


def _value_of(node: yaml.Node | None, key: str) -> yaml.Node | None:
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((value for name, value in node.value if name.value == key), None)


def _sequence(node: yaml.Node | None) -> yaml.SequenceNode:
    if not isinstance(node, yaml.SequenceNode):
        raise Unwritable("it says them otherwise than as a list")
    return node


def _id(zone: Any) -> Any:
    return zone.get("id") if isinstance(zone, dict) else None


def _flow(zone: Zone) -> str:
    return str(
        yaml.safe_dump(dict(zone), default_flow_style=True, sort_keys=False, allow_unicode=True, width=1_000_000)
    ).strip()


def _indent(text: str, key: yaml.Node) -> str:
    at: int = key.start_mark.index
    return " " * (at - text.rfind("\n", 0, at) - 1)


def _end(node: yaml.Node) -> int:
    """Where the node's own text ends. A block's mark lies behind the comments and empty lines that follow it."""
    if not isinstance(node, yaml.CollectionNode) or node.flow_style or not node.value:
        return int(node.end_mark.index)
    last = node.value[-1][1] if isinstance(node, yaml.MappingNode) else node.value[-1]
    if not node.start_mark.index <= last.start_mark.index <= node.end_mark.index:
        raise Unwritable("it ends in an alias of what stands elsewhere")
    return _end(last)


def _line_end(text: str, at: int) -> int:
    """Behind the line that ends or goes on here; a block scalar ends at the beginning of the next one already."""
    if at > 0 and text[at - 1] == "\n":
        return at
    found = text.find("\n", at)
    return len(text) if found < 0 else found + 1
