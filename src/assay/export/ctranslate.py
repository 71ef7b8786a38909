"""A decoder or an encoder-decoder as CTranslate2 has it: its specification, filled with our weights.

    config -> norms, positions and products -> specification -> weights by name -> model.bin, config.json, vocabulary

CTranslate2's own converters start from transformers' models; what they write is the same file. A shape that it has no
part for is refused with the part's name.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from assay.export.source import Source
from assay.models.blocks import BlockConfig
from assay.models.decoder import Decoder
from assay.models.seq2seq import Seq2Seq

ACTIVATIONS = {"relu": "RELU", "gelu": "GELU", "gelu_tanh": "GELUTanh", "silu": "SWISH"}
STORED = {"float32": "float32", "float16": "float16", "bfloat16": "bfloat16", "int8": "int8_float32"}
FILES = ["model.bin", "config.json"]


def refusals(source: Source) -> Iterator[str]:
    """Why CTranslate2 does not take a model."""
    model: Any = source.model
    if not isinstance(model, Decoder | Seq2Seq):
        yield "CTranslate2 takes decoders and encoder-decoders"
        return
    block: BlockConfig = model.config.block
    if source.tokenizer is None:
        yield "CTranslate2 knows tokens by their names, and this directory has no tokenizer"
    if block.activation not in ACTIVATIONS:
        yield f"CTranslate2 has no activation {block.activation}"
    if block.window is not None:
        yield "attention through a window is not exported to CTranslate2"
    if isinstance(model, Decoder) and model.values:
        yield "CTranslate2 has no embeddings of values"
    if isinstance(model, Decoder) and model.config.rotary_scaling is not None:
        yield "CTranslate2 stretches rotary positions in a way of its own"


def write(source: Source, folder: Path, dtype: str) -> None:
    """Write the files of a model that is not refused."""
    model: Any = source.model
    spec = _decoder(model) if isinstance(model, Decoder) else _translator(model)
    tokens = names(source)
    if isinstance(model, Decoder):
        spec.register_vocabulary(tokens)
        spec.config.bos_token = tokens[source.begin or 0]
    else:
        spec.register_source_vocabulary(tokens)
        spec.register_target_vocabulary(tokens)
        spec.config.bos_token = spec.config.decoder_start_token = tokens[model.config.start]
        spec.config.add_source_bos = spec.config.add_source_eos = False
    spec.config.eos_token = tokens[ending(source)]
    spec.config.unk_token = tokens[source.tokenizer.unknown or 0] if source.tokenizer is not None else tokens[0]
    spec.config.layer_norm_epsilon = model.config.block.epsilon
    spec.validate()
    spec.optimize(STORED[dtype])
    spec.save(str(folder))


def names(source: Source) -> list[str]:
    """(V,) of each id the name that CTranslate2 knows it by; rows of the model that no token has get one."""
    assert source.tokenizer is not None
    known, taken, made = source.tokenizer.surface.names, set(), []
    for i in range(source.model.config.vocabulary):
        name = known.get(i, f"<|unused-{i}|>")
        made.append(name if name not in taken else f"<|{i}|>{name}")
        taken.add(made[-1])
    return made


def ending(source: Source) -> int:
    """The id that CTranslate2 takes for the end: where a model has none, what begins a document ends the one before."""
    if source.end is not None:
        return source.end
    return source.begin or 0


def _common(b: BlockConfig) -> dict[str, Any]:
    from ctranslate2.specs import common_spec

    return {
        "pre_norm": b.norm_place == "before", "activation": common_spec.Activation[ACTIVATIONS[b.activation]],
        "ffn_glu": b.gated, "rms_norm": b.norm == "rms",
    }  # fmt: skip


def _decoder(model: Decoder) -> Any:
    from ctranslate2.specs import transformer_spec

    c, b = model.config, model.config.block
    rotary: dict[str, Any] = {}
    if b.rotary is not None:
        rotary = {
            "rotary_dim": b.key_width,
            "rotary_interleave": b.rotary == "neighbours",
            "rotary_base": c.rotary_base,
        }
    spec = transformer_spec.TransformerDecoderModelSpec.from_config(
        c.layers, b.heads, **_common(b), layernorm_embedding=c.embedding_norm, qk_norm=b.qk_norm,
        num_heads_kv=b.groups if b.groups != b.heads else None, head_dim=b.key_width, **rotary,
    )  # fmt: skip
    side = spec.decoder
    side.scale_embeddings = False
    side.embeddings.weight = side.projection.weight = _own(model.embedding)
    if not c.tied:
        side.projection.weight = _own(model.head)
    if model.positions is not None:
        side.position_encodings.encodings = _own(model.positions)
    if model.embedding_norm is not None:
        _norm(side.layernorm_embedding, model.embedding_norm)
    if c.softcap is not None:
        side.final_logit_softcapping = np.dtype("float32").type(c.softcap)
    _norm(side.layer_norm, model.norm)
    for layer, block in zip(side.layer, model.blocks, strict=True):
        _layer(layer, block)
    return spec


def _translator(model: Seq2Seq) -> Any:
    from ctranslate2.specs import transformer_spec

    c, b = model.config, model.config.block
    spec = transformer_spec.TransformerSpec.from_config(
        c.layers, b.heads, **_common(b), layernorm_embedding=c.embedding_norm,
        relative_attention_bias=c.positions == "relative",
    )  # fmt: skip
    for name in ("encoder", "decoder"):
        side, own = getattr(spec, name), getattr(model, name)
        embeddings = side.embeddings[0] if isinstance(side.embeddings, list) else side.embeddings
        embeddings.weight = _own(model.embedding)
        side.scale_embeddings = c.width**0.5 if c.embedding_scale else False
        if own.distances is None:
            table = own.waves if own.positions is None else own.positions
            side.position_encodings.encodings = _own(table)[c.first_position :].contiguous()
        if own.embedding_norm is not None:
            _norm(side.layernorm_embedding, own.embedding_norm)
        if own.norm is not None:
            _norm(side.layer_norm, own.norm)
        for layer, block in zip(side.layer, own.blocks, strict=True):
            _layer(layer, block)
            if own.distances is not None:
                layer.self_attention.relative_attention_bias = _own(own.distances)
                layer.self_attention.relative_attention_max_distance = np.dtype("int32").type(c.distance)
    spec.decoder.projection.weight = _own(model.head)
    if model.head_bias is not None:
        spec.decoder.projection.bias = _own(model.head_bias)
    if c.head_scale:
        spec.decoder.scale_outputs = np.dtype("float32").type(c.width**-0.5)
    return spec


def _layer(spec: Any, block: Any) -> None:
    _attention(spec.self_attention, block.attention, [block.attention.qkv], block.attention_norm)
    if block.cross is not None:
        _attention(spec.attention, block.cross, [block.cross.q, block.cross.kv], block.cross_norm)
    mlp = block.mlp
    parts = mlp.up.weight.chunk(2) if mlp.gated else [mlp.up.weight]
    biases = [None] * len(parts) if mlp.up.bias is None else mlp.up.bias.chunk(len(parts))
    for one, weight, bias in zip((spec.ffn.linear_0, getattr(spec.ffn, "linear_0_noact", None)), parts, biases,
                                 strict=False):  # fmt: skip
        _linear(one, weight, bias)
    _linear(spec.ffn.linear_1, mlp.down.weight, mlp.down.bias)
    _norm(spec.ffn.layer_norm, block.mlp_norm)


def _attention(spec: Any, attention: Any, products: list[Any], norm: Any) -> None:
    for one, product in zip(spec.linear, [*products, attention.out], strict=True):
        _linear(one, product.weight, product.bias)
    _norm(spec.layer_norm, norm)
    if not attention.c.scaled:
        spec.queries_scale = 1.0
    if attention.q_norm is not None:
        _norm(spec.q_norm, attention.q_norm)
        _norm(spec.k_norm, attention.k_norm)


def _linear(spec: Any, weight: Tensor, bias: Tensor | None) -> None:
    spec.weight = _own(weight)
    if bias is not None:
        spec.bias = _own(bias)


def _norm(spec: Any, norm: Any) -> None:
    """A norm without gains is one whose gains are 1."""
    spec.gamma = torch.ones(norm.width) if norm.weight is None else _own(norm.weight)
    if norm.kind == "layer":
        spec.beta = torch.zeros(norm.width) if norm.bias is None else _own(norm.bias)


def _own(tensor: Tensor) -> Tensor:
    return tensor.detach().float().contiguous().clone()
