"""Loss of held-out documents under a model."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from assay.models.protocol import Batch, Model
from assay.tokens.evalset import EvalSet


@torch.inference_mode()
def document_nll(model: Model, data: EvalSet, device: str = "cpu", batch_rows: int = 32) -> np.ndarray:
    """Summed negative log-likelihood (nats) of each document's counted tokens, (documents,) float64."""
    assert isinstance(model, nn.Module)
    training = model.training
    model.eval()  # nothing is dropped
    total = np.zeros(len(data.documents))
    for start in range(0, len(data.inputs_RT), batch_rows):
        rows = slice(start, start + batch_rows)
        batch = Batch(
            torch.from_numpy(data.inputs_RT[rows]).to(device),
            torch.from_numpy(data.targets_RT[rows]).to(device),
            torch.from_numpy(data.document_RT[rows]).to(device),
        )
        losses = model.loss(batch).losses_BT.double().cpu().numpy()
        owner = data.document_RT[rows]
        counted = owner >= 0
        total += np.bincount(owner[counted], weights=losses[counted], minlength=len(total))
    model.train(training)
    return total
