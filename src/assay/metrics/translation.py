"""Translations -> BLEU, chrF, chrF++ and TER, by the statistics that sacrebleu (Post 2018) makes of each segment.

A corpus's score is a function of these statistics' sums, so draws need no text to be read again. Values are per cent,
as sacrebleu's are; its own signature stands within ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from assay.errors import InputError
from assay.metrics.pieces import has_han, has_kana
from assay.metrics.scores import F64, PERCENT, Additive, Kind, Together, Values, same_length, together

Name = Literal["bleu", "chrf", "chrf++", "ter"]
METRICS: tuple[Name, ...] = ("bleu", "chrf", "chrf++")
"""Without TER, whose shifts of phrases take as long as all others together and longer."""
TOKENIZERS = {"zh": "zh", "ja": "char", "ko": "char", "th": "char"}
"""BLEU's, by target language; 13a for those that put spaces between words. Japanese by MeCab needs a dictionary."""


def translation(
    references: Sequence[str] | Sequence[Sequence[str]],
    predictions: Sequence[str],
    *,
    language: str | None = None,
    metrics: Sequence[Name] = METRICS,
) -> Together:
    """`bleu`, `chrf`, `chrf++` (meant for languages with spaces), `ter` (where asked for; lower is better).

    Args:
        references: (n,) texts, or a list of texts for each, of one length or several.
        predictions: (n,) texts, without other tokenization than the language's own.
        language: of the target, such as en, zh, ja. None: ja where kana stand in a reference, zh where Chinese
            characters stand in most, else one with spaces.

    Raises:
        InputError: columns of different lengths, empty ones, a segment without reference, or no such metric.
    """
    n = same_length("references and predictions", references, predictions)
    each = [[one] if isinstance(one, str) else list(one) for one in references]
    for i, texts in enumerate(each):
        if not texts:
            raise InputError("has no reference", where=f"segment {i + 1}", remedy="give one or leave the segment out")
    language = language or _language([texts[0] for texts in each])
    most = max(map(len, each))
    streams = [[texts[k] if k < len(texts) else None for texts in each] for k in range(most)]
    return together(*(_measure(name, list(predictions), streams, language, n) for name in metrics))


def _measure(name: Name, predictions: list[str], streams: list[list[str | None]], language: str, n: int) -> Additive:
    metric = _metric(name, language)
    # The same call that its `corpus_score` begins with; what it has no public name for, the tests hold to that one.
    rows = metric._extract_corpus_statistics(predictions, streams)
    statistics = np.array(rows, dtype=np.float64).reshape(n, -1)

    def of(sums: F64) -> Values:
        return {name: np.array([metric._compute_score_from_stats(row.tolist()).score for row in sums])}

    kind = Kind("lower", high=np.inf) if name == "ter" else PERCENT
    return Additive(statistics, of, f"{name}:{metric.get_signature().format()}".replace("|", ","), {name: kind})


def _metric(name: str, language: str) -> Any:
    from sacrebleu.metrics import BLEU, CHRF, TER

    if name == "bleu":
        return BLEU(tokenize=TOKENIZERS.get(language, "13a"), force=True)
    if name == "chrf":
        return CHRF()
    if name == "chrf++":
        return CHRF(word_order=2)
    if name == "ter":  # by characters where there are no spaces to cut at
        return TER(normalized=True, asian_support=True) if language in TOKENIZERS else TER()
    raise InputError(f"{name!r} is no metric of translations", remedy="take some of bleu, chrf, chrf++, ter")


def _language(texts: list[str]) -> str:
    if any(map(has_kana, texts)):
        return "ja"
    return "zh" if sum(map(has_han, texts)) * 2 > len(texts) else "spaced"
