"""The house as a whole: rooms import in one direction, the front door opens fast, the suite stays off the network."""

from __future__ import annotations

import json
import re
import resource
import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = {
    "torch", "numpy", "scipy", "polars", "pyarrow", "duckdb", "tokenizers", "gigatoken", "py3langid", "jinja2",
    "rjieba", "zstandard", "xxhash", "gensim", "sklearn",
}  # fmt: skip  # pydantic is not among them: typer needs it to read a verb's options
HELP_SECONDS = 0.5


def test_rooms_import_only_from_the_rooms_before_them() -> None:
    """In a process of its own: import-linter sets up logging for itself alone."""
    program = "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())"
    command = [sys.executable, "-c", program, "--config", str(ROOT / "pyproject.toml"), "--no-cache"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_order_of_the_house_is_the_one_in_the_design() -> None:
    """docs/DESIGN.md lists the rooms from first to last, the contract from last to first."""
    design = (ROOT / "docs" / "DESIGN.md").read_text(encoding="utf-8")
    tree = design.split("```")[1]
    listed = re.findall(r"^  ([a-z_]+)(?:\.py|/)", tree, re.MULTILINE)
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = config["tool"]["importlinter"]["contracts"][0]["layers"]
    contract = [name for layer in reversed(layers) for name in sorted(re.findall(r"[a-z_]+", layer))]
    assert listed == contract


def _help(*verb: str) -> str:
    """A program that prints the help of a verb as the console script does, then the modules that were imported."""
    return (
        "import sys, json, atexit\n"
        f"sys.argv = ['assay', *{verb!r}, '--help']\n"
        "atexit.register(lambda: print(json.dumps(sorted(sys.modules)), file=sys.stderr))\n"
        "from assay.cli import main\n"
        "main()\n"
    )


@pytest.mark.parametrize(
    "verb",
    [
        (),
        ("study",),
        ("train",),
        ("eval",),
        ("convert",),
        ("doctor",),
        ("doctor", "env"),
        ("doctor", "data"),
        ("eval", "errors"),
        ("tokenizer",),
        ("tokenizer", "train"),
        ("mixture", "fit"),
        ("generate",),
        ("chat",),
        ("serve",),
    ],
)
def test_help_imports_nothing_heavy(verb: tuple[str, ...]) -> None:
    done = subprocess.run([sys.executable, "-c", _help(*verb)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout
    imported = set(json.loads(done.stderr.splitlines()[-1]))
    assert imported & HEAVY == set()


def test_help_takes_less_than_half_a_second() -> None:
    """Of processor time, which is what it takes where nothing else runs; the least of a few, since others may run."""
    program = [sys.executable, "-c", "import sys; sys.argv = ['assay', '--help']; from assay.cli import main; main()"]
    taken = []
    for _ in range(6):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(program, capture_output=True, check=True, timeout=60)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        taken.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        if taken[-1] < HELP_SECONDS:
            return
    raise AssertionError(f"`assay --help` takes {min(taken):.2f} s at its fastest")


BARE = ("assay.models.decoder", "assay.inference.beam", "assay.tokens.sampler", "assay.train.loop")


def test_models_and_optimizers_import_without_the_rest() -> None:
    """As on a bare GPU machine, which has torch and numpy and little else."""
    missing = sorted(HEAVY - {"torch", "numpy"})
    program = f"import sys\nfor name in {missing}: sys.modules[name] = None\nimport {', '.join(BARE)}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_the_suite_reaches_no_other_machine() -> None:
    with pytest.raises(OSError, match="tests do not connect"):
        socket.create_connection(("192.0.2.1", 9), timeout=1)  # an address for documentation: nobody's
    program = "import socket; socket.create_connection(('192.0.2.1', 9), timeout=1)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert "tests do not connect" in done.stderr
