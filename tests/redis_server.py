"""A real redis-server on a port of its own, which can be killed and started again, or stopped in mid-sentence."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import time
from datetime import UTC, datetime
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from bench.ports import free_port

PASSWORD = "s3cret"


class RedisServer:
    """What it holds is gone when it is killed, as of a Redis without persistence."""

    def __init__(self, folder: Path, *, tls: bool = False) -> None:
        self._folder, self._tls = folder, tls
        if tls:
            self.certificate = _own_certificate(folder)
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis{'s' if self._tls else ''}://:{PASSWORD}@127.0.0.1:{self.port}/0"

    def start(self) -> None:
        options = ["--bind", "127.0.0.1", "--dir", str(self._folder)]
        if self._tls:
            options += ["--port", "0", "--tls-port", str(self.port), "--tls-auth-clients", "no"]
            options += ["--tls-cert-file", str(self.certificate), "--tls-key-file", str(self._folder / "redis.key")]
            options += ["--tls-ca-cert-file", str(self.certificate)]
        else:
            options += ["--port", str(self.port)]
        options += ["--save", "", "--appendonly", "no", "--requirepass", PASSWORD]
        self._process = subprocess.Popen(
            ["redis-server", *options], stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT
        )
        until = time.monotonic() + 60
        while time.monotonic() < until and self._process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1) as asked:
                if self._tls:
                    return
                asked.sendall(b"PING\r\n")
                if asked.recv(64):
                    return
            time.sleep(0.02)
        raise TimeoutError(f"redis-server did not answer on port {self.port} within 60 s")

    def freeze(self) -> None:
        """It takes connections, for the kernel does, and says nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def _own_certificate(folder: Path) -> Path:
    """Of 127.0.0.1, signed by itself; its key lies beside it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "redis of a test")])
    now = datetime(2026, 1, 1, tzinfo=UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now.replace(year=2046))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "redis.key").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    )
    path = folder / "redis.pem"
    path.write_bytes(made.public_bytes(Encoding.PEM))
    return path


def skip_without_redis() -> None:
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed (apt-get install redis-server)")
    pytest.importorskip("redis", reason="the package redis is not installed (pip install 'citybrain[redis]')")
