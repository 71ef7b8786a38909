"""Stand-ins on loopback for what is far away: a web server with ranges, and a hub of data sets."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from assay.corpus.reading.source import ReadOptions, ReadReport, open_sources

COMMIT = "c0ffee" * 6 + "c0ff"


class Stand(http.server.BaseHTTPRequestHandler):
    """A server of the files in `files`, with strong ETags and ranges; what goes wrong is set by its attributes.

    Attributes:
        asked: method, path and headers of every request.
        status: path -> states to answer before the file is given.
        cut: path -> how many bytes to send of what was announced, a number for each answer.
        redirects: path -> address.
        tags, ranges, lengths: whether they are told.
        more: headers of all answers.
    """

    protocol_version = "HTTP/1.1"
    files: dict[str, bytes]
    asked: list[tuple[str, str, dict[str, str]]]
    status: dict[str, list[int]]
    cut: dict[str, list[int]]
    redirects: dict[str, str]
    more: dict[str, str]
    tags = ranges = lengths = True
    address = ""

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_POST(self) -> None:
        self._answer(body=True)

    def found(self, path: str) -> bytes | None:
        return self.files.get(path)

    def _answer(self, *, body: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        self.asked.append((self.command, path, dict(self.headers)))
        content = None if self.status.get(path) else self.found(path)
        if path in self.redirects:
            self._head(302, {"Location": self.redirects[path], "Content-Length": "0"})
        elif content is None:
            state = self.status[path].pop(0) if self.status.get(path) else 404
            self._head(state, {"Content-Length": "0", **self.errors(path)})
        else:
            self._send(path, content, body=body)

    def errors(self, path: str) -> dict[str, str]:
        return {}

    def _send(self, path: str, content: bytes, *, body: bool) -> None:
        headers = {"ETag": f'"{hashlib.md5(content).hexdigest()}"'} if self.tags else {}
        wanted = re.match(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        same = self.headers.get("If-Range") in (None, headers.get("ETag"))
        first, last, state = 0, len(content), 200
        if wanted and self.ranges and same:
            first, last, state = int(wanted[1]), int(wanted[2] or len(content) - 1) + 1, 206
            if first >= len(content):
                self._head(416, {"Content-Length": "0"})
                return
            headers["Content-Range"] = f"bytes {first}-{last - 1}/{len(content)}"
        if self.lengths or state == 206:
            headers["Content-Length"] = str(last - first)
        else:
            headers["Connection"] = "close"
        self._head(state, {**headers, **self.more})
        if body:
            part = content[first:last]
            cuts = self.cut.get(path)
            if cuts and len(part) > 1:
                part = part[: cuts.pop(0)]
                self.close_connection = True
            with contextlib.suppress(ConnectionError):
                self.wfile.write(part)

    def _head(self, state: int, headers: dict[str, str]) -> None:
        self.send_response(state)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


class Hub(Stand):
    """A hub with one data set, owner/tales: `files` by their paths in it. Those that end in .parquet are in LFS."""

    token: str | None = None
    gated = False
    repository = "owner/tales"
    wrong: set[str] = set()  # noqa: RUF012

    def errors(self, path: str) -> dict[str, str]:
        if self.token and self.headers.get("Authorization") != f"Bearer {self.token}":
            return {}
        if self.gated:
            return {"X-Error-Code": "GatedRepo", "X-Error-Message": "on request"}
        code = "RevisionNotFound" if "/revision/" in path and self.repository in path else "RepoNotFound"
        return {"X-Error-Code": "EntryNotFound" if "/tree/" in path else code}

    def found(self, path: str) -> bytes | None:
        if self.gated or (self.token and self.headers.get("Authorization") != f"Bearer {self.token}"):
            self.status[path] = [403 if self.gated else 401]
            return None
        api = f"/api/datasets/{self.repository}"
        if path in (f"{api}/revision/main", f"{api}/revision/{COMMIT}", f"{api}/revision/v1.0"):
            return json.dumps({"id": self.repository, "sha": COMMIT, "siblings": [], "private": False, "tags": [],
                               "downloads": 0, "likes": 0}).encode()  # fmt: skip
        if path == f"{api}/paths-info/{COMMIT}":
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            try:
                names = json.loads(body)["paths"]
            except ValueError:
                names = parse_qs(body)["paths"]
            return json.dumps([self._entry(name) for name in names if name in self.files]).encode()
        if path.startswith(f"{api}/tree/{COMMIT}"):
            below = path.removeprefix(f"{api}/tree/{COMMIT}").strip("/")
            names = [name for name in self.files if not below or name.startswith(f"{below}/")]
            return json.dumps([self._entry(name) for name in names]).encode() if names else None
        name = path.removeprefix(f"/datasets/{self.repository}/resolve/{COMMIT}/")
        content = self.files.get(name)
        return b"another content" if content is not None and name in self.wrong else content

    def _entry(self, name: str) -> dict[str, Any]:
        data = self.files[name]
        oid = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
        entry: dict[str, Any] = {"type": "file", "path": name, "size": len(data), "oid": oid}
        if name.endswith(".parquet"):
            entry["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 130}
        return entry


@contextlib.contextmanager
def served(kind: type[Stand] = Stand) -> Iterator[Any]:
    """A server of one's own; its class, to be told what to do, with `address`."""
    own: Any = type("Own", (kind,), {"files": {}, "asked": [], "status": {}, "cut": {}, "redirects": {}, "more": {}})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), own)
    server.daemon_threads = True
    own.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield own
    finally:
        server.shutdown()
        server.server_close()


def copied(root: Path, files: dict[str, bytes]) -> Path:
    """The same files in a folder here."""
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def rows(*uris: str, **options: Any) -> list[dict[str, Any]]:
    """The documents that URIs name."""
    sources = open_sources(list(uris), ReadOptions(**options))
    return [row for batch in sources.batches(ReadReport()) for row in batch.to_pylist()]
