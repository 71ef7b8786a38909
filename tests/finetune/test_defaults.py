"""The recipe of a task: what is not said keeps what suits fine-tuning, whatever else of its section is said."""

from __future__ import annotations

import pytest

from assay.recipe.finetune import FinetuneRecipe
from assay.recipe.load import load

KEYS = ["train.seed=3", "optimizer.rest=adam", "schedule.cycles=2"]


@pytest.mark.parametrize("key", KEYS)
def test_saying_one_key_changes_no_other(key: str) -> None:
    plain, _ = load(FinetuneRecipe, None)
    said, _ = load(FinetuneRecipe, None, [key])
    section, name = key.partition("=")[0].split(".")
    changed = {k: v for k, v in said.model_dump()[section].items() if v != plain.model_dump()[section][k]}
    assert set(changed) == {name}


def test_the_defaults_are_those_of_fine_tuning() -> None:
    recipe, _ = load(FinetuneRecipe, None, ["train.row_tokens=64"])
    assert (recipe.train.batch_rows, recipe.optimizer.clip_norm, recipe.schedule.kind) == (32, 1.0, "linear")
