"""s3://BUCKET/PREFIX: what lies below a prefix, or one key, of an S3 store; by PyArrow's own client.

Endpoint, region and credentials are AWS's usual ones (AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, AWS_REGION, AWS_PROFILE,
~/.aws, the machine's role). Where there are none, or they do not suffice, it is asked as anybody.
"""

from __future__ import annotations

import os
import re
import urllib.parse
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from pyarrow import fs

from assay.corpus.reading.remote import objects
from assay.corpus.reading.remote.objects import TIMEOUT, Holding, Object, Unreached
from assay.errors import AssayError, InputError

BLOCK = 8 << 20  # a request each
_TRIES = 3  # of a request, by the client itself
_AT_ONCE = 16  # questions about objects
_NETWORK = ("NETWORK_CONNECTION", "REQUEST_TIMEOUT", "SERVICE_UNAVAILABLE", "SLOW_DOWN", "INTERNAL_FAILURE",
            "INTERNAL_ERROR", "THROTTLING", "curlCode")  # fmt: skip


def holding(uri: str, knows: Callable[[str], bool]) -> Holding:
    """What a URI names. Versions are asked for only of the objects that can be read, as `knows(name)` says.

    Raises:
        InputError: no such bucket or key, or not allowed.
        Unreached: no answer.
    """
    bucket, _, path = uri.removeprefix("s3://").partition("/")
    if not re.fullmatch(r"[A-Za-z0-9._-]{3,255}", bucket):
        raise InputError("names no bucket", where=uri, remedy="write s3://BUCKET/PREFIX")
    path, pattern = objects.without_glob(path.strip("/"))
    client, infos = _asked(uri, bucket, path, pattern)
    root = f"{bucket}/{path}".rstrip("/")
    every = [Object(info.path.removeprefix(root).removeprefix("/"), info.size, None, info.path) for info in infos]
    found = [one for one in every if pattern is None or objects.matches(one.name, pattern)]
    if not found:
        if client.get_file_info(bucket).type == fs.FileType.NotFound:
            raise _no_bucket(uri)
        raise objects.nothing_there(uri, pattern)
    objects.check_names(found, uri)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        made = pool.map(lambda one: _versioned(client, one) if knows(one.name or root) else one, found)
        return Holding("s3://", tuple(root.split("/")), tuple(made), Bucket(client))


def _asked(uri: str, bucket: str, path: str, pattern: str | None) -> tuple[Any, list[Any]]:
    """A client that is let in, and the files at a path. Whose credentials do not suffice is asked as anybody."""
    refusal: AssayError | None = None
    for anonymous in (False, True):
        try:
            client = _client(bucket, anonymous=anonymous)
            return client, _files(client, f"{bucket}/{path}".rstrip("/"), whole=pattern is None)
        except OSError as error:
            told = _error(error, uri)
            if "ACCESS_DENIED" not in str(error) and "credentials" not in str(error).lower():
                raise told from error
            refusal = refusal or told
    assert refusal is not None
    raise refusal


def _files(client: Any, root: str, *, whole: bool) -> list[Any]:
    """The files at or below a path, in order."""
    if whole and "/" in root:
        info = client.get_file_info(root)
        if info.type == fs.FileType.File:
            return [info]
    selector = fs.FileSelector(root, recursive=True, allow_not_found="/" in root)
    below = client.get_file_info(selector)
    return sorted((info for info in below if info.type == fs.FileType.File), key=lambda info: info.path)


def _client(bucket: str, *, anonymous: bool) -> Any:
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    options: dict[str, Any] = {
        "anonymous": anonymous, "connect_timeout": TIMEOUT, "request_timeout": TIMEOUT,
        "retry_strategy": fs.AwsStandardS3RetryStrategy(max_attempts=_TRIES),
    }  # fmt: skip
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if endpoint:
        parts = urllib.parse.urlsplit(endpoint if "://" in endpoint else f"https://{endpoint}")
        options |= {"endpoint_override": parts.netloc + parts.path.rstrip("/"), "scheme": parts.scheme}
        region = region or "us-east-1"  # other stores than Amazon's do not ask for one, but it is signed
    if not region:
        region = fs.resolve_s3_region(bucket)
    return fs.S3FileSystem(region=region, **options)


def _versioned(client: Any, one: Object) -> Object:
    """An object with its ETag."""
    try:
        with client.open_input_file(one.address) as file:
            said, size = file.metadata(), file.size()
    except OSError as error:
        raise _error(error, f"s3://{one.address}") from error
    tag = said.get("ETag", said.get("Last-Modified"))
    return one._replace(size=size, version=tag.decode("latin-1") if isinstance(tag, bytes) else tag)


class Bucket:
    """Content of objects, a request for each BLOCK."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def begin(self, one: Object, offset: int) -> tuple[int, Iterator[bytes]]:
        """See `Place`."""
        self._unchanged(one)
        return offset, self._blocks(one, offset)

    def _blocks(self, one: Object, offset: int) -> Iterator[bytes]:
        where = f"s3://{one.address}"
        try:
            with self.client.open_input_file(one.address) as file:
                file.seek(offset)
                while block := file.read(BLOCK):
                    yield block
        except OSError as error:
            raise _error(error, where) from error
        self._unchanged(one)

    def _unchanged(self, one: Object) -> None:
        now = _versioned(self.client, one)
        if (now.size, now.version) != (one.size, one.version):
            what, remedy = "the object changed while it was fetched", "run again when nothing writes to it"
            raise InputError(what, where=f"s3://{one.address}", remedy=remedy)


def _error(error: OSError, where: str) -> AssayError:
    """What the client says, in our words."""
    said = " ".join(str(error).split())
    if isinstance(error, FileNotFoundError) or "NO_SUCH_KEY" in said:
        return InputError("there is no such key", where=where, remedy="check its spelling")
    if "NO_SUCH_BUCKET" in said or ("Bucket '" in said and "not found" in said):
        return _no_bucket(where)
    if "ACCESS_DENIED" in said or "INVALID_ACCESS_KEY_ID" in said or "SIGNATURE_DOES_NOT_MATCH" in said:
        remedy = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, of somebody who may read it"
        return InputError("the store does not let it be read", where=where, remedy=remedy)
    why = re.sub(r"^.*?(AWS Error )", r"\1", said).partition(" (Request ID")[0][:160]
    if any(word in said for word in _NETWORK):
        remedy = "run again when the network is back; what was fetched is kept"
        return Unreached(f"the store cannot be reached ({why})", where=where, remedy=remedy)
    return InputError(f"the store refuses ({why})", where=where, remedy="check AWS_REGION and AWS_ENDPOINT_URL")


def _no_bucket(where: str) -> InputError:
    return InputError("there is no such bucket", where=where, remedy="check its name, and AWS_ENDPOINT_URL")
