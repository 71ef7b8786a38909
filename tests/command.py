"""The real `assay` command for tests: a tiny corpus, a tiny study, and processes that can be watched and killed."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Say = Callable[..., tuple[int, str, str]]
ASSAY = str(Path(sys.executable).with_name("assay"))
TINY = [
    "--tokens", "850k",
    *(f"--set={pair}" for pair in (
        "train.layers=1", "train.width=32", "train.seeds=2", "train.row_tokens=32", "tokens.vocabulary=512",
        "tokens.eval_tokens=2000", "design.axes=[size, distribution]", "train.engine=processes",
    )),
]  # fmt: skip
"""Options of the smallest study that asks two questions: 0.8 million tokens, about ten seconds of training."""


def one_line(told: tuple[int, str, str], code: int = 2) -> str:
    """The error line of what `say` found, after what holds for all of them."""
    assert told[0] == code, told
    assert told[1] == ""
    assert told[2].startswith("assay: ")
    assert told[2].count("\n") == 1
    assert "Traceback" not in told[2]
    return told[2].strip()


def write_texts(folder: Path, documents: int = 450) -> Path:
    """Two sources of made-up prose with different words, the smallest that a study can be made from."""
    rng = random.Random(1)
    folder.mkdir(parents=True)
    for name in ("letters", "numbers"):
        words = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 8))) for _ in range(400)]
        lines = []
        for _ in range(documents):
            sentences = [" ".join(rng.choices(words, k=rng.randint(8, 16))) for _ in range(rng.randint(4, 9))]
            lines.append(json.dumps({"text": ". ".join(sentences) + "."}))
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def assay(*arguments: Any, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run([ASSAY, *map(str, arguments)], capture_output=True, text=True, timeout=timeout, check=False)


def heed_ctrl_c() -> None:
    """Where the tests themselves run in the background, Ctrl-C is ignored, and what they start inherits that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Running:
    """A command at work in a session of its own; its messages go to a file that can be waited on."""

    def __init__(self, log: Path, *arguments: Any) -> None:
        self.log = log
        with log.open("w") as err:
            self.process = subprocess.Popen(
                [ASSAY, *map(str, arguments)], stdout=subprocess.PIPE, stderr=err, start_new_session=True, text=True,
                preexec_fn=heed_ctrl_c,  # noqa: PLW1509 (one system call, and no lock)
            )  # fmt: skip

    def wait_for(self, words: str, timeout: float = 120) -> None:
        end = time.monotonic() + timeout
        while words not in self.log.read_text():
            assert self.process.poll() is None, f"ended before {words!r}: {self.log.read_text()}"
            assert time.monotonic() < end, f"no {words!r} in {self.log.read_text()}"
            time.sleep(0.02)

    def wait_for_workers(self, timeout: float = 120) -> list[int]:
        """Wait until the fleet has workers; returns their process ids."""
        end = time.monotonic() + timeout
        while not (found := self.workers()):
            assert self.process.poll() is None, f"ended without workers: {self.log.read_text()}"
            assert time.monotonic() < end, "no workers"
            time.sleep(0.02)
        return found

    def signal(self, number: int) -> None:
        """To the whole group, as a terminal does."""
        os.killpg(self.process.pid, number)

    def end(self, timeout: float) -> tuple[int, list[str]]:
        """Wait for the end: exit code and the lines of stderr, without those of progress."""
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGKILL)
            raise
        return code, [line for line in self.log.read_text().splitlines() if line.startswith("assay:")]

    def workers(self) -> list[int]:
        """Processes of the fleet that are alive."""
        return [pid for pid, command in self._session() if "spawn_main" in command]

    def left_over(self, within: float = 20.0) -> list[tuple[int, str]]:
        """Processes of the session that outlive it; one that was still importing has to come to its end first."""
        end = time.monotonic() + within
        while (left := self._session()) and time.monotonic() < end:
            time.sleep(0.05)
        return left

    def _session(self) -> list[tuple[int, str]]:
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                state, _, _, session = (folder / "stat").read_text().rsplit(")", 1)[1].split()[:4]
                if int(session) == self.process.pid and state not in "ZX":
                    command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                    found.append((int(folder.name), command))
        return found


def claims(out: Path) -> list[dict[str, Any]]:
    """The claims of a study, times aside."""
    found = json.loads((out / "claims.json").read_text(encoding="utf-8"))
    return [{key: value for key, value in claim.items() if key != "registered_at"} for claim in found]
