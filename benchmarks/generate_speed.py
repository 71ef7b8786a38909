"""Tokens a second of generation, against transformers on the same weights.

    python benchmarks/generate_speed.py [--sources 1000] [--tokens 200] [--repeats 3]

greedy          one row of a decoder of 6 layers and width 384 (GPT-2's shape and Qwen3's), a prompt of 32 tokens
translation     sources of about 15 tokens, beam 4, Marian's shape, 3 + 3 layers of width 256, 64 sources at a time
ragged          32 prompts of 4 to 60 tokens, greedily, by both

Both sides run back to back, in turns: a ratio is the median of those of neighbours (of wall time, and of the process's
CPU time, which others on the machine disturb less), tokens a second are those of a side's shortest run. What they wrote
is compared: a row counts as equal where every id is. Weights are random; a stop id that is made likely ends
translations after some twenty tokens on average, at most 40.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from assay.inference.beam import Beams, beam_search
from assay.inference.generate import generate
from assay.inference.limits import Limits
from assay.models import interop
from assay.models.build import build
from assay.models.presets import Size, preset
from common import store_result

V, STOP, PADDING = 8192, 0, 1
TOGETHER, WIDTH = 64, 4  # sources in a batch, beams of each
Rows = list[tuple[int, ...]]


def model_of(name: str, layers: int, width: int, heads: int, **more: Any) -> Any:
    """Random weights, every one at work: shapes that begin as the identity would repeat their input."""
    model: Any = build(preset(name, Size(V, layers, width, heads, 512), **more), torch.Generator().manual_seed(0))
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


def padded(rows: list[list[int]], *, before: bool) -> dict[str, torch.Tensor]:
    longest = max(map(len, rows))
    fill = [[PADDING] * (longest - len(row)) for row in rows]
    ids = [[*f, *row] if before else [*row, *f] for f, row in zip(fill, rows, strict=True)]
    return {"input_ids": torch.tensor(ids), "attention_mask": (torch.tensor(ids) != PADDING).long()}


def until_stop(row: list[int], most: int) -> tuple[int, ...]:
    return tuple(row[: row.index(STOP) + 1] if STOP in row else row)[:most]


def compared(ours: Callable[[], Rows], theirs: Callable[[], Rows], repeats: int) -> dict[str, Any]:
    """Tokens a second of both, and how many rows are equal."""
    seconds: dict[str, list[tuple[float, float]]] = {"ours": [], "theirs": []}
    found: dict[str, Rows] = {}
    for _ in range(repeats):
        for name, run in (("ours", ours), ("theirs", theirs)):
            began = time.perf_counter(), time.process_time()
            found[name] = run()
            seconds[name].append((time.perf_counter() - began[0], time.process_time() - began[1]))
    wall, cpu = (
        statistics.median(b[i] / a[i] for a, b in zip(seconds["ours"], seconds["theirs"], strict=True)) for i in (0, 1)
    )
    equal = sum(a == b for a, b in zip(found["ours"], found["theirs"], strict=True))
    return {
        "tokens_per_second": {
            name: round(sum(map(len, found[name])) / min(taken)[0], 1) for name, taken in seconds.items()
        },
        "ratio": round(wall, 2), "ratio_of_cpu_time": round(cpu, 2), "equal_rows": equal, "rows": len(found["ours"]),
        "tokens": sum(map(len, found["ours"])),
    }  # fmt: skip


def greedy(model: Any, kind: str, prompts: list[list[int]], new: int, repeats: int) -> dict[str, Any]:
    peer = theirs_of(model, kind)
    settings = {"max_new_tokens": new, "min_new_tokens": new, "do_sample": False, "eos_token_id": None,
                "pad_token_id": PADDING}  # fmt: skip

    def theirs() -> Rows:
        asked = padded(prompts, before=True)
        return [tuple(row) for row in peer.generate(**asked, **settings)[:, asked["input_ids"].shape[1] :].tolist()]

    def ours() -> Rows:
        return [own[0].ids for own in generate(model, prompts, limits=Limits(new))]

    return compared(ours, theirs, repeats)


def translation(sources: list[list[int]], repeats: int) -> dict[str, Any]:
    model, new = model_of("marian", 3, 256, 4), 40
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

    return compared(ours, theirs, repeats)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sources", type=int, default=1000)
    parser.add_argument("--tokens", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    draws = np.random.default_rng(0)

    def drawn(length: int) -> list[int]:
        return [int(i) for i in draws.integers(2, V, length)]

    result: dict[str, Any] = {"threads": options.threads, "transformers": transformers.__version__}
    gpt2 = model_of("gpt2", 6, 384, 6)
    result["greedy_gpt2"] = greedy(gpt2, "GPT2LMHeadModel", [drawn(32)], options.tokens, options.repeats)
    ragged = [drawn(4 + 56 * i // 31) for i in range(32)]
    result["ragged_gpt2"] = greedy(gpt2, "GPT2LMHeadModel", ragged, options.tokens // 4, options.repeats)
    standard = model_of("standard", 6, 384, 6)
    result["greedy_qwen3"] = greedy(standard, "Qwen3ForCausalLM", [drawn(32)], options.tokens, options.repeats)
    result["ragged_qwen3"] = greedy(standard, "Qwen3ForCausalLM", ragged, options.tokens // 4, options.repeats)
    sources = [drawn(int(n)) for n in draws.integers(8, 23, options.sources)]
    result["translation"] = translation(sources, max(1, options.repeats - 1))
    store_result("generate_speed", result)


if __name__ == "__main__":
    main()
