"""As many connections as the system allows, and a word when that is too few."""

from __future__ import annotations

import logging
import resource

import pytest

from ingest.open_files import allow_connections


@pytest.fixture
def limits():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield before
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_the_limit_is_raised_to_what_the_system_allows(limits):
    hard = limits[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(512, hard), hard))
    assert allow_connections(10) == hard
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)


def test_more_cameras_than_that_are_said_to_be_too_many(limits, caplog):
    caplog.set_level(logging.WARNING)
    allow_connections(10)
    assert caplog.text == ""
    if limits[1] == resource.RLIM_INFINITY:
        pytest.skip("this system sets no limit")
    allow_connections(limits[1])
    assert "ulimit -Hn" in caplog.text
