"""Labels: mistyped, unseen in training, rare, uneven, or spread otherwise from part to part."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np

from assay.metrics.tagging import spans
from assay.tasks.checks.finding import Finding, Parts, Place, found
from assay.tasks.protocol import Example, Task
from assay.tasks.tagging import Tagging

LEAST = 10  # examples of a label, below which little can be learned, and nothing measured
UNEVEN = 50.0  # times that the commonest label is commoner than the rarest
MAJORITY = 0.9
SHIFT, SHIFT_P = 0.1, 1e-4  # share of labels that would have to change, and how unlikely that is by chance
_RARE = 0.02  # a mistyped label is at most this often of the right one,
_FEW = 5  # and no more often than this
_TYPED = 2000  # labels beyond which pairs are not compared
_BLANK = re.compile(r"(?<=\w)[\s_\-./]+(?=\w)")


def labels(parts: Parts, task: Task) -> list[Finding]:
    """All findings about labels; none where a task has no labels."""
    counts = {name: Counter(label for e in own for label in labels_of(e, task)) for name, own in parts.items()}
    if not any(counts.values()):
        return []
    spread = list(_shifted(counts)) if not isinstance(task, Tagging) else []
    alike = list(_alike(parts, counts, task))
    mistyped = {str(finding.values["a"]) for finding in alike}
    return [*alike, *_unseen(parts, task), *_rare(counts, task, mistyped), *spread]


def labels_of(example: Example, task: Task) -> list[str]:
    """The labels of an example: of a text, or of all its spans, or of all its tokens."""
    wanted = example.wanted
    if not hasattr(task, "labels"):  # what is wanted is a text that is written, or a number
        return []
    if isinstance(wanted, str):
        return [wanted]
    if not isinstance(wanted, list):
        return []
    if isinstance(task, Tagging) and task.kind == "spans":
        return [kind for kind, _, _ in spans(wanted)]
    return [str(label) for label in wanted]


def _where(parts: Parts, task: Task, label: str) -> Iterator[Place]:
    return (Place(e.where, label) for own in parts.values() for e in own if label in labels_of(e, task))


def plain(label: str) -> str:
    """A label without case, width, spaces and what people write for them."""
    return _BLANK.sub("", unicodedata.normalize("NFKC", label).casefold().replace("_", " ").strip())


def _alike(parts: Parts, counts: dict[str, Counter[str]], task: Task) -> Iterator[Finding]:
    """Labels that are one but for case, width or spaces; and rare ones a letter or two beside a frequent one."""
    total = sum(counts.values(), Counter[str]())
    groups = defaultdict[str, list[str]](list)
    for label in total:
        groups[plain(label)].append(label)
    same = [own for name, own in groups.items() if len(own) > 1 and name]
    for own in same:
        usual, *others = sorted(own, key=lambda label: -total[label])
        for other in others:
            n = total[other]
            yield found("labels_alike", "mend", _where(parts, task, other), total.total(), n, a=other, b=usual,
                        of_b=total[usual])  # fmt: skip
    if (isinstance(task, Tagging) and task.kind != "spans") or len(total) > _TYPED:
        return  # names of parts of speech are all alike
    for a, b in combinations(sorted(total, key=lambda label: total[label]), 2):
        if total[a] <= min(_FEW, _RARE * total[b]) and plain(a) != plain(b) and _mistyped(plain(a), plain(b)):
            yield found("labels_typed", "mend", _where(parts, task, a), total.total(), total[a], a=a, b=b,
                        of_b=total[b])  # fmt: skip


def _mistyped(a: str, b: str) -> bool:
    """Whether one label may be the other with an error of typing: one letter of four, two of eight; no digits."""
    longest = max(len(a), len(b))
    wide = not (a + b).isascii()
    most = 2 if longest >= 8 else 1 if longest >= 4 or (wide and longest >= 2) else 0
    if not most or re.sub(r"\D", "", a) != re.sub(r"\D", "", b):
        return False
    return distance(a, b) <= most


def distance(a: str, b: str) -> int:
    """Letters to add, take, change, or swap with the next (optimal string alignment)."""
    before, row = list[int](), list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        oldest, before, row = before, row, [i] + [0] * len(b)
        for j, y in enumerate(b, 1):
            row[j] = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                row[j] = min(row[j], oldest[j - 2] + 1)
    return row[-1]


def _unseen(parts: Parts, task: Task) -> Iterator[Finding]:
    for name, own in parts.items():
        known = [e for e in own if e.wanted is not None]
        unlike = [(e, why) for e in known if name != "train" and (why := task.unlike(e)) is not None]
        if unlike:
            new = {why.split("'")[1] if "'" in why else why for _, why in unlike}
            places = [Place(e.where, why) for e, why in unlike]
            yield found("labels_unseen", "mend", places, len(known), part=name, labels=sorted(new)[:8])


def _rare(counts: dict[str, Counter[str]], task: Task, mistyped: set[str]) -> Iterator[Finding]:
    train = Counter({label: n for label, n in counts.get("train", Counter()).items() if label not in mistyped})
    if len(train) < 2:
        return
    rare = sorted((label for label in train if train[label] < LEAST), key=lambda label: train[label])
    if rare:
        told = [Place(f"{label}: {train[label]}") for label in rare]
        yield found("labels_rare", "look", told, len(train), least=LEAST)
    (top, most), (low, least) = train.most_common(1)[0], min(train.items(), key=lambda pair: pair[1])
    share = most / train.total()
    if not isinstance(task, Tagging) and (most >= UNEVEN * least or share >= MAJORITY):
        yield Finding("labels_uneven", "look", most, train.total(),
                      values={"top": top, "low": low, "least": least})  # fmt: skip


def _shifted(counts: dict[str, Counter[str]]) -> Iterator[Finding]:
    """Labels of dev and test that occur otherwise than those of training."""
    from scipy.stats import chi2_contingency

    train = counts.get("train", Counter())
    for name in ("dev", "test"):
        own = counts.get(name, Counter())
        names = sorted(train.keys() | own.keys())
        if len(names) < 2 or not train or not own:
            continue
        table = np.array([[one[label] for label in names] for one in (train, own)], dtype=float)
        shares = table / table.sum(axis=1, keepdims=True)
        apart = float(np.abs(shares[0] - shares[1]).sum() / 2)
        if apart >= SHIFT and chi2_contingency(table).pvalue < SHIFT_P:
            order: Sequence[int] = np.argsort(-np.abs(shares[0] - shares[1])).tolist()
            told = [Place(f"{names[i]}: {shares[0, i]:.1%} / {shares[1, i]:.1%}") for i in order]
            yield found("labels_shifted", "look", told, own.total(), round(apart * own.total()), part=name,
                        share=apart)  # fmt: skip
