"""BART, Marian and T5: their config.json and tensor names, and ours."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from assay.errors import InputError
from assay.models.blocks import BlockConfig
from assay.models.interop.decoders import THEIR_ACTIVATION, activation, both
from assay.models.interop.names import Same
from assay.models.seq2seq import Seq2SeqConfig

BART_FIRST = 2  # its table of positions keeps two rows for padding
SIDES = ("encoder", "decoder")


def read_bart(c: dict[str, Any], _tensors: Collection[str]) -> Seq2SeqConfig:
    marian = c["model_type"] == "marian"
    if c["encoder_attention_heads"] != c["decoder_attention_heads"] or c["encoder_ffn_dim"] != c["decoder_ffn_dim"]:
        raise InputError("encoder and decoder of different widths are not supported", remedy="use a symmetric model")
    if not c.get("share_encoder_decoder_embeddings", True):
        raise InputError("separate vocabularies are not supported", remedy="use a model that shares its embeddings")
    if not c.get("tie_word_embeddings", True):
        raise InputError("an output matrix of its own is not supported", remedy="use a model that ties it")
    block = BlockConfig(
        c["d_model"], c["encoder_attention_heads"], mlp_width=c["encoder_ffn_dim"],
        activation=activation(c.get("activation_function", "gelu")), norm="layer", gains=True, epsilon=1e-5,
        norm_place="after", biases="all", qk_norm=False, rotary=None, dropout=c.get("dropout", 0.1),
        attention_dropout=c.get("attention_dropout", 0.0),
    )  # fmt: skip
    return Seq2SeqConfig(
        c["vocab_size"], (c["encoder_layers"], c["decoder_layers"]), block,
        positions="sinusoidal" if marian else "learned", max_length=c["max_position_embeddings"],
        first_position=0 if marian else BART_FIRST, embedding_norm=not marian,
        embedding_scale=c.get("scale_embedding", False), head_bias=True,
        start=c["decoder_start_token_id"], padding=c["pad_token_id"],
    )  # fmt: skip


def write_bart(c: Seq2SeqConfig) -> dict[str, Any]:
    b, marian = c.block, c.positions == "sinusoidal"
    made = {
        "model_type": "marian" if marian else "bart",
        "architectures": ["MarianMTModel" if marian else "BartForConditionalGeneration"], "is_encoder_decoder": True,
        "vocab_size": c.vocabulary, "d_model": c.width, "encoder_layers": c.layers[0], "decoder_layers": c.layers[1],
        "max_position_embeddings": c.max_length, "activation_function": THEIR_ACTIVATION[b.activation],
        "dropout": b.dropout, "attention_dropout": b.attention_dropout, "scale_embedding": c.embedding_scale,
        "decoder_start_token_id": c.start, "pad_token_id": c.padding, "tie_word_embeddings": c.tied,
    }  # fmt: skip
    for side in SIDES:
        made |= {f"{side}_attention_heads": b.heads, f"{side}_ffn_dim": b.inner}
    return made | ({"decoder_vocab_size": c.vocabulary, "share_encoder_decoder_embeddings": True} if marian else {})


def names_bart(c: Seq2SeqConfig) -> list[Same]:
    pairs = [
        Same("embedding", ("model.shared.weight",)),
        Same("head_bias", ("final_logits_bias",), leading=True),
    ]
    for side, layers in zip(SIDES, c.layers, strict=True):
        base = f"model.{side}"
        if c.positions == "learned":
            pairs.append(Same(f"{side}.positions", (f"{base}.embed_positions.weight",)))
        if c.embedding_norm:
            pairs += both(f"{side}.embedding_norm", f"{base}.layernorm_embedding")
        for i in range(layers):
            ours, theirs = f"{side}.blocks.{i}", f"{base}.layers.{i}"
            pairs += _attention(f"{ours}.attention", f"{theirs}.self_attn", "{}_proj", "out_proj", ("weight", "bias"))
            for own, their in (("attention_norm", "self_attn_layer_norm"), ("mlp.up", "fc1"), ("mlp.down", "fc2"),
                               ("mlp_norm", "final_layer_norm")):  # fmt: skip
                pairs += both(f"{ours}.{own}", f"{theirs}.{their}")
            if side == "decoder":
                cross = f"{theirs}.encoder_attn"
                pairs += _attention(f"{ours}.cross", cross, "{}_proj", "out_proj", ("weight", "bias"), cross=True)
                pairs += both(f"{ours}.cross_norm", f"{theirs}.encoder_attn_layer_norm")
    return pairs


def _attention(
    ours: str, theirs: str, heads: str, out: str, kinds: tuple[str, ...], *, cross: bool = False
) -> list[Same]:
    """The linear maps of one attention layer; `heads` is the form of the names of queries, keys and values."""
    q, k, v = (f"{theirs}.{heads.format(x)}" for x in "qkv")
    pairs = []
    for kind in kinds:
        if cross:
            pairs.append(Same(f"{ours}.q.{kind}", (f"{q}.{kind}",)))
            pairs.append(Same(f"{ours}.kv.{kind}", (f"{k}.{kind}", f"{v}.{kind}")))
        else:
            pairs.append(Same(f"{ours}.qkv.{kind}", tuple(f"{x}.{kind}" for x in (q, k, v))))
        pairs.append(Same(f"{ours}.out.{kind}", (f"{theirs}.{out}.{kind}",)))
    return pairs


def read_t5(c: dict[str, Any], _tensors: Collection[str]) -> Seq2SeqConfig:
    kind = str(c.get("feed_forward_proj", "relu"))
    gated, name = kind.startswith("gated-"), kind.removeprefix("gated-")
    tied = c.get("tie_word_embeddings", True)
    block = BlockConfig(
        c["d_model"], c["num_heads"], head_width=c["d_kv"], mlp_width=c["d_ff"],
        activation="gelu_tanh" if gated and name == "gelu" else activation(name), gated=gated, gains=True,
        epsilon=c.get("layer_norm_epsilon", 1e-6), qk_norm=False, rotary=None, scaled=False,
        dropout=c.get("dropout_rate", 0.1), attention_dropout=c.get("dropout_rate", 0.1),
    )  # fmt: skip
    layers = c["num_layers"]
    return Seq2SeqConfig(
        c["vocab_size"], (layers, c.get("num_decoder_layers") or layers), block, positions="relative",
        buckets=c.get("relative_attention_num_buckets", 32), distance=c.get("relative_attention_max_distance", 128),
        embedding_scale=False, tied=tied, head_scale=c.get("scale_decoder_outputs", tied),
        start=c.get("decoder_start_token_id", c.get("pad_token_id", 0)), padding=c.get("pad_token_id", 0),
    )  # fmt: skip


def write_t5(c: Seq2SeqConfig) -> dict[str, Any]:
    b = c.block
    name = "gelu" if b.gated and b.activation == "gelu_tanh" else THEIR_ACTIVATION[b.activation]
    return {
        "model_type": "t5", "architectures": ["T5ForConditionalGeneration"], "is_encoder_decoder": True,
        "vocab_size": c.vocabulary, "d_model": c.width, "d_kv": b.key_width, "d_ff": b.inner,
        "num_layers": c.layers[0], "num_decoder_layers": c.layers[1], "num_heads": b.heads,
        "feed_forward_proj": f"{'gated-' if b.gated else ''}{name}", "layer_norm_epsilon": b.epsilon,
        "relative_attention_num_buckets": c.buckets, "relative_attention_max_distance": c.distance,
        "dropout_rate": b.dropout, "tie_word_embeddings": c.tied, "scale_decoder_outputs": c.head_scale,
        "decoder_start_token_id": c.start, "pad_token_id": c.padding,
    }  # fmt: skip


def names_t5(c: Seq2SeqConfig) -> list[Same]:
    pairs = [Same("embedding", ("shared.weight",))]
    for side, layers in zip(SIDES, c.layers, strict=True):
        first = f"{side}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
        pairs += [
            Same(f"{side}.distances", (first,)),
            Same(f"{side}.norm.weight", (f"{side}.final_layer_norm.weight",)),
        ]
        for i in range(layers):
            ours, theirs = f"{side}.blocks.{i}", f"{side}.block.{i}.layer"
            pairs += _attention(f"{ours}.attention", f"{theirs}.0.SelfAttention", "{}", "o", ("weight",))
            pairs.append(Same(f"{ours}.attention_norm.weight", (f"{theirs}.0.layer_norm.weight",)))
            last = 1
            if side == "decoder":
                last = 2
                pairs += _attention(f"{ours}.cross", f"{theirs}.1.EncDecAttention", "{}", "o", ("weight",), cross=True)
                pairs.append(Same(f"{ours}.cross_norm.weight", (f"{theirs}.1.layer_norm.weight",)))
            mlp = f"{theirs}.{last}.DenseReluDense"
            up = (f"{mlp}.wi_0.weight", f"{mlp}.wi_1.weight") if c.block.gated else (f"{mlp}.wi.weight",)
            pairs += [
                Same(f"{ours}.mlp.up.weight", up),
                Same(f"{ours}.mlp.down.weight", (f"{mlp}.wo.weight",)),
                Same(f"{ours}.mlp_norm.weight", (f"{theirs}.{last}.layer_norm.weight",)),
            ]
    return pairs if c.tied else [*pairs, Same("head", ("lm_head.weight",))]
