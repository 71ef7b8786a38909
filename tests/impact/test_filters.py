"""Filters and their controls: which documents are read, how much of them, and what is told."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from assay.corpus.reading.source import ReadOptions
from assay.corpus.scan import Corpus, scan
from assay.corpus.split import SplitOptions
from assay.errors import InputError
from assay.impact import design, filters
from assay.impact.plan import Plan, SourceText, make_plan
from assay.impact.shape import choose_shape
from assay.recipe.load import load
from assay.recipe.study import StudyRecipe
from assay.store import Store

SHORT = "n_words >= 40"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory, store: Store) -> Corpus:
    """Two sources; half of the documents of one are short, a tenth of the other's."""
    folder, rng = tmp_path_factory.mktemp("corpus"), random.Random(3)
    for source, share in (("mixed", 0.5), ("long", 0.1)):
        lines = []
        for i in range(400):
            words = 20 if rng.random() < share else 120
            lines.append(json.dumps({"text": " ".join(f"{source}{i}x{rng.randrange(10**6)}" for _ in range(words))}))
        (folder / f"{source}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return scan([str(folder)], ReadOptions(), SplitOptions(), store)


@pytest.fixture(scope="module")
def found(corpus: Corpus, store: Store) -> filters.Filter:
    return filters.decided(SHORT, corpus, store)


@pytest.fixture(scope="module")
def plan(corpus: Corpus, found: filters.Filter) -> Plan:
    recipe = load(StudyRecipe, None, ["design.axes=[size]", f"design.filters=['{SHORT}']"])[0]
    texts = [SourceText(s, corpus.train_bytes(s) / 3.0, 360) for s in corpus.sources]
    return make_plan(recipe, choose_shape(recipe, 2e6, None, 2, 2, lambda *_: 1.0), texts, {SHORT: found.kept})


def read(corpus: Corpus) -> pl.DataFrame:
    rows = [row for batch in corpus.read("train", ["doc_id", "source", "text", "n_bytes"]) for row in batch.to_pylist()]
    return pl.DataFrame(rows)


def test_shares_are_those_of_the_training_text(corpus: Corpus, found: filters.Filter) -> None:
    rows = read(corpus).with_columns(kept=pl.col("text").str.split(" ").list.len() >= 40)
    for source, share in found.kept.items():
        own = rows.filter(pl.col("source") == source)
        assert share == pytest.approx(own.filter("kept")["n_bytes"].sum() / own["n_bytes"].sum())
    assert found.kept["mixed"] < found.kept["long"] < 1


def test_a_filter_and_its_control_have_one_mixture_and_one_volume(
    corpus: Corpus, found: filters.Filter, plan: Plan
) -> None:
    cells = {cell.name: cell for cell in plan.cell_list()}
    kept, control = cells[design.filtered(SHORT)], cells[design.dropped(SHORT)]
    assert (
        kept.weights == control.weights
        and kept.axis == "filter"
        and (kept.stream, control.stream) == ("filter-0", "drop-0")
    )
    odds = {s: plan.natural[s] * found.kept[s] for s in plan.natural}
    assert kept.weights == pytest.approx({s: odds[s] / sum(odds.values()) for s in odds})
    chosen = pl.concat([pl.from_arrow(b) for b in filters.kept_documents(found, corpus, plan)])
    at_random = pl.concat([pl.from_arrow(b) for b in filters.dropped_at_random(found, corpus, plan, 0)])
    assert chosen["text"].str.split(" ").list.len().min() == 120
    assert at_random["text"].str.split(" ").list.len().min() == 20
    for source in plan.natural:
        one, other = (rows.filter(pl.col("source") == source)["n_bytes"].sum() for rows in (chosen, at_random))
        assert one == pytest.approx(other, rel=0.15)
    again = pl.concat([pl.from_arrow(b) for b in filters.dropped_at_random(found, corpus, plan, 0)])
    other = pl.concat([pl.from_arrow(b) for b in filters.dropped_at_random(found, corpus, plan, 1)])
    assert again["doc_id"].equals(at_random["doc_id"]) and not other["doc_id"].equals(at_random["doc_id"])


def test_a_filter_that_keeps_everything_has_no_cell_and_is_told(corpus: Corpus, store: Store) -> None:
    recipe = load(StudyRecipe, None, ["design.axes=[size]"])[0]
    texts = [SourceText(s, corpus.train_bytes(s) / 3.0, 360) for s in corpus.sources]
    kept = {name: filters.decided(name, corpus, store).kept for name in ("n_words > 0", "n_words > 1000000")}
    assert [set(np.round(list(shares.values()), 6)) for shares in kept.values()] == [{1.0}, {0.0}]
    plan = make_plan(recipe, choose_shape(recipe, 2e6, None, 2, 2, lambda *_: 1.0), texts, kept)
    assert not plan.cells
    assert [notice["en"].count("nothing to compare") for notice in plan.notices].count(1) == 2


def test_packs_can_be_joined_and_unknown_ones_are_refused(corpus: Corpus, store: Store) -> None:
    both = filters.decided("gopher-quality+c4", corpus, store)
    each = [filters.decided(name, corpus, store) for name in ("gopher-quality", "c4")]
    assert all(both.kept[s] <= min(one.kept[s] for one in each) + 1e-9 for s in both.kept)
    for name, says in (("gopher-qualty", "did you mean gopher-quality?"), ("n_wordz > 3", "no signal n_wordz")):
        with pytest.raises(InputError, match=r"design\.filters") as error:
            filters.decided(name, corpus, store)
        assert says in error.value.line()


def test_the_cache_is_of_the_rules(corpus: Corpus, store: Store, tmp_path: Path) -> None:
    one, same = (filters.decided(SHORT, corpus, store) for _ in range(2))
    assert one.decisions.path == same.decisions.path != filters.decided("n_words >= 41", corpus, store).decisions.path
