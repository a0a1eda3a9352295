"""uvicorn around the app: it ends its streams when told to stop, so that a restart takes no longer than a request."""

from __future__ import annotations

import logging
import socket

import uvicorn
from fastapi import FastAPI

from events_api.parts import Parts

UNACKNOWLEDGED_MS = 30_000
_MAX_MESSAGE = 4096  # bytes; a client of the event socket says its key and nothing else


_SOCKET_LINES = ('%s - "WebSocket', "ASGI callable returned without completing handshake")


def _is_news(record: logging.LogRecord) -> bool:
    """uvicorn writes a line for each socket opened, and an error for each that is refused by an answer: neither is news."""
    return not str(record.msg).startswith(_SOCKET_LINES)


class Server(uvicorn.Server):
    """A server whose open streams end first; their clients resume by cursor."""

    def __init__(self, app: FastAPI, *, host: str, port: int) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                host=host,
                port=port,
                log_config=None,  # logging is the process's own
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=5,
                timeout_keep_alive=30,
                ws="websockets-sansio",
                ws_max_size=_MAX_MESSAGE,
                ws_per_message_deflate=False,  # a compressor for each client costs more than the network it saves
            )
        )
        logging.getLogger("uvicorn.error").addFilter(_is_news)  # adding it twice adds it once
        self._app = app

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for server in getattr(self, "servers", ()):
            for listening in server.sockets:
                # Accepted connections inherit it: the kernel ends one whose client takes nothing or is no longer there.
                listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_MS)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        parts: Parts = self._app.state.parts
        parts.feed.close()
        await super().shutdown(sockets)
