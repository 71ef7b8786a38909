"""Shapes by name: what a recipe says in one word, and the config that it stands for.

decoders           proxy, standard (Qwen3's), llama, gpt2
encoders           bert, modern
encoder-decoders   transformer (Vaswani et al. 2017), marian, bart, t5
recurrent          rnn, gru, lstm
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

from assay.models.blocks import BlockConfig
from assay.models.build import ModelConfig
from assay.models.decoder import DecoderConfig, proxy, standard
from assay.models.encoder import bert, modern
from assay.models.ranges import checked
from assay.models.recurrent import RecurrentConfig
from assay.models.seq2seq import Seq2SeqConfig, t5, transformer

HEAD_WIDTH = 32  # of a head, where heads are not said and the width allows it


@dataclass(frozen=True)
class Size:
    """What all shapes have in common; `heads` says nothing to recurrent ones."""

    vocabulary: int
    layers: int
    width: int
    heads: int
    max_length: int


def _gpt2(s: Size) -> DecoderConfig:
    block = BlockConfig(
        s.width, s.heads, activation="gelu_tanh", norm="layer", gains=True, epsilon=1e-5, biases="all", qk_norm=False,
        rotary=None,
    )  # fmt: skip
    return DecoderConfig(
        s.vocabulary, s.layers, block, positions="learned", embedding_norm=False, tied=True, max_length=s.max_length,
        init="gpt2",
    )  # fmt: skip


def _llama(s: Size) -> DecoderConfig:
    made = standard(s.vocabulary, s.layers, s.width, s.heads, max_length=s.max_length)
    return replace(made, block=replace(made.block, qk_norm=False))


def _bart(s: Size) -> Seq2SeqConfig:
    made = transformer(s.vocabulary, s.layers, s.width, s.heads, max_length=s.max_length)
    return replace(
        made, block=replace(made.block, activation="gelu"), positions="learned", first_position=2, embedding_norm=True,
        embedding_scale=False, head_bias=True,
    )  # fmt: skip


def _marian(s: Size) -> Seq2SeqConfig:
    made = transformer(s.vocabulary, s.layers, s.width, s.heads, max_length=s.max_length)
    return replace(made, block=replace(made.block, activation="silu"), head_bias=True)


def _recurrent(cell: Any) -> Callable[[Size], RecurrentConfig]:
    return lambda s: RecurrentConfig(s.vocabulary, s.layers, s.width, cell)


PRESETS: dict[str, Callable[[Size], ModelConfig]] = {
    "proxy": lambda s: proxy(s.vocabulary, s.layers, s.width, s.heads, max_length=s.max_length),
    "standard": lambda s: standard(s.vocabulary, s.layers, s.width, s.heads, max_length=s.max_length),
    "llama": _llama,
    "gpt2": _gpt2,
    "bert": lambda s: bert(s.vocabulary, s.layers, s.width, s.heads, max_length=s.max_length),
    "modern": lambda s: modern(s.vocabulary, s.layers, s.width, s.heads, max_length=s.max_length),
    "transformer": lambda s: transformer(s.vocabulary, s.layers, s.width, s.heads, max_length=s.max_length),
    "marian": _marian,
    "bart": _bart,
    "t5": lambda s: t5(s.vocabulary, s.layers, s.width, s.heads),  # relative positions: of any length
    "rnn": _recurrent("rnn"),
    "gru": _recurrent("gru"),
    "lstm": _recurrent("lstm"),
}


def heads_of(width: int) -> int:
    """Heads of HEAD_WIDTH, or as near to that as the width allows."""
    return max(n for n in range(1, max(1, width // HEAD_WIDTH) + 1) if width % n == 0 and (width // n) % 2 == 0)


def preset(name: str, size: Size, **more: Any) -> ModelConfig:
    """The config of a name.

    Args:
        more: values of the config's fields, or of its block's, that are to be others; None: as the preset has them.

    Raises:
        KeyError: there is no such preset.
        ValueError: the config has no such field, or a value is not of its type or out of its range.
    """
    return with_fields(PRESETS[name](size), more)


def with_fields(config: Any, values: dict[str, Any]) -> Any:
    """The config with other values of its own fields, or of its block's; None: as they are.

    Raises:
        ValueError: it has no such field, or a value is not of its type or out of its range.
    """
    own = {f.name for f in fields(config)}
    block: Any = getattr(config, "block", None)
    inner = {f.name for f in fields(block)} if block is not None else set()
    if unknown := sorted(set(values) - own - inner):
        raise ValueError(f"{type(config).__name__} has no {unknown[0]}; it has {', '.join(sorted(own | inner))}")
    given = {key: value for key, value in values.items() if value is not None}
    below = {key: checked(type(block), key, value) for key, value in given.items() if key not in own}
    changed = {key: checked(type(config), key, value) for key, value in given.items() if key in own}
    return replace(config, **changed, **({"block": replace(block, **below)} if below else {}))
