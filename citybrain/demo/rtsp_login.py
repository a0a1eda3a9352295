"""Who may watch: RTSP's basic and digest authentication (RFC 2617), the server's side."""

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
        return [f'Digest realm="{REALM}", nonce="{self._nonce}"', f'Basic realm="{REALM}"']

    def admits(self, method: str, authorization: str) -> bool:
        if not self._users:
            return True
        scheme, _, rest = authorization.partition(" ")
        if scheme.lower() == "basic":
            return self._basic(rest)
        return scheme.lower() == "digest" and self._digest(method, rest)

    def _basic(self, rest: str) -> bool:
        try:
            user, _, password = base64.b64decode(rest, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return False
        return user in self._users and hmac.compare_digest(self._users[user].encode(), password.encode())

    def _digest(self, method: str, rest: str) -> bool:
        fields = {name: quoted or plain for name, quoted, plain in _FIELD.findall(rest)}
        user = fields.get("username", "")
        if user not in self._users or fields.get("nonce") != self._nonce:
            return False
        secret = _md5(f"{user}:{REALM}:{self._users[user]}")
        expected = _md5(f"{secret}:{self._nonce}:{_md5(method + ':' + fields.get('uri', ''))}")
        return hmac.compare_digest(expected, fields.get("response", ""))


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()  # what cameras speak
