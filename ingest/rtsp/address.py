"""Where a camera is: its address without what it keeps secret, and the way its packets shall come."""

from __future__ import annotations

from dataclasses import dataclass, replace
from urllib.parse import parse_qs, unquote, urljoin, urlsplit

from citybrain.errors import CameraGone

PORT = 554


@dataclass(frozen=True, slots=True)
class Address:
    """`url` is what is asked for: no user, no password, no fragment. `udp` when the packets shall come as datagrams."""

    scheme: str
    host: str
    port: int
    url: str
    user: str = ""
    password: str = ""
    udp: bool = False

    def redirected(self, location: str) -> Address:
        """Where a server sends us. The login goes along to the same host only: a camera's password is no other's."""
        there = read_address(urljoin(self.url, location))
        if not there.user and there.host == self.host:
            there = replace(there, user=self.user, password=self.password)
        return replace(there, udp=self.udp)


def read_address(url: str) -> Address:
    """`#transport=udp` behind an address asks for datagrams; a fragment never reaches the camera.

    Raises CameraGone("not found") for what is no address.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or PORT
    except ValueError:
        raise CameraGone("not found", "this is no address") from None
    if not parts.hostname:
        raise CameraGone("not found", "this address names no host")
    netloc = parts.netloc.rpartition("@")[2]
    asked = parts._replace(scheme=parts.scheme.lower(), netloc=netloc, fragment="").geturl()
    return Address(
        scheme=parts.scheme.lower(),
        host=parts.hostname,
        port=port,
        url=asked,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        udp=parse_qs(parts.fragment).get("transport") == ["udp"],
    )
