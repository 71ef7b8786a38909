"""What a recipe says, as values: every key has an effect, and what a model cannot be is refused."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from functools import cache

import numpy as np
import pytest
import yaml
from torch import Tensor

from assay.errors import InputError
from assay.models.decoder import Decoder
from assay.pretrain import shape
from assay.recipe.load import load
from assay.recipe.pretrain import PretrainRecipe
from assay.tokens.learn import train_tokenizer
from assay.tokens.tokenizer import Encoder
from assay.train.feed import Phase, slots_of
from assay.train.loop import TrainState
from assay.train.objectives import NEXT_TOKEN
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
    config = asdict(shape.model_config(recipe(name, f"model.more={{{more}}}"), encoder()))
    held = json.loads(json.dumps(config | config.get("block", {})))
    for field, value in yaml.safe_load(f"{{{more}}}").items():
        assert held[field] == value


@cache
def trained(*settings: str) -> dict[str, Tensor]:
    """The weights after three steps of a recipe of a proxy decoder."""
    own = recipe("gpt", "model.preset=proxy", *settings)
    state = TrainState(shape.train_spec(own, shape.model_config(own, encoder())))
    schedule = shape.schedule(own, 10)
    for step in range(3):
        rows = np.random.default_rng(step).integers(1, encoder().vocabulary, (4, 17))
        state.update(NEXT_TOKEN(rows, 0, step), schedule.factor(step + 3))
    return {name: tensor.clone() for name, tensor in state.masters.items()}


@pytest.mark.parametrize(
    "setting",
    [
        "optimizer.matrix=adamw", "optimizer.matrix=sgd", "optimizer.rest=sgd", "optimizer.rest=adafactor",
        "optimizer.matrix_lr=0.001", "optimizer.embedding_lr=0.001", "optimizer.head_lr=0.001",
        "optimizer.momentum=0.5", "optimizer.betas=[0.5, 0.9]", "optimizer.weight_decay=0.5", "optimizer.l1=0.1",
        "optimizer.clip_value=1e-6", "optimizer.clip_norm=1e-4", "objective.smoothing=0.2", "objective.z=0.1",
        "train.base_width=8", "train.seed=1", "schedule.kind=linear", "schedule.kind=cosine", "schedule.kind=restarts",
        "schedule.warmup=1",
    ],
)  # fmt: skip
def test_every_key_of_the_arithmetic_has_an_effect(setting: str) -> None:
    plain, other = trained(), trained(setting)
    assert all(tensor.isfinite().all() for tensor in other.values())
    assert any((tensor - plain[name]).abs().max() > 1e-6 for name, tensor in other.items())


def test_pieces_and_computing_anew_have_none() -> None:
    plain = trained()
    for setting in ("train.micro_rows=3", "train.checkpointing=true"):
        own = recipe("gpt", setting)
        state = TrainState(shape.train_spec(own, shape.model_config(own, encoder())))
        assert isinstance(state.model, Decoder)
        assert (state._micro_rows, state.model.checkpointing) == ((3, False) if "rows" in setting else (None, True))
        for name, tensor in trained(setting).items():
            assert (tensor - plain[name]).abs().max() < 1e-4, name


@pytest.mark.parametrize(
    ("settings", "ends"),
    [
        (("kind=constant",), (0.5, 1, 1)),
        (("kind=wsd", "decay=0.5"), (0.5, 1, 1 - (10 / 11) ** 0.5)),
        (("kind=linear",), (0.5, 1, 1 / 18)),
        (("kind=linear", "final=0.1"), (0.5, 1, 0.1 + 0.9 / 18)),
        (("kind=restarts", "cycles=5", "final=0.5"), (0.5, 1, 0.5 + 0.25 * (1 + math.cos(math.pi * 2.6 / 3.6)))),
        (("kind=linear", "warmup=0"), (1, 0.95, 1 / 20)),
    ],
)
def test_a_schedule_is_what_its_keys_say(settings: tuple[str, ...], ends: tuple[float, float, float]) -> None:
    """Its first two factors and its last one, of 20 steps."""
    made = shape.schedule(recipe("gpt", "schedule.warmup=0.1", *(f"schedule.{one}" for one in settings)), 20)
    assert [made.factor(step) for step in (0, 1, 19)] == pytest.approx(ends)


@pytest.mark.parametrize(
    ("settings", "steps", "phases"),
    [
        ((), 6, [(6, 4, 1)]),
        (("fewer=[[0.5, 4]]",), 6, [(5, 1, 1), (1, 4, 1)]),
        (("fewer=[[0.5, 4]]",), 1, [(1, 1, 1)]),
        (("fewer=[[0.5, 2]]", "shorter=[[0.75, 2]]"), 12, [(8, 2, 2), (2, 4, 2), (2, 4, 1)]),
        (("shorter=[[0.0, 2]]",), 5, [(5, 4, 1)]),
    ],
)
def test_steps_are_steps_whatever_the_phases(
    settings: tuple[str, ...], steps: int, phases: list[tuple[int, int, int]]
) -> None:
    own = recipe("gpt", *(f"train.{one}" for one in settings))
    assert shape.phases_of(own, steps) == tuple(Phase(*phase) for phase in phases)
    by_rows = shape.phases(own, 600)
    assert abs(slots_of(by_rows, sum(p.steps for p in by_rows)) - 600) <= 4 * len(by_rows)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (("train.batch_rows=3", "train.shorter=[[0.5, 2]]"), "3 rows a step cannot be dealt out evenly to 2"),
        (("train.fewer=[[0.5, 4]]",), "1 rows a step cannot be dealt out evenly to 2"),
        (("train.parallel=fsdp", "train.average=0.9"), "train.average"),
        (("train.parallel=fsdp", "train.batch_rows=5"), "5 rows a step"),
        (("train.parallel=tensor", "train.average=0.9", "train.batch_rows=3"), None),
        ((), None),
    ],
)
def test_what_processes_cannot_share_is_refused_for_all_phases_at_once(
    settings: tuple[str, ...], told: str | None
) -> None:
    if told is None:
        shape.check_processes(recipe("gpt", *settings), 2)
        return
    with pytest.raises(InputError, match=told):
        shape.check_processes(recipe("gpt", *settings), 2)
