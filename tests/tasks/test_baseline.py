"""The linear floor: its figures are those that others report, and its predictions the same after loading."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assay.errors import InputError
from assay.metrics.tagging import spans
from assay.tasks.baseline import answers, chains, copying, features, models, tagger, texts
from assay.tasks.reading import source

GOOD = ["a fine film", "fine and warm", "a warm, fine story", "warm film", "fine", "so warm"]
BAD = ["a dull film", "dull and cold", "a cold, dull story", "cold film", "dull", "so cold"]
LIKED = ["房间很干净", "服务很好，早餐好", "位置好，干净", "很好很干净", "早餐丰富，很好", "好酒店"]
DISLIKED = ["房间很脏", "服务很差，早餐差", "位置差，很脏", "又差又脏", "早餐太少，很差", "差酒店"]


def again(model: Any, folder: Path) -> Any:
    """The model after it was saved and loaded; without pickle."""
    model.save(folder)
    assert {path.name for path in folder.iterdir()} == {"config.json", "model.safetensors"}
    return models.load(folder)


@pytest.mark.parametrize(("good", "bad", "by_character"), [(GOOD, BAD, False), (LIKED, DISLIKED, True)])
def test_one_label(good: list[str], bad: list[str], by_character: bool, tmp_path: Path) -> None:
    model = texts.LinearTexts.fit(good + bad, ["good"] * 6 + ["bad"] * 6)
    labels, chances = model.predict([good[0], bad[0]])
    assert labels == ["good", "bad"] and model.by_character == by_character
    assert model.labels == ("bad", "good") and chances.shape == (2, 2)
    np.testing.assert_allclose(chances.sum(axis=1), 1)
    loaded = again(model, tmp_path / "m")
    assert loaded.predict(good + bad)[0] == model.predict(good + bad)[0]
    np.testing.assert_array_equal(loaded.predict(good + bad)[1], model.predict(good + bad)[1])


def test_it_is_scikit_learns_model() -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    rows, labels = [*GOOD, *BAD, "what is this", "and what is that"], [0] * 6 + [1] * 6 + [2, 2]
    model = texts.LinearTexts.fit(rows, labels)
    held = TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"\w+|[^\w\s]", sublinear_tf=True).fit_transform(rows)
    other = LogisticRegression(C=model.strength, tol=1e-4, max_iter=500).fit(held, labels)
    np.testing.assert_allclose(model.predict(rows)[1], other.predict_proba(held), atol=1e-5)


def test_several_labels_pairs_and_numbers(tmp_path: Path) -> None:
    rows = GOOD + BAD
    tags = [["film"] * ("film" in text) + ["fine"] * ("fine" in text) + ["all"] for text in rows]
    model = texts.LinearTexts.fit(rows, tags, task="multi")
    found, chances = model.predict(rows)
    assert model.labels == ("all", "film", "fine") and found == [sorted(own) for own in tags]
    np.testing.assert_array_equal(again(model, tmp_path / "m").predict(rows)[1], chances)
    pairs = [(a, a if i % 2 else b) for i, (a, b) in enumerate(zip(rows * 4, BAD * 8, strict=True)) if a != b or i % 2]
    same = [a == b for a, b in pairs]
    model = texts.LinearTexts.fit(pairs, same)
    assert np.mean([a == b for a, b in zip(model.predict(pairs)[0], same, strict=True)]) > 0.95
    assert again(model, tmp_path / "p").predict(pairs)[0] == model.predict(pairs)[0]
    numbers = [2.0 * text.count("fine") - text.count("dull") for text in rows]
    model = texts.LinearTexts.fit(rows, numbers, task="regression")
    said, none = model.predict(rows)
    assert np.corrcoef(said, numbers)[0, 1] > 0.9 and none.shape == (12, 0)
    assert again(model, tmp_path / "r").predict(rows)[0] == said


def test_of_many_features_those_of_one_text_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = texts.LinearTexts.fit(GOOD + BAD, [1] * 6 + [0] * 6)
    monkeypatch.setattr(texts, "_LARGE", 10)
    fewer = texts.LinearTexts.fit(GOOD + BAD, [1] * 6 + [0] * 6)
    assert set(fewer.terms) < set(whole.terms) and fewer.predict(GOOD + BAD)[0] == [1] * 6 + [0] * 6


def test_what_cannot_be_learned_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="all examples have one label: 'x'"):
        texts.LinearTexts.fit(["a", "b"], ["x", "x"])
    with pytest.raises(InputError, match="the texts hold too few words"):
        texts.LinearTexts.fit(["", " "], ["x", "y"])
    with pytest.raises(InputError, match="2 texts have 1 labels"):
        texts.LinearTexts.fit(["a", "b"], ["x"])
    with pytest.raises(InputError, match="not a finite number"):
        texts.LinearTexts.fit(["a", "b"], [1.0, float("nan")], task="regression")
    with pytest.raises(InputError, match="sentence 2: 1 tokens have 2 tags"):
        tagger.Tagger.fit([["a"], ["b"]], [["O"], ["O", "O"]])
    with pytest.raises(InputError, match="no token"):
        tagger.Tagger.fit([[]], [[]])
    with pytest.raises(InputError, match="not a whole model"):
        models.load(tmp_path)


def test_a_chain_has_the_chances_that_all_its_paths_have() -> None:
    """By brute force over all paths of a short sentence: marginals, the likeliest path, the likelihood's slope."""
    draw = np.random.default_rng(0)
    n, n_labels = 4, 3
    weights, steps = draw.normal(size=(5, n_labels)), draw.normal(size=(n_labels + 1, n_labels))
    found = draw.integers(-1, 5, size=(n, 3)).astype(np.int32)
    ends, gold = np.array([0, n]), draw.integers(0, n_labels, size=n)
    scores = np.array([sum((weights[f] for f in row if f >= 0), np.zeros(n_labels)) for row in found])
    paths = np.array(np.meshgrid(*[range(n_labels)] * n, indexing="ij")).reshape(n, -1).T

    def score(path: np.ndarray) -> float:
        return float(steps[n_labels, path[0]] + scores[range(n), path].sum() + steps[path[:-1], path[1:]].sum())

    mass = np.exp([score(path) for path in paths])
    mass /= mass.sum()
    best, chance, own = np.zeros(n, dtype=np.int64), np.zeros(n), chains.room(n, n_labels)
    chains.decoded(weights, steps, found, ends, True, best, chance, own)
    assert best.tolist() == paths[mass.argmax()].tolist()
    np.testing.assert_allclose(chance, [mass[paths[:, i] == best[i]].sum() for i in range(n)])
    # The first step of AdaGrad goes by the sign of the slope, `rate` far: observed less expected counts.
    slope = np.zeros_like(weights)
    moves = np.zeros_like(steps)
    for path, p in zip([gold, *paths], [1.0, *-mass], strict=True):
        for i, label in enumerate(path):
            moves[path[i - 1] if i else n_labels, label] += p
    learned_steps, squares = steps.copy(), np.zeros_like(steps)
    chains.learned(
        weights.copy(), slope, learned_steps, squares, found, ends, gold, np.array([0]), True, 0.1, 0.0, own
    )  # fmt: skip
    np.testing.assert_allclose(squares, moves**2, atol=1e-12)
    np.testing.assert_allclose(learned_steps - steps, 0.1 * moves / np.sqrt(moves**2 + 1e-8), atol=1e-9)


def sentences() -> tuple[list[list[str]], list[list[str]]]:
    held = [("Anna lives in Oslo .", "B-PER O O B-LOC O"), ("Mr. Li met Anna Berg", "O B-PER O B-PER I-PER"),
            ("Oslo is cold", "B-LOC O O"), ("in Rome , Li sleeps", "O B-LOC O B-PER O")]  # fmt: skip
    return [tokens.split() for tokens, _ in held] * 5, [tags.split() for _, tags in held] * 5


def test_tags(tmp_path: Path) -> None:
    tokens, tags = sentences()
    model = tagger.Tagger.fit(tokens, tags, epochs=20)
    found, chances = model.predict(tokens)
    assert found == tags and [len(own) for own in chances] == [len(own) for own in tags]
    assert all((own > 0.5).all() and (own <= 1).all() for own in chances)
    loaded = again(model, tmp_path / "m")
    assert loaded.predict(tokens)[0] == found
    np.testing.assert_array_equal(np.concatenate(loaded.predict(tokens)[1]), np.concatenate(chances))
    assert model.predict([]) == ([], []) and model.predict([[], ["Anna"]])[0] == [[], ["B-PER"]]
    np.testing.assert_array_equal(tagger.Tagger.fit(tokens, tags, epochs=20).weights, model.weights)
    assert features.are_characters([list("高勇，男")]) and not features.are_characters(tokens)


def test_more_labels_than_pairs_of_them_pay_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tagger, "_STEPPED", 3)
    tokens, tags = sentences()
    model = tagger.Tagger.fit(tokens, tags, epochs=20)
    assert model.predict(tokens)[0] == tags and not model.steps.any()


def test_answers_stand_where_they_say(tmp_path: Path) -> None:
    contexts = ["光荣公司位于东京。公司在1978年成立。", "The tower was built in 1889. It stands in Paris."] * 3
    questions = ["公司在哪一年成立?", "In when was the tower built?"] * 3
    model = answers.SlidingWindow.fit(contexts, questions, ["1978年", "1889"] * 3)
    found = model.predict(contexts, questions)
    assert all(
        context[one.start :].startswith(one.text) and one.text for context, one in zip(contexts, found, strict=True)
    )
    assert "1978" in found[0].text and "1889" in found[1].text and found[0].chance == 1.0
    assert again(model, tmp_path / "m").predict(contexts, questions) == found
    asked = ["Who wrote it, and what for?"] * 6
    model = answers.SlidingWindow.fit(contexts * 2, questions + asked, ["1978年", "1889"] * 3 + [""] * 6)
    said = model.predict(contexts * 2, questions + asked)
    assert [bool(one.text) for one in said] == [True] * 6 + [False] * 6 and said[-1].start == -1
    assert again(model, tmp_path / "n").predict(contexts, asked) == said[6:]
    assert model.predict(["", "?"], ["a", "b"])[0].text == ""


def test_copies(tmp_path: Path) -> None:
    assert copying.sentences("Mr. said no. 他走了。“好！”他说") == ["Mr. ", "said no. ", "他走了。", "“好！”", "他说"]
    sources = ["First one is it. Second says more. Third.", "Alpha and beta. Gamma is here."]
    model = copying.Lead.fit(sources, ["First one is it.", "Alpha and beta."])
    assert (model.unit, model.n) == ("sentences", 1) and model.likeness == 1.0
    assert again(model, tmp_path / "m").predict(sources) == ["First one is it.", "Alpha and beta."]
    assert copying.Lead.fit(["孔子曰善"], ["孔子曰善"]).predict(["子路不悦"]) == ["子路不悦"]


def entity_f1(gold: list[list[str]], said: list[list[str]]) -> float:
    pairs = [(set(spans(a)), set(spans(b))) for a, b in zip(gold, said, strict=True)]
    hits = sum(len(a & b) for a, b in pairs)
    return 2 * hits / sum(len(a) + len(b) for a, b in pairs)


@pytest.mark.parametrize(("name", "least"), [("ner-zh/resume", 0.93)])
def test_tags_of_real_text(name: str, least: float, shared: Callable[[str], Path]) -> None:
    """BiLSTM-CRFs of characters have 93 to 94 there (Zhang and Yang 2018)."""
    folder, _, stem = name.partition("/")
    train, test = (source.rows(shared(folder) / f"{stem}.{part}.jsonl.zst") for part in ("train", "test"))
    model = tagger.Tagger.fit(train.column("tokens"), train.column("tags"))
    said, chances = model.predict(test.column("tokens"))
    assert entity_f1(test.column("tags"), said) > least
    right = [a == b for x, y in zip(test.column("tags"), said, strict=True) for a, b in zip(x, y, strict=True)]
    assert abs(np.concatenate(chances).mean() - np.mean(right)) < 0.02


def test_sentiment_of_real_text(shared: Callable[[str], Path]) -> None:
    """Socher et al. (2013) report 79.4 (SVM) to 83.1 (naive Bayes of bigrams) of linear models on SST-2."""
    train, test = (source.rows(shared("cls-en") / f"sst2.{part}.jsonl.zst") for part in ("train", "test"))
    model = texts.LinearTexts.fit(train.column("text"), train.column("label"))
    said, _ = model.predict(test.column("text"))
    assert 0.80 < np.mean([a == b for a, b in zip(said, test.column("label"), strict=True)]) < 0.84


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "part", "low", "high"), [("cls-zh/hotel", "valid", 0.89, 0.94), ("cls-en/trec", "test", 0.87, 0.93)]
)
def test_more_figures(name: str, part: str, low: float, high: float, shared: Callable[[str], Path]) -> None:
    folder, _, stem = name.partition("/")
    train, test = (source.rows(shared(folder) / f"{stem}.{one}.jsonl.zst") for one in ("train", part))
    said, _ = texts.LinearTexts.fit(train.column("text"), train.column("label")).predict(test.column("text"))
    assert low < np.mean([a == b for a, b in zip(said, test.column("label"), strict=True)]) < high


@pytest.mark.slow
def test_the_first_conll(shared: Callable[[str], Path]) -> None:
    train, test = (source.rows(shared("ner-en") / f"conll2003.{part}.jsonl.zst") for part in ("train", "test"))
    model = tagger.Tagger.fit(train.column("tokens"), train.column("tags"))
    assert entity_f1(test.column("tags"), model.predict(test.column("tokens"))[0]) > 0.84
