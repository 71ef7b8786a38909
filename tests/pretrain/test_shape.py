"""What a recipe says, as values: every key has an effect, and what a model cannot be is refused."""

from __future__ import annotations

from functools import cache

import pytest

from assay.errors import InputError
from assay.pretrain import shape
from assay.recipe.load import load
from assay.recipe.pretrain import PretrainRecipe
from assay.tokens.learn import train_tokenizer
from assay.tokens.tokenizer import Encoder
from trainings import RECIPES, TOY


@cache
def encoder() -> Encoder:
    """A tokenizer for every objective."""
    special = ("<|pad|>", "<|end|>", "<|mask|>")
    return Encoder(train_tokenizer(["some words of a text"] * 4, 300, special=special))


def recipe(name: str, *settings: str) -> PretrainRecipe:
    return load(PretrainRecipe, RECIPES / f"{name}.yaml", [*TOY, *settings])[0]


REFUSED = [
    ("gpt", "activation: xyz", "activation", "'silu'", "xyz"),
    ("gpt", "window: abc", "window", "integer"),
    ("gpt", "window: 0", "window", "greater than or equal to 1"),
    ("gpt", "dropout: 2", "dropout", "less than 1"),
    ("gpt", "norm: xyz", "norm", "'rms'", "'layer'"),
    ("gpt", "positions: xyz", "positions", "'rotary'", "'learned'"),
    ("gpt", "softcap: .nan", "softcap", "finite"),
    ("gpt", "gated: 1", "gated", "boolean"),
    ("gpt", "cross: true", "cross"),
    ("gpt", "rotary_scaling: {factor: 0, low: 1, high: 4, original: 16}", "rotary_scaling.factor", "greater than 0"),
    ("gpt", "positions: learned, rotary: halves", "rotary", "changes nothing"),
    ("bert", "head: false", "head"),
    ("bert", "cross: true", "cross"),
    ("bert", "window: 8", "window", "changes nothing"),
    ("bert", "positions: rotary", "positions", "rotary: halves"),
    ("bart", "layers: [2, 0]", "layers.1", "greater than or equal to 1"),
    ("bart", "cross: true", "cross"),
    ("bart", "start: 3", "start", "tokenizer"),
    ("bart", "max_length: 16", "take 17", "has 16"),
    ("t5", "distance: 8", "distance", "more than 16"),
    ("lstm", "cell: xyz", "cell", "'gru'"),
    ("lstm", "both_ways: true", "both_ways"),
    ("lstm", "hidden: 0", "hidden", "greater than or equal to 1"),
]
"""Fields that a recipe can get wrong: recipe, value, and what the line says."""


@pytest.mark.parametrize(("name", "more", "parts"), [(name, more, parts) for name, more, *parts in REFUSED])
def test_fields_of_a_config_are_held_to_their_types_and_ranges(name: str, more: str, parts: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        shape.model_config(recipe(name, f"model.more={{{more}}}"), encoder())
    for part in ("model.more", *parts):
        assert part in caught.value.line(), caught.value.line()
    assert "\n" not in caught.value.line()


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("gpt", "window: 4, kv_heads: 1, softcap: 15, rotary_base: 1000, dropout: 0"),
        ("gpt", "rotary_scaling: {factor: 8, low: 1, high: 4, original: 16}"),
        ("bert", "positions: rotary, rotary: halves"),
        ("bart", "layers: [1, 2], first_position: 0"),
        ("t5", "buckets: 8, distance: 16"),
        ("lstm", "hidden: 24, tied: false"),
        ("gpt", "window: null"),
    ],
)
def test_fields_that_a_config_has_are_taken_over(name: str, more: str) -> None:
    shape.model_config(recipe(name, f"model.more={{{more}}}"), encoder())
