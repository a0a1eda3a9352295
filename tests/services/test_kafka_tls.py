"""How brokers are spoken to safely: by TLS only, and with nobody whose certificate is not trusted. What answers is not Kafka."""

import ipaddress
import socket
import ssl
import struct
import threading
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from citybrain.bus.address import KafkaAddress
from citybrain.bus.kafka import KafkaBus
from citybrain.clock import SystemClock
from citybrain.errors import BusAway
from tests.waiting import until

API_VERSIONS = 18


def certificate(folder, name):
    """Of 127.0.0.1, signed by itself; the files of it and of its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = SystemClock().now()
    made = (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    files = folder / f"{name}.pem", folder / f"{name}.key"
    files[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return files


class Listener:
    """Takes connections by TLS and hears the first request of each."""

    def __init__(self, files):
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._context.load_cert_chain(*files)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.heard, self.refused, self.something = [], 0, threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self):
        while True:
            try:
                plain, _ = self._socket.accept()
            except OSError:
                return
            try:
                with self._context.wrap_socket(plain, server_side=True) as one:
                    one.settimeout(5)
                    self.heard.append(one.recv(4096))
            except OSError:
                self.refused += 1
            self.something.set()

    def close(self):
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()


@pytest.fixture
def files(tmp_path):
    return certificate(tmp_path, "broker")


@pytest.fixture
def listener(files):
    made = Listener(files)
    yield made
    made.close()


def opened(url):
    return KafkaBus(KafkaAddress.parse(url), answer=timedelta(seconds=0.5))


def test_a_broker_whose_certificate_is_trusted_is_spoken_to_by_tls(listener, files):
    bus = opened(f"kafka+ssl://city:secret-7@127.0.0.1:{listener.port}?ca={files[0]}")
    # The first try may end before anything is said, on a machine that is slow.
    first = until(lambda: next((each for each in listener.heard if each), None))
    bus.close()
    assert struct.unpack(">ihh", first[:8])[1] == API_VERSIONS
    assert b"secret-7" not in b"".join(listener.heard)


def test_a_broker_whose_certificate_is_not_trusted_hears_nothing(listener, tmp_path):
    strangers, _ = certificate(tmp_path, "stranger")
    bus = opened(f"kafka+ssl://city:secret-7@127.0.0.1:{listener.port}?ca={strangers}")
    assert listener.something.wait(10)
    with pytest.raises(BusAway) as refused:
        bus.publish("commands", "k", b"1")
    bus.close()
    assert b"".join(listener.heard) == b""
    assert listener.refused
    assert "secret-7" not in str(refused.value)
