"""Stages done part by part: the same from threads and processes, and after any interruption."""

from __future__ import annotations

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

import pytest

from assay.corpus.parts import LEDGER, Part, behind, done_by_parts, in_order
from assay.errors import WorkError
from assay.store import Stage, Store, whole_file


def reverse(source: Path, target: Path, threads: int) -> dict[str, Any]:
    text = source.read_text()
    if text == "die":
        os._exit(9)
    if text.startswith("slow"):
        time.sleep(0.05)
    with whole_file(target) as path:
        path.write_text(text[::-1])
    with (source.parent / f"{source.name}.done").open("a") as file:
        file.write(".")
    return {"characters": len(text)}


def parts_of(folder: Path, texts: list[str]) -> list[Part]:
    folder.mkdir(exist_ok=True)
    for i, text in enumerate(texts):
        (folder / f"in-{i}").write_text(text)
    return [Part(folder / f"in-{i}", f"out-{i}", len(text)) for i, text in enumerate(texts)]


def times(part: Part) -> int:
    path = part.source.with_name(f"{part.source.name}.done")
    return len(path.read_text()) if path.exists() else 0


@pytest.mark.parametrize("processes", [1, 2])
def test_all_parts_are_done_once_and_counted_in_order(tmp_path: Path, processes: int) -> None:
    parts = parts_of(tmp_path / "in", ["one", "three", "seven!"])
    told: list[float] = []
    (tmp_path / "out").mkdir()
    made = done_by_parts(tmp_path / "out", parts, reverse, told.append, processes=processes)
    assert made == [{"characters": 3}, {"characters": 5}, {"characters": 6}]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["out-0", "out-1", "out-2"]
    assert (tmp_path / "out" / "out-1").read_text() == "eerht"
    assert (told[0], told[-1]) == (0, 14)
    assert told == sorted(told)


def test_what_is_done_is_not_done_again_and_what_is_damaged_is(tmp_path: Path) -> None:
    parts, out = parts_of(tmp_path / "in", ["one", "two", "three"]), tmp_path / "out"
    out.mkdir()

    def stop_at(limit: float) -> Callable[[float], None]:
        def tell(done: float) -> None:
            if done >= limit:
                raise KeyboardInterrupt

        return tell

    with pytest.raises(KeyboardInterrupt):
        done_by_parts(out, parts, reverse, stop_at(6), processes=1)
    assert [times(part) for part in parts] == [1, 1, 0]
    (out / "out-0").write_text("damaged")
    with (out / LEDGER).open("a") as file:
        file.write('{"name": "out-2", "xx')  # as a power cut leaves it
    (out / ".staging-out-2-77").write_text("half")
    done_by_parts(out, parts, reverse, lambda done: None, processes=1)
    assert [times(part) for part in parts] == [2, 1, 1]
    assert sorted(path.name for path in out.iterdir()) == ["out-0", "out-1", "out-2"]
    assert (out / "out-0").read_text() == "eno"


def test_a_process_that_dies_is_told_and_a_rerun_goes_on(tmp_path: Path) -> None:
    parts, out = parts_of(tmp_path / "in", ["die", "slow two", "a longer three"]), tmp_path / "out"
    out.mkdir()
    with pytest.raises(WorkError, match="a process died"):
        done_by_parts(out, parts, reverse, lambda done: None, processes=2)
    parts[0].source.write_text("well")
    done_by_parts(out, parts, reverse, lambda done: None, processes=2)
    assert (out / "out-0").read_text() == "llew"
    assert not (out / LEDGER).exists()


KILLED = """
import sys, time
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_parts import parts_of, reverse
from assay.corpus.parts import Part, done_by_parts
from assay.store import Stage, Store

parts = [Part(path, path.name.replace("in", "out"), 1) for path in sorted(Path({folder!r}).glob("in-?"))]
def tell(done: float) -> None:
    print(done, flush=True)

if __name__ == "__main__":
    Store(Path({store!r})).build(
        Stage("reversed", 1), {{}}, {{}},
        lambda folder: {{"n": len(done_by_parts(folder, parts, reverse, tell, processes={n}))}},
        resumed=True,
    )
"""


@pytest.mark.parametrize("processes", [1, 2])
def test_killed_at_random_points_the_artifact_is_the_same(tmp_path: Path, processes: int) -> None:
    parts = parts_of(tmp_path / "in", [f"slow {i}" for i in range(8)])
    stage, draw = Stage("reversed", 1), random.Random(processes)
    script = tmp_path / "run.py"
    store = tmp_path / "store"
    script.write_text(
        KILLED.format(tests=str(Path(__file__).parent), folder=str(tmp_path / "in"), store=str(store), n=processes)
    )
    kills = 0
    while Store(store).find(stage, {}, {}) is None:
        process = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()  # it has begun
        if kills < 6:
            time.sleep(draw.random() * 0.2)
            process.send_signal(signal.SIGKILL)
            kills += 1
        process.communicate(timeout=60)
    artifact = Store(store).find(stage, {}, {})
    assert artifact is not None
    assert [path.name for path in artifact.files()] == [part.name for part in parts]
    assert all(
        path.read_text() == part.source.read_text()[::-1] for path, part in zip(artifact.files(), parts, strict=True)
    )
    assert kills == 6
    assert sum(times(part) for part in parts) < 8 * 3  # most of what was done was not done again
    assert not list(store.glob("*/.*"))


def test_in_order() -> None:
    taken = 0

    def numbers() -> Any:
        nonlocal taken
        for i in range(50):
            taken = i
            yield i

    def work(i: int) -> int:
        time.sleep(0.001 * (i % 3))
        return i * i

    made = in_order(work, numbers(), 3)
    assert next(made) == 0
    assert taken <= 4  # no more is in memory than keeps three threads busy
    assert list(made) == [i * i for i in range(1, 50)]
    assert list(in_order(work, iter([2, 3]), 1)) == [4, 9]
    assert json.dumps(list(in_order(work, iter([]), 2))) == "[]"


def test_behind_does_all_in_turn_and_tells_of_what_fails() -> None:
    done: list[int] = []
    behind(done.append, range(20))
    assert done == list(range(20))

    def work(i: int) -> None:
        done.append(1 // (3 - i))

    with pytest.raises(ZeroDivisionError):
        behind(work, range(20))
    assert len(done) == 23
