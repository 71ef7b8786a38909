"""Signals against plain Python that says what datatrove's filters compute, on real and made-up text."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from corpus_texts import batch_of, chinese, english
from hypothesis import example, given, settings
from hypothesis import strategies as st
from test_word_cuts import cut

from assay.corpus.signals import scoring
from assay.corpus.signals.quality import STOP_WORDS, STOP_WORDS_ZH
from assay.corpus.text import words as w

TEXT = st.text(alphabet="abZ é'\n\t,.。中文字!\"[]1{-•#…\r\u2028", max_size=80)
WORDS = st.lists(st.sampled_from(["the", "cat", "sat", "to", "Of", "it.", "\n", "\n\n", "and", "sat."]), max_size=60)
TERMINAL = {chr(point) for point in np.flatnonzero(w.kinds() & w.TERMINAL)}
SYMBOLS = {chr(point) for point in np.flatnonzero((w.kinds() & (w.WORD | w.SPACE)) == 0)}


def repeated(pieces: list[str]) -> tuple[int, int]:
    """datatrove's find_duplicates: elements, characters."""
    seen: set[str] = set()
    elements = chars = 0
    for piece in pieces:
        if piece in seen:
            elements, chars = elements + 1, chars + len(piece)
        seen.add(piece)
    return elements, chars


def top(words: list[str], n: int) -> int:
    grams = [" ".join(words[i : i + n]) for i in range(len(words) - n + 1)]
    if not grams:
        return 0
    gram, count = Counter(grams).most_common(1)[0]
    return len(gram) * count


def duplicated(words: list[str], n: int) -> int:
    seen: set[str] = set()
    chars = i = 0
    while i < len(words) - n + 1:
        gram = "".join(words[i : i + n])
        if gram in seen:
            chars, i = chars + len(gram), i + n
        else:
            seen.add(gram)
            i += 1
    return chars


def sentences(line: str) -> int:
    count, ended = 0, False
    for i, word in enumerate(cut(line)):
        punctuation = all(unicodedata.category(c)[0] == "P" for c in word)
        if i == 0:
            count = 1
        if word in TERMINAL:
            ended = True
        elif ended and not punctuation:
            count, ended = count + 1, False
    return count


def c4(text: str) -> dict[str, float]:
    found = dict.fromkeys(("c4_sentences", "lorem_ipsum", "curly_brackets"), 0)
    found |= {f"{name}_any_end": 0 for name in found}
    kept = 0
    lines = text.splitlines()
    for whole in lines:
        line = whole.strip()
        words = line.split()
        if any(len(word) > 1000 for word in words):
            continue
        bare = re.sub(r"\[\d*]|\[edit]|\[citation needed]", "", line)
        if len(words) < 3:
            continue
        ends = bare.endswith((".", "?", "!", '"', "'")) and not bare.endswith("...")
        low = bare.lower()
        if "lorem ipsum" in low:
            counts = {"lorem_ipsum": 1}
        elif "javascript" in low:
            continue
        elif "{" in bare:
            counts = {"curly_brackets": 1}
        elif any(p in low for p in ("terms of use", "privacy policy", "use cookies")):
            continue
        else:
            counts = {"c4_sentences": sentences(bare)}
            kept += ends
        for name, count in counts.items():
            found[name] += count * ends
            found[f"{name}_any_end"] += count
    return {**found, "c4_lines": kept / max(len(lines), 1)}


COUNTER = r"\W*\d[,.\d]*[kmb]?\s+(likes|shares|comments|retweets|reposts|quotes|bookmarks|upvotes|downvotes"
COUNTER += r"|downloads|views|followers)\W*"


def flagged(text: str) -> float:
    """The share of words that DCLM's line modifiers take out."""
    gone = 0
    for whole in text.split("\n"):
        line = whole.strip()
        if not line:
            continue
        if (
            2 * sum(c.isupper() for c in line) > len(line)
            or all("0" <= c <= "9" for c in line)
            or re.fullmatch(COUNTER, line.lower())
            or len(line.split()) < 2
        ):
            gone += len(cut(line))
        elif len(line.split()) <= 10:
            calls = r"(?i)^sign-in|items in cart|read more(\.\.\.|…)$"
            gone += sum(len(cut(call.group())) for call in re.finditer(calls, line))
    return gone / max(len(cut(text)), 1)


def windows(text: str, width: int) -> tuple[float, float]:
    counts = Counter(text[i : i + width] for i in range(len(text) - width + 1))
    total = max(sum(counts.values()), 1)
    several = sorted((n for n in counts.values() if n > 1), reverse=True)
    return sum(several) / total, sum(several[: math.isqrt(len(counts))]) / total


def plain(text: str) -> dict[str, float]:
    """Every signal, one after another."""
    words, chars = cut(text), max(len(text), 1)
    real = [word for word in words if any(c not in SYMBOLS for c in word)]
    kinds = [unicodedata.category(c)[0] for c in text]
    lines, shown = text.splitlines(), [line for line in text.split("\n") if line.strip()]
    pieces, paragraphs = re.split("\n+", text), re.split(r"\n{2,}", text.strip())
    every, number, of_lines = max(len(words), 1), max(len(lines), 1), max(len(shown), 1)
    ten, most = windows(text, 10)
    made: dict[str, float] = {
        "n_chars": len(text),
        "n_visible": sum(not c.isspace() for c in text),
        "letters": kinds.count("L") / chars,
        "digits": kinds.count("N") / chars,
        "capitals": sum(c.isupper() for c in text) / chars,
        "punctuation": sum(k in "PS" for k in kinds) / chars,
        "whitespace": sum(c.isspace() for c in text) / chars,
        "special_characters": sum(k in "PSN" or c.isspace() for k, c in zip(kinds, text, strict=True)) / chars,
        "alphanumerics": sum(k in "LN" for k in kinds) / chars,
        "non_ascii": sum(c > "\x7f" for c in text) / chars,
        "repeated_10chars": ten,
        "top_10chars": most,
        "n_words": len(real),
        "n_tokens": len(words),
        "n_lines": len(lines),
        "mean_word_length": sum(map(len, real)) / max(len(real), 1),
        "alpha_words": sum(any(c.isalpha() for c in word) for word in words) / every,
        "hashes": text.count("#") / every,
        "ellipses": (text.count("...") + text.count("…")) / every,
        "stop_words": len({*words} & {*STOP_WORDS.split()}),
        "stop_words_zh": len({*words} & {*STOP_WORDS_ZH.split()}),
        "bullet_lines": sum(line.lstrip().startswith(("•", "-")) for line in lines) / number,
        "ellipsis_lines": sum(line.rstrip().endswith(("...", "…")) for line in lines) / number,
        **c4(text),
        "flagged_words": flagged(text),
        "line_punctuation": sum(line[-1] in TERMINAL for line in shown) / of_lines,
        "short_lines": sum(len(line) <= 30 for line in shown) / of_lines,
        "repeated_line_chars": repeated(shown)[1] / max(len(text.replace("\n", "")), 1),
        "newlines_per_word": text.count("\n") / every,
        "mean_line_length": sum(map(len, shown)) / of_lines,
        "duplicate_lines": repeated(pieces)[0] / len(pieces),
        "duplicate_line_chars": repeated(pieces)[1] / chars,
        "duplicate_paragraphs": repeated(paragraphs)[0] / len(paragraphs),
        "duplicate_paragraph_chars": repeated(paragraphs)[1] / chars,
    }
    for n in (2, 3, 4):
        made[f"top_{n}gram"] = top(words, n) / chars
    for n in range(5, 11):
        made[f"duplicate_{n}grams"] = duplicated(words, n) / chars
    grams = Counter(tuple(words[i : i + 10]) for i in range(len(words) - 9))
    made["repeated_10grams"] = sum(n for n in grams.values() if n > 1) / max(sum(grams.values()), 1)
    return made


def measured(texts: list[str]) -> list[dict[str, Any]]:
    return scoring.signals(batch_of(texts)).to_pylist()


def check(texts: list[str]) -> None:
    for text, row in zip(texts, measured(texts), strict=True):
        for name, value in plain(text).items():
            assert row[name] == pytest.approx(value, rel=1e-6, abs=1e-7), (name, text)


def spaced(text: str) -> bool:
    """Whether the rules for spaces cut it, not the dictionary."""
    letters = sum(c.isalpha() for c in text)
    return sum("\u4e00" <= c <= "\u9fff" for c in text) <= letters / 3


@settings(max_examples=300, deadline=None)
@given(st.lists(TEXT.filter(spaced), min_size=1, max_size=4))
def test_signals_are_their_definitions(texts: list[str]) -> None:
    check(texts)


PARTS = st.lists(st.sampled_from(["a", "b", "ab", "ba", "aab"]), min_size=10, max_size=60)


@settings(max_examples=60, deadline=None)
@given(PARTS.map(" ".join))
@example("a b c d e fg ab c d e f g")
def test_equal_characters_are_equal_whatever_the_words(text: str) -> None:
    """Joined n-grams of six words may be equal where none of five are."""
    check([text])


@settings(max_examples=200, deadline=None)
@given(st.lists(WORDS.map(" ".join), min_size=1, max_size=3))
def test_signals_of_text_that_repeats(texts: list[str]) -> None:
    check(texts)


LINES = [
    "This line is kept. It has two sentences.", "Too short.", "no mark at its end", "Enable JavaScript to see it.",
    "Read our privacy policy, please.", "Lorem ipsum dolor sit amet.", "A brace { in a line.",
    "Cited before its end.[1]",
    "It trails off into nothing...", '"Quoted." he said, "and again!"', "x" * 1001 + " is a long word.",
    "[edit] Headings are dropped.", "3 likes", "* 1,200k Views *", "4 reviews", "1984", "19 84", "Alone", "BUY it NOW",
    "Sign-in to read our news", "There are 3 items in cart, no more", "It rained. Read more...", "Read more…",
    "We read more... and more", "So many words that no line as long as this one is a call read more...",
    "One more [citation needed] for you?", "We use cookies on this site.",
]  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(LINES), max_size=8), st.sampled_from(["\n", "\r\n", "\n\n", "\u2028"]))
def test_lines_of_c4(lines: list[str], end: str) -> None:
    check([end.join(lines)])


def test_signals_of_real_text() -> None:
    check([english(i) * 3 for i in range(12)])


def test_refinedwebs_lines() -> None:
    """A line is gone as a whole, or loses what calls on the reader, as DCLM has it."""
    rest = "\nThis line has six words"
    texts = ["BUY NOW", "3 likes", "1984", "Read more...", "Sign-in to see it", "The 3 items in cart", "4 reviews here"]
    rows = measured([text + rest for text in texts])
    assert [round(row["flagged_words"] * row["n_tokens"]) for row in rows] == [2, 2, 1, 3, 3, 3, 0]
    assert [row["uppercase_lines"] for row in rows] == [0.5, 0, 0, 0, 0, 0, 0]


def test_chinese_is_cut_by_the_dictionary_and_its_signals_are_of_that() -> None:
    rows = measured(["三国演义，第一回", "我用 Python 写了 3 个程序", "...", "don't", chinese(3) * 3])
    assert [row["n_words"] for row in rows][:4] == [2, 7, 0, 2]
    assert rows[0]["stop_words_zh"] == 0
    assert rows[4]["repeated_13chars"] > 0.9
    assert rows[3]["repeated_13chars"] is None


def test_repetition_is_high_where_text_repeats() -> None:
    rows = scoring.signals(batch_of([english(1), "the same again. " * 60, chinese(1), "重复的句子，" * 60]))
    repeats = rows.column("repeated_10chars").to_pylist()
    assert max(repeats[0], repeats[2]) < 0.4 < min(repeats[1], repeats[3])


def test_signals_do_not_depend_on_batches() -> None:
    texts = [english(i) if i % 2 else chinese(i) + "\n" + english(i) for i in range(30)]
    whole = measured(texts)
    batch = batch_of(texts)
    parts = [row for i in range(0, 30, 7) for row in scoring.signals(batch.slice(i, 7)).to_pylist()]
    assert parts == whole


def test_no_documents_and_empty_ones() -> None:
    assert scoring.signals(batch_of([])).num_rows == 0
    row = measured([""])[0]
    assert {name for name in scoring.NAMES if row[name] not in (0, None)} == set()


def test_many_equal_windows_are_counted_beyond_the_last_count() -> None:
    text = "ab" * 2000 + english(2)
    row = measured([text])[0]
    assert row["top_10chars"] == pytest.approx(windows(text, 10)[1])


def test_arrow_types() -> None:
    schema = scoring.signals(batch_of(["text"])).schema
    assert schema == scoring.SIGNALS
    assert {schema.field(name).type for name in scoring.COUNTS} == {pa.int32()}
