"""A camera's address as people may see it: no user, no password, no token, wherever it is shown."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote, urlsplit

_USER_INFO = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)[^/?#\s]*@")
_SECRET_KEY = re.compile(r"(?i)[?&;][^=&;\s]*(?:pass|pwd|psw|token|key|secret|auth|sign)[^=&;\s]*=(?=[^&;\s])")
SECRET_VALUE = re.compile(
    r"(?i)([?&;][^=&;\s]*(?:pass|pwd|psw|token|key|secret|auth|user|login|sign)[^=&;\s]*=)[^&;\s]*"
)
_VARIABLE = re.compile(r"\$\{\w+\}")
_NAMED = re.compile(r"\$\{\w+(?::-[^}]*)?\}")


def masked(url: str) -> str:
    """The address with `***` for user information, secret query values and every `${VARIABLE}` still in it."""
    shown = _USER_INFO.sub(r"\g<scheme>***@", _VARIABLE.sub("***", url))
    return SECRET_VALUE.sub(r"\1***", shown)


def written_out(url: str) -> bool:
    """Whether a password, or what looks like one among the query's values, stands in the address itself.

    `${NAME}` is where one will be, and the default of `${NAME:-default}` is no secret: whoever wrote it meant it to be read.
    """
    named = _NAMED.sub("", url)
    userinfo = _USER_INFO.match(named)
    password = userinfo.group().partition("://")[2].rstrip("@").partition(":")[2] if userinfo else ""
    return bool(password) or _SECRET_KEY.search(named) is not None


def scrubbed(text: str, url: str) -> str:
    """Somebody else's message about an address, without what the address keeps secret."""
    parts = urlsplit(url)
    userinfo = parts.netloc.rpartition("@")[0]
    user, _, password = userinfo.partition(":")
    shown = text.replace(url, masked(url))
    for secret in sorted({userinfo, password, user, unquote(password), unquote(user), quote(password)}, key=len)[::-1]:
        if len(secret) >= 3:  # a shorter one stands inside ordinary words
            shown = shown.replace(secret, "***")
    return masked(shown)
