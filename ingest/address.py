"""A camera's address: which source opens it, and what it is once its secrets are in it."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import quote

from citybrain.configuration import expand
from citybrain.errors import Fault

SCHEMES = {
    "rtsp": "rtsp",
    **dict.fromkeys(("rtsps", "rtmp", "rtmps", "http", "https"), "libav"),
    "file": "file",
    "images": "images",
}
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_USER_INFO = re.compile(r"^(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)(?P<userinfo>[^/?#]*)@(?P<rest>.*)$", re.DOTALL)
_HOST = re.compile(r"^//(?:[^/?#]*@)?(?:\[[0-9A-Fa-f:.]+\]|[^/?#@:\[\]]+)(?::\d{1,5})?(?:[/?#]|$)")
_SOCKET = "ingest.sources"


@dataclass(frozen=True, slots=True)
class Faults:
    """Where the faults of one camera go: its file, and the key that it stands under."""

    file: str
    at: str
    into: list[Fault]

    def add(self, key: str, message: str, remedy: str = "") -> None:
        self.into.append(Fault(self.file, f"{self.at}.{key}" if self.at else key, message, remedy))


def source_of(url: str, named: str | None, *, known: Collection[str], faults: Faults) -> str | None:
    """The source that opens the address: the one that is named, else by its scheme; None after adding a fault."""
    if named is not None:
        if named not in known:
            faults.add("source", f"{_SOCKET} has no {named!r}.", f"It has {', '.join(known)}.")
            return None
        return named
    scheme = _SCHEME.match(url)
    name = SCHEMES.get(scheme.group(1).lower()) if scheme else None
    if name not in known:
        found = f"begins with {scheme.group(1) + ':'!r}" if scheme else "has no scheme"
        right = ", ".join(f"{each}:" for each in SCHEMES)
        faults.add(
            "url", f"{found}, which no source opens.", f"Begin it with {right}, or name a source: {', '.join(known)}."
        )
        return None
    return name


def opened(url: str, folder: Path, *, faults: Faults, environment: Mapping[str, str] | None = None) -> str | None:
    """The address with its secrets in it; file and images paths are taken from the configuration's folder."""
    unset: list[str] = []
    split = _USER_INFO.match(url) if "@" in url else None
    expanded = partial(_expanded, unset=unset, environment=environment)
    # A password may hold any character: those that an address gives a meaning are quoted, unless they already are.
    before = split["scheme"] + expanded(split["userinfo"], quoted=True) + "@" if split else ""
    address = before + expanded(split["rest"] if split else url)
    for name in unset:
        faults.add("url", f"the variable {name} is not set.", f"Set {name} in the environment before starting.")
    if unset:
        return None
    scheme, _, rest = address.partition(":")
    if scheme.lower() in ("file", "images"):
        place, mark, query = rest.partition("?")
        path = (folder / place.removeprefix("//")).resolve()
        if not path.exists():
            faults.add("url", f"there is no {path}.", "Paths are taken from the folder of cameras.yaml.")
            return None
        return f"{scheme.lower()}://{quote(str(path))}{mark}{query}"
    if not _HOST.match(rest) and SCHEMES.get(scheme.lower()):
        faults.add("url", "names no host.", "Write it as rtsp://user:password@host:port/path.")
        return None
    return address


def _expanded(text: str, *, unset: list[str], environment: Mapping[str, str] | None, quoted: bool = False) -> str:
    if "${" not in text:
        return text
    expanded, missing = expand(text, environment=environment, quote=partial(quote, safe="%") if quoted else str)
    unset.extend(name for name in missing if name not in unset)
    return expanded
