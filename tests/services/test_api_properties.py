"""Whatever is asked of the API, it answers as its OpenAPI document says, and never fails: asked by schemathesis."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.specs.openapi.checks import positive_data_acceptance

from tests.services.api_city import City, case, serving

pytestmark = pytest.mark.timeout(400)  # more than a thousand questions

ENDLESS = {"/v1/events/stream", "/v1/cameras/{id}/live"}
"""Answers that go on for ever: tests/services/test_api_streams.py has them."""

# Not asked: `positive_data_acceptance`. A cursor that this API gave, edges that do not cross, one of two fields, a scene that
# there is: no JSON schema can say so; what is refused for it is named, which the other checks see to.

SETTINGS = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module", params=["files", "postgres"])
def document(request, tmp_path_factory) -> Iterator[schemathesis.BaseSchema]:
    database = request.getfixturevalue("postgres").empty() if request.param == "postgres" else None
    city = City(tmp_path_factory.mktemp("city"), database=database)
    city.beat()
    city.file(*(case(n) for n in range(1, 6)))
    with serving(city.app()) as url, city.obeying():
        found = schemathesis.openapi.from_url(f"{url}/openapi.json")
        yield found.exclude(path=sorted(ENDLESS))
    city.close()


def test_every_route_answers_as_its_document_says(document):
    wrong: dict[str, str] = {}
    asked = 0
    for found in document.get_all_operations():
        operation = found.ok()

        @given(case=operation.as_strategy())
        @SETTINGS
        def holds(case):
            nonlocal asked
            asked += 1
            case.call_and_validate(excluded_checks=[positive_data_acceptance], timeout=60)

        try:
            holds()
        except (FailureGroup, Failure) as failure:
            wrong[operation.label] = str(failure)
    assert not wrong, "\n\n".join(f"{label}\n{said}" for label, said in wrong.items())
    assert asked > 500
