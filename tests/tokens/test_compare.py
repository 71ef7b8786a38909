"""Comparing tokenizers: counts against brute force, intervals against closed forms and coverage."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from assay.tokens import compare
from assay.tokens.compare import Documents, Ratio, against, measure, parity, ratio, row
from assay.tokens.learn import KINDS, Kind, train_tokenizer
from assay.tokens.tokenizer import Encoder

TEXTS = [
    "学而时习之，不亦说乎？", "有朋自远方来，不亦乐乎？", "The dog said 好 to the fox.", "", "人不知而不愠𠮷", "a dog",
    "The lazy fox was over the dog.",
]  # fmt: skip
LANGUAGES = ["zh", "zh", "en", "und", "zh", "en", "en"]
SOURCES = ["a", "a", "a", "a", "b", "b", "a"]


@pytest.fixture(scope="module")
def documents() -> Documents:
    return Documents(TEXTS, np.array(SOURCES), np.array(LANGUAGES), np.arange(len(TEXTS)))


@pytest.fixture(scope="module")
def encoders() -> dict[Kind, Encoder]:
    return {kind: Encoder(train_tokenizer([*TEXTS[:2], *TEXTS[5:]] * 9, 330, kind)) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_counts_equal_brute_force(
    encoders: dict[Kind, Encoder], documents: Documents, kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = encoders[kind]
    monkeypatch.setattr(compare, "AT_ONCE", 3)
    told: list[int] = []
    found = measure(encoder, documents, told.append)
    assert sum(told) == sum(len(text.encode()) for text in TEXTS)
    for i, text in enumerate(TEXTS):
        ids, _, begins, ends = encoder.places([text])
        counts = {"han": 0, "whole": 0, "alone": 0, "split": 0}
        for at, character in enumerate(text):
            if not ("\u4e00" <= character <= "\u9fff" or character == "𠮷"):
                continue
            counts["han"] += 1
            place = len(text[:at].encode())
            end = place + len(character.encode())
            over = [j for j in range(len(ids)) if begins[j] < end and ends[j] > place]
            if len(over) > 1:
                counts["split"] += 1
            elif over and ids[over[0]] != encoder.unknown:
                counts["whole"] += 1
                counts["alone"] += (begins[over[0]], ends[over[0]]) == (place, end)
        assert {name: getattr(found, name)[i] for name in counts} == counts, text
        assert found.tokens[i] == len(ids)
        assert found.unknown[i] == sum(j == encoder.unknown for j in ids)
    every = encoder.encode(TEXTS)[0]
    assert set(np.concatenate(list(found.used.values())).tolist()) == set(every.tolist())


def test_a_row_is_ratios_of_sums(encoders: dict[Kind, Encoder], documents: Documents) -> None:
    found = row("words", measure(encoders["word"], documents), documents, "a", "en")
    assert (found.documents, found.bytes, found.words) == (2, len((TEXTS[2] + TEXTS[6]).encode()), 16)
    assert found.tokens_per_word is not None
    assert found.tokens_per_word.value == 1  # of the word-level tokenizer, by definition
    assert found.bytes_per_token is not None
    assert found.bytes_per_token.value == found.bytes / 16
    assert found.unknown_share is not None
    assert found.unknown_share.value == 3 / 16  # said, 好 and to
    assert found.chinese_characters == 1
    assert row("words", measure(encoders["word"], documents), documents, "a", "und").bytes_per_token is None


def test_the_first_tokenizer_is_the_measure(encoders: dict[Kind, Encoder], documents: Documents) -> None:
    one, first = (measure(encoders[kind], documents) for kind in ("character", "wordpiece"))
    found = against(("c", "w"), one, first, documents, "a", "en")
    assert found is not None
    assert found.tokens.value == one.tokens[[2, 6]].sum() / first.tokens[[2, 6]].sum()
    same = against(("w", "w"), first, first, documents, "a", "en")
    assert same is not None
    assert (same.tokens.value, same.tokens.low, same.verdict) == (1.0, 1.0, "indistinguishable")
    alone = against(("c", "w"), one, first, documents, "b", "en")
    assert alone is not None
    assert (alone.tokens.low, alone.verdict) == (None, "no interval")
    assert against(("c", "w"), one, first, documents, "a", "und") is None


def test_a_language_pays_for_its_bytes_and_characters(encoders: dict[Kind, Encoder], documents: Documents) -> None:
    """A token a character: as many tokens for as many characters."""
    encoder = Encoder(train_tokenizer(TEXTS, 400, "character"))
    found = parity("c", measure(encoder, documents), documents, "zh", "en")
    assert found is not None
    assert found.per_character.value == 1
    zh, en = ([t for t, name in zip(TEXTS, LANGUAGES, strict=True) if name == wanted] for wanted in ("zh", "en"))
    per_byte = [len("".join(texts)) / len("".join(texts).encode()) for texts in (zh, en)]
    assert found.per_byte.value == pytest.approx(per_byte[0] / per_byte[1])
    assert parity("c", measure(encoder, documents), documents, "zh", "fr") is None


def test_the_interval_of_a_mean_is_students() -> None:
    """With ones below, a ratio is a mean."""
    values = np.array([3.0, 5.0, 4.0, 9.0, 2.0])
    found = ratio(values, np.ones(5), np.arange(5))
    assert found is not None
    wanted = stats.t.interval(0.95, 4, loc=values.mean(), scale=stats.sem(values))
    assert (found.low, found.high) == pytest.approx(wanted)
    units = np.array([0, 0, 1, 1, 2])  # pieces of one text are drawn together
    together = ratio(np.array([8.0, 13.0, 2.0]), np.array([2.0, 2.0, 1.0]), np.arange(3))
    assert ratio(values, np.ones(5), units) == together
    assert ratio(values, np.ones(5), np.zeros(5)) == Ratio(values.mean())
    assert ratio(values, np.zeros(5), np.arange(5)) is None


def test_intervals_cover() -> None:
    """Documents of very different lengths, whose density varies: 95 % of the intervals hold the ratio of the whole."""
    rng = np.random.default_rng(1)

    def drawn(n: int) -> tuple[np.ndarray, np.ndarray]:
        size = rng.lognormal(5, 0.7, n)
        return size * rng.normal(0.3, 0.03, n), size

    hits, tests = 0, 1000
    for _ in range(tests):
        found = ratio(*drawn(40), np.arange(40))
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        hits += found.low < 0.3 < found.high
    assert 0.92 < hits / tests < 0.97
