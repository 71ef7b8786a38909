"""Topics find what was planted, in both languages; the map keeps neighbours; both are always the same."""

from __future__ import annotations

import random

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from threadpoolctl import threadpool_limits

from assay.corpus.portrait import topics as t

PLANTED = {
    "sea": ["ship", "harbour", "sail", "captain", "wave", "anchor", "tide", "deck", "mast", "crew"],
    "kitchen": ["oven", "flour", "butter", "recipe", "sugar", "bread", "knife", "salt", "pepper", "soup"],
    "law": ["法院", "合同", "条款", "被告", "原告", "判决", "律师", "诉讼", "证据", "仲裁"],
    "medicine": ["医院", "患者", "治疗", "药物", "症状", "医生", "手术", "血压", "感染", "诊断"],
}
COMMON = ["people", "time", "world", "year", "work", "place", "part", "thing", "case", "week"]
COMMON_ZH = ["社会", "时间", "世界", "工作", "地方", "部分", "事情", "情况", "国家", "生活"]


def planted(documents: int = 40) -> tuple[list[list[str]], list[str], list[int]]:
    draw = random.Random(7)
    words, languages, groups = [], [], []
    for g, own in enumerate(PLANTED.values()):
        chinese = not own[0].isascii()
        for _ in range(documents):
            words.append(draw.choices(own, k=20) + draw.choices(COMMON_ZH if chinese else COMMON, k=20))
            languages.append("zh" if chinese else "en")
            groups.append(g)
    order = list(range(len(words)))
    draw.shuffle(order)
    return [words[i] for i in order], [languages[i] for i in order], [groups[i] for i in order]


def test_planted_topics_are_found_and_named_by_their_words() -> None:
    words, languages, groups = planted()
    found = t.topics(words, languages, groups, 4)
    assert found is not None
    assert found["sources"] == [40] * 4
    assert [sum(topic["sources"][g] for topic in found["topics"]) + found["none"][g] for g in range(4)] == [40] * 4
    for topic in found["topics"]:
        g = int(np.argmax(topic["sources"]))
        assert topic["sources"][g] == topic["documents"]
        assert len(set(topic["terms"]) & set(list(PLANTED.values())[g])) >= 5
    assert {int(np.argmax(topic["sources"])) for topic in found["topics"]} == {0, 1, 2, 3}
    sizes = [topic["documents"] for topic in found["topics"]]
    assert sizes == sorted(sizes, reverse=True)
    assert len(found["map"]) == 160
    assert all(-1 <= x <= 1 and -1 <= y <= 1 for x, y, *_ in found["map"])
    assert t.topics(words, languages, groups, 4) == found


def test_topics_are_the_same_with_any_number_of_threads() -> None:
    words, languages, groups = planted(100)  # more rows than k-means gives to one thread
    found = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            found.append(t.topics(words, languages, groups, 4))
    assert found[0] == found[1]


@pytest.mark.filterwarnings("error")
def test_documents_that_repeat_a_few_texts_have_topics_too() -> None:
    words = [list(PLANTED[name]) for name in PLANTED for _ in range(60)]
    found = t.topics(words, ["en"] * 240, [0] * 240, 1)
    assert found is not None
    assert [topic["documents"] for topic in found["topics"]] == [60] * 4


def test_too_little_text_has_no_topics() -> None:
    assert t.topics([], [], [], 1) is None
    assert t.topics([["word"]], ["en"], [0], 1) is None
    words, languages, groups = planted(5)
    assert t.topics(words, languages, groups, 4) is None
    assert t.topics([[]] * 100, ["en"] * 100, [0] * 100, 1) is None
    assert t.topics([["same", "few", "words"]] * 100, ["en"] * 100, [0] * 100, 1) is None


def test_stop_words_and_rare_words_name_nothing() -> None:
    words, languages, groups = planted()
    words = [[*own, "the", "的", "x", "n't", f"unique{i}"] for i, own in enumerate(words)]
    found = t.topics(words, languages, groups, 4)
    assert found is not None
    named = {term for topic in found["topics"] for term in topic["terms"]}
    assert not named & {"the", "的", "x", "n't"}
    assert not any(term.startswith("unique") for term in named)


def _clouds(n: int = 40, d: int = 10) -> np.ndarray:
    rng = np.random.default_rng(5)
    centres = rng.standard_normal((5, d)) * 3
    return np.concatenate([centre + rng.standard_normal((n, d)) * 0.3 for centre in centres])


def _kept(points: np.ndarray, at: np.ndarray, k: int = 10) -> float:
    """The share of each point's k nearest ones that are among its k nearest in the picture."""
    near = [np.argsort(cdist(x, x) + np.diag([np.inf] * len(x)), axis=1)[:, :k] for x in (points, at)]
    return float(np.mean([len(set(a) & set(b)) / k for a, b in zip(*near, strict=True)]))


def test_the_map_keeps_neighbours_better_than_main_directions_and_clouds_apart() -> None:
    points = _clouds()
    u, s, _ = np.linalg.svd(points - points.mean(axis=0), full_matrices=False)
    principal = u * s
    at = t.mapped(principal)
    assert _kept(points, at) > _kept(points, principal[:, :2]) + 0.1
    label = np.repeat(np.arange(5), 40)
    nearest = np.argmin(cdist(at, at) + np.diag([np.inf] * 200), axis=1)
    assert (label[nearest] == label).all()
    assert np.array_equal(t.mapped(principal), at)
    assert np.abs(at).max() == pytest.approx(1)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 5])
def test_few_points_have_a_map_and_so_have_equal_ones(n: int) -> None:
    for points in (np.eye(5)[:n], np.ones((n, 5))):
        at = t.mapped(points)
        assert at.shape == (n, 2)
        assert np.isfinite(at).all()
