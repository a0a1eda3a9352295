"""However a local address is written or hidden, and whatever a name answers from one moment to the next: nothing is sent there."""

from __future__ import annotations

import asyncio
import ipaddress
import socket

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from citybrain.netguard import Guard, GuardedTransport, Unreachable
from tests.unit.test_netguard import Names, Recorder

LOCAL = [
    ipaddress.IPv4Network(each)
    for each in (
        "127.0.0.0/8",
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "169.254.0.0/16",
        "100.64.0.0/10",
        "0.0.0.0/8",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
]
ADDRESSES = st.sampled_from(LOCAL).flatmap(
    lambda net: st.integers(int(net.network_address), int(net.broadcast_address)).map(ipaddress.IPv4Address)
)
PUBLIC = st.sampled_from(["93.184.215.14", "8.8.8.8", "114.114.114.114", "1.1.1.1"])


def part(number: int, base: str) -> str:
    return {"d": str(number), "o": f"0{number:o}", "x": hex(number), "X": hex(number).upper().replace("0X", "0x")}[base]


@st.composite
def spelt(draw) -> tuple[str, ipaddress.IPv4Address]:
    """An address as inet_aton takes it: one to four parts, each decimal, octal or hexadecimal."""
    address = draw(ADDRESSES)
    raw, count = address.packed, draw(st.integers(1, 4))
    numbers = [*raw[: count - 1], int.from_bytes(raw[count - 1 :])]
    bases = draw(st.lists(st.sampled_from("doxX"), min_size=count, max_size=count))
    return ".".join(part(number, base) for number, base in zip(numbers, bases, strict=True)), address


@given(spelt())
@settings(max_examples=150, deadline=None)
def test_an_address_in_any_spelling_is_what_it_is(spelling):
    text, _ = spelling

    async def ask() -> None:
        with pytest.raises(Unreachable):
            await Guard().resolve(text, 80)

    asyncio.run(ask())


HIDING = {
    "mapped": lambda a: f"::ffff:{a}",
    "mapped, in hexadecimal": lambda a: f"::ffff:{int(a) >> 16:x}:{int(a) & 0xFFFF:x}",
    "compatible": lambda a: f"::{int(a) >> 16:x}:{int(a) & 0xFFFF:x}",
    "NAT64": lambda a: f"64:ff9b::{int(a) >> 16:x}:{int(a) & 0xFFFF:x}",
    "NAT64 of a network's own": lambda a: f"64:ff9b:1::{int(a) >> 16:x}:{int(a) & 0xFFFF:x}",
    "6to4": lambda a: f"2002:{int(a) >> 16:x}:{int(a) & 0xFFFF:x}::1",
    "Teredo": lambda a: f"2001:0:0:0:0:0:{(int(a) ^ 0xFFFFFFFF) >> 16:x}:{(int(a) ^ 0xFFFFFFFF) & 0xFFFF:x}",
    "translated": lambda a: f"::ffff:0:{int(a) >> 16:x}:{int(a) & 0xFFFF:x}",
}


@pytest.mark.parametrize("hiding", HIDING)
@given(address=ADDRESSES)
@settings(max_examples=60, deadline=None)
def test_an_address_hidden_in_ipv6_is_found(hiding, address):
    assert not Guard().permits(ipaddress.ip_address(HIDING[hiding](address)))


@given(spelt())
@settings(max_examples=60, deadline=None)
def test_a_url_with_such_a_host_reaches_no_network(spelling):
    text, _ = spelling
    network = Recorder()

    async def ask() -> None:
        async with httpx.AsyncClient(transport=GuardedTransport(Guard(), network)) as client:
            with pytest.raises((Unreachable, httpx.InvalidURL)):
                await client.post(f"http://{text}/hook", content=b"{}")

    asyncio.run(ask())
    assert network.requests == []


def is_local(address: str) -> bool:
    return any(ipaddress.ip_address(address) in each for each in LOCAL)


@given(st.lists(st.lists(st.one_of(PUBLIC, ADDRESSES.map(str)), min_size=1, max_size=3), min_size=1, max_size=6))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_name_that_changes_its_mind_leads_nowhere_but_to_what_was_checked(monkeypatch, answers):
    names, network = Names(*answers), Recorder()
    monkeypatch.setattr(socket, "getaddrinfo", names.getaddrinfo)
    sent = 0

    async def ask() -> None:
        nonlocal sent
        async with httpx.AsyncClient(transport=GuardedTransport(Guard(), network)) as client:
            for _ in answers:
                try:
                    await client.post("https://example.org/hook", content=b"{}")
                    sent += 1
                except Unreachable:
                    continue

    asyncio.run(ask())
    assert names.asked == len(answers), "resolved once for each request: checked and used are the same"
    assert sent == sum(not any(is_local(each) for each in answer) for answer in answers)
    assert not any(is_local(request.url.host) for request in network.requests)
