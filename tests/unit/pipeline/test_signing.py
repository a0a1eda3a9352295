"""Signatures as Standard Webhooks write them: the published example, and what no receiver may accept."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citybrain import signing

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
SECRET = signing.new_secret()
BODY = '{"specversion":"1.0","subject":"机动车乱停放"}'.encode()
IDS = st.text(st.sampled_from("abcXYZ019_-:~"), min_size=1, max_size=256)


def signed(body=BODY, *, secret=SECRET, at=NOW, message_id="event-1"):
    return signing.sign(secret, message_id=message_id, at=at, body=body)


def test_the_published_example_is_reproduced():
    headers = signing.sign(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        message_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        at=datetime.fromtimestamp(1614265330, UTC),
        body=b'{"test": 2432232314}',
    )
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@given(message_id=IDS, body=st.binary(max_size=300), drift=st.integers(-300, 300))
def test_what_is_signed_is_known_within_five_minutes(message_id, body, drift):
    headers = signed(body, message_id=message_id)
    assert signing.verify(SECRET, headers, body, now=NOW + timedelta(seconds=drift)) == message_id


@given(body=st.binary(min_size=1, max_size=100), where=st.integers(min_value=0), bit=st.integers(0, 7))
def test_one_altered_bit_of_the_body_is_noticed(body, where, bit):
    altered = bytearray(body)
    altered[where % len(body)] ^= 1 << bit
    with pytest.raises(ValueError, match="webhook-signature"):
        signing.verify(SECRET, signed(body), bytes(altered), now=NOW)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp"])
def test_a_changed_header_is_noticed(name):
    headers = signed()
    headers[name] = {"webhook-id": "event-2", "webhook-timestamp": str(int(NOW.timestamp()) + 1)}[name]
    with pytest.raises(ValueError, match="webhook-signature"):
        signing.verify(SECRET, headers, BODY, now=NOW)


def test_another_secret_is_noticed_and_none_is_told():
    headers = signed(secret=signing.new_secret())
    with pytest.raises(ValueError, match="webhook-signature") as raised:
        signing.verify(SECRET, headers, BODY, now=NOW)
    assert SECRET.removeprefix("whsec_") not in str(raised.value)
    assert signed()["webhook-signature"] not in str(raised.value)


@pytest.mark.parametrize("late", [301, -301, 86400])
def test_an_old_message_or_one_from_the_future_is_turned_away(late):
    with pytest.raises(ValueError, match="webhook-timestamp"):
        signing.verify(SECRET, signed(), BODY, now=NOW + timedelta(seconds=late))


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_missing_header_is_named(name):
    headers = signed()
    del headers[name]
    with pytest.raises(ValueError, match=f"{name}: missing"):
        signing.verify(SECRET, headers, BODY, now=NOW)


@pytest.mark.parametrize("timestamp", ["now", "-5", "1e9", "1614265330.0", "٣", "9" * 13])
def test_a_timestamp_that_is_no_number_of_seconds_is_named(timestamp):
    with pytest.raises(ValueError, match="webhook-timestamp: expected"):
        signing.verify(SECRET, signed() | {"webhook-timestamp": timestamp}, BODY, now=NOW)


def test_headers_are_known_in_any_case():
    headers = {name.title(): value for name, value in signed().items()}
    assert signing.verify(SECRET, headers, BODY, now=NOW) == "event-1"


def test_during_a_rotation_either_side_may_be_first():
    old, new = signing.new_secret(), signing.new_secret()
    both = signed(secret=[new, old])
    assert len(both["webhook-signature"].split(" ")) == 2
    assert signing.verify(old, both, BODY, now=NOW) == "event-1"
    assert signing.verify(new, both, BODY, now=NOW) == "event-1"
    assert signing.verify([new, old], signed(secret=old), BODY, now=NOW) == "event-1"


def test_signatures_of_other_schemes_beside_ours_do_no_harm():
    headers = signed()
    headers["webhook-signature"] = "v1a,asymmetric v2 v1,AAAA " + headers["webhook-signature"]
    assert signing.verify(SECRET, headers, BODY, now=NOW) == "event-1"


@pytest.mark.parametrize("signature", ["v1", "v1,", "v1a,{}", "{}", "v1,{}x", "v1,签名"])
def test_a_malformed_signature_is_no_signature(signature):
    real = signed()["webhook-signature"].removeprefix("v1,")
    with pytest.raises(ValueError, match="webhook-signature"):
        signing.verify(SECRET, signed() | {"webhook-signature": signature.format(real)}, BODY, now=NOW)


@pytest.mark.parametrize("secret", ["", "whsec_", "hunter2-not-base64", "whsec_c2hvcnQ=", "whsec_" + "A" * 200])
def test_what_cannot_be_a_secret_is_refused_unquoted(secret):
    with pytest.raises(ValueError, match="signing secret") as raised:
        signing.sign(secret, message_id="event-1", at=NOW, body=BODY)
    assert len(secret) < 8 or secret not in str(raised.value)


def test_no_secret_at_all_verifies_nothing():
    with pytest.raises(ValueError, match="at least one"):
        signing.verify([], signed(), BODY, now=NOW)


@pytest.mark.parametrize("message_id", ["", "a.b", "a b", "a\nwebhook-x: y", "事件", "x" * 257])
def test_an_id_that_a_header_cannot_carry_is_refused(message_id):
    with pytest.raises(ValueError, match="webhook-id"):
        signed(message_id=message_id)


def test_new_secrets_differ_and_serve():
    assert signing.new_secret() != signing.new_secret()
    signing.check_secret(signing.new_secret())
