"""What is masked is seen without its masks for a reason only: asked for on the wall, noted in the audit trail."""

from __future__ import annotations

import httpx
import pytest

from citybrain.evidence.regions import Masking
from tests.services.api_city import case, serving
from tests.services.wall_page import Wall, fresh


@pytest.mark.parametrize(("language", "said"), [("en", "shown without masks"), ("zh", "未遮挡原图")])
def test_an_operator_says_why_and_sees_the_original_until_they_look_elsewhere(city, browser, language, said):
    city.file(fresh(city, 1))
    with serving(city.app(masking=Masking())) as url:
        browser.get(f"{url}/wall/icon.svg")
        wall = Wall(browser, url)
        wall.do(f"localStorage.setItem('language', '{language}')")
        wall.opened()
        wall.lists(1)
        wall.reads(case(1).id)
        assert "unmasked" not in wall.ask("document.querySelector('#detail figure img').src")
        wall.click("[data-action=original]")
        wall.until("document.querySelector('#ask[open]')")
        wall.click("#ask [type=submit]")
        wall.until("document.querySelector('#ask .wrong').innerText !== ''")
        wall.press("plate for the police")
        wall.click("#ask [type=submit]")
        wall.until("document.querySelector('#detail figure img').src.includes('unmasked=true')")
        wall.until("document.querySelector('#detail figure img').naturalWidth > 0")
        wall.says("#detail figcaption", said)
        noted = httpx.get(f"{url}/v1/audit?what=evidence.unmasked", timeout=30).json()["items"]
        assert [(each["on"], each["more"]["reason"]) for each in noted] == [
            (city.cases[case(1).id].evidence[0].ref, "plate for the police")
        ]
        city.file(fresh(city, 2))
        wall.press("n")
        wall.until(f"document.querySelector('#detail').dataset.case === '{case(2).id}'")
        wall.press("j")
        wall.until(f"document.querySelector('#detail').dataset.case === '{case(1).id}'")
        assert "unmasked" not in wall.ask("document.querySelector('#detail figure img').src")
        assert wall.complaints() == []
        browser.get("about:blank")
