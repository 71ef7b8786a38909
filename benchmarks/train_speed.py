"""How fast do we train, against plain PyTorch loops over transformers' GPT-2 and litgpt's GPT?

    sides     ours, both peers, and the bound: the weight products of such a step alone (`train_side.py`)
    variants  a peer is taken at the fastest of float32 and bfloat16 (autocast), each eager and compiled, each with
              PyTorch's attention kernel and with attention by plain products; we at the faster of float32 and bfloat16.
              All are tried first, briefly. The fastest peer with bfloat16 weights and float32 masters, which neither
              of them does by itself, enters besides as `tuned`, and is not what `ratio` compares with.
    rounds    ours, one peer, ours, the other, ours, the tuned one, ours, the bound; and again; a ratio is that of
              neighbours. Once as one process with as many threads as there are cores, once as a fleet of as many
              single-threaded processes at once; there peers are fleets, too, the best one enters as one process
              besides, and our fleet is measured against the fastest of them
    quality   ours and the fastest peer on the same rows of real text in the same order, each at the best learning
              rate of runs of a quarter of the length, of three and of more beyond them for as long as the best one is
              the lowest or the highest: loss at equal tokens, time to equal loss

Each side runs in processes of its own and each peer in an environment of its own, which is made on first use (pip) in
`--environments`. All read the same rows, run the same loop, and have the same settings of glibc's malloc.

    python benchmarks/train_speed.py --shape 1.3m [--rounds 5] [--seconds 6] [--quality FOLDER]

FOLDER holds NAME.train.jsonl.zst and NAME.valid.jsonl.zst files, a document a line in the field `text`. `--pip-args`
are further arguments of pip, e.g. an index of PyTorch builds without CUDA.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from assay.models import products
from assay.tokens.learn import train_tokenizer
from assay.tokens.stream import END_OF_TEXT_ID
from assay.tokens.tokenizer import Encoder
from common import HERE, store_result
from train_side import Size, Spec

PEERS = {"gpt2": "transformers", "litgpt": "litgpt"}  # side -> what pip calls it
# What `assay.train.process` asks of glibc, for all sides: freed memory stays with the process.
KEPT_MEMORY = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(1 << 31),
    "MALLOC_TOP_PAD_": str(64 << 20),
}
OURS, BOUND = "assay", "products"
TUNED = "tuned"
PEER_VARIANTS = [
    {"dtype": dtype, "compiled": compiled, "attention": attention}
    for compiled in (True, False)
    for dtype in ("float32", "autocast", "bfloat16")  # the last one is the tuned one
    for attention in ("kernel", "math")
]
MUON = (0.02, 0.02, 0.004)  # rates as in `Shape.adamw`: the defaults of `OptimizerConfig`
ROLES = ("matrix_lr", "embedding_lr", "head_lr")
HELD_OUT_TOKENS = 40_000
TOKENIZER_CHARACTERS = 6_000_000
MOST_RATES = 6  # that are tried of a side


@dataclass(frozen=True, kw_only=True)
class Shape(Size):
    """Attributes:
    adamw: our rates under AdamW, whose updates are larger than Muon's, the more so the wider the matrices: of matrices,
        of the embedding, of the head.
    ours, peer: what quality tries: factors of our rates, and rates of peers.
    tokens: of the quality runs.
    """

    adamw: tuple[float, float, float]
    ours: tuple[float, ...] = (0.5, 1.0, 2.0)
    peer: tuple[float, ...]
    tokens: int


SHAPES = {
    "1.3m": Shape(
        layers=4, width=128, heads=4, vocabulary=4096, T=128, B=32, tokens=4_000_000,
        adamw=(0.003, 0.02, 0.004), peer=(1e-3, 2e-3, 4e-3),
    ),
    "14m": Shape(
        layers=6, width=384, heads=6, vocabulary=8192, T=256, B=16, tokens=1_200_000,
        adamw=(0.001, 0.05, 0.004), peer=(5e-4, 1e-3, 2e-3),
    ),
}  # fmt: skip


def main() -> None:
    options = _options()
    shape = SHAPES[options.shape]
    cores = os.cpu_count() or 1
    pythons = {OURS: sys.executable, BOUND: sys.executable} | {
        side: environment(Path(options.environments), requirement, options.pip_args)
        for side, requirement in PEERS.items()
    }
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(shape, pythons, random_rows(Path(folder) / "random.bin", shape), options.matrix)
        tried = {side: bench.tried(side, bench.variants(side), cores, options.pick_seconds) for side in (OURS, *PEERS)}
        alone = _entrants(tried, 1, cores)
        one = bench.rounds(alone, options.rounds, options.seconds)
        # What is fastest alone need not be as one of several: the first ones are tried again.
        tried_fleet = {
            side: bench.tried(side, _promising(found), 1, options.pick_seconds, cores) for side, found in tried.items()
        }
        fleets = _entrants(tried_fleet, cores, 1) | {"best peer alone": alone[one["best_peer"]]}
        fleet = bench.rounds(fleets, options.rounds, options.seconds)
        result: dict[str, Any] = {
            "shape": {"name": options.shape, **asdict(shape)},
            "matrix": options.matrix,
            "products": "oneDNN" if products.prefers_onednn() else "PyTorch's choice",
            "one_process": one | {"tried": tried},
            "fleet": fleet | {"tried": tried_fleet},
            "versions": bench.versions,
        }
        if options.quality:
            peer = one["best_peer"]
            chosen = {side: alone[side].settings for side in (OURS, peer)}
            result["quality"] = quality(bench, options, chosen, cores, Path(folder))
    store_result("train_speed", result)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--shape", choices=tuple(SHAPES), default="1.3m")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=6.0, help="of a side's turn in a round")
    parser.add_argument("--pick-seconds", type=float, default=4.0, help="of the first try of each variant")
    parser.add_argument("--matrix", choices=("adamw", "muon"), default="adamw", help="our optimizer of matrices")
    parser.add_argument("--quality", type=Path, metavar="FOLDER", help="text to compare losses on")
    parser.add_argument("--quality-tokens", type=int, help="of a run; default: by shape")
    parser.add_argument("--environments", default=Path.home() / ".cache" / "assay-benchmarks", help="peers' homes")
    parser.add_argument("--pip-args", default="", help="further arguments of pip")
    options = parser.parse_args()
    if options.quality is not None and not any(options.quality.glob("*.train.jsonl.zst")):
        parser.error(f"{options.quality} holds no NAME.train.jsonl.zst")
    return options


def environment(home: Path, requirement: str, pip_args: str) -> str:
    """The interpreter of a peer's own environment, with our version of PyTorch; made where it is not there yet."""
    wanted = [f"torch=={torch.__version__.partition('+')[0]}", requirement, "numpy"]
    digest = hashlib.sha256(json.dumps([*wanted, sys.version, pip_args]).encode()).hexdigest()[:8]
    folder = home / f"{requirement}-{digest}"
    python = folder / "bin" / "python"
    if not (folder / "made").exists():
        shutil.rmtree(folder, ignore_errors=True)  # one that was begun
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        install = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        subprocess.run([*install, *shlex.split(pip_args), *wanted], check=True, stdout=sys.stderr)
        (folder / "made").touch()
    return str(python)


def random_rows(path: Path, shape: Shape) -> Path:
    """Rows of random tokens, in documents of five rows."""
    tokens = np.random.default_rng(0).integers(1, shape.vocabulary, 40 * shape.B * (shape.T + 1)).astype("<u2")
    tokens[:: 5 * shape.T] = END_OF_TEXT_ID
    tokens.tofile(path)
    return path


@dataclass(frozen=True)
class Entrant:
    """A side, its settings, and in how many processes of how many threads each."""

    side: str
    settings: dict[str, Any]
    processes: int
    threads: int


class Failed(Exception):
    """A side could not be run; says why."""


class Running:
    """Processes of one side, all alike, that train at the same time when told to."""

    def __init__(self, python: str, spec: Spec, processes: int) -> None:
        settings = {**KEPT_MEMORY, "OMP_NUM_THREADS": str(spec.threads), "MKL_NUM_THREADS": str(spec.threads)}
        command = [python, str(HERE / "train_side.py"), json.dumps(asdict(spec))]
        self._spec = spec
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed in `close`)
        self._processes = [
            subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                text=True,
                env=os.environ | settings,
            )
            for _ in range(processes)
        ]
        try:
            self.about = [self._answer(process) for process in self._processes][-1]
        except Failed:
            self.close()
            raise

    def speed(self, seconds: float) -> float:
        """Tokens a second of all processes together."""
        return sum(answer["tokens"] / answer["seconds"] for answer in self._ask(f"train {seconds}"))

    def peak_speed(self, seconds: float) -> float:
        """By each process's fastest step: what a moment of other work on the machine does not change."""
        per_step = self._spec.B * self._spec.T
        return sum(per_step / answer["fastest_step"] for answer in self._ask(f"train {seconds}"))

    def learn(self) -> list[dict[str, float]]:
        curve: list[dict[str, float]] = self._ask("learn")[0]["curve"]
        return curve

    def close(self) -> None:
        for process in self._processes:
            process.communicate()  # its input ends, and so does it
        self._errors.close()

    def _ask(self, order: str) -> list[dict[str, Any]]:
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write(order + "\n")
            process.stdin.flush()
        return [self._answer(process) for process in self._processes]

    def _answer(self, process: subprocess.Popen[str]) -> dict[str, Any]:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("{"):  # libraries print what they like
                answer: dict[str, Any] = json.loads(line)
                return answer
        process.wait()
        self._errors.seek(0)
        lines = [line.strip() for line in self._errors if "rror" in line]
        raise Failed("; ".join(lines[-2:]) or f"exit code {process.returncode}")


class Bench:
    """The sides at one shape."""

    def __init__(self, shape: Shape, pythons: dict[str, str], rows: Path, matrix: str) -> None:
        self.shape, self.pythons, self.matrix = shape, pythons, matrix
        self.spec = Spec(
            side="", threads=1, rows=str(rows), **{f.name: getattr(shape, f.name) for f in fields(Size)},
        )  # fmt: skip
        self.versions: dict[str, dict[str, str]] = {}

    def variants(self, side: str) -> list[dict[str, Any]]:
        if side in PEERS:
            return PEER_VARIANTS
        rates = MUON if self.matrix == "muon" else self.shape.adamw
        ours = {"matrix": self.matrix, "rates": dict(zip(ROLES, rates, strict=True))}
        return [{"dtype": dtype, **ours} for dtype in ("float32", "bfloat16")]

    def start(self, side: str, settings: dict[str, Any], processes: int, threads: int, **more: Any) -> Running:
        spec = replace(self.spec, side=side, settings=settings, threads=threads, **more)
        running = Running(self.pythons[side], spec, processes)
        self.versions[side] = running.about["versions"]
        return running

    def tried(
        self, side: str, variants: Sequence[dict[str, Any]], threads: int, seconds: float, processes: int = 1
    ) -> list[dict[str, Any]]:
        """Each variant with its tokens a second (at its fastest step), or with why it failed."""
        found = []
        for settings in variants:
            try:
                running = self.start(side, settings, processes, threads)
                outcome: dict[str, Any] = {"tokens_per_second": round(running.peak_speed(seconds))}
                running.close()
            except Failed as error:
                outcome = {"failed": str(error)}
            found.append({"settings": settings, **outcome})
            print(f"{side} x {processes}: {settings} {outcome}", file=sys.stderr, flush=True)
        return found

    def rounds(self, entrants: dict[str, Entrant], rounds: int, seconds: float) -> dict[str, Any]:
        """Each in turn, and ours before each; the bound is measured in our type and layout."""
        ours = entrants[OURS]
        everybody = entrants | {BOUND: replace(ours, side=BOUND, settings={"dtype": ours.settings["dtype"]})}
        running = {name: self.start(e.side, e.settings, e.processes, e.threads) for name, e in everybody.items()}
        others = [name for name in running if name != OURS]
        speeds: dict[str, list[float]] = {name: [] for name in running}
        ratios: dict[str, list[float]] = {name: [] for name in others}
        for _ in range(rounds):
            for name in others:
                for turn in (OURS, name):
                    speeds[turn].append(round(running[turn].speed(seconds)))
                ratios[name].append(round(speeds[OURS][-1] / speeds[name][-1], 3))
        for processes in running.values():
            processes.close()
        medians = {name: statistics.median(found) for name, found in speeds.items()}
        best_peer = max((name for name in others if name not in (BOUND, TUNED)), key=lambda name: medians[name])
        return {
            "entrants": {name: asdict(entrant) for name, entrant in entrants.items()},
            "tokens_per_second": medians,
            "best_peer": best_peer,
            "ratio": statistics.median(ratios[best_peer]),
            "ratios": [min(ratios[best_peer]), max(ratios[best_peer])],
            "share_of_bound": statistics.median(ratios[BOUND]),
            "ratio_to_each": {name: statistics.median(found) for name, found in ratios.items()},
            "rounds": speeds,
        }


def _entrants(tried: dict[str, list[dict[str, Any]]], processes: int, threads: int) -> dict[str, Entrant]:
    """Each side at its fastest settings, and the fastest tuned peer."""
    entrants = {}
    for side, found in tried.items():
        plain = _fastest([one for one in found if side == OURS or not _is_tuned(one)])
        entrants[side] = Entrant(side, plain[0]["settings"], processes, threads)
    tuned = [one | {"side": side} for side in PEERS for one in tried[side] if _is_tuned(one)]
    best = _fastest(tuned)[0]
    return entrants | {TUNED: Entrant(best["side"], best["settings"], processes, threads)}


def _promising(tried: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The two fastest settings, and the two fastest tuned ones."""
    ran = {which: [one for one in tried if _is_tuned(one) is which] for which in (False, True)}
    return [one["settings"] for found in ran.values() if found for one in _fastest(found)[:2]]


def _is_tuned(tried: dict[str, Any]) -> bool:
    return "compiled" in tried["settings"] and tried["settings"]["dtype"] == "bfloat16"


def _fastest(tried: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that could be run, fastest first."""
    ran = [found for found in tried if "tokens_per_second" in found]
    if not ran:
        raise SystemExit(f"no variant could be run: {tried[0]['failed']}")
    return sorted(ran, key=lambda found: -found["tokens_per_second"])


def quality(
    bench: Bench, options: argparse.Namespace, chosen: dict[str, dict[str, Any]], threads: int, folder: Path
) -> dict[str, Any]:
    """Loss curves of ours and a peer on the same rows, each at its best learning rate."""
    shape = bench.shape
    steps = (options.quality_tokens or shape.tokens) // (shape.B * shape.T)
    rows, held_out, held_out_bytes = text_rows(options.quality, shape, steps, folder)
    data = {"rows": str(rows), "held_out": str(held_out), "held_out_bytes": held_out_bytes}

    def learnt(side: str, rate: float, steps: int) -> list[dict[str, float]]:
        running = bench.start(side, chosen[side], 1, threads, rate=rate, steps=steps, **data)
        curve = running.learn()
        running.close()
        print(f"{side} at rate {rate}: {curve[-1]}", file=sys.stderr, flush=True)
        return curve

    found: dict[str, Any] = {}
    for side in chosen:
        rates = shape.ours if side == OURS else shape.peer
        short = {rate: learnt(side, rate, steps // 4)[-1]["bpb"] for rate in rates}
        rate = min(short, key=lambda rate: short[rate])
        while rate in (min(short), max(short)) and len(short) < MOST_RATES:
            beyond = rate * (2 if rate == max(short) else 0.5)
            short[beyond] = learnt(side, beyond, steps // 4)[-1]["bpb"]
            rate = min(short, key=lambda rate: short[rate])
        found[side] = {"rate": rate, "bpb_by_rate": short, "curve": learnt(side, rate, steps)}
    last = {side: run["curve"][-1]["bpb"] for side, run in found.items()}
    target = max(last.values())  # what both reach
    seconds = {side: round(_reached(run["curve"], target), 1) for side, run in found.items()}
    (peer,) = (side for side in chosen if side != OURS)
    return {
        "text": options.quality.name,
        "tokens": steps * shape.B * shape.T,
        "bpb_at_equal_tokens": last,
        "target_bpb": target,
        "seconds_to_target": seconds,
        "times_faster_to_target": round(seconds[peer] / seconds[OURS], 2),
        "runs": found,
    }


def _reached(curve: list[dict[str, float]], target: float) -> float:
    """Seconds of training after which a curve first is at the target, between looks on a straight line."""
    for before, after in itertools.pairwise([{"seconds": 0.0, "bpb": float("inf")}, *curve]):
        if after["bpb"] <= target:
            if before["bpb"] == float("inf"):
                return after["seconds"]
            share = (before["bpb"] - target) / (before["bpb"] - after["bpb"])
            return before["seconds"] + share * (after["seconds"] - before["seconds"])
    raise ValueError(f"the curve ends at {curve[-1]['bpb']}, above {target}")


def text_rows(folder: Path, shape: Shape, steps: int, out: Path) -> tuple[Path, Path, int]:
    """Rows of all training files in one random order, held-out rows, and the bytes of text that the latter spell."""
    rng = np.random.default_rng(0)
    training, held_out = (_documents(folder, f"*.{split}.jsonl.zst", rng) for split in ("train", "valid"))
    lengths = np.cumsum([len(text) for text in training])
    sample = training[: int(np.searchsorted(lengths, TOKENIZER_CHARACTERS)) + 1]
    encoder = Encoder(train_tokenizer(sample, shape.vocabulary))
    rows = _packed(encoder, training, shape.T, steps * shape.B, rng)
    held_out_rows = HELD_OUT_TOKENS // (shape.B * shape.T) * shape.B
    held = _packed(encoder, held_out, shape.T, held_out_rows, rng)
    rows.tofile(out / "rows.bin")
    held.tofile(out / "held_out.bin")
    return out / "rows.bin", out / "held_out.bin", int(encoder.token_bytes[held[:, 1:]].sum())


def _documents(folder: Path, pattern: str, rng: np.random.Generator) -> list[str]:
    """Texts of all files that match, in one random order."""
    import zstandard

    texts: list[str] = []
    for path in sorted(folder.glob(pattern)):
        with zstandard.open(path, "rt", encoding="utf-8") as lines:
            texts += [json.loads(line)["text"] for line in lines]
    return [texts[i] for i in rng.permutation(len(texts))]


def _packed(encoder: Encoder, texts: list[str], T: int, wanted: int, rng: np.random.Generator) -> np.ndarray:
    """So many rows (wanted, T + 1) of documents one after another, each row beginning with the last token of the one
    before, in random order."""
    stream: list[np.ndarray] = []
    have = 0
    for block in _blocks(texts, 200):
        ids, offsets = encoder.encode(block)
        for start, end in itertools.pairwise(offsets.tolist()):
            stream += [np.array([END_OF_TEXT_ID]), ids[start:end]]
            have += 1 + end - start
        if have > wanted * T:
            break
    else:
        raise SystemExit(f"the text holds {have} tokens, and {wanted * T + 1} are asked for: --quality-tokens")
    tokens = np.concatenate(stream)[: wanted * T + 1].astype("<u2")
    rows = np.lib.stride_tricks.sliding_window_view(tokens, T + 1)[::T]
    return rows[rng.permutation(wanted)]


def _blocks(texts: list[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(texts), size):
        yield texts[start : start + size]


if __name__ == "__main__":
    main()
