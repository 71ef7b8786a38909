"""`assay finetune`, `predict`, `eval` of tasks and `eval compare`: through the front door, in this process."""

from __future__ import annotations

import contextlib
import io
import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import assay
from assay import front
from assay.errors import InputError
from labelled import questions, reviews, sentences, write
from tunings import CNN, SMALL, evaluated, finetune, said


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for name, made in (("reviews", reviews), ("names", sentences), ("places", questions)):
        for part, (n, seed) in {"train": (160, 0), "dev": (40, 1), "test": (60, 2)}.items():
            write(folder / f"{name}.{part}.jsonl", made(n, seed))
    return folder


@pytest.fixture(scope="module")
def sentiment(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "sentiment"
    answer = finetune("sentiment", [str(data / "reviews")], out, *CNN, model="textcnn")
    assert answer["metrics"]["accuracy"]["value"] > 0.95
    assert answer["task"] == "classification"
    assert answer["examples"] == {"train": 160, "dev": 40, "test": 60}
    return out


@pytest.mark.parametrize(
    ("task", "name", "model", "options", "score", "least"),
    [
        ("classification", "reviews", "bert", ("budget.epochs=10", "tune.rate=2e-3"), "accuracy", 0.9),
        ("classification", "reviews", "bilstm", ("budget.epochs=10",), "accuracy", 0.9),
        ("classification", "reviews", "standard", ("budget.epochs=10",), "accuracy", 0.9),
        ("ner", "names", "bilstm", ("budget.epochs=8", "model.crf=true", "model.width=48"), "micro_f1", 0.9),
        ("ner", "names", "modern", ("budget.epochs=10",), "micro_f1", 0.9),
        ("qa", "places", "bert", ("budget.epochs=2", "task.stride=8"), "f1", 0.0),
    ],
)
def test_models_of_every_kind_learn_tasks(
    data: Path, tmp_path: Path, task: str, name: str, model: str, options: tuple[str, ...], score: str, least: float
) -> None:
    answer = finetune(task, [str(data / name)], tmp_path / "run", *options, model=model)
    found = answer["metrics"][score]
    assert found["value"] >= least
    assert found["interval"][0] <= found["value"] <= found["interval"][1]
    assert "bootstrap" in found["signature"]
    lines = (tmp_path / "run" / "answers.test.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == answer["n"] == 60


def _reversed(n: int, seed: int) -> list[dict[str, Any]]:
    rng = random.Random(seed)
    made = []
    for _ in range(n):
        words = rng.choices(["red", "blue", "山", "水", "two"], k=rng.randint(1, 2))
        made.append({"source": " ".join(words), "target": " ".join(reversed(words))})
    return made


@pytest.mark.parametrize("model", ["transformer", "standard"])
def test_models_learn_to_write(tmp_path: Path, model: str) -> None:
    for part, n in {"train": 200, "dev": 20, "test": 20}.items():
        write(tmp_path / f"d.{part}.jsonl", _reversed(n, n))
    answer = finetune("translation", [str(tmp_path / "d")], tmp_path / "run", "model.width=48", "budget.epochs=24",
                      "task.new=8", model=model)  # fmt: skip
    assert answer["metrics"]["chrf"]["value"] > 60
    assert answer["floor"]["test"]["metrics"]["chrf"]["value"] < answer["metrics"]["chrf"]["value"]
    ask = assay.pipeline("translation", model=tmp_path / "run")
    assert isinstance(ask({"source": "red 山"})["text"], str)
    found = evaluated(tmp_path / "run", tmp_path / "d.test.jsonl")
    assert found["metrics"]["chrf"] == answer["metrics"]["chrf"]


def test_a_model_learns_what_is_preferred_and_still_writes(tmp_path: Path) -> None:
    for part, n in {"train": 60, "dev": 16, "test": 16}.items():
        rows = [{"prompt": f"say {i} 说", "chosen": "yes 好", "rejected": "no 不"} for i in range(n)]
        write(tmp_path / f"p.{part}.jsonl", rows)
        write(tmp_path / f"c.{part}.jsonl", [{"instruction": r["prompt"], "output": r["rejected"]} for r in rows])
    finetune("instruction", [str(tmp_path / "c")], tmp_path / "first", "budget.epochs=3", "train.row_tokens=64",
             "task.new=8", model="standard")  # fmt: skip
    answer = finetune("preference", [str(tmp_path / "p")], tmp_path / "then", "budget.epochs=3", "train.row_tokens=64",
                      "tune.rate=0.003", model=str(tmp_path / "first" / "model"))  # fmt: skip
    assert answer["metrics"]["accuracy"]["value"] == 1.0
    assert answer["metrics"]["margin"]["value"] > 0
    assert "text" in assay.pipeline("chat", model=tmp_path / "then")("say 3 说")


def test_the_score_does_not_depend_on_how_many_are_asked_at_a_time(sentiment: Path, data: Path) -> None:
    found = [evaluated(sentiment, data / "reviews.test.jsonl", rows=rows)["metrics"] for rows in (1, 7, 64)]
    for name in ("accuracy", "macro_f1"):
        assert found[0][name] == found[1][name] == found[2][name]
    assert found[0]["log_loss"]["value"] == pytest.approx(found[2]["log_loss"]["value"], abs=1e-6)


def test_a_run_that_is_done_is_found_again_and_one_of_another_recipe_refused(sentiment: Path, data: Path) -> None:
    before = (sentiment / "result.json").stat().st_mtime_ns
    again = finetune("sentiment", [str(data / "reviews")], sentiment, *CNN, model="textcnn")
    assert (sentiment / "result.json").stat().st_mtime_ns == before
    assert again["metrics"]["accuracy"]["value"] > 0.95
    with pytest.raises(InputError, match="budget"):
        finetune("sentiment", [str(data / "reviews")], sentiment, "tune.rate=0.01", "budget.epochs=7", model="textcnn")


def test_a_run_that_was_cut_off_goes_on_to_the_same_weights(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from assay.train.run import Run

    options = ("budget.epochs=3", "keep.save_steps=7", "train.loaders=0")
    finetune("ner", [str(data / "names")], tmp_path / "whole", *options, model="bilstm")
    step = Run._on_step

    def cut(self: Run, number: int, *rest: Any) -> None:
        step(self, number, *rest)
        if number == 30:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Run, "_on_step", cut)
        with pytest.raises(Exception, match="stopped"):
            finetune("ner", [str(data / "names")], tmp_path / "cut", *options, model="bilstm")
    assert not (tmp_path / "cut" / "result.json").exists()
    finetune("ner", [str(data / "names")], tmp_path / "cut", *options, model="bilstm")
    whole, went_on = (load_file(tmp_path / run / "model" / "model.safetensors") for run in ("whole", "cut"))
    assert all(torch.equal(whole[name], went_on[name]) for name in whole)
    assert (tmp_path / "whole/answers.test.jsonl").read_bytes() == (tmp_path / "cut/answers.test.jsonl").read_bytes()


def test_it_begins_with_a_model_that_was_trained_before(sentiment: Path, data: Path, tmp_path: Path) -> None:
    first = finetune("classification", [str(data / "reviews")], tmp_path / "a", "budget.epochs=4")
    model = str(tmp_path / "a" / "model")
    frozen = finetune(
        "classification", [str(data / "reviews")], tmp_path / "b", "budget.epochs=1", "tune.frozen=[body.*]",
        model=model,
    )  # fmt: skip
    one, other = (load_file(tmp_path / run / "model" / "model.safetensors") for run in ("a", "b"))
    moved = {name for name in one if not torch.equal(one[name], other[name])}
    assert moved
    assert all(not name.startswith("body.") for name in moved)
    lora = finetune(
        "classification", [str(data / "reviews")], tmp_path / "c", "budget.epochs=2", "tune.lora=4", model=model
    )
    merged = load_file(tmp_path / "c" / "model" / "model.safetensors")
    assert merged.keys() == one.keys()
    changed = {name for name in one if not torch.equal(one[name], merged[name])}
    assert any(".blocks." in name for name in changed)
    assert "body.embedding" not in changed
    assert first["n"] == frozen["n"] == lora["n"]


def test_answers_from_python_from_files_and_as_a_page(sentiment: Path, data: Path, tmp_path: Path) -> None:
    ask = assay.pipeline("sentiment", model=sentiment)
    one = ask("the film was superb 喜欢")
    assert one["label"] == "pos"
    assert sum(one["probabilities"].values()) == pytest.approx(1.0)
    assert ask(["awful 讨厌", "great"])[0]["label"] == "neg"
    assert ask([]) == []
    with pytest.raises(InputError, match="trained for the task classification"):
        assay.pipeline("ner", model=sentiment)
    with pytest.raises(InputError, match="text is empty"):
        ask("  ")
    asked = {"sources": [str(data / "reviews.test.jsonl")], "fields": [], "on_error": "stop", "rows": 8}
    found = said(front.predict, model=sentiment, texts=["lovely"], out=tmp_path / "a.jsonl", asked=asked)
    rows = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text(encoding="utf-8").splitlines()]
    assert found["n"] == len(rows) == 61
    assert rows[0]["answer"]["label"] == "pos"
    assert rows[1]["where"].endswith("reviews.test.jsonl:1")
    said(front.predict, model=sentiment, texts=["<b>lovely</b> & 喜欢"], out=tmp_path / "a.html",
         asked={**asked, "sources": []})  # fmt: skip
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;lovely&lt;/b&gt; &amp; 喜欢" in page


def test_texts_go_to_the_model_of_their_language(data: Path, tmp_path: Path) -> None:
    for name, words in (("en", ("good film indeed", "bad film indeed")), ("zh", ("这部电影很好看", "这部电影不好看"))):
        rows = [{"text": f"{words[i % 2]} {i}", "label": f"{name}-{i % 2}"} for i in range(60)]
        write(tmp_path / f"{name}.jsonl", rows)
        finetune("sentiment", [str(tmp_path / f"{name}.jsonl")], tmp_path / name, "budget.steps=2", model="textcnn")
    ask = assay.pipeline("sentiment", model={"en": tmp_path / "en", "zh": tmp_path / "zh"})
    found = ask(["this was a good film and a long evening", "这部电影很好看，我非常喜欢", "123"])
    assert [one["label"][:2] for one in found] == ["en", "zh", "en"]
    assert found[1]["language"] == "zh"
    assert ask("这部电影很好看，我们都非常喜欢它")["label"].startswith("zh")


def test_two_systems_are_compared_on_the_same_examples(sentiment: Path, data: Path, tmp_path: Path) -> None:
    finetune("sentiment", [str(data / "reviews")], tmp_path / "poor", "budget.steps=1", model="bert")
    found = said(front.compare_answers, a=[sentiment, tmp_path / "poor"], b=[], task=None, paired=False, level=0.95)
    one = found["comparisons"]["accuracy"]
    assert one["verdict"] == "better"
    assert one["difference"] == pytest.approx(one["a"] - one["b"])
    from statsmodels.stats.contingency_tables import mcnemar

    only = found["mcnemar"]["only_a"], found["mcnemar"]["only_b"]
    oracle = mcnemar([[0, only[0]], [only[1], 0]], exact=found["mcnemar"]["method"] == "exact")
    assert found["mcnemar"]["p_value"] == pytest.approx(float(oracle.pvalue))
    assert only[0] - only[1] == round(one["difference"] * found["n"])
    same = said(front.compare_answers, a=[sentiment, sentiment], b=[], task=None, paired=False, level=0.95)
    assert same["comparisons"]["accuracy"]["verdict"] == "indistinguishable"
    assert same["comparisons"]["accuracy"]["p_value"] == 1.0
    answers = tmp_path / "dev.jsonl"
    evaluated(sentiment, data / "reviews.dev.jsonl", answers=answers)
    with pytest.raises(InputError, match="not answered the same examples"):
        said(front.compare_answers, a=[sentiment, answers], b=[], task=None, paired=False, level=0.95)


def test_answers_of_any_program_are_scored(data: Path, tmp_path: Path) -> None:
    gold = [json.loads(line) for line in (data / "reviews.test.jsonl").read_text(encoding="utf-8").splitlines()]
    write(tmp_path / "theirs.jsonl", [{"label": "pos"}] * len(gold))
    asked = {"sources": [str(data / "reviews.test.jsonl")], "fields": [], "on_error": "stop", "level": 0.95}
    found = said(front.score_answers, task="sentiment", options=[], answers=tmp_path / "theirs.jsonl", asked=asked)
    share = sum(row["label"] == "pos" for row in gold) / len(gold)
    assert found["metrics"]["accuracy"]["value"] == pytest.approx(share)
    write(tmp_path / "few.jsonl", [{"label": "pos"}] * 3)
    with pytest.raises(InputError, match="holds 3 answers, and there are 60 examples"):
        said(front.score_answers, task="sentiment", options=[], answers=tmp_path / "few.jsonl", asked=asked)
    write(tmp_path / "wrong.jsonl", [{"colour": "red"}] * len(gold))
    with pytest.raises(InputError, match="lacks 'label'"):
        said(front.score_answers, task="sentiment", options=[], answers=tmp_path / "wrong.jsonl", asked=asked)


def test_dev_is_cut_from_train_where_there_is_none(data: Path, tmp_path: Path) -> None:
    answer = finetune(
        "sentiment", [str(data / "reviews.train.jsonl")], tmp_path / "run", "budget.steps=2", model="textcnn"
    )
    assert answer["dev_cut_from_train"]
    assert answer["examples"] == {"train": 144, "dev": 16}


@pytest.mark.parametrize(
    ("rows", "options", "what"),
    [
        ([{"text": "a", "label": "x"}, {"text": "b"}], (), "does not say what is right"),
        ([{"text": "a", "label": "x"}, {"text": "", "label": "y"}], (), "text is empty"),
        ([{"body": "a", "label": "x"}], (), "has no field 'text'"),
        ([{"text": "a", "label": "x"}] * 9, (), "fewer than two different texts|all examples have the label"),
        ([{"text": f"a {i}", "label": i % 2} for i in range(9)], ("tune.frozen=[nothing]",), "name of no parameter"),
        ([{"text": f"a {i}", "label": i % 2} for i in range(9)], ("model.preset=marian",), "encoder-decoder writes"),
        ([{"text": f"a {i}", "label": i % 2} for i in range(9)], ("task.colour=red",), "has no option 'colour'"),
        ([{"text": f"a {i}", "label": i % 2} for i in range(9)], ("model.crf=true",), "crf"),
        ([{"text": f"a {i}", "label": i % 2} for i in range(9)], ("budget.seconds=9",), "a time says nothing"),
        (
            [{"text": f"a {i}", "label": i % 2} for i in range(9)],
            ("objective.z=0.1",),
            "changes nothing in fine-tuning",
        ),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(
    tmp_path: Path, rows: list[dict[str, Any]], options: tuple[str, ...], what: str
) -> None:
    write(tmp_path / "train.jsonl", rows)
    with pytest.raises(InputError, match=what) as told:
        finetune("classification", [str(tmp_path / "train.jsonl")], tmp_path / "run", *options)
    assert "\n" not in told.value.line()
    assert not (tmp_path / "run" / "model").exists()


def test_bad_rows_are_skipped_and_counted(data: Path, tmp_path: Path) -> None:
    write(tmp_path / "d.train.jsonl", [*reviews(60), {"text": "", "label": "pos"}, {"text": "no label"}])
    write(tmp_path / "d.test.jsonl", [*reviews(20, 5), {"text": "x", "label": "unheard"}])
    answer = finetune("sentiment", [str(tmp_path / "d")], tmp_path / "run", "budget.steps=2", "data.on_error=skip",
                      model="textcnn")  # fmt: skip
    assert answer["left_out"] == {
        "text is empty": 1, "does not say what is right": 1, "the label 'unheard' is not in the training text": 1,
    }  # fmt: skip
    assert answer["n"] == 20


def test_other_names_of_fields(tmp_path: Path) -> None:
    write(tmp_path / "d.jsonl", [{"sentence": r["text"], "y": r["label"]} for r in reviews(60)])
    answer = finetune(
        "sentiment", [str(tmp_path / "d.jsonl")], tmp_path / "run", "budget.steps=2", "task.text=sentence",
        "task.target=y", model="textcnn",
    )  # fmt: skip
    assert answer["examples"]["train"] + answer["examples"]["dev"] == 60
    assert assay.pipeline("sentiment", model=tmp_path / "run")("great")["label"] in ("pos", "neg")


def test_a_model_of_no_task_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no model of a task"):
        assay.pipeline("sentiment", model=tmp_path)


def test_seeds_and_settings_are_told_together(data: Path, tmp_path: Path) -> None:
    options = {"seeds": 2, "sweep": ["tune.rate=0.01,0.00001"]}
    with contextlib.redirect_stdout(io.StringIO()) as out:
        front.finetune(
            task="sentiment", data=[str(data / "reviews")], model="textcnn", out=tmp_path / "s", recipe=None,
            overrides=[*SMALL, "budget.epochs=4"], options={}, language="en", explain=False, as_json=True, **options,
        )  # fmt: skip
    answer = json.loads(out.getvalue())
    assert answer["setting"] == {"tune.rate": "0.01"}
    good, bad = answer["settings"]
    runs = [json.loads((Path(run) / "result.json").read_text(encoding="utf-8")) for run in good["runs"]]
    values = [run["metrics"]["accuracy"]["value"] for run in runs]
    assert good["metrics"]["accuracy"]["value"] == pytest.approx(sum(values) / 2)
    assert good["metrics"]["accuracy"]["seeds"] == 2
    low, high = good["metrics"]["accuracy"]["interval"]
    assert low <= sum(values) / 2 <= high
    assert bad["metrics"]["accuracy"]["value"] < good["metrics"]["accuracy"]["value"]
    assert bad["above_floor"]["verdict"] == "worse"
    assert bad["above_floor"]["seeds"] == [2, 2]
    with pytest.raises(InputError, match="varies nothing"):
        front.finetune(
            task="sentiment", data=[], model=None, out=tmp_path, recipe=None, overrides=[], options={}, language="en",
            explain=False, as_json=True, sweep=["tune.rate"],
        )  # fmt: skip
