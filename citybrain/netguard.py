"""Where a URL that somebody gave us may lead: public addresses, and what the configuration allows beside them.

The name is resolved here, once, and the connection goes to the very address that was checked: a name that answers with
a harmless address first and with a local one afterwards (DNS rebinding) gains nothing.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Annotated
from urllib.parse import urlsplit

import httpx
from pydantic import AfterValidator

from citybrain.errors import NotDelivered

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

WORDS = {
    "loopback": ("127.0.0.0/8", "::1/128"),
    "link-local": ("169.254.0.0/16", "fe80::/10"),
    "private": ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"),
}
"""What may be allowed by name, beside networks such as 10.1.0.0/16."""

RESOLVE_WITHIN = timedelta(seconds=5)

# Addresses that carry an IPv4 address inside: what counts is where that one leads.
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")

# getaddrinfo cannot be interrupted: a resolver that stays silent may fill these threads, never the loop's own.
_RESOLVERS = ThreadPoolExecutor(max_workers=8, thread_name_prefix="resolve")


def networks(allow: Iterable[str]) -> tuple[Network, ...]:
    """The networks that words and CIDR notations stand for. Raises ValueError naming what is neither."""
    found: list[Network] = []
    for each in allow:
        for text in WORDS.get(each, (each,)):
            try:
                found.append(ipaddress.ip_network(text))
            except ValueError:
                raise ValueError(
                    f"expected {', '.join(WORDS)} or a network such as 10.1.0.0/16, got {each!r}"
                ) from None
    return tuple(found)


def _check_allow(allow: tuple[str, ...]) -> tuple[str, ...]:
    networks(allow)
    return allow


def _check_url(url: str) -> str:
    check_url(url)
    return url


def check_url(url: str) -> None:
    """Raises ValueError, without quoting a password, for what is not an http(s) URL with a host."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # read for its ValueError
    except ValueError:
        raise ValueError("expected an http or https URL, got one that cannot be read") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"expected an http or https URL with a host, got scheme {parts.scheme!r}")


HttpUrl = Annotated[str, AfterValidator(_check_url)]
Allowed = Annotated[tuple[str, ...], AfterValidator(_check_allow)]


class Unreachable(NotDelivered):
    """The URL leads, or may lead, where it must not; or its name does not resolve at the moment."""


class Forbidden(Unreachable):
    """The URL leads where it must not."""


class Guard:
    """Decides which addresses a URL given by a user may lead to: public ones and `allow`."""

    def __init__(self, allow: Iterable[str] = ()) -> None:
        self._allowed = networks(allow)

    def permits(self, address: Address) -> bool:
        meant = _meant(address)
        if any(meant.version == network.version and meant in network for network in self._allowed):
            return True
        never = meant.is_multicast or meant.is_reserved or meant.is_unspecified or meant.is_link_local
        return meant.is_global and not never

    async def resolve(self, host: str, port: int) -> list[str]:
        """The addresses to connect to, in order. Raises Forbidden when any is not permitted (a mixed answer is a ruse),
        Unreachable when the name does not resolve."""
        try:
            found: list[Address] = [ipaddress.ip_address(host)]
        except ValueError:
            found = await _look_up(host, port)
        for address in found:
            if not self.permits(address):
                raise Forbidden(f"{host} leads to {address}, which is not a public address and not allowed")
        return [str(address) for address in found]


class GuardedTransport(httpx.AsyncBaseTransport):
    """Sends a request to an address that the guard permits, under the name asked for: in Host, TLS and certificate."""

    def __init__(self, guard: Guard, inner: httpx.AsyncBaseTransport | None = None) -> None:
        self._guard = guard
        self._inner = inner or httpx.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        host, port = request.url.host, request.url.port or (443 if request.url.scheme == "https" else 80)
        addresses = await self._guard.resolve(host, port)
        for index, address in enumerate(addresses):
            pinned = httpx.Request(
                request.method,
                request.url.copy_with(host=address),
                headers=request.headers,  # its Host header names the host that was asked for
                stream=request.stream,
                extensions={**request.extensions, "sni_hostname": request.url.raw_host.decode("ascii")},
            )
            try:
                return await self._inner.handle_async_request(pinned)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                if index == len(addresses) - 1:
                    raise
        raise Unreachable(f"{host} has no address")

    async def aclose(self) -> None:
        await self._inner.aclose()


async def _look_up(host: str, port: int) -> list[Address]:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(RESOLVE_WITHIN.total_seconds()):
            answers = await loop.run_in_executor(
                _RESOLVERS, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            )
    except TimeoutError:
        raise Unreachable(f"{host} was not resolved within {RESOLVE_WITHIN.total_seconds():.0f} s") from None
    except (OSError, UnicodeError):
        raise Unreachable(f"{host} does not resolve") from None
    # A scope such as %eth0 names the link of a link-local address; the address alone is judged.
    return list(dict.fromkeys(ipaddress.ip_address(str(answer[4][0]).partition("%")[0]) for answer in answers))


def _meant(address: Address) -> Address:
    """The address that is really reached: an IPv4 one may hide in IPv6."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address
