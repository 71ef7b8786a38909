"""The recipes in recipes/: each is read, says what it is for, and makes a plan that can be paid for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from assay.impact.plan import SourceText, make_plan
from assay.impact.shape import choose_shape
from assay.recipe.load import load, parse_quantity
from assay.recipe.study import StudyRecipe

TEN_MINUTES = 5e6  # tokens: what a slow machine computes in that time
RECIPES = sorted((Path(__file__).parents[1] / "recipes").glob("*.yaml"))


def _no_probe(rung: tuple[int, int, int, int], dtype: str) -> float:
    raise AssertionError("--tokens measures nothing")


def test_there_are_recipes() -> None:
    assert RECIPES


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_is_read_explained_and_planned(path: Path) -> None:
    recipe, origins = load(StudyRecipe, path)
    assert recipe != StudyRecipe()
    assert origins and set(origins.values()) == {str(path)}

    content = path.read_text(encoding="utf-8")
    assert content.startswith("# ")
    assert f"assay study my-texts/ --recipe recipes/{path.name} " in content

    # The budget of its example buys all of it, on three sources of half a million tokens each.
    said = re.search(r"--tokens (\S+)", content)
    tokens = parse_quantity(said[1], "tokens") if said else TEN_MINUTES
    shape = choose_shape(recipe, tokens, None, workers=2, n_sources=3, probe=_no_probe)
    texts = [SourceText(name, 500_000, 400) for name in ("books", "news", "talk")]
    plan = make_plan(recipe, shape, texts)
    assert len(plan.seeds) == recipe.train.seeds
    wanted = {
        (defect, dose)
        for defect in recipe.design.defects
        for dose in (*recipe.design.doses, *recipe.design.held_out_doses)
    }
    assert {(cell.defect, cell.dose) for cell in plan.cell_list() if cell.defect} == wanted
    assert plan.planned_tokens <= tokens
