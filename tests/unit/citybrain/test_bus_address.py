"""A bus's address says where, who and how safely; its password is shown nowhere, whatever is wrong with it."""

import ssl
from datetime import timedelta

import pytest

from citybrain.bus.address import KafkaAddress, Login, Tls
from citybrain.errors import UsageError


def test_an_address_names_brokers_a_prefix_and_a_kind_of_producer():
    found = KafkaAddress.parse("kafka://k1:9092,k2:9093/city?producer=plain")
    assert found == KafkaAddress(("k1:9092", "k2:9093"), "city", producer="plain")
    assert found.topic("detections") == "city.detections"
    assert found.name_of("city.detections") == "detections"
    assert str(found) == "kafka://k1:9092,k2:9093/city?producer=plain"
    assert found.fetch_wait == timedelta(milliseconds=100)
    for word, idempotent, most in (("idempotent", True, None), ("batched", False, None), ("plain", False, 1)):
        asked = KafkaAddress.parse(f"kafka://k1:9092?producer={word}").producing()
        assert (asked["enable_idempotence"], asked.get("max_batch_size"), asked["acks"]) == (idempotent, most, "all")
    assert KafkaAddress.parse("kafka://k1:9092").producer == "idempotent"
    patient = "kafka://k1:9092/city?producer=plain&fetch_wait=1s500ms"
    assert KafkaAddress.parse(patient).fetch_wait == timedelta(seconds=1.5)
    assert str(KafkaAddress.parse(patient)) == patient
    assert KafkaAddress.parse("kafka://[::1]:9092").topic("detections") == "detections"


def test_who_we_are_is_proved_and_shown_nowhere():
    found = KafkaAddress.parse("kafka+ssl://city:p%40ss%2Fword@k1:9093?sasl=scram-sha-256")
    assert (found.login, found.tls) == (Login("city", "p@ss/word", "SCRAM-SHA-256"), Tls())
    client = found.client()
    assert client["security_protocol"] == "SASL_SSL"
    assert client["ssl_context"].verify_mode is ssl.CERT_REQUIRED
    assert (client["sasl_mechanism"], client["sasl_plain_username"], client["sasl_plain_password"]) == (
        "SCRAM-SHA-256",
        "city",
        "p@ss/word",
    )
    for shown in (str(found), repr(found)):
        assert "p@ss" not in shown
        assert "p%40ss" not in shown
    assert str(found) == "kafka+ssl://***@k1:9093"
    assert KafkaAddress.parse("kafka://city:x@k1:1").client()["sasl_mechanism"] == "SCRAM-SHA-512"
    assert KafkaAddress.parse("kafka://k1:1").client()["security_protocol"] == "PLAINTEXT"


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("redis://k1:9092", "expected kafka://"),
        ("kafka://u:secret-7@k1", "expected kafka://"),
        ("kafka://u:secret-7@k1:9092,k2", "expected kafka://"),
        ("kafka://u:secret-7@k1:9092/city.one", "expected a prefix"),
        ("kafka://u:secret-7@k1:9092#x", "expected kafka://"),
        ("kafka://secret-7@k1:9092", "both of user:password@"),
        ("kafka://:secret-7@k1:9092", "both of user:password@"),
        ("kafka://u:secret-7@k1:9092?producer=fast", "expected .producer= idempotent or batched or plain"),
        ("kafka://u:secret-7@k1:9092?password=secret-7", "expected one of the options"),
        ("kafka://u:secret-7@k1:9092?sasl=gssapi", "expected .sasl= scram-sha-512 or"),
        ("kafka://k1:9092?fetch_wait=soon", "fetch_wait= .*'soon'"),
        ("kafka://k1:9092?fetch_wait=1m", "expected .fetch_wait= 10ms to 10s, got '1m'"),
        ("kafka://k1:9092?sasl=plain", "expected user:password@"),
        ("kafka://u:secret-7@k1:9092?ca=/x", "is for kafka.ssl"),
        ("kafka+ssl://u:secret-7@k1:9092?cert=/x", "go together"),
    ],
)
def test_a_wrong_address_says_what_was_expected_and_no_password(url, why):
    with pytest.raises(UsageError, match=why) as refused:
        KafkaAddress.parse(url)
    assert "secret-7" not in str(refused.value)


def test_certificates_that_cannot_be_read_are_named(tmp_path):
    missing = tmp_path / "none.pem"
    with pytest.raises(UsageError, match=r"none\.pem"):
        KafkaAddress.parse(f"kafka+ssl://k1:9093?ca={missing}").client()
