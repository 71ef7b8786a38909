"""Word similarity and analogies: gensim's figures, intervals against closed forms, files that are none."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zstandard
from gensim.models import KeyedVectors

from assay.errors import InputError
from assay.metrics.words import Analogies, Similarities, evaluate, read, share_of_dyads
from assay.models.vectors import Subwords, WordVectors


def _of(words: list[str], width: int = 6, seed: int = 0) -> WordVectors:
    return WordVectors(words, np.random.default_rng(seed).standard_normal((len(words), width)).astype(np.float32))


def _gensim(vectors: WordVectors) -> Any:
    theirs = KeyedVectors(vectors.width)
    theirs.add_vectors(vectors.words, vectors.vectors)
    return theirs


def _grid(n: int) -> tuple[WordVectors, list[str]]:
    """Words that come in pairs which differ by about the same step, so that some analogies hold."""
    rng = np.random.default_rng(1)
    names = [f"国{i}" if i % 2 else f"land{i}" for i in range(n)]
    starts = rng.standard_normal((n, 8))
    ends = starts + 1.5 + 0.35 * rng.standard_normal((n, 8))
    words = [*names, *(f"{name}首都" for name in names)]
    return WordVectors(words, np.concatenate([starts, ends]).astype(np.float32)), names


def test_similarity_is_gensims(tmp_path: Path) -> None:
    words = [f"word{i}" for i in range(30)] + ["北京", "上海"]
    vectors, rng = _of(words), np.random.default_rng(2)
    asked = [*words[:20], "Word21", "missing", "北京", "上海"]
    lines = [f"{asked[i]}\t{asked[j]}\t{round(rng.uniform(0, 10))}" for i in range(24) for j in range(i + 1, 24)]
    path = tmp_path / "pairs.txt"
    path.write_text("# a comment\n" + "\r\n".join(lines) + "\r\n", encoding="utf-8", newline="")
    (found,) = evaluate(vectors, [path])
    _, spearman, missing = _gensim(vectors).evaluate_word_pairs(str(path))
    assert found.value == pytest.approx(spearman[0], abs=1e-9)
    assert found.n - found.n_used == round(missing / 100 * found.n) == 23
    assert (found.file, found.kind, found.section, found.n, found.n_known) == ("pairs", "similarity", None, 276, 253)
    assert found.interval is not None
    assert found.interval[0] < spearman[0] < found.interval[1]
    assert evaluate(vectors, [path]) == [found]


def test_analogies_are_gensims_section_by_section(tmp_path: Path) -> None:
    vectors, names = _grid(12)
    lines = [": capitals"]
    lines += [f"{a} {a}首都 {b.upper()} {b}首都" for a in names[:8] for b in names[:8] if a != b]
    lines += [": reversed", *(f"{a}首都 {a} {b}首都 {b}" for a in names[6:] for b in names[6:] if a != b)]
    lines += ["nowhere nothing 国1 国1首都", ": capitals", f"{names[0]} {names[0]}首都 {names[9]} {names[9]}首都"]
    path = tmp_path / "questions.txt"
    path.write_text("\n".join(lines), encoding="utf-8")
    whole, capitals, other = evaluate(vectors, [path])
    score, sections = _gensim(vectors).evaluate_word_analogies(str(path))
    assert 0 < score < 1
    assert whole.value == pytest.approx(score)
    merged: dict[str, list[int]] = {}
    for section in sections[:-1]:  # gensim lists a name that comes again as another section
        hits, misses = merged.setdefault(section["section"], [0, 0])
        merged[section["section"]] = [hits + len(section["correct"]), misses + len(section["incorrect"])]
    for found in (capitals, other):
        assert found.section is not None
        hits, misses = merged[found.section]
        assert (found.value, found.n_used) == (pytest.approx(hits / (hits + misses)), hits + misses)
    assert (whole.n, whole.n_used, other.n - other.n_used) == (len(lines) - 3, len(lines) - 4, 1)


def test_of_words_that_differ_in_case_the_first_counts(tmp_path: Path) -> None:
    vectors = _of(["Polish", "polish", "shine", "POLE"])
    path = tmp_path / "pairs.txt"
    path.write_text("polish shine 3\npole shine 1\npole polish 2\n", encoding="utf-8")
    (found,) = evaluate(vectors, [path])
    assert found.value == pytest.approx(_gensim(vectors).evaluate_word_pairs(str(path), delimiter=" ")[1][0])


def test_fasttext_is_asked_about_words_that_it_does_not_know(tmp_path: Path) -> None:
    known = _of(["king", "queen"])
    table = np.random.default_rng(3).standard_normal((50, 6)).astype(np.float32)
    made = WordVectors(known.words, known.vectors, Subwords(table, 3, 6))
    path = tmp_path / "rare.txt"
    path.write_text("king\tqueen\t3\nKings\tqueens\t1\nkingship\tqueen\t2\nkingdom\tqueen\t2.5\n", encoding="utf-8")
    (found,) = evaluate(made, [path])
    assert (found.n, found.n_known, found.n_used) == (4, 1, 4)
    (plain,) = evaluate(known, [path])
    assert (plain.n_used, plain.value, plain.interval) == (1, None, None)
    assert made.similarity("kings", "queens") is not None


def test_the_bootstrap_is_as_wide_as_the_closed_form(tmp_path: Path) -> None:
    """Bonett and Wright 2000: the standard error of Fisher's z of a rank correlation r is sqrt((1 + r^2/2)/(n-3))."""
    rng = np.random.default_rng(4)
    n = 400
    words = [f"a{i}" for i in range(n)] + [f"b{i}" for i in range(n)]
    angles = rng.uniform(0.2, 2.8, n)
    vectors = WordVectors(
        words, np.concatenate([np.tile([1.0, 0.0], (n, 1)), np.stack([np.cos(angles), np.sin(angles)], axis=1)])
    )
    scores = -angles + rng.standard_normal(n)
    path = tmp_path / "pairs.txt"
    path.write_text("".join(f"a{i} b{i} {scores[i]}\n" for i in range(n)), encoding="utf-8")
    (found,) = evaluate(vectors, [path])
    assert found.value is not None and found.interval is not None
    half = 1.645 * np.sqrt((1 + found.value**2 / 2) / (n - 3)) * (1 - found.value**2)
    assert (found.interval[1] - found.interval[0]) / 2 == pytest.approx(half, rel=0.15)


def test_questions_of_the_same_pairs_say_no_more_than_the_pairs() -> None:
    """Forty pairs, each with each: whether the answer is right hangs on the first pair alone, or on nothing."""
    rng = np.random.default_rng(5)
    ends = [(i, j) for i in range(40) for j in range(40) if i != j]
    good = np.arange(40) < 20
    low, high = share_of_dyads(np.array([float(good[i]) for i, _ in ends]), ends, 0.9)
    assert (high - low) / 2 == pytest.approx(1.645 * np.sqrt(0.25 / 40), rel=0.15)
    low, high = share_of_dyads((rng.random(len(ends)) < 0.5).astype(float), ends, 0.9)
    assert (high - low) / 2 == pytest.approx(1.645 * np.sqrt(0.25 / len(ends)), rel=0.3)


def test_none_right_is_no_certainty() -> None:
    ends = [(i, j) for i in range(5) for j in range(5) if i != j]
    low, high = share_of_dyads(np.zeros(20), ends, 0.9)
    assert low == 0
    assert high == pytest.approx(1 - 0.05 ** (1 / 5))  # no hit among five


@pytest.mark.parametrize("ending", [".txt", ".txt.gz", ".txt.zst"])
def test_files_may_be_compressed(ending: str, tmp_path: Path) -> None:
    packed = {".txt": bytes, ".txt.gz": gzip.compress, ".txt.zst": zstandard.ZstdCompressor().compress}[ending]
    path = tmp_path / f"pairs{ending}"
    path.write_bytes(packed("\ufeff国王\t女王\t8.5\r\n".encode()))
    found = read(path)
    assert isinstance(found, Similarities)
    assert (found.name, found.pairs, found.scores.tolist()) == ("pairs", [("国王", "女王")], [8.5])


@pytest.mark.parametrize(
    ("content", "place", "said"),
    [
        (b"a b 1\na b\n", ":2", "two words and a score"),
        (b"a\tb\thigh\n", ":1", "two words and a score"),
        (b"a b nan\n", ":1", "two words and a score"),
        (b": x\n\na b c\n", ":3", "3 words, not four"),
        (b": x\n: y\n", "", "no analogies"),
        (b"\n# nothing\n", "", "no pairs"),
        (b"\xff\xfe\x00", "", "UTF-8"),
    ],
)
def test_files_that_are_neither_are_refused(content: bytes, place: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.txt"
    path.write_bytes(content)
    with pytest.raises(InputError, match=said) as caught:
        evaluate(_of(["a", "b"]), [path])
    assert str(caught.value.where).endswith(f"bad.txt{place}")


def test_files_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    for name in ("damaged.txt.zst", "damaged.txt.gz"):
        (tmp_path / name).write_bytes(b"no archive")
        with pytest.raises(InputError, match="cannot be read"):
            read(tmp_path / name)
    with pytest.raises(InputError, match="does not exist"):
        read(tmp_path / "none.txt")
    with pytest.raises(InputError, match="cannot be read"):
        read(tmp_path)


SIZES = {
    "EN-WS-353-ALL": 353, "EN-MEN-TR-3k": 3000, "EN-RW-STANFORD": 2034, "EN-RG-65": 65,
    "google-analogies": 19544, "ca8-morphological": 10177,
}  # fmt: skip


def test_the_published_sets_are_read_whole(shared: Callable[[str], Path]) -> None:
    folder = shared("eval-words")
    for name, n in SIZES.items():
        found = read(folder / f"{name}.txt.zst")
        assert found.name == name
        asked = found.pairs if isinstance(found, Similarities) else [q for s in found.sections.values() for q in s]
        assert len(asked) == n
    ca8 = read(folder / "ca8-morphological.txt.zst")
    assert isinstance(ca8, Analogies)
    assert set(ca8.sections) == {"A", "prefix", "AB", "suffix"}
