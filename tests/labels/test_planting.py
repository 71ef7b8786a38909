"""What is planted in labels: exactly the dose, by a seed, whatever the order of files; sizes hold one another."""

from __future__ import annotations

import itertools
import random
from typing import Any

import numpy as np
import pytest

from assay.errors import InputError
from assay.labels import planting
from assay.labels.planting import Training
from assay.metrics.tagging import spans
from assay.tasks.protocol import made
from assay.tasks.reading.rows import Row
from labelled import reviews, sentences


def training(task: str, rows: list[dict[str, Any]], seed: int = 0, **options: Any) -> Training:
    return Training.of(made(task, options), [Row(row, f"f:{i}") for i, row in enumerate(rows)], seed)


def _differs(one: list[Row], other: list[Row], name: str) -> list[int]:
    return [i for i, (a, b) in enumerate(zip(one, other, strict=True)) if a.fields[name] != b.fields[name]]


@pytest.mark.parametrize("dose", [0.05, 0.1, 0.4])
def test_exactly_the_dose_of_classes_is_wrong_and_noted(dose: float) -> None:
    own = training("classification", reviews(200))
    found = planting.noisy(own, dose)
    changed = _differs(own.rows, found.rows, "label")
    assert len(changed) == len(found.notes) == round(dose * 200)
    assert [own.rows[i].where for i in changed] == [note["where"] for note in found.notes]
    assert [row.fields["text"] for row in found.rows] == [row.fields["text"] for row in own.rows]
    assert set(changed) <= set(_differs(own.rows, planting.noisy(own, 0.5).rows, "label"))


def test_planting_goes_by_the_seed_and_not_by_the_order_of_rows() -> None:
    rows = reviews(120)
    shuffled = random.Random(3).sample(rows, len(rows))

    def told(of: list[dict[str, Any]], seed: int) -> list[tuple[str, str]]:
        found = planting.noisy(training("classification", of, seed), 0.2)
        return [(row.fields["text"], row.fields["label"]) for row in found.rows]

    assert told(rows, 0) == told(shuffled, 0)
    assert told(rows, 0) != told(rows, 1)


def test_other_classes_are_drawn_evenly() -> None:
    rows = [{"text": f"text {i}", "label": str(i % 4)} for i in range(2000)]
    found = planting.noisy(training("classification", rows), 0.9)
    table = np.zeros((4, 4))
    for note in found.notes:
        table[int(note["from"]), int(note["to"])] += 1
    assert (np.diag(table) == 0).all()
    others = table[~np.eye(4, dtype=bool)]
    assert (np.abs(others - others.mean()) < 5 * others.mean() ** 0.5).all()


def test_whole_entities_get_another_type() -> None:
    own = training("tagging", sentences(80))
    before = [spans(row.fields["tags"]) for row in own.rows]
    found = planting.noisy(own, 0.25)
    after = [spans(row.fields["tags"]) for row in found.rows]
    places = [[(b, e) for _, b, e in one] for one in before]
    assert places == [[(b, e) for _, b, e in one] for one in after]
    pairs = [(a[0], b[0]) for x, y in zip(before, after, strict=True) for a, b in zip(x, y, strict=True)]
    assert sum(a != b for a, b in pairs) == len(found.notes) == round(0.25 * len(pairs))


def test_entities_of_a_text_with_spans_are_replaced_in_place() -> None:
    rows = [{"text": f"Ann {i} lives in 北京 now", "spans": [[0, 3, "PER"], [len(f"Ann {i} lives in "), len(f"Ann {i} lives in 北京"), "LOC"]]} for i in range(20)]  # fmt: skip  # noqa: E501
    found = planting.noisy(training("tagging", rows), 0.5)
    assert len(found.notes) == 20
    for row in found.rows:
        assert {(a, b) for a, b, _ in row.fields["spans"]} == {(a, b) for a, b, _ in next(
            r for r in rows if r["text"] == row.fields["text"])["spans"]}  # fmt: skip


def test_numbers_are_shuffled_among_the_chosen_rows() -> None:
    rows = [{"text": f"text {i}", "score": float(i)} for i in range(50)]
    own = training("regression", rows)
    found = planting.noisy(own, 0.4)
    changed = _differs(own.rows, found.rows, "score")
    assert len(changed) == 20
    assert sorted(own.rows[i].fields["score"] for i in changed) == sorted(
        found.rows[i].fields["score"] for i in changed
    )


@pytest.mark.parametrize("task", ["classification", "tagging"])
def test_larger_sizes_hold_the_smaller_ones_and_every_label(task: str) -> None:
    rows = reviews(100) if task == "classification" else sentences(100)
    if task == "classification":
        rows[17]["label"] = "rare"
    for seed in range(5):
        own = planting.covering(training(task, rows, seed), 10)
        parts = [planting.subset(own, n).rows for n in (10, 20, 40, 100)]
        assert all(small == large[: len(small)] for small, large in itertools.pairwise(parts))
        learned = own.task.learn([own.task.read(row.fields, row.where) for row in parts[0]])
        assert all(learned.unlike(e) is None for e in own.examples)
    assert sorted(row.where for row in parts[-1]) == sorted(f"f:{i}" for i in range(100))


def test_too_few_examples_for_all_labels_is_told() -> None:
    rows = [{"text": f"text {i}", "label": str(i)} for i in range(40)]
    with pytest.raises(InputError, match="cannot hold every label"):
        planting.covering(training("classification", rows), 8)


def test_a_share_of_the_rarest_class_is_taken_away() -> None:
    rows = reviews(100)
    own = training("classification", rows)
    label = planting.rarest(own)
    n = sum(row["label"] == label for row in rows)
    assert n <= 50
    for share in (0.5, 0.9):
        found = planting.rarer(own, share)
        assert sum(row.fields["label"] == label for row in found.rows) == n - round(share * n)
        assert sum(row.fields["label"] != label for row in found.rows) == 100 - n
        assert len(found.notes) == round(share * n)


def test_copies_stand_behind_their_rows_with_their_labels() -> None:
    own = training("classification", reviews(60))
    found = planting.with_copies(own)
    texts = {row.fields["text"]: row.fields["label"] for row in own.rows}
    copies = [row for row in found.rows if row.fields["text"] not in texts]
    assert len(copies) == len(found.notes) == len(found.rows) - 60
    assert len(copies) > 30
    where = {row.where: row.fields for row in own.rows}
    for row in copies:
        assert row.fields["label"] == where[row.where]["label"]
        assert sorted(set(row.fields["text"].split()) - set(where[row.where]["text"].split())) == []
