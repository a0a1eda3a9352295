"""A stream as datagrams: two sockets, and packets put back into order before anybody counts them."""

from __future__ import annotations

import random
import socket

from citybrain.errors import CameraGone

_MOST_WAITING = 64
_PATIENCE_S = 0.06
_BUFFER_BYTES = 4 << 20
_MOST_A_TURN = 512
_LONGEST = 65_536
_TRIES = 40


class Order:
    """Puts numbered packets in order. A packet that is missing is waited for a little; then there is a gap."""

    def __init__(self) -> None:
        self._next: int | None = None
        self._waiting: dict[int, bytes] = {}
        self._since_s = 0.0

    def is_next(self, sequence: int) -> bool:
        """Whether a packet is the one that everybody waits for: by far the most are."""
        if sequence != self._next and self._next is not None:
            return False
        self._next = (sequence + 1) & 0xFFFF
        return True

    def set_aside(self, sequence: int, packet: bytes, now_s: float) -> None:
        """A packet that came before its turn. One that comes after it, and not by much, is dropped."""
        assert self._next is not None  # noqa: S101  # the first packet is always the next
        ahead = (sequence - self._next) & 0xFFFF
        if 0x10000 - ahead <= _MOST_WAITING:
            return
        if not self._waiting:
            self._since_s = now_s
        self._waiting[sequence] = packet

    def following(self) -> bytes | None:
        """The next packet, if it waits already."""
        if not self._waiting or self._next not in self._waiting:
            return None
        packet = self._waiting.pop(self._next)
        self._next = (self._next + 1) & 0xFFFF
        return packet

    def is_impatient(self, now_s: float) -> bool:
        """Whether the missing packet is given up: the next one is then the first that waits."""
        if not self._waiting or (len(self._waiting) <= _MOST_WAITING and now_s - self._since_s < _PATIENCE_S):
            return False
        base = self._next or 0
        self._next = min(self._waiting, key=lambda sequence: (sequence - base) & 0xFFFF)
        self._since_s = now_s
        return True


class Datagrams:
    """The sockets for one stream: media, and reports about it."""

    def __init__(self, family: int) -> None:
        self._media, self._reports = _pair(family)
        self._order = Order()

    @property
    def ports(self) -> tuple[int, int]:
        return int(self._media.getsockname()[1]), int(self._reports.getsockname()[1])

    def expect(self, host: str, server_ports: tuple[int, int] | None) -> None:
        """From whom packets are taken; and a packet to each port, so that firewalls on the way let them through."""
        if server_ports is None:
            return
        for each, port in ((self._media, server_ports[0]), (self._reports, server_ports[1])):
            each.connect((host, port))
        # An empty receiver report, and a packet of our media that carries nothing: as libav does it.
        self.send(b"\x80\xc9\0\x01" + bytes(4))
        _try_send(self._media, b"\x80\0" + bytes(10))

    def send(self, report: bytes) -> None:
        _try_send(self._reports, report)

    def drain(self, scratch: bytearray, view: memoryview, now_s: float, channel: int) -> int:
        """What came, in order and framed as inside a connection, at the beginning of `scratch`: how many bytes."""
        end, order, media = 0, self._order, self._media
        for _ in range(_MOST_A_TURN):
            if len(scratch) - end < 2 * _LONGEST:
                break
            try:
                size = media.recv_into(view[end + 4 :], _LONGEST)
            except BlockingIOError:
                break
            except ConnectionRefusedError:
                continue  # an answer to our own packet: the server's port is not open yet, or for no one
            if size < 12:
                continue
            if order.is_next(scratch[end + 6] << 8 | scratch[end + 7]):
                end = _framed(scratch, end, size, channel)
                while (packet := order.following()) is not None:
                    end = _put(scratch, end, packet, channel)
            else:
                sequence = scratch[end + 6] << 8 | scratch[end + 7]
                order.set_aside(sequence, bytes(view[end + 4 : end + 4 + size]), now_s)
        while len(scratch) - end > _LONGEST and order.is_impatient(now_s):
            while len(scratch) - end > _LONGEST and (packet := order.following()) is not None:
                end = _put(scratch, end, packet, channel)
        return end

    def reports(self) -> list[bytes]:
        """The reports that came."""
        found: list[bytes] = []
        for _ in range(16):
            try:
                found.append(self._reports.recv(_LONGEST))
            except OSError:
                break
        return found

    def close(self) -> None:
        self._media.close()
        self._reports.close()


def _framed(scratch: bytearray, end: int, size: int, channel: int) -> int:
    scratch[end : end + 4] = bytes([0x24, channel, size >> 8, size & 0xFF])
    return end + 4 + size


def _put(scratch: bytearray, end: int, packet: bytes, channel: int) -> int:
    if len(scratch) - end < 4 + len(packet):
        return end  # lost, and its number tells
    scratch[end + 4 : end + 4 + len(packet)] = packet
    return _framed(scratch, end, len(packet), channel)


def _try_send(to: socket.socket, packet: bytes) -> None:
    try:
        to.send(packet)
    except OSError:
        return  # a report that does not arrive is like one that was lost on the way


def _pair(family: int) -> tuple[socket.socket, socket.socket]:
    """An even port and the next one (RFC 3550 §11)."""
    for _ in range(_TRIES):
        pair = socket.socket(family, socket.SOCK_DGRAM), socket.socket(family, socket.SOCK_DGRAM)
        try:
            port = random.randrange(20_000, 60_000, 2)
            for each, number in zip(pair, (port, port + 1), strict=True):
                each.setblocking(False)
                each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
                each.bind(("", number))
        except OSError:
            for each in pair:
                each.close()
            continue
        return pair
    raise CameraGone("source fault", "no two ports are free for datagrams")
