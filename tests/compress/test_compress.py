"""`assay compress quantize` and `prune` through the front door: what is written, what is refused, what is found."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from assay import front
from assay.compress import writing
from assay.errors import InputError, WorkError
from assay.models import interop, quantized
from assay.present.words import LANGUAGES
from assay.tasks.opened import Opened
from assay.train.predict import Predictor
from compressed import TEXTS, awake, language_model, texts
from labelled import reviews, write
from tunings import evaluated, finetune, said


def _quantize(model: Path, out: Path, **more: Any) -> Any:
    shown = {"calibrate": [], "rows": 16, "seed": 0} | {k: v for k, v in more.items() if k in ("calibrate", "rows")}
    judged = {"data": [], "measure": False, "threads": 1} | {k: v for k, v in more.items() if k in ("data", "measure")}
    given: dict[str, Any] = {"bits": 8, "inputs": "dynamic", "method": "rtn", "group": 32}
    given |= {name: value for name, value in more.items() if name in given or name in ("language", "as_json")}
    return said(front.compress_quantize, model=model, out=out, shown=shown, judged=judged, **given)


def _prune(model: Path, out: Path, **more: Any) -> Any:
    parts = {"layers": None, "heads": None, "width": None} | {
        k: v for k, v in more.items() if k in ("layers", "heads", "width")
    }
    shown = {"calibrate": [], "rows": 16, "seed": 0} | {k: v for k, v in more.items() if k in ("calibrate",)}
    given: dict[str, Any] = {"method": None, "sparsity": None, "within": None, "retrain": [], "overrides": []}
    given |= {name: value for name, value in more.items() if name in given}
    judged = {"data": more.get("data", []), "measure": False, "threads": 1}
    return said(front.compress_prune, model=model, out=out, parts=parts, shown=shown, judged=judged, **given)


@pytest.fixture(scope="module")
def gpt(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("gpt")
    return language_model(folder / "model"), texts(folder / "texts.jsonl")


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("classifier")
    data = write(folder / "train.jsonl", reviews(150))
    held = write(folder / "test.jsonl", reviews(60, 8))
    finetune("classification", [str(data)], folder / "run", "model.layers=2", "budget.epochs=8", "tune.rate=3e-3",
             "floor=false")  # fmt: skip
    return folder / "run", held


@pytest.mark.parametrize(
    "way",
    [{}, {"inputs": "static"}, {"bits": 4}, {"bits": 4, "method": "gptq"}, {"bits": 4, "method": "awq"}],
)  # fmt: skip
def test_a_language_model_is_judged_before_and_after(
    gpt: tuple[Path, Path], tmp_path: Path, way: dict[str, Any]
) -> None:
    """By the same perplexity that `assay eval` tells of both directories."""
    model, data = gpt
    answer = _quantize(model, tmp_path / "small", calibrate=[str(data)], data=[str(data)], **way)
    one = answer["scores"]["metrics"]["perplexity"]
    for folder, value in ((model, one["model"]), (tmp_path / "small", one["export"])):
        found = said(
            front.evaluate, model=folder, sources=[str(data)], words=[], window=None, stride=None, device="cpu",
            level=0.95, reading={},
        )  # fmt: skip
        assert found["metrics"]["perplexity"]["value"] == pytest.approx(value, rel=1e-4)
    assert one["interval"][0] <= one["difference"] <= one["interval"][1]
    if way.get("bits") != 4:
        assert answer["scores"]["within"]
    assert answer["size"]["export"] < answer["size"]["model"]
    assert answer["parameters"]["before"] == answer["parameters"]["after"]
    assert answer["calibration"]["rows"] == 16
    assert set(answer["errors"]) == set(answer["layers"])
    assert {"assay_version", "fingerprint"} <= answer.keys()
    assert Predictor.load(tmp_path / "small").begin == Predictor.load(model).begin


def test_a_classifier_answers_nearly_as_before_by_every_verb(classifier: tuple[Path, Path], tmp_path: Path) -> None:
    run, held = classifier
    answer = _quantize(run, tmp_path / "small", data=[str(held)])
    before, after = evaluated(run, held), evaluated(tmp_path / "small", held)
    for found, side in ((before, "model"), (after, "export")):
        assert found["metrics"]["accuracy"]["value"] == answer["scores"]["metrics"]["accuracy"][side]
    assert abs(answer["scores"]["metrics"]["accuracy"]["difference"]) <= 0.02
    asked = [{"text": "精彩的电影，喜欢"}, {"text": "无聊"}]
    opened = Opened.load(tmp_path / "small")
    examples = [opened.task.read(row, "") for row in asked]
    alone = [opened.answers([one])[0] for one in examples]
    for one, other in zip(opened.answers(examples, rows=2), alone, strict=True):
        assert one["probabilities"] == pytest.approx(other["probabilities"], abs=1e-5)
    with pytest.raises(InputError, match="is quantized"):
        finetune("classification", [str(run.parent / "train.jsonl")], tmp_path / "again", model=str(tmp_path / "small"))
    with pytest.raises(InputError, match="is quantized"):
        _quantize(tmp_path / "small", tmp_path / "smaller")


def test_memory_and_latency_of_both_are_measured(gpt: tuple[Path, Path], tmp_path: Path) -> None:
    answer = _quantize(gpt[0], tmp_path / "small", measure=True)
    for side in ("model", "export"):
        assert answer["measured"][side]["memory"] > 1e6
        assert 0 < answer["measured"][side]["median"] <= answer["measured"][side]["p90"]


def test_a_rerun_says_so_and_another_one_is_refused(gpt: tuple[Path, Path], tmp_path: Path) -> None:
    first = _quantize(gpt[0], tmp_path / "small")
    again = _quantize(gpt[0], tmp_path / "small")
    assert (first.pop("found"), again.pop("found")) == (False, True)
    assert first == again
    with pytest.raises(InputError, match="another request"):
        _quantize(gpt[0], tmp_path / "small", bits=4)
    told = _quantize(gpt[0], tmp_path / "small", language="zh", as_json=False)
    assert "已有同样的结果" in told


def test_the_card_tells_both_languages_what_was_done(gpt: tuple[Path, Path], tmp_path: Path) -> None:
    model, data = gpt
    _quantize(model, tmp_path / "small", bits=4, method="gptq", calibrate=[str(data)], data=[str(data)])
    card = (tmp_path / "small" / "README.md").read_text(encoding="utf-8")
    assert len(LANGUAGES) == 2
    for words in ("rounded by GPTQ", "按 GPTQ 取整", "perplexity", "Calibrated on 16 rows", "校准"):
        assert words in card
    stated = json.loads((tmp_path / "small" / "compress.json").read_text(encoding="utf-8"))
    assert stated["how"]["group"] == 32


def test_sparse_and_smaller_models_are_directories_as_before(gpt: tuple[Path, Path], tmp_path: Path) -> None:
    model, data = gpt
    answer = _prune(model, tmp_path / "sparse", method="wanda", calibrate=[str(data)], data=[str(data)])
    assert answer["zeros"] == pytest.approx(0.5, abs=0.01)
    assert _prune(model, tmp_path / "pattern", method="magnitude", sparsity="2:4")["zeros"] == 0.5
    answer = _prune(model, tmp_path / "cut", layers=2, heads=2, width=40, calibrate=[str(data)], data=[str(data)])
    assert answer["parameters"]["after"] < answer["parameters"]["before"]
    assert not answer["native"]
    for name in ("sparse", "cut"):
        stated = json.loads((tmp_path / name / "config.json").read_text())
        before = json.loads((model / "config.json").read_text())
        assert stated["model_type"] == before["model_type"]
        assert stated["bos_token_id"] == before["bos_token_id"]
    transformers = pytest.importorskip("transformers")
    ids = torch.randint(0, 300, (2, 12), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "cut")(ids).logits
        torch.testing.assert_close(interop.load(tmp_path / "cut")(ids), theirs, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"bits": 4, "method": "gptq"}, "nothing is given to calibrate on"), ({"inputs": "static"}, "nothing is given"),
        ({"bits": 3}, "3 bits"), ({"bits": 4, "group": 48}, "groups of 48"), ({"method": "awq"}, "is of 4 bits"),
        ({"bits": 4, "inputs": "static"}, "stay as they are"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(gpt: tuple[Path, Path], tmp_path: Path, given: Any, match: str) -> None:
    with pytest.raises(InputError, match=match):
        _quantize(gpt[0], tmp_path / "small", **given)
    assert not (tmp_path / "small").exists()


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({}, "nothing is named"), ({"method": "wanda", "layers": 1}, "both single weights and whole parts"),
        ({"method": "wanda"}, "nothing is given to calibrate on"), ({"sparsity": "half"}, "no share"),
        ({"sparsity": "2:4", "within": "model"}, "leave it out"), ({"layers": 2}, "nothing is given"),
        ({"method": "magnitude", "overrides": ["budget.epochs=1"]}, "--set is of a training"),
    ],
)  # fmt: skip
def test_prunings_that_cannot_be_meant_are_refused(
    gpt: tuple[Path, Path], tmp_path: Path, given: Any, match: str
) -> None:
    with pytest.raises(InputError, match=match):
        _prune(gpt[0], tmp_path / "small", **given)
    assert not (tmp_path / "small").exists()


@pytest.mark.parametrize("content", ["", "\n\n", '{"text": ""}\n', '{"text": "   "}\n'])
def test_empty_calibration_text_is_refused_in_a_line(gpt: tuple[Path, Path], tmp_path: Path, content: str) -> None:
    file = tmp_path / "empty.jsonl"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(InputError) as refused:
        _quantize(gpt[0], tmp_path / "small", bits=4, method="gptq", calibrate=[str(file)])
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "small").exists()


def test_pickled_weights_are_refused(gpt: tuple[Path, Path], tmp_path: Path) -> None:
    folder = tmp_path / "old"
    folder.mkdir()
    for name in ("config.json", "tokenizer.json"):
        (folder / name).write_bytes((gpt[0] / name).read_bytes())
    torch.save({}, folder / "pytorch_model.bin")
    with pytest.raises(InputError, match="pickle"):
        _quantize(folder, tmp_path / "small")
    assert not (tmp_path / "small").exists()


def test_a_full_disk_leaves_nothing_behind(
    gpt: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(writing, "write_tensors", full)
    with pytest.raises(WorkError, match="the disk is full"):
        _quantize(gpt[0], tmp_path / "small")
    assert list(tmp_path.iterdir()) == []


def test_other_families_are_compressed_too(tmp_path: Path) -> None:
    """An encoder without a task, which is calibrated on text."""
    from assay.models.encoder import bert
    from assay.models.interop.directory import write_directory
    from assay.tokens.learn import train_tokenizer
    from assay.tokens.tokenizer import Encoder

    encoder = Encoder(train_tokenizer(TEXTS, 420))
    write_directory(tmp_path / "bert", awake(bert(encoder.vocabulary, 2, 32, 4, max_length=32)), encoder.content,
                    card="# bert")  # fmt: skip
    data = texts(tmp_path / "texts.jsonl")
    answer = _quantize(tmp_path / "bert", tmp_path / "small", bits=4, method="gptq", calibrate=[str(data)])
    assert answer["kind"] == "hidden"
    assert quantized.of(interop.load(tmp_path / "small")) is not None
    cut = _prune(tmp_path / "bert", tmp_path / "cut", layers=1, width=64, calibrate=[str(data)])
    assert not cut["native"]
    with pytest.raises(InputError, match="no scores"):
        _quantize(tmp_path / "bert", tmp_path / "judged", data=[str(data)])
    assert not (tmp_path / "judged").exists()
