"""`assay serve` under load: 64 clients stream at once, some of them leave in the middle of an answer.

    a decoder of 14 M random weights -> `assay serve` in a process -> clients for so many minutes
        statuses; the first token's and the whole answer's time; tokens a second; resident memory, and its slope
        every whole answer against the one that the model gives alone; rows and queue when all have left

Fails (exit code 1) on a status that is not 200, an answer that differs by more than rounding explains, rows that stay
taken, or memory that grows. The clients run in this process, and share the machine with the server.

    python benchmarks/serve_load.py --minutes 10
    python benchmarks/serve_load.py --minutes 1 --model gpt/model
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import torch

from assay.generation.opened import Writer
from assay.generation.settings import Settings
from assay.generation.text import Answer, generate
from assay.inference.steppers import stepper
from assay.models.build import build
from assay.models.interop.directory import write_directory
from assay.models.presets import Size, preset
from assay.tokens.learn import train_tokenizer
from assay.tokens.tokenizer import Encoder
from common import HERE, memory, store_result

PROMPTS = 48
LEAVES = 8  # one client in so many leaves
NEAR = 1e-3  # nats between two tokens that rounding may exchange
GROWS = 1.0  # MB a minute that count as growth
WARM = 0.25  # of the time, before memory is looked at


def random_model(folder: Path) -> Path:
    """A decoder in the shape of Qwen3, 14 M parameters, with a tokenizer of this project's own pages."""
    texts = [path.read_text(encoding="utf-8") for path in sorted((HERE.parent / "docs").glob("*.md"))]
    tokenizer = train_tokenizer(texts, 8192)
    size = Size(Encoder(tokenizer).vocabulary, 6, 384, 6, 512)
    model: Any = build(preset("standard", size), torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():  # as they begin, weights make all tokens nearly alike
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)
    write_directory(folder, model, tokenizer, card="")
    return folder


def prompts() -> list[tuple[str, int]]:
    """(a text in English or Chinese, tokens of its answer), of many lengths."""
    draws = random.Random(0)
    text = "\n".join(path.read_text(encoding="utf-8") for path in sorted((HERE.parent / "docs").glob("tasks*.md")))
    begins = [draws.randrange(len(text) - 400) for _ in range(PROMPTS)]
    return [(text[at : at + draws.randrange(8, 400)], draws.randrange(8, 96)) for at in begins]


@dataclass
class Seen:
    """What the clients saw."""

    statuses: dict[int, int] = field(default_factory=dict)
    first: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)
    answers: list[tuple[int, str]] = field(default_factory=list)
    left: int = 0
    chunks: int = 0
    memory: list[tuple[float, float]] = field(default_factory=list)


async def client(number: int, http: httpx.AsyncClient, name: str, until: float, seen: Seen) -> None:
    """Ask, read to the end, ask again."""
    draws, asked = random.Random(number), prompts()
    while time.monotonic() < until:
        i = draws.randrange(len(asked))
        text, tokens = asked[i]
        body = {"model": name, "prompt": text, "max_tokens": tokens, "temperature": 0, "stream": True}
        leaves, began, answer = draws.randrange(LEAVES) == 0, time.monotonic(), ""
        async with http.stream("POST", "/v1/completions", json=body) as reply:
            seen.statuses[reply.status_code] = seen.statuses.get(reply.status_code, 0) + 1
            if reply.status_code != 200:
                await reply.aread()
                await asyncio.sleep(float(reply.headers.get("retry-after", 1)))
                continue
            async for line in reply.aiter_lines():
                if not line.startswith("data: {"):
                    continue
                if not answer:
                    seen.first.append(time.monotonic() - began)
                answer += json.loads(line[6:])["choices"][0]["text"]
                seen.chunks += 1
                if leaves and len(answer) > 20:
                    break
            if leaves and len(answer) > 20:
                seen.left += 1
                continue
        seen.whole.append(time.monotonic() - began)
        seen.answers.append((i, answer))


async def load(url: str, key: str, name: str, pid: int, clients: int, seconds: float) -> tuple[Seen, dict[str, float]]:
    """What all clients saw, and the server's own counters when they have left."""
    seen, began = Seen(), time.monotonic()
    until = began + seconds

    async def watch() -> None:
        while time.monotonic() < until:
            seen.memory.append((time.monotonic() - began, memory(pid, "Rss")))
            await asyncio.sleep(1)

    limits = httpx.Limits(max_connections=2 * clients)
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=600, limits=limits) as http:
        await asyncio.gather(watch(), *(client(i, http, name, until, seen) for i in range(clients)))
        await asyncio.sleep(1)
        text = (await http.get("/metrics")).text
    names = ("rows{", "queue{", "tokens_total{", "step_seconds_sum{", "step_seconds_count{", "step_rows_total{")
    wanted = tuple(f"assay_{name}" for name in names)
    found = re.findall(r"^(\S+) (\S+)$", text, re.MULTILINE)
    return seen, {name: float(value) for name, value in found if name.startswith(wanted)}


def compared(folder: Path, seen: Seen) -> dict[str, Any]:
    """Answers under load against those that the model gives alone; where they differ, how near the two tokens were."""
    writer, asked = Writer.load(folder), prompts()
    alone: dict[int, Answer] = {}
    equal, gaps = 0, []
    for i, answer in seen.answers:
        if i not in alone:
            alone[i] = generate(writer, [asked[i][0]], Settings(asked[i][1]), raw=True)[0][0]
        if answer == alone[i].text:
            equal += 1
        else:
            gaps.append(_gap(writer, asked[i][0], alone[i], answer))
    return {"answers": len(seen.answers), "equal": equal, "gaps": sorted(gaps, reverse=True)[:10]}


def _gap(writer: Writer, text: str, alone: Answer, other: str) -> float:
    """Nats between the likeliest and the second token where two answers part."""
    said = 0
    while said < len(alone.ids) and other.startswith(writer.encoder.decode(np.array(alone.ids[: said + 1]))):
        said += 1
    (prompt,) = writer.prompts([text], Settings(1), raw=True)
    logits = stepper(writer.model).begin([[*prompt.ids, *alone.ids[:said]]]).logits()[0]
    one, two = logits.topk(2).values.tolist()
    return float(one - two)


def slope(samples: list[tuple[float, float]]) -> float:
    """MB a minute, of the time behind the warm-up."""
    late = [(t, m) for t, m in samples if t >= WARM * samples[-1][0]]
    return float(np.polyfit([t for t, _ in late], [m for _, m in late], 1)[0]) * 60 / 1e6 if len(late) > 2 else 0.0


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--minutes", type=float, default=10.0)
    options.add_argument("--clients", type=int, default=64)
    options.add_argument("--model", type=Path, help="a model directory; else random weights")
    options.add_argument("--threads", type=int, default=1, help="of the server's products")
    given = options.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.model or random_model(Path(scratch) / "random")
        command = [sys.executable, "-m", "assay", "serve", f"m={folder}", "--port", "0", "--json"]
        environment = {**os.environ, "OMP_NUM_THREADS": str(given.threads)}
        environment.pop("ASSAY_KEY", None)
        with (Path(scratch) / "log").open("w") as log:
            server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment)
        assert server.stdout is not None
        told = json.loads(server.stdout.readline())
        seconds = 60 * given.minutes
        try:
            seen, counters = asyncio.run(load(told["url"], told["key"], "m", server.pid, given.clients, seconds))
        finally:
            server.send_signal(signal.SIGINT)
            code = server.wait(60)
        checked = compared(folder, seen)
    rows, queue = (counters.get(f'assay_{name}{{model="m"}}', -1.0) for name in ("rows", "queue"))
    steps = counters['assay_step_seconds_count{model="m"}']
    result = {
        "minutes": given.minutes, "clients": given.clients, "threads": given.threads,
        "statuses": {str(k): v for k, v in seen.statuses.items()}, "left": seen.left, **checked,
        "tokens_per_second": counters['assay_tokens_total{kind="answer",model="m"}'] / seconds,
        "rows_of_a_step": counters['assay_step_rows_total{model="m"}'] / steps,
        "step_ms": 1000 * counters['assay_step_seconds_sum{model="m"}'] / steps,
        "first_token_seconds": np.quantile(seen.first, (0.5, 0.9, 0.99)).round(3).tolist(),
        "answer_seconds": np.quantile(seen.whole, (0.5, 0.9, 0.99)).round(3).tolist(),
        "memory_mb": [round(m / 1e6, 1) for _, m in seen.memory[:: max(1, len(seen.memory) // 10)]],
        "memory_slope_mb_per_minute": slope(seen.memory), "rows_left": rows, "queue_left": queue, "exit_code": code,
    }  # fmt: skip
    store_result("serve_load", result)
    failures = [
        name
        for name, bad in {
            "statuses": set(seen.statuses) != {200}, "answers": any(gap > NEAR for gap in checked["gaps"]),
            "rows": (rows, queue) != (0.0, 0.0), "memory": given.minutes >= 5 and slope(seen.memory) > GROWS,
            "exit code": code != 0,
        }.items()
        if bad
    ]  # fmt: skip
    if failures:
        raise SystemExit(f"failed: {', '.join(failures)}")


if __name__ == "__main__":
    main()
