"""Processors of logits against transformers', and draws against the probabilities that they are of."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from assay.errors import InputError
from assay.inference import sampling
from assay.inference.sampling import NEVER, Rules, Sampling

V = 50


def logits(rows: int = 7, spread: float = 3.0) -> Tensor:
    return torch.randn(rows, V, generator=torch.Generator().manual_seed(0)) * spread


def theirs() -> Any:
    return pytest.importorskip("transformers.generation.logits_process")


def assert_same(mine: Tensor, expected: Tensor) -> None:
    assert torch.equal(mine == NEVER, expected == NEVER)
    torch.testing.assert_close(mine, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("spread", [0.1, 3.0, 20.0])
@pytest.mark.parametrize(
    ("own", "name", "value"),
    [
        ("temperature", "TemperatureLogitsWarper", 0.7),
        ("top_k", "TopKLogitsWarper", 5),
        ("top_k", "TopKLogitsWarper", 500),
        ("top_p", "TopPLogitsWarper", 0.9),
        ("top_p", "TopPLogitsWarper", 0.05),
        ("min_p", "MinPLogitsWarper", 0.1),
        ("typical", "TypicalLogitsWarper", 0.9),
        ("typical", "TypicalLogitsWarper", 0.2),
    ],
)
def test_each_cut_is_that_of_transformers(own: str, name: str, value: Any, spread: float) -> None:
    expected = getattr(theirs(), name)(value)(torch.zeros(7, 1, dtype=torch.int64), logits(spread=spread))
    assert_same(Sampling(**{own: value}).shape(logits(spread=spread)), expected)


def test_all_cuts_together_are_applied_in_the_order_of_transformers() -> None:
    of = theirs()
    chain = [of.TemperatureLogitsWarper(1.3), of.TopKLogitsWarper(20), of.TopPLogitsWarper(0.8),
             of.MinPLogitsWarper(0.05), of.TypicalLogitsWarper(0.7)]  # fmt: skip
    expected = logits()
    for one in chain:
        expected = one(None, expected)
    assert_same(Sampling(1.3, top_k=20, top_p=0.8, min_p=0.05, typical=0.7).shape(logits()), expected)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_rules_are_those_of_transformers(n: int) -> None:
    of = theirs()
    said = torch.randint(0, 6, (7, 30), generator=torch.Generator().manual_seed(1))
    expected = of.RepetitionPenaltyLogitsProcessor(1.4)(said, logits())
    assert_same(Rules(repetition=1.4).apply(logits(), said), expected)
    expected = of.NoRepeatNGramLogitsProcessor(n)(said, logits())
    assert expected.isinf().any()
    assert_same(Rules(no_repeat=n).apply(logits(), said), expected)
    expected = of.SuppressTokensLogitsProcessor([3, 8], device="cpu")(said, logits())
    assert_same(Rules(banned=(3, 8)).apply(logits(), None), expected)


@pytest.mark.parametrize("rules", [Rules(repetition=1.4), Rules(no_repeat=1), Rules(no_repeat=3)])
def test_what_fills_shorter_rows_is_no_word_that_was_said(rules: Rules) -> None:
    rows = [torch.randint(0, 4, (n,), generator=torch.Generator().manual_seed(n)) for n in (9, 2, 1, 5)]
    padded = torch.stack([torch.cat([torch.full((9 - len(row),), -1), row]) for row in rows])
    together = rules.apply(logits(4), padded)
    for b, row in enumerate(rows):
        assert torch.equal(together[b], rules.apply(logits(4)[b : b + 1], row[None])[0])


def test_draws_have_the_probabilities_that_they_are_of() -> None:
    """Chi-squared over 40,000 draws, of one key's steps and of many keys' first."""
    shaped = Sampling(top_k=8).shape(logits(1, 1.0))
    expected = shaped[0].softmax(dim=-1).numpy()
    keys = sampling.keys_of(3, [1, 2], 200)
    for uniforms in (
        np.concatenate([sampling.uniforms(keys[:1], step) for step in range(40_000)]),
        np.concatenate([sampling.uniforms(keys, step) for step in range(200)]),
    ):
        ids = sampling.draw(shaped.expand(len(uniforms), -1), torch.from_numpy(uniforms))
        counts = np.bincount(ids.numpy(), minlength=V)
        assert counts[expected == 0].sum() == 0
        seen = expected > 0
        away = ((counts - len(uniforms) * expected)[seen] ** 2 / (len(uniforms) * expected[seen])).sum()
        assert away < 24.3  # 7 degrees of freedom: exceeded once in a thousand


def test_uniforms_are_splitmix64s() -> None:
    """The first numbers of seed 1234567, as its author's reference gives them."""
    found = [sampling.uniforms(np.array([1234567], dtype=np.uint64), step)[0] for step in range(3)]
    expected = (6457827717110365317, 3203168211198807973, 9817491932198370423)
    assert found == [(z >> 11) * 2.0**-53 for z in expected]


def test_the_ends_of_the_unit_interval_draw_what_has_a_probability() -> None:
    shaped = torch.full((2, V), NEVER)
    shaped[:, 7:9] = 0.0
    ends = torch.tensor([0.0, 1 - 2.0**-53], dtype=torch.float64)
    assert sampling.draw(shaped, ends).tolist() == [7, 8]


def test_keys_differ_by_seed_prompt_and_answer() -> None:
    keys = [*sampling.keys_of(0, [1, 2], 3), *sampling.keys_of(1, [1, 2], 3), *sampling.keys_of(0, [12], 3)]
    assert len(set(map(int, keys))) == 9
    assert sampling.keys_of(0, [1, 2], 1)[0] == keys[0]


@pytest.mark.parametrize(
    "made",
    [
        lambda: Sampling(-1.0), lambda: Sampling(float("nan")), lambda: Sampling(top_k=0), lambda: Sampling(top_p=0.0),
        lambda: Sampling(min_p=1.5), lambda: Sampling(typical=-0.1), lambda: Rules(repetition=0.0),
        lambda: Rules(no_repeat=-1),
    ],
)  # fmt: skip
def test_settings_out_of_their_range_are_told(made: Any) -> None:
    with pytest.raises(InputError, match="-> give"):
        made()
