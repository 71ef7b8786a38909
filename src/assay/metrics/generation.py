"""Texts that a model wrote -> how varied they are, how much they repeat, how long they are; answers that must match.

    distinct-n         kinds of n-grams over n-grams, of all texts together (Li et al. 2016)
    repeated-n         the share of a text's n-grams that stood in it before, the mean over texts (Welleck et al. 2020)
    self-repetition    the share of all n-grams of four that another text has, too (after Salkar et al. 2022)

The first and the last are no sums over texts, and drawing texts with replacement would make copies that share all.
What is summed is what each text alone adds: the kinds that no other has, or the repeated n-grams that are none without
it (the jackknife's view; Efron and Stein 1981). The value is exact, the draws are to first order. Distinct-n falls with
the amount of text: compare equal numbers of texts of like length.

Texts are cut as `pieces.py` says. Exact match lies here, too.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from itertools import chain

import numpy as np

from assay.metrics.pieces import HAN, n_grams, pieces
from assay.metrics.scores import (
    AMOUNT,
    ERROR_SHARE,
    F64,
    Additive,
    Kind,
    Together,
    Values,
    means,
    same_length,
    together,
)

SELF = 4
"""Length of the n-grams by which texts repeat each other."""


def generation(
    texts: Sequence[str],
    *,
    stopped: Sequence[bool] | None = None,
    lengths: Sequence[int] | None = None,
    columns: dict[str, Sequence[float | None]] | None = None,
) -> Together:
    """`distinct_1`, `_2`, `_3`, `repeated_1` to `_4`, `self_repetition`, `mean_length`, `stopped`.

    Args:
        texts: (n,) what the model wrote.
        stopped: (n,) whether it ended by itself, before a limit on its length.
        lengths: (n,) in the caller's unit, such as tokens. None: in pieces.
        columns: shares that a caller knows, such as whether each text is in the language of its prompt.

    Raises:
        InputError: columns of different lengths, or no texts.
    """
    own = {"stopped": stopped} if stopped is not None else {}
    same_length(
        "texts and columns", texts, *own.values(), *([] if lengths is None else [lengths]), *(columns or {}).values()
    )
    cut = [pieces(text) for text in texts]
    repeated: dict[str, Sequence[float | None]] = {
        f"repeated_{n}": [_repeated(one, n) for one in cut] for n in range(1, 5)
    }
    kinds = {name: ERROR_SHARE for name in repeated} | {"mean_length": AMOUNT}
    size = [float(length) for length in lengths] if lengths is not None else [float(len(one)) for one in cut]
    shares = means({**repeated, "mean_length": size, **own, **(columns or {})}, kinds, signature="units:words+han")
    return together(*(_distinct(cut, n) for n in (1, 2, 3)), shares, _self_repetition(cut))


def exact_match(references: Sequence[str] | Sequence[Sequence[str]], predictions: Sequence[str]) -> Additive:
    """`exact_match`: the share equal to a reference, whatever the case, width, punctuation and spaces.

    Args:
        references: (n,) texts, or a list of texts for each, any of which is right.
        predictions: (n,) texts.

    Raises:
        InputError: columns of different lengths, or empty ones.
    """
    same_length("references and predictions", references, predictions)
    hits = [
        normalized(given) in {normalized(text) for text in ([texts] if isinstance(texts, str) else texts)}
        for texts, given in zip(references, predictions, strict=True)
    ]
    return means({"exact_match": hits}, signature="normalized:nfkc+case+punctuation+spaces")


def normalized(text: str) -> str:
    """`"答案：Ａ。" -> "答案a"`, `"The U.S.A., -1.5 %" -> "the usa -1.5 %"`; text of marks alone keeps them."""
    folded = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    kept = "".join(letter for i, letter in enumerate(folded) if not _drops(folded, i)) or folded
    return _BESIDE_HAN.sub("", " ".join(kept.split()))


_BESIDE_HAN = re.compile(f"(?<=[{HAN}]) | (?=[{HAN}])")
_TELLING = frozenset("%‰#&@*")
"""Marks that make another answer of it, such as C# of C."""


def _drops(text: str, i: int) -> bool:
    """Whether a letter is punctuation, and neither within a number nor its sign."""
    if unicodedata.category(text[i])[0] != "P" or text[i] in _TELLING:
        return False
    before, behind = text[i - 1 : i], text[i + 1 : i + 2]
    if not behind.isdigit():
        return True
    return not (before.isdigit() or (text[i] in "-." and not before.isalnum()))


def _repeated(text: list[str], n: int) -> float | None:
    """None where a text has no n-gram that could."""
    grams = n_grams(text, n)
    return 1 - len(set(grams)) / len(grams) if grams else None


def _distinct(texts: list[list[str]], n: int) -> Additive:
    grams = [Counter(n_grams(text, n)) for text in texts]
    having = Counter(chain.from_iterable(grams))  # texts with each kind
    alone = np.array([sum(having[gram] == 1 for gram in own) for own in grams], dtype=np.float64)
    return _to_first_order(f"distinct_{n}", float(len(having)), alone, grams, Kind())


def _self_repetition(texts: list[list[str]]) -> Additive:
    grams = [Counter(n_grams(text, SELF)) for text in texts]
    having = Counter(chain.from_iterable(grams))
    times: Counter[tuple[str, ...]] = _sum_of(grams)
    whole = float(sum(count for gram, count in times.items() if having[gram] > 1))
    # Without a text its repeated n-grams are gone, and those that one other text alone had are repeated no more.
    fewer = [
        sum(times[gram] if having[gram] == 2 else count for gram, count in own.items() if having[gram] > 1)
        for own in grams
    ]
    return _to_first_order("self_repetition", whole, np.array(fewer, dtype=np.float64), grams, ERROR_SHARE)


def _sum_of(counters: Sequence[Counter[tuple[str, ...]]]) -> Counter[tuple[str, ...]]:
    total: Counter[tuple[str, ...]] = Counter()
    for counter in counters:
        total.update(counter)
    return total


def _to_first_order(
    name: str, whole: float, adds: F64, grams: Sequence[Counter[tuple[str, ...]]], kind: Kind
) -> Additive:
    """`whole` over all n-grams; a draw has more or less of it by what the texts drawn add.

    What the texts do not add alone is dealt to them evenly, so that the sum over all is the whole.
    """
    sizes = np.array([counter.total() for counter in grams], dtype=np.float64)
    statistics = np.stack([adds + (whole - adds.sum()) / len(adds), sizes], axis=1)

    def of(sums: F64) -> Values:
        return {name: np.clip(sums[:, 0] / sums[:, 1], 0, 1)}

    return Additive(statistics, of, "", {name: kind})
