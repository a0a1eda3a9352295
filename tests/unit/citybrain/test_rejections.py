"""Originals by the API: asked for again when it is busy, never taken masked, and refused in words that say what is missing."""

from __future__ import annotations

import httpx
import pytest

from citybrain.client import ApiAway, ApiProblem, Client
from citybrain.errors import Unreadable, UsageError
from citybrain.mining.rejections import WHY, _Api

REF = "gd-1/20261121/080000.000Z-0123456789abcdef.jpg"


def problem(status: int, kind: str, **headers: str) -> httpx.Response:
    return httpx.Response(status, json={"type": f"/docs#{kind}", "detail": f"it is {kind}"}, headers=headers)


class Asked:
    """The API, answering what it was given in turn, and what it was asked for."""

    def __init__(self, *answers: httpx.Response) -> None:
        self.answers, self.requests, self.waited = list(answers), list[httpx.Request](), list[float]()
        client = Client("http://city", transport=httpx.MockTransport(self._answer))
        self.city = _Api(client, wait=self.waited.append)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return self.answers.pop(0)


def original(**headers: str) -> httpx.Response:
    return httpx.Response(200, content=b"picture", headers={"masked": "false"} | headers)


def test_an_original_is_asked_for_with_the_reason_that_is_noted():
    asked = Asked(original())
    assert asked.city.original(REF) == b"picture"
    (request,) = asked.requests
    assert request.url.path == f"/v1/evidence/{REF}"
    assert dict(request.url.params) == {"unmasked": "true", "reason": WHY}


def test_who_is_told_to_wait_waits_as_long_and_asks_again():
    asked = Asked(problem(429, "too-many-requests", **{"retry-after": "3"}), problem(503, "evidence-away"), original())
    assert asked.city.original(REF) == b"picture"
    assert asked.waited == [3.0, 2.0]


def test_an_api_that_stays_away_ends_the_run_and_what_was_mined_stays():
    asked = Asked(*(problem(503, "busy") for _ in range(6)))
    with pytest.raises(ApiAway):
        asked.city.original(REF)
    assert len(asked.waited) == 5


def test_a_masked_copy_is_never_taken():
    with pytest.raises(Unreadable, match="expected the original, got a masked copy"):
        Asked(original(masked="true")).city.original(REF)
    with pytest.raises(UsageError, match=r"--key: it is role-too-small; .* nothing is learnt"):
        Asked(problem(403, "role-too-small")).city.original(REF)


@pytest.mark.parametrize(("status", "kind"), [(404, "no-such-picture"), (410, "picture-gone")])
def test_what_is_no_longer_kept_is_gone(status, kind):
    with pytest.raises(KeyError):
        Asked(problem(status, kind)).city.original(REF)


def test_an_altered_picture_is_unreadable_and_a_wrong_key_is_said():
    with pytest.raises(Unreadable):
        Asked(problem(410, "picture-altered")).city.original(REF)
    with pytest.raises(ApiProblem, match="key-needed"):
        Asked(problem(401, "key-needed")).city.original(REF)


def test_a_case_of_another_city_is_not_taken_back():
    assert Asked(problem(404, "no-such-case")).city.is_taken_back("case-1") is False
    with pytest.raises(ApiProblem):
        Asked(problem(401, "key-needed")).city.is_taken_back("case-1")
