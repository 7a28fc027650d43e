"""viser's server behind a door: every request passes ``Access``, uploads have a limit, and nothing is shared beyond it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import rich
import viser
import websockets.asyncio.server
from viser import _messages
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from splatmem.live.access import Access

MOST_UPLOAD_BYTES = 16 * 2**20
MOST_PARTS = 1024  # of one upload
MOST_UPLOADS = 8  # at once
_starting = threading.Lock()


class GuardedServer(viser.ViserServer):
    """viser's server, of which nothing can be had without passing ``access``."""

    def __init__(self, access: Access, host: str, port: int, label: str) -> None:
        """Raises ``RuntimeError`` if this version of viser starts its server in another way, so that it would be unguarded."""
        with _guarded(access) as guarded, _quiet():
            super().__init__(host=host, port=port, label=label, verbose=False)
        if not guarded:
            self.stop()
            raise RuntimeError("this version of viser starts its server in a way that cannot be guarded: install viser 1.1")
        _limit_uploads(self)

    def request_share_url(self, verbose: bool = True) -> str | None:
        """None: viser's tunnel would take the scene through a server of others."""
        return None


@contextmanager
def _guarded(access: Access) -> Iterator[list[bool]]:
    """In the block, websocket servers are started with ``access`` before their own answers. viser's has no option for it."""
    serve, guarded = websockets.asyncio.server.serve, []

    def guarded_serve(*arguments: Any, process_request: Any, **options: Any) -> Any:
        guarded.append(True)

        def answer(connection: ServerConnection, request: Request) -> Response | None:
            refused = access.answer(request)
            return refused if refused is not None else process_request(connection, request)

        return serve(*arguments, process_request=answer, **options)

    with _starting:
        websockets.asyncio.server.serve = guarded_serve  # type: ignore[assignment]
        try:
            yield guarded
        finally:
            websockets.asyncio.server.serve = serve  # type: ignore[assignment]


@contextmanager
def _quiet() -> Iterator[None]:
    """viser prints an address of its own, without the token."""
    console = rich.get_console()
    before, console.quiet = console.quiet, True
    try:
        yield
    finally:
        console.quiet = before


def _limit_uploads(server: viser.ViserServer) -> None:
    """Drops uploads that say they are larger than ``MOST_UPLOAD_BYTES``, and such that turn out to be. Only the interface that
    all browsers share takes uploads."""
    connection, gui = server._websock_server, server.gui
    begun = gui._current_file_upload_states

    def start(client: Any, message: _messages.FileTransferStartUpload) -> None:
        fits = 0 <= message.size_bytes <= MOST_UPLOAD_BYTES and 0 <= message.part_count <= MOST_PARTS
        if fits and len(begun) < MOST_UPLOADS:
            gui._handle_file_transfer_start(client, message)

    def part(client: Any, message: _messages.FileTransferPart) -> None:
        state = begun.get(message.transfer_uuid)
        if state is not None and state["transferred_bytes"] + len(message.content) > state["total_bytes"]:
            begun.pop(message.transfer_uuid, None)
        gui._handle_file_transfer_part(client, message)

    connection.unregister_handler(_messages.FileTransferStartUpload)
    connection.unregister_handler(_messages.FileTransferPart)
    connection.register_handler(_messages.FileTransferStartUpload, start)
    connection.register_handler(_messages.FileTransferPart, part)

    @server.on_client_connect
    def _(client: viser.ClientHandle) -> None:
        client._websock_connection.unregister_handler(_messages.FileTransferStartUpload)
