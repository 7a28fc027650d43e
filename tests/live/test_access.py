"""Nothing is shown or done without passing the door."""

from __future__ import annotations

import http.client
from collections.abc import Iterator

import pytest
import viser
from splatmem.live.access import Access
from splatmem.live.server import MOST_UPLOAD_BYTES, GuardedServer
from viser import _messages
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

TOKEN = "a-token-of-this-test"
PROTOCOL = f"viser-v{viser.__version__}"


@pytest.fixture(scope="module")
def local() -> Iterator[GuardedServer]:
    server = GuardedServer(Access(), "localhost", 0, "test")
    yield server
    server.stop()


@pytest.fixture(scope="module")
def open_to_all() -> Iterator[GuardedServer]:
    server = GuardedServer(Access(TOKEN, "key"), "0.0.0.0", 0, "test")
    yield server
    server.stop()


def get(server: GuardedServer, path: str = "/", **headers: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", server.get_port(), timeout=20)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    answer.read()
    return answer


def socket_status(server: GuardedServer, **headers: str) -> int:
    """101 where the websocket is opened."""
    address = f"ws://localhost:{server.get_port()}"
    try:
        with connect(address, subprotocols=[PROTOCOL], additional_headers=headers, open_timeout=20):  # type: ignore[list-item]
            return 101
    except InvalidStatus as refused:
        return refused.response.status_code


def test_localhost_needs_no_token(local: GuardedServer) -> None:
    assert get(local, Host=f"localhost:{local.get_port()}").status == 200
    assert get(local, Host="127.0.0.1").status == 200
    assert socket_status(local) == 101


@pytest.mark.parametrize("host", ["elsewhere.example", "", "localhost.elsewhere.example", "[::", "192.168.0.7"])
def test_a_foreign_name_for_localhost_is_refused(local: GuardedServer, host: str) -> None:
    assert get(local, Host=host).status == 403


def test_pages_of_others_open_no_websocket(local: GuardedServer) -> None:
    own = f"http://localhost:{local.get_port()}"
    assert socket_status(local, Origin=own) == 101
    assert socket_status(local, Origin="http://elsewhere.example") == 403
    assert socket_status(local, Origin="http://localhost:1") == 403
    assert socket_status(local, Origin="null") == 403
    assert socket_status(local, Host="elsewhere.example") == 403  # beside the true one


@pytest.mark.parametrize("path", ["/", "/index.html", "/?token=", "/?token=wrong", "/?token=a&token=b", "/nothing"])
def test_beyond_localhost_nothing_is_shown_without_the_token(open_to_all: GuardedServer, path: str) -> None:
    answer = get(open_to_all, path)
    assert answer.status == 403
    assert int(answer.getheader("Content-Length") or 0) < 200


def test_beyond_localhost_nothing_is_done_without_the_token(open_to_all: GuardedServer) -> None:
    assert socket_status(open_to_all) == 403
    assert socket_status(open_to_all, Cookie="key=wrong") == 403
    assert socket_status(open_to_all, Cookie=f"other={TOKEN}") == 403


def test_the_token_becomes_a_cookie_that_scripts_and_other_sites_do_not_get(open_to_all: GuardedServer) -> None:
    answer = get(open_to_all, f"/?token={TOKEN}")
    assert answer.status == 303
    assert answer.getheader("Location") == "/"
    cookie = answer.getheader("Set-Cookie") or ""
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    kept = cookie.split(";")[0]
    assert get(open_to_all, Cookie=kept).status == 200
    assert socket_status(open_to_all, Cookie=kept) == 101
    assert socket_status(open_to_all, Cookie=kept, Origin="http://elsewhere.example") == 403


def test_the_scene_does_not_go_through_a_tunnel_of_others(local: GuardedServer) -> None:
    assert local.request_share_url() is None


@pytest.mark.parametrize(
    "path",
    ["/../../../../../../etc/passwd", "/%2e%2e/%2e%2e/%2e%2e/etc/passwd", "/..%5c..%5cetc%5cpasswd", "//etc/passwd", "/x/.."],
)
def test_no_file_outside_of_the_page_is_served(local: GuardedServer, path: str) -> None:
    assert get(local, path).status == 404


def test_uploads_have_a_limit(local: GuardedServer) -> None:
    button = local.gui.add_upload_button("upload")
    start = local._websock_server._incoming_handlers[_messages.FileTransferStartUpload]
    part = local._websock_server._incoming_handlers[_messages.FileTransferPart]
    assert len(start) == len(part) == 1

    def begin(size: int, number: str) -> bool:
        uuid = button._impl.uuid
        start[0](0, _messages.FileTransferStartUpload(uuid, number, "a.json", "application/json", 1, size))  # type: ignore
        return number in local.gui._current_file_upload_states

    assert not begin(MOST_UPLOAD_BYTES + 1, "large")
    assert not begin(-1, "negative")
    assert begin(4, "fits")
    part[0](0, _messages.FileTransferPart(button._impl.uuid, "fits", 0, b"more than it said"))  # type: ignore
    assert "fits" not in local.gui._current_file_upload_states
