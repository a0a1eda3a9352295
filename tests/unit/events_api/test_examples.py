"""Every JSON body of the OpenAPI document has an example, and the example is one."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from tests.services.api_city import City


@pytest.fixture(scope="module")
def document(tmp_path_factory) -> dict[str, Any]:
    city = City(tmp_path_factory.mktemp("city"))
    found = city.app().openapi()
    city.close()
    return found


def bodies(document):
    """(whose, content) of each JSON request and each JSON answer of a success."""
    for path, methods in document["paths"].items():
        for method, said in methods.items():
            asked = said.get("requestBody", {}).get("content", {})
            yield from ((f"{method} {path}", each) for kind, each in asked.items() if kind == "application/json")
            for status, answer in said["responses"].items():
                content = answer.get("content", {}).get("application/json")
                if status.startswith("2") and content:
                    yield f"{method} {path} {status}", content


def test_every_body_has_an_example_that_its_own_schema_lets_through(document):
    wrong, seen = {}, 0
    for whose, content in bodies(document):
        seen += 1
        schema = {**content["schema"], "components": document["components"]}
        found = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
        if errors := [f"{error.json_path}: {error.message[:120]}" for error in found.iter_errors(content["example"])]:
            wrong[whose] = errors
    assert wrong == {}
    assert seen > 40


def test_no_example_is_left_to_chance_where_a_reader_needs_a_value(document):
    """An example of dots alone tells nothing: ids, names and instants are shown as they look."""
    dots = [whose for whose, content in bodies(document) if content["example"] in ("…", {}, None)]
    assert dots == []
