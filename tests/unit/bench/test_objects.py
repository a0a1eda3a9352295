"""The objects that a broker keeps its log in: conditional writes, parts, and listings in pages, as S3 has them."""

from __future__ import annotations

import re

import pytest

from bench.objects import Objects, answer


@pytest.fixture
def objects():
    return Objects()


def keys(listed) -> list[str]:
    return re.findall(r"<Key>(.*?)</Key>", listed.body.decode())


def ask(objects, method, target, body=b"", **headers):
    return answer(objects, method, target, headers={k.replace("_", "-"): v for k, v in headers.items()}, body=body)


def test_what_is_put_is_there_and_can_be_read_in_part(objects):
    assert ask(objects, "PUT", "/b/a%2Fx", b"0123456789").status == 200
    assert ask(objects, "GET", "/b/a/x").body == b"0123456789"
    part = ask(objects, "GET", "/b/a/x", range="bytes=2-4")
    assert (part.status, part.body, part.headers["content-range"]) == (206, b"234", "bytes 2-4/10")
    assert ask(objects, "GET", "/b/a/x", range="bytes=-3").body == b"789"
    assert ask(objects, "DELETE", "/b/a/x").status == 204
    assert ask(objects, "GET", "/b/a/x").status == 404


def test_of_two_who_write_on_one_version_the_second_is_refused(objects):
    first = ask(objects, "PUT", "/b/mark", b"1", if_none_match="*")
    assert ask(objects, "PUT", "/b/mark", b"1", if_none_match="*").status == 412
    etag = first.headers["etag"]
    assert ask(objects, "PUT", "/b/mark", b"2", if_match=etag).status == 200
    assert ask(objects, "PUT", "/b/mark", b"2", if_match=etag).status == 412
    assert ask(objects, "GET", "/b/mark").body == b"2"


def test_the_same_bytes_written_again_are_another_version(objects):
    versions = {ask(objects, "PUT", "/b/mark", b"1").headers["etag"] for _ in range(3)}
    assert len(versions) == 3


def test_a_listing_comes_in_pages_and_by_folder(objects):
    for number in range(5):
        ask(objects, "PUT", f"/b/log/{number}", b"x")
    ask(objects, "PUT", "/b/log/deep/1", b"x")
    ask(objects, "PUT", "/b/other", b"x")
    page = ask(objects, "GET", "/b?list-type=2&prefix=log/&delimiter=/&max-keys=3")
    assert keys(page) == ["log/0", "log/1", "log/2"]
    token = re.search(r"<NextContinuationToken>(.*?)<", page.body.decode())
    rest = ask(objects, "GET", f"/b?prefix=log/&delimiter=/&continuation-token={token and token[1]}")
    assert keys(rest) == ["log/3", "log/4"]
    assert "<Prefix>log/deep/</Prefix>" in rest.body.decode()
    assert keys(ask(objects, "GET", "/b?prefix=log/&start-after=log/3")) == ["log/4", "log/deep/1"]


def test_no_two_objects_are_written_at_one_instant(objects):
    for number in range(50):
        ask(objects, "PUT", f"/b/{number:02}", b"x")
    listed = ask(objects, "GET", "/b").body.decode()
    instants = re.findall(r"<LastModified>(.*?)</LastModified>", listed)
    assert instants == sorted(set(instants))
