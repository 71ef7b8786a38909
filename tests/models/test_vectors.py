"""Word vectors: word2vec and FastText are gensim's to the last bit; files; what is asked of vectors; input layers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from assay.errors import InputError
from assay.models.build import ModelConfig, build
from assay.models.decoder import standard
from assay.models.encoder import bert
from assay.models.recurrent import RecurrentConfig
from assay.models.seq2seq import transformer
from assay.models.vectors import VectorsConfig, WordVectors, embedding_for, fit, learned, load, put, save
from assay.models.vectors.files import load_text, save_text

WORDS = [
    "the", "a", "of", "king", "queen", "man", "woman", "don't",
    "国王", "王后", "男人", "女人", "的", "翻译", "naïve", "größe",
]  # fmt: skip


def _sentences(n: int = 150) -> list[list[str]]:
    rng = np.random.default_rng(0)
    return [[WORDS[k] for k in rng.integers(0, len(WORDS), rng.integers(2, 20))] for _ in range(n)]


def _config(family: Any, objective: Any = "skipgram") -> VectorsConfig:
    return VectorsConfig(
        family, objective, width=12, window=4, min_count=3, epochs=2, seed=5, buckets=500, negative=3, subsample=0.01
    )


def _gensim(config: VectorsConfig, sentences: list[list[str]]) -> Any:
    from gensim.models import FastText, Word2Vec

    common: dict[str, Any] = {
        "vector_size": 12, "window": 4, "min_count": 3, "epochs": 2, "seed": 5, "negative": 3, "sample": 0.01,
        "workers": 1, "sg": int(config.objective == "skipgram"),
    }  # fmt: skip
    if config.family == "fasttext":
        return FastText(sentences, min_n=3, max_n=6, bucket=500, **common)
    return Word2Vec(sentences, **common)


@pytest.mark.parametrize("family", ["word2vec", "fasttext"])
@pytest.mark.parametrize("objective", ["skipgram", "cbow"])
def test_vectors_are_those_of_gensim_with_the_same_seed(family: str, objective: str) -> None:
    config = _config(family, objective)
    made, theirs = fit(config, _sentences()), _gensim(config, _sentences())
    assert made.words == theirs.wv.index_to_key
    np.testing.assert_array_equal(made.vectors, theirs.wv.vectors)
    assert not np.array_equal(made.vectors, fit(replace(config, seed=6), _sentences()).vectors)


@pytest.mark.parametrize("lengths", [(3, 6), (1, 2), (2, 2)])
def test_words_that_fasttext_never_saw_are_gensims(lengths: tuple[int, int]) -> None:
    from gensim.models import FastText

    config = replace(_config("fasttext"), shortest=lengths[0], longest=lengths[1])
    made = fit(config, _sentences())
    theirs = FastText(
        _sentences(), vector_size=12, window=4, min_count=3, epochs=2, seed=5, negative=3, sample=0.01, workers=1, sg=1,
        min_n=lengths[0], max_n=lengths[1], bucket=500,
    )  # fmt: skip
    for word in ("kings", "王", "女王们", "naïveté", "x", "𠮷野家", "the king"):
        assert word not in made.places
        found = made.vector(word)
        assert found is not None
        np.testing.assert_allclose(found, theirs.wv[word], rtol=1e-5, atol=1e-7)
    assert made.nearest("kings", 3)[0][1] == pytest.approx(theirs.wv.similar_by_word("kings", 3)[0][1], abs=1e-5)
    made = fit(replace(config, shortest=5, longest=6), _sentences())
    assert made.vector("x") is None  # too short to have a piece


def test_without_gensim_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "gensim", None)
    with pytest.raises(InputError, match=r"assay\[vectors\]"):
        fit(_config("word2vec"), _sentences())


def test_sentences_are_streamed_and_long_ones_lose_nothing() -> None:
    """gensim drops what lies beyond a sentence's 10,000th word."""

    class Streamed:
        reads = 0

        def __iter__(self) -> Iterator[list[str]]:
            self.reads += 1
            yield ["a", "b"] * 6000 + ["z"] * 10

    streamed = Streamed()
    made = fit(VectorsConfig(width=4, epochs=2, min_count=5), streamed)
    assert set(made.words) == {"a", "b", "z"}
    counted = replace(_config("word2vec"), min_count=1)
    pieces = [["a"] * learned.LONGEST, ["b"] * 7]
    whole = [["a"] * learned.LONGEST + ["b"] * 7]
    np.testing.assert_array_equal(fit(counted, whole).vectors, fit(counted, pieces).vectors)
    with pytest.raises(TypeError, match="several times"):
        fit(counted, (list(s) for s in pieces))


@pytest.mark.parametrize("family", ["word2vec", "fasttext", "glove"])
def test_too_little_text_and_progress(family: str) -> None:
    told: list[tuple[int, int]] = []
    fit(_config(family), _sentences(), lambda done, of: told.append((done, of)))
    assert told == [(1, 2), (2, 2)]
    for sentences in ([], [["once"]], [["a"] * 9]):
        with pytest.raises(InputError, match="occur 3 times or more"):
            fit(_config(family), sentences)


def test_glove_is_the_same_every_time() -> None:
    one, other = (fit(_config("glove"), _sentences()) for _ in range(2))
    np.testing.assert_array_equal(one.vectors, other.vectors)


@pytest.mark.parametrize(
    "bad",
    [{"family": "elmo"}, {"objective": "hs"}, {"width": 0}, {"longest": 2}, {"subsample": 1.0}, {"rate": 0.0},
     {"seed": -1}, {"most": 0.0}],
)  # fmt: skip
def test_settings_that_make_no_sense_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(bad))):
        VectorsConfig(**bad)


def test_analogies_similarity_and_what_is_not_known() -> None:
    made = WordVectors(
        ["man", "woman", "king", "queen", "stone"],
        np.array([[1, 0, 0], [1, 1, 0], [1, 0, 1], [1, 1, 1], [-1, 0, 0]], dtype=np.float32),
    )
    questions = [("man", "woman", "king", "queen"), ("man", "king", "woman", "stone"), ("man", "woman", "king", "duke")]
    np.testing.assert_array_equal(made.analogies(questions), [1.0, 0.0, np.nan])
    assert made.similarity("man", "stone") == pytest.approx(-1)
    assert made.similarity("man", "duke") is None
    assert made.nearest("duke") == []
    assert len(made.nearest("man", 50)) == 4


@pytest.mark.parametrize("family", ["word2vec", "fasttext", "glove"])
def test_a_folder_is_read_as_it_was_written(family: str, tmp_path: Path) -> None:
    made = fit(_config(family), _sentences())
    save(made, tmp_path / "vectors", text=True)
    found = load(tmp_path / "vectors")
    assert (found.words, found.config) == (made.words, made.config)
    np.testing.assert_array_equal(found.vectors, made.vectors)
    assert (found.subwords is not None) == (family == "fasttext")
    if family == "fasttext":
        np.testing.assert_array_equal(found.vector("女王们"), made.vector("女王们"))
    names = {path.name for path in (tmp_path / "vectors").iterdir()}
    assert names == {"vectors.safetensors", "words.txt", "config.json", "vectors.txt"}
    np.testing.assert_allclose(load(tmp_path / "vectors" / "vectors.txt").vectors, made.vectors, rtol=1e-6)


def test_gensim_reads_our_text(tmp_path: Path) -> None:
    from gensim.models import KeyedVectors

    made = fit(_config("word2vec"), _sentences())
    save(made, tmp_path, text=True)
    theirs = KeyedVectors.load_word2vec_format(tmp_path / "vectors.txt")
    assert theirs.index_to_key == made.words
    np.testing.assert_allclose(theirs.vectors, made.vectors, rtol=1e-6)


def _cut(folder: Path) -> None:
    path = folder / "words.txt"
    path.write_text("\n".join(path.read_text(encoding="utf-8").split("\n")[1:]), encoding="utf-8")


def _other_kind(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps({"model_type": "gpt2"}), encoding="utf-8")


def _damage(folder: Path) -> None:
    path = folder / "vectors.safetensors"
    path.write_bytes(path.read_bytes()[:100])


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_cut, f"for {len(WORDS) - 1} words"),
        (_other_kind, "not of word vectors"),
        (_damage, "safetensors"),
        (lambda folder: (folder / "config.json").unlink(), "no config.json"),
        (lambda folder: (folder / "vectors.safetensors").unlink(), "no vectors.safetensors"),
        (lambda folder: (folder / "config.json").write_text("{"), "damaged"),
    ],
)
def test_a_spoilt_folder_is_refused(spoil: Callable[[Path], object], said: str, tmp_path: Path) -> None:
    save(fit(_config("word2vec"), _sentences()), tmp_path)
    spoil(tmp_path)
    with pytest.raises(InputError, match=said) as caught:
        load(tmp_path)
    assert str(tmp_path) in str(caught.value.where)


def test_text_is_read_as_it_was_written_and_as_others_write_it(tmp_path: Path) -> None:
    made = WordVectors(["词", "7", "a\u00a0b"], np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32))
    save_text(made, tmp_path / "v.txt")
    found = load_text(tmp_path / "v.txt")
    assert found.words == made.words
    np.testing.assert_allclose(found.vectors, made.vectors, rtol=1e-6)
    lines = (tmp_path / "v.txt").read_text(encoding="utf-8").split("\n", 1)[1]
    (tmp_path / "glove.txt").write_text(lines, encoding="utf-8")
    assert load_text(tmp_path / "glove.txt").words == made.words


@pytest.mark.parametrize(
    ("content", "place"),
    [("a 1 2\nb 1\n", ":2"), ("a b c\n", ":1"), ("", ""), ("2 2\na 1 2\n", ""), ("1 3\na 1 2\n", ":2"),
     ("a 1 nan\n", ":1")],
)  # fmt: skip
def test_text_that_holds_no_vectors_is_refused(content: str, place: str, tmp_path: Path) -> None:
    (tmp_path / "bad.txt").write_text(content, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load(tmp_path / "bad.txt")
    assert str(caught.value.where).endswith(f"bad.txt{place}")
    with pytest.raises(InputError, match="does not exist"):
        load(tmp_path / "none")


def test_words_that_a_list_cannot_hold_are_not_written(tmp_path: Path) -> None:
    spaced = WordVectors(["new york"], np.ones((1, 2), dtype=np.float32))
    save(spaced, tmp_path / "folder")
    assert load(tmp_path / "folder").words == ["new york"]
    for words, text in ((["new york"], True), (["a\nb"], False)):
        with pytest.raises(InputError, match="list of words"):
            save(WordVectors(words, np.ones((1, 2), dtype=np.float32)), tmp_path / "other", text=text)
    assert not (tmp_path / "other").exists()


def test_an_embedding_holds_known_words_and_draws_the_rest_at_their_scale() -> None:
    rng = np.random.default_rng(0)
    vectors = WordVectors([f"w{i}" for i in range(400)], (0.3 * rng.standard_normal((400, 16)) + 0.1).astype("float32"))
    tokens = ["", *vectors.words[:100], *(f"unknown{i}" for i in range(299))]
    matrix, share = embedding_for(tokens, vectors, torch.Generator().manual_seed(0))
    assert share == 100 / 400
    np.testing.assert_array_equal(matrix[1:101], vectors.vectors[:100])
    assert float(matrix[101:].std()) == pytest.approx(0.3, rel=0.05)
    assert float(matrix[101:].mean()) == pytest.approx(0.1, abs=0.02)
    again, _ = embedding_for(tokens, vectors, torch.Generator().manual_seed(0))
    assert torch.equal(matrix, again)
    assert not torch.equal(matrix, embedding_for(tokens, vectors, torch.Generator().manual_seed(1))[0])
    with pytest.raises(InputError, match="none of 2 tokens"):
        embedding_for(["", "x"], vectors)


MODELS: dict[str, ModelConfig] = {
    "recurrent": RecurrentConfig(30, 1, 8),
    "decoder": standard(30, 1, 8, 2),
    "encoder": bert(30, 1, 8, 2),
    "seq2seq": transformer(30, 1, 8, 2),
}


@pytest.mark.parametrize("kind", MODELS)
def test_vectors_become_the_input_layer_of_any_model(kind: str) -> None:
    model = build(MODELS[kind], torch.Generator().manual_seed(0))
    before = model.embedding.detach().clone()
    matrix = torch.randn(30, 8, generator=torch.Generator().manual_seed(1)) * 7
    put(model, matrix)
    after = model.embedding.detach()
    torch.testing.assert_close(after.square().mean(), before.square().mean())
    torch.testing.assert_close(after / after.norm(), matrix / matrix.norm())
    with pytest.raises(InputError, match=r"\(30, 9\).*\(30, 8\)"):
        put(model, torch.randn(30, 9))
    assert torch.equal(model.embedding, after)
