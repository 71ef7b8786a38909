"""What nobody means to read, and somebody will name: cut off, endless, hostile. One line, bounded time and memory."""

from __future__ import annotations

import contextlib
import gzip
import json
import random
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from assay.corpus.cleaning import personal
from assay.corpus.documents import batch as documents
from assay.corpus.reading import html, warc
from assay.corpus.reading.source import ReadOptions, ReadReport, open_sources
from assay.corpus.signals import language, scoring
from assay.errors import InputError

MEASURE = """import resource, sys
from assay.corpus.reading.source import ReadOptions, ReadReport, open_sources
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
total = 0
for batch in open_sources([sys.argv[1]], ReadOptions()).batches(ReadReport()):
    total += sum(batch.column("n_bytes").to_pylist())
    if total > int(sys.argv[2]):
        break
print(total, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10)"""


def read(path: Path, **options: Any) -> tuple[list[str], ReadReport]:
    report = ReadReport()
    sources = open_sources([str(path)], ReadOptions(**options))
    return [text for batch in sources.batches(report) for text in batch.column("text").to_pylist()], report


def measured(path: Path, most: int = 1 << 40) -> tuple[int, int]:
    """Bytes of text, up to `most`, and by how much the memory of a process of its own grew."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path), str(most)], capture_output=True, text=True, check=True
    )
    total, memory = map(int, done.stdout.split())
    return total, memory


# ---- cut off


LINES = [b"".join(b'{"text": "document %d of part %d"}\n' % (i, part) for i in range(40)) for part in range(3)]


@pytest.mark.parametrize("suffix", [".jsonl.gz", ".jsonl.zst", ".txt.gz", ".md.zst"])
def test_wherever_a_packed_file_is_cut_it_is_told(tmp_path: Path, suffix: str) -> None:
    """Of several members, at every place but their borders, where nothing tells that more should come."""
    pack: Callable[[bytes], bytes] = gzip.compress if suffix.endswith("gz") else zstandard.compress
    members = [pack(part) for part in LINES]
    whole, borders = b"".join(members), {0, len(members[0]), len(members[0] + members[1])}
    (tmp_path / "b.txt").write_text("a good file")
    for cut in sorted({*range(1, len(whole), 29), len(members[0]) + 3, len(whole) - 1} - borders):
        (tmp_path / f"a{suffix}").write_bytes(whole[:cut])
        with pytest.raises(InputError, match="cut off or damaged"):
            read(tmp_path)
        texts, report = read(tmp_path, on_error="skip")
        assert (report.bad_files, report.bad_rows, texts[-1]) == (1, 0, "a good file")
    (tmp_path / f"a{suffix}").write_bytes(whole)
    assert len(read(tmp_path)[0]) == (121 if "jsonl" in suffix else 2)


@pytest.mark.parametrize("suffix", ["jsonl.gz", "jsonl.zst", "csv.gz", "json.zst", "txt.gz"])
def test_all_whole_rows_before_a_cut_are_read(tmp_path: Path, suffix: str) -> None:
    """Those of the last megabyte too: as many as can be unpacked of what is there."""
    kind = suffix.split(".", maxsplit=1)[0]
    form = {"jsonl": b'{"text": "text %d %x"}\n', "json": b'{"text": "text %d %x"}\n', "csv": b"text %d %x\n"}
    draw = random.Random(3)
    rows = [form.get(kind, b"text %d %x\n") % (i, draw.getrandbits(200)) for i in range(20_000)]
    whole = b"text\n" * (kind == "csv") + b"".join(rows)
    packed = gzip.compress(whole) if suffix.endswith("gz") else zstandard.compress(whole)
    cut = packed[: len(packed) * 9 // 10]
    unpack: Any = zlib.decompressobj(31) if suffix.endswith("gz") else zstandard.ZstdDecompressor().decompressobj()
    before = unpack.decompress(cut).count(b"\n") - (kind == "csv")
    (tmp_path / f"a.{suffix}").write_bytes(cut)
    texts, report = read(tmp_path / f"a.{suffix}", on_error="skip")
    found = "".join(texts).count("\n") if kind == "txt" else len(texts)
    assert before > 15_000 and found in (before, before + 1)  # of .json, a last value whose line has no end
    assert (report.bad_files, report.bad_rows) == (1, 0)


def test_wherever_a_parquet_file_is_cut_it_is_told(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": [f"text {i}" for i in range(50)]}), tmp_path / "whole.parquet", row_group_size=10)
    whole = (tmp_path / "whole.parquet").read_bytes()
    (tmp_path / "whole.parquet").unlink()
    (tmp_path / "b.txt").write_text("a good file")
    for cut in range(1, len(whole), 61):
        (tmp_path / "a.parquet").write_bytes(whole[:cut])
        with pytest.raises(InputError, match="not a whole Parquet file"):
            read(tmp_path)
        texts, report = read(tmp_path, on_error="skip")
        assert (texts, report.bad_files) == (["a good file"], 1)


def test_a_parquet_file_with_a_flipped_byte_is_read_or_told(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": [f"text {i}" * 9 for i in range(50)]}), path, compression="zstd")
    whole = path.read_bytes()
    for at in range(0, len(whole), 23):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x5A]) + whole[at + 1 :])
        texts, report = read(path, on_error="skip")
        assert len(texts) + report.bad_rows == 50 or report.bad_files == 1


# ---- characters


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.csv", "a.json", "a.md"])
def test_bytes_that_are_no_utf_8_are_counted_exactly(tmp_path: Path, name: str) -> None:
    good = {"jsonl": b'{"text": "fine"}\n', "csv": b"text\nfine\n", "json": b'[{"text": "fine"},'}
    bad = {"jsonl": b'{"text": "\xff\xfe\xfa"}\n', "csv": b"\xff\xfe\xfa\n", "json": b'{"text": "\xff\xfe\xfa"}]'}
    kind = name.split(".")[1]
    (tmp_path / name).write_bytes(good.get(kind, b"fine\n") + bad.get(kind, b"\xff\xfe\xfa\n"))
    (tmp_path / "b.txt").write_text("一篇好文")
    with pytest.raises(InputError, match="is not utf-8") as caught:
        read(tmp_path)
    assert str(caught.value.where).startswith(str(tmp_path / name))
    texts, report = read(tmp_path, on_error="skip")
    assert [text.strip() for text in texts] == ["fine", "一篇好文"]
    assert (report.bad_rows, report.bad_files) == (1, 0)


def test_nuls_are_binary_at_a_files_beginning_and_characters_of_a_row(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"text\0" * 10)
    (tmp_path / "b.jsonl").write_text(
        json.dumps({"text": "be\0fore, 前\0后"}) + "\n" + json.dumps({"text": "\0"}) + "\n"
    )
    sources = open_sources([str(tmp_path)], ReadOptions())
    assert [origin for origin, _ in sources.skipped] == ["a.txt"]
    (batch,) = sources.batches(ReadReport())
    assert batch.column("text").to_pylist() == ["be\0fore, 前\0后", "\0"]
    marked = scoring.signals(language.annotate(batch))
    assert marked.column("n_chars").to_pylist() == [12, 1]


# ---- large


@pytest.mark.parametrize("name", ["line.txt", "zh.txt", "line.jsonl"])
def test_a_line_of_100_megabytes(tmp_path: Path, name: str) -> None:
    """Running text passes through; a row is held: as it stands, as text, and as what is cut from it."""
    size = 100_000_000
    text = "天" * (size // 3) if name == "zh.txt" else "x" * size
    (tmp_path / name).write_text(json.dumps({"text": text}) if name.endswith("jsonl") else text, encoding="utf-8")
    total, memory = measured(tmp_path / name)
    assert total == len(text.encode())
    assert memory < (6 * size if name.endswith("jsonl") else 250_000_000)


def bomb(path: Path, rows: int, size: int) -> Path:
    """A text that is written once, and stands in all rows."""
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), ["y" * size])
    pq.write_table(pa.table({"text": texts}), path, compression="zstd", store_schema=False)
    return path


def test_a_parquet_file_that_declares_terabytes_is_read_in_bounded_memory(tmp_path: Path) -> None:
    path = bomb(tmp_path / "a.parquet", 1_000_000, 1 << 20)
    assert path.stat().st_size < 10_000
    total, memory = measured(path, 50_000_000)
    assert total > 50_000_000
    assert memory < 700_000_000


def test_a_row_that_is_too_large_is_told_and_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from assay.corpus.reading import lines

    monkeypatch.setattr(lines, "LARGEST", 1000)
    pq.write_table(pa.table({"text": ["a" * 1000, "长" * 400, None, "b"]}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match="a row of 1,200 bytes; more than 1,000") as caught:
        read(tmp_path)
    assert caught.value.where == f"{tmp_path / 'a.parquet'}: row 2"
    texts, report = read(tmp_path, on_error="skip")
    assert (texts, report.bad_rows) == (["a" * 1000, "b"], 2)


def test_an_attribute_of_50_megabytes_is_refused_before_it_is_held(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text('<p title="' + "x" * 50_000_000 + '">text</p>')
    with pytest.raises(InputError, match="more than 16,777,216"):
        read(tmp_path)


def test_a_packed_packed_file_is_not_opened(tmp_path: Path) -> None:
    for name in ("a.jsonl.gz.gz", "b.warc.gz.zst", "c.zip", "d.tar.gz"):
        (tmp_path / name).write_bytes(gzip.compress(gzip.compress(b'{"text": "x"}')))
    (tmp_path / "e.txt").write_text("a good file")
    sources = open_sources([str(tmp_path)], ReadOptions())
    assert [file.origin for file in sources.files] == ["e.txt"] and len(sources.skipped) == 4


@pytest.mark.slow
def test_a_hundred_thousand_files(tmp_path: Path) -> None:
    """Time and memory a file, from two sizes: what a million would take is ten times that."""
    taken = []
    for n in (20_000, 100_000):
        root = tmp_path / str(n)
        for i in range(n):
            if i % 1000 == 0:
                (root / f"s{i // 10_000}" / f"{i // 1000}").mkdir(parents=True)
            (root / f"s{i // 10_000}" / f"{i // 1000}" / f"{i}.txt").write_text(f"text {i}")
        began = time.process_time()
        sources = open_sources([str(root)], ReadOptions())
        listed = time.process_time() - began
        sources.fingerprint()
        texts = sum(batch.num_rows for batch in sources.batches(ReadReport()))
        taken.append((time.process_time() - began) / n)
        print(f"{n} files: {listed / n * 1e6:.0f} µs to list, {taken[-1] * 1e6:.0f} µs in all, each")
        assert texts == n
    assert taken[1] < 2 * taken[0]


# ---- time


def seconds(work: Callable[[Any], Any], text: Any) -> float:
    """CPU seconds, the least of three."""
    least = float("inf")
    for _ in range(3):
        began = time.process_time()
        work(text)
        least = min(least, time.process_time() - began)
    return least


def is_linear(work: Callable[[Any], Any], unit: Any, size: int) -> bool:
    """Whether four times the text takes about four times as long: what is not linear takes sixteen."""
    once = seconds(work, unit * (size // len(unit)))
    return seconds(work, unit * (4 * size // len(unit))) < 9 * once + 0.05


def visible(body: str) -> None:
    """Read as a page and as a chapter; whatever is refused is refused in linear time, too."""
    page = ("<p>Some words that are long enough to stay.</p>" + body).encode()
    with contextlib.suppress(html.Unreadable):
        html.main_text(page, None)
    with contextlib.suppress(html.Unreadable):
        html.visible_text(page, None, xhtml=True)


UNITS = ["<", "< ", ">", "&", "&lt;", "<pre>a</pre>", "<a>", "<a href=x>y</a>", "<br>\n", "<a/>", "<a ", '<p a="',
         "<p a='x\"", "<!-- ", "<script>", "<![CDATA[", "<li>x", "<b>x</b>", "<meta charset=", "</p>", "= ", " ",
         "\n \n", "天", "\0"]  # fmt: skip


@pytest.mark.parametrize("unit", UNITS)
def test_pages_take_linear_time_whatever_they_hold(unit: str) -> None:
    assert is_linear(visible, unit, 10_000)


def test_a_charset_far_behind_its_name_takes_linear_time() -> None:
    assert is_linear(lambda gap: warc._charset(f"text/html; charset={gap}"), " ", 10_000)
    assert seconds(lambda unit: html._META.search(unit * 290 + b" " * 3000, 0, 4096), b"<meta charset=") < 0.05


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_an_archive_of_many_small_records_takes_linear_time(tmp_path: Path, suffix: str) -> None:
    """Packed, a million empty records are some hundred bytes, and come in one block."""
    record = b"WARC/1.0\r\nWARC-Type: warcinfo\r\nContent-Length: 0\r\n\r\n\r\n\r\n"
    pack: Any = {"": bytes, ".gz": gzip.compress, ".zst": zstandard.compress}[suffix]

    def work(data: bytes) -> None:
        (tmp_path / f"a.warc{suffix}").write_bytes(pack(data))
        assert read(tmp_path)[0] == []

    assert is_linear(work, record, 4_000 * len(record))


def test_an_answer_with_an_endless_header_is_refused(tmp_path: Path) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nX: y\r\n" + b" z\r\n" * 1_000_000 + b"\r\n<p>text</p>"
    fields = f"WARC-Type: response\r\nContent-Type: application/http\r\nContent-Length: {len(head)}\r\n"
    (tmp_path / "a.warc").write_bytes(b"WARC/1.0\r\n" + fields.encode() + b"\r\n" + head + b"\r\n\r\n")
    began = time.process_time()
    with pytest.raises(InputError, match="header of the answer has more than 65,536 bytes"):
        read(tmp_path)
    assert time.process_time() - began < 5


TEXTS = ["a", "。", " ", "\n", "a@", "a. ", "1.", "'", "http://a.b/", "((", "...", "-", "天地", "{}\n", "# ", "\u3000",
         "a b c d e f g h i j ", "👍🏽", "e\u0301", "13812345678 ", "sk-", "2001:", "eyJa.", "微信 "]  # fmt: skip


@pytest.mark.parametrize("unit", TEXTS)
def test_signals_and_searches_take_linear_time_whatever_a_text_holds(unit: str) -> None:
    def score(text: str) -> None:
        scoring.signals(language.annotate(documents([text], ["s"], ["o"], [0], [None])))

    assert is_linear(score, unit, 20_000)
    assert is_linear(personal.find, unit, 20_000)
