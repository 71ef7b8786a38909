"""Our own model directories: every shape that no Hugging Face family has, bit by bit, and what is refused."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import torch

from assay.errors import InputError
from assay.models import interop
from assay.models.blocks import BlockConfig
from assay.models.build import ModelConfig, build
from assay.models.decoder import DecoderConfig, Llama3Scaling, proxy, standard
from assay.models.encoder import bert, modern
from assay.models.ranges import checked
from assay.models.recurrent import RecurrentConfig
from assay.models.seq2seq import Seq2SeqConfig, t5, transformer

V = 31
STANDARD = standard(V, 2, 24, 4, 2)
SHAPES: dict[str, ModelConfig] = {
    "proxy": proxy(V, 2, 24, 3),
    "value embeddings": proxy(V, 3, 24, 3, value_embeddings=True, softcap=15.0),
    "window": replace(STANDARD, block=replace(STANDARD.block, window=4), rotary_scaling=Llama3Scaling(8, 1, 4, 16)),
    "modern": modern(V, 2, 24, 3),
    "lstm": RecurrentConfig(V, 2, 12),
    "gru, untied": RecurrentConfig(V, 2, 12, "gru", hidden=10, tied=False),
    "rnn, both ways": RecurrentConfig(V, 1, 12, "rnn", both_ways=True),
    "transformer, no bias of the head": transformer(V, 1, 24, 3),
}
WITH_A_FAMILY: dict[str, ModelConfig] = {"standard": STANDARD, "bert": bert(V, 1, 24, 3), "t5": t5(V, 1, 24, 3)}


def made(config: ModelConfig) -> Any:
    """Every number of its own."""
    model = build(config, torch.Generator().manual_seed(0))
    for i, parameter in enumerate(model.parameters()):
        parameter.data = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(i))
    return model


def resolved(config: ModelConfig) -> ModelConfig:
    """With every default of the block as a number."""
    if isinstance(config, RecurrentConfig):
        return config
    b = config.block
    return replace(config, block=replace(b, kv_heads=b.groups, head_width=b.key_width, mlp_width=b.inner))


def stated(folder: Path) -> dict[str, Any]:
    return json.loads((folder / interop.CONFIG).read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", [*SHAPES, *WITH_A_FAMILY])
def test_every_shape_comes_back_bit_by_bit(name: str, tmp_path: Path) -> None:
    config = {**SHAPES, **WITH_A_FAMILY}[name]
    model = made(config)
    interop.save(model, tmp_path / "m", native=True)
    back: Any = interop.load(tmp_path / "m")
    assert stated(tmp_path / "m")["model_type"] == "assay"
    assert back.config == config
    assert not back.training
    found = dict(back.named_parameters())
    assert found.keys() == dict(model.named_parameters()).keys()
    assert all(torch.equal(found[key], parameter) for key, parameter in model.named_parameters())


def test_a_family_is_taken_where_one_has_the_shape(tmp_path: Path) -> None:
    kinds = {}
    for name, config in {**SHAPES, **WITH_A_FAMILY}.items():
        interop.save(made(config), tmp_path / name)
        kinds[name] = stated(tmp_path / name)["model_type"]
        assert resolved(interop.load(tmp_path / name).config) == resolved(config)
    assert {name: kind for name, kind in kinds.items() if kind != "assay"} == {
        "standard": "qwen3", "bert": "bert", "t5": "t5",
    }  # fmt: skip
    for config in SHAPES.values():
        with pytest.raises(InputError, match="no known family"):
            interop.save(made(config), tmp_path / "none", native=False)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"format": 2}, r"is of format 2, and this assay reads 1"),
        ({"format": None}, r"is of format None"),
        ({"family": "mamba"}, r"family 'mamba' is not known -> known: convolution, decoder"),
        ({"shape": 3}, r"has no shape"),
        ({"shape.rope": 1}, r"shape\.rope is not known to this assay"),
        ({"shape.block.experts": 4}, r"shape\.block\.experts is not known to this assay"),
        ({"shape.vocabulary": "many"}, r"shape\.vocabulary: .*integer"),
        ({"shape.positions": "alibi"}, r"shape\.positions: .*'rotary' or 'learned'"),
        ({"shape.block.heads": 0}, r"shape\.block\.heads: .*greater than or equal to 1"),
        ({"shape.vocabulary": -1}, r"shape\.vocabulary: .*greater than or equal to 1"),
        ({"shape.vocabulary": 10**20}, r"shape\.vocabulary: .*less than or equal to"),
        ({"shape.vocabulary": V + 1}, rf"embedding is \({V}, 24\) instead of \({V + 1}, 24\)"),
        ({"shape.layers": 4}, r"lacks 4 tensors, such as blocks\.3"),
        ({"shape.layers": 2}, r"has 4 tensors that its config does not, such as blocks\.2"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told(changed: dict[str, Any], said: str, tmp_path: Path) -> None:
    interop.save(made(proxy(V, 3, 24, 3)), tmp_path)
    config = stated(tmp_path)
    for path, value in changed.items():
        *places, last = path.split(".")
        inside = config
        for place in places:
            inside = inside[place]
        inside[last] = value
    (tmp_path / interop.CONFIG).write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(InputError, match=said) as caught:
        interop.load(tmp_path)
    assert caught.value.where is not None
    assert str(tmp_path) in caught.value.where


def test_a_config_of_no_model_is_told(tmp_path: Path) -> None:
    interop.save(made(SHAPES["rnn, both ways"]), tmp_path)
    config = stated(tmp_path)
    config["shape"]["width"] = 13
    (tmp_path / interop.CONFIG).write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(InputError, match="shape: two directions need an even width"):
        interop.load(tmp_path)


def test_a_field_that_came_later_takes_its_default_and_a_lacking_one_is_told(tmp_path: Path) -> None:
    interop.save(made(SHAPES["proxy"]), tmp_path)
    config = stated(tmp_path)
    del config["shape"]["value_embeddings"]
    (tmp_path / interop.CONFIG).write_text(json.dumps(config), encoding="utf-8")
    assert interop.load(tmp_path).config == SHAPES["proxy"]
    del config["shape"]["layers"]
    (tmp_path / interop.CONFIG).write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(InputError, match=r"lacks shape\.layers"):
        interop.load(tmp_path)


def test_half_of_a_save_is_no_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Saved over another model and stopped between the files: no old config beside new weights."""
    interop.save(made(SHAPES["proxy"]), tmp_path)

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(interop, "write_json", stop)
    with pytest.raises(KeyboardInterrupt):
        interop.save(made(proxy(V, 1, 24, 3)), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [interop.WEIGHTS]
    with pytest.raises(InputError, match=r"no config\.json"):
        interop.load(tmp_path)


@pytest.mark.parametrize(
    ("kind", "name", "value", "said"),
    [
        (BlockConfig, "window", 0, "window should be greater than or equal to 1"),
        (BlockConfig, "kv_heads", True, "kv_heads should be a valid integer"),
        (BlockConfig, "biases", "some", "'none', 'qkv' or 'all'"),
        (BlockConfig, "attention_dropout", 1.0, "less than 1"),
        (DecoderConfig, "init", "xyz", "'zero' or 'gpt2'"),
        (DecoderConfig, "rotary_scaling", {"factor": 8}, "rotary_scaling.low field required"),
        (DecoderConfig, "softcap", date(2020, 1, 1), "softcap has no such values"),
    ],
)
def test_a_field_holds_what_its_type_says(kind: type[Any], name: str, value: Any, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        checked(kind, name, value)
    assert checked(BlockConfig, "window", None) is None
    assert checked(Seq2SeqConfig, "layers", [1, 2]) == (1, 2)
    assert checked(DecoderConfig, "rotary_base", 100) == 100.0
