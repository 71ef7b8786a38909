"""What was fetched: files in the cache folder, and for each source a folder of them named as the source has them.

    remote/files/KEY         the content; KEY is the digest of address, version and size
    remote/files/KEY.part    of a fetch that was cut off: the next one goes on at its end
    remote/seen/ADDRESS/     links to contents, below the names of the source: what is read
    remote/seen/ADDRESS.json what it is made of: the digest of every file
    remote/last/KEY          the ADDRESS that a URI had last

Digests are checked whenever a source is opened; what is damaged is fetched again. Nothing is removed by itself: the
folder `remote` can be, at any time that nothing reads from it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import logging
import os
import queue
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any

from assay.corpus.reading.remote.objects import Object, Place, Unreached
from assay.errors import AssayError, InputError, WorkError
from assay.machine import cache_folder
from assay.store import disk_errors, file_digest, fingerprint, staged, write_atomic, write_json_atomic

log = logging.getLogger("assay.corpus")

WAITS = (0.5, 2.0, 6.0)  # seconds before a file is tried again, each try going on where the last was cut off
_AT_ONCE = 4
_RESERVE = 256 << 20  # bytes of a disk that are left free
_LOOK_EVERY = 64 << 20  # bytes between looks at how much is free
_MOVE_ON = 0.2  # seconds between looks at what a person wants

Tell = Callable[[float], None]
"""Bytes done so far, of all files."""


def folder() -> Path:
    """Where everything fetched is."""
    return cache_folder() / "remote"


def key_of(one: Object) -> str:
    """The name of a content in the cache."""
    return fingerprint([one.address if one.checksum is None else "", one.version, one.size])


class _Work:
    """What the threads of one fetch share."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.done: dict[str, int] = {}
        self.keys: dict[str, str] = {}

    def heed(self) -> None:
        if self.stop.is_set():
            raise Unreached("stopped")


def fetched(wanted: dict[str, Object], place: Place, shown: Callable[[Object], str], tell: Tell) -> dict[str, str]:
    """Have the contents of objects, by their keys, in the cache. A file is whole there, or not there.

    Returns:
        the keys that they have: another one where nothing but the content itself tells one version from the next.

    Raises:
        Unreached: the network failed, several times over; what was had is kept.
        InputError: an object is gone, not allowed or not what its checksum says.
        WorkError: the disk has no room for it.
    """
    files = folder() / "files"
    with disk_errors(files):
        files.mkdir(parents=True, exist_ok=True)
    missing = {key: one for key, one in wanted.items() if one.version is None or not (files / key).is_file()}
    _room(files, missing, files)
    work = _Work()
    todo, told = deque(missing.items()), queue.SimpleQueue[BaseException | None]()

    def fetch() -> None:
        while not work.stop.is_set():
            try:
                key, one = todo.popleft()
            except IndexError:
                return
            try:
                _fetch(work, key, one, place, files / key, shown(one))
                told.put(None)
            except BaseException as error:
                told.put(error)

    # Daemons, since a Ctrl-C must not wait for a server that says nothing.
    threads = [threading.Thread(target=fetch, daemon=True) for _ in range(min(_AT_ONCE, len(missing)))]
    for thread in threads:
        thread.start()
    left = len(missing)
    try:
        while left:
            with contextlib.suppress(queue.Empty):
                error = told.get(timeout=_MOVE_ON)
                left -= 1
                if error is not None:
                    raise error
            tell(sum(list(work.done.values())))
    except AssayError:
        work.stop.set()
        for thread in threads:
            thread.join(_MOVE_ON)
        raise
    finally:
        work.stop.set()
    return {key: work.keys.get(key, key) for key in wanted}


def _room(files: Path, missing: dict[str, Object], where: Path) -> None:
    """Refuse what the disk does not hold, before the first byte.

    Raises:
        WorkError: it does not.
    """
    parts = {key: path.stat().st_size for key in missing if (path := files / f"{key}.part").is_file()}
    needed = sum(max(0, (one.size or 0) - parts.get(key, 0)) for key, one in missing.items())
    free = shutil.disk_usage(where).free - _RESERVE
    if needed > free:
        raise _no_room(f"the sources need {needed:,} bytes, and {max(0, free):,} are free", where)


def _no_room(what: str, where: Path) -> WorkError:
    remedy = "free some space, name fewer files, or set ASSAY_CACHE to a folder on a larger disk"
    return WorkError(what, where=where, remedy=remedy)


def _fetch(work: _Work, key: str, one: Object, place: Place, final: Path, where: str) -> None:
    """One content, in as many tries as it may take."""
    part = final.with_name(f"{final.name}.part")
    with disk_errors(final), _alone(part, work) as file:
        if final.is_file() and one.version is not None:  # another process was quicker
            part.unlink(missing_ok=True)
            return
        if one.version is None:  # nothing says that what is there is the beginning of the same content
            file.truncate(0)
        if one.here is not None and _taken(one, file):
            pass
        else:
            _tried(work, key, one, place, file, where)
        _checked(one, file, part, where)
        file.flush()
        os.fsync(file.fileno())
        if one.version is None:
            work.keys[key] = fingerprint([one.address, file_digest(part)])
            final = final.with_name(work.keys[key])
        os.replace(part, final)


@contextlib.contextmanager
def _alone(part: Path, work: _Work) -> Iterator[IO[bytes]]:
    """A file to go on with, that no other process writes to. Waits for one that does."""
    while True:
        file = part.open("a+b")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _same(part, file):
                break
        except BlockingIOError:
            pass
        file.close()
        work.heed()
        time.sleep(_MOVE_ON)
    with file:
        yield file


def _same(path: Path, file: IO[bytes]) -> bool:
    """Whether an open file is still the one of this name."""
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def _taken(one: Object, file: IO[bytes]) -> bool:
    """Whether the content was on this machine, and has been copied."""
    assert one.here is not None
    try:
        with one.here.open("rb") as source:
            if one.size is not None and os.fstat(source.fileno()).st_size != one.size:
                return False
            file.truncate(0)
            shutil.copyfileobj(source, file, 1 << 20)
    except FileNotFoundError:
        return False
    return True


def _tried(work: _Work, key: str, one: Object, place: Place, file: IO[bytes], where: str) -> None:
    for wait_for in (*WAITS, None):
        try:
            _once(work, key, one, place, file, where)
            return
        except Unreached as error:
            work.heed()
            if wait_for is None:
                raise
            log.info("%s; trying again", error.line())
            work.stop.wait(wait_for)


def _once(work: _Work, key: str, one: Object, place: Place, file: IO[bytes], where: str) -> None:
    file.seek(0, os.SEEK_END)
    before = file.tell()
    if one.size is not None and before >= one.size > 0:
        if before == one.size:
            return
        before = 0
    work.heed()
    start, blocks = place.begin(one, before)
    file.truncate(start)
    size = looked = start
    for block in blocks:
        work.heed()
        size += len(block)
        if one.size is not None and size > one.size:
            break
        if size - looked >= _LOOK_EVERY:
            looked = size
            if shutil.disk_usage(folder()).free < _RESERVE:
                raise _no_room("the disk is nearly full", folder())
        file.write(block)
        work.done[key] = size
    file.flush()
    if one.size is not None and size != one.size:
        what = f"{size:,} bytes came where {one.size:,} were announced"
        raise Unreached(what, where=where, remedy="run again; what was fetched is kept")


def _checked(one: Object, file: IO[bytes], part: Path, where: str) -> None:
    """Compare a content with its checksum.

    Raises:
        WorkError: it is another one. It is removed.
    """
    if one.checksum is None:
        return
    kind, wanted = one.checksum
    digest = hashlib.sha256() if kind == "sha256" else hashlib.sha1(usedforsecurity=False)
    file.flush()
    if kind == "git":
        digest.update(b"blob %d\0" % os.fstat(file.fileno()).st_size)
    file.seek(0)
    while block := file.read(1 << 20):
        digest.update(block)
    if digest.hexdigest() != wanted:
        part.unlink(missing_ok=True)
        what = f"the content is not what its checksum ({kind}) says"
        raise WorkError(what, where=where, remedy="run again; if it stays so, tell whoever keeps it")


# ---- what a source looks like


def view(root: tuple[str, ...], files: dict[str, str], others: list[str]) -> str:
    """The ADDRESS of a source with these files (name -> key) and these names that are not read, made if need be.

    Raises:
        InputError: the names cannot stand beside each other on a disk.
        WorkError: the disk is full.
    """
    address = fingerprint({"root": list(root), "files": sorted(files.items()), "others": sorted(others)})[:20]
    seen, contents = folder() / "seen", folder() / "files"
    final = seen / address
    record = seen / f"{address}.json"
    if record.is_file() and final.is_dir():
        return address
    with disk_errors(seen):
        seen.mkdir(parents=True, exist_ok=True)
    digests: dict[str, dict[str, str]] = {}
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = pool.map(file_digest, [contents / key for key in files.values()])
        for (name, key), digest in zip(files.items(), found, strict=True):
            digests[name] = {"key": key, "xxh3_128": digest}
    shutil.rmtree(final, ignore_errors=True)
    with staged(final) as staging:
        top = staging.joinpath(*root)
        for name in (*files, *others):
            target = top / name if name else top
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                if name in files:
                    _link(contents / files[name], target)
                else:  # a name without content: the listing says why it is not read, as of any file
                    target.touch()
            except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
                what, remedy = "is the name of an object and of a folder", "name what is below it by itself"
                raise InputError(what, where="/".join((*root, name)), remedy=remedy) from error
    write_json_atomic(record, {"root": list(root), "files": digests})
    return address


def _link(source: Path, target: Path) -> None:
    """A second name for a file; a copy where the disk has none."""
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:
        shutil.copyfile(source, target)


def opened(address: str) -> tuple[Path, dict[Path, str]] | None:
    """The root of a source that was seen, and the digests of its files, as they are; None where anything is missing or
    damaged, and then its contents are not used again."""
    record, final = folder() / "seen" / f"{address}.json", folder() / "seen" / address
    try:
        said: Any = json.loads(record.read_text(encoding="utf-8"))
        top = final.joinpath(*said["root"])
        wanted = {
            top / name if name else top: (entry["key"], entry["xxh3_128"]) for name, entry in said["files"].items()
        }
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        digests = dict(zip(wanted, pool.map(_digest, wanted), strict=True))
    bad = [path for path, (_, digest) in wanted.items() if digests[path] != digest]
    for path in bad:
        log.warning("%s: damaged in the cache; fetching it again", path)
        (folder() / "files" / wanted[path][0]).unlink(missing_ok=True)
    if bad:
        record.unlink(missing_ok=True)
        shutil.rmtree(final, ignore_errors=True)
        return None
    resolved = top.parent.resolve() / top.name
    return resolved, {resolved / path.relative_to(top): digest for path, (_, digest) in wanted.items()}


def _digest(path: Path) -> str:
    try:
        return file_digest(path)
    except OSError:
        return ""


def remembered(uri: str) -> str | None:
    """The ADDRESS that a URI had last."""
    try:
        return (folder() / "last" / fingerprint(uri)).read_text(encoding="ascii").strip() or None
    except (OSError, ValueError):
        return None


def remember(uri: str, address: str) -> None:
    write_atomic(folder() / "last" / fingerprint(uri), address)
