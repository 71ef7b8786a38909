"""Lower precision: the loss is scaled as far as gradients allow, and a step whose gradients overflow is left out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from assay.models.protocol import Batch
from assay.train import checkpoint
from assay.train.loop import LossNotFinite, TrainState
from assay.train.precision import LossScale, allow_tf32
from miniature import SPEC

HALF = replace(SPEC, dtype="float16")


def batch(seed: int) -> Batch:
    rows = torch.randint(1, SPEC.model.vocabulary, (4, 9), generator=torch.Generator().manual_seed(seed))
    return Batch(rows[:, :-1].contiguous(), rows[:, 1:].contiguous())


def test_gradients_come_back_as_they_were() -> None:
    scale = LossScale("cpu", start=8.0)
    gradients = [torch.randn(3, 4), torch.randn(5)]
    expected = [g.clone() for g in gradients]
    scaled = [g * 8 for g in gradients]
    assert scale.unscaled(scaled)
    for a, b in zip(scaled, expected, strict=True):
        torch.testing.assert_close(a, b)


def test_the_scale_is_halved_at_an_overflow_and_doubled_after_patience() -> None:
    scale = LossScale("cpu", start=8.0, patience=3)
    good, bad = [torch.ones(2)], [torch.tensor([1.0, float("inf")])]
    found = []
    for given in (good, bad, good, good, good, good):
        scale.unscaled([g.clone() for g in given])
        found.append(float(scale.value))
    assert found == [8, 4, 4, 4, 8, 8]


def test_an_overflow_changes_nothing_but_the_scale() -> None:
    state = TrainState(HALF)
    state.update(batch(0), 1.0)
    before = state.copy()
    state._scale.value.fill_(2.0**40)  # type: ignore[union-attr]
    state.update(batch(1), 1.0)
    after = state.tensors()
    assert int(after["step"]) == int(before["step"]) + 1
    assert float(after["scale.scale"]) == 2.0**39
    for name, tensor in before.items():
        if name.startswith(("model.", "optimizer.")):
            assert torch.equal(tensor, after[name]), name


def test_a_scale_without_a_floor_would_never_step_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradients that overflow at any scale end the run; on the way no old norm is shown for a step that is left out."""
    state = TrainState(HALF)
    state.optimizer.watched = True
    state.update(batch(0), 1.0)
    assert state.optimizer.gradient_norm is not None
    honest = state._gradients

    def overflown() -> list[torch.Tensor]:
        found = honest()
        found[0].fill_(float("inf"))
        return found

    monkeypatch.setattr(state, "_gradients", overflown)
    before = state.copy()
    with pytest.raises(LossNotFinite, match=r"overflow float16 .* -> lower the learning rates"):
        for step in range(60):
            state.update(batch(step), 1.0)
            assert state.optimizer.gradient_norm is None
    assert state.step < 40
    assert all(torch.equal(t, before[n]) for n, t in state.tensors().items() if n.startswith("model."))


def test_half_precision_stays_near_single_and_resumes_bitwise(tmp_path: Path) -> None:
    whole, single = TrainState(HALF), TrainState(SPEC)
    for step in range(8):
        low, full = (state.update(batch(step), 1.0) for state in (whole, single))
        assert float((low.float() - full).abs().mean()) < 0.05
    first, second = TrainState(HALF), TrainState(HALF)
    for step in range(8):
        if step == 5:
            checkpoint.save(tmp_path, first.tensors(), {})
            found = checkpoint.newest(tmp_path)
            assert found is not None
            second.load(found[0])
            first = second
        first.update(batch(step), 1.0)
    for name, tensor in whole.tensors().items():
        assert torch.equal(tensor, first.tensors()[name]), name


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_pieces_of_a_batch_add_up_to_it(dtype: str) -> None:
    """Positions that count for nothing fall into the pieces unevenly."""
    rows = batch(3)
    targets = rows.targets_BT.clone()
    targets[0] = -1
    targets[1, 3:] = -1
    uneven = Batch(rows.inputs_BT, targets)
    spec = replace(SPEC, dtype=dtype)
    whole, pieces = TrainState(spec), TrainState(replace(spec, micro_rows=1))
    one, other = whole.update(uneven, 1.0), pieces.update(uneven, 1.0)
    tolerance = 1e-5 if dtype == "float32" else 0.02
    torch.testing.assert_close(one, other, atol=tolerance, rtol=0)
    norms = [state.optimizer for state in (whole, pieces)]
    assert norms[0] is not norms[1]
    for name, tensor in whole.tensors().items():
        if name.startswith("optimizer.momentum"):
            torch.testing.assert_close(tensor, pieces.tensors()[name], atol=tolerance, rtol=0)


def test_tf32_is_allowed_or_not() -> None:
    before = torch.get_float32_matmul_precision()
    try:
        for allowed, expected in ((True, "high"), (False, "highest")):
            allow_tf32(allowed)
            assert torch.get_float32_matmul_precision() == expected
    finally:
        torch.set_float32_matmul_precision(before)
