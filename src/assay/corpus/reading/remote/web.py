"""https:// and http://: one file by its address.

    address -> its first byte (size, ETag, whether parts can be had) -> its content, from any byte on

Redirects go to http and https alone, never from https to http, and never from the public network to a private address;
a person may name a private address, a server far away may not. Passwords come from ~/.netrc, never from an address,
which would be written down.
"""

from __future__ import annotations

import base64
import contextlib
import email.message
import http.client
import ipaddress
import netrc
import re
import socket
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from assay.corpus.reading.fetch import trusted
from assay.corpus.reading.remote.objects import TIMEOUT, Holding, Object, Unreached
from assay.errors import AssayError, InputError
from assay.present.words import both

BLOCK = 1 << 20
_PASSING = (408, 425, 429, 500, 502, 503, 504)  # states of a server that another try may find changed
_LONGEST_WAIT = 30.0  # seconds that a server may ask for


class Answer(NamedTuple):
    """The beginning of an answer whose body was not read yet."""

    stream: Any
    status: int
    headers: email.message.Message
    address: str


def shown(address: str) -> str:
    """An address without the secrets that it may carry (user, query)."""
    parts = urllib.parse.urlsplit(address)
    return urllib.parse.urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def holding(uri: str, knows: Any) -> Holding:
    """The file at an address. `knows(name)` says whether a name is of a kind that can be read.

    Raises:
        InputError: it is not there, or not allowed.
        Unreached: no answer.
    """
    parts = urllib.parse.urlsplit(uri)
    _check(uri, parts)
    with contextlib.closing(ask(uri, {"Range": "bytes=0-0"}).stream) as stream:
        answer = Answer(stream, stream.status, stream.headers, stream.geturl())
        size, version = _size(answer), _version(answer.headers)
        name = _name(uri, answer, knows)
        packed = answer.headers.get("Content-Encoding", "identity").lower()
    if packed not in ("identity", "") and not (packed in ("gzip", "x-gzip") and name.endswith(".gz")):
        remedy = "download it with a browser or curl --compressed, and name the file"
        raise InputError(f"the server packs it ({packed}) though it is asked not to", where=shown(uri), remedy=remedy)
    folders = [urllib.parse.unquote(part) for part in parts.path.split("/")[:-1]]
    root = (parts.netloc, *(part for part in folders if part not in ("", ".", "..") and "/" not in part), name)
    notices = (both("notice.unencrypted", value=shown(uri)),) if parts.scheme == "http" else ()
    return Holding(f"{parts.scheme}://", root, (Object("", size, version, uri),), Web(), notices)


def _check(uri: str, parts: urllib.parse.SplitResult) -> None:
    try:
        named = bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        named = False
    if not named:
        raise InputError("is not a whole address", where=shown(uri), remedy="write https://HOST/FILE")
    if "@" in parts.netloc:
        what, remedy = "an address with a user in it would be written down", "put user and password into ~/.netrc"
        raise InputError(what, where=shown(uri), remedy=remedy)


def _name(uri: str, answer: Answer, knows: Any) -> str:
    """The name of the file: the address's, else what the answer calls it, whichever is of a kind that can be read."""
    called = email.message.Message()
    called["Content-Disposition"] = answer.headers.get("Content-Disposition", "")
    paths = [urllib.parse.urlsplit(uri).path, called.get_filename() or "", urllib.parse.urlsplit(answer.address).path]
    names = [PurePosixPath(urllib.parse.unquote(path).replace("\\", "/")).name for path in paths]
    return next((name for name in names if name and knows(name)), names[0] or "index")


def _size(answer: Answer) -> int | None:
    if answer.status == 206:
        total = re.search(r"/(\d+)\s*$", answer.headers.get("Content-Range", ""))
        return int(total[1]) if total else None
    length = answer.headers.get("Content-Length", "")
    return int(length) if length.isdigit() else None


def _version(headers: Mapping[str, Any] | email.message.Message) -> str | None:
    return headers.get("ETag") or headers.get("Last-Modified")


class Web:
    """Content by GET. `headers` go to the host of the address alone."""

    def __init__(self, headers: Mapping[str, str] | None = None) -> None:
        self.headers = dict(headers or {})

    def begin(self, one: Object, offset: int) -> tuple[int, Iterator[bytes]]:
        """See `Place`."""
        wanted = dict(self.headers)
        if offset and one.version:
            wanted["Range"] = f"bytes={offset}-"
            if one.version.startswith('"'):  # only a strong ETag says that the bytes are the same
                wanted["If-Range"] = one.version
        answer = ask(one.address, wanted, private=("Authorization",))
        start = 0
        if answer.status == 206:
            found = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
            start = int(found[1]) if found else -1
        if start not in (0, offset):
            answer.stream.close()
            raise Unreached("the server sends another part than it was asked for", where=shown(one.address))
        now = _version(answer.headers)
        if one.checksum is None and one.version is not None and now != one.version:
            answer.stream.close()
            what = "the file changed while it was fetched"
            raise InputError(what, where=shown(one.address), remedy="run again when nothing writes to it")
        return start, _body(answer.stream, shown(one.address))


def _body(stream: Any, where: str) -> Iterator[bytes]:
    with contextlib.closing(stream):
        while True:
            try:
                block = stream.read(BLOCK)
            except (OSError, http.client.HTTPException) as error:
                raise Unreached(f"the answer broke off ({_why(error)})", where=where, remedy=_LATER) from error
            if not block:
                return
            yield block


_LATER = "run again when the network is back; what was fetched is kept"


def ask(address: str, headers: Mapping[str, str], private: tuple[str, ...] = ()) -> Answer:
    """The beginning of the answer to a GET. `private` headers do not follow a redirect to another host.

    Raises:
        InputError: refused (4xx), or redirected to where it may not lead.
        Unreached: no answer, or one that says to come back.
    """
    request = urllib.request.Request(
        urllib.parse.quote(urllib.parse.urldefrag(address)[0], safe="%/:=&?~#+!$,;'@()*[]"),
        headers={"User-Agent": "assay", "Accept-Encoding": "identity", **_known(address), **headers},
    )
    opener = urllib.request.build_opener(
        urllib.request.HTTPSHandler(context=trusted()), _Redirects(address, ("Authorization", *private))
    )
    where = shown(address)
    try:
        stream = opener.open(request, timeout=TIMEOUT)
    except AssayError:
        raise
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 416 and "Range" in headers:  # an empty file has no first byte
                return ask(address, {k: v for k, v in headers.items() if k != "Range"}, private)
            raise refused(error.code, where, error.headers.get("Retry-After")) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Unreached(f"cannot be reached ({_why(error)})", where=where, remedy=_LATER) from error
    return Answer(stream, stream.status, stream.headers, stream.geturl())


def refused(status: int, where: str, wait: str | None = None) -> AssayError:
    """The error for a status that is none of success."""
    told = f"the server answers {status} {http.client.responses.get(status, '')}".rstrip()
    if 300 <= status < 400:
        what, remedy = "the server redirects in a circle, or to what is no web address", "name the file's own address"
        return InputError(what, where=where, remedy=remedy)
    if status in _PASSING:
        if wait and wait.isdigit():
            time.sleep(min(float(wait), _LONGEST_WAIT))
        return Unreached(told, where=where, remedy=_LATER)
    remedies = {401: "it wants a password: put it into ~/.netrc", 403: "it may not be read: ask for access",
                404: "check the address", 410: "it is gone: look for another copy"}  # fmt: skip
    return InputError(told, where=where, remedy=remedies.get(status, "check the address"))


def _why(error: BaseException) -> str:
    if isinstance(error, urllib.error.URLError) and isinstance(error.reason, BaseException):
        error = error.reason
    if isinstance(error, TimeoutError):
        return f"no answer within {TIMEOUT:.0f} seconds"
    if isinstance(error, socket.gaierror):
        return "no such host is known"
    return " ".join(str(getattr(error, "strerror", None) or error or type(error).__name__).split())[:100]


def _known(address: str) -> dict[str, str]:
    """Basic authorization from ~/.netrc, where it knows the host."""
    host = urllib.parse.urlsplit(address).hostname or ""
    try:
        found = netrc.netrc().authenticators(host)
    except (OSError, netrc.NetrcParseError):
        return {}
    if not found or not address.startswith("https://"):
        return {}
    return {"Authorization": "Basic " + base64.b64encode(f"{found[0]}:{found[2]}".encode()).decode()}


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Redirects that lead where a server may lead us."""

    max_redirections = 8

    def __init__(self, address: str, private: tuple[str, ...]) -> None:
        self.origin, self.private = address, private

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        there, here = urllib.parse.urlsplit(newurl), urllib.parse.urlsplit(req.full_url)
        problem = None
        if there.scheme not in ("https", "http") or (here.scheme == "https" and there.scheme == "http"):
            problem = f"from {here.scheme} to {there.scheme or 'nowhere'}"
        elif is_private(there.hostname or "") and not is_private(urllib.parse.urlsplit(self.origin).hostname or ""):
            problem = "from the public network to a private address"
        if problem:
            what, remedy = f"the server redirects {problem}", "name the address itself, if that is what you want"
            raise InputError(what, where=shown(self.origin), remedy=remedy)
        made = super().redirect_request(req, fp, code, msg, headers, newurl)
        if made is not None and there.netloc != here.netloc:
            for name in self.private:
                made.remove_header(name.capitalize())
        return made


def addresses(host: str) -> list[str]:
    """The IP addresses of a host; none where it is not known."""
    try:
        return [str(found[4][0]).partition("%")[0] for found in socket.getaddrinfo(host, None)]
    except (OSError, UnicodeError):
        return []


def is_private(host: str) -> bool:
    """Whether any address of a host is none of the public network."""
    return any(not ipaddress.ip_address(found).is_global for found in addresses(host))
