"""What the contracts of stores share: an empty database of each kind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from citybrain.database import Database


@pytest.fixture(params=["sqlite", "postgres"])
def store_url(request, tmp_path) -> str:
    """Where an empty database is, which other processes may open, too."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.db'}"
    return request.getfixturevalue("postgres").empty()


@pytest.fixture
def database(store_url) -> Iterator[Database]:
    opened = Database.open(store_url)
    yield opened
    opened.close()
