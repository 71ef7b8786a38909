"""BLEU, chrF and TER: sacrebleu's corpus scores, also of drawn segments; the tokenizer of each language."""

from __future__ import annotations

import numpy as np
import pytest
from sacrebleu.metrics import BLEU, CHRF, TER
from scipy import stats

from assay.errors import InputError
from assay.metrics.scores import bootstrap, draws, value_of
from assay.metrics.translation import translation

EN = ["The cat sat on the mat, quietly.", "It's raining again in London today.", "He bought 3.5 kg of apples.",
      "Nobody knew what had happened there."]  # fmt: skip
EN_FOUND = ["The cat is sitting on the mat.", "It rains again in London today.", "He bought 3.5 kg of pears!", ""]
ZH = ["今天天气很好，我们去公园散步。", "他在北京大学学习计算机科学。", "这本书的价格是35元。", "会议推迟到下周三。"]
ZH_FOUND = ["今天天气不错，我们到公园散步。", "他在北京大学读计算机。", "这本书卖35元。", "会议改到下周三举行。"]


def oracles(chinese: bool) -> dict[str, BLEU | CHRF | TER]:
    return {
        "bleu": BLEU(tokenize="zh" if chinese else "13a"),
        "chrf": CHRF(),
        "chrf++": CHRF(word_order=2),
        "ter": TER(normalized=True, asian_support=True) if chinese else TER(),
    }


@pytest.mark.parametrize(("gold", "found"), [(EN, EN_FOUND), (ZH, ZH_FOUND)])
def test_values_are_sacrebleus_also_of_drawn_segments(gold: list[str], found: list[str]) -> None:
    measure = translation(gold, found, metrics=["bleu", "chrf", "chrf++", "ter"])
    ours = value_of(measure)
    (times,) = draws(4, 20, seed=0)
    drawn = measure.values(times)
    for name, metric in oracles(gold is ZH).items():
        assert ours[name] == pytest.approx(metric.corpus_score(found, [gold]).score, abs=1e-9)
        signature = metric.get_signature().format().replace("|", ",")
        assert f"{name}:{signature}" in bootstrap(measure, replicates=0)[name].signature
        for r in range(20):
            rows = np.repeat(np.arange(4), times[r].astype(int))
            theirs = metric.corpus_score([found[i] for i in rows], [[gold[i] for i in rows]]).score
            assert drawn[name][r] == pytest.approx(theirs, abs=1e-9)


def test_several_references_also_of_different_number() -> None:
    more = ["A cat sat on the mat quietly.", "Rain again in London.", None, "No one knew what happened."]
    references = [[one] if other is None else [one, other] for one, other in zip(EN, more, strict=True)]
    ours = value_of(translation(references, EN_FOUND, metrics=["bleu", "chrf", "ter"]))
    for name in ("bleu", "chrf", "ter"):
        theirs = oracles(False)[name].corpus_score(EN_FOUND, [EN, more]).score
        assert ours[name] == pytest.approx(theirs, abs=1e-9)


def test_the_tokenizer_is_that_of_the_language() -> None:
    def tokenizer(gold: list[str], language: str | None = None) -> str:
        signature = bootstrap(translation(gold, gold, language=language, metrics=["bleu"]), replicates=0)[
            "bleu"
        ].signature
        return signature.split("tok:")[1].split(",")[0]

    assert tokenizer(EN) == "13a"
    assert tokenizer(ZH) == "zh"
    assert tokenizer(["東京は大きい。", "日本語の本"]) == "char"
    assert tokenizer([*EN, ZH[0]]) == "13a"
    assert tokenizer(EN, "ja") == "char"
    # Without spaces 13a sees one word a sentence, and finds no match of four.
    assert value_of(translation(ZH, ZH_FOUND, language="en", metrics=["bleu"]))["bleu"] == pytest.approx(
        BLEU().corpus_score(ZH_FOUND, [ZH]).score, abs=1e-9
    )


def test_worse_translations_have_higher_ter() -> None:
    measure = translation(EN, EN_FOUND, metrics=["ter"])
    assert measure.kinds["ter"].better == "lower"
    assert value_of(translation(EN, EN, metrics=["ter"])) == {"ter": 0}


def test_perfect_translations_are_not_certain() -> None:
    found = bootstrap(translation(EN * 5, EN * 5, metrics=["bleu"]))["bleu"]
    assert found.value == pytest.approx(100)
    assert found.interval == pytest.approx((100 * stats.binomtest(20, 20).proportion_ci(0.95, "exact").low, 100))


def test_bad_input_is_told() -> None:
    with pytest.raises(InputError, match="differ in number: 4 and 3"):
        translation(EN, EN_FOUND[:3])
    with pytest.raises(InputError, match="segment 2: has no reference"):
        translation([["a"], []], ["a", "b"])
    with pytest.raises(InputError, match="'meteor' is no metric"):
        translation(EN, EN_FOUND, metrics=["meteor"])  # type: ignore[list-item]
