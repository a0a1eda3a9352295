"""The installation's own key (Ed25519): what it signs was written here, and is unaltered.

evidence.key   the private half, PEM (PKCS 8), for the owner of the data folder alone; made at first use
evidence.pub   the public half, PEM: what whoever is to check evidence is given, once and by another way than the evidence
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from citybrain.errors import Permanent, Unreadable

SIGNATURE_BYTES = 64


class Signer:
    """Signs documents with the installation's key."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public = PublicKey(private.public_key())

    @classmethod
    def open(cls, path: Path) -> Signer:
        """The key in this file; made when there is none, also when several processes ask for it at once."""
        if not path.exists():
            _make(path)
        try:
            private = load_pem_private_key(path.read_bytes(), password=None)
        except (OSError, ValueError, TypeError):
            raise Permanent(
                f"{path}: expected the installation's Ed25519 key as PEM; restore it from a backup"
            ) from None
        if not isinstance(private, Ed25519PrivateKey):
            raise Permanent(f"{path}: expected an Ed25519 key, got another kind; restore it from a backup")
        return cls(private)

    @classmethod
    def passing(cls) -> Signer:
        """A key that ends with the process: what it signs, nobody can check later."""
        return cls(Ed25519PrivateKey.generate())

    def sign(self, document: bytes) -> bytes:
        return self._private.sign(document)


class PublicKey:
    """The public half: what signatures are checked with."""

    def __init__(self, key: Ed25519PublicKey) -> None:
        self._key = key

    @classmethod
    def read(cls, pem: bytes) -> PublicKey:
        """Raises Unreadable for what is no Ed25519 key."""
        try:
            key = load_pem_public_key(pem)
        except (ValueError, TypeError):
            raise Unreadable("expected an Ed25519 public key as PEM, got something else") from None
        if not isinstance(key, Ed25519PublicKey):
            raise Unreadable("expected an Ed25519 public key, got one of another kind")
        return cls(key)

    @property
    def pem(self) -> bytes:
        return self._key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    @property
    def fingerprint(self) -> str:
        """What people compare: SHA-256 of the key, by pairs of digits."""
        digest = hashlib.sha256(self._key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()
        return ":".join(digest[at : at + 2] for at in range(0, 64, 2))

    def verifies(self, document: bytes, signature: bytes) -> bool:
        """Whether the private half made this signature of this document."""
        try:
            self._key.verify(signature, document)
        except InvalidSignature:
            return False
        return True

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PublicKey) and other.pem == self.pem

    def __hash__(self) -> int:
        return hash(self.pem)


def _make(path: Path) -> None:
    signer = Signer.passing()
    pem = signer._private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())  # noqa: SLF001  # its own maker
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".evidence", delete=False) as file:  # for its owner alone
        arriving = Path(file.name)
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())
    try:
        with contextlib.suppress(FileExistsError):  # another process was quicker: its key is the installation's
            os.link(arriving, path)
            path.with_suffix(".pub").write_bytes(signer.public.pem)
    finally:
        arriving.unlink()
