"""Who we say we are: RTSP's basic and digest authentication, the viewer's side (RFC 2617, RFC 7616)."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from citybrain.errors import CameraGone

_FIELD = re.compile(r'([A-Za-z0-9_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*))')
_SCHEME = re.compile(r"(?i)(?:^|,)\s*(digest|basic)(?:\s+|$)")
_HASHES: dict[str, Callable[[bytes], str]] = {
    "md5": lambda data: hashlib.md5(data, usedforsecurity=False).hexdigest(),  # what most cameras speak
    "sha-256": lambda data: hashlib.sha256(data).hexdigest(),
}
_MOST_AGAIN = 3


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way to log in that a server offers."""

    scheme: str
    fields: dict[str, str]

    @property
    def algorithm(self) -> str:
        return self.fields.get("algorithm", "MD5").lower()

    @property
    def strength(self) -> int:
        """The better one is answered; 0 is one that we cannot answer."""
        if self.scheme == "basic":
            return 1
        return {"md5": 2, "sha-256": 3}.get(self.algorithm.removesuffix("-sess"), 0)


def read_challenges(values: Sequence[str]) -> list[Challenge]:
    """Every challenge of WWW-Authenticate headers; several may stand in one."""
    found: list[Challenge] = []
    for value in values:
        marks = list(_SCHEME.finditer(value))
        for mark, following in zip(marks, [*marks[1:], None], strict=False):
            text = value[mark.end() : following.start() if following else None]
            fields = {
                name.lower(): re.sub(r"\\(.)", r"\1", quoted) if quoted else plain
                for name, quoted, plain in _FIELD.findall(text)
            }
            found.append(Challenge(mark[1].lower(), fields))
    return found


@dataclass(slots=True)
class Login:
    """A user, and the challenge that is being answered."""

    user: str = ""
    password: str = ""
    challenge: Challenge | None = None
    _count: int = 0
    _again: int = 0
    _passed: bool = False
    _client_nonce: str = field(default_factory=lambda: secrets.token_hex(8))

    def challenged(self, values: Sequence[str], *, answered: bool) -> None:
        """A request was answered 401; `answered` when it carried our answer to a challenge already.

        Raises CameraGone("wrong password") when answering again would say the same again.
        """
        offered = max(read_challenges(values), key=lambda each: each.strength, default=None)
        if not self.user and not self.password:
            raise CameraGone("wrong password", "it wants a login, and the address has none")
        if offered is None or offered.strength == 0:
            raise CameraGone("wrong password", "it wants a login of a kind that is not known")
        if answered:
            stale = offered.fields.get("stale", "").lower() == "true"
            before = self.challenge.fields.get("nonce") if self.challenge else None
            # Some forget to say that a nonce is stale: where this login has passed before, a new one is answered too.
            fresh = offered.fields.get("nonce") != before and (stale or self._passed)
            if not fresh or self._again >= _MOST_AGAIN:
                raise CameraGone("wrong password")
            self._again += 1
        self.challenge, self._count = offered, 0

    def accepted(self) -> None:
        """A request passed."""
        self._again, self._passed = 0, self._passed or self.challenge is not None

    def header(self, method: str, url: str) -> str | None:
        """The Authorization header of a request; None while nobody has asked."""
        challenge = self.challenge
        if challenge is None:
            return None
        if challenge.scheme == "basic":
            pair = f"{self.user}:{self.password}".encode()
            return "Basic " + base64.b64encode(pair).decode()
        return self._digest(challenge, method, url)

    def _digest(self, challenge: Challenge, method: str, url: str) -> str:
        digest = _HASHES[challenge.algorithm.removesuffix("-sess")]

        def hashed(*parts: str) -> str:
            return digest(":".join(parts).encode())

        realm, nonce = challenge.fields.get("realm", ""), challenge.fields.get("nonce", "")
        secret = hashed(self.user, realm, self.password)
        if challenge.algorithm.endswith("-sess"):
            secret = hashed(secret, nonce, self._client_nonce)
        offered = [each.strip().lower() for each in challenge.fields.get("qop", "").split(",") if each.strip()]
        quality = "auth" if "auth" in offered else offered[0] if offered else ""
        asked = hashed(method, url, digest(b"")) if quality == "auth-int" else hashed(method, url)
        pairs = {"username": self.user, "realm": realm, "nonce": nonce, "uri": url}
        if quality:
            self._count += 1
            count = f"{self._count:08x}"
            pairs["response"] = hashed(secret, nonce, count, self._client_nonce, quality, asked)
        else:
            pairs["response"] = hashed(secret, nonce, asked)
        if "opaque" in challenge.fields:
            pairs["opaque"] = challenge.fields["opaque"]
        text = ", ".join(f'{name}="{_escaped(value)}"' for name, value in pairs.items())
        if "algorithm" in challenge.fields:
            text += f", algorithm={challenge.fields['algorithm']}"
        if quality or challenge.algorithm.endswith("-sess"):
            text += f', cnonce="{self._client_nonce}"'
        return "Digest " + text + (f", qop={quality}, nc={self._count:08x}" if quality else "")


def _escaped(value: str) -> str:
    return re.sub(r'(["\\])', r"\\\1", value)
