"""Asking an ASGI application without a server or a socket: exactly these headers, exactly these parts of a body."""

import asyncio
import json
from dataclasses import dataclass
from urllib.parse import unquote


@dataclass
class Answer:
    """What came back. `read` is how many parts of the body were asked for."""

    status: int
    headers: dict
    body: bytes
    read: int

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        return self.json["error"]


def ask(app, method, path, headers, parts=(b"",)):
    """The answer of an application.

    Parameters
    ----------
    app : ASGI application
    method : str
    path : str
        With its query, percent-encoded as in a request.
    headers : dict
        None stands for a header that is not sent; a list for one that is sent several times.
    parts : iterable of bytes
        Of the body. Nothing says how long it is.
    """
    return asyncio.run(_ask(app, method, path, headers, parts))


async def _ask(app, method, path, headers, parts):
    address, _, query = path.partition("?")
    sent = [
        (name.lower().encode(), one.encode())
        for name, value in headers.items()
        for one in (value if isinstance(value, list) else [value])
        if one is not None
    ]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(address),
        "raw_path": address.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": sent,
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8765),
    }
    waiting, read, messages = iter([*parts]), 0, []

    async def receive():
        nonlocal read
        part = next(waiting, None)
        if part is None:  # whoever asks waits for the answer
            await asyncio.Event().wait()
        read += 1
        return {"type": "http.request", "body": part, "more_body": read < len(parts)}

    async def send(message):
        messages.append(message)

    await app(scope, receive, send)
    start = messages[0]
    found = {name.decode(): value.decode() for name, value in start["headers"]}
    body = b"".join(message.get("body", b"") for message in messages[1:])
    return Answer(start["status"], found, body, read)
