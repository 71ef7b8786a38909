"""Does a study that is killed again and again end like one that nobody touched?

One study runs undisturbed; the same one, with the same fixed number of tokens, is killed with SIGKILL at random
moments, spread over all of its work, and rerun each time. Their claims have to be equal, bit for bit, times aside.

    python benchmarks/kill_resume.py [builtin:starter | FOLDER --source-field domain] [--tokens 3M] [--kills 5]
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from common import store_result

ASSAY = str(Path(sys.executable).with_name("assay"))
TIMES = ("registered_at",)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("source", nargs="?", default="builtin:starter")
    parser.add_argument("--source-field")
    parser.add_argument("--tokens", default="3M")
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    options = parser.parse_args()
    field = ["--source-field", options.source_field] if options.source_field else []
    command = [ASSAY, "study", options.source, *field, "--tokens", options.tokens, "--json", "--out"]
    with tempfile.TemporaryDirectory() as folder:
        whole, killed = Path(folder) / "whole", Path(folder) / "killed"
        began = time.monotonic()
        subprocess.run([*command, str(whole)], check=True, stdout=subprocess.DEVNULL)
        seconds = time.monotonic() - began
        moments = _kill(command, killed, seconds, options.kills, random.Random(options.seed))
        subprocess.run([*command, str(killed)], check=True, stdout=subprocess.DEVNULL)
        differing = _differing(_claims(whole), _claims(killed))
    store_result(
        "kill_resume",
        {
            "source": options.source if options.source.startswith("builtin:") else Path(options.source).name,
            "tokens": options.tokens,
            "identical": not differing,
            "differing": differing,
            "seconds_undisturbed": round(seconds, 1),
            "killed_after_seconds": moments,
        },
    )


def _kill(command: list[str], out: Path, seconds: float, kills: int, rng: random.Random) -> list[float]:
    """Kill at moments drawn over a whole study's time: what one run got done, the next does not do again, so the
    moments of later ones fall into later work."""
    moments: list[float] = []
    while len(moments) < kills:
        process = subprocess.Popen([*command, str(out)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        moment = rng.uniform(1, 0.4 * seconds)
        try:
            process.wait(moment)
            break  # done before it could be killed once more
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            moments.append(round(moment, 1))
    return moments


def _claims(out: Path) -> dict[str, dict[str, Any]]:
    claims = json.loads((out / "claims.json").read_text(encoding="utf-8"))
    return {claim["id"]: {key: value for key, value in claim.items() if key not in TIMES} for claim in claims}


def _differing(one: dict[str, dict[str, Any]], other: dict[str, dict[str, Any]]) -> list[str]:
    """`claim.key` of everything that is not equal; a claim that only one of them has, by its name."""
    found = sorted(one.keys() ^ other.keys())
    for name in sorted(one.keys() & other.keys()):
        found += [f"{name}.{key}" for key in one[name] if one[name][key] != other[name].get(key)]
    return found


if __name__ == "__main__":
    main()
