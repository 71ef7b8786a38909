"""The examples that a model finds hardest: those of the highest loss."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from assay.tasks.protocol import Answer, Example

F64 = npt.NDArray[np.float64]
_LEAST = 1e-12  # the least chance, for its logarithm


def losses(examples: Sequence[Example], answers: Sequence[Answer], nll: Sequence[float] | None) -> F64 | None:
    """The loss of each example in nats, of tags the mean over its tokens; None where nobody can say.

    Args:
        nll: as the answers' file has it; None: it has none, and what the answers say of chances is taken.
    """
    if nll is not None:
        return np.array([loss / _tokens(e) for loss, e in zip(nll, examples, strict=True)])
    chances = [a.get("probabilities", {}).get(e.wanted) for e, a in zip(examples, answers, strict=True)]
    if any(chance is None for chance in chances):
        return None
    return -np.log(np.maximum(np.array(chances, dtype=np.float64), _LEAST))


def _tokens(example: Example) -> int:
    return len(example.given["tokens"]) if "tokens" in example.given else 1


def hardest(loss: F64, most: int) -> list[int]:
    """The numbers of the examples of the highest loss, the highest first."""
    return np.argsort(-loss, kind="stable")[:most].tolist()
