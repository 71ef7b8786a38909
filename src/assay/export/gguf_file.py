"""A decoder as GGUF, the one file that llama.cpp and what is built on it read: weights, shape, tokenizer.

    tensors   under the names that the gguf package knows for those of Hugging Face; matrices as float32, float16,
              bfloat16 or q8_0 (blocks of 32 whole numbers with a scale), all else as float32, which llama.cpp asks for
    tokenizer byte-level BPE: tokens, merges, what cuts a text first (by the name that llama.cpp knows its pattern by),
              ids of special tokens, the template of conversations

Llama's queries and keys are laid out anew: its rotary pairs are neighbours there, and halves here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from assay.errors import InputError
from assay.export.source import Source, familiar
from assay.generation.conversation import jinja
from assay.models.decoder import Decoder, DecoderConfig
from assay.models.interop import family_of, written
from assay.tasks.writing import Instruction
from assay.tokens.learn import QWEN2_PATTERN

MODEL = "model.gguf"
STORED = {"float32": "F32", "float16": "F16", "bfloat16": "BF16", "int8": "Q8_0"}
FILE_TYPES = {"float32": "ALL_F32", "float16": "MOSTLY_F16", "bfloat16": "MOSTLY_BF16", "int8": "MOSTLY_Q8_0"}
ARCHITECTURES = ("gpt2", "llama", "qwen2", "qwen3")
LLAMA3_PATTERN = QWEN2_PATTERN.replace(r"|\p{N}|", r"|\p{N}{1,3}|")  # the same, of up to three digits at a time
CUTS = {QWEN2_PATTERN: "qwen2", LLAMA3_PATTERN: "llama-bpe"}
"""What llama.cpp calls the patterns that cut a text before its merges."""


def refusals(source: Source) -> Iterator[str]:
    """Why llama.cpp does not take a model."""
    model: Any = source.model
    if not isinstance(model, Decoder):
        yield "GGUF is written of decoders alone"
        return
    arch = architecture(model)
    if arch not in ARCHITECTURES:
        yield "llama.cpp has no architecture of this shape: give a model of the shape of GPT-2, Llama, Qwen2 or Qwen3"
        return
    wanted, own = "gelu_tanh" if arch == "gpt2" else "silu", model.config.block.activation
    if own != wanted:
        yield f"llama.cpp's {arch} has the activation {wanted}, and this model {own}"
    if source.tokenizer is None:
        yield "a GGUF file holds its tokenizer, and this directory has none"
        return
    try:
        cut_of(source.tokenizer.surface.content)
    except InputError as error:
        yield error.what


def architecture(model: Any) -> str | None:
    """What llama.cpp calls a model's shape: by the name of its family."""
    alike = familiar(model)
    family = None if alike is None else family_of(alike.config)
    return None if family is None else str(family.write(alike.config)["model_type"])


def cut_of(content: Mapping[str, Any]) -> str:
    """The name of what cuts a text before the merges of a byte-level BPE.

    Raises:
        InputError: it is another kind of tokenizer, or llama.cpp has no name for its pattern.
    """
    parts = content.get("pre_tokenizer") or {}
    steps = parts.get("pretokenizers", [parts])
    levels = [step for step in steps if step.get("type") == "ByteLevel"]
    if content["model"]["type"] != "BPE" or not levels or content.get("normalizer") is not None:
        raise InputError(
            "GGUF is written with byte-level BPE tokenizers alone", remedy="train the model with --kind bpe"
        )
    if levels[0].get("add_prefix_space"):
        raise InputError("llama.cpp puts no space before a text, and this tokenizer does")
    patterns = [step["pattern"].get("Regex") for step in steps if step.get("type") == "Split"]
    if not patterns and levels[0].get("use_regex", True):
        return "gpt-2"
    if len(patterns) == 1 and patterns[0] in CUTS:
        return CUTS[patterns[0]]
    raise InputError("llama.cpp has no name for the pattern that this tokenizer cuts text by")


def tensors(model: Any) -> Iterator[tuple[str, np.ndarray]]:
    """Names and float32 values, laid out as llama.cpp has them."""
    import gguf

    c, arch = model.config, architecture(model)
    kind = next(k for k, name in gguf.MODEL_ARCH_NAMES.items() if name == arch)
    known = gguf.get_tensor_name_map(kind, c.layers)
    _, theirs = written(familiar(model), native=False)
    for name, tensor in theirs.items():
        called = known.get_name(name, try_suffixes=(".weight", ".bias"))
        if called is None:
            raise InputError(f"llama.cpp has no tensor for {name}", remedy="this is a shape that it does not run")
        yield called, _laid_out(name, tensor, arch, c).float().contiguous().numpy()
    if c.rotary_scaling is not None:
        plain = c.rotary_base ** -(torch.arange(0, c.block.key_width, 2, dtype=torch.float64) / c.block.key_width)
        yield "rope_freqs.weight", (plain / c.rotary_scaling.of(plain)).float().numpy()


def _laid_out(name: str, tensor: torch.Tensor, arch: str | None, c: DecoderConfig) -> torch.Tensor:
    """A tensor as llama.cpp has it: (outputs, inputs), and the rotary pairs of Llama beside each other."""
    if arch == "gpt2" and name.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight")):
        return tensor.t()
    heads = next((n for part, n in (("q_proj", c.block.heads), ("k_proj", c.block.groups)) if part in name), None)
    return neighbours(tensor, heads) if arch == "llama" and heads is not None else tensor


def neighbours(weight: torch.Tensor, heads: int) -> torch.Tensor:
    """Rows of each head from two halves to pairs that stand beside each other."""
    return weight.unflatten(0, (heads, 2, -1)).transpose(1, 2).flatten(0, 2)


def write(source: Source, path: Path, dtype: str, name: str, licence: str | None = None) -> None:
    """Write the file of a model that is not refused."""
    import gguf

    model: Any = source.model
    arch = architecture(model)
    assert arch is not None
    writer = gguf.GGUFWriter(str(path), arch)
    writer.add_name(name)
    if licence:
        writer.add_license(licence)
    _shape(writer, model.config, arch)
    writer.add_file_type(getattr(gguf.LlamaFileType, FILE_TYPES[dtype]))
    if dtype == "int8":
        writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    _tokenizer(writer, source)
    for called, values in tensors(model):
        kind = stored_as(values, dtype)
        writer.add_tensor(called, gguf.quants.quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def stored_as(values: np.ndarray, dtype: str) -> Any:
    """Matrices in the type that was asked for (of q8_0 those whose rows are whole blocks), all else as float32."""
    import gguf

    kind = getattr(gguf.GGMLQuantizationType, STORED[dtype])
    block, _ = gguf.GGML_QUANT_SIZES[kind]
    if values.ndim < 2:
        return gguf.GGMLQuantizationType.F32
    return kind if values.shape[-1] % block == 0 else gguf.GGMLQuantizationType.F16


def _shape(writer: Any, c: DecoderConfig, arch: str) -> None:
    b = c.block
    writer.add_context_length(c.max_length)
    writer.add_embedding_length(c.width)
    writer.add_block_count(c.layers)
    writer.add_feed_forward_length(b.inner)
    writer.add_head_count(b.heads)
    writer.add_vocab_size(c.vocabulary)
    if arch == "gpt2":
        writer.add_layer_norm_eps(b.epsilon)
        return
    writer.add_head_count_kv(b.groups)
    writer.add_key_length(b.key_width)
    writer.add_value_length(b.key_width)
    writer.add_rope_dimension_count(b.key_width)
    writer.add_rope_freq_base(c.rotary_base)
    writer.add_layer_norm_rms_eps(b.epsilon)


def _tokenizer(writer: Any, source: Source) -> None:
    import gguf

    encoder = source.tokenizer
    assert encoder is not None
    content, special = encoder.surface.content, set(encoder.special.values())
    known, types, names = encoder.surface.names, [], []
    for i in range(source.model.config.vocabulary):
        names.append(known.get(i, f"[PAD{i}]"))
        kinds = gguf.TokenType
        types.append(kinds.UNUSED if i not in known else kinds.CONTROL if i in special else kinds.NORMAL)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(cut_of(content))
    writer.add_token_list(names)
    writer.add_token_types(types)
    merges = content["model"]["merges"]
    writer.add_token_merges([one if isinstance(one, str) else " ".join(one) for one in merges])
    if source.begin is not None:
        writer.add_bos_token_id(source.begin)
        writer.add_add_bos_token(True)
    end = source.end if source.end is not None else source.begin
    if end is not None:
        writer.add_eos_token_id(end)
    pad = source.stated.get("pad_token_id")
    if isinstance(pad, int):
        writer.add_pad_token_id(pad)
    if (template := template_of(source)) is not None:
        writer.add_chat_template(template)


def template_of(source: Source) -> str | None:
    """The template of conversations, in Jinja: the directory's own, or that of the task that it was trained for."""
    for name, key in (("chat_template.jinja", None), ("tokenizer_config.json", "chat_template")):
        file = source.folder / name
        if file.is_file():
            text = file.read_text(encoding="utf-8")
            found = text if key is None else json.loads(text).get(key)
            if isinstance(found, str):
                return found
    return jinja(source.task.template) if isinstance(source.task, Instruction) else None


def differences(source: Source, path: Path) -> dict[str, float]:
    """What the file's tensors are apart from ours, each in units of its own largest number, read back and put together
    by the gguf package."""
    import gguf

    found = {one.name: one for one in gguf.GGUFReader(str(path)).tensors}
    apart = {}
    for name, values in tensors(source.model):
        one = found.pop(name)
        back = gguf.quants.dequantize(one.data, one.tensor_type)
        apart[name] = float(np.abs(back.reshape(values.shape) - values).max() / max(1e-30, np.abs(values).max()))
    if found:
        raise InputError(f"holds {next(iter(found))}, which the model has not", where=path)
    return apart
