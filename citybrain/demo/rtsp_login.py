"""Who may watch: RTSP's basic and digest authentication (RFC 2617, RFC 7616), the server's side."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping

REALM = "simulator"
_FIELD = re.compile(r'(\w+)=(?:"([^"]*)"|([^,\s]*))')


class Login:
    """Users and their passwords; nobody is asked when there are none."""

    def __init__(self, users: Mapping[str, str]) -> None:
        self._users = dict(users)
        self._nonce = secrets.token_hex(16)

    @property
    def challenges(self) -> list[str]:
        return self.asking("")

    def asking(self, only: str) -> list[str]:
        """What is asked of who has not logged in: `only` one scheme (see rtsp_faults), or digest and basic."""
        head = f'realm="{REALM}", nonce="{self._nonce}"'
        known = {
            "basic": f'Basic realm="{REALM}"',
            "md5": f"Digest {head}",
            "md5-qop": f'Digest {head}, algorithm=MD5, qop="auth,auth-int", opaque="opaque"',
            "sha-256": f'Digest {head}, algorithm=SHA-256, qop="auth"',
            "stale": f'Digest {head}, stale=TRUE, qop="auth"',
        }
        return [known[only]] if only in known else [known["md5"], known["basic"]]

    def forget(self) -> None:
        """The nonce given out is not taken any more."""
        self._nonce = secrets.token_hex(16)

    def admits(self, method: str, authorization: str, *, only: str = "") -> bool:
        if not self._users:
            return True
        scheme, _, rest = authorization.partition(" ")
        if scheme.lower() == "basic" and only in ("", "basic"):
            return self._basic(rest)
        return scheme.lower() == "digest" and only != "basic" and self._digest(method, rest, only)

    def _basic(self, rest: str) -> bool:
        try:
            user, _, password = base64.b64decode(rest, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return False
        return user in self._users and hmac.compare_digest(self._users[user].encode(), password.encode())

    def _digest(self, method: str, rest: str, only: str) -> bool:
        fields = {name: quoted or plain for name, quoted, plain in _FIELD.findall(rest)}
        user = fields.get("username", "")
        if user not in self._users or fields.get("nonce") != self._nonce:
            return False
        hashed = _sha256 if only == "sha-256" else _md5
        secret = hashed(f"{user}:{REALM}:{self._users[user]}")
        asked = hashed(method + ":" + fields.get("uri", ""))
        between = self._nonce
        if only in ("md5-qop", "sha-256", "stale"):
            if fields.get("qop") != "auth":
                return False
            between += f":{fields.get('nc', '')}:{fields.get('cnonce', '')}:auth"
        return hmac.compare_digest(hashed(f"{secret}:{between}:{asked}"), fields.get("response", ""))


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()  # what cameras speak


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
