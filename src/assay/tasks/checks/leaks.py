"""Inputs that stand twice: in several parts, nearly equal in several parts, or with other answers.

Equal is equal without case, width and white space. Nearly equal is a Jaccard similarity of at least `dedup.THRESHOLD`
between sets of pairs of words, or of three characters of Chinese: texts here are shorter than documents, whose shingles
(24 letters) a change of one word would all touch. Candidates share one of their rarest shingles, which misses nothing
(prefix filtering: Chaudhuri, Ganti and Kaushik 2006).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import xxhash

from assay.corpus.duplicates.dedup import THRESHOLD, jaccard
from assay.tasks.checks.finding import Finding, Parts, Place, folded, found, key, place, short, telling, units, whole
from assay.tasks.coding import WIDE
from assay.tasks.protocol import Example

U64 = npt.NDArray[np.uint64]
PAIRS = (("train", "test"), ("train", "dev"), ("dev", "test"))
LEAST = 6  # shingles of a text, below which nearly equal says nothing
_BUCKET = 100  # texts of one shingle that are looked at
_APART = 0.5  # standard deviations between two numbers that contradict one another


def leaks(parts: Parts, near: Sequence[str] | None = None) -> list[Finding]:
    """Findings of equal and nearly equal inputs.

    Args:
        near: the field whose near copies are looked for; None: all that is given.
    """
    keys = {name: [key(e) for e in own] for name, own in parts.items()}
    findings = [*_equal(parts, keys), *_repeats(parts, keys)]
    sets = {name: _sets([_near(e, near) for e in own]) for name, own in parts.items()}
    for a, b in PAIRS:
        if a in parts and b in parts:
            findings += _alike(parts, near, sets, a, b)
    return findings


def _equal(parts: Parts, keys: dict[str, list[tuple[str, ...]]]) -> Iterator[Finding]:
    for a, b in PAIRS:
        if a not in parts or b not in parts:
            continue
        first = {k: e for k, e in zip(reversed(keys[a]), reversed(parts[a]), strict=True)}
        hits = [(e, k) for e, k in zip(parts[b], keys[b], strict=True) if k in first]
        for told, kind in ((True, "leaks"), (False, "leaks_short")):
            own = [Place(f"{e.where} = {first[k].where}", short(whole(e))) for e, k in hits if telling(k) == told]
            level = "note" if not told else "mend" if a == "train" else "look"
            if own:
                yield found(kind, level, own, len(parts[b]), a=a, b=b)  # type: ignore[arg-type]


def _repeats(parts: Parts, keys: dict[str, list[tuple[str, ...]]]) -> Iterator[Finding]:
    first: dict[tuple[str, ...], Example] = {}
    again = []
    for e, k in zip(parts.get("train", ()), keys.get("train", ()), strict=True):
        if k in first:
            again.append(Place(f"{e.where} = {first[k].where}", short(whole(e))))
        first.setdefault(k, e)
    if again:
        yield found("repeats", "note", again, len(parts["train"]))


def contradictions(parts: Parts, deviation: float = 0.0) -> list[Finding]:
    """Equal inputs of which different answers are wanted: within train, and between train and others.

    Args:
        deviation: of numbers that are wanted.
    """
    train = defaultdict[Any, list[Example]](list)
    for e in parts.get("train", ()):
        if e.wanted is not None:
            train[_asked(e)].append(e)
    findings = []
    within = [own for own in train.values() if any(_apart(own[0], e, deviation) for e in own[1:])]
    if within:
        told = []
        for own in within:
            other = next(e for e in own[1:] if _apart(own[0], e, deviation))
            told.append(_both(own[0], other))
        n = sum(map(len, within))
        findings.append(found("contradictions", "mend", told, sum(map(len, train.values())), n, groups=len(within)))
    for name in ("dev", "test"):
        own = [e for e in parts.get(name, ()) if e.wanted is not None]
        hits = [(e, train[_asked(e)]) for e in own if _asked(e) in train]
        told = [_both(e, same[0]) for e, same in hits if all(_apart(e, other, deviation) for other in same)]
        if told:
            findings.append(found("contradictions_across", "mend", told, len(own), part=name))
    return findings


def _asked(example: Example) -> Any:
    tokens = example.given.get("tokens")
    return key(example) if tokens is None else tuple(map(folded, tokens))


def _both(one: Example, other: Example) -> Place:
    """Two examples, and in what they differ."""
    a, b = one.wanted, other.wanted
    tokens = one.given.get("tokens")
    if tokens is None:
        text, said = short(whole(one)), [short(_said(wanted)) for wanted in (a, b)]
    else:
        first, last = (next(i for i in order if a[i] != b[i]) for order in (range(len(a)), reversed(range(len(a)))))
        text, *said = (short(" ".join(row[first : last + 1])) for row in (tokens, a, b))
    return Place(f"{one.where}, {other.where}", f"{text}: {' / '.join(said)}")


def _said(wanted: Any) -> str:
    if isinstance(wanted, dict):
        return "; ".join(wanted["text"]) or "–"
    return " ".join(map(str, wanted)) if isinstance(wanted, list) else str(wanted)


def _apart(one: Example, other: Example, deviation: float) -> bool:
    a, b = one.wanted, other.wanted
    if isinstance(a, dict):  # of several answers to a question one may be the other's
        texts = [{folded(text) for text in wanted["text"]} for wanted in (a, b)]
        return not texts[0] & texts[1] and bool(texts[0] or texts[1])
    if isinstance(a, float):
        return abs(a - b) > _APART * deviation
    return bool(a != b)


def _near(example: Example, names: Sequence[str] | None) -> str:
    return whole(example) if names is None else " ".join(str(example.given[name]) for name in names)


def _sets(texts: Sequence[str]) -> list[U64]:
    """Of each text the hashes of its shingles, sorted."""
    known: dict[str, U64] = {}
    for text in dict.fromkeys(texts):
        pieces = units(folded(text))
        size = 3 if 2 * sum(1 for piece in pieces if WIDE.match(piece)) > len(pieces) else 2
        grams = {" ".join(pieces[i : i + size]) for i in range(len(pieces) - size + 1)}
        known[text] = np.array(sorted(xxhash.xxh3_64_intdigest(gram.encode()) for gram in grams), dtype=np.uint64)
    return [known[text] for text in texts]


def _alike(parts: Parts, near: Sequence[str] | None, sets: dict[str, list[U64]], a: str, b: str) -> Iterator[Finding]:
    """Texts of b that are nearly one of a, and not equal to any."""
    equal = {folded(_near(e, near)) for e in parts[a]}
    mine = [i for i, e in enumerate(parts[b]) if len(sets[b][i]) >= LEAST and folded(_near(e, near)) not in equal]
    theirs = [i for i, own in enumerate(sets[a]) if len(own) >= LEAST]
    if not mine or not theirs:
        return
    of_b, of_a = ([sets[name][i] for i in chosen] for name, chosen in ((b, mine), (a, theirs)))
    best: dict[int, tuple[float, int]] = {}
    for i, j in _candidates(of_b, of_a):
        similarity = jaccard(of_b[i], of_a[j])
        if similarity >= THRESHOLD and similarity > best.get(i, (0.0, 0))[0]:
            best[i] = similarity, j
    if best:
        ordered = sorted(best.items(), key=lambda pair: -pair[1][0])
        told = []
        for i, (similarity, j) in ordered:
            one, other = parts[b][mine[i]], parts[a][theirs[j]]
            told.append(Place(f"{one.where} ~ {other.where}", f"{similarity:.2f}: {place(one).what}"))
        yield found("leaks_near", "look", told, len(parts[b]), a=a, b=b)


def _candidates(mine: Sequence[U64], theirs: Sequence[U64]) -> set[tuple[int, int]]:
    """Pairs that may be alike: of two sets as alike as that, the rarest shingles of both share one."""
    values, counts = np.unique(np.concatenate([*mine, *theirs]), return_counts=True)
    (held, owner), (asked, asker) = (_rarest(sets, values, counts) for sets in (theirs, mine))
    order = np.argsort(held, kind="stable")
    held, owner = held[order], owner[order]
    first, last = (np.searchsorted(held, asked, side=side) for side in ("left", "right"))
    sizes = [np.array([len(own) for own in sets]) for sets in (mine, theirs)]
    pairs = set[tuple[int, int]]()
    for k in np.flatnonzero(last > first).tolist():
        i, some = int(asker[k]), owner[first[k] : min(last[k], first[k] + _BUCKET)]
        near = np.minimum(sizes[0][i], sizes[1][some]) >= THRESHOLD * np.maximum(sizes[0][i], sizes[1][some])
        pairs.update((i, j) for j in some[near].tolist())
    return pairs


def _rarest(sets: Sequence[U64], values: U64, counts: npt.NDArray[np.int64]) -> tuple[U64, npt.NDArray[np.int64]]:
    """Of each set the shingles without which less than THRESHOLD of it is left, the rarest ones; and whose they are."""
    kept, owners = list[U64](), list[int]()
    for number, own in enumerate(sets):
        rare = np.argsort(counts[np.searchsorted(values, own)], kind="stable")
        kept.append(own[rare[: len(own) - math.ceil(THRESHOLD * len(own)) + 1]])
        owners.append(number)
    return np.concatenate(kept), np.repeat(owners, [len(own) for own in kept])
