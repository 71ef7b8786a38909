"""Classical cleaning: every step against Python's own or another program's, lines and batches, counts, rare words."""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpus_texts import HAN, batch_of, chinese, english
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.corpus.altering import chinese as scripts
from assay.corpus.altering import classical, surface, vocabulary
from assay.corpus.altering.classical import Cleaning, cleaned
from assay.corpus.altering.edits import Texts, compared
from assay.corpus.documents import DOCUMENTS
from assay.corpus.text import words as w
from assay.corpus.text.cuts import spans
from assay.errors import InputError

ASSIGNED = st.characters(exclude_categories=("Cs", "Cn"))
MIXED = st.text(alphabet="aB é\n\t,.'’-—3１Ａ，。中文里后  　\u200b\u200d👩İΣςﬁ①<>&", max_size=60)
EVERYTHING = Cleaning(
    unicode="nfkc", html=True, urls=True, emails=True, lines="refinedweb", width="all", script="simplified",
    case="lower", digits="zero", stop_words=("en", "zh"), punctuation="drop", spaces=True,
)  # fmt: skip


def made(step: Callable[[Texts], Texts], *texts: str) -> list[str]:
    result: list[str] = step(Texts(pa.array(texts, pa.string()))).column.to_pylist()
    return result


@settings(max_examples=100)
@given(st.lists(st.text(alphabet=ASSIGNED, max_size=30), min_size=1, max_size=4))
def test_normal_forms_and_lower_case_are_pythons(texts: list[str]) -> None:
    """Of the characters that this Python knows: Rust may know newer ones, and this one's own tables are compared."""
    assert made(partial(surface.normal_form, form="nfc"), *texts) == [unicodedata.normalize("NFC", t) for t in texts]
    assert made(partial(surface.normal_form, form="nfkc"), *texts) == [unicodedata.normalize("NFKC", t) for t in texts]
    assert made(surface.lower, *texts) == [t.lower() for t in texts]


@settings(max_examples=100)
@given(st.lists(MIXED, min_size=1, max_size=4))
def test_digits_and_widths(texts: list[str]) -> None:
    zeros = ["".join("0" if c.isdecimal() else c for c in t) for t in texts]
    assert made(partial(surface.digits, how="zero"), *texts) == zeros
    assert made(partial(surface.digits, how="drop"), *texts) == [
        "".join(c for c in t if not c.isdecimal()) for t in texts
    ]
    wide = {chr(0xFEE0 + i): chr(i) for i in range(0x21, 0x7F)}
    some = {a: b for a, b in wide.items() if b in string.ascii_letters + string.digits}
    for width, table in (("alphanumeric", some), ("all", {**wide, "\u3000": " "})):
        want = [t.translate(str.maketrans(table)) for t in texts]
        assert made(partial(surface.half_width, width=width), *texts) == want


def tidied(text: str) -> str:
    """By lines and regular expressions."""
    text = re.sub("\r\n|[\r\v\f\x85\u2028\u2029]", "\n", text)
    lines = []
    for line in text.split("\n"):
        begin = re.match(r"\s*", line)
        lead = re.sub(r"[^ \t]", "", begin[0]) if begin else ""
        rest = re.sub(r"\s+", " ", line.strip())
        lines.append(lead + rest if rest else "")
    return re.sub("\n{3,}", "\n\n", "\n".join(lines).rstrip("\n")).lstrip("\n")


@settings(max_examples=150)
@given(st.lists(st.text(alphabet="ab中 \t\u3000\xa0\n\r\u2028，", max_size=40), min_size=1, max_size=4))
def test_spaces_are_tidied_line_by_line(texts: list[str]) -> None:
    assert made(surface.spaces, *texts) == [tidied(text) for text in texts]


def test_what_is_not_seen_goes_and_joiners_that_mean_something_stay() -> None:
    family, persian = "👩\u200d👩\u200d👧", "می\u200cخواهم"
    assert made(surface.visible, "a\u200bb\ufeff\u00ad\u200dc", family, persian, "\u200d", "　　段落，　中") == [
        "abc", family, persian, "", "段落，　中",
    ]  # fmt: skip


def test_markup_and_addresses_go_and_code_stays() -> None:
    html = '<p class="x">One &amp; two&nbsp;<b>bold</b></p><script>if (a < b) {}</script><!-- no --><br/>三 &#39;x&#39;'
    assert made(surface.without_html, html) == ["\nOne & two\xa0bold\n\n三 'x'"]
    code = "#include <stdio.h>\nvector<int> a; a < b && c > d; x <y@z.org>"
    assert made(surface.without_html, code) == [code]
    assert made(surface.without_urls, "见https://a.cn/b?c=1，再看www.x.org。 (http://y.z/q).") == ["见，再看。 ()."]
    markdown = "![](https://a.b/c.webp)看[via](https://a.b/c?d)，[x](#top)"
    assert made(surface.without_urls, markdown) == ["看via，[x](#top)"]
    assert made(surface.without_emails, "写信给 joe.b+c@mail.example.org，谢谢; a@b") == ["写信给 ，谢谢; a@b"]


MARKS = {*(c for c in map(chr, range(0x30000)) if unicodedata.category(c)[0] == "P"), *string.punctuation}


@settings(max_examples=100)
@given(st.text(alphabet="ab3 \n中文，。'’-—.$+😀", max_size=40))
def test_no_punctuation_is_left_and_nothing_else_is_lost(text: str) -> None:
    """All of Unicode's, and the symbols of ASCII; emoji are no punctuation."""
    (out,) = made(surface.without_punctuation, text)
    assert not set(out) & MARKS
    kept = [c for c in text if c not in MARKS]
    assert [c for c in out if c != " "] == [c for c in kept if c != " "]
    assert out.count("\n") == text.count("\n")


def test_punctuation_between_letters_leaves_a_space() -> None:
    assert made(surface.without_punctuation, "don't end.Next 3.14 state-of-the-art", "你好，世界——“啊”。") == [
        "dont end Next 3 14 state of the art", "你好世界啊",
    ]  # fmt: skip


# Chinese scripts


@pytest.mark.parametrize(("script", "config"), [("traditional", "s2t"), ("simplified", "t2s")])
def test_scripts_are_converted_as_opencc_does(script: scripts.Script, config: str) -> None:
    opencc = pytest.importorskip("opencc")
    converter = opencc.OpenCC(config)
    texts = [
        "头发干了，我们干杯；皇后在后面的里屋发现了面条。", "計算機軟體裡面的資訊", "𠀀𠮷，騃 㑮 A里b", "",
        *(chinese(i, 400) for i in range(20)), english(1),
    ]  # fmt: skip
    assert made(partial(scripts.converted, script=script), *texts) == [converter.convert(text) for text in texts]


@pytest.mark.parametrize("config", ["s2t", "t2s"])
def test_real_chinese_is_converted_as_opencc_does(config: str, shared: Callable[[str], Path]) -> None:
    opencc, zstandard = pytest.importorskip("opencc"), pytest.importorskip("zstandard")
    for path in sorted(shared("mix-zh").glob("*.zst")):
        with zstandard.open(path, "rt", encoding="utf-8") as file:
            text = file.read(30_000)
        text = text if config == "s2t" else opencc.OpenCC("s2t").convert(text)
        script: scripts.Script = "traditional" if config == "s2t" else "simplified"
        assert made(partial(scripts.converted, script=script), text) == [opencc.OpenCC(config).convert(text)]


def test_phrases_decide_and_japanese_is_left_alone() -> None:
    japanese = "東京の国会で発表された新しい法律について、学者たちは話し合った。"
    assert made(partial(scripts.converted, script="traditional"), "头发，发现，干杯，干部，皇后，后面", japanese) == [
        "頭髮，發現，乾杯，幹部，皇后，後面", japanese,
    ]  # fmt: skip


# Words


def test_words_of_a_batch_are_those_of_each_text() -> None:
    texts = [english(1), chinese(2), "", "Don't use e.g. this-one... 中文 mixed.", "  \n"]
    column = pa.array(texts)
    found = spans(*Texts(column).points)
    got = []
    begin = 0
    for i, text in enumerate(texts):
        here = range(found.offsets[i], found.offsets[i + 1])
        got.append([text[found.begins[j] - begin : found.ends[j] - begin] for j in here])
        begin += len(text)
    for text, words in zip(texts, got, strict=True):
        cut, pieces = 0, []
        for length in w.pieces(text).tolist():
            pieces.append(text[cut : cut + length])
            cut += length
        assert words == [piece for piece in pieces if piece.strip()]


def test_stop_words_go_with_their_spaces_and_lines_stay() -> None:
    step = partial(vocabulary.without_stop_words, wanted=("en", "zh"))
    assert made(step, "The cat and THE dog, don’t\nare\nhere.  It can't rain.") == ["cat dog,\n\n.  rain."]
    assert made(step, "我们的大学在北京，他是学生。") == ["大学北京，学生。"]
    assert made(step, "我們的大學與這個學校") == ["大學學校"]  # traditional, by a list in simplified characters
    english_alone = partial(vocabulary.without_stop_words, wanted=("en",))
    assert made(english_alone, "我们的大学") == ["我们的大学"]


def corpus(tmp_path: Path, texts: list[str], cut: int) -> list[Path]:
    paths = [tmp_path / "documents-00000.parquet", tmp_path / "documents-00001.parquet"]
    for path, part in zip(paths, (texts[:cut], texts[cut:]), strict=True):
        pq.write_table(pa.Table.from_batches([batch_of(part)], DOCUMENTS), path)
    return paths


@pytest.mark.parametrize("ranges", [1, 7])
def test_rare_words_are_those_that_a_counter_finds(
    tmp_path: Path, ranges: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [*(english(i, 40) for i in range(6)), *(chinese(i, 60) for i in range(6)), "unique words, unique!", ""]
    parts = corpus(tmp_path, texts, 5)
    told = [
        vocabulary.count_part(part, tmp_path / f"words-{i}.parquet", 1, prepared=lambda texts: texts)
        for i, part in enumerate(parts)
    ]
    rows = sum(one["rows"] for one in told)
    monkeypatch.setattr(vocabulary, "_AT_ONCE", -(-rows // ranges))
    kept, counts = vocabulary.frequent([tmp_path / "words-0.parquet", tmp_path / "words-1.parquet"], rows, 3)

    column = pa.array(texts)
    found = spans(*Texts(column).points)
    joined = "".join(texts)
    words = [joined[a:b] for a, b, k in zip(found.begins, found.ends, found.kinds, strict=True) if k & w.WORD]
    counter = Counter(words)
    rare = {word for word, n in counter.items() if n < 3}
    assert counts == {"different": len(counter), "rare": len(rare), "places": sum(counter[word] for word in rare)}
    assert sum(one["words"] for one in told) == len(words)
    assert sorted(kept.tolist()) == sorted(vocabulary.hash_of(word) for word in counter if word not in rare)

    left = made(partial(vocabulary.without_rare_words, frequent=kept), *texts)
    column = pa.array(left[:6])  # Chinese may be cut otherwise once words are gone
    found = spans(*Texts(column).points)
    joined = "".join(left[:6])
    assert not {joined[a:b] for a, b in zip(found.begins, found.ends, strict=True)} & rare
    assert left[-2:] == ["unique, unique!" if "unique" not in rare else ", !", ""]


# The whole


@settings(max_examples=20)
@given(st.lists(MIXED, min_size=1, max_size=4))
def test_the_same_however_batched_and_nothing_else_changes(texts: list[str]) -> None:
    batch = batch_of(texts)
    whole, counts = cleaned(batch, EVERYTHING)
    single = [cleaned(batch.slice(i, 1), EVERYTHING) for i in range(len(texts))]
    assert whole.to_pylist() == [row for part, _ in single for row in part.to_pylist()]
    before = {row["doc_id"]: row for row in batch.to_pylist()}
    for row in whole.to_pylist():
        assert row["text"].strip()
        if row["parent_id"] is None:
            assert row == before[row["doc_id"]]
            continue
        parent = before[row["parent_id"]]
        assert row["text"] != parent["text"]
        changed = {"doc_id", "content_hash", "parent_id", "text", "n_bytes"}
        assert {k: v for k, v in row.items() if k not in changed} == {
            k: v for k, v in parent.items() if k not in changed
        }
    told = counts["s"]
    assert told["documents"] == len(texts)
    assert told["documents"] - told["emptied"] == len(whole)
    assert told["changed"] == sum(row["parent_id"] is not None for row in whole.to_pylist())


@settings(max_examples=100)
@given(st.lists(st.tuples(MIXED, MIXED), min_size=1, max_size=5))
def test_characters_are_counted_as_bags(pairs: list[tuple[str, str]]) -> None:
    before, after = (Texts(pa.array(texts, pa.string())) for texts in zip(*pairs, strict=True))
    changed, gone, came = compared(before, after)
    assert changed.tolist() == [a != b for a, b in pairs]
    assert gone.tolist() == [(Counter(a) - Counter(b)).total() for a, b in pairs]
    assert came.tolist() == [(Counter(b) - Counter(a)).total() for a, b in pairs]


def test_steps_say_what_they_changed_by_source() -> None:
    batches = [batch_of(["A 1", "b", "Ｃ"], "one"), batch_of(["二 22", "  "], "two")]
    batch = pa.Table.from_batches(batches).combine_chunks().to_batches()[0]
    _, counts = cleaned(batch, Cleaning(case="lower", digits="drop", spaces=True))
    assert counts["one"]["steps"] == {
        "invisible": [0, 0], "case": [2, 2], "digits": [1, 1], "spaces": [1, 1],
    }  # fmt: skip
    assert counts["two"]["steps"] == {
        "invisible": [0, 0], "case": [0, 0], "digits": [1, 2], "spaces": [2, 3],
    }  # fmt: skip
    assert (counts["two"]["emptied"], counts["two"]["changed"]) == (1, 1)


def test_cleaning_what_is_clean_changes_nothing() -> None:
    """Stop words aside: jieba cuts Chinese otherwise once some are gone."""
    options = replace(EVERYTHING, stop_words=())
    first, _ = cleaned(batch_of([english(1), chinese(1), HAN]), options)
    again, counts = cleaned(first, options)
    assert again.column("text").to_pylist() == first.column("text").to_pylist()
    assert counts["s"]["changed"] == 0


def test_steps_run_in_the_order_that_is_documented() -> None:
    assert [name for name, _ in classical.steps(EVERYTHING)] == [
        name for name in classical.STEPS if name != "rare_words"
    ]
    names = [name for name, _ in classical.steps(replace(EVERYTHING, script="traditional"))]
    assert names.index("stop_words") < names.index("script") < names.index("punctuation")


def test_words_are_cut_in_simplified_characters_whatever_script_is_wanted() -> None:
    text = "我们的大学在北京，他是学生。"
    made, _ = cleaned(batch_of([text]), Cleaning(script="traditional", stop_words=("zh",)))
    assert made.column("text").to_pylist() == ["大學北京，學生。"]


def test_languages_without_stop_words_are_refused() -> None:
    with pytest.raises(InputError, match="did you mean zh"):
        Cleaning(stop_words=("en", "zhh"))
