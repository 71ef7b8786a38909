"""`assay eval`: every token of a text is predicted once, as transformers would, with an interval over documents."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from assay import front
from assay.errors import InputError
from assay.metrics.ratio import Ratio
from assay.models import interop
from assay.models.ngram import KneserNey
from assay.models.protocol import Model
from assay.models.recurrent import Recurrent
from assay.tokens.tokenizer import Encoder
from assay.train.evaluate import Documents, Evaluation
from assay.train.predict import Predictor
from trainings import corpus, train

T = 16


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return corpus(tmp_path_factory.mktemp("texts") / "own")


@pytest.fixture(scope="module")
def held_out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Documents of one character, a few, and many windows; two sources; Chinese."""
    folder = tmp_path_factory.mktemp("held")
    rows = {"short": ["a", "春夏秋冬", "some words"], "long": ["word and word again, " * 9, "数据与模型，" * 20]}
    for name, own in rows.items():
        lines = "\n".join(json.dumps({"text": text}, ensure_ascii=False) for text in own)
        (folder / f"{name}.jsonl").write_text(lines + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def folder(texts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GPT's model directory."""
    return Path(train("gpt", texts, tmp_path_factory.mktemp("gpt") / "run")["checkpoint"])


def evaluate(capsys: pytest.CaptureFixture[str], model: Path, *texts: Path, **more: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"words": [], "window": None, "stride": None, "device": "auto", "level": 0.95,
                             **more}  # fmt: skip
    front.evaluate(model=model, sources=[str(path) for path in texts], reading={}, language="en", as_json=True, **given)
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def documents(folder: Path) -> list[str]:
    return [
        json.loads(line)["text"]
        for path in sorted(folder.glob("*.jsonl"))
        for line in path.read_text(encoding="utf-8").splitlines()
    ]


@torch.no_grad()
def by_transformers(folder: Path, text: str, window: int, stride: int) -> tuple[float, int]:
    """Summed loss and number of tokens, the way of Hugging Face's page on perplexity."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    ids = torch.tensor([0, *Encoder.load(folder).encode([text])[0].tolist()])
    nll, counted = 0.0, 0
    for begin in range(0, len(ids) - 1, stride):
        inputs, targets = ids[begin : begin + window], ids[begin + 1 : begin + window + 1]
        logits = model(inputs[None, : len(targets)]).logits[0]
        losses = torch.nn.functional.cross_entropy(logits, targets, reduction="none")
        new = losses[counted - begin :]
        nll, counted = nll + float(new.double().sum()), counted + len(new)
        if counted == len(ids) - 1:
            break
    return nll, counted


@pytest.mark.parametrize(("window", "stride"), [(None, None), (16, 16), (16, 3), (8, 8)])
def test_perplexity_is_that_of_transformers(
    window: int | None,
    stride: int | None,
    folder: Path,
    held_out: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = evaluate(capsys, folder, held_out, window=window, stride=stride)
    expected = [by_transformers(folder, text, window or T, stride or T // 2) for text in documents(held_out)]
    nll, tokens = (np.array(column, dtype=float) for column in zip(*expected, strict=True))
    loss = nll.sum() / tokens.sum()
    assert found["n"] == len(expected)
    assert found["metrics"]["loss"]["value"] == pytest.approx(loss, rel=1e-5)
    assert found["metrics"]["perplexity"]["value"] == pytest.approx(math.exp(loss), rel=1e-4)
    n_bytes = np.array([len(text.encode()) for text in documents(held_out)], dtype=float)
    bits = found["metrics"]["bits_per_byte"]
    assert bits["value"] == pytest.approx(nll.sum() / n_bytes.sum() / math.log(2), rel=1e-5)
    assert bits["interval"] == pytest.approx(Ratio.of(nll / math.log(2), n_bytes).interval(0.95), rel=1e-4)
    assert f"window={window or T} stride={stride or T // 2}" in bits["signature"]
    assert set(found["sources"]) == {"long", "short"}


def test_a_state_that_is_carried_sees_documents_whole_whatever_the_window(
    texts: Path, held_out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(train("lstm-carried", texts, tmp_path / "run")["checkpoint"])
    model, encoder = interop.load(folder), Encoder.load(folder)
    assert isinstance(model, Recurrent) and model.config.carried
    nll, tokens = [], 0
    for text in documents(held_out):
        ids = torch.tensor([0, *encoder.encode([text])[0].tolist()])
        with torch.no_grad():
            logits = model(ids[None, :-1])[0].double()
        nll.append(float(torch.nn.functional.cross_entropy(logits, ids[1:], reduction="sum")))
        tokens += len(ids) - 1
    assert max(len(text) for text in documents(held_out)) > 3 * 16
    for window in (None, 16, 3):
        found = evaluate(capsys, folder, held_out, window=window)
        assert found["metrics"]["loss"]["value"] == pytest.approx(sum(nll) / tokens, rel=1e-5)
        assert found["metrics"]["loss"]["signature"].startswith("state=carried ")
        assert found["n"] == len(nll)
    losses = Predictor.load(folder).losses(documents(held_out))  # as curation asks
    np.testing.assert_allclose(losses.nats, nll, rtol=1e-5)
    for more in ({"stride": 8}, {"window": -2}):
        with pytest.raises(InputError, match=r"--(window|stride)"):
            evaluate(capsys, folder, held_out, **more)


def test_an_n_gram_model_is_evaluated_alike(
    texts: Path, held_out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(train("ngram", texts, tmp_path / "run", steps=None)["checkpoint"])
    model, encoder = KneserNey.load(folder / "ngram.safetensors"), Encoder.load(folder)
    found = evaluate(capsys, folder, held_out)
    nll = tokens = 0.0
    for text in documents(held_out):
        ids = encoder.encode([text])[0].astype(np.int64)
        nll -= model.log_probabilities(np.concatenate([[0], ids])).sum()
        tokens += len(ids)
    assert found["metrics"]["loss"]["value"] == pytest.approx(nll / tokens)


def test_word_vectors_are_asked_words(texts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = ("vectors.min_count=2", "vectors.epochs=1")
    folder = Path(train("word2vec", texts, tmp_path / "run", *settings, steps=None)["checkpoint"])
    words = (folder / "words.txt").read_text(encoding="utf-8").split("\n")
    pairs = tmp_path / "pairs.tsv"
    pairs.write_text("".join(f"{words[i]}\t{words[i + 1]}\t{i}\n" for i in range(8)), encoding="utf-8")
    found = evaluate(capsys, folder, words=[pairs])
    (result,) = found["results"]
    assert (result["n"], result["n_known"], result["kind"]) == (8, 8, "similarity")
    assert -1 <= result["value"] <= 1


def test_it_is_computed_where_it_is_asked_for(
    folder: Path, held_out: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A GPU that PyTorch is told of is used by auto; this machine then says that it has none after all."""
    honest, asked = Documents.evaluate, []

    def noted(self: Documents, model: Model, device: str = "cpu") -> Evaluation:
        asked.append(device)
        return honest(self, model.to("cpu"), "cpu")  # type: ignore[attr-defined]

    monkeypatch.setattr(Documents, "evaluate", noted)
    monkeypatch.setattr(torch.nn.Module, "to", lambda self, device: self)
    found = [evaluate(capsys, folder, held_out, device="cpu")]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    found += [evaluate(capsys, folder, held_out, device=device) for device in ("auto", "cuda:1")]
    assert asked == ["cpu", "cuda", "cuda:1"]
    assert found[0] == found[1] == found[2]
    with pytest.raises(InputError, match=r"--device: GPU 2 is asked for, and they are numbered from 0 to 1"):
        evaluate(capsys, folder, held_out, device="cuda:2")


def test_a_device_that_is_not_there_is_told_as_in_training(
    folder: Path, held_out: Path, texts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for wanted in ("tpu", "meta", "cuda:x", *(() if torch.cuda.is_available() else ("cuda", "cuda:0"))):
        with pytest.raises(InputError) as by_eval:
            evaluate(capsys, folder, held_out, device=wanted)
        with pytest.raises(InputError) as by_train:
            train("gpt", texts, tmp_path / "run", f"train.device={wanted}")
        assert by_eval.value.line() == by_train.value.line().replace("train.device", "--device")
        assert "give" in by_eval.value.remedy


def test_what_cannot_be_evaluated_is_refused(
    texts: Path, folder: Path, held_out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InputError, match=r"neither text nor a word test"):
        evaluate(capsys, tmp_path)
    with pytest.raises(InputError, match=r"config.json"):
        evaluate(capsys, tmp_path, held_out)
    encoder = Path(train("bert", texts, tmp_path / "bert")["checkpoint"])
    with pytest.raises(InputError, match="predicts no next token"):
        evaluate(capsys, encoder, held_out)
    for more in ({"window": 17}, {"stride": 17}, {"window": 8, "stride": 9}):
        with pytest.raises(InputError, match=r"--(window|stride)"):
            evaluate(capsys, folder, held_out, **more)
    empty = tmp_path / "empty.jsonl"
    empty.write_text("", encoding="utf-8")
    with pytest.raises(InputError, match="empty file"):
        evaluate(capsys, folder, empty)
