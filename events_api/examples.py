"""An example of every JSON body in the OpenAPI document: what the models say of their fields, put together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_DEEPEST = 7
_BY_TYPE: Mapping[str, Any] = {"string": "…", "integer": 1, "number": 1.0, "boolean": True, "object": {}}


def add_examples(document: dict[str, Any]) -> None:
    """Give each JSON request and each JSON answer of a success an `example`, where it has none."""
    schemas = document["components"]["schemas"]
    for content in _contents(document):
        if "example" not in content and "examples" not in content:
            content["example"] = example(content.get("schema", {}), schemas)


def example(schema: Mapping[str, Any], schemas: Mapping[str, Any], depth: int = 0) -> Any:
    """A value that fits: the schema's own example, else one made of those of its parts."""
    if "$ref" in schema:
        named = schemas[schema["$ref"].rpartition("/")[2]]
        return example({**named, **{key: value for key, value in schema.items() if key != "$ref"}}, schemas, depth)
    if schema.get("examples"):
        return schema["examples"][0]
    for key in ("example", "const", "default"):
        if schema.get(key) is not None:
            return schema[key]
    if "enum" in schema:
        return schema["enum"][0]
    for choice in ("anyOf", "oneOf", "allOf"):
        if choice in schema:
            return example(schema[choice][0], schemas, depth)
    if schema.get("type") == "array":
        return [example(schema.get("items", {}), schemas, depth + 1)] if depth < _DEEPEST else []
    if "properties" in schema:
        return {name: example(each, schemas, depth + 1) for name, each in schema["properties"].items()}
    return _BY_TYPE.get(schema.get("type", ""))


def _contents(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for methods in document["paths"].values():
        for said in methods.values():
            bodies = [said.get("requestBody", {})]
            bodies += [answer for status, answer in said["responses"].items() if status.startswith("2")]
            for body in bodies:
                if "application/json" in body.get("content", {}):
                    yield body["content"]["application/json"]
