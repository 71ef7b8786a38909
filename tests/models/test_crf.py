"""The conditional random field, against all rows of labels written out."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from assay.models.crf import Transitions

LABELS, LENGTHS = 4, (5, 3, 1)


@pytest.fixture
def field() -> Transitions:
    torch.manual_seed(0)
    made = Transitions(LABELS)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter)
    return made


def _rows(seed: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(len(LENGTHS), max(LENGTHS), LABELS, generator=generator, requires_grad=True)
    labels = torch.randint(0, LABELS, scores.shape[:2], generator=generator)
    return scores, labels, torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS)[:, None]


def _weight(field: Transitions, scores_WL: Tensor, row: tuple[int, ...]) -> Tensor:
    own = sum(scores_WL[i, label] for i, label in enumerate(row))
    return (
        field.begins[row[0]] + field.ends[row[-1]] + own + sum(field.follows[a, b] for a, b in itertools.pairwise(row))
    )


def _all(field: Transitions, scores_WL: Tensor, n: int) -> tuple[list[tuple[int, ...]], Tensor]:
    rows = list(itertools.product(range(LABELS), repeat=n))
    return rows, torch.stack([_weight(field, scores_WL, row) for row in rows])


def test_the_likelihood_and_its_gradients_are_those_of_all_rows_written_out(field: Transitions) -> None:
    scores, labels, inside = _rows()
    found = field.nll(scores, labels, inside)
    wanted = torch.stack(
        [
            _all(field, scores[b], n)[1].logsumexp(0) - _weight(field, scores[b], tuple(labels[b, :n].tolist()))
            for b, n in enumerate(LENGTHS)
        ]
    )
    assert torch.allclose(found, wanted, atol=1e-5)
    parameters = [scores, *field.parameters()]
    upstream = torch.tensor([1.0, -2.0, 0.5])
    for mine, theirs in zip(
        torch.autograd.grad(found, parameters, upstream, retain_graph=True),
        torch.autograd.grad(wanted, parameters, upstream), strict=True,
    ):  # fmt: skip
        assert torch.allclose(mine, theirs, atol=1e-5)


def test_the_best_row_and_the_marginals_are_those_of_all_rows(field: Transitions) -> None:
    scores, _, inside = _rows()
    best, likely = field.best(scores, inside), field.marginals(scores, inside)
    for b, n in enumerate(LENGTHS):
        rows, weights = _all(field, scores[b], n)
        assert tuple(best[b, :n].tolist()) == rows[int(weights.argmax())]
        share = weights.detach().softmax(0)
        for w, label in itertools.product(range(n), range(LABELS)):
            wanted = sum(share[i] for i, row in enumerate(rows) if row[w] == label)
            assert likely[b, w, label] == pytest.approx(float(wanted), abs=1e-5)


def test_what_is_not_allowed_stands_in_no_row(field: Transitions) -> None:
    scores, _, inside = _rows()
    no = -torch.inf
    follows, begins, ends = torch.zeros(LABELS, LABELS), torch.zeros(LABELS), torch.zeros(LABELS)
    follows[:, 2], begins[1], ends[3] = no, no, no
    follows[0, 2] = 0.0
    best = field.best(scores, inside, (follows, begins, ends))
    for b, n in enumerate(LENGTHS):
        row = best[b, :n].tolist()
        assert row[0] != 1 and row[-1] != 3
        assert all(a == 0 for a, c in itertools.pairwise(row) if c == 2)
        rows, weights = _all(field, scores[b].detach(), n)
        allowed = [
            (float(weight.detach()), one) for one, weight in zip(rows, weights, strict=True)
            if one[0] != 1 and one[-1] != 3 and all(a == 0 for a, c in itertools.pairwise(one) if c == 2)
        ]  # fmt: skip
        assert tuple(row) == max(allowed)[1]


def test_what_fills_rows_changes_nothing(field: Transitions) -> None:
    scores, labels, inside = _rows()
    longer = torch.cat([scores, torch.full((len(LENGTHS), 3, LABELS), 9.0)], dim=1)
    wider = torch.cat([inside, torch.zeros(len(LENGTHS), 3, dtype=torch.bool)], dim=1)
    more = torch.cat([labels, torch.full((len(LENGTHS), 3), -1)], dim=1)
    assert torch.allclose(field.nll(scores, labels, inside), field.nll(longer, more, wider), atol=1e-6)


def test_extreme_scores_stay_numbers(field: Transitions) -> None:
    scores, labels, inside = _rows()
    far = (scores.detach() * 200).requires_grad_()
    nll = field.nll(far, labels, inside)
    assert bool(nll.isfinite().all())
    assert all(bool(g.isfinite().all()) for g in torch.autograd.grad(nll.sum(), [far, *field.parameters()]))
