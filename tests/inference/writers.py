"""Small models of every family that writes, with every parameter at work, for the tests of this folder."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from assay.models.build import build
from assay.models.ngram import KneserNey
from assay.models.presets import Size, preset

torch.set_num_threads(1)  # as in a worker of a fleet; small models are slower with more

V = 40
NEURAL = ("proxy", "standard", "gpt2", "llama", "bart", "marian", "t5", "rnn", "gru", "lstm")
ALL = (*NEURAL, "n-gram")
PROMPTS = [[1, 2, 3], [4], [5, 6, 7, 8, 9, 10, 11], [1, 2], [30, 2, 2, 31, 5]]


def neural(name: str, vocabulary: int = V, **more: Any) -> Any:
    model: Any = build(preset(name, Size(vocabulary, 2, 32, 4, 48), **more), torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.2)
    return model.eval()


def n_gram(vocabulary: int = V) -> KneserNey:
    draws = np.random.default_rng(0)
    words = (draws.zipf(1.3, 3000) % (vocabulary - 1)) + 1
    words[draws.integers(0, len(words), 100)] = 0
    return KneserNey(vocabulary, order=4).fit(words)


def writer(name: str, vocabulary: int = V) -> Any:
    return n_gram(vocabulary) if name == "n-gram" else neural(name, vocabulary)
