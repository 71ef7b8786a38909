"""Learning rates found on a narrow model, for a wide one: the maximal update parametrisation (muP).

    rates that are best at width `base` -> transferred(rates, width, base) -> rates for `width`

Yang et al. 2022 (Tensor Programs V), table 3: every activation and every logit shall change by as much in a step,
however wide the model is; then the best rates stay where they are. Per step of Adam, each number moves by about the
learning rate, and a product over `width` of them adds up, so what is multiplied with many activations moves less:

    role                     Adam, AdamW      SGD              Muon
    matrix (inside)          base / width     1                1
    head                     base / width     base / width
    embedding, vector        1                width / base

Muon needs no factor: its update has singular values of 1, times (outputs / inputs)^0.5 where outputs are more, which is
the same rule for a whole matrix (Bernstein 2025).

What the model has to be like (`check`): inner matrices that begin with deviation inputs^-0.5, and a head of its own
that begins at zero (the table's deviation, 1 / inputs, comes to that in a wide model); a tied one would need a factor
of base / width on its logits. Attention heads keep their width, and a wider model has more of them. Weight
decay, clipping and Adam's epsilon stay as they are: the rule says nothing of them.
"""

from __future__ import annotations

from dataclasses import replace

from assay.errors import InputError
from assay.models.decoder import DecoderConfig
from assay.train.optimizers import Kind, OptimizerConfig


def transferred(optimizer: OptimizerConfig, width: int, base: int) -> OptimizerConfig:
    """`optimizer`, whose rates were chosen for a model of width `base`, for one of `width`.

    Raises:
        InputError: an optimizer for which there is no rule.
    """
    ratio = width / base
    inside = 1.0 if optimizer.matrix == "muon" else _factors(optimizer.matrix, ratio)["matrix"]
    rest = _factors(optimizer.rest, ratio)
    return replace(
        optimizer,
        matrix_lr=optimizer.matrix_lr * inside,
        embedding_lr=optimizer.embedding_lr * rest["embedding"],
        head_lr=optimizer.head_lr * rest["head"],
        vector_lr=optimizer.vector_lr * rest["vector"],
    )


def _factors(kind: Kind, ratio: float) -> dict[str, float]:
    """Of each role, the factor on its learning rate for a model `ratio` times as wide."""
    match kind:
        case "adamw" | "adam":
            return {"matrix": 1 / ratio, "head": 1 / ratio, "embedding": 1.0, "vector": 1.0}
        case "sgd":
            return {"matrix": 1.0, "head": 1 / ratio, "embedding": ratio, "vector": ratio}
        case "adafactor":  # its step is a share of the weights' own size, which a start at zero does not have
            raise InputError(
                "there is no rule for the width transfer of Adafactor's learning rates",
                remedy="choose adamw, adam, sgd or muon, or give the rates for this width",
            )


def check(model: DecoderConfig) -> None:
    """Whether learning rates carry over from another width to a model like this one.

    Raises:
        InputError: they do not.
    """
    if model.tied or model.init != "zero":
        what = "a tied head" if model.tied else f"the initialisation {model.init!r}"
        raise InputError(
            f"learning rates do not carry over from one width to another with {what}",
            remedy="set tied to false and init to zero, or give the rates for this width",
        )
