"""BERT and RoBERTa: their config.json and tensor names, and ours."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from assay.errors import InputError
from assay.models.blocks import BlockConfig
from assay.models.encoder import EncoderConfig
from assay.models.interop.decoders import THEIR_ACTIVATION, activation, both
from assay.models.interop.names import Same

ROBERTA_FIRST = 2  # positions are counted from the padding id, 1, on


def read_bert(c: dict[str, Any], tensors: Collection[str]) -> EncoderConfig:
    if (
        c.get("is_decoder")
        or c.get("add_cross_attention")
        or c.get("position_embedding_type", "absolute") != "absolute"
    ):
        raise InputError("only plain encoders with absolute positions are supported", remedy="use such a one")
    if not c.get("tie_word_embeddings", True):
        raise InputError("an output matrix of its own is not supported", remedy="use a model that ties it")
    if c["model_type"] == "roberta" and c.get("hidden_act", "gelu") != "gelu":
        raise InputError("layers and head of different activations are not supported", remedy="use one of gelu")
    first = ROBERTA_FIRST if c["model_type"] == "roberta" else 0
    block = BlockConfig(
        c["hidden_size"], c["num_attention_heads"], mlp_width=c["intermediate_size"],
        activation=activation(c.get("hidden_act", "gelu")), norm="layer", gains=True,
        epsilon=c.get("layer_norm_eps", 1e-12), norm_place="after", biases="all", qk_norm=False, rotary=None,
        dropout=c.get("hidden_dropout_prob", 0.1), attention_dropout=c.get("attention_probs_dropout_prob", 0.1),
    )  # fmt: skip
    return EncoderConfig(
        c["vocab_size"], c["num_hidden_layers"], block, max_length=c["max_position_embeddings"] - first,
        first_position=first, token_types=c.get("type_vocab_size", 2),
        head=any("predictions.transform" in name or name.startswith("lm_head.dense") for name in tensors),
        pooler=any(name.endswith("pooler.dense.weight") for name in tensors),
    )  # fmt: skip


def write_bert(c: EncoderConfig) -> dict[str, Any]:
    b, roberta = c.block, c.first_position == ROBERTA_FIRST
    name = "Roberta" if roberta else "Bert"
    special = {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2} if roberta else {"pad_token_id": 0}
    return {
        "model_type": name.lower(), "architectures": [f"{name}{'ForMaskedLM' if c.head else 'Model'}"],
        "vocab_size": c.vocabulary, "hidden_size": c.width, "num_hidden_layers": c.layers,
        "num_attention_heads": b.heads, "intermediate_size": b.inner, "hidden_act": THEIR_ACTIVATION[b.activation],
        "layer_norm_eps": b.epsilon, "max_position_embeddings": c.max_length + c.first_position,
        "type_vocab_size": c.token_types, "hidden_dropout_prob": b.dropout,
        "attention_probs_dropout_prob": b.attention_dropout, **special,
    }  # fmt: skip


def names_bert(c: EncoderConfig) -> list[Same]:
    base = "roberta" if c.first_position == ROBERTA_FIRST else "bert"
    pairs = [
        Same(ours, (f"{base}.embeddings.{theirs}_embeddings.weight",))
        for ours, theirs in (("embedding", "word"), ("positions", "position"), ("token_types", "token_type"))
    ] + both("embedding_norm", f"{base}.embeddings.LayerNorm")
    for i in range(c.layers):
        ours, theirs = f"blocks.{i}", f"{base}.encoder.layer.{i}"
        heads = tuple(f"{theirs}.attention.self.{x}" for x in ("query", "key", "value"))
        pairs += [
            Same(f"{ours}.attention.qkv.{kind}", tuple(f"{head}.{kind}" for head in heads))
            for kind in ("weight", "bias")
        ]
        for own, their in (
            ("attention.out", "attention.output.dense"), ("attention_norm", "attention.output.LayerNorm"),
            ("mlp.up", "intermediate.dense"), ("mlp.down", "output.dense"), ("mlp_norm", "output.LayerNorm"),
        ):  # fmt: skip
            pairs += both(f"{ours}.{own}", f"{theirs}.{their}")
    if c.pooler:
        pairs += both("pooler", f"{base}.pooler.dense")
    if c.head and base == "bert":
        head = "cls.predictions"
        pairs += both("head.dense", f"{head}.transform.dense") + both("head.norm", f"{head}.transform.LayerNorm")
        pairs.append(Same("head.bias", (f"{head}.bias",)))
    elif c.head:
        pairs += both("head.dense", "lm_head.dense") + both("head.norm", "lm_head.layer_norm")
        pairs.append(Same("head.bias", ("lm_head.bias",)))
    return pairs
