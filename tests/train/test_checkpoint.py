"""Checkpoints: the newest whole one is found, whatever happened to the others."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from assay.train import checkpoint


def state(step: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(step)
    return {
        "model.w": torch.randn(3, 4, generator=generator).t(),  # not contiguous
        "optimizer.m": torch.randn(5, generator=generator, dtype=torch.float64),
        "low": torch.randn(5, generator=generator).bfloat16(),
        "step": torch.tensor(step),
    }


def check(found: tuple[dict[str, Tensor], dict[str, object]] | None, step: int) -> None:
    assert found is not None
    tensors, extra = found
    assert extra == {"rows": [step, 0.1]}
    assert tensors.keys() == state(step).keys()
    for name, tensor in state(step).items():
        assert tensors[name].dtype == tensor.dtype
        assert torch.equal(tensors[name], tensor)


def save(work: Path, step: int) -> None:
    checkpoint.save(work, state(step), {"rows": [step, 0.1]})


def test_what_was_saved_is_found_bit_for_bit_and_the_older_is_removed(tmp_path: Path) -> None:
    assert checkpoint.newest(tmp_path / "none") is None
    for step in (9, 10, 100):  # by number, not by name
        save(tmp_path, step)
        check(checkpoint.newest(tmp_path), step)
    assert len(list(tmp_path.iterdir())) == 1


def test_the_same_step_is_saved_again(tmp_path: Path) -> None:
    save(tmp_path, 5)
    checkpoint.save(tmp_path, state(5), {"rows": "later"})
    found = checkpoint.newest(tmp_path)
    assert found is not None
    assert found[1] == {"rows": "later"}


@pytest.mark.parametrize("killed_in", ["write", "write_manifest", "staged"])
def test_a_kill_while_the_same_step_is_saved_again_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed_in: str
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    save(tmp_path, 5)
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, killed_in, killed)
        with pytest.raises(KeyboardInterrupt):
            checkpoint.save(tmp_path, state(5), {"rows": "later"})
    check(checkpoint.newest(tmp_path), 5)


def test_a_whole_state_stands_at_every_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever folder is about to be removed or renamed, another whole state is there."""
    seen: list[object] = []

    def checked(act: Callable[..., object]) -> Callable[..., object]:
        def look_first(*args: Any, **options: Any) -> object:
            found = checkpoint.newest(tmp_path)
            seen.append(found and found[1]["rows"])
            return act(*args, **options)

        return look_first

    saved = ((5, "a"), (5, "b"), (5, "c"), (6, "d"), (6, "e"))
    checkpoint.save(tmp_path, state(5), {"rows": "first"})
    monkeypatch.setattr(shutil, "rmtree", checked(shutil.rmtree))
    monkeypatch.setattr(os, "rename", checked(os.rename))
    for step, rows in saved:
        checkpoint.save(tmp_path, state(step), {"rows": rows})
        assert len(list(tmp_path.iterdir())) == 1
    assert None not in seen
    assert list(dict.fromkeys(seen)) == ["first", "a", "b", "c", "d", "e"]


@pytest.mark.parametrize("file", ["state/state.safetensors", "extra.json", "manifest.json"])
@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_a_damaged_state_is_passed_over(tmp_path: Path, file: str, damage: str) -> None:
    save(tmp_path / "a", 10)
    save(tmp_path / "b", 20)
    newest = next((tmp_path / "b").glob("step-*"))
    shutil.move(newest, tmp_path / "a" / newest.name)  # both stand side by side, as when a kill came in between
    check(checkpoint.newest(tmp_path / "a"), 20)
    path = tmp_path / "a" / newest.name / file
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-3])
    else:
        path.unlink()
    check(checkpoint.newest(tmp_path / "a"), 10)


def test_a_kill_while_saving_leaves_the_state_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path, 10)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "write_manifest", killed)
        with pytest.raises(KeyboardInterrupt):
            save(tmp_path, 20)
    check(checkpoint.newest(tmp_path), 10)
    (tmp_path / ".staging-step-000000030-1").mkdir()  # SIGKILL leaves no time to clean up
    check(checkpoint.newest(tmp_path), 10)
    save(tmp_path, 30)
    check(checkpoint.newest(tmp_path), 30)


def test_a_state_within_an_artifact(tmp_path: Path) -> None:
    checkpoint.write(tmp_path / "trunk", state(4))
    found = checkpoint.load(tmp_path / "trunk")
    assert all(torch.equal(found[name], tensor) for name, tensor in state(4).items())
    checkpoint.clear(tmp_path)
    checkpoint.clear(tmp_path)
    assert not tmp_path.exists()


def test_what_is_written_in_the_background_waits_for_nobody_and_tells_its_error_next_time() -> None:
    writer, begun, may_end = checkpoint.Background(), threading.Event(), threading.Event()
    done: list[int] = []

    def slow() -> None:
        begun.set()
        assert may_end.wait(30)
        done.append(1)

    def fails() -> None:
        raise OSError("the disk is full")

    writer.submit(slow)  # comes back at once
    assert begun.wait(30) and not done
    may_end.set()
    writer.submit(lambda: done.append(2))  # after the first is done
    writer.wait()
    assert done == [1, 2]
    writer.submit(fails)
    with pytest.raises(OSError, match="the disk is full"):
        writer.submit(lambda: done.append(3))
    writer.wait()  # told once
    assert done == [1, 2]
    writer.submit(fails)
    with pytest.raises(OSError, match="the disk is full"):
        writer.close()
    with pytest.raises(RuntimeError):  # it is at its end all the same
        writer.submit(fails)
