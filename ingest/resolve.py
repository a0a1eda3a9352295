"""Names to addresses, in a pool of their own: a silent resolver ignores libav's time limits."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from urllib.parse import urlsplit, urlunsplit

from citybrain.errors import CameraGone

LIMIT_S = 5.0
_BY_ADDRESS = ("rtsp", "rtmp")  # the others need the name itself, for their certificates and virtual hosts


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=8, thread_name_prefix="resolve")


async def resolved(url: str) -> str:
    """The address with its host as a number, where the protocol allows. Raises CameraGone("unresolvable")."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    address = await address_of(host)
    if address == host or parts.scheme not in _BY_ADDRESS:
        return url
    userinfo, at, _ = parts.netloc.rpartition("@")
    number = f"[{address}]" if ":" in address else address
    port = f":{parts.port}" if parts.port else ""
    return urlunsplit(parts._replace(netloc=f"{userinfo}{at}{number}{port}"))


async def address_of(host: str) -> str:
    """The host as a number. Raises CameraGone("unresolvable")."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return await _look_up(host)
    return host


async def _look_up(host: str) -> str:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(LIMIT_S):
            found = await loop.run_in_executor(_pool(), _first_address, host)
    except TimeoutError:
        raise CameraGone("unresolvable", "the resolver does not answer") from None
    except (OSError, UnicodeError):
        raise CameraGone("unresolvable", "no such name") from None
    return found


def _first_address(host: str) -> str:
    # IPv4 first: cameras that announce an IPv6 address rarely listen on it.
    found = sorted(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM), key=lambda each: each[0] != socket.AF_INET)
    return str(found[0][4][0])
