"""Tokens a second of generation, against transformers and CTranslate2 on the same weights.

    python benchmarks/generate_speed.py [--sizes 14M,45M,124M] [--tokens 128] [--repeats 5] [--sources 300]

alone           one prompt of 32 tokens, greedily: GPT-2's shape at three sizes, Qwen3's at the smallest
batched         16 prompts of 4 to 64 tokens, greedily, by the same models
drafted         alone, with the smallest size as a draft of the next (random weights: how little a bad draft costs)
translation     sources of about 15 tokens, beam 4, Marian's shape, 3 + 3 layers of width 256, 64 sources at a time

All sides run back to back, in turns: a ratio is the median of those of neighbours (of wall time, and of the process's
CPU time, which others on the machine disturb less), tokens a second are those of a side's median run. What they wrote
is compared: a row counts as equal where every id is ours. Weights are random, in float32 everywhere. Of translations, a
stop id that is made likely ends them after some twenty tokens on average, at most 40.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
import torch
import transformers
from ctranslate2.converters import TransformersConverter
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from assay.inference.beam import Beams, beam_search
from assay.inference.generate import generate
from assay.inference.limits import Limits
from assay.inference.speculative import speculate
from assay.models import interop
from assay.models.build import build
from assay.models.presets import Size, preset
from common import store_result

POSITIONS, STOP, PADDING = 512, 0, 1
SIZES = {"14M": (8192, 6, 384, 6), "45M": (16384, 8, 576, 9), "124M": (50257, 12, 768, 12), "tiny": (256, 2, 24, 2)}
TOGETHER, WIDTH = 64, 4  # sources in a batch, beams of each
Rows = list[tuple[int, ...]]
Sides = dict[str, Callable[[], Rows]]


def model_of(name: str, vocabulary: int, layers: int, width: int, heads: int, **more: Any) -> Any:
    """Random weights, every one at work: shapes that begin as the identity would repeat their input."""
    size = Size(vocabulary, layers, width, heads, POSITIONS)
    model: Any = build(preset(name, size, **more), torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)
        if getattr(model, "head_bias", None) is not None:
            model.head_bias[STOP] += 4.0
    return model.eval()


def theirs_of(model: Any, kind: str) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        interop.save(model, Path(folder), native=False)
        return getattr(transformers, kind).from_pretrained(folder).eval()


def ctranslate2_of(model: Any, threads: int) -> Any:
    """CTranslate2's engine of the same weights; its converter wants a tokenizer, so each id is a word."""
    with tempfile.TemporaryDirectory() as folder:
        interop.save(model, Path(folder), native=False)
        words = Tokenizer(WordLevel({f"t{i}": i for i in range(model.config.vocabulary)}, unk_token="t0"))
        named = dict.fromkeys(("unk_token", "bos_token", "eos_token"), "t0")
        transformers.PreTrainedTokenizerFast(tokenizer_object=words, **named).save_pretrained(folder)
        made = TransformersConverter(folder).convert(str(Path(folder) / "converted"))
        return ctranslate2.Generator(made, device="cpu", compute_type="float32", intra_threads=threads)


def padded(rows: list[list[int]], *, before: bool) -> dict[str, torch.Tensor]:
    longest = max(map(len, rows))
    fill = [[PADDING] * (longest - len(row)) for row in rows]
    ids = [[*f, *row] if before else [*row, *f] for f, row in zip(fill, rows, strict=True)]
    return {"input_ids": torch.tensor(ids), "attention_mask": (torch.tensor(ids) != PADDING).long()}


def until_stop(row: list[int], most: int) -> tuple[int, ...]:
    return tuple(row[: row.index(STOP) + 1] if STOP in row else row)[:most]


def compared(sides: Sides, repeats: int) -> dict[str, Any]:
    """Tokens a second of all sides, how they stand to ours (the first), and how many rows are equal to ours."""
    ours, *others = sides
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
    found: dict[str, Rows] = {}
    for turn in range(repeats + 1):  # the first is a warm-up
        for name, run in sides.items():
            began = time.perf_counter(), time.process_time()
            found[name] = run()
            if turn:
                seconds[name].append((time.perf_counter() - began[0], time.process_time() - began[1]))
    tokens = {name: sum(map(len, rows)) for name, rows in found.items()}
    result: dict[str, Any] = {
        "rows": len(found[ours]), "tokens": tokens[ours],
        "tokens_per_second": {
            name: round(tokens[name] / statistics.median(wall for wall, _ in taken), 1)
            for name, taken in seconds.items()
        },
    }  # fmt: skip
    for name in others:
        wall, cpu = (
            statistics.median(b[i] / a[i] for a, b in zip(seconds[ours], seconds[name], strict=True)) for i in (0, 1)
        )
        equal = sum(a == b for a, b in zip(found[ours], found[name], strict=True))
        result[f"over_{name}"] = {"ratio": round(wall, 2), "ratio_of_cpu_time": round(cpu, 2), "equal_rows": equal}
    return result


def greedy(model: Any, engines: dict[str, Any], prompts: list[list[int]], new: int, repeats: int) -> dict[str, Any]:
    settings = {"max_new_tokens": new, "min_new_tokens": new, "do_sample": False, "eos_token_id": None,
                "pad_token_id": PADDING}  # fmt: skip
    longest = max(map(len, prompts))
    words = [[f"t{i}" for i in prompt] for prompt in prompts]

    def ours() -> Rows:
        return [own[0].ids for own in generate(model, prompts, limits=Limits(new))]

    def theirs() -> Rows:
        asked = padded(prompts, before=True)
        found = engines["transformers"].generate(**asked, **settings)[:, longest:]
        return [tuple(row) for row in found.tolist()]

    def converted() -> Rows:
        found = engines["ctranslate2"].generate_batch(
            words, max_length=new, end_token=[], sampling_topk=1, beam_size=1, include_prompt_in_result=False
        )
        return [tuple(one.sequences_ids[0]) for one in found]

    known: Sides = {"transformers": theirs, "ctranslate2": converted}
    return compared({"ours": ours} | {name: known[name] for name in engines}, repeats)


def drafted(model: Any, draft: Any, prompt: list[int], new: int, repeats: int) -> dict[str, Any]:
    return compared(
        {
            "with_draft": lambda: [speculate(model, draft, [prompt], limits=Limits(new))[0][0].ids],
            "alone": lambda: [generate(model, [prompt], limits=Limits(new))[0][0].ids],
        },
        repeats,
    )


def translation(sources: list[list[int]], repeats: int) -> dict[str, Any]:
    model, new = model_of("marian", 8192, 3, 256, 4), 40
    peer = theirs_of(model, "MarianMTModel")
    order = sorted(range(len(sources)), key=lambda i: -len(sources[i]))  # theirs are sorted by length, too
    settings = {"max_new_tokens": new, "num_beams": WIDTH, "do_sample": False, "eos_token_id": STOP,
                "pad_token_id": PADDING, "decoder_start_token_id": model.config.start, "bad_words_ids": None,
                "forced_eos_token_id": None}  # fmt: skip

    def theirs() -> Rows:
        found: dict[int, tuple[int, ...]] = {}
        for at in range(0, len(order), TOGETHER):
            places = order[at : at + TOGETHER]
            rows = peer.generate(**padded([sources[i] for i in places], before=False), **settings)[:, 1:].tolist()
            found |= {i: until_stop(row, new) for i, row in zip(places, rows, strict=True)}
        return [found[i] for i in range(len(sources))]

    def ours() -> Rows:
        limits = Limits(new, stop=(STOP,))
        return [own[0].ids for own in beam_search(model, sources, Beams(WIDTH), limits, rows=TOGETHER * WIDTH)]

    return compared({"ours": ours, "transformers": theirs}, repeats)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="14M,45M,124M", help=", ".join(SIZES))
    parser.add_argument("--sources", type=int, default=300, help="0: no translation")
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    draws = np.random.default_rng(0)

    def drawn(length: int, vocabulary: int = 8192) -> list[int]:
        return [int(i) for i in draws.integers(2, vocabulary, length)]

    result: dict[str, Any] = {
        "threads": options.threads, "transformers": transformers.__version__, "ctranslate2": ctranslate2.__version__,
        "new_tokens": options.tokens,
    }  # fmt: skip
    sizes = options.sizes.split(",")
    asked = [("gpt2", "GPT2LMHeadModel", size) for size in sizes] + [("standard", "Qwen3ForCausalLM", sizes[0])]
    for name, kind, size in asked:
        model = model_of(name, *SIZES[size])
        engines = {"transformers": theirs_of(model, kind)}
        if name == "gpt2":
            engines["ctranslate2"] = ctranslate2_of(model, options.threads)
        V = SIZES[size][0]
        prompts = {"alone": [drawn(32, V)], "batched": [drawn(4 + 60 * i // 15, V) for i in range(16)]}
        result[f"{name}_{size}"] = {
            how: greedy(model, engines, given, options.tokens, options.repeats) for how, given in prompts.items()
        } | {"parameters": sum(parameter.numel() for parameter in model.parameters())}
    vocabulary, *shape = SIZES[sizes[0]]
    wide = [shape[0] * 2, shape[1] * 2, shape[2] * 2]
    result["drafted"] = drafted(
        model_of("gpt2", vocabulary, *wide), model_of("gpt2", vocabulary, *shape), drawn(32, vocabulary),
        options.tokens, options.repeats,
    )  # fmt: skip
    if options.sources:
        sources = [drawn(int(n)) for n in draws.integers(8, 23, options.sources)]
        result["translation"] = translation(sources, max(1, options.repeats // 2))
    store_result("generate_speed", result)


if __name__ == "__main__":
    main()
