"""Web pages and archives: their main text in whatever encoding, hostile ones in bounded time, damage with its place."""

from __future__ import annotations

import gzip
import json
import re
import time
import tracemalloc
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

from assay.corpus.reading import html
from assay.corpus.reading.source import ReadOptions, ReadReport, open_sources
from assay.errors import InputError

ENGLISH = [
    "The committee met on Tuesday and, after four hours of talks, agreed on a plan to repair the old bridge.",
    "Work begins in March; until then, lorries have to take the road through the valley, which is narrow.",
    "Residents of both villages had asked for it since the flood of 2014, when the bridge was closed for a year.",
]
CHINESE = [
    "委员会星期二开会，经过四个小时的讨论，就修复旧桥的方案达成一致，预计明年完工。",
    "工程三月动工；在此之前，货车必须绕行山谷中的小路，那里路面狭窄，通行缓慢。",
    "自二〇一四年洪水以来，两村居民一直要求修桥，当时大桥关闭了整整一年之久。",
]
MENU = '<nav><ul><li><a href="/">Home</a></li><li><a href="/news">News</a></li></ul></nav>'


def page(paragraphs: list[str], head: str = "") -> str:
    body = "".join(f"<p>{paragraph}</p>\n" for paragraph in paragraphs)
    return f"<!doctype html><html><head>{head}<title>T</title></head><body>{MENU}<main>{body}</main></body></html>"


def read(path: Path, **options: Any) -> tuple[list[str], ReadReport]:
    report = ReadReport()
    sources = open_sources([str(path)], ReadOptions(**options))
    return [text for batch in sources.batches(report) for text in batch.column("text").to_pylist()], report


@pytest.mark.parametrize("suffix", [".html", ".htm", ".html.gz", ".htm.zst"])
def test_a_page_is_one_document(tmp_path: Path, suffix: str) -> None:
    data = page(ENGLISH).encode()
    packed = gzip.compress(data) if suffix.endswith("gz") else zstandard.compress(data)
    (tmp_path / f"a{suffix}").write_bytes(packed if suffix.count(".") == 2 else data)
    assert read(tmp_path)[0] == ["\n\n".join(ENGLISH)]


@pytest.mark.parametrize(
    ("codec", "head"),
    [
        ("gbk", '<meta charset="gb2312">'),
        ("gb18030", '<meta http-equiv="Content-Type" content="text/html; charset=GBK">'),
        ("big5", "<meta charset=big5>"),
        ("gbk", ""),  # nothing says so
        ("utf-8", '<meta charset="gb2312">'),  # a page that was saved as UTF-8 and says what it once was
        ("utf-8", ""),
        ("utf-8-sig", '<meta charset="latin-1">'),
        ("utf-16", '<meta charset="utf-8">'),
        ("utf-8", '<meta charset="utf-16">'),
    ],
)
def test_the_encoding_is_found(tmp_path: Path, codec: str, head: str) -> None:
    wanted = CHINESE
    if codec == "big5":
        wanted = ["委員會星期二開會，經過四個小時的討論，就修復舊橋的方案達成一致，預計明年完工。"] * 2 + [
            "工程三月動工；在此之前，貨車必須繞行山谷中的小路，那裡路面狹窄，通行緩慢。"
        ]
    (tmp_path / "a.html").write_bytes(page(wanted, head).encode(codec))
    (text,), _ = read(tmp_path)
    assert all(paragraph in text for paragraph in wanted)


def test_an_encoding_that_was_given_counts_before_all_others(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_bytes(page(CHINESE, '<meta charset="big5">').encode("gb18030"))
    (tmp_path / "b.html").write_bytes(page(CHINESE).encode())  # and this one is plainly something else
    assert read(tmp_path, encoding="gb18030")[0] == ["\n\n".join(CHINESE)] * 2


def test_a_page_in_no_encoding_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_bytes(b"<p>" + bytes(range(128, 256)) * 40 + b"</p>")
    with pytest.raises(InputError, match="cannot be decoded") as caught:
        read(tmp_path, encoding="utf-8")
    assert caught.value.where == str(tmp_path / "a.html") and caught.value.remedy


@pytest.mark.parametrize(
    "text", ["<html><body><img src=x></body></html>", "<!-- nothing -->", "<script>var a</script>", " ", "\0" * 40]
)
def test_a_page_without_text_is_counted_as_empty(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.html").write_text(text)
    (tmp_path / "b.html").write_text(page(ENGLISH))
    texts, report = read(tmp_path)
    assert len(texts) == 1
    assert report.documents == 1 and report.bad_files == 0


def test_code_keeps_its_lines_and_lists_theirs(tmp_path: Path) -> None:
    rest = "<pre>def f(x):\n    if x &lt; 1:\n        return 0\n</pre><ul><li>First, which says enough.<li>Second.</ul>"
    text = "".join(f"<p>{paragraph}</p>" for paragraph in ENGLISH)
    (tmp_path / "a.html").write_text(page([f'</p><div class="article-body">{text}<p>a<br>b</p>{rest}</div><p>']))
    (text,), _ = read(tmp_path)
    assert "\n\ndef f(x):\n    if x < 1:\n        return 0\n\n" in text
    assert "\n\na\nb\n\n" in text
    assert "- First, which says enough.\n- Second." in text


def test_what_a_rule_takes_stays_where_it_is_nearly_all(tmp_path: Path) -> None:
    """Names of classes are often wrong."""
    text = "".join(f"<p>{paragraph}</p>" for paragraph in ENGLISH)
    (tmp_path / "a.html").write_text(f'<body><div class="candidates-title">{text}</div></body>')
    assert read(tmp_path)[0] == ["\n\n".join(ENGLISH)]


HOSTILE = {
    "nested": "<div>" * 100_000 + "text",
    "formats": "<p><b>" * 50_000 + "text",
    "tables": "<table><tr><td>" * 50_000 + "text",
    "attributes": "<p " + " ".join(f"a{i}=1" for i in range(100_000)) + ">text",
    "quoted": "<p " + " ".join(f"a{i}='>'" for i in range(100_000)) + ">text",
    "tags": "<p>text</p>" * 600_000,
    "large": "<p>" + "x" * html.LARGEST_PAGE,
}
LARGE = {
    "attribute": f'<p title="{"x" * 8_000_000}">some text that is long enough to be a sentence.</p>',
    "nulls": "<p>some te\0xt" + "\0" * 1_000_000 + " that is long enough to be a sentence.</p>",
    "unclosed": "<p>some text that is long enough to be a sentence.<li>" * 3_000,
    "script": "<p>some text that is long enough to be a sentence.</p><script>" + "'<div>'" * 300_000,
    "comment": "<p>some text that is long enough to be a sentence.</p><!--" + "<div>" * 300_000,
    "icons": "<p>some text that is long enough to be a sentence.</p>" + "<svg><path d='x'/><g/></svg>" * 3_000,
    "entities": "<p>some text that is long enough to be a sentence." + "&amp;" * 100_000,
    "bodies": '<div class="article-body">' * 500 + "<p>some text that is long enough to be a sentence.</p>" * 500,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_pages_are_refused_at_once(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.html").write_text(HOSTILE[name])
    (tmp_path / "b.html").write_text(page(ENGLISH))
    began = time.process_time()
    with pytest.raises(InputError, match=r"nested|attributes|tags|bytes") as caught:
        read(tmp_path)
    assert caught.value.where == str(tmp_path / "a.html") and "\n" not in caught.value.line()
    texts, report = read(tmp_path, on_error="skip")
    assert (len(texts), report.bad_files) == (1, 1)
    assert time.process_time() - began < 10


@pytest.mark.parametrize("name", LARGE)
def test_large_and_untidy_pages_are_read(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.html").write_text(LARGE[name])
    began = time.process_time()
    texts, _ = read(tmp_path)
    assert "".join(texts).replace("\0", "").startswith("some text that is long enough to be a sentence.")
    assert time.process_time() - began < 20


@pytest.mark.parametrize("name", ["a.html.gz", "a.warc.gz", "a.html.zst", "a.warc.zst"])
def test_what_unpacks_without_end_is_never_held(tmp_path: Path, name: str) -> None:
    data = b" " * (300 << 20)
    data = data if "html" in name else record(b"")[:-4].replace(b"Length: ", b"Length: 9999999") + data
    (tmp_path / name).write_bytes(gzip.compress(data, 1) if name.endswith("gz") else zstandard.compress(data, 1))
    del data
    tracemalloc.start()
    with pytest.raises(InputError, match=r"more than|cut off"):
        read(tmp_path)
    assert tracemalloc.get_traced_memory()[1] < 80 << 20
    tracemalloc.stop()


def test_other_extractors(tmp_path: Path) -> None:
    pytest.importorskip("trafilatura")
    (tmp_path / "a.html").write_text(page(ENGLISH * 3))
    fingerprints = set()
    for extractor in html.EXTRACTORS:
        (text,), _ = read(tmp_path, html=extractor)
        assert all(paragraph in text for paragraph in ENGLISH) and "Home" not in text
        fingerprints.add(open_sources([str(tmp_path)], ReadOptions(html=extractor)).fingerprint())
    assert len(fingerprints) == 3
    with pytest.raises(InputError, match="use one of resiliparse"):
        ReadOptions(html="justext")  # type: ignore[arg-type]


def test_without_trafilatura_one_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "trafilatura", None)
    (tmp_path / "a.html").write_text(page(ENGLISH))
    assert len(read(tmp_path)[0]) == 1
    for on_error in ("stop", "skip"):  # no file is to blame
        with pytest.raises(InputError, match=r"assay\[html\]"):
            read(tmp_path, html="both", on_error=on_error)


# ---- archives


def record(body: bytes, content_type: str = "text/html", *, fields: str = "", status: str = "200 OK") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\n{fields}\r\n".encode()
    return entry(head + body, "response", "application/http; msgtype=response")


def entry(content: bytes, kind: str, content_type: str) -> bytes:
    head = f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: http://example.org/\r\nContent-Type: {content_type}\r\n"
    return head.encode() + f"Content-Length: {len(content)}\r\n\r\n".encode() + content + b"\r\n\r\n"


def web_page(number: int) -> bytes:
    return page([f"Page {number} of this archive. {ENGLISH[0]}", *ENGLISH[1:]]).encode()


RECORDS = [
    entry(b"software: x\r\n", "warcinfo", "application/warc-fields"),
    record(web_page(1)),
    record("纯文本，一个字也不改。\n".encode("gbk"), "text/plain; charset=gbk"),
    record(b"\x89PNG", "image/png"),
    entry(b"GET / HTTP/1.1\r\n\r\n", "request", "application/http; msgtype=request"),
    record(b"<p>There is no such page on this server.</p>", status="404 Not Found"),
    record(web_page(2)),
    record(web_page(3)),
]
ARCHIVE = b"".join(RECORDS)


def packed(records: list[bytes], suffix: str) -> bytes:
    """As crawlers pack them: every record for itself."""
    pack = {".warc": bytes, ".warc.gz": gzip.compress, ".warc.zst": zstandard.compress}[suffix]
    return b"".join(pack(part) for part in records)


def beginnings(texts: list[str]) -> list[str]:
    return [text[:6] for text in texts]


@pytest.mark.parametrize("suffix", [".warc", ".warc.gz", ".warc.zst"])
def test_an_archive_gives_its_pages_and_texts(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"a{suffix}").write_bytes(packed(RECORDS, suffix))
    texts, report = read(tmp_path)
    assert beginnings(texts) == ["Page 1", "纯文本，一个", "Page 2", "Page 3"]
    assert texts[1] == "纯文本，一个字也不改。\n"
    assert (report.bad_rows, report.bad_files) == (0, 0)


def test_the_records_are_those_of_fastwarc(tmp_path: Path) -> None:
    warc = pytest.importorskip("fastwarc.warc")
    (tmp_path / "a.warc.gz").write_bytes(packed(RECORDS, ".warc.gz"))
    with (tmp_path / "a.warc.gz").open("rb") as file:
        bodies = [
            (r.http_content_type, r.reader.read())
            for r in warc.ArchiveIterator(file, record_types=warc.WarcRecordType.response)
            if r.http_headers.status_code == 200
        ]
    theirs = [html.main_text(body, None) for kind, body in bodies if kind == "text/html"]
    assert [text for text in read(tmp_path)[0] if text.startswith("Page")] == theirs


@pytest.mark.parametrize("suffix", [".warc", ".warc.gz", ".warc.zst"])
@pytest.mark.parametrize("where", ["header", "body", "first bytes"])
def test_an_archive_that_is_cut_off_gives_every_whole_record(tmp_path: Path, suffix: str, where: str) -> None:
    last = packed(RECORDS[-1:], suffix)
    keep = {"header": len(last) // 8, "body": len(last) - 40, "first bytes": 4}[where]
    (tmp_path / f"a{suffix}").write_bytes(packed(RECORDS[:-1], suffix) + last[:keep])
    (tmp_path / "b.txt").write_text("a good file")
    with pytest.raises(InputError, match="cut off") as caught:
        read(tmp_path)
    assert str(caught.value.where).startswith(str(tmp_path / f"a{suffix}")) and "skip" in caught.value.remedy
    if suffix == ".warc":
        assert str(caught.value.where).endswith(": record 8")
        assert f"byte {len(ARCHIVE) - len(RECORDS[-1]):,}" in caught.value.what
    texts, report = read(tmp_path, on_error="skip")
    assert beginnings(texts) == ["Page 1", "纯文本，一个", "Page 2", "a good"]
    assert (report.bad_rows, report.bad_files, report.documents) == (0, 1, 4)


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        (b"this is no archive at all\n" * 10, "no WARC record begins at byte 0"),
        (RECORDS[1] + b"garbage\r\n\r\n" + RECORDS[6], "no WARC record begins at byte"),
        (RECORDS[1] + RECORDS[6].replace(b"Content-Length: ", b"Content-Length: -"), "how long"),
        (RECORDS[1] + b"WARC/1.0\r\n" + b"A: b\r\n" * 20_000, "more than 65,536 bytes"),
        (RECORDS[1] + b"WARC/1.0\r\nA: " + b"b" * 100_000, "cut off|more than"),
    ],
)
def test_what_is_no_archive_is_told_with_its_place(tmp_path: Path, damage: bytes, what: str) -> None:
    (tmp_path / "a.warc").write_bytes(damage)
    with pytest.raises(InputError, match=what) as caught:
        read(tmp_path)
    assert ": record " in str(caught.value.where) and "\n" not in caught.value.line()
    texts, report = read(tmp_path, on_error="skip")
    assert (len(texts), report.bad_files) == (damage.count(b"Page 1"), 1)


def chunked(data: bytes) -> bytes:
    parts = [data[i : i + 100] for i in range(0, len(data), 100)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def raw_deflate(data: bytes) -> bytes:
    deflate = zlib.compressobj(wbits=-15)
    return deflate.compress(data) + deflate.flush()


@pytest.mark.parametrize(
    ("fields", "pack"),
    [
        ("Transfer-Encoding: chunked\r\n", chunked),
        ("Content-Encoding: gzip\r\n", gzip.compress),
        ("Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", lambda data: chunked(gzip.compress(data))),
        ("Content-Encoding: deflate\r\n", zlib.compress),
        ("Content-Encoding: deflate\r\n", raw_deflate),
        ("Content-Encoding: zstd\r\n", zstandard.compress),
        ("Content-Encoding: br\r\n", lambda data: __import__("brotli").compress(data)),
        ("Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", bytes),  # unpacked by the crawler
    ],
)
def test_bodies_are_unpacked(tmp_path: Path, fields: str, pack: Any) -> None:
    (tmp_path / "a.warc").write_bytes(record(pack(web_page(7)), fields=fields))
    assert beginnings(read(tmp_path)[0]) == ["Page 7"]


@pytest.mark.parametrize(
    ("bad", "what"),
    [
        (record(gzip.compress(b" " * (64 << 20)), fields="Content-Encoding: gzip\r\n"), "more than 16,777,216"),
        (record(HOSTILE["nested"].encode()), "nested"),
        (record(b"x", fields="Content-Encoding: lzma9\r\n"), "lzma9"),
        (record(b"\x1f\x8bgarbage", fields="Content-Encoding: gzip\r\n"), "not gzip"),
        (entry(b"garbage", "response", "application/http"), "not HTTP"),
        (record(b" " * (33 << 20)), "more than 33,554,432"),
    ],
)
def test_one_bad_page_does_not_end_an_archive(tmp_path: Path, bad: bytes, what: str) -> None:
    (tmp_path / "a.warc").write_bytes(RECORDS[1] + bad + RECORDS[6])
    with pytest.raises(InputError, match=what) as caught:
        read(tmp_path)
    assert str(caught.value.where) == f"{tmp_path / 'a.warc'}: record 2"
    texts, report = read(tmp_path, on_error="skip")
    assert beginnings(texts) == ["Page 1", "Page 2"]
    assert (report.bad_rows, report.bad_files) == (1, 0)


_TOKEN = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]|[^\W\u3040-\u30ff\u4e00-\u9fff]+")


def f1(found: str, gold: str) -> float:
    """Of tokens as multisets: words, single characters of Chinese and Japanese, without case."""
    one, other = (Counter(_TOKEN.findall(text.lower())) for text in (found, gold))
    shared = (one & other).total()
    return 2 * shared / (one.total() + other.total()) if shared else 0.0


@pytest.mark.parametrize(("extractor", "bound"), [("resiliparse", 0.97), ("trafilatura", 0.945), ("both", 0.972)])
def test_the_main_text_of_real_pages_is_found(
    extractor: html.Extractor, bound: float, shared: Callable[[str], Path]
) -> None:
    """Mean F1 on every fourth of the pages with gold text, measured as 0.978, 0.953 and 0.980; on all of them:
    benchmarks/html_extraction.py."""
    if extractor != "resiliparse":
        pytest.importorskip("trafilatura")
    with zstandard.open(shared("html-articles") / "pages.jsonl.zst", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file][::4]
    scores = [f1(html.main_text(row["html"].encode(), None, extractor), row["text"]) for row in rows]
    assert sum(scores) / len(scores) > bound
