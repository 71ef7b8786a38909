"""Layers of whole numbers: what they compute, whatever the batch, and in directories of their own."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from assay.compress.quantizing import quantize
from assay.errors import InputError
from assay.inference.generate import generate
from assay.inference.limits import Limits
from assay.inference.sampling import GREEDY, Rules
from assay.models import interop, quantized
from assay.models.quantized import Int4Linear, Int8Linear, Quantization
from compressed import CONFIGS, WORDS, awake, batch, said

WAYS = {
    "dynamic": Quantization(8, "dynamic"),
    "static": Quantization(8, "static"),
    "rtn": Quantization(4, "float", 32),
    "gptq": Quantization(4, "float", 32, method="gptq"),
    "awq": Quantization(4, "float", 32, balanced=True, method="awq"),
}


def _made(name: str, way: str, seed: int = 0):  # type: ignore[no-untyped-def]
    model = awake(CONFIGS[name], seed)
    quantize(model, WAYS[way], [batch(name, 1, 12, seed) for seed in range(20, 40)])
    return model


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("way", ["dynamic", "static", "gptq", "awq"])
def test_a_model_stays_nearly_what_it_was(name: str, way: str) -> None:
    """In deviations of its answers; rows that it was not calibrated on."""
    given = batch(name, seed=9)
    before, after = said(awake(CONFIGS[name]), name, given), said(_made(name, way), name, given)
    apart = (after - before).std() / before.std()
    assert 0 < apart < {"dynamic": 0.05, "static": 0.12, "gptq": 0.5, "awq": 0.5}[way]


def test_eight_bits_compute_what_they_are_defined_to() -> None:
    rng = np.random.default_rng(0)
    x, q = rng.standard_normal((5, 37)), rng.integers(-127, 128, (8, 37))
    scale, bias = rng.random(8), rng.standard_normal(8)
    layer = Int8Linear(37, 8, bias=True, static=False)
    layer.weight.copy_(torch.from_numpy(q))
    layer.scale.copy_(torch.from_numpy(scale))
    layer.bias.copy_(torch.from_numpy(bias))  # type: ignore[union-attr]
    by = np.abs(x.astype(np.float32)).max(1, keepdims=True) / 127
    wanted = (np.rint(x.astype(np.float32) / by) @ q.T) * by * scale + bias
    np.testing.assert_allclose(layer(torch.from_numpy(x).float()).numpy(), wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("way", ["dynamic", "static"])
def test_a_row_of_whole_numbers_does_not_depend_on_its_batch(way: str) -> None:
    """To the last digit."""
    model = _made("standard", way)
    layer = model.blocks[0].mlp.up
    x = torch.randn(33, 64, generator=torch.Generator().manual_seed(3))
    together = layer(x)
    assert all(torch.equal(layer(x[i : i + 1]), together[i : i + 1]) for i in range(33))
    assert layer(x[:0]).shape == (0, together.shape[1])
    assert torch.equal(layer(torch.zeros(2, 64)), layer(torch.zeros(1, 64)).expand(2, -1))


def test_whole_products_are_the_same_where_the_machine_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    x, w = (torch.randint(-128, 128, (n, 700), dtype=torch.int8) for n in (5, 9))
    exact = x.long() @ w.long().t()
    assert torch.equal(quantized.product(x, w).long(), exact)
    monkeypatch.setattr(quantized, "_exact_here", lambda: False)
    assert torch.equal(quantized.product(x, w).long(), exact)


@pytest.mark.parametrize("inputs", [64, 50, 31])
def test_four_bits_are_unpacked_as_they_were_packed(inputs: int) -> None:
    rng = np.random.default_rng(1)
    layer = Int4Linear(inputs, 6, bias=False, group=32, balanced=False)
    groups = layer.scale.shape[1]
    q, zero = rng.integers(0, 16, (6, groups * 32)), rng.integers(0, 16, (6, groups))
    scale = rng.random((6, groups)).astype(np.float16)
    layer.weight.copy_(quantized.packed(torch.from_numpy(q)))
    layer.scale.copy_(torch.from_numpy(scale))
    layer.zero.copy_(torch.from_numpy(zero))
    wanted = (q - zero.repeat(32, 1)) * scale.astype(np.float32).repeat(32, 1)
    np.testing.assert_array_equal(layer.dense().numpy(), wanted[:, :inputs].astype(np.float32))
    assert layer.weight.numel() * 2 == q.size


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("way", ["dynamic", "static", "awq"])
def test_a_directory_gives_the_same_model_back(name: str, way: str, tmp_path: Path) -> None:
    model, given = _made(name, way), batch(name, seed=5)
    interop.save(model, tmp_path)
    again = interop.load(tmp_path)
    assert torch.equal(said(again, name, given), said(model, name, given))
    assert again.quantization == WAYS[way]  # type: ignore[union-attr]
    floats = sum(
        t.numel() for n, t in quantized.tensors(again).items() if t.is_floating_point() and n.endswith(".weight")
        and t.dim() == 2 and ".blocks." in f".{n}"
    )  # fmt: skip
    assert floats == 0
    if name == "standard":
        assert again.head is again.embedding


def test_what_is_written_goes_on_by_keys_and_values(tmp_path: Path) -> None:
    interop.save(_made("standard", "dynamic"), tmp_path)
    model = interop.load(tmp_path)
    prompts = [[1, 2, 3], [4, 5], [6]]
    limits = Limits(new=8)
    together = generate(model, prompts, GREEDY, limits, Rules(), rows=3)  # type: ignore[arg-type]
    alone = [generate(model, [p], GREEDY, limits, Rules(), rows=1)[0] for p in prompts]  # type: ignore[arg-type]
    assert [one[0].kept for one in together] == [one[0].kept for one in alone]
    ids = torch.tensor([[1, 2, 3]])
    with torch.no_grad():
        for _ in range(8):
            ids = torch.cat([ids, model(ids)[:, -1:].argmax(-1)], dim=1)
    assert list(together[0][0].kept) == ids[0, 3:].tolist()


def test_what_has_no_linear_layers_is_refused() -> None:
    from assay.models.recurrent import RecurrentConfig

    with pytest.raises(InputError, match="no blocks with linear layers"):
        quantize(awake(RecurrentConfig(WORDS, 1, 16)), WAYS["dynamic"], [])


def test_directories_that_cannot_be_meant_are_refused(tmp_path: Path) -> None:
    interop.save(_made("standard", "dynamic"), tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    for broken, match in (
        ({"bits": 8, "inputs": "float"}, "groups"), ({"bits": 7, "inputs": "dynamic"}, "bits"), ([], "no object"),
        ({"bits": 8, "inputs": "dynamic", "new": 1}, "not known"),
    ):  # fmt: skip
        (tmp_path / "config.json").write_text(json.dumps(config | {"quantization": broken}))
        with pytest.raises(InputError, match=match):
            interop.load(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(config))
    tensors = load_file(tmp_path / "model.safetensors")
    name = "blocks.0.mlp.up.weight"
    save_file(tensors | {name: tensors[name].float()}, tmp_path / "model.safetensors")
    with pytest.raises(InputError, match="float32 instead of"):
        interop.load(tmp_path)
    with pytest.raises(InputError, match="is quantized"):
        quantized.refuse(_made("standard", "rtn"), "here")
