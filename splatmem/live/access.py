"""Who may come in. Every request, for a page or for a websocket, is asked before anything is answered.

On localhost there is no token, but other web pages in the same browser must not reach the scene: the request must be addressed
to this machine by one of its own names (a foreign name that was made to point here is refused), and a websocket must be opened
by a page of this very server. Beyond localhost a token is needed as well: the printed address carries it, and the browser keeps
it as a cookie that scripts cannot read and other sites cannot send.
"""

from __future__ import annotations

import hmac
import http
import secrets
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from splatmem.live.options import LOCAL_HOSTS


def new_token() -> str:
    """A token that nobody guesses: 256 random bits."""
    return secrets.token_urlsafe(32)


@dataclass(frozen=True)
class Access:
    """Decides about requests.

    Attributes:
        token: that is asked for, or None on localhost.
        cookie: the name by which browsers keep it.
    """

    token: str | None = None
    cookie: str = field(default_factory=lambda: f"splatmem_{secrets.token_hex(4)}")

    def answer(self, request: Request) -> Response | None:
        """None for a request that may pass; else what it is answered with."""
        hosts = request.headers.get_all("Host")
        host = hosts[0] if len(hosts) == 1 else ""
        if self.token is None and _name(host) not in LOCAL_HOSTS:
            return refusal("this server answers to localhost only")
        if _is_websocket(request) and not _of_same_server(request, host):
            return refusal("this page is not of this server")
        if self.token is None:
            return None
        asked = urlsplit(request.path)
        if not _is_websocket(request) and self._is_token(*parse_qs(asked.query).get("token", [])):
            # The token leaves the address line, where it would be seen and kept.
            cookie = f"{self.cookie}={self.token}; Path=/; HttpOnly; SameSite=Strict"
            headers = Headers(Location=asked.path or "/", Cache_Control="no-store")
            headers["Set-Cookie"] = cookie
            headers["Content-Length"] = "0"
            return Response(http.HTTPStatus.SEE_OTHER, "See Other", headers, b"")
        if self._is_token(*_cookies(request, self.cookie)):
            return None
        return refusal("open the address that 'splatmem explore' printed, with its token")

    def _is_token(self, *values: str) -> bool:
        assert self.token is not None
        return any(hmac.compare_digest(value.encode(), self.token.encode()) for value in values)


def refusal(reason: str) -> Response:
    """The answer to a request that is refused: nothing but a sentence."""
    body = f"refused: {reason}\n".encode()
    headers = Headers()
    headers["Content-Type"] = "text/plain; charset=utf-8"
    headers["Content-Length"] = str(len(body))
    return Response(http.HTTPStatus.FORBIDDEN, "Forbidden", headers, body)


def _is_websocket(request: Request) -> bool:
    return any("websocket" in value.lower() for value in request.headers.get_all("Upgrade"))


def _of_same_server(request: Request, host: str) -> bool:
    """Whether a websocket was opened by a page of this server. Programs that are no browsers send no origin."""
    origins = request.headers.get_all("Origin")
    return all(urlsplit(origin).netloc == host for origin in origins)


def _name(host: str) -> str:
    """The name of a ``Host`` header without its port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _cookies(request: Request, name: str) -> list[str]:
    found = []
    for header in request.headers.get_all("Cookie"):
        try:
            cookies = SimpleCookie(header)
        except CookieError:
            continue
        if name in cookies:
            found.append(cookies[name].value)
    return found
