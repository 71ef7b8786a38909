"""`assay train` with word vectors: gensim's, called by hand with the same sentences; every setting reaches it."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rjieba

from assay.models import vectors
from assay.models.vectors import glove
from trainings import train

WORDS = ["the", "of", "king", "queen", "man", "woman", "river", "mountain", "winter", "summer", "letter", "number"]
HAN = ["国王", "王后", "男人", "女人", "河流", "山脉", "冬天", "夏天", "书信", "数字"]


@pytest.fixture(scope="module")
def sentences(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[list[str]]]:
    """A folder of two sources that say themselves what is training text, and the words of that, in order."""
    rng, folder = random.Random(5), tmp_path_factory.mktemp("sentences")
    english = [" ".join(rng.choices(WORDS, k=rng.randint(20, 60))) for _ in range(60)]
    chinese = ["，".join("".join(rng.choices(HAN, k=6)) for _ in range(8)) + "。" for _ in range(60)]
    for name, texts in (("en", english), ("zh", chinese)):
        for split, part in (("train", texts[:50]), ("valid", texts[50:])):
            lines = [json.dumps({"text": text}, ensure_ascii=False) for text in part]
            (folder / f"{name}.{split}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    clauses = [text.rstrip("。").split("，") for text in chinese[:50]]
    return folder, [
        *(text.split() for text in english[:50]),
        *([word for clause in text for word in rjieba.cut(clause)] for text in clauses),
    ]


def _trained(name: str, folder: Path, out: Path, *settings: str) -> vectors.WordVectors:
    common = (f"model.preset={name}", "model.width=12", "vectors.min_count=3", "vectors.epochs=2", "train.seed=5")
    return vectors.load(Path(train("word2vec", folder, out, *common, *settings, steps=None)["checkpoint"]))


COMMON: dict[str, Any] = {
    "vector_size": 12, "window": 4, "min_count": 3, "epochs": 2, "seed": 5, "negative": 3, "sample": 0.01, "workers": 1,
}  # fmt: skip
SETTINGS = ("vectors.window=4", "vectors.negative=3", "vectors.subsample=0.01")


@pytest.mark.parametrize("algorithm", ["skipgram", "cbow"])
def test_a_word2vec_recipe_gives_the_vectors_of_gensim(
    algorithm: str, sentences: tuple[Path, list[list[str]]], tmp_path: Path
) -> None:
    from gensim.models import Word2Vec

    folder, words = sentences
    made = _trained("word2vec", folder, tmp_path / "run", *SETTINGS, f"vectors.algorithm={algorithm}")
    theirs = Word2Vec(words, sg=int(algorithm == "skipgram"), **COMMON).wv
    assert made.words == theirs.index_to_key
    np.testing.assert_array_equal(made.vectors, theirs.vectors)


def test_chinese_fasttext_with_pieces_of_one_to_three_is_gensims(
    sentences: tuple[Path, list[list[str]]], tmp_path: Path
) -> None:
    from gensim.models import FastText

    folder, words = sentences
    pieces = ("vectors.shortest=1", "vectors.longest=3", "vectors.buckets=700")
    made = _trained("fasttext", folder, tmp_path / "run", *SETTINGS, *pieces)
    theirs = FastText(words, sg=1, min_n=1, max_n=3, bucket=700, **COMMON).wv
    assert made.words == theirs.index_to_key
    np.testing.assert_array_equal(made.vectors, theirs.vectors)
    assert made.subwords is not None and len(made.subwords.table) == 700
    for word in ("女王", "王", "山河"):  # never seen
        found = made.vector(word)
        assert found is not None
        np.testing.assert_allclose(found, theirs[word], rtol=1e-5, atol=1e-7)


def test_gloves_batch_reaches_it(sentences: tuple[Path, list[list[str]]], tmp_path: Path) -> None:
    folder, words = sentences
    made = _trained("glove", folder, tmp_path / "run", "vectors.batch=1")
    config = vectors.VectorsConfig("glove", width=12, min_count=3, epochs=2, seed=5, batch=1)
    expected = glove.glove(config, words)
    assert made.words == expected.words
    np.testing.assert_array_equal(made.vectors, expected.vectors)
    other = _trained("glove", folder, tmp_path / "other", "vectors.batch=64")
    assert not np.array_equal(made.vectors, other.vectors)
