"""A YAML text as plain values: as quick as libyaml parses it, and a mapping that says a key twice is refused."""

from __future__ import annotations

import gc
import re
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import Any

import yaml

_STR = "tag:yaml.org,2002:str"
_MERGE = "tag:yaml.org,2002:merge"
_PLAIN = {"tag:yaml.org,2002:map": yaml.MappingNode, "tag:yaml.org,2002:seq": yaml.SequenceNode}
_DEEPEST = 200
_BRACKET = re.compile(r"[\[\]{}]")
_INDENT = re.compile(r"^[ ?\-]{400,}", re.MULTILINE)


def load(text: str) -> Any:
    """The document's value. Raises yaml.YAMLError, and ValueError or RecursionError for a value that nothing can hold."""
    with undisturbed():
        return _value(text)  # its nodes are gone before anybody collects


def compose(text: str) -> yaml.Node | None:
    """The document's nodes, whose marks say where in the text they stand (`index` counts characters). Raises as `load` does."""
    with undisturbed():
        loader = _loader(text)
        try:
            node: yaml.Node | None = loader.get_single_node()
            return node
        finally:
            loader.dispose()


def _value(text: str) -> Any:
    loader = _loader(text)
    try:
        node = loader.get_single_node()
        return None if node is None else _Values(loader).of(node)
    finally:
        loader.dispose()


def _loader(text: str) -> Any:
    quick = getattr(yaml, "CSafeLoader", None)  # there where PyYAML was built with libyaml: all its wheels are
    # libyaml's composer calls itself for each level and has no limit: too deep a text would end the process. Python's says no.
    return yaml.SafeLoader(text) if quick is None or _too_deep(text) else quick(text)


def _too_deep(text: str) -> bool:
    depth = 0
    for bracket in _BRACKET.finditer(text):
        depth = depth + 1 if bracket[0] in "[{" else max(0, depth - 1)
        if depth > _DEEPEST:
            return True
    return _INDENT.search(text) is not None


@contextmanager
def undisturbed() -> Iterator[None]:
    """Without the cycle collector: where objects come by the hundred thousand, going through them again and again costs most."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class _Values:
    """Builds values from nodes; a node that is named by aliases is built once."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader
        self._built: dict[int, Any] = {}
        self._building: set[int] = set()

    def of(self, node: yaml.Node) -> Any:
        if node.__class__ is yaml.ScalarNode:
            return node.value if node.tag == _STR else self._loader.construct_object(node, deep=True)
        key = id(node)
        if key in self._built:
            return self._built[key]
        if _PLAIN.get(node.tag) is not node.__class__:
            return self._loader.construct_object(node, deep=True)
        if key in self._building:
            raise yaml.constructor.ConstructorError(None, None, "contains itself", node.start_mark, "Write it out.")
        self._building.add(key)
        value = self._mapping(node) if isinstance(node, yaml.MappingNode) else [self.of(each) for each in node.value]
        self._built[key] = value
        return value

    def _mapping(self, node: yaml.MappingNode) -> dict[Any, Any]:
        said: set[Hashable] = set()
        for key_node, _ in node.value:
            if key_node.tag == _MERGE:
                continue
            key = self._key(key_node)
            if key in said:
                twice = f"key {key!r} stands here twice"
                raise yaml.constructor.ConstructorError(None, None, twice, key_node.start_mark, "Keep one.")
            said.add(key)
        if len(said) < len(node.value):  # what is merged comes first, so that the mapping's own keys win
            self._loader.flatten_mapping(node)
        return {self._key(key): self.of(value) for key, value in node.value}

    def _key(self, node: yaml.Node) -> Hashable:
        key = self.of(node)
        if not isinstance(key, Hashable):
            raise yaml.constructor.ConstructorError(None, None, "a key must be a word", node.start_mark)
        return key
