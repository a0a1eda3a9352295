"""A command on its way to a lane: put there by the switch, with its offset in `commands` as its mark, or by the lane's owner.

{"v":1,"mark":17,"command":{…}}

The switch says again after a crash what it may have said before, in the same order: a mark not above the last one was heard.
"""

from __future__ import annotations

from citybrain.domain.command import Command
from citybrain.errors import Unreadable
from citybrain.wire import dumps, loads, read_command

VERSION = 1


def write_forwarded(command: bytes, *, mark: int | None = None) -> bytes:
    """`command` as `write_command` wrote it. The owner of a partition says its own without a mark."""
    return b'{"v":%d,"mark":%s,"command":%s}' % (VERSION, b"null" if mark is None else b"%d" % mark, command.strip())


def read_forwarded(raw: bytes) -> tuple[int | None, Command]:
    """The mark and the command. Raises Unreadable for what nobody of ours put there."""
    fields = loads(raw)
    mark, command = fields.get("mark"), fields.get("command")
    if fields.get("v") != VERSION or not isinstance(command, dict) or not (mark is None or type(mark) is int):
        raise Unreadable(f"expected a forwarded command of version {VERSION}, got {raw[:60]!r}")
    return mark, read_command(dumps(command))
