"""Tags of tokens -> spans -> precision, recall and F1 of entities; words of Chinese sentences are judged the same way.

    B-PER I-PER O B-LOC -> (PER, 0, 2), (LOC, 3, 4) -> found rightly, found, there, by type

A tag is a letter and, behind a hyphen, a type; tags without types are of one. Schemes differ in their letters and in
what they take for ill-formed:

    IO     I, O
    IOB1   I, O, and B where a span begins right behind another of its type
    BIO    B at the beginning of every span (IOB2)
    BIOES  the end of a span too, and spans of one token: B I E S; BMES and BILOU are other letters for the same

Lenient decoding is that of the CoNLL-2000 script and takes all schemes and their mixes: an ill-formed span begins where
a type does. Strict decoding drops what its scheme does not allow. Equal to seqeval, in both of its modes.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from typing import Literal

import numpy as np
from scipy import sparse

from assay.errors import InputError
from assay.metrics import counted
from assay.metrics.scores import F64, Additive, Values, same_length

Scheme = Literal["IO", "IOB1", "BIO", "BIOES"]
Span = tuple[str, int, int]
"""Type, first token, the one behind the last."""
Tag = tuple[str, str]
"""One of the letters O, B, I, E, S, and the type."""

LETTERS = {"O": "O", "B": "B", "I": "I", "M": "I", "E": "E", "L": "E", "S": "S", "U": "S", "W": "S"}
"""As BIOES calls them: M of BMES, L and U of BILOU, W of BMEWO."""
ALLOWED = {"IO": "IO", "IOB1": "IOB", "BIO": "IOB", "BIOES": "IOBES"}
ALIASES = {"IOB2": "BIO", "BMES": "BIOES", "IOBES": "BIOES", "BILOU": "BIOES"}
OUTSIDE: Tag = ("O", "_")


def spans(tags: Sequence[str], scheme: str = "BIO", *, strict: bool = False) -> list[Span]:
    """Spans of one sequence of tags, in order.

    Args:
        scheme: matters for strict decoding alone.

    Raises:
        InputError: no such scheme, a tag whose letter is none, or with `strict` one that its scheme does not have.
    """
    name = ALIASES.get(scheme, scheme)
    if name not in ALLOWED:
        raise InputError(f"{scheme!r} is no scheme of tags", remedy=f"take one of {', '.join([*ALLOWED, *ALIASES])}")
    read = [_read(tag, ALLOWED[name] if strict else "OBIES") for tag in tags]
    if not strict or name == "IO":
        return _lenient(read)
    return _strict(read, *STRICT[name])


def tagging(
    references: Sequence[Sequence[str]],
    predictions: Sequence[Sequence[str]],
    *,
    scheme: str = "BIO",
    strict: bool = False,
    types: Sequence[str] | None = None,
    zero_division: float = 0.0,
) -> Additive:
    """`token_accuracy`, and precision, recall and F1 of entities: micro, macro, weighted, by type.

    Args:
        references, predictions: of each sentence a tag a token.
        scheme, strict: how tags are read.
        types: all that there are, in the order of the values by type. None: those that occur, sorted.
        zero_division: what precision counts as where nothing was found, and recall where nothing is there.

    Raises:
        InputError: other numbers of sentences or of tags in one, or tags that are none.
    """
    n = same_length("references and predictions", references, predictions)
    read: tuple[list[list[Span]], list[list[Span]]] = ([], [])
    right = np.zeros((n, 2))
    for i, both in enumerate(zip(references, predictions, strict=True)):
        if len(both[0]) != len(both[1]):
            said = f"{len(both[1])} predicted tags for {len(both[0])} tokens"
            raise InputError(said, where=f"sentence {i + 1}", remedy="give a tag for each token")
        right[i] = sum(a == b for a, b in zip(*both, strict=True)), len(both[0])
        for tags, into in zip(both, read, strict=True):
            try:
                into.append(spans(tags, scheme, strict=strict))
            except InputError as error:
                raise InputError(error.what, where=f"sentence {i + 1}", remedy=error.remedy) from None
    gold, found = read
    seen = {kind for column in read for sentence in column for kind, _, _ in sentence}
    names = sorted(seen or {"_"}) if types is None else list(dict.fromkeys(types))
    if not seen <= set(names):
        said = f"{min(seen - set(names))!r} is not among the types of tags"
        raise InputError(said, remedy=f"the types are {', '.join(names)}")
    counts = _counts(gold, found, names)

    def of(sums: F64) -> Values:
        values = {"token_accuracy": sums[:, -2] / sums[:, -1]}
        return values | counted.averages(sums[:, :-2], names, zero_division)

    signature = f"scheme:{scheme}|strict:{'yes' if strict else 'no'}|types:{len(names)}|zero_division:{zero_division:g}"
    statistics = sparse.hstack([counts, sparse.csr_array(right)], format="csr")
    return Additive(statistics, of, signature, {}, counted.rests_on(counts, names))


def segmentation(
    references: Sequence[Sequence[str]],
    predictions: Sequence[Sequence[str]],
    *,
    known: Container[str] | None = None,
    zero_division: float = 0.0,
) -> Additive:
    """`precision`, `recall` and `f1` of words as spans of characters (Sproat and Emerson 2003).

    Args:
        references, predictions: of each sentence its words.
        known: words of the training text; adds `oov_recall` and `iv_recall`, of words that are not among them and that
            are.

    Raises:
        InputError: other numbers of sentences, or words that make up another text.
    """
    n = same_length("references and predictions", references, predictions)
    statistics = np.zeros((n, 7))
    for i, (gold, found) in enumerate(zip(references, predictions, strict=True)):
        if "".join(gold) != "".join(found):
            said = f"the words make up {''.join(found)[:40]!r}, not {''.join(gold)[:40]!r}"
            raise InputError(said, where=f"sentence {i + 1}", remedy="give the same characters in other words")
        there, hits = _word_spans(gold), set(_word_spans(found))
        kept = [(span in hits, known is not None and word in known) for span, word in zip(there, gold, strict=True)]
        news = [hit for hit, known_word in kept if not known_word]
        olds = [hit for hit, known_word in kept if known_word]
        statistics[i] = sum(hit for hit, _ in kept), len(found), len(gold), sum(news), len(news), sum(olds), len(olds)

    def of(sums: F64) -> Values:
        hits, words, there, new_hits, news, old_hits, olds = sums.T
        values = dict(zip(counted.PARTS, counted.ratios(hits, words, there, zero_division), strict=True))
        return values if known is None else values | {"oov_recall": new_hits / news, "iv_recall": old_hits / olds}

    rests = {"oov_recall": int((statistics[:, 4] > 0).sum()), "iv_recall": int((statistics[:, 6] > 0).sum())}
    return Additive(statistics, of, f"zero_division:{zero_division:g}", {}, {} if known is None else rests)


def _word_spans(words: Sequence[str]) -> list[tuple[int, int]]:
    ends = np.cumsum([len(word) for word in words]).tolist()
    return list(zip([0, *ends], ends, strict=False))


def _counts(gold: list[list[Span]], found: list[list[Span]], types: list[str]) -> sparse.csr_array:
    number = {kind: k for k, kind in enumerate(types)}
    both = [set(a) & set(b) for a, b in zip(gold, found, strict=True)]
    pairs = [
        (
            [i for i, sentence in enumerate(column) for _ in sentence],
            [number[kind] for sentence in column for kind, _, _ in sentence],
        )
        for column in (both, found, gold)
    ]
    return counted.table(len(gold), len(types), pairs)


def _read(tag: str, allowed: str) -> Tag:
    letter = LETTERS.get(tag[:1], "")
    if not letter or letter not in allowed or (letter == "O" and tag != "O"):
        raise InputError(
            f"{tag!r} is no tag of the scheme", remedy=f"write O, or one of {', '.join(allowed)} and a type"
        )
    return letter, tag[1:].removeprefix("-") or "_"


def _lenient(tags: list[Tag]) -> list[Span]:
    found: list[Span] = []
    begin: int | None = None
    before = OUTSIDE
    for i, tag in enumerate([*tags, OUTSIDE]):
        begins = tag[0] != "O" and (tag[0] in "BS" or before[0] in "OES" or tag[1] != before[1])
        if begin is not None and (begins or tag[0] == "O"):
            found.append((before[1], begin, i))
            begin = None
        if begins:
            begin = i
        before = tag
    return found


Rule = Callable[[Tag, Tag], bool]
"""(the tag before, the tag) -> whether."""


def _strict(tags: list[Tag], starts: Rule, goes_on: Rule, ends: Rule) -> list[Span]:
    """Spans that start, go on and end as a scheme allows; a run that ends otherwise is dropped as a whole."""
    padded = [OUTSIDE, *tags, OUTSIDE]  # the tag of token i is at i + 1
    found: list[Span] = []
    i = 0
    while i < len(tags):
        if not starts(padded[i], padded[i + 1]):
            i += 1
            continue
        end = i + 1
        while goes_on(padded[end], padded[end + 1]):
            end += 1
        if ends(padded[end], padded[end + 1]):
            found.append((padded[i + 1][1], i, end))
        i = end
    return found


def _goes_on(before: Tag, tag: Tag) -> bool:
    return before[0] in "BI" and tag[0] in "IE" and before[1] == tag[1]


def _iob1_starts(before: Tag, tag: Tag) -> bool:
    if tag[0] == "B":  # right behind a span of its type, and nowhere else
        return before[0] in "IB" and before[1] == tag[1]
    return tag[0] == "I" and (before[0] in "OB" or before[1] != tag[1])


def _iob1_ends(before: Tag, tag: Tag) -> bool:
    if before[0] == "B" and tag[0] == "B":
        return before[1] == tag[1]
    return tag[0] in "OB" or before[1] != tag[1]


STRICT: dict[str, tuple[Rule, Rule, Rule]] = {
    "IOB1": (_iob1_starts, _goes_on, _iob1_ends),
    "BIO": (lambda before, tag: tag[0] == "B", _goes_on, lambda before, tag: True),
    "BIOES": (lambda before, tag: tag[0] in "BS", _goes_on, lambda before, tag: before[0] in "ES"),
}
