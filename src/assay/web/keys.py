"""Who may ask: a key that is sent with every request, or, from pages, a cookie that a link of one use has set.

    Authorization: Bearer KEY       programs
    /open?once=TOKEN                a browser, once; it gets a cookie and is sent to the first page

Keys are kept as digests and compared in constant time. A cookie is another secret than the key, and is sent by pages of
this server alone.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from pathlib import Path

from assay.errors import InputError

VARIABLE = "ASSAY_KEY"
COOKIE = "assay_session"
OPEN = "/open"
LEAST = 16  # characters of a key that somebody chose


def digest(secret: str) -> bytes:
    """What is kept of a secret."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()


def new_secret() -> str:
    """256 random bits, as text."""
    return secrets.token_urlsafe(32)


@dataclass(frozen=True)
class Chosen:
    """A key, and whether it was made now, so that it has to be told."""

    key: str = field(repr=False)
    is_new: bool


def chosen(file: Path | None, environment: Mapping[str, str] = os.environ) -> Chosen:
    """The key: of a file, of the environment, or a new one.

    Raises:
        InputError: the file cannot be read, or the key is short or no plain text.
    """
    if file is not None:
        try:
            return Chosen(_checked(file.read_text(encoding="utf-8").strip(), str(file)), False)
        except (OSError, UnicodeDecodeError) as error:
            what = f"cannot be read ({getattr(error, 'strerror', None) or 'it is no text'})"
            raise InputError(what, where=file, remedy="name a file that holds the key alone") from error
    if VARIABLE in environment:
        return Chosen(_checked(environment[VARIABLE].strip(), VARIABLE), False)
    return Chosen(f"assay-{new_secret()}", True)


def _checked(key: str, where: str) -> str:
    if len(key) < LEAST or not key.isascii() or not key.isprintable() or " " in key:
        what = f"a key of {len(key)} characters" if len(key) < LEAST else "a key that a header cannot hold"
        raise InputError(what, where=where, remedy=f"give at least {LEAST} letters and digits, drawn at random")
    return key


class Keys:
    """The key of a service, and the sessions of its pages.

    Args:
        key: that programs send.
    """

    def __init__(self, key: str) -> None:
        self._key = digest(key)
        self._once: bytes | None = None
        self._session: bytes | None = None

    def link(self) -> str:
        """The path of a link that opens the pages in a browser, once."""
        once = new_secret()
        self._once = digest(once)
        return f"{OPEN}?once={once}"

    def redeemed(self, once: str) -> str | None:
        """The value of the cookie for whoever brings the link's token for the first time; None: it is not valid."""
        kept = self._once
        if kept is None or not hmac.compare_digest(digest(once), kept):
            return None
        session = new_secret()
        self._once, self._session = None, digest(session)
        return session

    def by_header(self, value: str) -> bool:
        """Whether an Authorization header has the key."""
        scheme, _, key = value.partition(" ")
        return hmac.compare_digest(digest(key.strip()), self._key) and scheme.lower() == "bearer"

    def by_cookie(self, value: str) -> bool:
        """Whether a Cookie header has the session."""
        try:
            found = SimpleCookie(value).get(COOKIE)
        except CookieError:
            return False
        if found is None or self._session is None:
            return False
        return hmac.compare_digest(digest(found.value), self._session)
