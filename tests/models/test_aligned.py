"""Vectors of two languages in one space: a rotation that was planted is found, and translations with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from assay.errors import InputError
from assay.models import vectors
from assay.models.vectors import WordVectors
from assay.models.vectors.aligned import aligned, joined, translations
from assay.models.vectors.values import Subwords
from assay.pretrain.align import align


def _two(noise: float = 0.0, n: int = 400, width: int = 30) -> tuple[WordVectors, WordVectors]:
    """Vectors, and the same rotated, with noise; words a0, a1 ... and b0, b1 ..."""
    rng = np.random.default_rng(0)
    table = rng.standard_normal((n, width)).astype(np.float32)
    turn, _ = np.linalg.qr(rng.standard_normal((width, width)))
    other = (table + noise * rng.standard_normal(table.shape)) @ turn
    return (
        WordVectors([f"a{i}" for i in range(n)], table),
        WordVectors([f"b{i}" for i in range(n)], other.astype(np.float32)),
    )


def _pairs(n: int) -> list[tuple[str, str]]:
    return [(f"a{i}", f"b{i}") for i in range(n)]


def test_a_planted_rotation_is_found_again() -> None:
    one, other = _two()
    turned = aligned(one, other, _pairs(40))
    assert np.allclose(turned.vectors, one.vectors, atol=1e-4)


def test_cosines_within_the_language_stay() -> None:
    one, other = _two(noise=0.5)
    turned = aligned(one, other, _pairs(60), rounds=2)
    for i in range(0, 40, 7):
        assert turned.similarity(f"b{i}", f"b{i + 1}") == pytest.approx(
            other.similarity(f"b{i}", f"b{i + 1}"), abs=1e-5
        )


def test_words_that_no_pair_names_are_translated_and_rounds_help() -> None:
    one, other = _two(noise=0.8)
    words = [f"a{i}" for i in range(100, 400)]

    def right(turned: WordVectors) -> float:
        found = translations(one, turned, words)
        return float(np.mean([best == [f"b{word[1:]}"] for word, best in zip(words, found, strict=True)]))

    few, rounds = right(aligned(one, other, _pairs(30))), right(aligned(one, other, _pairs(30), rounds=3))
    assert rounds > 0.9
    assert rounds >= few
    assert right(other) < 0.05  # before


def test_pieces_of_words_turn_with_them() -> None:
    one, other = _two()
    pieces = Subwords(np.random.default_rng(1).standard_normal((50, 30)).astype(np.float32), 3, 4)
    turned = aligned(one, WordVectors(other.words, other.vectors, pieces), _pairs(40))
    turn = np.linalg.lstsq(other.vectors, turned.vectors, rcond=None)[0]
    assert turned.subwords is not None
    assert np.allclose(turned.subwords.table, pieces.table @ turn, atol=1e-3)


def test_both_vocabularies_in_one() -> None:
    one = WordVectors(["x", "same"], np.array([[1, 0], [0, 2]], np.float32))
    other = WordVectors(["same", "y"], np.array([[0, 4], [3, 3]], np.float32))
    both = joined(one, other)
    assert set(both.words) == {"x", "same", "y"}
    assert both.vector("same").tolist() == [0, 3]  # type: ignore[union-attr]


def test_what_cannot_be_aligned_is_told() -> None:
    one, other = _two()
    with pytest.raises(InputError, match="of 40 pairs are words of both"):
        aligned(one, other, [("nothing", "nichts")] * 40)
    with pytest.raises(InputError, match="numbers"):
        aligned(one, WordVectors(other.words, other.vectors[:, :20]), _pairs(40))
    assert translations(one, other, ["unknown"]) == [[]]


def test_the_verb_judges_by_pairs_that_it_held_back(tmp_path: Path) -> None:
    one, other = _two(noise=0.3)
    vectors.save(one, tmp_path / "en")
    vectors.save(other, tmp_path / "zh")
    (tmp_path / "d.tsv").write_text("".join(f"{a}\t{b}\n" for a, b in _pairs(120)), encoding="utf-8")
    made = align(tmp_path / "en", tmp_path / "zh", tmp_path / "d.tsv", tmp_path / "out", rounds=1, both=True)
    assert made["held_out"]["n"] == 24
    assert made["held_out"]["value"] > 0.9
    both = vectors.load(tmp_path / "out")
    assert {"a0", "b0"} <= set(both.words)
    assert both.similarity("a3", "b3") > 0.8  # type: ignore[operator]
    (tmp_path / "bad.tsv").write_text("one\ttwo\nthree\n", encoding="utf-8")
    with pytest.raises(InputError, match="is no pair of words"):
        align(tmp_path / "en", tmp_path / "zh", tmp_path / "bad.tsv", tmp_path / "x", rounds=0, both=False)
