"""What tests against real servers share: one browser for all of them, and a small city with its wall open."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from selenium import webdriver

from tests.services.api_city import City, serving
from tests.services.wall_page import Wall, chromium


@pytest.fixture(scope="session")
def browser(program, tmp_path_factory) -> Iterator[webdriver.Chrome]:
    driver = chromium(program, tmp_path_factory.mktemp("chromium"))
    yield driver
    driver.quit()


@pytest.fixture
def city(tmp_path) -> Iterator[City]:
    made = City(tmp_path)
    made.beat()
    yield made
    made.close()


@pytest.fixture
def wall(city, browser) -> Iterator[Wall]:
    with serving(city.app()) as url:
        yield Wall(browser, url).opened()
        browser.get("about:blank")  # or its streams would outlive the server
