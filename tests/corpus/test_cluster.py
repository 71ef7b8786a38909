"""Scoring by a Ray cluster: the same artifact, and it outlives its workers."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from assay.corpus.parts import Part, done_by_parts
from assay.errors import InputError
from assay.store import Store, whole_file
from clusters import two_nodes
from command import Say, one_line, write_texts

ray = pytest.importorskip("ray", reason="needs Ray: pip install 'assay[cluster]'")


def slow_copy(source: Path, target: Path, threads: int) -> dict[str, Any]:
    """Tells who does it, takes its time, and copies."""
    with source.with_name(f"{source.name}.pids").open("a") as file:
        file.write(f"{os.getpid()}\n")
    time.sleep(1.0)
    with whole_file(target) as path:
        path.write_text(source.read_text().upper())
    return {"characters": len(source.read_text())}


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    with two_nodes() as (_, address):
        yield address


def test_two_nodes_survive_the_death_of_a_worker(cluster: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    parts = []
    for i in range(4):
        (tmp_path / "in" / f"{i}").write_text(f"part {i}")
        parts.append(Part(tmp_path / "in" / f"{i}", f"out-{i}", 1.0))
    killed: list[int] = []

    def kill_the_first_worker() -> None:
        while not killed:
            for part in parts:
                path = part.source.with_name(f"{part.source.name}.pids")
                if path.exists() and path.read_text().strip():
                    killed.append(int(path.read_text().split()[0]))
                    time.sleep(0.2)
                    os.kill(killed[0], signal.SIGKILL)
                    return
            time.sleep(0.02)

    killer = threading.Thread(target=kill_the_first_worker, daemon=True)
    killer.start()
    (tmp_path / "out").mkdir()
    told: list[float] = []
    made = done_by_parts(tmp_path / "out", parts, slow_copy, told.append, ray=cluster)
    killer.join()
    assert made == [{"characters": 6}] * 4
    assert [(tmp_path / "out" / f"out-{i}").read_text() for i in range(4)] == [f"PART {i}" for i in range(4)]
    workers = [path.read_text().split() for path in sorted((tmp_path / "in").glob("*.pids"))]
    assert sum(len(pids) for pids in workers) == 5  # one was done twice
    assert str(killed[0]) not in {pids[-1] for pids in workers}
    assert not [path for path in (tmp_path / "out").iterdir() if path.name.startswith(".")]
    assert told[-1] == 4.0


def test_a_cluster_makes_the_same_artifacts(say: Say, cluster: str, tmp_path: Path) -> None:
    write_texts(tmp_path / "texts", 40)
    assert say("corpus", "scan", "texts", "--out", "here")[0] == 0
    assert say("corpus", "scan", "texts", "--out", "there", "--ray", cluster)[0] == 0
    for stage in ("documents", "signals", "duplicates"):
        (one,), (two,) = (Store(Path(name) / "artifacts").root.glob(f"{stage}/*") for name in ("here", "there"))
        assert one.name == two.name
        files = sorted(path.name for path in one.glob("*.parquet"))
        assert files == sorted(path.name for path in two.glob("*.parquet"))
        assert all((one / name).read_bytes() == (two / name).read_bytes() for name in files)


def test_a_cluster_that_is_not_there(say: Say, tmp_path: Path) -> None:
    write_texts(tmp_path / "texts", 5)
    line = one_line(say("corpus", "scan", "texts", "--out", "there", "--ray", "127.0.0.1:9"))
    assert "there is no such cluster" in line
    with pytest.raises(InputError, match="host:port"):
        done_by_parts(tmp_path, [], slow_copy, lambda done: None, ray="nonsense")
