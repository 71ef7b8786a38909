"""Objectives: what is hidden can be put back, shares are as asked, and a step's batch is always the same."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.models.attention import PADDING
from assay.models.protocol import Batch
from assay.tokens.stream import END_OF_TEXT_ID, segments_of
from assay.train.objectives import Causal, Denoising, Masked, Objective, SpanCorruption, noise_spans, pairs

V, MASK, END, START = 100, 99, 98, 97
SENTINELS = tuple(range(80, 97))
B, T = 6, 40
OBJECTIVES: dict[str, Objective] = {
    "causal": Causal(),
    "masked": Masked(MASK, 80),
    "words": Masked(MASK, 80, continues=lambda ids: ids % 3 > 0),
    "spans": SpanCorruption(SENTINELS, END, START),
    "denoising": Denoising(MASK, END, START),
}


def rows(seed: int = 0, count: int = B) -> np.ndarray:
    made = np.random.default_rng(seed).integers(1, 80, (count, T + 1))
    made[:, 0] = made[1:3, 17] = END_OF_TEXT_ID
    return made


def arrays(batch: Batch) -> list[np.ndarray]:
    found = (batch.inputs_BT, batch.targets_BT, batch.segments_BT, batch.source_BS, batch.source_segments_BS)
    return [tensor.numpy() for tensor in found if tensor is not None]


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_steps_batch_is_always_the_same_and_other_steps_are_others(name: str) -> None:
    objective = OBJECTIVES[name]
    before = rows().copy()
    one, same = arrays(objective(rows(), 3, 7)), arrays(objective(rows(), 3, 7))
    assert all(np.array_equal(a, b) for a, b in zip(one, same, strict=True))
    assert np.array_equal(rows(), before)
    if name != "causal":
        for seed, step in ((3, 8), (4, 7)):
            other = arrays(objective(rows(), seed, step))
            assert not all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_masked_hides_as_many_as_asked_and_predicts_what_stood_there() -> None:
    text = rows(1, 600)
    batch = OBJECTIVES["masked"](text, 0, 0)
    inputs, targets, segments = arrays(batch)
    wanted, original = targets >= 0, text[:, :-1]
    assert np.array_equal(targets[wanted], original[wanted])
    assert np.array_equal(inputs[~wanted], original[~wanted])
    assert np.array_equal(segments, segments_of(original))
    assert not wanted[original == END_OF_TEXT_ID].any()
    assert wanted.mean() == pytest.approx(0.15 * (original != END_OF_TEXT_ID).mean(), abs=0.01)
    shown, stood = inputs[wanted], original[wanted]
    assert (shown == MASK).mean() == pytest.approx(0.8, abs=0.02)
    assert ((shown != MASK) & (shown != stood)).mean() == pytest.approx(0.1, abs=0.015)
    assert END_OF_TEXT_ID not in shown


def test_words_are_hidden_whole() -> None:
    text = rows(1, 300)
    _, targets, _ = arrays(OBJECTIVES["words"](text, 0, 0))
    original, wanted = text[:, :-1], targets >= 0
    goes_on = (original % 3 > 0)[:, 1:] & (original[:, :-1] != END_OF_TEXT_ID) & (original[:, 1:] != END_OF_TEXT_ID)
    assert np.array_equal(wanted[:, 1:][goes_on], wanted[:, :-1][goes_on])
    assert wanted.mean() == pytest.approx(0.15, abs=0.02)


def test_a_batch_always_has_a_target() -> None:
    batch = Masked(MASK, 80, share=0.0)(rows(), 0, 0)
    assert (batch.targets_BT >= 0).sum() == 1


@given(st.integers(0, 200), st.floats(0.05, 0.9), st.floats(1, 9), st.integers(0, 99))
@settings(max_examples=200, deadline=None)
def test_spans_are_as_many_and_as_long_as_asked(length: int, share: float, mean: float, seed: int) -> None:
    hidden = noise_spans(length, share, mean, np.random.default_rng(seed))
    assert len(hidden) == length
    if length < 2:
        assert not hidden.any()
        return
    assert hidden.sum() == min(max(round(length * share), 1), length - 1)
    spans = (np.diff(np.concatenate([[0], hidden.astype(int)])) == 1).sum()
    assert spans == min(max(round(hidden.sum() / mean), 1), hidden.sum(), length - hidden.sum())
    assert not hidden[0]


def documents(batch: Batch, b: int) -> list[tuple[list[int], list[int], list[int]]]:
    """Source, inputs and targets of each document in a row."""
    inputs, targets, segments, source, source_segments = (array[b] for array in arrays(batch))
    assert np.array_equal(segments == PADDING, targets == -1)
    assert set(segments) - {PADDING} == set(source_segments) - {PADDING}
    return [
        (source[source_segments == k].tolist(), inputs[segments == k].tolist(), targets[segments == k].tolist())
        for k in range(segments.max() + 1)
    ]


def texts(row: np.ndarray) -> list[list[int]]:
    return [text.tolist() for text in np.split(row, np.flatnonzero(row[1:] == END_OF_TEXT_ID) + 1)]


def test_what_sentinels_stand_for_puts_each_document_together_again() -> None:
    batch = OBJECTIVES["spans"](rows(), 0, 0)
    for b, row in enumerate(rows()[:, :-1]):
        found = documents(batch, b)
        assert len(found) == len(texts(row)) == (2 if b in (1, 2) else 1)
        for (source, inputs, targets), text in zip(found, texts(row), strict=True):
            assert source[-1] == targets[-1] == END
            assert inputs == [START, *targets[:-1]]
            meaning: dict[int, list[int]] = {}
            for token in targets[:-1]:
                if token in SENTINELS:
                    meaning[last := token] = []
                else:
                    meaning[last].append(token)
            assert [t for s in source[:-1] for t in meaning.get(s, [s])] == text
            assert list(meaning) == list(SENTINELS[: len(meaning)])


def test_denoising_asks_for_the_whole_text() -> None:
    batch = OBJECTIVES["denoising"](rows(), 0, 0)
    for b, row in enumerate(rows()[:, :-1]):
        for (source, inputs, targets), text in zip(documents(batch, b), texts(row), strict=True):
            assert targets == [*text, END]
            assert inputs == [START, *text]
            kept = [t for t in source[:-1] if t != MASK]
            assert 0.55 < len(kept) / len(text) < 0.85
            at = iter(text)
            assert all(token in at for token in kept)  # in their order


def test_too_many_spans_are_refused() -> None:
    with pytest.raises(ValueError, match="sentinels"):
        SpanCorruption(SENTINELS[:1], END, START, share=0.5, mean=1.0)(rows(), 0, 0)


def test_pairs_are_shifted_and_what_fills_rows_counts_for_nothing() -> None:
    batch = pairs([[5, 6, END], [7, END]], [[8, END], [9, 10, 11, END]], START)
    inputs, targets, of_targets, source, segments = arrays(batch)
    assert of_targets.tolist() == [[0, 0, PADDING, PADDING], [0, 0, 0, 0]]
    assert inputs.tolist() == [[START, 8, 0, 0], [START, 9, 10, 11]]
    assert targets.tolist() == [[8, END, -1, -1], [9, 10, 11, END]]
    assert source.tolist() == [[5, 6, END], [7, END, 0]]
    assert segments.tolist() == [[0, 0, 0], [0, 0, PADDING]]


@pytest.mark.parametrize(
    "objective",
    [
        Causal(),
        Masked(1, V),
        SpanCorruption(tuple(range(V, V + 200)), V + 200, V + 201),
        Denoising(1, V + 200, V + 201),
    ],
    ids=lambda objective: type(objective).__name__,
)
def test_shares_are_what_becomes_of_a_row(objective: Objective) -> None:
    T = 1000
    row = np.random.default_rng(0).integers(2, V, (4, T + 1))  # one document a row
    batch, shares = objective(row, 0, 0), objective.shares
    predicted = int((batch.targets_BT >= 0).sum()) / row[:, 1:].size
    if batch.source_BS is None or batch.source_segments_BS is None:
        assert predicted == pytest.approx(shares.predicted, rel=0.05)
        return
    read = int((batch.source_segments_BS != PADDING).sum()) / row[:, 1:].size
    assert (read, predicted) == pytest.approx((shares.source, shares.target), rel=0.05)
