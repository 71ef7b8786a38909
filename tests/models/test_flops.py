"""FLOPs of encoders and encoder-decoders: those of weights as torch counts them, those of attention (of whose kernels
torch counts nothing on a CPU) by their squares."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from assay.models.build import ModelConfig, build
from assay.models.presets import Size, preset
from assay.models.protocol import Batch, Shares

V, L, D, H, B = 50, 2, 16, 2, 3


def counted(config: ModelConfig, batch: Batch) -> int:
    model = build(config, torch.Generator().manual_seed(0)).double()
    with FlopCounterMode(display=False) as counter:
        model.loss(batch).mean.backward()
    return int(counter.get_total_flops())


def test_an_encoders_head_is_asked_at_predicted_positions_alone() -> None:
    T = 40
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(2, V, (B, T), generator=generator)
    targets = torch.where(torch.arange(T) % 4 == 0, ids, -1)
    config = preset("modern", Size(V, L, D, H, T), dropout=0.0)
    own = build(config, None).flops_per_token(0, Shares(predicted=0.25)) * B * T
    assert counted(config, Batch(ids, targets)) == pytest.approx(own, rel=0.02)


@pytest.mark.parametrize(("S", "T"), [(40, 40), (36, 10)])
def test_source_and_target_of_an_encoder_decoder_are_counted_apart(S: int, T: int) -> None:
    generator = torch.Generator().manual_seed(0)
    source = torch.randint(2, V, (B, S), generator=generator)
    target = torch.randint(2, V, (B, T), generator=generator)
    config = preset("transformer", Size(V, L, D, H, 64), dropout=0.0)
    row = 40
    shares, model = Shares(source=S / row, target=T / row), build(config, None)
    own = model.flops_per_token(0, shares) * row
    assert counted(config, Batch(target, target, source_BS=source)) == pytest.approx(own * B, rel=0.02)
    # Scores and sums of values, 2 FLOPs each, forwards once and backwards twice; half of the decoder's own square.
    squares = L * (S * S + T * T / 2 + T * S) * D * 12
    assert model.flops_per_token(row, shares) * row - own == pytest.approx(squares)
