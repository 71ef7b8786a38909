"""Models by name: what is opened, what is refused in one line, adapters on one base."""

from __future__ import annotations

import json
import random
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
from served import serving

from asked import model
from assay.errors import InputError
from assay.generation.opened import Writer
from assay.generation.settings import Settings
from assay.generation.text import generate
from assay.models import interop, lora
from assay.models.interop import adapters
from assay.models.lora import LoraConfig
from assay.serve.engine import Engine
from assay.serve.metrics import Metrics
from assay.serve.registry import USUAL, open_models
from tunings import finetune

GREEDY = Settings(12)


def opened(*given: str) -> Any:
    return open_models(given, Engine(), Metrics(), USUAL, "cpu")


def adapter(folder: Path, base: Path, seed: int, *, dora: bool = False) -> torch.nn.Module:
    """Write an adapter with random numbers; returns the base with it merged."""
    adapted, config = interop.load(base), LoraConfig(4, 8.0, ("*qkv", "*up"), dora)
    generator = torch.Generator().manual_seed(seed)
    lora.adapt(adapted, config, generator)
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if name.endswith((".up", ".lengths")):
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.3)
    adapters.write(folder, config, adapters.parts_of(dict(adapted.named_parameters())), base)
    return lora.merged(adapted).eval()


@pytest.mark.parametrize("dora", [False, True])
def test_adapters_say_what_the_merged_model_says_and_share_the_base(tmp_path: Path, dora: bool) -> None:
    base = model(tmp_path / "base", "llama")
    merged = {name: adapter(tmp_path / name, base, seed, dora=dora) for seed, name in enumerate(("a", "b"))}
    given = {name: tmp_path / name for name in ("a", "base", "b")}
    writer = Writer.load(base)
    with serving(given) as served:
        texts = {}
        for name in given:
            body = {"model": name, "prompt": "The cats", "max_tokens": 12, "temperature": 0}
            answer = httpx.post(f"{served.url}/v1/completions", json=body, headers=served.headers).json()
            texts[name] = answer["choices"][0]["text"]
        listed = httpx.get(f"{served.url}/v1/models", headers=served.headers).json()["data"]
        kept = {name: found.doing.writer.model for name, found in served.service.models.items()}  # type: ignore[union-attr]
    for name, own in merged.items():
        (expected,) = generate(replace(writer, model=own), ["The cats"], GREEDY)[0]
        assert texts[name] == expected.text
    assert len(set(texts.values())) == 3
    assert texts["base"] == generate(writer, ["The cats"], GREEDY)[0][0].text  # adding adapters has not changed it
    assert [(one["id"], one["base"]) for one in listed] == [("a", "base"), ("base", None), ("b", "base")]
    shared = {name for name, p in kept["a"].named_parameters() if p is dict(kept["base"].named_parameters())[name]}
    changed = set(dict(kept["a"].named_parameters())) - shared
    assert changed == {f"blocks.{i}.{layer}.weight" for i in (0, 1) for layer in ("attention.qkv", "mlp.up")}


def test_adapters_that_were_learned_by_finetune_are_served(tmp_path: Path) -> None:
    """The text that the tuned model says is what base and adapter say together, by the task's own template."""
    base, rng = model(tmp_path / "base", "llama"), random.Random(0)
    rows = [{"prompt": word, "response": word.upper()} for word in ("cats", "mats", "水", "bees")] * 8
    turns = [{"messages": [{"role": "user", "content": r["prompt"]}, {"role": "assistant", "content": r["response"]}]}
             for r in rng.sample(rows, len(rows))]  # fmt: skip
    (tmp_path / "talk.jsonl").write_text("\n".join(map(json.dumps, turns)) + "\n", encoding="utf-8")
    finetune(
        "instruction", [str(tmp_path / "talk.jsonl")], tmp_path / "run", "tune.lora=4", "budget.epochs=3",
        "tune.rate=0.01", model=str(base),
    )  # fmt: skip
    messages = [{"role": "user", "content": "cats"}]
    (expected,) = generate(Writer.load(tmp_path / "run" / "model"), [messages], GREEDY)[0]
    with serving({"base": base, "loud": tmp_path / "run" / "adapter"}) as served:
        body = {"model": "loud", "messages": messages, "max_tokens": 12, "temperature": 0}
        answer = httpx.post(f"{served.url}/v1/chat/completions", json=body, headers=served.headers).json()
    assert answer["choices"][0]["message"]["content"] == expected.text


def test_an_adapter_of_another_base_is_refused(tmp_path: Path) -> None:
    base, other = model(tmp_path / "base", "llama"), model(tmp_path / "other", "gpt2")
    adapter(tmp_path / "own", base, 0)
    with pytest.raises(InputError, match="is an adapter of another base \\(base\\)"):
        opened(str(other), str(tmp_path / "own"))
    with pytest.raises(InputError, match="another base"):
        opened(str(tmp_path / "own"))
    stated = json.loads((tmp_path / "own" / "adapter.json").read_text())
    digest = adapters.digest_of(other / "model.safetensors")
    (tmp_path / "own" / "adapter.json").write_text(json.dumps({**stated, "digest": digest}))
    with pytest.raises(InputError, match="does not fit the layer"):
        opened(str(other), str(tmp_path / "own"))
    (tmp_path / "own" / "adapter.safetensors").write_bytes(b"no tensors")
    with pytest.raises(InputError, match="cannot be read"):
        opened(str(other), str(tmp_path / "own"))


@pytest.mark.parametrize("name", ["pytorch_model.bin", "training_args.pt", "x.pkl"])
def test_a_directory_with_a_pickle_is_refused_whatever_else_it_holds(tmp_path: Path, name: str) -> None:
    folder = model(tmp_path / "m")
    (folder / name).write_bytes(b"\x80\x04.")
    with pytest.raises(InputError, match=f"holds a pickle \\({name}\\)") as caught:
        opened(str(folder))
    assert "\n" not in caught.value.line() and caught.value.remedy


def test_names_are_of_folders_or_given(tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.move(model(tmp_path / "m"), run / "model")
    odd = tmp_path / "a=b"
    shutil.copytree(run / "model", odd)
    assert list(opened(str(run / "model"), f"two={run}", f"诗={odd}")) == ["run", "two", "诗"]
    bad = [([], "no model is given"), ([str(tmp_path / "none")], "there is no such directory"),
           ([str(run), f"run={run}"], "two models are called run"), ([f"a/b={run}"], "is no name for a model"),
           ([f"x={tmp_path}"], "holds no model"), ([str(odd)], "is no name for a model")]  # fmt: skip
    for given, said in bad:
        with pytest.raises(InputError, match=said):
            opened(*given)
