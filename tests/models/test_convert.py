"""Pickled weights become safetensors by explicit command, and what a pickle would run is not run."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from assay.errors import InputError
from assay.models import interop
from assay.models.interop.convert import Converted, convert_pickled

transformers = pytest.importorskip("transformers")


class Attack:
    """A pickle that writes a file when it is opened carelessly."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.mark}",)


@pytest.fixture
def theirs(tmp_path: Path) -> tuple[Any, Path]:
    """A model of transformers whose weights are pickled, with a tokenizer's file and training's leftovers."""
    torch.manual_seed(0)
    config = transformers.GPT2Config(vocab_size=40, n_positions=16, n_embd=24, n_layer=1, n_head=3)
    model, folder = transformers.GPT2LMHeadModel(config).eval(), tmp_path / "theirs"
    model.save_pretrained(folder)
    (folder / interop.WEIGHTS).unlink()
    torch.save(model.state_dict(), folder / "pytorch_model.bin")  # with the tied head, as older versions did
    torch.save({"lr": 1.0}, folder / "optimizer.pt")
    (folder / "vocab.txt").write_text("one\ntwo\n", encoding="utf-8")
    return model, folder


def test_a_pickled_model_is_refused_until_it_is_converted(theirs: tuple[Any, Path], tmp_path: Path) -> None:
    model, folder = theirs
    with pytest.raises(InputError, match="assay convert"):
        interop.load(folder)
    done = convert_pickled(folder, tmp_path / "out")
    state = model.state_dict()
    files = ("config.json", "generation_config.json", "model.safetensors", "vocab.txt")
    assert done == Converted(len(state), sum(t.numel() for t in state.values()), ("float32",), files)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == list(files)
    ids = torch.arange(12)[None]
    with torch.no_grad():
        torch.testing.assert_close(interop.load(tmp_path / "out")(ids), model(ids).logits, rtol=1e-5, atol=1e-5)


def test_sharded_checkpoints_single_files_and_state_dicts_within_are_read(tmp_path: Path) -> None:
    tensors = {"a": torch.randn(3, 4).t(), "b": torch.arange(5), "c": torch.ones(2, dtype=torch.bfloat16)}
    parts = tmp_path / "parts"
    parts.mkdir()
    for i, names in enumerate((["a"], ["b", "c"])):
        torch.save({name: tensors[name] for name in names}, parts / f"pytorch_model-{i}.bin")
    where = {name: f"pytorch_model-{int(name != 'a')}.bin" for name in tensors}
    (parts / "pytorch_model.bin.index.json").write_text(
        f'{{"weight_map": {str(where).replace(chr(39), chr(34))}}}', encoding="utf-8"
    )
    torch.save({"state_dict": tensors, "epoch": 3}, tmp_path / "one.ckpt")
    torch.save(tensors, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    for name in ("parts", "one.ckpt", "old.pt"):
        done = convert_pickled(tmp_path / name, tmp_path / f"out-{name}")
        found = load_file(tmp_path / f"out-{name}" / interop.WEIGHTS)
        assert done.dtypes == ("bfloat16", "float32", "int64")
        assert found.keys() == tensors.keys()
        assert all(torch.equal(found[key], tensor) for key, tensor in tensors.items())


@pytest.mark.parametrize("kind", ["torch.save", "torch.save, old", "pickle"])
def test_what_a_pickle_would_run_is_not_run(kind: str, tmp_path: Path) -> None:
    mark, file = tmp_path / "mark", tmp_path / "model.bin"
    content = {"weight": torch.ones(2), "extra": Attack(mark)}
    if kind == "pickle":
        file.write_bytes(pickle.dumps({"weight": [1.0], "extra": Attack(mark)}, protocol=2))
    else:
        torch.save(content, file, _use_new_zipfile_serialization=kind == "torch.save")
    with pytest.raises(InputError, match="is not weights alone") as caught:
        convert_pickled(file, tmp_path / "out")
    assert "it asks for posix.system" in caught.value.what
    assert "weights_only=False" not in caught.value.line()
    assert not mark.exists()
    assert not (tmp_path / "out").exists()
    torch.load(file, weights_only=False) if kind != "pickle" else pickle.loads(file.read_bytes())  # it was a real one
    assert mark.exists()


def test_what_is_no_weights_is_told_and_nothing_written(tmp_path: Path) -> None:
    folder = tmp_path / "m"
    folder.mkdir()
    out = tmp_path / "out"
    with pytest.raises(InputError, match="is no file and no folder"):
        convert_pickled(tmp_path / "nothing", out)
    with pytest.raises(InputError, match="has no pickled weights"):
        convert_pickled(folder, out)
    for content, said in (
        ([torch.ones(2)], "holds a list and no named tensors"),
        ({"w": torch.ones(2), "epoch": 3}, "holds 'epoch', which is a int and no tensor"),
        ({"w": torch.eye(3).to_sparse()}, "w is sparse or quantized"),
        ({}, "holds no tensors"),
    ):  # fmt: skip
        torch.save(content, folder / "model.pt")
        with pytest.raises(InputError, match=said):
            convert_pickled(folder, out)
    whole = (folder / "model.pt").read_bytes()
    for cut, said in (
        (whole[:-40], "damaged or cut off"),
        (b"junk" + whole, "no file of PyTorch's"),
        (b"", "is empty"),
    ):
        (folder / "model.pt").write_bytes(cut)
        with pytest.raises(InputError, match=said):
            convert_pickled(folder, out)
    torch.save({"w": torch.ones(2)}, folder / "model.pt")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InputError, match="is a file and no folder"):
        convert_pickled(folder, tmp_path / "file")
    torch.save({"w": torch.ones(2)}, folder / "other.pt")
    with pytest.raises(InputError, match="several files of weights"):
        convert_pickled(folder, out)
    (folder / "pytorch_model.bin.index.json").write_text('{"weight_map": {"w": "../other.pt"}}', encoding="utf-8")
    with pytest.raises(InputError, match="outside of its folder"):
        convert_pickled(folder, out)
    (folder / interop.WEIGHTS).write_bytes(b"")
    with pytest.raises(InputError, match="as safetensors already"):
        convert_pickled(folder, out)
    assert not out.exists()
