"""Whether an export says what the model says: the same rows to both, and how far their numbers are apart.

    rows of random ids, of several lengths -> ours, each row by itself
                                           -> theirs, all rows at once, so that what fills rows is checked as well
    apart = root of the mean square of the differences / deviation of ours

Of a language model these are logits behind every token, of a translator (CTranslate2 hands out no logits)
log-probabilities of a target. A model that writes besides goes on from some prompts, greedily, in both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from assay.errors import WorkError
from assay.export.source import Source
from assay.inference.generate import generate
from assay.inference.limits import Limits
from assay.models.heads import Headed
from assay.models.protocol import Batch
from assay.models.seq2seq import Seq2Seq

LENGTHS = (1, 7, 12, 3, 23)
NEW = 16  # tokens that are written greedily
LEAST = 1e-3  # deviation of what is said, below which differences are told as they are
TOLERANCE = {"float32": 1e-4, "float16": 0.02, "bfloat16": 0.1, "int8": 0.3}
"""Apart at most, by the type of the weights. Halves keep 11 bits, or 8; whole numbers move logits by some hundredths of
their deviation, and scores say whether that matters (`--data`)."""
CACHED = 5e-3  # of llama.cpp, which keeps keys and values as float16 whatever the weights are


@dataclass(frozen=True)
class Parity:
    """How far apart two are.

    Attributes:
        apart: see the top of the module.  largest: absolute difference.
        tolerance: of `apart`.
        rows, numbers: that were compared.
        greedy, prompts: of so many prompts so many continuations are the same, token by token; None: it writes none.
        by: who has read the export.
    """

    apart: float
    largest: float
    tolerance: float
    rows: int
    numbers: int
    by: str
    greedy: int | None = None
    prompts: int | None = None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def check(self, where: Any) -> None:
        """Refuse what says something else.

        Raises:
            WorkError: and by how much.
        """
        if not self.apart <= self.tolerance:  # what is no number is no parity
            raise WorkError(
                f"the export does not say what the model says: {self.apart:.2g} apart, and at most"
                f" {self.tolerance:.2g} is allowed (largest difference {self.largest:.2g}, read by {self.by})",
                where=where, remedy="nothing was kept; report it with the model's config.json",
            )  # fmt: skip


def rows_of(source: Source, seed: int = 0) -> list[list[int]]:
    """Rows of random ids; of RoBERTa's none that fills rows, since its positions are not counted there."""
    generator = np.random.default_rng(seed)
    most, config = source.positions or max(LENGTHS), source.model.config
    first: int = getattr(getattr(config, "body", config), "first_position", 0)
    return [generator.integers(first, config.vocabulary, min(n, most)).tolist() for n in LENGTHS]


@torch.inference_mode()
def ours(source: Source, rows: Sequence[Sequence[int]], sources: Sequence[Sequence[int]] | None = None) -> list[Any]:
    """What our model says of each row, by itself."""
    model: Any = source.model
    found = []
    for i, row in enumerate(rows):
        ids = torch.tensor([list(row)])
        if isinstance(model, Headed):
            found.append(model(Batch(ids, ids)).float().numpy()[0])
        elif isinstance(model, Seq2Seq):
            assert sources is not None
            found.append(model(torch.tensor([list(sources[i])]), ids)[0].float().numpy())
        else:
            found.append(model(ids)[0].float().numpy())
    return found


def scored(logits: Sequence[np.ndarray], targets: Sequence[Sequence[int]]) -> list[np.ndarray]:
    """(n,) log-probability of each target behind its logits (n, V)."""
    found = []
    for one, target in zip(logits, targets, strict=True):
        shifted = one - one.max(1, keepdims=True)
        log_nV = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
        found.append(log_nV[np.arange(len(target)), list(target)])
    return found


def compared(
    mine: Sequence[np.ndarray], theirs: Sequence[np.ndarray], dtype: str, by: str, tolerance: float | None = None
) -> Parity:
    """Two lists of numbers of the same shapes."""
    a, b = (np.concatenate([np.ravel(one).astype(np.float64) for one in both]) for both in (mine, theirs))
    if a.shape != b.shape:
        raise WorkError(f"the export gives {b.size} numbers, and the model {a.size}")
    difference = np.abs(a - b)
    apart = float(np.sqrt(np.mean(difference**2)) / max(LEAST, a.std()))
    allowed = TOLERANCE[dtype] if tolerance is None else tolerance
    return Parity(apart, float(difference.max()), allowed, len(mine), a.size, by)


Written = Callable[[list[list[int]], int], list[list[int]]]
"""(prompts, new) -> greedy continuations, without what ends them."""


def continued(source: Source, prompts: list[list[int]], written: Written) -> tuple[int, int]:
    """How many greedy continuations are the same, and of how many."""
    stop = () if source.end is None else (source.end,)
    limits = Limits(NEW, stop=stop)
    mine = [list(own[0].kept) for own in generate(source.model, prompts, limits=limits)]
    theirs = written(prompts, NEW)
    return sum(a == b for a, b in zip(mine, theirs, strict=True)), len(prompts)
