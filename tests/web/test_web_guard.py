"""Keys, links and what passes the guard, before any service of ours."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from assay.errors import InputError
from assay.web import keys
from assay.web.errors import Refused, invalid, refusal
from assay.web.guard import Guard
from assay.web.keys import COOKIE, Keys, chosen
from assay.web.running import is_loopback

KEY = "a-key-of-the-tests-alone"


def test_a_key_is_of_a_file_of_the_environment_or_new(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(f"{KEY}\n")
    assert chosen(file, {keys.VARIABLE: "another-key-altogether"}).key == KEY
    assert chosen(None, {keys.VARIABLE: f" {KEY} "}) == keys.Chosen(KEY, False)
    one, other = chosen(None, {}), chosen(None, {})
    assert one.is_new and one.key != other.key and len(one.key) > 40
    assert KEY not in repr(chosen(file)) and one.key not in repr(one)
    for bad in ("", "short", "with spaces between words", "密钥密钥密钥密钥密钥密钥密钥密钥", "x" * 16 + "\n" + "y"):
        with pytest.raises(InputError, match="a key "):
            chosen(None, {keys.VARIABLE: bad})


def test_a_header_has_the_key_or_has_it_not() -> None:
    own = Keys(KEY)
    assert own.by_header(f"Bearer {KEY}") and own.by_header(f"bearer  {KEY} ")
    for value in (
        "",
        KEY,
        "Bearer",
        "Bearer ",
        f"Basic {KEY}",
        f"Bearer {KEY}x",
        f"Bearer {KEY[:-1]}",
        "Bearer \udcff",
    ):
        assert not own.by_header(value)


def test_a_link_opens_once_and_its_cookie_is_no_key() -> None:
    own = Keys(KEY)
    once = own.link().partition("once=")[2]
    assert own.redeemed("") is None and own.redeemed(once[:-1]) is None and not own.by_cookie(f"{COOKIE}=")
    session = own.redeemed(once)
    assert session is not None and own.redeemed(once) is None
    assert own.by_cookie(f"other=1; {COOKIE}={session}") and not own.by_header(f"Bearer {session}")
    for value in (
        "",
        f"{COOKIE}={once}",
        f"{COOKIE}={KEY}",
        f"{COOKIE}={session}x",
        f"x{COOKIE}={session}",
        ";;=;\x00",
    ):
        assert not own.by_cookie(value)


async def service(scope: Any, receive: Any, send: Any) -> None:
    body = (await receive())["body"] if scope["method"] == "POST" else b"{}"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-frame-options", b"SAMEORIGIN")]})
    await send({"type": "http.response.body", "body": body})


def asked(
    guard: Guard, method: str = "GET", path: str = "/", query: str = "", body: bytes = b"", **headers: str
) -> Any:
    """(status, headers, body) of a request."""
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": method, "path": path, "query_string": query.encode(), "headers": raw}
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(guard(scope, receive, send))
    return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"]


def test_pages_come_in_by_a_link_and_their_forms_from_here_alone() -> None:
    own = Keys(KEY)
    guard = Guard(service, own)
    path, _, query = own.link().partition("?")
    assert asked(guard)[0] == asked(guard, path=path)[0] == asked(guard, path=path, query="once=x")[0] == 401
    status, headers, _ = asked(guard, path=path, query=query)
    assert status == 303 and headers[b"location"] == b"/"
    cookie = headers[b"set-cookie"].decode()
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
    cookie = cookie.partition(";")[0]
    assert asked(guard, path=path, query=query)[0] == 401
    status, headers, _ = asked(guard, cookie=cookie)
    assert status == 200 and headers[b"x-frame-options"] == b"SAMEORIGIN"  # a service's own word stands
    here: dict[str, str] = {"cookie": cookie, "host": "127.0.0.1:8000", "content_type": "application/json"}
    for origin, expected in (("http://127.0.0.1:8000", 200), ("https://elsewhere.example", 401), ("null", 401)):
        assert asked(guard, "POST", body=b"{}", origin=origin, **here)[0] == expected
    assert asked(guard, "POST", body=b"{}", **here)[0] == 401  # a browser says where a form comes from


def test_a_body_comes_through_whole_or_not_at_all() -> None:
    guard, headers = Guard(service, Keys(KEY), body=10), {"authorization": f"Bearer {KEY}"}
    kind = {**headers, "content_type": "application/json"}
    assert asked(guard, "POST", body=b'{"a": 123}', **kind)[2] == b'{"a": 123}'
    assert asked(guard, "POST", body=b'{"a": 1234}', **kind)[0] == 413
    assert asked(guard, "POST", body=b"{}", content_length="11", **kind)[0] == 413
    assert asked(guard, "POST", body=b"{}", **headers)[0] == 415
    assert asked(guard, "POST", body=b"\xff", **kind)[0] == 400
    assert asked(guard, "DELETE", **headers)[0] == 200


def test_an_error_tells_no_paths_of_the_server() -> None:
    told = refusal(InputError("is damaged", where="/root/models/x/config.json", remedy="fetch it again"))
    assert told.status == 400 and told.message == "is damaged -> fetch it again"
    assert refusal(InputError("is empty", where="prompt 1")).message == "prompt 1: is empty"
    assert refusal(RuntimeError("secret")).status == 500 and b"secret" not in refusal(RuntimeError("secret")).body
    assert refusal(Refused(429, "later", "full")).body == (
        b'{"error":{"message":"later","type":"rate_limit_error","param":null,"code":"full"}}'
    )
    assert invalid([]).status == 400 and Refused(400, "\ud800").body.decode("utf-8")


def test_what_is_this_machine_alone() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "localhost", "::1", "127.8.8.8")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "192.168.0.1", "example.org", "")))
