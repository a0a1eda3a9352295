"""Where a URL may lead: public addresses and what is allowed, however the address is dressed up."""

import asyncio
import ipaddress
import socket

import httpx
import pytest

from citybrain import netguard
from citybrain.netguard import Guard, GuardedTransport, Unreachable

FORBIDDEN = [
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "169.254.169.254",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "fe80::1",
    "fc00::1",
    "fd12:3456::1",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
]


@pytest.mark.parametrize("address", FORBIDDEN)
def test_an_address_that_is_not_public_is_forbidden(address):
    assert not Guard().permits(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "114.114.114.114", "2400:3200::1", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_a_public_address_is_permitted(address):
    assert Guard().permits(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    ("allow", "address"),
    [
        ("loopback", "127.0.0.1"),
        ("loopback", "::1"),
        ("loopback", "::ffff:127.0.0.1"),
        ("private", "10.1.2.3"),
        ("private", "fd12::1"),
        ("link-local", "169.254.10.1"),
        ("10.1.0.0/16", "10.1.2.3"),
        ("192.168.1.7", "192.168.1.7"),
    ],
)
def test_what_is_allowed_is_permitted_and_nothing_beside_it(allow, address):
    guard = Guard([allow])
    assert guard.permits(ipaddress.ip_address(address))
    others = {"loopback": "10.1.2.3", "private": "127.0.0.1", "link-local": "127.0.0.1"}
    assert not guard.permits(ipaddress.ip_address(others.get(allow, "10.2.0.1")))


def test_a_private_network_allowed_does_not_open_the_cloud_metadata_address():
    assert not Guard(["private", "loopback"]).permits(ipaddress.ip_address("169.254.169.254"))


@pytest.mark.parametrize("allow", ["intranet", "10.0.0.1/8", "127.0.0.0/33", ""])
def test_what_is_neither_word_nor_network_is_named(allow):
    with pytest.raises(ValueError, match="network such as"):
        Guard([allow])


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "gopher://x/", "http://", "//example.org/", "http://[::1", "rtsp://x/"]
)
def test_a_url_of_another_kind_is_no_url(url):
    with pytest.raises(ValueError, match="expected an http or https URL"):
        netguard.check_url(url)


def test_a_password_in_a_wrong_url_is_not_quoted():
    with pytest.raises(ValueError, match="expected an http") as raised:
        netguard.check_url("http://user:hunter2@example.org:port/")
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "127.1", "localhost"])
async def test_a_local_address_in_another_spelling_is_recognised(host):
    with pytest.raises(Unreachable):
        await Guard().resolve(host, 80)


class Names:
    """A resolver whose answers change from question to question."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = 0

    def getaddrinfo(self, host, port, **_):
        addresses = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]


class Recorder(httpx.AsyncBaseTransport):
    """Takes the place of the network and keeps where it was sent."""

    def __init__(self, *, dead=()):
        self.requests = []
        self.dead = dead

    async def handle_async_request(self, request):
        self.requests.append(request)
        if request.url.host in self.dead:
            raise httpx.ConnectError("refused")
        return httpx.Response(200)


async def test_the_connection_goes_to_the_address_that_was_checked(monkeypatch):
    names = Names(["93.184.215.14"], ["127.0.0.1"])
    monkeypatch.setattr(socket, "getaddrinfo", names.getaddrinfo)
    network = Recorder()
    async with httpx.AsyncClient(transport=GuardedTransport(Guard(), network)) as client:
        await client.get("https://example.org/a")
        with pytest.raises(Unreachable):
            await client.get("https://example.org/a")
    [request] = network.requests
    assert request.url.host == "93.184.215.14"
    assert request.headers["host"] == "example.org"
    assert request.extensions["sni_hostname"] == "example.org"
    assert names.asked == 2


async def test_an_answer_that_mixes_public_and_local_addresses_is_refused(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", Names(["93.184.215.14", "10.0.0.1"]).getaddrinfo)
    with pytest.raises(Unreachable, match=r"10\.0\.0\.1"):
        await Guard().resolve("example.org", 443)


async def test_when_one_address_does_not_answer_the_next_is_asked(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", Names(["93.184.215.14", "93.184.215.15"]).getaddrinfo)
    network = Recorder(dead=["93.184.215.14"])
    async with httpx.AsyncClient(transport=GuardedTransport(Guard(), network)) as client:
        assert (await client.post("http://example.org/", content=b"x")).status_code == 200
    assert [request.url.host for request in network.requests] == ["93.184.215.14", "93.184.215.15"]


async def test_a_name_that_does_not_resolve_can_be_tried_again(monkeypatch):
    def nobody(*_, **__):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nobody)
    with pytest.raises(Unreachable, match="does not resolve"):
        await Guard().resolve("nowhere.invalid", 80)


async def test_a_name_that_is_no_name_can_be_reported():
    with pytest.raises(Unreachable, match="does not resolve"):
        await asyncio.wait_for(Guard().resolve("a" * 70 + ".example", 80), 10)
