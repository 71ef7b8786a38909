"""GPT-2, Llama, Qwen2 and Qwen3: their config.json and tensor names, and ours."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from assay.errors import InputError
from assay.models.blocks import Activation, BlockConfig
from assay.models.decoder import DecoderConfig, Llama3Scaling
from assay.models.interop.names import Same

ACTIVATIONS: dict[str, Activation] = {
    "gelu_new": "gelu_tanh", "gelu_pytorch_tanh": "gelu_tanh", "gelu": "gelu", "relu": "relu", "relu2": "relu2",
    "silu": "silu", "swish": "silu",
}  # fmt: skip
THEIR_ACTIVATION: dict[Activation, str] = {
    "gelu_tanh": "gelu_pytorch_tanh", "gelu": "gelu", "relu": "relu", "relu2": "relu2", "silu": "silu"
}  # fmt: skip


def activation(name: str) -> Activation:
    """Ours by their name.

    Raises:
        InputError: there is none.
    """
    if name not in ACTIVATIONS:
        raise InputError(f"the activation {name!r} is not known", remedy=f"known: {', '.join(sorted(ACTIVATIONS))}")
    return ACTIVATIONS[name]


def read_gpt2(c: dict[str, Any], _tensors: Collection[str]) -> DecoderConfig:
    for name, plain in (("scale_attn_weights", True), ("scale_attn_by_inverse_layer_idx", False),
                        ("add_cross_attention", False)):  # fmt: skip
        if c.get(name, plain) is not plain:
            raise InputError(f"{name} = {c[name]} is not supported", remedy="use a plain GPT-2")
    block = BlockConfig(
        c["n_embd"], c["n_head"], mlp_width=c.get("n_inner") or 4 * c["n_embd"],
        activation=activation(c.get("activation_function", "gelu_new")), norm="layer", gains=True,
        epsilon=c.get("layer_norm_epsilon", 1e-5), biases="all", qk_norm=False, rotary=None,
        dropout=c.get("resid_pdrop", 0.1), attention_dropout=c.get("attn_pdrop", 0.1),
    )  # fmt: skip
    return DecoderConfig(
        c["vocab_size"], c["n_layer"], block, positions="learned", embedding_norm=False,
        tied=c.get("tie_word_embeddings", True), max_length=c["n_positions"], init="gpt2",
    )  # fmt: skip


def write_gpt2(c: DecoderConfig) -> dict[str, Any]:
    b = c.block
    return {
        "model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "vocab_size": c.vocabulary, "n_embd": c.width,
        "n_layer": c.layers, "n_head": c.heads, "n_inner": b.inner, "n_positions": c.max_length, "n_ctx": c.max_length,
        "activation_function": THEIR_ACTIVATION[b.activation], "layer_norm_epsilon": b.epsilon,
        "resid_pdrop": b.dropout, "embd_pdrop": b.dropout, "attn_pdrop": b.attention_dropout,
        "tie_word_embeddings": c.tied,
    }  # fmt: skip


def names_gpt2(c: DecoderConfig) -> list[Same]:
    pairs = [
        Same("embedding", ("transformer.wte.weight",)),
        Same("positions", ("transformer.wpe.weight",)),
        *both("norm", "transformer.ln_f"),
    ]
    for i in range(c.layers):
        ours, theirs = f"blocks.{i}", f"transformer.h.{i}"
        pairs += both(f"{ours}.attention_norm", f"{theirs}.ln_1") + both(f"{ours}.mlp_norm", f"{theirs}.ln_2")
        for own, their in (("attention.qkv", "attn.c_attn"), ("attention.out", "attn.c_proj"),
                           ("mlp.up", "mlp.c_fc"), ("mlp.down", "mlp.c_proj")):  # fmt: skip
            pairs += [
                Same(f"{ours}.{own}.weight", (f"{theirs}.{their}.weight",), turned=True),
                Same(f"{ours}.{own}.bias", (f"{theirs}.{their}.bias",)),
            ]
    return pairs if c.tied else [*pairs, Same("head", ("lm_head.weight",))]


def both(ours: str, theirs: str) -> list[Same]:
    """Weight and bias."""
    return [Same(f"{ours}.{name}", (f"{theirs}.{name}",)) for name in ("weight", "bias")]


def read_llama(c: dict[str, Any], _tensors: Collection[str]) -> DecoderConfig:
    """Llama, Mistral-like windows aside; Qwen2 and Qwen3 are told apart by their `model_type`."""
    kind = c["model_type"]
    if c.get("use_sliding_window") or (kind == "llama" and c.get("sliding_window")):
        raise InputError("a sliding window is not supported in this family", remedy="use a model without one")
    attention_bias, mlp_bias = c.get("attention_bias", False), c.get("mlp_bias", False)
    if attention_bias != mlp_bias:
        raise InputError("attention_bias without mlp_bias (or the other way round) is not supported", remedy="")
    heads = c["num_attention_heads"]
    block = BlockConfig(
        c["hidden_size"], heads, c.get("num_key_value_heads") or heads, c.get("head_dim") or c["hidden_size"] // heads,
        c["intermediate_size"], activation(c.get("hidden_act", "silu")), gated=True, norm="rms", gains=True,
        epsilon=c.get("rms_norm_eps", 1e-6), biases="all" if attention_bias else "qkv" if kind == "qwen2" else "none",
        qk_norm=kind == "qwen3", rotary="halves", attention_dropout=c.get("attention_dropout", 0.0),
    )  # fmt: skip
    base, scaling = _rotary(c)
    return DecoderConfig(
        c["vocab_size"], c["num_hidden_layers"], block, embedding_norm=False,
        tied=c.get("tie_word_embeddings", False), rotary_base=base, rotary_scaling=scaling,
        max_length=c.get("max_position_embeddings", 2048), init="gpt2",
    )  # fmt: skip


def _rotary(c: dict[str, Any]) -> tuple[float, Llama3Scaling | None]:
    """The base and the scaling, in the words of transformers 5 (`rope_parameters`) or before."""
    p = c.get("rope_parameters") or {"rope_theta": c.get("rope_theta", 10_000.0), **(c.get("rope_scaling") or {})}
    kind = p.get("rope_type", p.get("type", "default"))
    base = float(p.get("rope_theta", c.get("rope_theta", 10_000.0)))
    if kind == "llama3":
        return base, Llama3Scaling(
            float(p["factor"]), float(p["low_freq_factor"]), float(p["high_freq_factor"]),
            int(p["original_max_position_embeddings"]),
        )  # fmt: skip
    if kind != "default":
        raise InputError(f"rotary positions of type {kind!r} are not supported", remedy="known: default, llama3")
    return base, None


def write_llama(c: DecoderConfig) -> dict[str, Any]:
    b, s = c.block, c.rotary_scaling
    kind = "qwen3" if b.qk_norm else "qwen2" if b.biases == "qkv" else "llama"
    architecture = {"qwen3": "Qwen3ForCausalLM", "qwen2": "Qwen2ForCausalLM", "llama": "LlamaForCausalLM"}[kind]
    rope: dict[str, Any] = {"rope_type": "default", "rope_theta": c.rotary_base}
    if s is not None:
        rope |= {
            "rope_type": "llama3", "factor": s.factor, "low_freq_factor": s.low, "high_freq_factor": s.high,
            "original_max_position_embeddings": s.original,
        }  # fmt: skip
    made: dict[str, Any] = {
        "model_type": kind, "architectures": [architecture], "vocab_size": c.vocabulary, "hidden_size": c.width,
        "num_hidden_layers": c.layers, "num_attention_heads": c.heads, "num_key_value_heads": b.groups,
        "head_dim": b.key_width, "intermediate_size": b.inner, "hidden_act": THEIR_ACTIVATION[b.activation],
        "rms_norm_eps": b.epsilon,
        "tie_word_embeddings": c.tied, "max_position_embeddings": c.max_length, "rope_parameters": rope,
        "attention_dropout": b.attention_dropout,
    }  # fmt: skip
    if kind != "qwen2":
        made["attention_bias"] = b.biases == "all"
    return made | ({"mlp_bias": b.biases == "all"} if kind == "llama" else {})


def names_llama(c: DecoderConfig) -> list[Same]:
    b = c.block
    rows = (b.heads * b.key_width, b.groups * b.key_width, b.groups * b.key_width)
    pairs = [Same("embedding", ("model.embed_tokens.weight",)), Same("norm.weight", ("model.norm.weight",))]
    for i in range(c.layers):
        ours, theirs = f"blocks.{i}", f"model.layers.{i}"
        heads = tuple(f"{theirs}.self_attn.{x}_proj" for x in "qkv")
        kinds = ("weight", "bias") if b.biases != "none" else ("weight",)
        pairs += [
            Same(f"{ours}.attention_norm.weight", (f"{theirs}.input_layernorm.weight",)),
            Same(f"{ours}.mlp_norm.weight", (f"{theirs}.post_attention_layernorm.weight",)),
            *(Same(f"{ours}.attention.qkv.{k}", tuple(f"{name}.{k}" for name in heads), rows=rows) for k in kinds),
        ]
        for k in ("weight", "bias") if b.biases == "all" else ("weight",):
            gate = tuple(f"{theirs}.mlp.{x}_proj.{k}" for x in ("gate", "up"))
            pairs += [
                Same(f"{ours}.attention.out.{k}", (f"{theirs}.self_attn.o_proj.{k}",)),
                Same(f"{ours}.mlp.up.{k}", gate),
                Same(f"{ours}.mlp.down.{k}", (f"{theirs}.mlp.down_proj.{k}",)),
            ]
        if b.qk_norm:
            for x in "qk":
                pairs.append(Same(f"{ours}.attention.{x}_norm.weight", (f"{theirs}.self_attn.{x}_norm.weight",)))
    return pairs if c.tied else [*pairs, Same("head", ("lm_head.weight",))]
