"""Tables, lines side by side and columns: the same rows from every packing, and one clear line for what is wrong."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from task_files import fields, lines_of, read, refused, written

from assay.errors import InputError
from assay.tasks.reading import source
from assay.tasks.reading.rows import renamed

TABLE = [
    {"text": "a fine film", "label": "1"},
    {"text": 'he said "no", twice', "label": "0"},
    {"text": "房间很干净，位置也好", "label": "1"},
    {"text": "line\u2028separator", "label": "0"},
]
BMES = "中 B-CONT\n国 M-CONT\n籍 E-CONT\n， O\n\n高 B-NAME\n勇 E-NAME\n"
CONLL = """-DOCSTART- -X- -X- O

EU NNP B-NP B-ORG
rejects VBZ B-VP O
# SYM O O

Peter NNP B-NP B-PER
"""
CONLLU = """# sent_id = 1
# text = Vámonos al mar
1-2\tVámonos\t_\t_\t_\t_\t_\t_\t_\t_
1\tVamos\tir\tVERB\t_\t_\t0\troot\t_\t_
2\tnos\tnosotros\tPRON\t_\t_\t1\tobj\t_\t_
2.1\tx\t_\t_\t_\t_\t_\t_\t_\t_
3\tmar\tmar\tNOUN\t_\t_\t1\tobl\t_\t_

"""


def packed_tables() -> dict[str, bytes]:
    frame = pl.DataFrame(TABLE)
    sink = io.BytesIO()
    frame.write_parquet(sink)
    crlf = "".join(line + "\r\n" for line in lines_of(TABLE).splitlines(keepends=False))
    assert crlf.count("\r\n") > len(TABLE)  # splitlines cuts at U+2028, which is why the reader does not use it
    return {
        "t.jsonl": lines_of(TABLE).encode(),
        "t.jsonl.gz": lines_of(TABLE).encode(),
        "t.jsonl.zst": lines_of(TABLE).encode(),
        "crlf.jsonl": lines_of(TABLE).replace("\n", "\r\n").encode(),
        "bom.jsonl": b"\xef\xbb\xbf" + lines_of(TABLE).encode(),
        "wide.jsonl": lines_of(TABLE).encode("utf-16"),
        "lines.json": lines_of(TABLE).encode(),
        "array.json": ("[" + ",\n".join(lines_of(TABLE).strip().split("\n")) + "]").encode(),
        "under.json": ('{"data": [' + ",".join(lines_of(TABLE).strip().split("\n")) + "]}").encode(),
        "t.csv": frame.write_csv().encode(),
        "t.tsv": frame.write_csv(separator="\t").encode(),
        "plain.tsv.gz": ("text\tlabel\n" + "".join(f"{row['text']}\t{row['label']}\n" for row in TABLE)).encode(),
        "t.parquet": sink.getvalue(),
    }  # fmt: skip


@pytest.mark.parametrize("name", packed_tables())
def test_a_table_is_the_same_however_it_is_packed(name: str, tmp_path: Path) -> None:
    plain = read(tmp_path / "plain.jsonl", TABLE)
    rows = read(tmp_path / name, packed_tables()[name])
    assert fields(rows) == TABLE and rows.format == "table"
    assert rows.fingerprint == plain.fingerprint and not rows.skipped


def test_places_count_from_one(tmp_path: Path) -> None:
    where = [row.where.removeprefix(str(tmp_path)) for row in read(tmp_path / "t.jsonl", "\n" + lines_of(TABLE[:2]))]
    assert where == ["/t.jsonl:2", "/t.jsonl:3"]
    table = packed_tables()
    assert read(tmp_path / "t.csv", table["t.csv"])[0].where.endswith("t.csv:2")
    assert read(tmp_path / "t.parquet", table["t.parquet"])[1].where.endswith("t.parquet: row 2")


def test_chinese_of_another_encoding(tmp_path: Path) -> None:
    rows = [{"text": "酒店的早餐非常丰富，服务员也很热情", "label": 1}] * 3
    assert fields(read(tmp_path / "gb.jsonl", lines_of(rows).encode("gb18030"))) == rows
    text = "高 B-NAME\n勇 E-NAME\n： O\n中 B-CONT\n国 M-CONT\n国 M-CONT\n籍 E-CONT\n\n"
    rows_of = read(tmp_path / "gb.bmes", (text * 9).encode("gb18030"))
    assert [row.fields["tokens"] for row in rows_of] == [list("高勇：中国国籍")] * 9


def test_a_fingerprint_is_of_what_the_rows_say(tmp_path: Path) -> None:
    one = read(tmp_path / "a.jsonl", TABLE).fingerprint
    assert len(one) == 32 and read(tmp_path / "b.jsonl", TABLE[::-1]).fingerprint != one
    assert read(tmp_path / "c.jsonl", [{**row, "label": 1} for row in TABLE]).fingerprint != one


def test_columns_of_conll(tmp_path: Path) -> None:
    rows = read(tmp_path / "c.txt", CONLL)
    assert rows.format == "conll" and len(rows) == 2
    assert rows[0].fields["tokens"] == ["EU", "rejects", "#"] and rows[0].fields["tags"] == ["B-ORG", "O", "O"]
    assert rows[0].fields["columns"]["pos"] == ["NNP", "VBZ", "SYM"]
    assert [row.where.rpartition(":")[2] for row in rows] == ["3", "7"]
    for column in ("pos", 1, "1"):
        assert read(tmp_path / "c.conll.zst", CONLL, column=column)[1].fields["tags"] == ["NNP"]
    assert read(tmp_path / "tab.tsv", CONLL.replace(" ", "\t"))[0].fields == rows[0].fields


def test_columns_of_characters_and_universal_ones(tmp_path: Path) -> None:
    rows = read(tmp_path / "r.char.bmes", BMES.replace("\n", "\r\n"))
    assert fields(rows)[1] == {
        "tokens": ["高", "勇"],
        "tags": ["B-NAME", "E-NAME"],
        "columns": {"token": ["高", "勇"], "tag": ["B-NAME", "E-NAME"]},
    }
    assert read(tmp_path / "wide.bmes", "\u3000 O\n好 O\n\n")[0].fields["tokens"] == ["\u3000", "好"]
    tree = read(tmp_path / "u.conllu", CONLLU)[0].fields
    assert tree["tokens"] == ["Vamos", "nos", "mar"] and tree["tags"] == ["VERB", "PRON", "NOUN"]
    assert read(tmp_path / "u.conllu", CONLLU, column="deprel")[0].fields["tags"] == ["root", "obj", "obl"]


def test_lines_side_by_side(tmp_path: Path) -> None:
    written(tmp_path / "x.en", "Good morning.\nThe end\u2028of it\n\n")
    written(tmp_path / "x.zh.gz", "早上好。\n完\n空\n")
    for uri in (f"{tmp_path}/x.en,{tmp_path}/x.zh.gz", f"{tmp_path}/x.en,x.zh.gz"):
        rows = source.rows(uri)
        assert rows.format == "parallel" and rows[1].where.endswith("x.en:2")
        assert fields(rows) == [
            {"source": "Good morning.", "target": "早上好。"}, {"source": "The end\u2028of it", "target": "完"},
        ]  # fmt: skip
        assert rows.skipped == {"a side of the pair is empty": 1}
    written(tmp_path / "x.de", "eins\n")
    with pytest.raises(InputError, match=r"x.en: 3 lines, and x.de beside it has 1"):
        source.rows(f"{tmp_path}/x.en,x.de")
    with pytest.raises(InputError, match="no such file of lines"):
        source.rows(f"{tmp_path}/x.en,x.fr")


WRONG = {
    "b.jsonl": (lines_of(TABLE[:1]) + '{"text": \n', "b.jsonl:2:", "broken JSON"),
    "o.jsonl": (lines_of(TABLE[:1]) + "[1, 2]\n", "o.jsonl:2: ", "the row is not an object with fields"),
    "h.jsonl": (
        lines_of(TABLE[:1]) + '{"a": "\\ud800"}\n',
        "h.jsonl:2: ",
        "a string holds half of a surrogate pair",
    ),
    "u.jsonl": (lines_of(TABLE[:1]).encode() + b'{"text": "\xff"}\n', "u.jsonl:2: ", "byte N is not utf-N"),
    "w.csv": ("a,b\n1,2\n1,2,3\n", "w.csv:3: ", "N columns where the header has N"),
    "d.conll": (BMES + "\n坏 B O\n了 O\n\n好 O\n", "d.conll:9: ", "a line of N columns where the others have N"),
    "x.bmes": (BMES.encode() + b"\xff O\n\n\xe5\xa5\xbd O\n", "x.bmes:8: ", "byte N is not utf-N"),
    "s.bmes": (BMES + "\n缺\n了 O\n\n好 O\n", "s.bmes:9: ", "a line of N columns where the others have N"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_bad_row_is_one_line_or_counted(name: str, tmp_path: Path) -> None:
    content, where, reason = WRONG[name]
    said = refused(tmp_path / name, content)
    assert said.startswith(f"{tmp_path}/{where}") and "\n" not in said
    rows = read(tmp_path / name, content, on_error="skip")
    assert rows.skipped == {reason: 1} and len(rows) >= 1
    assert where in rows.places[0]


def test_what_is_no_data_set_is_refused(tmp_path: Path) -> None:
    assert "e.jsonl: the file is empty" in refused(tmp_path / "e.jsonl", "")
    assert "the file is empty" in refused(tmp_path / "e.csv", "a,b\n")
    assert "the file is empty" in refused(tmp_path / "e.conll", "\n\n")
    assert "no row can be used" in refused(tmp_path / "e.jsonl", "", on_error="skip")
    assert "the format is not known" in refused(tmp_path / "p.txt", "Just a line of prose.\nAnd one more.\n")
    assert "no format is called 'xml'" in refused(tmp_path / "t.jsonl", TABLE, format="xml")
    assert "on_error is 'never'" in refused(tmp_path / "t.jsonl", TABLE, on_error="never")
    assert "no column 'ner' of 2 -> name one of token, tag" in refused(tmp_path / "b.bmes", BMES, column="ner")
    with pytest.raises(InputError, match=r"did you mean .*t.jsonl"):
        source.rows(tmp_path / "t.jsnl")
    (tmp_path / "cut.jsonl.gz").write_bytes((written(tmp_path / "w.jsonl.gz", lines_of(TABLE))).read_bytes()[:-9])
    with pytest.raises(InputError, match="cut off or damaged"):
        source.rows(tmp_path / "cut.jsonl.gz")
    with pytest.raises(InputError, match="no file that can hold rows"):
        source.rows(written(tmp_path / "none" / "README.md", "x").parent)


def test_fields_get_other_names(tmp_path: Path) -> None:
    rows = read(tmp_path / "t.jsonl", TABLE)
    again = renamed(rows, {"sentence": "text"})
    assert list(again[0].fields) == ["sentence", "label"] and again[0].where == rows[0].where
    assert renamed(again, {"text": "sentence"}).fingerprint == rows.fingerprint
    assert list(renamed(rows, {"text": "label", "label": "text"})[0].fields.values()) == ["a fine film", "1"]
    with pytest.raises(InputError, match=r"t.jsonl:1: no field 'body': there are text, label"):
        renamed(rows, {"text": "body"})
    with pytest.raises(InputError, match="there is such a field"):
        renamed(rows, {"label": "text"})
    with pytest.raises(InputError, match="no field 'rating'"):
        rows.column("rating")


def test_a_data_set_of_a_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("huggingface_hub", reason="needs the extra hub")
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "corpus"))
    from far_away import Hub, served

    from assay.tasks.reading import cutting

    monkeypatch.setenv("ASSAY_CACHE", str(tmp_path / "cache"))
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    tables = packed_tables()
    with served(Hub) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.address)
        server.files.update({
            "data/train-00000-of-00002.parquet": tables["t.parquet"],
            "data/train-00001-of-00002.parquet": tables["t.parquet"],
            "data/validation-00000-of-00001-0123456789abcdef.parquet": tables["t.parquet"],
            "README.md": b"---\n---\n",
        })  # fmt: skip
        rows = source.rows("hf://datasets/owner/tales")
        found = cutting.splits("hf://datasets/owner/tales")
    assert len(rows) == 12 and rows[0].where == "hf://datasets/owner/tales/data/train-00000-of-00002.parquet: row 1"
    assert {name: len(part) for name, part in found.parts.items()} == {"train": 8, "dev": 4}


def test_real_files_are_read_whole(shared: Callable[[str], Path]) -> None:
    """As many rows as the cards of the data sets say."""
    for name, format, n in (
        ("cls-zh/tnews.test", "table", 2010), ("ner-en/wnut17.dev", "table", 1009),
        ("ner-zh/cluener.dev", "spans", 1343),
        ("qa-zh/cmrc2018.trial", "squad", 1002), ("mt/tatoeba_en_zh.valid", "table", 1247),
        ("instruct/lf_dpo_zh_demo", "preference", 300), ("instruct/lf_kto_en_demo", "kto", 300),
        ("instruct/lf_alpaca_zh_demo", "chat", 1000), ("dialog-zh/crosswoz.val", "chat", 500),
    ):  # fmt: skip
        folder, _, stem = name.partition("/")
        rows = source.rows(shared(folder) / f"{stem}.jsonl.zst")
        assert (rows.format, len(rows), rows.skipped) == (format, n, {}), name
    rows = source.rows(shared("instruct") / "hh_harmless.train.jsonl.zst", on_error="skip")
    assert (rows.format, len(rows), rows.skipped) == ("preference", 1152, {"the last answer is empty": 4})
    rows = source.rows(shared("qa-zh") / "cmrc2018.dev.jsonl.zst", on_error="skip")
    assert len(rows) == 3219 and rows.mended == {"an answer is left out": 193}  # as its card says
