"""What every store of reporters keeps: the first word about a report, for every process."""

from __future__ import annotations

from citybrain.database import Database
from events_api.personal import Reporters


def test_the_first_word_about_a_report_counts_for_every_process(database, store_url):
    reporters = Reporters(database)
    elsewhere = Database.open(store_url)
    others = Reporters(elsewhere)
    assert reporters.get("r-1") is None
    reporters.put("r-1", "王** 138****1234")
    others.put("r-1", "李**")
    others.put("r-2", "李**")
    assert [each.get("r-1") for each in (reporters, others)] == ["王** 138****1234"] * 2
    assert reporters.get("r-2") == "李**"
    elsewhere.close()
