"""Greedy decoding and beams against transformers' own, on one and the same random weights."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import torch
import writers  # noqa: F401 (one thread)

from assay.inference.beam import Beams, beam_search
from assay.inference.generate import generate
from assay.inference.limits import Limits, Written
from assay.inference.sampling import Rules
from assay.models import interop

transformers = pytest.importorskip("transformers")
V, STOP = 61, 2
LLAMA: dict[str, Any] = {"vocab_size": V, "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4,
                         "num_key_value_heads": 2, "intermediate_size": 40, "max_position_embeddings": 64}  # fmt: skip
BART: dict[str, Any] = {"vocab_size": V, "d_model": 24, "encoder_layers": 2, "decoder_layers": 2,
                        "encoder_attention_heads": 3, "decoder_attention_heads": 3, "encoder_ffn_dim": 40,
                        "decoder_ffn_dim": 40, "max_position_embeddings": 64, "decoder_start_token_id": 2,
                        "pad_token_id": 1, "eos_token_id": STOP, "forced_eos_token_id": None}  # fmt: skip
T5: dict[str, Any] = {"vocab_size": V, "d_model": 24, "d_kv": 8, "d_ff": 40, "num_layers": 2, "num_heads": 3,
                      "decoder_start_token_id": 0, "pad_token_id": 0, "eos_token_id": STOP}  # fmt: skip
FAMILIES: dict[str, Callable[[], Any]] = {
    "gpt2": lambda: transformers.GPT2LMHeadModel(
        transformers.GPT2Config(vocab_size=V, n_positions=64, n_embd=24, n_layer=2, n_head=3)
    ),
    "llama": lambda: transformers.LlamaForCausalLM(transformers.LlamaConfig(**LLAMA)),
    "qwen3": lambda: transformers.Qwen3ForCausalLM(transformers.Qwen3Config(**LLAMA, head_dim=10)),
    "bart": lambda: transformers.BartForConditionalGeneration(transformers.BartConfig(**BART)),
    "marian": lambda: transformers.MarianMTModel(
        transformers.MarianConfig(**BART, scale_embedding=True, activation_function="swish")
    ),
    "t5": lambda: transformers.T5ForConditionalGeneration(transformers.T5Config(**T5)),
}
PROMPTS = [[5, 6, 7], [8], [9, 10, 11, 12, 13, 14, 15, 16], [3, 4], [20, 21, 22, 23, 24]]
NEW = 12


@cache
def both(family: str) -> tuple[Any, Any]:
    """A model of theirs with every parameter at work, and ours of its weights."""
    torch.manual_seed(0)
    theirs = FAMILIES[family]().eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in theirs.named_parameters():
            if not (family == "marian" and "embed_positions" in name):  # computed, not learned
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.2)
    with TemporaryDirectory() as folder:
        theirs.save_pretrained(folder)
        return theirs, interop.load(Path(folder))


def expected(theirs: Any, prompt: list[int], **settings: Any) -> tuple[list[tuple[int, ...]], list[float]]:
    """Sequences of new ids, up to the stop, and their scores."""
    ids = torch.tensor([prompt])
    common = {"max_new_tokens": NEW, "eos_token_id": STOP, "pad_token_id": 1, "do_sample": False, "bos_token_id": None,
              "output_scores": True, "output_logits": True, "return_dict_in_generate": True}  # fmt: skip
    found = theirs.generate(ids, attention_mask=torch.ones_like(ids), **{**common, **settings})
    begins = 1 if theirs.config.is_encoder_decoder else len(prompt)
    rows = [tuple(row) for row in found.sequences[:, begins:].tolist()]
    cut = [row[: row.index(STOP) + 1] if STOP in row else row for row in rows]
    if "sequences_scores" in found:
        return cut, found.sequences_scores.tolist()
    logits = [step[0].log_softmax(dim=-1) for step in found.logits]
    return cut, [sum(float(step[i]) for step, i in zip(logits, cut[0], strict=True))]


def assert_same(own: list[Written], sequences: list[tuple[int, ...]], scores: list[float]) -> None:
    assert [w.ids for w in own] == sequences
    assert [w.score for w in own] == pytest.approx(scores, abs=1e-4)


RULES: list[tuple[Rules, Limits, dict[str, Any]]] = [
    (Rules(), Limits(NEW, stop=(STOP,)), {}),
    (Rules(1.3), Limits(NEW, 4, stop=(STOP,)), {"repetition_penalty": 1.3, "min_new_tokens": 4}),
    (Rules(no_repeat=2, banned=(7, 40)), Limits(NEW, stop=(STOP, 30)),
     {"no_repeat_ngram_size": 2, "suppress_tokens": [7, 40], "eos_token_id": [STOP, 30]}),
]  # fmt: skip


@pytest.mark.parametrize("case", range(len(RULES)))
@pytest.mark.parametrize("family", FAMILIES)
def test_greedy_decoding_is_that_of_transformers(family: str, case: int) -> None:
    theirs, ours = both(family)
    rules, limits, settings = RULES[case]
    for prompt, own in zip(PROMPTS, generate(ours, PROMPTS, limits=limits, rules=rules), strict=True):
        sequences, scores = expected(theirs, prompt, **settings)
        assert_same(own, sequences, scores)


@pytest.mark.parametrize(("until", "early"), [("width", True), ("likely", False), ("certain", "never")])
@pytest.mark.parametrize(("width", "penalty"), [(2, 1.0), (5, 0.0), (4, 1.7), (3, -0.5)])
@pytest.mark.parametrize("family", FAMILIES)
def test_beams_are_those_of_transformers(family: str, width: int, penalty: float, until: Any, early: Any) -> None:
    """All of the n best, batched here and one by one there."""
    theirs, ours = both(family)
    limits = Limits(NEW, stop=(STOP, 30, 31, 32, 33))
    found = beam_search(ours, PROMPTS, Beams(width, width, penalty, until=until), limits)
    for prompt, own in zip(PROMPTS, found, strict=True):
        sequences, scores = expected(
            theirs, prompt, num_beams=width, num_return_sequences=width, length_penalty=penalty, early_stopping=early,
            eos_token_id=list(limits.stop),
        )  # fmt: skip
        cut = [next((s[: n + 1] for n, i in enumerate(s) if i in limits.stop), s) for s in sequences]
        assert_same(own, cut, scores)


@pytest.mark.parametrize("case", range(1, len(RULES)))
@pytest.mark.parametrize("family", ["gpt2", "bart"])
def test_beams_under_rules_are_those_of_transformers(family: str, case: int) -> None:
    theirs, ours = both(family)
    rules, limits, settings = RULES[case]
    found = beam_search(ours, PROMPTS, Beams(3, 3), limits, rules)
    for prompt, own in zip(PROMPTS, found, strict=True):
        sequences, scores = expected(theirs, prompt, num_beams=3, num_return_sequences=3, **settings)
        cut = [next((s[: n + 1] for n, i in enumerate(s) if i in limits.stop), s) for s in sequences]
        assert [w.ids for w in own] == cut
        assert [w.score for w in own] == pytest.approx(scores, abs=1e-4)
