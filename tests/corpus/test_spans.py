"""Paragraphs and spans of sentences that stand earlier: what a plain Python version finds, in both languages."""

from __future__ import annotations

import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpus_texts import batch_of
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.corpus import documents
from assay.corpus.cleaning import stretches
from assay.corpus.duplicates import firsts, ordered, spans

ENGLISH = ["The cat sat.", "A dog ran!", "Who was it?", "The CAT, sat.", "It rained all day."]
CHINESE = ["天地玄黄。", "宇宙洪荒！", "日月盈昃？", "天地，玄黄。", "寒来暑往。"]


def in_order(texts: list[str], folder: Path, parts: int = 1) -> ordered.Ordered:
    """The texts as a corpus, written as so many parts."""
    batch = batch_of(texts)
    with documents.PartsWriter(folder, "documents", documents.DOCUMENTS) as writer:
        for part in range(parts):
            writer.write(batch.take(pa.array(range(part, len(texts), parts), pa.int64())))
            writer.close()
    (folder / "ordered").mkdir()
    ordered.write_ordered(sorted(folder.glob("documents-*")), folder / "ordered")
    return ordered.open_ordered(folder / "ordered")


def left(texts: list[str], unit: spans.Unit, n: int, shortest: int, slots: int = firsts.SLOTS) -> list[str]:
    """What is left of every text, and that the evidence says the same."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        corpus = in_order(texts, folder)
        spans.repeated(corpus, unit, n, shortest, folder, slots=slots)
        rows = np.load(folder / "rows.npy")
        edges = stretches._edges_of(corpus, rows)
        made = stretches.without(corpus, rows, edges, np.arange(len(corpus))).to_pylist()
        ids = batch_of(texts).column("doc_id").to_pylist()
        kept = dict(zip(ids, texts, strict=True))
        for batch in stretches.evidence(corpus, rows):
            for row in reversed(batch.to_pylist()):
                text = texts[ids.index(row["doc_id"])]
                earlier = texts[ids.index(row["first_doc_id"])]
                said = folded(text[row["begin"] : row["end"]])
                assert folded(earlier[row["first_begin"] :]).startswith(said)
                before = ids.index(row["first_doc_id"]), row["first_begin"]
                assert before < (ids.index(row["doc_id"]), row["begin"])
                kept[row["doc_id"]] = kept[row["doc_id"]][: row["begin"]] + kept[row["doc_id"]][row["end"] :]
        assert list(kept.values()) == made
    return made


def folded(text: str) -> str:
    return "".join(c.lower() for c in text if c.isalnum())


def weight(text: str) -> int:
    return sum(spans.WEIGHT if "\u4e00" <= c <= "\u9fff" else 1 for c in folded(text))


def brute(pieces: list[list[str]], n: int, shortest: int) -> list[str]:
    """The definition: of texts that are cut already."""
    first: dict[str, tuple[int, int, int]] = {}
    made = []
    for d, own in enumerate(pieces):
        marked = [False] * len(own)
        for k in range(max(len(own) - n + 1, min(len(own), 1))):
            said = "".join(map(folded, own[k : k + n]))
            if weight(said) < shortest:
                continue
            e, j, count = first.setdefault(said, (d, k, len(own[k : k + n])))
            if e < d or j + count <= k:
                marked[k : k + n] = [True] * len(own[k : k + n])
        made.append("".join(piece for piece, gone in zip(own, marked, strict=True) if not gone))
    return made


LINES = st.lists(
    st.tuples(st.sampled_from([*ENGLISH, *CHINESE, "Yes", "好", "  indented: the cat sat"]), st.sampled_from("123")),
    min_size=1, max_size=7,
)  # fmt: skip


@settings(max_examples=40)
@given(st.lists(LINES, min_size=1, max_size=6), st.integers(1, 12))
def test_paragraphs_are_lines_and_the_first_one_stays(texts: list[list[tuple[str, str]]], shortest: int) -> None:
    pieces = [[line + {"1": "\n", "2": "\n \n", "3": "\r\n"}[ends] for line, ends in text] for text in texts]
    wanted = brute(pieces, 1, shortest)
    assert left(["".join(text) for text in pieces], "paragraph", 1, shortest, slots=16) == wanted


@settings(max_examples=40)
@given(
    st.lists(st.lists(st.sampled_from(range(5)), min_size=1, max_size=12), min_size=1, max_size=6),
    st.sampled_from([ENGLISH, CHINESE]), st.integers(1, 4),
)  # fmt: skip
def test_spans_of_sentences_are_those_of_the_definition(texts: list[list[int]], said: list[str], n: int) -> None:
    space = " " if said is ENGLISH else ""
    pieces = [[said[k] + space for k in text] for text in texts]
    assert left(["".join(text) for text in pieces], "sentence", n, 1, slots=16) == brute(pieces, n, 1)


@pytest.mark.parametrize(
    "sentences",
    [
        ["Mr. Smith went home. ", "He said: “Good day!” ", "Then he left at 5 p.m. on Jan. 5, etc. and so on."],
        ["J. K. Rowling wrote it?! ", "Yes... ", "No. ", "Is 5.5 ok?"],
        ["A title\n", "Hard wrapped\nlines go on.\n\n", "small letters after a blank line"],
        ["今天天气很好。", "我们去公园吧！", "“好的。”", "他说……然后走了？\n", "标题\n", "你好!", "世界3.14。"],
        ["यह है। ", "वह था।"],
        ["no end at all"],
    ],
)
def test_where_sentences_end(sentences: list[str], tmp_path: Path) -> None:
    corpus = in_order(["".join(sentences)], tmp_path)
    starts, _ = spans._pieces(corpus.text, corpus.offsets, False, 1, 1)
    edges = [*starts.tolist(), len(corpus.text)]
    cut = [corpus.text[a:b].tobytes().decode() for a, b in pairwise(edges)]
    assert cut == sentences


def test_a_line_said_often_leaves_one_whole_span() -> None:
    assert left(["Ha ha ha. " * 10], "sentence", 3, 1) == ["Ha ha ha. " * 3]
    assert left(["哈哈哈！" * 10], "sentence", 3, 1) == ["哈哈哈！" * 3]


def test_short_texts_are_one_span() -> None:
    assert left(["The cat sat. A dog ran.", "the cat sat, a dog ran", "The cat sat."], "sentence", 3, 1) == [
        "The cat sat. A dog ran.", "", "The cat sat.",
    ]  # fmt: skip


@settings(max_examples=80)
@given(
    st.lists(st.one_of(st.integers(0, 30), st.integers(0, 2**64 - 1)), max_size=300),
    st.sampled_from([16, 32, 1 << 20]),
)
def test_first_places_however_small_the_table(keys: list[int], slots: int) -> None:
    array = np.array(keys, dtype=np.uint64)
    found = np.full(len(keys), -1)
    firsts.firsts(array, found, slots)
    assert found.tolist() == [i if key == 0 else keys.index(key) for i, key in enumerate(keys)]


def test_what_comes_first_does_not_depend_on_the_order_of_files(tmp_path: Path) -> None:
    texts = [f"{ENGLISH[i % 5]}\n{CHINESE[i % 3]}\nonly here {'x' * i}\n" for i in range(20)]
    found = []
    for parts in (1, 7):
        folder = tmp_path / str(parts)
        folder.mkdir()
        corpus = in_order(texts, folder, parts)
        spans.repeated(corpus, "paragraph", 1, 1, folder)
        rows = np.load(folder / "rows.npy")
        names = [batch.to_pydict() for batch in stretches.evidence(corpus, rows)]
        keep = np.ones(len(corpus), dtype=bool)
        kept = stretches.kept(sorted(folder.glob("documents-*")), corpus, rows, keep, "test")
        documents_left = sorted((row["doc_id"], row["text"]) for batch in kept for row in batch.to_pylist())
        found.append((names, documents_left))
    assert found[0] == found[1]


def test_documents_of_which_too_little_is_left_are_dropped(tmp_path: Path) -> None:
    words, han = "a b c d e f g h i j " * 2, "天地玄黄宇宙洪荒日月盈昃" * 3
    repeated = "this stands in the corpus twice and more\n"
    texts = [
        repeated,
        repeated + words,
        repeated + words + "k",
        repeated + han,
        repeated + han[1:],
        "short",
        han + words,
    ]
    corpus = in_order(texts, tmp_path)
    spans.repeated(corpus, "paragraph", 1, 30, tmp_path)
    found = stretches.judge(corpus, np.load(tmp_path / "rows.npy"), 21, 36, tmp_path)
    assert np.load(tmp_path / "keep.npy").tolist() == [True, False, True, True, False, True, True]
    assert (found["affected"], found["dropped"], found["kept"]) == (4, 2, 5)
    assert found["sources"]["s"]["copies_of"] == {"s": 4 * len(repeated)}
    lost = pq.read_table(tmp_path / "decisions.parquet").column("removed").to_pylist()
    assert lost == [0, *[len(repeated)] * 4, 0, 0]


def test_altered_copies_name_their_parents(tmp_path: Path) -> None:
    texts = [ENGLISH[4] + "\n" + ENGLISH[0], "before\n" + ENGLISH[4] + "\nafter"]
    corpus = in_order(texts, tmp_path)
    spans.repeated(corpus, "paragraph", 1, 10, tmp_path)
    parts = sorted(tmp_path.glob("documents-*"))
    rows = np.load(tmp_path / "rows.npy")
    (batch,) = stretches.kept(parts, corpus, rows, np.ones(2, dtype=bool), "test")
    one, two = batch.to_pylist()
    ids = batch_of(texts).column("doc_id").to_pylist()
    assert (one["doc_id"], one["parent_id"], one["text"]) == (ids[0], None, texts[0])
    assert (two["parent_id"], two["text"], two["n_bytes"]) == (ids[1], "before\nafter", 12)
    assert two["doc_id"] not in ids
    assert two["content_hash"] == documents.content_hash(b"before\nafter")
