"""Planted damage: random passages of random documents, other ones for every seed, as much as the highest dose reads."""

from __future__ import annotations

import itertools
import json
import random
import re
from collections import Counter
from pathlib import Path
from typing import get_args

import numpy as np
import pyarrow as pa
import pytest

from assay.corpus.altering.damage import DEFECTS
from assay.corpus.reading.source import ReadOptions
from assay.corpus.scan import Corpus, scan
from assay.corpus.split import SplitOptions
from assay.errors import InputError
from assay.impact.plan import Plan, SourceText, make_plan
from assay.impact.plant import COPIED_CHARS, damaged_documents, donors
from assay.impact.shape import choose_shape
from assay.present.words import say
from assay.recipe.study import Defect, StudyRecipe
from assay.store import Store
from assay.tokens.sampler import REPEATED

RECIPE = StudyRecipe()
PER_CHAR = 0.4
SOURCES = ("long", "short")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Two sources; every word of a document says which one it is."""
    folder, rng = tmp_path_factory.mktemp("corpus"), random.Random(2)
    for source, words in (("long", 700), ("short", 120)):
        lines = [
            json.dumps({"text": " ".join(f"{source}{i}x{rng.randrange(10**6)}" for _ in range(words))})
            for i in range(200)
        ]
        (folder / f"{source}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    store = Store(tmp_path_factory.mktemp("store"))
    return scan([str(folder)], ReadOptions(), SplitOptions(), store)


@pytest.fixture(scope="module")
def plan(corpus: Corpus) -> Plan:
    texts = [SourceText(s, corpus.train_bytes(s) * PER_CHAR, 180) for s in SOURCES]
    shape = choose_shape(RECIPE, 2.5e6, None, 2, 2, lambda *_: 1.0)
    return make_plan(RECIPE, shape, texts)


def copies(corpus: Corpus, plan: Plan, seed: int = 0) -> dict[str, list[str]]:
    made: dict[str, list[str]] = {s: [] for s in SOURCES}
    per_char = dict.fromkeys(SOURCES, PER_CHAR)
    for batch in damaged_documents("near_duplicates", corpus, plan, RECIPE.design, per_char, seed):
        assert isinstance(batch, pa.RecordBatch)
        for source, text in zip(batch.column("source").to_pylist(), batch.column("text").to_pylist(), strict=True):
            made[source].append(text)
    return made


def owner(text: str) -> str:
    """The document that a copy was made from: that of its whole words."""
    (found,) = set(re.findall(r"(?:long|short)\d+(?=x)", text))
    return str(found)


def test_there_are_as_many_copies_as_the_runs_of_all_seeds_read(corpus: Corpus, plan: Plan) -> None:
    made = copies(corpus, plan)
    replaced = max(RECIPE.design.doses) * plan.run_steps * plan.step_tokens * len(plan.seeds)
    for source, texts in made.items():
        wanted = plan.natural[source] * replaced / PER_CHAR
        assert len(texts) % RECIPE.design.copies == 0
        found = sum(map(len, texts))
        assert 0.9 * wanted < found < 1.1 * wanted + 2 * RECIPE.design.copies * COPIED_CHARS
        assert max(map(len, texts)) <= COPIED_CHARS


def test_copies_of_one_document_stand_together_so_that_seeds_read_different_ones(corpus: Corpus, plan: Plan) -> None:
    made = copies(corpus, plan)
    for texts in made.values():
        owners = [owner(text) for text in texts]
        groups = np.array(owners).reshape(-1, RECIPE.design.copies)
        assert (groups == groups[:, :1]).all()
        assert len(set(groups[:, 0])) == len(groups) >= len(plan.seeds)
        parts = np.array_split(np.array(owners), len(plan.seeds))
        for a, b in itertools.pairwise(parts):
            assert len(set(a) & set(b)) <= 1  # the document that a cut goes through


def test_documents_and_places_are_random(corpus: Corpus, plan: Plan) -> None:
    one, other = copies(corpus, plan), copies(corpus, plan, seed=1)
    assert one == copies(corpus, plan)
    owners = [{owner(text) for text in made["short"]} for made in (one, other)]
    assert len(owners[0] & owners[1]) < 0.9 * len(owners[0])
    texts = {}
    for batch in corpus.read("train", ["doc_id", "source", "text"], sources=["long"]):
        texts |= {owner(text): text for text in batch.column("text").to_pylist()}
    places = []
    for made in (one, other):
        for text in made["long"][:: RECIPE.design.copies]:
            whole = texts[owner(text)]
            word = next(w for w in text.split() if re.fullmatch(r"long\d+x\d{6}", w))
            places.append(whole.index(word) / (len(whole) - COPIED_CHARS))
    assert np.quantile(places, 0.2) < 0.5 < np.quantile(places, 0.8)


def test_the_recipe_knows_every_defect_of_training_text() -> None:
    assert set(get_args(Defect)) - {REPEATED} == {name for name, one in DEFECTS.items() if one.unit != "items"}
    for name in get_args(Defect):
        for language in ("en", "zh"):
            assert say(f"doses.name.{name}", language) and say(f"statement.change.{name}", language, dose="5%")
            assert say(f"planted.{name}", language, copies=8, edit_rate="3%", rate="10%")


@pytest.mark.parametrize("defect", [name for name in DEFECTS if name in get_args(Defect) and not DEFECTS[name].adds])
def test_a_damaged_stream_stands_for_the_clean_one_document_by_document(
    defect: str, corpus: Corpus, plan: Plan, tmp_path: Path
) -> None:
    def clean() -> list[tuple[str, str, str]]:
        columns = ["doc_id", "source", "text"]
        batches = corpus.read("train", columns, sources=list(plan.natural), below=plan.pool_share)
        return [tuple(row.values()) for batch in batches for row in batch.to_pylist()]

    store, held_out = Store(tmp_path), {row["text"] for batch in corpus.read("eval") for row in batch.to_pylist()}
    if defect == "wrong_language":
        with pytest.raises(InputError, match=r"design\.defects"):
            donors(defect, corpus, plan, store, 0)
        return
    unchanged = Counter[str]()
    pool = donors(defect, corpus, plan, store, 0)
    made = [
        (row["parent_id"] or row["doc_id"], row["source"], row["text"])
        for batch in damaged_documents(defect, corpus, plan, RECIPE.design, {}, 0, pool, unchanged)
        for row in batch.to_pylist()
    ]
    before = clean()
    assert [row[:2] for row in made] == [row[:2] for row in before]
    same = Counter(row[1] for row, old in zip(made, before, strict=True) if row[2] == old[2])
    assert same == unchanged
    nothing = {"mojibake", "lower_case", "unpunctuated"}  # words of ASCII in lower case, no mark between them
    assert (sum(same.values()) == len(before)) == (defect in nothing), defect
    text = "\n".join(row[2] for row in made)
    assert not any(word in text for whole in held_out for word in whole.split()[:3]), "held-out text came in"


def test_exact_duplicates_are_whole_copies_of_passages(corpus: Corpus, plan: Plan) -> None:
    per_char = dict.fromkeys(SOURCES, PER_CHAR)
    batches = damaged_documents("exact_duplicates", corpus, plan, RECIPE.design, per_char, 0)
    texts = [text for batch in batches for text in batch.column("text").to_pylist()]
    groups = np.array(texts, dtype=object).reshape(-1, RECIPE.design.copies)
    assert (groups == groups[:, :1]).all() and len(set(texts)) == len(groups)
