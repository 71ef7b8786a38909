"""The cache of what was fetched: two processes at once, Ctrl-C in the middle, kills at any point."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from far_away import Stand, served

from assay.corpus.reading.remote import cache
from assay.corpus.reading.source import ReadOptions, open_sources
from assay.errors import InputError
from command import heed_ctrl_c

FETCH = """import sys
from assay.corpus.reading.source import ReadOptions, open_sources
print(open_sources([sys.argv[1]], ReadOptions()).fingerprint())"""
DATA = b"".join(b'{"text": "line %d"}\n' % i for i in range(600_000))


class Slow(Stand):
    """A server that takes its time, and notes when it is in the middle of a content."""

    halfway: threading.Event
    seconds = 0.0

    def _send(self, path: str, content: bytes, *, body: bool) -> None:
        if self.headers.get("Range") != "bytes=0-0" and self.seconds:
            self.cut[path] = [len(content) // 2]
            super()._send(path, content, body=body)
            self.halfway.set()
            time.sleep(self.seconds)
            return
        super()._send(path, content, body=body)


@pytest.fixture
def server() -> Iterator[Any]:
    with served(Slow) as own:
        own.files["/a.jsonl"], own.halfway = DATA, threading.Event()
        yield own


def start(server: Any, tmp_path: Path, path: str = "/a.jsonl") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", FETCH, server.address + path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "ASSAY_CACHE": str(tmp_path / "cache")},
        preexec_fn=heed_ctrl_c,  # noqa: PLW1509 (one system call, and no lock)
    )  # fmt: skip


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_fetch_that_is_stopped_goes_on_where_it_was(server: Any, tmp_path: Path, how: signal.Signals) -> None:
    server.seconds = 30.0
    running = start(server, tmp_path)
    assert server.halfway.wait(60)
    time.sleep(0.5)
    began = time.monotonic()
    running.send_signal(how)
    _, told = running.communicate(timeout=60)
    assert running.returncode != 0 and ("KeyboardInterrupt" in told) == (how == signal.SIGINT)
    assert time.monotonic() - began < 10  # it does not wait for the server
    parts = list((tmp_path / "cache").rglob("*.part"))
    assert len(parts) == 1 and 0 < parts[0].stat().st_size < len(DATA)
    server.seconds = 0.0
    server.cut.clear()
    server.asked.clear()
    again = start(server, tmp_path)
    assert again.communicate(timeout=60)[0] == start(server, tmp_path).communicate(timeout=60)[0]
    asked = [headers["Range"] for _, _, headers in server.asked if headers.get("Range") != "bytes=0-0"]
    assert asked == [f"bytes={parts_size(tmp_path, asked)}-"] and not list((tmp_path / "cache").rglob("*.part"))


def parts_size(tmp_path: Path, asked: list[str]) -> int:
    """Where the second fetch began: somewhere in the content, and what it made is whole."""
    (file,) = [path for path in (tmp_path / "cache" / "remote" / "files").iterdir() if path.suffix != ".part"]
    assert file.read_bytes() == DATA
    at = int(asked[0].removeprefix("bytes=").removesuffix("-"))
    assert 0 < at < len(DATA)
    return at


def test_two_processes_fetch_a_file_once(server: Any, tmp_path: Path) -> None:
    both = [start(server, tmp_path) for _ in range(2)]
    said = {process.communicate(timeout=60)[0] for process in both}
    assert len(said) == 1 and all(process.returncode == 0 for process in both)
    contents = [headers for _, _, headers in server.asked if headers.get("Range") != "bytes=0-0"]
    assert len(contents) == 1


@pytest.mark.parametrize("what", ["seen", "files", "last", "all"])
def test_whatever_is_removed_from_the_cache_is_fetched_again(
    server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    import shutil

    monkeypatch.setenv("ASSAY_CACHE", str(tmp_path / "cache"))
    uri = f"{server.address}/a.jsonl"
    before = open_sources([uri], ReadOptions()).fingerprint()
    shutil.rmtree(cache.folder() if what == "all" else cache.folder() / what)
    assert open_sources([uri], ReadOptions()).fingerprint() == before


def test_a_cache_that_cannot_be_written_is_told(server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cache").write_text("not a folder")
    monkeypatch.setenv("ASSAY_CACHE", str(tmp_path / "cache"))
    with pytest.raises(InputError, match="cannot be written"):
        open_sources([f"{server.address}/a.jsonl"], ReadOptions())


def test_the_disk_holds_what_was_fetched_once(server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSAY_CACHE", str(tmp_path / "cache"))
    for query in ("", "", "?a=1"):
        open_sources([f"{server.address}/a.jsonl{query}"], ReadOptions())
    inodes = {(path.stat().st_ino, path.stat().st_size) for path in (tmp_path / "cache").rglob("*") if path.is_file()}
    assert sum(size for _, size in inodes) < 2.01 * len(DATA)  # two addresses, each once
