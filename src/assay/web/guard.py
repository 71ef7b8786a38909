"""What every request passes before a service sees it, and every answer before it leaves.

    a path, whatever it is -> the key, or 401 -> a body: small enough (413), in time (408), JSON (415), UTF-8 (400)
                           -> the service -> headers; an error that nobody caught is 500, and told to the log alone

Plain ASGI, so answers stream through. No header opens the service to pages of other origins (CORS stays closed).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs

from assay.web.errors import Refused, refusal
from assay.web.keys import COOKIE, OPEN, Keys

log = logging.getLogger("assay.web")

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

BODY = 1 << 20  # bytes
BODY_SECONDS = 30.0
HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
}
SAFE = ("GET", "HEAD")


class Guard:
    """See the module.

    Args:
        app: the service.
        body: bytes that a request may have.
    """

    def __init__(self, app: App, keys: Keys, *, body: int = BODY, seconds: float = BODY_SECONDS) -> None:
        self.app, self.keys, self.body, self.seconds = app, keys, body, seconds

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        else:  # a websocket: before it is accepted, this denies it
            await send({"type": f"{scope['type']}.close"})

    async def _http(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        began, status = time.monotonic(), 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                own = {name.lower() for name, _ in message.get("headers", ())}
                more = [(k.encode(), v.encode()) for k, v in HEADERS.items() if k.encode() not in own]
                message = {**message, "headers": [*message.get("headers", ()), *more]}
            await send(message)

        try:
            await self._guarded(scope, receive, answer)
        except Exception as error:
            refused = refusal(error)
            if refused.status >= 500:
                log.exception("%s %s", scope["method"], _printable(scope["path"]))
            if not status:
                await _tell(refused, answer)
        finally:
            # Not the query, which may hold a token, nor any text.
            took = 1000 * (time.monotonic() - began)
            log.info("%s %s %s %.0f ms", scope["method"], _printable(scope["path"]), status or "left", took)

    async def _guarded(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        if scope["path"] == OPEN and scope["method"] == "GET" and "once=" in scope["query_string"].decode("latin-1"):
            await self._open(scope, send)
            return
        self._check_key(scope, headers)
        if scope["method"] not in SAFE:
            receive = replayed(await self._read(headers, receive), receive)
        await self.app(scope, receive, send)

    def _check_key(self, scope: MutableMapping[str, Any], headers: dict[str, str]) -> None:
        if self.keys.by_header(headers.get("authorization", "")):
            return
        if self.keys.by_cookie(headers.get("cookie", "")):
            # A page of another origin may send a form here, with the cookie of old browsers.
            origin = headers.get("origin")
            if scope["method"] in SAFE or (origin is not None and origin.partition("://")[2] == headers.get("host")):
                return
        raise Refused(
            401, "no valid key -> send the header Authorization: Bearer KEY", "invalid_api_key",
            headers={"www-authenticate": "Bearer"},
        )  # fmt: skip

    async def _open(self, scope: MutableMapping[str, Any], send: Send) -> None:
        once = parse_qs(scope["query_string"].decode("latin-1")).get("once", [""])[0]
        session = self.keys.redeemed(once)
        if session is None:
            raise Refused(401, "this link was used already -> start the server again for another", "invalid_link")
        cookie = f"{COOKIE}={session}; Path=/; HttpOnly; SameSite=Strict"
        headers = [(b"location", b"/"), (b"set-cookie", cookie.encode())]
        await send({"type": "http.response.start", "status": 303, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    async def _read(self, headers: dict[str, str], receive: Receive) -> bytes:
        """The body.

        Raises:
            Refused: it is too large, takes too long, or is no JSON in UTF-8 by what its headers and bytes say.
        """
        stated = headers.get("content-length", "0")
        if stated.isdigit() and int(stated) > self.body:
            raise self._too_large()
        try:
            async with asyncio.timeout(self.seconds):
                body = await self._whole(receive)
        except TimeoutError:
            raise Refused(408, f"the body took more than {self.seconds:.0f} s", "timeout") from None
        kind, *parameters = (part.strip().lower() for part in headers.get("content-type", "").split(";"))
        charset = [part.removeprefix("charset=").strip('"') for part in parameters if part.startswith("charset=")]
        if (body or kind) and (kind != "application/json" or charset not in ([], ["utf-8"], ["utf8"])):
            raise Refused(415, "the body must be application/json in UTF-8", "unsupported_media_type")
        try:
            body.decode("utf-8")
        except UnicodeDecodeError as error:
            raise Refused(400, f"the body is no UTF-8, from byte {error.start} on", "invalid_encoding") from None
        return body

    async def _whole(self, receive: Receive) -> bytes:
        parts: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Refused(400, "the client left before its body was whole", "disconnected")
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > self.body:
                raise self._too_large()
            if not message.get("more_body", False):
                return b"".join(parts)

    def _too_large(self) -> Refused:
        return Refused(413, f"the body has more than {self.body} bytes -> send less", "too_large")


def replayed(body: bytes, receive: Receive) -> Receive:
    """What a service receives whose body was read already; behind it, the client may leave."""
    told = False

    async def again() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


async def _tell(refused: Refused, send: Send) -> None:
    body = refused.body
    headers = {"content-type": "application/json", "content-length": str(len(body)), **refused.headers}
    if refused.status in (408, 413):  # what is left of the body is not read
        headers["connection"] = "close"
    raw = [(name.encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": refused.status, "headers": raw})
    await send({"type": "http.response.body", "body": body})


def _printable(path: str) -> str:
    """A path that cannot forge lines of the log."""
    return path.encode("unicode_escape").decode("ascii")[:200]
