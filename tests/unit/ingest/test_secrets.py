"""An address is shown without user, password or token, whoever quotes it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.secrets import masked, scrubbed


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://admin:12345@10.0.0.1:554/sub", "rtsp://***@10.0.0.1:554/sub"),
        ("rtsp://10.0.0.1/sub", "rtsp://10.0.0.1/sub"),
        ("rtsp://admin@10.0.0.1/sub", "rtsp://***@10.0.0.1/sub"),
        ("rtsp://a:b@c@10.0.0.1/sub", "rtsp://***@10.0.0.1/sub"),
        ("https://10.0.0.1/live.m3u8?channel=2&token=abc", "https://10.0.0.1/live.m3u8?channel=2&token=***"),
        ("rtsp://10.0.0.1/user=admin?Password=x1", "rtsp://10.0.0.1/user=admin?Password=***"),
        ("rtsp://10.0.0.1/${CAM_TOKEN}/sub", "rtsp://10.0.0.1/***/sub"),
    ],
)
def test_an_address_is_shown_without_its_secrets(url, shown):
    assert masked(url) == shown


@given(st.text("abcXYZ0189._-", min_size=3), st.text("abcXYZ0189._-!*", min_size=3))
def test_a_message_that_quotes_the_address_or_the_password_is_scrubbed(user, password):
    url = f"rtsp://{user}!:{password}!@10.0.0.1/sub"
    said = scrubbed(f"cannot open '{url}': login as {user}! with {password}! failed", url)
    assert f"{password}!" not in said
    assert f"{user}!" not in said
