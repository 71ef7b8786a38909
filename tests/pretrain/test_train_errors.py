"""What goes wrong is told in one line, with what to do, and nothing is lost."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from assay.errors import AssayError, InputError, WorkError
from assay.models import interop
from assay.models.decoder import Decoder
from assay.models.vectors import load as load_vectors
from assay.tokens.tokenizer import Encoder
from trainings import train


def one_line(error: AssayError, code: int, *parts: str) -> None:
    assert error.exit_code == code
    assert "\n" not in error.line()
    for part in parts:
        assert part in error.line(), error.line()


@pytest.mark.parametrize(
    ("recipe", "settings", "parts"),
    [
        ("gpt", ("train.device=cuda",), ("train.device", "GPU")),
        ("ngram", ("train.device=cuda",), ("train.device", "GPU")),
        ("word2vec", ("train.device=tpu",), ("train.device", "tpu")),
        ("gpt", ("train.device=tpu",), ("train.device", "tpu")),
        ("gpt", ("train.dtype=float8",), ("train.dtype", "8-bit", "bfloat16")),
        ("gpt", ("keep.emissions=Chn",), ("keep.emissions",)),
        ("gpt", ("objective.kind=masked",), ("objective.kind", "causal")),
        ("bert", ("objective.kind=causal",), ("objective.kind", "masked")),
        ("bilstm", ("objective.kind=causal",), ("lstm that reads both ways", "objective.kind", "give masked")),
        ("lstm", ("objective.kind=masked",), ("objective.kind", "give causal")),
        ("bilstm", ("model.more={both_ways: true, hidden: 7, tied: false}",), ("model.more", "even")),
        ("gpt", ("train.carry_state=true",), ("train.carry_state", "standard has no state", "lstm, gru or rnn")),
        ("bilstm", ("train.carry_state=true",), ("train.carry_state", "lstm that reads both ways has no state")),
        ("lstm", ("train.carry_state=true", "train.shorter=[[0.5, 2]]"), ("shorter does not go with carry_state",)),
        ("word2vec", ("train.carry_state=true",), ("train.carry_state", "word2vec has no state")),
        ("gpt", ("data.only=[poems]",), ("poems", "letters")),
        ("gpt", ("data.weights={poems: 1}",), ("poems",)),
        ("gpt", ("model.more={kv_head: 1}",), ("model.more", "kv_head", "kv_heads")),
        ("gpt", ("model.more={max_length: 8}",), ("train.row_tokens", "8 positions")),
        ("gpt", ("model.more={vocabulary: 100}", "train.dtype=auto"), ("model.more", "420 ids", "100")),
        ("gpt", ("model.more={activation: xyz}",), ("model.more", "activation", "'silu'")),
        ("gpt", ("model.heads=3",), ("model.heads", "16")),
        ("gpt", ("model.more={kv_heads: 3}", "model.heads=4"), ("kv_heads",)),
        ("gpt", ("train.shorter=[[0.5, 3]]",), ("train.shorter", "divisor")),
        ("gpt", ("train.row_tokens=200000",), ("train.row_tokens", "shorter rows")),
        ("gpt", ("tokenizer.path=nowhere/tokenizer.json",), ("nowhere", "tokenizer.json")),
        ("gpt", ("model.path=nowhere",), ("nowhere", "config.json")),
        ("gpt", ("model.vectors=nowhere",), ("nowhere",)),
        ("gpt", ("train.base_width=64",), ("train.base_width",)),
        ("lstm", ("train.checkpointing=true",), ("checkpointing",)),
        ("gpt", ("tokenizer.lower=true",), ("lower does not go with the kind bpe", "word or wordpiece")),
        ("bert", ("tokenizer.kind=wordpiece", "tokenizer.spaces=true"), ("spaces", "give word as its kind")),
        ("word2vec", ("vectors.min_count=1000000",), ("min_count",)),
        ("word2vec", ("vectors.shortest=4", "vectors.longest=3"), ("longest is 3 and shortest 4",)),
    ],
)  # fmt: skip
def test_bad_input_is_refused_and_leaves_no_model(
    recipe: str,
    settings: tuple[str, ...],
    parts: tuple[str, ...],
    texts: Path,
    tmp_path: Path,
) -> None:
    with pytest.raises(InputError) as caught:
        train(recipe, texts, tmp_path / "run", *settings, steps=None if recipe in ("word2vec", "ngram") else 6)
    one_line(caught.value, 2, *parts)
    assert not (tmp_path / "run" / "model").exists()
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_a_loss_that_is_no_number_names_the_documents_and_keeps_the_checkpoint(
    texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest, calls = Decoder.loss, [0]

    def burst(self: Decoder, *given: object) -> object:
        found = honest(self, *given)  # type: ignore[arg-type]
        calls[0] += self.training
        return found if calls[0] < 9 else found._replace(mean=found.mean * float("nan"))

    monkeypatch.setattr(Decoder, "loss", burst)
    out = tmp_path / "run"
    with pytest.raises(WorkError) as caught:
        train("gpt", texts, out, "keep.save_steps=3", steps=12)
    one_line(caught.value, 1, "step 8", "not a number", "the newest checkpoint is whole", "learning rates")
    documents = {json.loads(line)["text"] for path in texts.glob("*.jsonl") for line in path.open(encoding="utf-8")}
    assert documents
    assert any(f"{source}: " in caught.value.line() for source in ("letters", "numbers", "zh"))
    assert [path.name for path in sorted((out / "checkpoints").glob("*"))] == ["step-000000003", "step-000000006"]


def test_rates_beyond_all_bounds_end_in_one_line(texts: Path, tmp_path: Path) -> None:
    rates = [f"optimizer.{role}_lr=1e6" for role in ("matrix", "embedding", "head", "vector")]
    with pytest.raises(WorkError) as caught:
        train("gpt", texts, tmp_path / "run", "optimizer.matrix=sgd", "optimizer.rest=sgd", *rates)
    one_line(caught.value, 1, "not a number", "step ", "learning rates")
    assert "NaN" not in (tmp_path / "run" / "metrics.jsonl").read_text(encoding="utf-8")


def test_held_out_text_without_a_loss_ends_the_run(
    texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = Decoder.loss

    def burst(self: Decoder, *given: object) -> object:
        found = honest(self, *given)  # type: ignore[arg-type]
        return found if self.training else found._replace(losses_BT=found.losses_BT * float("nan"))

    monkeypatch.setattr(Decoder, "loss", burst)
    with pytest.raises(WorkError) as caught:
        train("gpt", texts, tmp_path / "run")
    one_line(caught.value, 1, "held-out text is not a number", "learning rates")
    assert not (tmp_path / "run" / "best").exists()


def test_memory_that_does_not_suffice_is_told_with_what_fits(
    texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = Decoder.loss

    def limited(self: Decoder, *given: object) -> object:
        if self.training and len(given[0].inputs_BT) > 1:  # type: ignore[attr-defined]
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 7 PiB")
        return honest(self, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(Decoder, "loss", limited)
    with pytest.raises(WorkError) as caught:
        train("gpt", texts, tmp_path / "run")
    one_line(caught.value, 1, "4 rows at a time do not fit", "train.micro_rows=1 fits")
    train("gpt", texts, tmp_path / "other", "train.micro_rows=1")


def test_word_vectors_are_an_input_layer_and_of_its_width(texts: Path, tmp_path: Path) -> None:
    learn = ("vectors.min_count=2", "vectors.epochs=1")
    made = train("word2vec", texts, tmp_path / "vectors", *learn, steps=None)
    still = ("optimizer.embedding_lr=1e-12", f"model.vectors={made['checkpoint']}", "tokenizer.kind=word")
    answer = train("gpt", texts, tmp_path / "with", *still, "tokenizer.min_count=1")
    model, vectors = interop.load(Path(answer["checkpoint"])), load_vectors(Path(made["checkpoint"]))
    encoder = Encoder.load(Path(answer["checkpoint"]))
    own = {encoder.decode(np.array([i])): row for i, row in enumerate(model.get_parameter("embedding").detach())}
    known = [word for word in vectors.words if word in own]
    assert len(known) > 20
    for word in known:
        given = torch.from_numpy(vectors.vector(word))
        assert torch.nn.functional.cosine_similarity(own[word], given, dim=0) > 0.999
    with pytest.raises(InputError, match="width"):
        train("gpt", texts, tmp_path / "wide", *still, "model.width=32")


def test_a_tokenizer_larger_than_the_head_is_refused(texts: Path, tmp_path: Path) -> None:
    small = train("gpt", texts, tmp_path / "small")
    large = train("gpt", texts, tmp_path / "large", "tokenizer.vocabulary=500")
    path, other = f"model.path={small['checkpoint']}", f"tokenizer.path={large['checkpoint']}"

    def refused(*settings: str) -> AssayError:
        with pytest.raises(InputError) as caught:
            train("gpt", texts, tmp_path / "run", *settings)
        return caught.value

    one_line(refused(path, other), 2, "500 ids", "420 ids", "tokenizer.path")
    (Path(small["checkpoint"]) / "tokenizer.json").unlink()
    one_line(refused(path), 2, "no tokenizer.json", "tokenizer.path")
    one_line(refused(path, other), 2, "500 ids", "420 rows", "tokenizer.path")
