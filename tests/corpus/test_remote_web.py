"""https:// and http:// sources: the documents of a local copy, fetched once, whole, and from nowhere unasked."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from far_away import Stand, rows, served
from hypothesis import given
from hypothesis import strategies as st

from assay.corpus.reading.remote import cache, objects, opening, web
from assay.corpus.reading.source import ReadOptions, ReadReport, identity_of, open_sources, title_of
from assay.errors import InputError, WorkError

TEXTS = ["one line", "three\nlines\n", "三国演义：第一回。"]
PACKED = gzip.compress(b"".join(json.dumps({"text": t}, ensure_ascii=False).encode() + b"\n" for t in TEXTS), mtime=0)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ASSAY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "WAITS", (0.01, 0.01, 0.01))
    monkeypatch.setattr(opening, "_WAITS", (0.01, 0.01))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "cache"


@pytest.fixture
def server() -> Iterator[Any]:
    with served(Stand) as own:
        own.files["/some/texts.jsonl.gz"] = PACKED
        yield own


def content_requests(server: Any) -> list[dict[str, str]]:
    return [headers for _, _, headers in server.asked if headers.get("Range") != "bytes=0-0"]


def test_a_file_is_read_as_a_local_copy_is(server: Any, tmp_path: Path) -> None:
    copy = tmp_path / "some" / "texts.jsonl.gz"
    copy.parent.mkdir()
    copy.write_bytes(PACKED)
    uri = f"{server.address}/some/texts.jsonl.gz"
    assert rows(uri) == rows(str(copy)) and len(rows(uri)) == 3
    far, near = (open_sources([u], ReadOptions()).fingerprint() for u in (uri, str(copy)))
    assert far == near


def test_it_is_fetched_once(server: Any) -> None:
    uri = f"{server.address}/some/texts.jsonl.gz"
    first = rows(uri)
    assert len(content_requests(server)) == 1
    assert rows(uri) == first and len(content_requests(server)) == 1
    server.files["/some/texts.jsonl.gz"] = gzip.compress(b'{"text": "another one"}\n')
    assert [row["text"] for row in rows(uri)] == ["another one"]


def test_without_encryption_a_notice_says_so(server: Any) -> None:
    (notice,) = open_sources([f"{server.address}/some/texts.jsonl.gz"], ReadOptions()).notices
    assert "encryption" in notice["en"] and "加密" in notice["zh"]


def test_damage_in_the_cache_is_noticed_and_mended(server: Any, own_cache: Path) -> None:
    uri = f"{server.address}/some/texts.jsonl.gz"
    before = rows(uri)
    for path in (own_cache / "remote" / "files").iterdir():
        path.write_bytes(path.read_bytes()[:-1] + b"!")
    assert rows(uri) == before and len(content_requests(server)) == 2


@pytest.mark.parametrize("ranges", [True, False])
def test_an_answer_that_breaks_off_is_gone_on_with(server: Any, ranges: bool) -> None:
    data = b"".join(b'{"text": "line %d"}\n' % i for i in range(300_000))
    cuts = [len(data) // 2, len(data) // 4]
    server.files["/big.jsonl"], server.ranges = data, ranges
    server.cut["/big.jsonl"] = cuts if ranges else [9, *cuts]  # the question for the first byte is answered by all
    made = open_sources([f"{server.address}/big.jsonl"], ReadOptions())
    assert made.files[0].path.read_bytes() == data
    starts = [headers.get("Range") for headers in content_requests(server) if "Range" in headers]
    assert starts[0] == f"bytes={len(data) // 2}-"
    assert len(content_requests(server)) == 3


def test_a_fetch_that_was_given_up_goes_on_in_the_next_run(server: Any, own_cache: Path) -> None:
    data = b"x" * 3_000_000 + b"\n"
    server.files["/big.txt"], server.cut["/big.txt"] = data, [1_000_000, 0, 0, 0]
    with pytest.raises(WorkError) as caught:
        rows(f"{server.address}/big.txt")
    assert caught.value.exit_code == 1 and "1,000,000 bytes came where 3,000,001" in caught.value.what
    assert not list((own_cache / "remote").rglob("big.txt"))  # nothing that looks whole
    server.asked.clear()
    assert open_sources([f"{server.address}/big.txt"], ReadOptions()).files[0].path.read_bytes() == data
    (request,) = content_requests(server)
    assert request["Range"] == "bytes=1000000-"


def test_what_changed_meanwhile_is_not_mixed(server: Any) -> None:
    server.files["/a.txt"], server.cut["/a.txt"] = b"old " * 1000, [1000, 0, 0, 0]
    with pytest.raises(WorkError):
        rows(f"{server.address}/a.txt")
    server.files["/a.txt"] = b"new " * 1000
    assert {word for row in rows(f"{server.address}/a.txt") for word in row["text"].split()} == {"new"}


@pytest.mark.parametrize(("states", "ends_well"), [([503, 429], True), ([500] * 20, False)])
def test_a_busy_server_is_asked_again_a_few_times(server: Any, states: list[int], ends_well: bool) -> None:
    server.status["/some/texts.jsonl.gz"] = states
    uri = f"{server.address}/some/texts.jsonl.gz"
    if ends_well:
        assert len(rows(uri)) == 3
        return
    with pytest.raises(WorkError, match="500 Internal Server Error") as caught:
        rows(uri)
    assert caught.value.exit_code == 1 and len(server.asked) == 3


def test_where_nothing_answers_the_last_version_is_read_and_that_is_said(server: Any) -> None:
    uri = f"{server.address}/some/texts.jsonl.gz"
    before = rows(uri)
    server.status["/some/texts.jsonl.gz"] = [503] * 20
    sources = open_sources([uri], ReadOptions())
    assert [row for batch in sources.batches(ReadReport()) for row in batch.to_pylist()] == before
    (notice,) = sources.notices
    assert "503" in notice["en"] and "fetched before" in notice["en"] and "以前" in notice["zh"]


def test_a_work_that_goes_on_reads_what_it_began_with(server: Any) -> None:
    uri = f"{server.address}/some/texts.jsonl.gz"
    begun = open_sources([uri], ReadOptions())
    server.files["/some/texts.jsonl.gz"] = gzip.compress(b'{"text": "another one"}\n')
    server.asked.clear()
    again = open_sources([uri], ReadOptions(), builtins=json.loads(json.dumps(begun.builtins)))
    assert again.fingerprint() == begun.fingerprint() and not server.asked
    assert open_sources([uri], ReadOptions()).fingerprint() != begun.fingerprint()


@pytest.mark.parametrize("tags", [True, False])
@pytest.mark.parametrize("lengths", [True, False])
def test_a_server_that_says_little_is_believed_as_far(server: Any, tags: bool, lengths: bool) -> None:
    server.tags, server.lengths, server.ranges = tags, lengths, False
    uri = f"{server.address}/some/texts.jsonl.gz"
    assert len(rows(uri)) == 3
    server.files["/some/texts.jsonl.gz"] = gzip.compress(b'{"text": "another one"}\n')
    assert [row["text"] for row in rows(uri)] == ["another one"]


REFUSED = {
    "/nothing.jsonl": ([], "404 Not Found", "check the address"),
    "/shut.jsonl": ([403] * 9, "403 Forbidden", "ask for access"),
    "/locked.jsonl": ([401] * 9, "401 Unauthorized", "netrc"),
    "/gone.jsonl": ([410] * 9, "410 Gone", "another copy"),
}


@pytest.mark.parametrize("path", REFUSED)
def test_what_the_server_refuses_is_one_line(server: Any, path: str) -> None:
    states, what, remedy = REFUSED[path]
    server.status[path] = states
    with pytest.raises(InputError) as caught:
        rows(f"{server.address}{path}?key=secret")
    error = caught.value
    assert error.exit_code == 2 and what in error.what and remedy in error.remedy and "\n" not in error.line()
    assert error.where == f"{server.address}{path}" and len(server.asked) == 1


@pytest.mark.parametrize(
    ("uri", "what"),
    [
        ("https:///a.txt", "not a whole address"),
        ("https://host:port/a.txt", "not a whole address"),
        ("https://user:secret@127.0.0.1/a.txt", "would be written down"),
    ],
)
def test_addresses_that_are_none(uri: str, what: str) -> None:
    with pytest.raises(InputError, match=what) as caught:
        rows(uri)
    assert "secret" not in caught.value.line()


def test_no_host_and_no_listener_are_errors_of_the_network() -> None:
    for uri in ("http://127.0.0.1:9/a.txt", "https://no-such-host.invalid/a.txt"):
        with pytest.raises(WorkError, match="cannot be reached") as caught:
            rows(uri)
        assert caught.value.exit_code == 1 and caught.value.remedy and caught.value.where == uri


def test_a_server_that_says_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    monkeypatch.setattr(web, "TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(WorkError, match="no answer within"):
        rows(f"http://127.0.0.1:{silent.getsockname()[1]}/a.txt")


def test_what_is_of_no_kind_is_told_by_its_address(server: Any) -> None:
    server.files["/a.zip"] = server.files["/index"] = b"PK"
    for name in ("/a.zip", "/index"):
        with pytest.raises(InputError, match="not a kind") as caught:
            rows(server.address + name)
        assert caught.value.where == server.address + name


def test_bad_input_is_told_by_its_address(server: Any) -> None:
    server.files["/a.jsonl"] = b'{"text": "fine"}\n{"text": \n'
    with pytest.raises(InputError) as caught:
        rows(f"{server.address}/a.jsonl")
    assert caught.value.where == f"{server.address}/a.jsonl:2:10"
    report = ReadReport()
    assert len(list(open_sources([f"{server.address}/a.jsonl"], ReadOptions(on_error="skip")).batches(report))) == 1
    assert report.bad_rows == 1 and report.places[0].startswith(f"{server.address}/a.jsonl:2")


def test_the_name_may_come_from_the_answer(server: Any) -> None:
    server.files["/download"] = PACKED
    server.more["Content-Disposition"] = 'attachment; filename="../../tales.jsonl.gz"'
    assert {row["source"] for row in rows(f"{server.address}/download?id=3")} == {"tales"}


def test_an_answer_that_is_packed_unasked_is_refused(server: Any) -> None:
    server.files["/a.jsonl"] = PACKED
    server.more["Content-Encoding"] = "gzip"
    with pytest.raises(InputError, match="packs it"):
        rows(f"{server.address}/a.jsonl")
    assert len(rows(f"{server.address}/some/texts.jsonl.gz")) == 3  # as many servers say of .gz


def test_redirects_are_followed_where_they_may_lead(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    server.redirects["/go"] = "/some/texts.jsonl.gz"
    server.redirects["/local"] = "file:///etc/passwd"
    server.redirects["/old"] = "ftp://127.0.0.1/a.txt"
    server.redirects["/round"] = "/round"
    assert {row["source"] for row in rows(f"{server.address}/go")} == {"texts"}
    for path in ("/local", "/old", "/round"):
        with pytest.raises(InputError, match="redirects"):
            rows(server.address + path)
    # The server is a public one now: what it redirects to on this machine is not for it to read.
    known = {"127.0.0.1": ["93.184.216.34"], "localhost": ["127.0.0.1"]}
    monkeypatch.setattr(web, "addresses", lambda host: known.get(host, []))
    server.redirects["/inside"] = server.address.replace("127.0.0.1", "localhost") + "/some/texts.jsonl.gz"
    with pytest.raises(InputError, match="public network to a private address") as caught:
        rows(f"{server.address}/inside")
    assert caught.value.where == f"{server.address}/inside"


@pytest.mark.parametrize(
    ("host", "private"),
    [("127.0.0.1", True), ("10.1.2.3", True), ("169.254.169.254", True), ("::1", True), ("8.8.8.8", False)],
)
def test_which_addresses_are_private(host: str, private: bool) -> None:
    assert web.is_private(host) is private


def test_a_password_goes_to_its_own_host_alone(server: Any) -> None:
    with served(Stand) as other:
        other.files["/b.txt"] = b"some text"
        server.redirects["/a.txt"] = f"{other.address}/b.txt".replace("127.0.0.1", "localhost")
        held = objects.Object("", None, None, f"{server.address}/a.txt")
        _, blocks = web.Web({"Authorization": "Bearer secret"}).begin(held, 0)
        assert b"".join(blocks) == b"some text"
        assert server.asked[-1][2]["Authorization"] == "Bearer secret"
        assert "Authorization" not in other.asked[-1][2]


def test_a_disk_without_room_is_told_before_the_first_byte(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache.shutil, "disk_usage", lambda _: SimpleNamespace(free=cache._RESERVE + 10))
    with pytest.raises(WorkError, match=f"need {len(PACKED):,} bytes, and 10 are free") as caught:
        rows(f"{server.address}/some/texts.jsonl.gz")
    assert "ASSAY_CACHE" in caught.value.remedy and not content_requests(server)


def test_an_empty_file_is_told(server: Any) -> None:
    server.files["/a.txt"] = b""
    with pytest.raises(InputError, match="empty"):
        rows(f"{server.address}/a.txt")


def test_a_source_far_away_is_the_same_wherever_the_command_is_given(tmp_path: Path) -> None:
    assert identity_of("s3://b/a") == "s3://b/a" and identity_of("builtin:python") == "builtin:python"
    assert Path(identity_of("a")).is_absolute()
    assert title_of("https://host/x/news.jsonl.gz?key=secret") == "news.jsonl.gz"


def test_progress_tells_of_all_bytes(server: Any) -> None:
    told: list[tuple[str, float, float]] = []
    uri = f"{server.address}/some/texts.jsonl.gz"
    open_sources([uri], ReadOptions(), lambda *at: told.append(at))
    assert told[-1] == ("remote", len(PACKED), len(PACKED))


@pytest.mark.parametrize(
    ("pattern", "fits", "fails"),
    [
        ("*.txt", ["a.txt"], ["b/a.txt", "a.md"]),
        ("**/*.txt", ["a.txt", "b/a.txt", "b/c/a.txt"], ["a.md"]),
        ("b/**", ["b/a", "b/c/d", "b"], ["a"]),
        ("[ab]/?.txt", ["a/x.txt"], ["c/x.txt", "a/xx.txt"]),
    ],
)
def test_patterns(pattern: str, fits: list[str], fails: list[str]) -> None:
    assert all(objects.matches(name, pattern) for name in fits)
    assert not any(objects.matches(name, pattern) for name in fails)


@given(st.lists(st.sampled_from(["a", "b", "**", "*"]), max_size=5), st.lists(st.sampled_from("ab"), max_size=5))
def test_patterns_agree_with_trying_all_ways(patterns: list[str], parts: list[str]) -> None:
    def all_ways(patterns: list[str], parts: list[str]) -> bool:
        if not patterns:
            return not parts
        if patterns[0] == "**":
            return any(all_ways(patterns[1:], parts[i:]) for i in range(len(parts) + 1))
        return bool(parts) and patterns[0] in ("*", parts[0]) and all_ways(patterns[1:], parts[1:])

    assert objects._match(tuple(parts), tuple(patterns)) == all_ways(patterns, parts)
