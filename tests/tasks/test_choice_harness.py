"""Our models in lm-evaluation-harness: its scores of a task that both have are ours. Skipped where it is not there."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from asked import BLIMP, LAMBADA, PIQA, model
from assay.errors import InputError
from assay.metrics.scores import value_of
from assay.tasks.choice import Choice
from assay.tasks.language import LanguageModel
from assay.tasks.prompting import Shots
from labelled import write


def test_without_it_the_remedy_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lm_eval", None)
    monkeypatch.delitem(sys.modules, "assay.tasks.harness", raising=False)
    with pytest.raises(InputError, match=r"assay\[harness\]"):
        import assay.tasks.harness  # noqa: F401


@pytest.fixture(scope="module")
def harness() -> Any:
    pytest.importorskip("lm_eval", reason="needs lm-evaluation-harness: the extra `harness`")
    from assay.tasks import harness

    return harness


def _task(folder: Path, name: str, rows: list[dict[str, Any]], more: dict[str, Any]) -> None:
    import json

    data = write(folder / f"{name}.jsonl", rows)
    told = {
        "task": f"own_{name}", "dataset_path": "json", "dataset_kwargs": {"data_files": {"validation": str(data)}},
        "validation_split": "validation", **more,
    }  # fmt: skip
    (folder / f"{name}.yaml").write_text(json.dumps(told), encoding="utf-8")  # JSON is YAML


def _ours(language: LanguageModel, rows: list[dict[str, Any]]) -> dict[str, float | None]:
    task = Choice()
    items = [task.read(row, str(i)) for i, row in enumerate(rows)]
    shots = Shots(task, [])
    encoded = language.encoded([shots.prompt(e) for e in items], [task.continuations(e) for e in items])
    said = language.scored(encoded, greedy=True)
    return value_of(task.measure(items, [task.said_of(e, own) for e, own in zip(encoded, said, strict=True)]))


@pytest.mark.parametrize("name", ["gpt2", "ngram"])
def test_scores_of_a_task_that_both_have_are_equal(
    harness: Any, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import lm_eval
    from lm_eval.tasks import TaskManager

    for variable in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
        monkeypatch.setenv(variable, "1")
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    several = {"output_type": "multiple_choice", "metric_list": [{"metric": m} for m in ("acc", "acc_norm")]}
    _task(
        tmp_path,
        "piqa",
        PIQA,
        several
        | {"doc_to_text": "Question: {{goal}}\nAnswer:", "doc_to_target": "label", "doc_to_choice": "{{[sol1, sol2]}}"},
    )
    _task(
        tmp_path,
        "blimp",
        BLIMP,
        several
        | {
            "doc_to_text": "",
            "doc_to_target": 0,
            "target_delimiter": "",
            "doc_to_choice": "{{[sentence_good, sentence_bad]}}",
        },
    )
    _task(tmp_path, "lambada", LAMBADA[:1], {
        "output_type": "loglikelihood", "doc_to_text": "{{text.split(' ')[:-1]|join(' ')}}",
        "doc_to_target": "{{' '+text.split(' ')[-1]}}",
        "metric_list": [{"metric": "perplexity", "aggregation": "perplexity"}, {"metric": "acc"}]})  # fmt: skip
    folder = model(tmp_path / name, name)
    found = lm_eval.simple_evaluate(
        model=harness.Harnessed(folder), tasks=["own_piqa", "own_blimp", "own_lambada"], bootstrap_iters=0,
        task_manager=TaskManager(include_path=str(tmp_path), include_defaults=False),
    )["results"]  # fmt: skip
    language = LanguageModel.load(folder)
    for own, rows in (("piqa", PIQA), ("blimp", BLIMP), ("lambada", LAMBADA[:1])):
        ours = _ours(language, rows)
        for metric in ("acc", "acc_norm", "perplexity"):
            if f"{metric},none" in found[f"own_{own}"]:
                assert found[f"own_{own}"][f"{metric},none"] == pytest.approx(ours[metric], rel=1e-5)


class _Asked:
    def __init__(self, *args: Any) -> None:
        self.args = args


def test_rolling_is_the_loss_of_the_whole_text_and_generation_stops(harness: Any, tmp_path: Path) -> None:
    folder = model(tmp_path / "ngram", "ngram")
    one = harness.Harnessed(folder)
    text = "The cats sleep on the warm mat."
    from assay.train.predict import Predictor

    nats = Predictor.load(folder).losses([text]).nats[0]
    assert one.loglikelihood_rolling([_Asked(text), _Asked("")]) == [pytest.approx(-nats), 0.0]
    asked = [_Asked("The following are multiple", {"until": [" ("], "max_gen_toks": 9})]
    assert one.generate_until(asked) == [" choice questions"]
    with pytest.raises(InputError, match="drawn"):
        one.generate_until([_Asked("The", {"do_sample": True})])
    (both,) = one.loglikelihood([_Asked("The following are multiple", " choice")])
    assert both[0] < 0
    assert both[1]
