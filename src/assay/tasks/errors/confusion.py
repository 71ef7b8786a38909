"""Which answers are given in place of which.

labels    a table: wanted by found, of texts or of tokens
spans     each span that is there with the one that was found where it stands: right, of another type, with other
          ends, both; missed where none was found, spurious where none is there
sets      of each label: given rightly, missed, spurious
answers   right, in part, wrong; missed where none was given, spurious where there is none to give
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from assay.metrics.reading import reading
from assay.metrics.tagging import Span, spans
from assay.tasks.classification import Classification, MultiLabel
from assay.tasks.extraction import Extraction
from assay.tasks.protocol import Answer, Example, Task
from assay.tasks.regression import Regression
from assay.tasks.tagging import Tagging

NONE = "–"  # the row of what is not there, the column of what was not found
KINDS = ("right", "part", "boundary", "type", "both", "wrong", "missed", "spurious")


@dataclass(frozen=True)
class Table:
    """How often each column was found where each row was wanted.

    Attributes:
        counts: (rows, columns).
    """

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    counts: npt.NDArray[np.int64]

    def told(self) -> dict[str, object]:
        """As JSON."""
        return {"rows": list(self.rows), "columns": list(self.columns), "counts": self.counts.tolist()}


@dataclass(frozen=True)
class Confusion:
    """What was found in place of what.

    Attributes:
        labels: wanted by found; None where answers are no labels. Of spans, what overlaps counts, whatever its ends.
        kinds: of each label, how often which kind of error; None where there is one kind alone.
        unit: what is counted.
    """

    labels: Table | None
    kinds: Table | None
    unit: str


def confusion(task: Task, examples: Sequence[Example], answers: Sequence[Answer]) -> Confusion | None:
    """The confusion of a task's answers; None where nothing is told apart."""
    wanted = [e.wanted for e in examples]
    if isinstance(task, Tagging):
        return _of_tags(task, wanted, [a["tags"] for a in answers])
    if isinstance(task, Classification):
        return Confusion(crossed(wanted, [task.meant(a) for a in answers], task.labels), None, "examples")
    if isinstance(task, MultiLabel):
        return Confusion(None, of_sets(wanted, [a["labels"] for a in answers], task.labels), "labels")
    if isinstance(task, Extraction):
        return Confusion(None, of_answers([w["text"] for w in wanted], [a["text"] for a in answers]), "examples")
    if isinstance(task, Regression) and task.grades:
        numbers = [[f"{float(x):g}" for x in column] for column in (wanted, [a["score"] for a in answers])]
        names = sorted({x for column in numbers for x in column}, key=float)
        return Confusion(crossed(numbers[0], numbers[1], names), None, "examples")
    return None


def _of_tags(task: Tagging, wanted: Sequence[Sequence[str]], found: Sequence[Sequence[str]]) -> Confusion:
    if task.kind == "spans":
        return of_spans([spans(row) for row in wanted], [spans(row) for row in found])
    flat = [[tag for row in rows for tag in row] for rows in (wanted, found)]
    return Confusion(crossed(flat[0], flat[1], task.labels), None, "tokens")


def crossed(wanted: Sequence[str], found: Sequence[str], names: Sequence[str]) -> Table:
    """Labels wanted by labels found; those of `names` first, in their order."""
    names = tuple(dict.fromkeys([*names, *wanted, *found]))
    number = {name: i for i, name in enumerate(names)}
    counts = np.zeros((len(names), len(names)), dtype=np.int64)
    np.add.at(counts, ([number[w] for w in wanted], [number[f] for f in found]), 1)
    return Table(names, names, counts)


def aligned(there: Sequence[Span], found: Sequence[Span]) -> list[tuple[Span | None, Span | None]]:
    """Each span that is there with the one that overlaps it most, of several as much the one of its type; those left
    over with none."""
    likely = sorted(
        (a[1:] != b[1:], max(a[1], b[1]) - min(a[2], b[2]), a[0] != b[0], i, j)  # the second: less than 0 overlaps
        for i, a in enumerate(there)
        for j, b in enumerate(found)
    )
    pairs, left, right = list[tuple[Span | None, Span | None]](), dict(enumerate(there)), dict(enumerate(found))
    for _, apart, _, i, j in likely:
        if apart < 0 and i in left and j in right:
            pairs.append((left.pop(i), right.pop(j)))
    return [*pairs, *((span, None) for span in left.values()), *((None, span) for span in right.values())]


def kind_of(there: Span | None, found: Span | None) -> str:
    """What is wrong with a pair of `aligned`."""
    if there is None or found is None:
        return "spurious" if there is None else "missed"
    ends, type_ = there[1:] == found[1:], there[0] == found[0]
    return "right" if ends and type_ else "type" if ends else "boundary" if type_ else "both"


def of_spans(there: Sequence[Sequence[Span]], found: Sequence[Sequence[Span]]) -> Confusion:
    """Types of spans, and what is wrong with those of each type; spurious ones count by the type that was found."""
    pairs = [pair for a, b in zip(there, found, strict=True) for pair in aligned(a, b)]
    types = sorted({span[0] for pair in pairs for span in pair if span is not None})
    names = [*types, NONE]
    said = [[NONE if span is None else span[0] for span in column] for column in zip(*pairs, strict=True)] or [[], []]
    kinds = ("right", "boundary", "type", "both", "missed", "spurious")
    counted = Counter(((b if a is None else a)[0], kind_of(a, b)) for a, b in pairs)  # type: ignore[index]
    return Confusion(crossed(said[0], said[1], names), _kinds(types, kinds, counted), "spans")


def of_sets(wanted: Sequence[Sequence[str]], found: Sequence[Sequence[str]], names: Sequence[str]) -> Table:
    """Of each label, how often it was given rightly, missed, and spurious."""
    counted = Counter[tuple[str, str]]()
    for own, given in zip(wanted, found, strict=True):
        counted.update((label, "right" if label in given else "missed") for label in own)
        counted.update((label, "spurious") for label in given if label not in own)
    return _kinds(
        list(dict.fromkeys([*names, *(label for label, _ in counted)])), ("right", "missed", "spurious"), counted
    )


def of_answers(wanted: Sequence[Sequence[str]], found: Sequence[str]) -> Table:
    """Questions with an answer, and without one, by what was answered."""
    values = reading(wanted, found).statistics[:, :2]  # exact match and F1 of each
    counted = Counter[tuple[str, str]]()
    for own, given, (exact, f1) in zip(wanted, found, values.tolist(), strict=True):
        if not any(own):
            counted["without", "spurious" if given else "right"] += 1
        elif not given:
            counted["with", "missed"] += 1
        else:
            counted["with", "right" if exact else "part" if f1 else "wrong"] += 1
    kinds = [kind for kind in KINDS if any(key[1] == kind for key in counted)]
    return _kinds([row for row in ("with", "without") if any(key[0] == row for key in counted)], kinds, counted)


def _kinds(rows: Sequence[str], kinds: Sequence[str], counted: Counter[tuple[str, str]]) -> Table:
    counts = np.array([[counted[row, kind] for kind in kinds] for row in rows], dtype=np.int64)
    return Table(tuple(rows), tuple(kinds), counts.reshape(len(rows), len(kinds)))


def commonest(table: Table, most: int) -> list[dict[str, object]]:
    """What is most often taken for what: the cells beside the diagonal, the largest first."""
    wrong = table.counts.copy()
    np.fill_diagonal(wrong, 0)
    total = table.counts.sum(axis=1)
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    cells = [(int(i) // wrong.shape[1], int(i) % wrong.shape[1]) for i in order]
    return [
        {"wanted": table.rows[i], "found": table.columns[j], "n": int(wrong[i, j]), "of": int(total[i])}
        for i, j in cells
        if wrong[i, j]
    ]
