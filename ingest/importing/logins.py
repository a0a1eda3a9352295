"""What is secret in an address, put into variables: the file of cameras names them, the env file beside it holds them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote

from ingest.secrets import SECRET_VALUE

_ADDRESS = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)(?P<rest>.*)", re.DOTALL)
_USER_INFO = re.compile(r"(?P<userinfo>[^/?#]*)@(?P<rest>.*)", re.DOTALL)
# Unquoted signs in a password are common: the last @ before something that is a host then ends it.
_LOOSE = re.compile(r"(?P<userinfo>.+)@(?P<rest>(?:\[[0-9A-Fa-f:.]+\]|[\w.-]+)(?::\d{1,5})?(?:[/?].*)?)", re.DOTALL)


class Logins:
    """A pair of variables for each distinct login, the same for the same login each time a table is imported."""

    def __init__(self, name: str, known: Mapping[str, str]) -> None:
        self._prefix = "CAM_" + re.sub(r"[^A-Z0-9]+", "_", name.upper()).strip("_")
        self._known = dict(known)
        self.used: dict[str, str] = {}
        """The variables that addresses name, with their values."""

    def hidden(self, url: str, *, user: str = "", password: str = "") -> str:
        """The address with its login and secret values in variables; `user` and `password` where the table has them apart."""
        address = _ADDRESS.fullmatch(url)
        if address is None:
            return url
        split = _USER_INFO.fullmatch(address["rest"])
        if split is None or "@" in split["rest"].split("/")[0]:
            split = _LOOSE.fullmatch(address["rest"]) or split
        if split:
            user, _, password = split["userinfo"].partition(":")
        elif user or password:
            user, password = quote(user, safe="%"), quote(password, safe="%")
        rest = split["rest"] if split else address["rest"]
        login = self._login(user, password) + "@" if user or password else ""
        return address["scheme"] + login + SECRET_VALUE.sub(self._secret, rest)

    def _login(self, user: str, password: str) -> str:
        if "${" in user or "${" in password:
            return f"{user}:{password}" if password else user
        suffixes = ["", *(f"_{n}" for n in range(2, len(self._known) + 3))]
        for suffix in suffixes:
            names = (f"{self._prefix}_USER{suffix}", f"{self._prefix}_PASSWORD{suffix}")
            held = (self._known.get(names[0]), self._known.get(names[1]))
            if held in ((user, password), (None, None)):
                self._known |= (values := dict(zip(names, (user, password), strict=True)))
                self.used |= values
                return f"${{{names[0]}}}:${{{names[1]}}}"
        raise AssertionError("there is always a free pair of names")

    def _secret(self, match: re.Match[str]) -> str:
        value = match[0].removeprefix(match[1])
        if not value or "${" in value:
            return match[0]
        number = 1
        while self._known.get(name := f"{self._prefix}_SECRET_{number}", value) != value:
            number += 1
        self._known[name] = self.used[name] = value
        return f"{match[1]}${{{name}}}"
