"""Recurrent models against cells written down from the papers; windows, packing, dropout, both directions."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from assay.models import recurrent
from assay.models.protocol import Batch, Shares
from assay.models.recurrent import Recurrent, RecurrentConfig

CELLS = pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
V, CONFIG = 31, RecurrentConfig(31, layers=2, width=8, hidden=12)


def model(**changed: object) -> Recurrent:
    made = Recurrent(replace(CONFIG, **changed), torch.Generator().manual_seed(0))  # type: ignore[arg-type]
    return made.eval()


def ids(rows: int = 3, length: int = 11) -> Tensor:
    return torch.randint(0, V, (rows, length), generator=torch.Generator().manual_seed(1))


def step(cell: str, x: Tensor, state: tuple[Tensor, ...], layer: Any) -> tuple[Tensor, ...]:
    """One step of one layer, gate by gate."""
    w_i, w_h, b_i, b_h = layer.weight_ih_l0, layer.weight_hh_l0, layer.bias_ih_l0, layer.bias_hh_l0
    inner, outer = x @ w_i.t() + b_i, state[0] @ w_h.t() + b_h
    if cell == "rnn":
        return (torch.tanh(inner + outer),)
    if cell == "gru":
        (r, z, n), (r_h, z_h, n_h) = inner.chunk(3, 1), outer.chunk(3, 1)
        reset, update = torch.sigmoid(r + r_h), torch.sigmoid(z + z_h)
        return ((1 - update) * torch.tanh(n + reset * n_h) + update * state[0],)
    i, f, g, o = (inner + outer).chunk(4, 1)
    c = torch.sigmoid(f) * state[1] + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def by_hand(made: Recurrent, row: Tensor) -> Tensor:
    """Logits of one document (T,), step by step."""
    cell, n = made.config.cell, 2 if made.config.cell == "lstm" else 1
    states = [tuple(torch.zeros(1, layer.hidden_size) for _ in range(n)) for layer in made.layers]
    out = []
    for token in row:
        x = made.embedding[token][None]
        for i, layer in enumerate(made.layers):
            states[i] = step(cell, x, states[i], layer)  # type: ignore[arg-type]
            x = states[i][0]
        out.append(x @ made.head.t() + made.head_bias)
    return torch.cat(out)


@CELLS
def test_logits_and_gradients_are_those_of_the_cells_step_by_step(cell: str) -> None:
    made = model(cell=cell)
    words, targets = ids(), ids().roll(-1, 1)
    mean = made.loss(Batch(words, targets)).mean
    logits = torch.stack([by_hand(made, row) for row in words])
    torch.testing.assert_close(made(words), logits, rtol=1e-4, atol=1e-5)
    expected = functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
    torch.testing.assert_close(mean, expected)
    grads = [torch.autograd.grad(loss, list(made.parameters())) for loss in (mean, expected)]
    for mine, theirs in zip(*grads, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-5)


@CELLS
@torch.no_grad()
def test_packed_documents_are_as_if_each_had_its_own_row(cell: str) -> None:
    made, words = model(cell=cell), ids()
    segments = torch.tensor([[0] * 11, [4] * 3 + [5] * 8, [1] + [0] * 9 + [7]])
    found = made(words, segments)
    for row, cuts in ((0, [11]), (1, [3, 8]), (2, [1, 9, 1])):
        alone = torch.cat([made(part) for part in words[row : row + 1].split(cuts, dim=1)], dim=1)
        torch.testing.assert_close(found[row : row + 1], alone)


@pytest.mark.parametrize("most", [0, 10], ids=["packed", "padded"])
@CELLS
def test_documents_in_padded_rows_are_those_in_packed_sequences(
    cell: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, words = model(cell=cell), ids()
    segments = torch.tensor([[0] * 11, [4] * 3 + [5] * 8, [1] + [0] * 9 + [7]])
    monkeypatch.setattr(recurrent, "MOST_PADDING", most)
    found, nothing = made.hidden(words, segments, goes_on=False)
    expected, last = made.hidden(words, segments)
    assert all(bool(own) is (most == 0) for own in nothing)
    assert all(last)
    torch.testing.assert_close(found, expected)
    grads = [torch.autograd.grad(x.square().sum(), list(made.layers.parameters())) for x in (found, expected)]
    for mine, theirs in zip(*grads, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


@CELLS
@torch.no_grad()
def test_windows_go_on_where_the_last_one_ended(cell: str) -> None:
    """Also where documents end within them."""
    made, words = model(cell=cell), ids()
    for segments in (None, torch.tensor([[0] * 11, [0] * 3 + [1] * 8, [0] * 6 + [1] * 5])):
        whole, last = made.hidden(words, segments)
        state, found = None, []
        for a, b in ((0, 4), (4, 6), (6, 11)):
            part = None if segments is None else segments[:, a:b].clone()
            if part is not None and a == 6:
                # A document that begins with the window: the state that is left belongs to another one.
                state = [tuple(s * torch.tensor([[1.0], [1.0], [0.0]]) for s in layer) for layer in state]  # type: ignore[union-attr]
            out, state = made.hidden(words[:, a:b], part, state)
            found.append(out)
        torch.testing.assert_close(torch.cat(found, 1), whole)
        for mine, theirs in zip(state, last, strict=True):  # type: ignore[arg-type]
            torch.testing.assert_close(mine, theirs)


@CELLS
def test_a_carried_state_gives_the_loss_of_the_whole_and_gradients_that_end_with_the_window(cell: str) -> None:
    made, words, ends = model(cell=cell, carried=True), ids(), (4, 6, 11)
    segments = torch.tensor([[0] * 11, [0] * 3 + [1] * 8, [0] * 6 + [1] * 5])
    targets, state = words.roll(-1, 1), torch.zeros(3, made.state_size)
    whole = made.loss(Batch(words, targets, segments)).losses_BT
    empty = [tuple(torch.zeros(1, layer.hidden_size) for _ in range(1 + (cell == "lstm"))) for layer in made.layers]
    by_row = [empty] * 3
    for a, b in pairwise((0, *ends)):
        if a == 6:
            state = state * torch.tensor([[1.0], [1.0], [0.0]])  # a document begins with the window
        found = made.loss(Batch(words[:, a:b], targets[:, a:b], segments[:, a:b], state_BS=state))
        torch.testing.assert_close(found.losses_BT, whole[:, a:b], rtol=1e-5, atol=1e-5)
        assert found.state_BS is not None and not found.state_BS.requires_grad
        losses = []
        for row in range(3):  # step by step, cut off where the window begins
            by_row[row] = [tuple(s.detach() for s in layer) for layer in by_row[row]]
            for t in range(a, b):
                if t and segments[row, t] != segments[row, t - 1]:
                    by_row[row] = list(empty)
                x = made.embedding[words[row, t]][None]
                for i, layer in enumerate(made.layers):
                    by_row[row][i] = step(cell, x, by_row[row][i], layer)
                    x = by_row[row][i][0]
                losses.append(functional.cross_entropy(x @ made.head.t() + made.head_bias, targets[row, t][None]))
        expected = torch.stack(losses).mean()
        torch.testing.assert_close(found.mean, expected)
        grads = [torch.autograd.grad(loss, list(made.parameters())) for loss in (found.mean, expected)]
        for mine, theirs in zip(*grads, strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-5)
        state = found.state_BS


@CELLS
@torch.no_grad()
def test_both_ways_is_forwards_and_backwards(cell: str) -> None:
    made, words = model(cell=cell, both_ways=True, layers=1), ids()
    segments = torch.tensor([[0] * 11, [4] * 3 + [5] * 8, [1] + [0] * 9 + [7]])
    found, _ = made.hidden(words, segments)
    alone = torch.cat([made.hidden(part)[0] for part in words[1:2].split([3, 8], dim=1)], dim=1)
    torch.testing.assert_close(found[1:2], alone)
    assert found.shape[-1] == CONFIG.width
    changed = words.clone()
    changed[0, -1] = (changed[0, -1] + 1) % V
    assert (made.hidden(changed)[0][0, 0] != made.hidden(words)[0][0, 0]).any()  # the end is seen at the beginning
    with pytest.raises(ValueError, match="no language model"):
        made.loss(Batch(words[:, :-1], words[:, 1:]))
    with pytest.raises(ValueError, match="even"):
        replace(CONFIG, both_ways=True, hidden=7)
    with pytest.raises(ValueError, match="no state to carry"):
        replace(CONFIG, both_ways=True, carried=True)


def masked(words: Tensor) -> Tensor:
    """Targets of about a third of the tokens."""
    asked = torch.rand(words.shape, generator=torch.Generator().manual_seed(2)) < 0.3
    asked[:, 4] = True
    return torch.where(asked, words, -1)


@pytest.mark.parametrize("tied", [True, False])
@CELLS
def test_what_reads_both_ways_learns_hidden_tokens_from_both_sides(cell: str, tied: bool) -> None:
    made, words = model(cell=cell, both_ways=True, tied=tied, layers=1), ids()
    targets, shown = masked(words), torch.where(masked(words) >= 0, 0, words)
    found, layer = made.loss(Batch(shown, targets)), made.layers[0]
    ways = []
    for suffix, turn in (("", False), ("_reverse", True)):  # each direction with the cells step by step
        own = {
            name: getattr(layer, name + suffix) for name, _ in made.layers[0].named_parameters() if "rev" not in name
        }
        states = [torch.zeros(3, layer.hidden_size)] * (2 if cell == "lstm" else 1)
        out = []
        for column in (shown.flip(1) if turn else shown).unbind(1):
            states = step(cell, made.embedding[column], tuple(states), SimpleNamespace(**own))
            out.append(states[0])
        ways.append(torch.stack(out, dim=1).flip(1) if turn else torch.stack(out, dim=1))
    logits = torch.cat(ways, dim=-1) @ made.head.t() + made.head_bias
    torch.testing.assert_close(made(shown), logits, rtol=1e-4, atol=1e-5)
    each = functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-1, reduction="none")
    torch.testing.assert_close(found.losses_BT.flatten(), each.detach(), rtol=1e-4, atol=1e-5)
    expected = each.sum() / (targets >= 0).sum()
    torch.testing.assert_close(found.mean, expected)
    grads = [torch.autograd.grad(loss, list(made.parameters())) for loss in (found.mean, expected)]
    for mine, theirs in zip(*grads, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-5)


@CELLS
@torch.no_grad()
def test_a_hidden_token_is_told_from_what_stands_before_and_behind_it(cell: str) -> None:
    made, words = model(cell=cell, both_ways=True), ids()
    shown = torch.where(masked(words) >= 0, 0, words)
    for place in (0, 10):
        changed = shown.clone()
        changed[:, place] = (changed[:, place] + 1) % V
        moved = (made(changed) - made(shown)).abs().amax(dim=(0, 2))
        assert moved[4] > 0
    segments = torch.tensor([[0] * 3 + [1] * 4 + [2] * 4] * 3)
    changed[:, [0, 2, 7, 10]] = (shown[:, [0, 2, 7, 10]] + 1) % V  # of other documents: these do not matter
    torch.testing.assert_close(made(changed, segments)[:, 3:7], made(shown, segments)[:, 3:7], rtol=0, atol=0)


@CELLS
@torch.no_grad()
def test_hidden_tokens_of_packed_documents_are_those_of_documents_alone(cell: str) -> None:
    made, words = model(cell=cell, both_ways=True), ids()
    targets = masked(words)
    segments = torch.tensor([[0] * 11, [4] * 3 + [5] * 8, [1] + [0] * 9 + [7]])
    found = made.loss(Batch(words, targets, segments)).losses_BT
    for row, cuts in ((0, [11]), (1, [3, 8]), (2, [1, 9, 1])):
        pieces = zip(words[row : row + 1].split(cuts, dim=1), targets[row : row + 1].split(cuts, dim=1), strict=True)
        alone = torch.cat([made.loss(Batch(x, y)).losses_BT for x, y in pieces], dim=1)
        torch.testing.assert_close(found[row : row + 1], alone)


def test_dropout_takes_the_same_numbers_at_every_position() -> None:
    made = model(dropout=0.5).train()
    x = torch.ones(4, 9, 16)
    torch.manual_seed(0)
    dropped = made._dropped(x)
    assert (dropped == dropped[:, :1]).all()
    assert set(dropped.unique().tolist()) == {0.0, 2.0}
    assert (dropped[0] != dropped[1]).any()
    assert torch.equal(made.eval()._dropped(x), x)


@CELLS
def test_parameters_and_flops_are_as_counted_directly(cell: str) -> None:
    gates = {"rnn": 1, "gru": 3, "lstm": 4}[cell]
    for tied in (True, False):
        made = model(cell=cell, tied=tied)
        last = 8 if tied else 12
        weights = gates * (12 * (8 + 12) + last * (12 + last))
        inside, total = made.n_parameters()
        assert inside == weights + gates * 2 * (12 + last)
        assert total == sum(p.numel() for p in made.parameters())
        assert made.flops_per_token(50) == 6 * (weights + V * last)
        both = model(cell=cell, tied=tied, both_ways=True)
        inner = sum(p.numel() for n, p in both.named_parameters() if n.startswith("layers") and p.dim() == 2)
        assert both.flops_per_token(50, Shares(predicted=0.25)) == 6 * (inner + V * last / 4)
        assert {n for n, r in made.roles().items() if r == "matrix"} == {
            n for n, p in made.named_parameters() if n.startswith("layers") and p.dim() == 2
        }
