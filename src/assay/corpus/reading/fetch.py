"""Files of pinned distributions, from the package index that this machine is configured for, as data.

    (name, file, sha256) -> cache, verified on every use -> else find-links folders -> else each index in turn
                            (JSON of PEP 691, or HTML of PEP 503) -> downloaded, sha256 checked, put into the
                            cache

Nothing that is fetched is ever executed or imported, and archives are read member by member, never unpacked.
The configuration is pip's own: its environment variables first, then its files.
"""

from __future__ import annotations

import base64
import configparser
import hashlib
import html.parser
import http.client
import json
import logging
import os
import re
import ssl
import sys
import tarfile
import urllib.error
import urllib.parse
import urllib.request
import urllib.response
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assay.errors import WorkError
from assay.machine import cache_folder
from assay.store import write_atomic

log = logging.getLogger("assay.corpus")

DEFAULT_INDEX = "https://pypi.org/simple"
_TIMEOUT = 8.0  # seconds without a sign of life: no network must be noticed quickly
_ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
_LARGEST_MEMBER = 64 << 20


_NO_ANSWER = (OSError, ValueError, http.client.HTTPException)  # what a network, a proxy or a portal does to a request


class Unfetched(WorkError):
    """A pinned file could not be had from anywhere; the message says why."""


@dataclass(frozen=True)
class Pin:
    """One file of one distribution. `size` is in bytes, for the progress."""

    name: str
    file: str
    sha256: str
    size: int


@dataclass
class Index:
    """Where files come from. Addresses that did not answer once are not asked again."""

    pages: list[str]
    folders: list[str]
    silent: set[str] = field(default_factory=set)


def configured() -> Index:
    """The index pages and find-links of pip's configuration; the default index where nothing is
    configured."""
    files = _configuration()

    def setting(option: str) -> str:
        return os.environ.get("PIP_" + option.upper().replace("-", "_")) or files.get(option, "")

    pages = [setting("index-url") or DEFAULT_INDEX, *setting("extra-index-url").split()]
    if setting("no-index").lower() in ("1", "true", "yes", "on"):
        pages = []
    return Index(pages, setting("find-links").split())


def _configuration() -> dict[str, str]:
    """Options of pip's files, later files first in importance."""
    own = os.environ.get("PIP_CONFIG_FILE")
    config_home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    places = [
        Path("/etc/pip.conf"),
        Path.home() / ".pip" / "pip.conf",
        config_home / "pip" / "pip.conf",
        Path(sys.prefix) / "pip.conf",
        *([Path(own)] if own else []),
    ]
    found: dict[str, str] = {}
    if own == os.devnull:
        return found
    for path in places:
        parser = configparser.RawConfigParser()
        try:
            parser.read(path, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError):
            log.warning("%s: not understood, passed over", path)
            continue
        for section in ("global", "install", "download"):
            if parser.has_section(section):
                found.update({key.replace("_", "-"): value for key, value in parser.items(section)})
    return found


def fetch(pin: Pin, index: Index, progress: Callable[[int], None] | None = None) -> Path:
    """The file of a pin, from the cache or an index; its sha256 is checked either way.

    Raises:
        Unfetched: it could not be had; the message says why.
        WorkError: the disk that the cache is on is full.
    """
    path = cache_folder() / "files" / pin.sha256 / pin.file
    if path.is_file():
        if _sha256(path.read_bytes()) == pin.sha256:
            return path
        log.warning("%s: damaged in the cache; fetching it again", path)
        path.unlink()
    reasons: list[str] = []
    for address in _addresses(pin, index, reasons):
        try:
            data = _download(address, progress)
        except _NO_ANSWER as error:
            reasons.append(f"{_shown(address)}: {error}")
            continue
        if _sha256(data) != pin.sha256:
            reasons.append(f"{_shown(address)}: not the pinned file (its sha256 differs)")
            continue
        write_atomic(path, data)
        return path
    why = "; ".join(dict.fromkeys(reasons)) or "no index is configured"
    raise Unfetched(f"{pin.file} could not be fetched ({why})", remedy="check the network or the package index")


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _shown(address: str) -> str:
    """An address without the password that it may carry."""
    parts = urllib.parse.urlsplit(address)
    return urllib.parse.urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment=""))


def _addresses(pin: Pin, index: Index, reasons: list[str]) -> Iterator[str]:
    """Where the file is to be had, one address after another."""
    for place in index.folders:
        folder = Path(urllib.request.url2pathname(urllib.parse.urlsplit(place).path))
        local = place.startswith("file:") or "://" not in place
        if local and folder.is_dir() and (folder / pin.file).is_file():
            yield (folder / pin.file).as_uri()
        elif not local:
            yield from _on_page(place, pin, index, reasons)
    for page in index.pages:
        yield from _on_page(f"{page.rstrip('/')}/{pin.name}/", pin, index, reasons)


def _on_page(address: str, pin: Pin, index: Index, reasons: list[str]) -> Iterator[str]:
    host = urllib.parse.urlsplit(address).netloc
    if host and host in index.silent:
        return
    try:
        links = _links(address)
    except urllib.error.HTTPError as error:
        reasons.append(f"{_shown(address)}: {error}")
        return
    except _NO_ANSWER as error:
        index.silent.add(host)
        reasons.append(f"{_shown(address)}: {error}")
        return
    found = [link for link in links if _file_name(link) == pin.file]
    if not found:
        reasons.append(f"{_shown(address)}: does not have it")
    yield from found


def _file_name(link: str) -> str:
    return urllib.parse.unquote(urllib.parse.urlsplit(link).path.rsplit("/", 1)[-1])


def _links(address: str) -> list[str]:
    """The files that a project's page lists, as absolute addresses."""
    if address.startswith("file:") and not address.endswith(".html"):
        folder = Path(urllib.request.url2pathname(urllib.parse.urlsplit(address).path))
        page = folder / "index.html"
        if not page.is_file():
            return [path.as_uri() for path in folder.iterdir()] if folder.is_dir() else []
        address = page.as_uri()
    with _open(address, accept=_ACCEPT) as answer:
        kind, body, base = answer.headers.get("Content-Type") or "", answer.read(), answer.geturl()
    if "json" in kind:
        links = _listed(json.loads(body))
    else:
        reader = _Anchors()
        reader.feed(body.decode("utf-8", "replace"))
        links = reader.links
    # A redirect loses user and password; the file lies where the page lies.
    return [urllib.parse.urljoin(_with_user(base, address), link) for link in links]


def _listed(page: Any) -> list[str]:
    """The addresses in an index's JSON answer.

    Raises:
        ValueError: it is JSON of something else.
    """
    try:
        return [str(entry["url"]) for entry in page["files"]]
    except (LookupError, TypeError) as error:
        raise ValueError("the answer is not a list of files") from error


def _with_user(base: str, address: str) -> str:
    user, at, _ = urllib.parse.urlsplit(address).netloc.rpartition("@")
    parts = urllib.parse.urlsplit(base)
    if not at or "@" in parts.netloc or parts.hostname != urllib.parse.urlsplit(address).hostname:
        return base
    return urllib.parse.urlunsplit(parts._replace(netloc=f"{user}@{parts.netloc}"))


class _Anchors(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value for key, value in attrs if tag == "a" and key == "href" and value]


def _open(address: str, accept: str = "*/*") -> urllib.response.addinfourl:
    parts = urllib.parse.urlsplit(address)
    if parts.scheme not in ("https", "http", "file"):
        raise ValueError(f"{parts.scheme or 'no scheme'} is not an address that is fetched from")
    headers = {"Accept": accept, "User-Agent": "assay"}
    user, at, host = parts.netloc.rpartition("@")
    if at:
        headers["Authorization"] = "Basic " + base64.b64encode(urllib.parse.unquote(user).encode()).decode()
    plain = urllib.parse.urlunsplit(parts._replace(netloc=host, fragment=""))
    context = trusted() if parts.scheme == "https" else None
    request = urllib.request.Request(plain, headers=headers)
    answer: urllib.response.addinfourl = urllib.request.urlopen(request, timeout=_TIMEOUT, context=context)
    return answer


def trusted() -> ssl.SSLContext:
    """Who is believed to be who they say: the certificates that the environment names, else the system's."""
    names = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
    bundle = next((os.environ[name] for name in names if os.environ.get(name)), None)
    return ssl.create_default_context(cafile=bundle)


def _download(address: str, progress: Callable[[int], None] | None) -> bytes:
    pieces = []
    with _open(address) as answer:
        while piece := answer.read(1 << 20):
            pieces.append(piece)
            if progress:
                progress(len(piece))
    return b"".join(pieces)


def members(path: Path, wanted: str) -> Iterator[tuple[str, bytes]]:
    """(name, bytes) of the plain files in a wheel or sdist whose name matches the pattern, sorted by name.

    Raises:
        WorkError: a member is larger than any text here has a reason to be.
    """
    pattern = re.compile(wanted)
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as wheel:
            for info in sorted(wheel.infolist(), key=lambda i: i.filename):
                if pattern.search(info.filename) and not info.is_dir():
                    _bounded(info.filename, info.file_size)
                    yield info.filename, wheel.read(info)
        return
    with tarfile.open(path, "r:*") as sdist:
        for member in sorted(sdist.getmembers(), key=lambda m: m.name):
            if pattern.search(member.name) and member.isreg():
                _bounded(member.name, member.size)
                opened = sdist.extractfile(member)
                if opened is not None:
                    yield member.name, opened.read()


def _bounded(name: str, size: int) -> None:
    if size > _LARGEST_MEMBER:
        raise WorkError(f"{name} is {size} bytes, more than any text in it should be")
