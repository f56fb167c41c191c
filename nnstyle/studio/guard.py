"""Who may ask: requests from this computer's own pages, with the token. All others are refused before anything is read.

A page of another site can make a browser send requests to 127.0.0.1. So each request has to name this computer as its
host (else another site could give its own name to this address), to come from a page of the same origin, and to carry
the token: once in the address that the server prints, then in a cookie that is sent to no script and with no request
of another site.
"""

import hmac
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse, Response

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

HOSTS = "127.0.0.1", "localhost"
READING = "GET", "HEAD"
SECURITY = {
    "content-security-policy": "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "object-src 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",  # an address may have the token in it
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
NO_TOKEN = (
    "Open the address that the server printed when it started: this one lacks its token, or has an old one."
)


def new_token() -> str:
    """A token that nobody can guess."""
    return secrets.token_urlsafe(32)


class Guard:
    """An ASGI application around another one, which sees only what may be asked.

    Parameters
    ----------
    app : ASGI application
    token : str
    """

    def __init__(self, app: Any, token: str):
        self.app, self.token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        headers = Headers(scope=scope)
        opens = self.opens(scope)

        async def send_safely(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                added = MutableHeaders(scope=message)
                for name, value in SECURITY.items():
                    added[name] = value
                added.setdefault("cache-control", "no-store")
                if opens and message["status"] == 200:
                    added.append("set-cookie", self.cookie(headers))
            await send(message)

        refusal = self.refusal(scope, headers, opens)
        await (refusal or self.app)(scope, receive, send_safely)

    def opens(self, scope: Scope) -> bool:
        """Whether a request has the token in its address, to open the page."""
        if scope["path"] != "/" or scope["method"] not in READING:
            return False
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [])
        return len(given) == 1 and is_equal(given[0], self.token)

    def refusal(self, scope: Scope, headers: Headers, opens: bool) -> Response | None:
        """What to answer a request that must not reach the application, else None."""
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not is_own_host(hosts[0]):
            return PlainTextResponse("This server answers for 127.0.0.1 and localhost only.", 421)
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        is_reading = scope["method"] in READING
        if (origin is None and not is_reading) or origin not in (None, f"http://{hosts[0]}"):
            return PlainTextResponse("This request comes from another site.", 403)
        # A link to the page may stand on another site, such as a notebook's; all else is asked by the page itself.
        is_link = scope["path"] == "/" and headers.get("sec-fetch-mode") == "navigate"
        if site not in (None, "same-origin", "none") and not is_link:
            return PlainTextResponse("This request comes from another site.", 403)
        if not opens and not self.has_cookie(headers):
            return PlainTextResponse(NO_TOKEN, 403)
        return None

    def has_cookie(self, headers: Headers) -> bool:
        """Whether a request has the token in its cookie.

        Other servers of this computer set cookies of all kinds, and browsers send them here as well. Python's own
        parser would take none where one of them is odd.
        """
        given = cookie_parser(headers.get("cookie", "")).get(cookie_name(headers))
        return given is not None and is_equal(given, self.token)

    def cookie(self, headers: Headers) -> str:
        """The cookie that carries the token from now on."""
        return f"{cookie_name(headers)}={self.token}; Path=/; HttpOnly; SameSite=Strict"


def cookie_name(headers: Headers) -> str:
    """The cookie's name. Browsers do not tell ports apart, so each server needs its own."""
    return "nnstyle-studio-" + headers.get("host", "").rpartition(":")[2]


def is_own_host(host: str) -> bool:
    """Whether a Host header names this computer, with any port: it may be that of a tunnel."""
    name, colon, port = host.partition(":")
    return name.lower() in HOSTS and (not colon or (port.isascii() and port.isdecimal()))


def is_equal(given: str, token: str) -> bool:
    """Whether a text is the token, in a time that does not tell how much of it is right."""
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), token.encode())
