"""Models to go on from: what a recipe may say of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from assay.errors import InputError
from assay.models import interop
from assay.train.predict import Predictor
from trainings import train


@pytest.fixture(scope="module")
def encoder(texts: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(train("bert", texts, tmp_path_factory.mktemp("start") / "bert")["checkpoint"])


@pytest.fixture(scope="module")
def decoder(texts: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(train("gpt", texts, tmp_path_factory.mktemp("start") / "gpt")["checkpoint"])


def test_a_model_of_another_kind_is_refused_before_a_text_is_read(encoder: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"kind encoder, and the recipe is for standard"):
        train("gpt", tmp_path / "no such text", tmp_path / "run", f"model.path={encoder}")


def test_a_model_of_both_ways_is_no_start_for_a_language_model(texts: Path, tmp_path: Path) -> None:
    path = train("bilstm", texts, tmp_path / "first")["checkpoint"]
    with pytest.raises(InputError, match=r"reads both ways, and .* reads forwards .*both_ways: true"):
        train("lstm", tmp_path / "no such text", tmp_path / "run", f"model.path={path}")
    with pytest.raises(InputError, match="predicts no next token"):
        Predictor.load(Path(path))


def test_an_encoder_without_a_head_is_refused(encoder: str, texts: Path, tmp_path: Path) -> None:
    from assay.models.build import build

    model = interop.load(Path(encoder))
    bare = build(type(model.config)(**{**model.config.__dict__, "head": False}), None)
    interop.save(bare, tmp_path / "bare")
    (tmp_path / "bare" / "tokenizer.json").write_bytes((Path(encoder) / "tokenizer.json").read_bytes())
    with pytest.raises(InputError, match="no head"):
        train("bert", texts, tmp_path / "run", f"model.path={tmp_path / 'bare'}")


def test_dropout_and_other_fields_are_taken_over(decoder: str, texts: Path, tmp_path: Path) -> None:
    path = decoder
    for dropout in (0.25, 0.0):  # the second goes on from the first
        more = (f"model.dropout={dropout}", "model.more={window: 4}")
        path = train("gpt", texts, tmp_path / str(dropout), f"model.path={path}", *more)["checkpoint"]
        block = interop.load(Path(path)).config.block
        assert (block.dropout, block.window) == (dropout, 4)


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("model.more={mlp_width: 40}", "of shape"),
        ("model.more={nonsense: 1}", "has no nonsense"),
        ("model.vectors=somewhere", "input layer"),
    ],
)
def test_what_the_weights_do_not_allow_is_refused(
    decoder: str, texts: Path, tmp_path: Path, setting: str, told: str
) -> None:
    with pytest.raises(InputError, match=told):
        train("gpt", texts, tmp_path / "run", f"model.path={decoder}", setting)
