"""A URI of a source far away -> its root in the cache, as a path to list; what is said if the network fails."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from assay.corpus.reading import decode, listing
from assay.corpus.reading.builtin import Choice
from assay.corpus.reading.remote import cache, hub, objects, web
from assay.corpus.reading.remote.objects import Holding, Object, Unreached
from assay.errors import InputError
from assay.present.words import Both, both

log = logging.getLogger("assay.corpus")
SCHEMES = ("hf", "s3", "https", "http")
_WAITS = (0.5, 2.0)  # seconds before asking again what there is


@dataclass(frozen=True)
class Remote:
    """A source in the cache.

    Attributes:
        path: its root.
        base: the folder of the cache that it is in.
        shown: the same as it stands before a path, and what errors show instead.
        version: where all this is a copy from: two of one version are one.
        digests: of its files, as they are.
        address: names all this in the cache.
    """

    path: Path
    base: Path
    shown: tuple[str, str]
    version: str
    digests: dict[Path, str]
    address: str
    notices: list[Both]

    def choice(self) -> Choice:
        return {"artifact": self.address, "notices": self.notices}


def is_remote(uri: str) -> bool:
    """Whether a URI names what is not on this machine."""
    return uri.partition("://")[0].lower() in SCHEMES and "://" in uri


def shown(uri: str) -> str:
    """A URI without the secrets that it may carry."""
    return web.shown(uri) if uri.lower().startswith("http") else uri


def title(uri: str) -> str:
    """The last name in a URI."""
    return PurePosixPath(urlsplit(uri).path if uri.lower().startswith("http") else uri).name


def materialise(
    uri: str, progress: Callable[[str, float, float], None] | None = None, *, before: Choice | None = None
) -> Remote:
    """What a URI names, fetched where the cache does not have it.

    Args:
        uri: hf://, s3://, https:// or http://.
        progress: gets ("remote", bytes done, bytes in all).
        before: what it was when the work that goes on now began: where the cache still has it, it is this again,
            whatever the network gives by now.

    Raises:
        InputError: there is nothing of this name, or it may not be read.
        Unreached: the network failed, and the cache does not have it.
        WorkError: the disk has no room, or a checksum is wrong.
    """
    scheme, _, rest = uri.partition("://")
    uri = f"{scheme.lower()}://{rest}"
    if before and (found := _again(uri, before["artifact"], before["notices"])):
        return found
    try:
        held = _held(uri)
    except Unreached as error:
        last = cache.remembered(uri)
        if last and (found := _again(uri, last, [both("notice.unreached", value=shown(uri), why=error.what)])):
            return found
        raise
    return _fetched(uri, held, progress)


def _again(uri: str, address: str, notices: list[Both]) -> Remote | None:
    found = cache.opened(address)
    return _remote(uri, address, found, notices) if found else None


def _remote(uri: str, address: str, found: tuple[Path, dict[Path, str]], notices: list[Both]) -> Remote:
    scheme = "hf://datasets/" if uri.startswith("hf:") else f"{uri.partition('://')[0]}://"
    base = (cache.folder() / "seen").resolve() / address
    version = f"hf:{hub.named(uri).revision}" if uri.startswith("hf:") else f"{uri.partition(':')[0]}:"
    return Remote(found[0], base, (f"{decode.shown(base)}/", scheme), version, found[1], address, notices)


def _held(uri: str) -> Holding:
    """What there is, asked several times if need be."""
    for seconds in _WAITS:
        try:
            return _asked(uri)
        except Unreached as error:
            log.info("%s; asking again", error.line())
            time.sleep(seconds)
    return _asked(uri)


def _asked(uri: str) -> Holding:
    if uri.startswith("hf:"):
        return hub.holding(uri)
    if uri.startswith("s3:"):
        from assay.corpus.reading.remote import bucket  # PyArrow's S3 client is large

        return bucket.holding(uri, _readable)
    return web.holding(uri, listing.has_kind)


def _readable(name: str) -> bool:
    return listing.unread_by_name(PurePosixPath(name), named=False) is None


def _fetched(uri: str, held: Holding, progress: Callable[[str, float, float], None] | None) -> Remote:
    objects.check_names(held.objects, shown(uri))
    wanted: dict[str, Object] = {}
    files: dict[str, str] = {}
    others = []
    for one in held.objects:
        if any(part.startswith(".") for part in one.name.split("/")[:-1]):
            continue  # hidden folders are not entered, whatever they hold
        if one.name and (one.size == 0 or one.name.rpartition("/")[2].startswith(".") or not _readable(one.name)):
            others.append(one.name)
            continue
        files[one.name] = cache.key_of(one)
        wanted[files[one.name]] = one
    total = float(sum(one.size or 0 for one in wanted.values()))

    def tell(done: float) -> None:
        if progress:
            progress("remote", min(done, total) if total else done, max(total, done))

    for final in (False, True):
        keys = cache.fetched(wanted, held.place, lambda one: shown(one.address), tell)
        address = cache.view(held.root, {name: keys[key] for name, key in files.items()}, others)
        found = cache.opened(address)
        if found is not None or final:
            break
    if found is None:
        raise InputError("is damaged in the cache again and again", where=cache.folder(), remedy="check its disk")
    cache.remember(uri, address)
    return _remote(uri, address, found, list(held.notices))
