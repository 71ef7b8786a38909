"""Reading: every kind gives its texts back, labels and splits follow the rule, bad input says where."""

from __future__ import annotations

import csv
import errno
import gzip
import io
import json
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.corpus.documents import DOCUMENTS
from assay.corpus.reading import lines, running
from assay.corpus.reading.source import ReadOptions, ReadReport, open_sources
from assay.errors import InputError, WorkError

TEXTS = ["one line", "two\nlines\u2028and a separator", "三国演义：第一回。", 'a "quoted", text; with\tall']


def read(uri: Path | list[Path], **options: Any) -> tuple[list[dict[str, Any]], ReadReport]:
    uris = [str(u) for u in (uri if isinstance(uri, list) else [uri])]
    report = ReadReport()
    sources = open_sources(uris, ReadOptions(**options))
    return [row for batch in sources.batches(report) for row in batch.to_pylist()], report


def jsonl(rows: list[Any]) -> bytes:
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)


def content(kind: str) -> bytes:
    rows = [{"text": text, "id": i} for i, text in enumerate(TEXTS)]
    if kind == "jsonl":
        return jsonl(rows)
    if kind == "json":
        return json.dumps(rows, ensure_ascii=False, indent=1).encode()
    if kind == "csv":
        out = io.StringIO()
        writer = csv.DictWriter(out, ["id", "text"], quoting=csv.QUOTE_ALL)
        writer.writeheader()
        writer.writerows(rows)
        return out.getvalue().encode()
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), sink)
    return sink.getvalue()


@pytest.mark.parametrize("kind", ["jsonl", "json", "csv", "parquet"])
@pytest.mark.parametrize("packing", ["", ".gz", ".zst"])
def test_every_kind_gives_its_texts_back(tmp_path: Path, kind: str, packing: str) -> None:
    data = content(kind)
    packed = {"": data, ".gz": gzip.compress(data), ".zst": zstandard.compress(data)}[packing]
    path = tmp_path / f"tales.{kind}{packing}"
    path.write_bytes(packed)
    rows, report = read(path)
    assert [row["text"] for row in rows] == TEXTS
    assert [row["ordinal"] for row in rows] == [0, 1, 2, 3]
    assert {row["source"] for row in rows} == {"tales"}
    assert len({row["doc_id"] for row in rows}) == 4
    assert report.bytes == sum(len(text.encode()) for text in TEXTS)


def test_the_batches_follow_the_contract(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hello")
    (batch,) = open_sources([str(tmp_path)], ReadOptions()).batches(ReadReport())
    assert batch.schema == DOCUMENTS


def test_json_may_be_one_object_or_objects_side_by_side(tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text('{"text": "only"}')
    (tmp_path / "more.json").write_text('{"text": "first"}\n{"text": "second"}\n')
    assert sorted(row["text"] for row in read(tmp_path)[0]) == ["first", "only", "second"]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(alphabet="ab \n\r\t中文。", max_size=400), max_size=6), st.integers(5, 120))
def test_pieces_concatenate_to_the_original(blocks: list[str], limit: int) -> None:
    made = list(running.pieces(iter(blocks), limit))
    assert "".join(made) == "".join(blocks)
    assert all(0 < len(piece) <= limit for piece in made)
    assert made == list(running.pieces(iter(["".join(blocks)]), limit))  # however the blocks fall


def test_a_long_text_is_cut_at_blank_lines(tmp_path: Path) -> None:
    paragraphs = [f"paragraph {i} " + "x" * 60 + "\n\n" for i in range(40)]
    (tmp_path / "long.txt").write_text("".join(paragraphs))
    rows, _ = read(tmp_path, piece_chars=500)
    assert len(rows) > 1
    assert all(row["text"].startswith("paragraph") for row in rows)
    assert "".join(row["text"] for row in rows) == "".join(paragraphs)


def test_labels_and_splits_of_a_folder(tmp_path: Path) -> None:
    for name in ("news.train.jsonl", "news.valid.jsonl", "train/poems.jsonl", "law/a/b.jsonl", "test.jsonl"):
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jsonl([{"text": name}]))
    rows, _ = read(tmp_path / "root")
    found = {row["text"]: (row["source"], row["split"]) for row in rows}
    assert found == {
        "news.train.jsonl": ("news", "train"),
        "news.valid.jsonl": ("news", "eval"),
        "train/poems.jsonl": ("poems", "train"),
        "law/a/b.jsonl": ("law", None),
        "test.jsonl": ("root", "test"),
    }


def test_a_field_names_the_source_and_another_the_split(tmp_path: Path) -> None:
    rows = [{"text": "a", "domain": "x", "split": "dev"}, {"text": "b", "domain": "y", "split": "fold 1"}]
    (tmp_path / "all.jsonl").write_bytes(jsonl(rows))
    made, _ = read(tmp_path, source_field="domain")
    assert [(row["source"], row["split"]) for row in made] == [("x", "eval"), ("y", None)]


def test_several_uris_are_sources_by_their_own_names(tmp_path: Path) -> None:
    for name in ("en/a.txt", "en/b.txt", "zh/law/a.txt", "zh/news/a.txt", "one.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    rows, _ = read([tmp_path / "en", tmp_path / "zh", tmp_path / "one.txt"])
    assert {row["text"]: row["source"] for row in rows} == {
        "en/a.txt": "en", "en/b.txt": "en", "zh/law/a.txt": "law", "zh/news/a.txt": "news", "one.txt": "one",
    }  # fmt: skip


def test_what_is_no_data_is_listed_with_the_reason(tmp_path: Path) -> None:
    for name in ("a.txt", "README.md", "LICENSE.txt", "picture.png", ".hidden.txt"):
        (tmp_path / name).write_text("some text")
    (tmp_path / "noise.txt").write_bytes(b"\0\1\2" * 100)
    sources = open_sources([str(tmp_path)], ReadOptions())
    assert [file.origin for file in sources.files] == ["a.txt"]
    assert {origin for origin, _ in sources.skipped} == {
        "README.md",
        "LICENSE.txt",
        "picture.png",
        "noise.txt",
    }
    assert all(reason["en"] and reason["zh"] for _, reason in sources.skipped)


def test_many_loose_files_are_one_source(tmp_path: Path) -> None:
    for i in range(100):
        (tmp_path / f"page{i}.txt").write_text(f"page {i}")
    sources = open_sources([str(tmp_path)], ReadOptions())
    assert {file.label for file in sources.files} == {tmp_path.name}
    assert set(sources.notices[0]) == {"en", "zh"}


@pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16", "utf-32"])
def test_byte_order_marks_are_understood(tmp_path: Path, codec: str) -> None:
    (tmp_path / "a.txt").write_text("天地玄黄\nhello\n", encoding=codec)
    (tmp_path / "b.jsonl").write_text('{"text": "天地玄黄"}\n{"text": "second"}\n', encoding=codec)
    assert [row["text"] for row in read(tmp_path)[0]] == ["天地玄黄\nhello\n", "天地玄黄", "second"]


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.csv", "a.json"])
@pytest.mark.parametrize("encoding", ["utf-8", "big5", None])
def test_a_wrong_encoding_is_placed_and_the_right_one_named(tmp_path: Path, name: str, encoding: str | None) -> None:
    """Where it was given; or cannot be detected, since the text is too short."""
    words = "人民" if encoding is None else "人民日报社论"
    body = {"a.txt": f"one\n{words}\n", "a.csv": f"text\n{words}\n"}
    data = body.get(name, f'{{"text": "one"}}\n{{"text": "{words}"}}\n').encode("gb18030")
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError) as caught:
        read(tmp_path, encoding=encoding)
    assert caught.value.where == f"{tmp_path / name}:2"
    if encoding != "big5":
        assert f"byte {next(i for i, b in enumerate(data) if b > 127)} is not utf-8" in caught.value.what
    else:
        assert "is not big5" in caught.value.what
    assert "--encoding gb18030" in caught.value.remedy
    rows, _ = read(tmp_path, encoding="gb18030")
    assert words in rows[-1]["text"]


def not_utf8() -> bytes:
    """A Parquet file whose second text claims to be a string and is not UTF-8."""
    offsets, data = pa.array([0, 4, 6, 10], pa.int32()).buffers()[1], pa.py_buffer(b"fine\xff\xfegood")
    sink = io.BytesIO()
    pq.write_table(pa.table({"text": pa.StringArray.from_buffers(3, offsets, data)}), sink)
    return sink.getvalue()


def broken(tmp_path: Path, name: str) -> Path:
    """One file that cannot be read, by its kind of damage."""
    text = jsonl([{"text": f"document {i} " * 50} for i in range(300)])
    data = {
        "line.jsonl": b'{"text": "fine"}\n{"text": "cut\n',
        "number.jsonl": b'{"text": "fine"}\n{"text": 7}\n',
        "list.jsonl": b'{"text": "fine"}\n[1]\n',
        "nothing.csv": b"id,label\n1,x\n",
        "array.json": b'[{"text": "fine"}, {"text": "cut"',
        "half.parquet": content("parquet")[:-40],
        "half.jsonl.gz": gzip.compress(text)[:-200],
        "half.jsonl.zst": zstandard.compress(text)[:-200],
        "garbage.jsonl.zst": b"this is not zstd at all",
        "field.jsonl": b'{"txt": "fine"}\n',
        "columns.csv": b"id,text\n1,fine\n2,a,b\n",
        "surrogate.jsonl": b'{"text": "fine"}\n{"text": "\\ud800"}\n',
        "digits.jsonl": b'{"text": "fine"}\n{"text": "a", "n": ' + b"1" * 5000 + b"}\n",
        "deep.jsonl": b'{"text": "fine"}\n{"text": "a", "n": ' + b"[" * 100_000 + b"\n",
        "digits.json": b'[{"text": "fine"},\n{"text": "a", "n": ' + b"1" * 5000 + b"}]",
        "deep.json": b'[{"text": "fine"},\n{"text": "a", "n": ' + b"[" * 100_000,
        "after.json": b'[{"text": "fine"}]\nand more',
        "returns.csv": b"id,text\r1,fine\r2,more\r",
        "quoted.csv": b'id,text\n1,fine\n2,"a"b\n',
        "bytes.parquet": not_utf8(),
    }[name]
    (tmp_path / name).write_bytes(data)
    return tmp_path / name


BROKEN = {
    "line.jsonl": (":2:", "broken JSON"),
    "number.jsonl": (":2", "not a string"),
    "list.jsonl": (":2", "not an object"),
    "nothing.csv": (":2", "fields: id, label"),
    "array.json": (":1", "broken JSON"),
    "half.parquet": ("", "Parquet"),
    "half.jsonl.gz": ("", "cut off or damaged"),
    "half.jsonl.zst": ("", "cut off or damaged"),
    "garbage.jsonl.zst": ("", "cut off or damaged"),
    "field.jsonl": (":1", "fields: txt"),
    "columns.csv": (":3", "3 columns"),
    "surrogate.jsonl": (":2", "surrogate"),
    "digits.jsonl": (":2", "4,300 digits"),
    "deep.jsonl": (":2", "nested too deeply"),
    "digits.json": (":2", "4,300 digits"),
    "deep.json": (":2", "nested too deeply"),
    "after.json": (":2", "broken JSON"),
    "returns.csv": (":1", "broken CSV header"),
    "quoted.csv": (":3", "broken CSV"),
    "bytes.parquet": (": row 2", "cannot be read"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_bad_input_is_one_line_with_place_and_remedy(tmp_path: Path, name: str) -> None:
    path = broken(tmp_path, name)
    place, what = BROKEN[name]
    with pytest.raises(InputError) as caught:
        read(path)
    error = caught.value
    assert error.exit_code == 2
    assert str(error.where).startswith(f"{path}{place}")
    assert what in error.what
    assert error.remedy
    assert "\n" not in error.line()


@pytest.mark.parametrize("name", BROKEN)
def test_bad_input_can_be_skipped_and_is_counted(tmp_path: Path, name: str) -> None:
    broken(tmp_path, name)
    (tmp_path / "fine.txt").write_text("a good file")
    rows, report = read(tmp_path, on_error="skip")
    assert "a good file" in [row["text"] for row in rows]
    assert report.bad_rows + report.bad_files == 1
    (place,) = report.places
    assert place.startswith(f"{tmp_path / name}{BROKEN[name][0]}") and BROKEN[name][1] in place
    assert "->" not in place and "--on-error" not in place  # it was given


ROWS = [f'{i},"row {i}, of a table"' for i in range(10)]
DAMAGED = {
    "open": ('3,"row 3', ":5", ""),
    "open, of several lines": ('3,"row 3\nwith more\nand more', ":5", "3 lines are lost"),
    "a stray quote": ('3,"row" 3"', ":5", "broken CSV"),
    "a stray quote, of several lines": ('3,"row\nyes, sure\nend"s', ":5", "3 lines are lost"),
    "columns": ("3,a,b", ":5", "3 columns"),
    "columns, of several lines": ('3,"a\nb",c', ":5", "2 lines are lost"),
    "a byte": ('3,"row \udcff3"', ":5", "is not utf-8"),
    "a byte for a quote": ("3,\udcffrow 3, of", ":5", "is not utf-8"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_broken_row_of_a_table_takes_no_other_with_it(tmp_path: Path, name: str) -> None:
    row, place, what = DAMAGED[name]
    table = ["id,text", *ROWS[:3], row, *ROWS[4:], '10,"of\nseveral lines"']
    (tmp_path / "a.csv").write_text("\n".join(table) + "\n", encoding="utf-8", errors="surrogateescape")
    with pytest.raises(InputError) as caught:
        read(tmp_path)
    assert caught.value.where == f"{tmp_path / 'a.csv'}{place}"
    rows, report = read(tmp_path, on_error="skip")
    assert [row["text"] for row in rows] == [
        *(f"row {i}, of a table" for i in range(10) if i != 3),
        "of\nseveral lines",
    ]
    assert (report.bad_rows, report.bad_files) == (1, 0)
    assert what in report.places[0]


def test_a_quote_that_is_open_to_the_end_costs_its_line(tmp_path: Path) -> None:
    plain = [f"{i},row {i}" for i in range(1000)]
    plain[500] = '500,"row 500'
    (tmp_path / "a.csv").write_text("id,text\n" + "\n".join(plain) + "\n")
    rows, report = read(tmp_path, on_error="skip")
    assert [row["text"] for row in rows] == [f"row {i}" for i in range(1000) if i != 500]
    assert (report.bad_rows, report.bad_files) == (1, 0)
    assert report.places[0].startswith(f"{tmp_path / 'a.csv'}:502: broken CSV: a quote is not closed")


def test_rows_that_are_lost_for_time_are_counted(tmp_path: Path) -> None:
    """Every other line opens a quote that the file does not close: to read the rest again each time takes a square."""
    n = 40_000
    (tmp_path / "a.csv").write_text("id,text\n" + '1,row\na","\n' * (n // 2))
    began = time.process_time()
    rows, report = read(tmp_path, on_error="skip")
    assert (len(rows) + report.bad_rows, report.bad_files) == (n, 0) and len(rows) > 2
    assert time.process_time() - began < 10


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "big5", "shift_jis", "utf-16"])
@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.csv", "a.json"])
def test_bytes_that_are_not_in_the_encoding_cost_a_row(tmp_path: Path, name: str, encoding: str) -> None:
    lines = [f"{i} 日本人民的文學作品" for i in range(9)]
    lines[4] = "4 日本☆人民的文學作品"
    head, foot = {"a.csv": ("text\n", ""), "a.json": ("[", '"end"]')}.get(name, ("", ""))
    form = {"a.jsonl": '{{"text": "{}"}}', "a.json": '{{"text": "{}"}},'}.get(name, "{}")
    data = (head + "\n".join(form.format(line) for line in lines) + "\n" + foot).encode(encoding)
    bad = b"\x00\xdc" if encoding == "utf-16" else b"\xff\xff"  # half of a surrogate pair
    data = bad.join(data.split("☆".encode(encoding).removeprefix(b"\xff\xfe")))
    (tmp_path / name).write_bytes(data)
    rows, report = read(tmp_path, on_error="skip", encoding=encoding)
    texts = [line for row in rows for line in row["text"].splitlines()]
    kept = [line for i, line in enumerate(lines) if i != 4]
    assert texts == kept
    assert (report.bad_rows, report.bad_files) == (1 + (name == "a.json"), 0)  # "end" is no object


def test_only_the_bad_row_of_a_parquet_file_is_skipped(tmp_path: Path) -> None:
    rows, report = read(broken(tmp_path, "bytes.parquet"), on_error="skip")
    assert [row["text"] for row in rows] == ["fine", "good"]
    assert (report.bad_rows, report.bad_files) == (1, 0)


def test_a_source_field_that_names_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    for value, what in ((None, "null"), ("", "empty"), ("\ud800", "surrogate"), ([1], "list")):
        path.write_text(json.dumps({"text": "x", "domain": value}) + "\n" + '{"text": "y", "domain": "d"}\n')
        with pytest.raises(InputError, match=what) as caught:
            read(path, source_field="domain")
        assert "did you mean" not in caught.value.remedy
        rows, report = read(path, source_field="domain", on_error="skip")
        assert ([row["source"] for row in rows], report.bad_rows) == (["d"], 1)
    with pytest.raises(InputError, match="did you mean --source-field domain"):
        read(path, source_field="domian")
    pq.write_table(pa.table({"text": ["x"], "domain": ["d"], "other": [1]}), tmp_path / "b.parquet")
    with pytest.raises(InputError, match="fields: text, domain, other -> did you mean --source-field domain"):
        read(tmp_path / "b.parquet", source_field="domian")


@pytest.mark.parametrize("encoding", ["gb18030", "latin-1", "utf-16-le", "utf-16", "utf-32-be"])
def test_utf8_under_another_name_is_told(tmp_path: Path, encoding: str) -> None:
    """Read as what was declared it would be another text, or an error whose remedy names a third encoding."""
    (tmp_path / "a.txt").write_text("天地玄黄，宇宙洪荒。\n" * 30, encoding="utf-8")
    with pytest.raises(InputError, match=rf"a\.txt:1: is UTF-8, not {encoding} -> leave --encoding out"):
        read(tmp_path, encoding=encoding)
    (tmp_path / "a.txt").write_text("plain words\n" * 30, encoding="ascii")
    if encoding.startswith("utf"):
        with pytest.raises(InputError, match="is UTF-8"):
            read(tmp_path, encoding=encoding)
    else:
        assert len(read(tmp_path, encoding=encoding)[0]) == 1
    for right in ("gb18030", "utf-16-le"):
        (tmp_path / "a.txt").write_bytes(("天地玄黄，宇宙洪荒。\n" * 30).encode(right))
        assert "天地玄黄" in read(tmp_path, encoding=right)[0][0]["text"]


def test_wide_encodings_without_a_byte_order_are_told(tmp_path: Path) -> None:
    for codec in ("utf-16", "utf-32"):
        (tmp_path / "a.txt").write_text("words", encoding=f"{codec}-le")
        with pytest.raises(InputError, match=f"{codec}-le") as caught:
            read(tmp_path, encoding=codec)
        assert caught.value.where == f"{tmp_path / 'a.txt'}:1"


def test_everything_in_a_json_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('[{"text": "1"}, {"text": "2"}]\n[]\n[{"text": "3"}]{"text": "4"}\n')
    assert [row["text"] for row in read(tmp_path)[0]] == ["1", "2", "3", "4"]


def test_a_line_that_is_too_long_is_never_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "LARGEST", 3 << 20)
    good = '{"text": "good"}\n'
    with (tmp_path / "a.jsonl").open("w") as file:
        file.write(good + '{"text": "')
        for _ in range(64):
            file.write("x" * (1 << 20))
        file.write('"}\n' + good + '{"text": \n')
    with pytest.raises(InputError, match="more than 3,145,728") as caught:
        read(tmp_path)
    assert caught.value.where == f"{tmp_path / 'a.jsonl'}:2" and caught.value.remedy
    tracemalloc.start()
    rows, report = read(tmp_path, on_error="skip")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [row["text"] for row in rows] == ["good", "good"]
    assert report.bad_rows == 2 and ":4:" in report.places[1]
    assert peak < 24 << 20
    (tmp_path / "a.jsonl").rename(tmp_path / "a.csv")
    with pytest.raises(InputError, match="more than 3,145,728"):
        read(tmp_path / "a.csv")


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=30).map(lambda b: b.replace(b"\0", b"\n")), max_size=8), st.integers(0, 12))
def test_lines_are_those_of_split_however_the_blocks_fall(blocks: list[bytes], longest: int) -> None:
    whole = b"".join(blocks).split(b"\n")
    expected = [line if len(line) <= longest else len(line) for line in (whole if whole[-1] else whole[:-1])]
    assert list(lines.split(iter(blocks), longest)) == expected


@pytest.mark.parametrize("kind", ["jsonl", "json", "csv", "parquet", "txt"])
def test_a_long_text_is_cut_in_every_kind_of_file(tmp_path: Path, kind: str) -> None:
    long = "\n\n".join("same words in every paragraph " * 5 for _ in range(30))
    if kind == "parquet":
        pq.write_table(pa.table({"text": [long, "short"]}), tmp_path / "a.parquet")
    else:
        body = {"txt": long, "json": json.dumps([{"text": long}, {"text": "short"}])}
        body["jsonl"] = "".join(json.dumps({"text": text}) + "\n" for text in (long, "short"))
        body["csv"] = f'text\n"{long}"\nshort\n'
        (tmp_path / f"a.{kind}").write_text(body[kind])
    rows, _ = read(tmp_path, piece_chars=500)
    pieces = [row for row in rows if row["text"] != "short"]
    assert "".join(row["text"] for row in pieces) == long
    assert all(len(row["text"]) <= 500 for row in pieces)
    assert [row["ordinal"] for row in rows] == list(range(len(rows)))
    assert len({row["doc_id"] for row in rows}) == len(rows)


@pytest.mark.parametrize("packing", ["", ".gz"])
def test_progress_through_a_parquet_file(tmp_path: Path, packing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assay.corpus.documents.BATCH_BYTES", 2000)
    path = tmp_path / f"a.parquet{packing}"
    sink = io.BytesIO()
    pq.write_table(pa.table({"text": [f"text {i} " * 30 for i in range(400)]}), sink, row_group_size=40)
    path.write_bytes(gzip.compress(sink.getvalue()) if packing else sink.getvalue())
    told: list[float] = []
    for _ in open_sources([str(path)], ReadOptions()).batches(ReadReport(), told.append):
        pass
    assert told == sorted(told)
    assert len({round(done / path.stat().st_size, 3) for done in told}) >= 10
    assert told[-1] == path.stat().st_size


def test_a_disk_that_is_full_is_no_bad_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.parquet.gz").write_bytes(gzip.compress(content("parquet")))

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("shutil.copyfileobj", full)
    for on_error in ("stop", "skip"):
        with pytest.raises(WorkError, match="the disk is full"):
            read(tmp_path, on_error=on_error)


def test_an_empty_folder_and_one_of_binaries_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="empty"):
        read(tmp_path)
    (tmp_path / "a.bin").write_bytes(b"\0" * 100)
    (tmp_path / "b.txt").write_bytes(b"\0\xff" * 100)
    with pytest.raises(InputError, match="binary data"):
        read(tmp_path)
    with pytest.raises(InputError, match="not a kind"):
        read(tmp_path / "a.bin")


def test_a_path_that_is_not_there_names_its_neighbour(tmp_path: Path) -> None:
    (tmp_path / "news.jsonl").write_bytes(jsonl([{"text": "x"}]))
    with pytest.raises(InputError, match=r"news\.jsonl"):
        read(tmp_path / "new.jsonl")


def test_empty_documents_are_counted(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(jsonl([{"text": t} for t in ("", " \n\u3000", "x")]))
    rows, report = read(tmp_path)
    assert len(rows) == 1
    assert report.empty == 2


def test_a_file_that_vanishes_or_changes_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("before")
    sources = open_sources([str(tmp_path)], ReadOptions())
    path.write_text("after, and longer")
    with pytest.raises(InputError, match="changed"):
        sources.fingerprint()
    path.unlink()
    with pytest.raises(InputError, match="vanished"):
        list(sources.batches(ReadReport()))


def test_the_fingerprint_follows_content_and_options_not_time(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("content")
    first = open_sources([str(tmp_path)], ReadOptions()).fingerprint()
    time.sleep(0.01)
    path.write_text("content")
    assert open_sources([str(tmp_path)], ReadOptions()).fingerprint() == first
    assert open_sources([str(tmp_path)], ReadOptions(piece_chars=500)).fingerprint() != first
    path.write_text("Content")
    assert open_sources([str(tmp_path)], ReadOptions()).fingerprint() != first


@pytest.mark.parametrize("kind", ["txt", "jsonl", "json"])
def test_memory_does_not_grow_with_the_file(tmp_path: Path, kind: str) -> None:
    line = "the quick brown fox 敏捷的棕色狐狸 jumps over the lazy dog\n" * 20
    path = tmp_path / f"big.{kind}"
    size = 48 << 20
    with path.open("w", encoding="utf-8") as file:
        row = line if kind == "txt" else json.dumps({"text": line}) + ("\n" if kind == "jsonl" else ",")
        file.write("[" if kind == "json" else "")
        file.write(row * (size // len(row.encode())))
        file.write('{"text": "end"}]' if kind == "json" else "")
    tracemalloc.start()
    before = pa.total_allocated_bytes()
    most = total = 0
    for batch in open_sources([str(path)], ReadOptions()).batches(ReadReport()):
        total += sum(batch.column("n_bytes").to_pylist())
        most = max(most, pa.total_allocated_bytes() - before)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert total > size * 0.6
    assert peak < 32 << 20
    assert most < 32 << 20
