"""hf://datasets/OWNER/NAME[@REVISION][/PATH]: a data set of the Hugging Face Hub, or of a hub of one's own.

    revision -> commit -> files of the tree with sizes and checksums -> content by HTTP, checked

`huggingface_hub` (extra `hub`) lists, and knows the hub's cache on this machine: what other programs fetched is taken
from there, and what is there is all where HF_HUB_OFFLINE is set. Content is fetched by `web`, which can be stopped and
goes on in the middle of a file. HF_ENDPOINT and HF_TOKEN count; no other token is used.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple
from urllib.parse import unquote

from assay.corpus.reading.remote import objects
from assay.corpus.reading.remote.objects import Holding, Object, Unreached
from assay.corpus.reading.remote.web import Web, refused
from assay.errors import AssayError, InputError, needs
from assay.present.words import both

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
_LATER = "run again when the network is back; what was fetched is kept"


class Named(NamedTuple):
    """The parts of a URI."""

    repository: str
    revision: str
    path: str


def named(uri: str) -> Named:
    """The parts of a URI.

    Raises:
        InputError: it names no data set.
    """
    rest = uri.removeprefix("hf://").strip("/")
    kind, _, after = rest.partition("/")
    if kind in ("models", "spaces", "buckets"):
        what = f"names what is in {kind} of the hub"
        raise InputError(what, where=uri, remedy="name a data set: hf://datasets/OWNER/NAME")
    parts = (after if kind == "datasets" else rest).split("/")
    if len(parts) == 1 and kind != "datasets":
        raise InputError("names no data set", where=uri, remedy="write hf://datasets/OWNER/NAME")
    at = 1 if len(parts) == 1 or "@" in parts[0] else 2  # the oldest data sets have no owner
    repository, found, revision = "/".join(parts[:at]).partition("@")
    if not all(_NAME.fullmatch(part) for part in repository.split("/")) or (found and not revision):
        raise InputError("names no data set", where=uri, remedy="write hf://datasets/OWNER/NAME[@REVISION][/PATH]")
    return Named(repository, unquote(revision) or "main", "/".join(parts[at:]))


def holding(uri: str) -> Holding:
    """What a URI names.

    Raises:
        InputError: no such data set, revision or file, or not allowed.
        Unreached: no answer.
    """
    needs("huggingface_hub", "hub", "data sets of the hub")
    wanted = named(uri)
    path, pattern = objects.without_glob(wanted.path)
    root = (*wanted.repository.split("/"), *filter(None, path.split("/")))
    if offline():
        return _cached(uri, wanted, root, path, pattern)
    found = _listed(uri, wanted, path, whole=pattern is None)
    made = tuple(one for one in _below(found, path) if pattern is None or objects.matches(one.name, pattern))
    if not made:
        raise objects.nothing_there(uri, pattern)
    token = _token()
    place = Web({"Authorization": f"Bearer {token}"} if token else {})
    return Holding("hf://datasets/", root, made, place)


def offline() -> bool:
    """Whether this machine's cache of the hub is all that may be used."""
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE) or os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on")


def _token() -> str | None:
    return os.environ.get("HF_TOKEN") or os.environ.get("HUGGING_FACE_HUB_TOKEN") or None


def _endpoint() -> str:
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def _listed(uri: str, wanted: Named, path: str, *, whole: bool) -> list[Object]:
    """The files at or below a path."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import EntryNotFoundError
    from huggingface_hub.hf_api import RepoFile

    api = HfApi(endpoint=_endpoint(), token=_token() or False, library_name="assay")
    try:
        commit = api.dataset_info(wanted.repository, revision=wanted.revision, timeout=objects.TIMEOUT).sha
        commit = commit or wanted.revision
        named_it: list[Any] = []
        if path and whole:
            named_it = api.get_paths_info(wanted.repository, [path], repo_type="dataset", revision=commit)
        if named_it and isinstance(named_it[0], RepoFile):
            entries = named_it
        else:
            tree = api.list_repo_tree(
                wanted.repository, path or None, repo_type="dataset", revision=commit, recursive=True
            )
            entries = [entry for entry in tree if isinstance(entry, RepoFile)]
    except EntryNotFoundError as error:
        raise InputError("the data set has no such file or folder", where=uri, remedy="check the path") from error
    except Exception as error:  # the library's own, its HTTP client's, and what a proxy's page does to both
        raise _error(error, uri, wanted) from error
    return [_object(entry, wanted, commit) for entry in entries]


def _object(entry: Any, wanted: Named, commit: str) -> Object:
    from huggingface_hub import constants, hf_hub_url

    name = entry.lfs.sha256 if entry.lfs else entry.blob_id
    here = Path(constants.HF_HUB_CACHE) / f"datasets--{wanted.repository.replace('/', '--')}" / "blobs" / name
    address = hf_hub_url(wanted.repository, entry.path, repo_type="dataset", revision=commit, endpoint=_endpoint())
    size = entry.lfs.size if entry.lfs else entry.size
    return Object(entry.path, size, name, address, _checksum(name), here if _checksum(name) else None)


def _checksum(name: str) -> tuple[Literal["sha256", "git"], str] | None:
    """What the name of a blob says of its content."""
    if not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", name):
        return None
    return ("sha256" if len(name) == 64 else "git"), name


def _below(found: list[Object], path: str) -> Iterator[Object]:
    """Objects named below a path; the object itself, if it is one."""
    for one in sorted(found, key=lambda one: one.name):
        if one.name == path:
            yield one._replace(name="")
        elif not path or one.name.startswith(path + "/"):
            yield one._replace(name=one.name[len(path) + 1 :] if path else one.name)


def _error(error: Exception, uri: str, wanted: Named) -> AssayError:
    """What the library raises, in our words."""
    from huggingface_hub import errors

    known = {
        errors.GatedRepoError: (
            "the data set is given out on request alone", "ask for access on its page, and set HF_TOKEN",
        ),
        errors.RevisionNotFoundError: (
            f"the data set has no revision {wanted.revision}", "check the name after @; without it the newest is read",
        ),
        errors.RepositoryNotFoundError: (
            "there is no such data set, or it is private", "check its name; for a private one set HF_TOKEN",
        ),
        errors.HFValidationError: ("names no data set", "write hf://datasets/OWNER/NAME"),
    }  # fmt: skip
    for kind, (what, remedy) in known.items():
        if isinstance(error, kind):
            return InputError(what, where=uri, remedy=remedy)
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in (401, 403):
        return InputError(f"the hub answers {status}", where=uri, remedy="check HF_TOKEN, and that it may read this")
    if status is not None:
        return refused(status, uri)
    why = " ".join((str(error) or type(error).__name__).split())[:100]
    return Unreached(f"the hub cannot be reached at {_endpoint()} ({why})", where=uri, remedy=_LATER)


class _Here:
    """Content that is on this machine."""

    def begin(self, one: Object, offset: int) -> tuple[int, Iterator[bytes]]:
        """See `Place`."""
        what, remedy = "is not in the hub's cache on this machine any more", "fetch it again, without HF_HUB_OFFLINE"
        raise InputError(what, where=one.address, remedy=remedy)


def _cached(uri: str, wanted: Named, root: tuple[str, ...], path: str, pattern: str | None) -> Holding:
    """What the hub's cache on this machine has, which may be a part: nothing here says what else there is."""
    from huggingface_hub import errors, snapshot_download

    try:
        folder = Path(
            snapshot_download(wanted.repository, repo_type="dataset", revision=wanted.revision, local_files_only=True)
        )
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled, ValueError, OSError) as error:
        remedy = "fetch it once without HF_HUB_OFFLINE, or set HF_HUB_CACHE to where it is"
        raise InputError("is not in the hub's cache on this machine", where=uri, remedy=remedy) from error
    found = []
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            real, name = file.resolve(), file.relative_to(folder).as_posix()
            found.append(Object(name, real.stat().st_size, real.name, uri, _checksum(real.name), real))
    made = tuple(one for one in _below(found, path) if pattern is None or objects.matches(one.name, pattern))
    if not made:
        raise objects.nothing_there(uri, pattern)
    return Holding("hf://datasets/", root, made, _Here(), (both("notice.hub_cache", value=uri, n=len(made)),))
