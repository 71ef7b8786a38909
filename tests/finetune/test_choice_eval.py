"""`assay eval MODEL FILE --task choice` and `exact`, through the front door: scores, shots, contamination."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from asked import AGIEVAL, BLIMP, CMMLU, DEV, GENERIC, LAMBADA, OPEN, PIQA, model
from assay import cli, front
from assay.errors import InputError
from assay.finetune import contamination
from assay.present.progress import Progress
from command import write_texts
from labelled import write
from trainings import train


def evaluated(folder: Path, *files: Path, options: tuple[str, ...] = (), task: str = "choice", **more: Any) -> Any:
    """The answer of `--json`, or what is printed."""
    given = {"window": None, "as_json": True, "language": "en", "reading": {}}
    given |= {name: more.pop(name) for name in list(given) if name in more}
    of_task = {
        "answers": None,
        "format": None,
        "fields": [],
        "rows": 32,
        "task": task,
        "options": list(options),
        **more,
    }
    with contextlib.redirect_stdout(io.StringIO()) as said:
        front.evaluate(
            model=folder, sources=[str(f) for f in files], words=[], stride=None, device="cpu", level=0.95,
            of_task=of_task, perplexity=False, **given,
        )  # fmt: skip
    return json.loads(said.getvalue()) if given["as_json"] else said.getvalue()


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model(tmp_path_factory.mktemp("models") / "gpt2")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("data")
    sets = {"piqa": PIQA, "blimp": BLIMP, "lambada": LAMBADA, "cmmlu": CMMLU, "dev": DEV, "agieval": AGIEVAL,
            "generic": GENERIC[:5], "open": OPEN}  # fmt: skip
    return {name: write(folder / f"{name}.jsonl", rows) for name, rows in sets.items()}


@pytest.mark.parametrize("name", ["piqa", "blimp", "lambada", "cmmlu", "agieval", "generic"])
def test_every_set_is_scored_with_intervals_at_any_batch_size(
    gpt2: Path, files: dict[str, Path], tmp_path: Path, name: str
) -> None:
    found, scores = [], []
    for rows in (1, 7, 64):
        out = tmp_path / f"{rows}.jsonl"
        found.append(evaluated(gpt2, files[name], rows=rows, answers=out))
        lines = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
        scores.append([score for line in lines for score in line["answer"]["log_probabilities"]])
    assert scores[0] == pytest.approx(scores[1], abs=1e-5)
    assert scores[0] == pytest.approx(scores[2], abs=1e-5)
    one = found[0]["metrics"]["acc"]
    assert one == found[1]["metrics"]["acc"] == found[2]["metrics"]["acc"]
    assert one["interval"][0] <= one["value"] <= one["interval"][1]
    assert "bootstrap" in one["signature"]
    assert found[0]["n"] == found[0]["contamination"].get("items", found[0]["n"])


def test_shots_of_a_file_stand_before_the_item(gpt2: Path, files: dict[str, Path]) -> None:
    options = ("shots=2", f"dev={files['dev']}", "seed=null", "ask=texts")
    found = evaluated(gpt2, files["cmmlu"], options=options)["prompts"]
    assert found["first"] == (
        "问题：agronomy的第0题是什么\n答案：一\n\n问题：agronomy的第1题是什么\n答案：二\n\n问题：蜜蜂酿造什么\n答案："
    )
    assert found["shots_cut"] == 0
    narrow = evaluated(gpt2, files["cmmlu"], options=options, window=24)
    assert narrow["prompts"]["shots_cut"] == 3
    assert any("farthest shots are left out" in notice["en"] for notice in narrow["notices"])


def test_two_models_are_compared_on_their_answers(gpt2: Path, files: dict[str, Path], tmp_path: Path) -> None:
    other = model(tmp_path / "lstm", "lstm")
    outs = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    found = [evaluated(folder, files["blimp"], answers=out) for folder, out in zip((gpt2, other), outs, strict=True)]
    with contextlib.redirect_stdout(io.StringIO()) as said:
        front.compare_answers(a=outs, b=[], task=None, paired=False, level=0.95, language="en", as_json=True)
    compared = json.loads(said.getvalue())["comparisons"]
    values = [one["metrics"]["acc"]["value"] for one in found]
    assert (compared["acc"]["a"], compared["acc"]["b"]) == tuple(values)
    assert "macro_acc" in compared


def test_answers_of_other_programs_are_scored(files: dict[str, Path], tmp_path: Path) -> None:
    def scored(*answers: Any) -> Any:
        theirs = write(tmp_path / "theirs.jsonl", [{"choice": answer} for answer in answers])
        with contextlib.redirect_stdout(io.StringIO()) as said:
            front.score_answers(
                task="choice", options=[], answers=theirs, asked={"sources": [str(files["cmmlu"])]}, language="en",
                as_json=True,
            )  # fmt: skip
        return json.loads(said.getvalue())["metrics"]["acc"]["value"]

    assert scored("B", "C", "D") == pytest.approx(2 / 3)
    with pytest.raises(InputError, match="none of the choices"):
        scored("B", "C", "F")


def test_bad_rows_stop_or_are_counted(gpt2: Path, tmp_path: Path) -> None:
    rows = [*GENERIC[:2], {"question": "What?", "choices": ["a", "b"], "answer": "c"}]
    bad = write(tmp_path / "bad.jsonl", rows)
    with pytest.raises(InputError, match=r"bad\.jsonl:3: the answer is none of the choices"):
        evaluated(gpt2, bad)
    found = evaluated(gpt2, bad, reading={"on_error": "skip"})
    assert (found["n"], sum(found["left_out"].values())) == (2, 1)
    blank = write(tmp_path / "blank.jsonl", [{"question": "What?", "choices": ["a", "b"]}])
    with pytest.raises(InputError, match="no example says what is right"):
        evaluated(gpt2, blank)


@pytest.mark.parametrize(
    ("task", "options", "what"),
    [
        ("classification", (), "wants a model that was trained for it"),
        ("nothing", (), "there is no task"),
        ("choice", ("shotz=3",), "no option 'shotz'"),
        ("choice", ("shots=many",), "shots"),
        ("choice", ("shots",), "is no name=value"),
        ("choice", ("shots=2",), "besides the item"),
    ],
)
def test_what_cannot_be_asked_is_told_in_one_line(
    gpt2: Path, files: dict[str, Path], task: str, options: tuple[str, ...], what: str
) -> None:
    with pytest.raises(InputError, match=what):
        evaluated(gpt2, files["agieval"], task=task, options=options)


def test_options_of_tasks_want_a_task(gpt2: Path, files: dict[str, Path]) -> None:
    with pytest.raises(InputError, match="--task choice"):
        evaluated(gpt2, files["piqa"], task=None, options=("shots=2",))


def test_encoder_decoders_choose_but_score_no_whole_sentences(files: dict[str, Path], tmp_path: Path) -> None:
    t5 = model(tmp_path / "t5", "t5")
    assert evaluated(t5, files["cmmlu"])["n"] == 3
    with pytest.raises(InputError, match="encoder-decoder"):
        evaluated(t5, files["blimp"])


def test_written_answers_are_matched(gpt2: Path, files: dict[str, Path]) -> None:
    found = evaluated(gpt2, files["open"], task="exact", options=("shots=1", "by_subject=false", "most=4"))
    assert found["metrics"]["exact_match"]["n"] == 3
    assert "macro_exact_match" in found["metrics"]


def test_the_command_line_names_the_task(
    gpt2: Path, files: dict[str, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["assay", "eval", gpt2, files["cmmlu"], "--task", "choice", "--option", "ask=letters", "--lang", "zh"]
    monkeypatch.setattr(sys, "argv", list(map(str, command)))
    with pytest.raises(SystemExit) as end:
        cli.main()
    said = capsys.readouterr()
    assert not end.value.code
    assert "随机猜测的得分为 0.25" in said.out
    assert "未检查题目是否出现在训练文本中" in said.err


# The training text

LEAKED = "the old farmer keeps seven swarms of bees behind the red barn and sells their honey at the market on"
CHINESE = "老农民在红色谷仓后面养了七群蜜蜂每逢星期天到集市上卖蜂蜜给过路的人"
ITEMS = [
    {"text": f"{LEAKED} sundays"},
    {"text": "nobody has ever written that a purple submarine sings under the frozen lake of our quiet village"},
    {"text": CHINESE},
    {"question": "Who keeps bees?", "choices": ["farmers", "cats"], "answer": 0},
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a training whose text holds two of the items."""
    folder = tmp_path_factory.mktemp("trained")
    texts = write_texts(folder / "texts", documents=40)
    write(texts / "leaks.jsonl", [{"text": f"{i}: {LEAKED} sundays, they say.\n{CHINESE}。"} for i in range(40)])
    train("ngram", texts, folder / "run", steps=None)
    return folder


def test_items_in_the_training_text_are_counted_and_scored_apart(trained: Path, tmp_path: Path) -> None:
    items = write(tmp_path / "items.jsonl", ITEMS)
    found = evaluated(trained / "run" / "model", items)
    told = found["contamination"]
    assert (told["checked"], told["items"], told["contaminated"]) == (True, 4, 2)
    assert (told["clean"]["n"], told["dirty"]["n"]) == (2, 2)
    assert told["dirty"]["metrics"]["perplexity"]["value"] < told["clean"]["metrics"]["perplexity"]["value"]
    assert any("2 of 4 items" in notice["en"] for notice in found["notices"])
    said = evaluated(trained / "run" / "model", items, as_json=False)
    assert "Without contaminated ones" in said


def test_the_training_text_can_be_named(trained: Path, gpt2: Path, tmp_path: Path) -> None:
    items = write(tmp_path / "items.jsonl", ITEMS)
    for named in (trained / "run", trained / "texts"):
        found = evaluated(gpt2, items, train_corpus=[str(named)])["contamination"]
        assert (found["checked"], found["contaminated"]) == (True, 2)
    unknown = evaluated(gpt2, items)
    assert unknown["contamination"] == {"checked": False}
    assert any("--train-corpus" in notice["en"] for notice in unknown["notices"])
    with pytest.raises(InputError):
        evaluated(gpt2, items, train_corpus=[str(tmp_path / "nothing")])


def test_held_out_text_is_no_training_text(trained: Path) -> None:
    """Every document of the corpus as an item: exactly those of the training split are found whole."""
    from assay.corpus import documents

    run = trained / "run"
    corpus = contamination._stored(
        contamination.Store(run / "artifacts"), json.loads((run / "training.json").read_text())["settled"]["corpus"]
    )
    assert corpus is not None
    texts = [
        text for b in documents.read(corpus.documents.files(".parquet"), ["text"]) for text in b["text"].to_pylist()
    ]
    with Progress(quiet=True) as progress:
        found = contamination.searched(texts, run / "model", [], progress)
    assert isinstance(found, contamination.Found)
    assert found.documents == corpus.splits.summary["documents"]["train"] < len(texts)


# Real sets


@pytest.mark.parametrize(
    ("name", "n", "chance"),
    [("piqa.valid", 1838, 0.5), ("blimp", 34000, 0.5), ("cmmlu.test", 5664, 0.25), ("cmmlu.dev", 170, 0.25),
     ("agieval", 2267, 0.2388), ("lambada.test", 5153, None)],
)  # fmt: skip
def test_published_sets_are_read_without_configuration(
    shared: Callable[[str], Path], name: str, n: int, chance: float | None
) -> None:
    from assay.finetune.judging import Asked, read
    from assay.tasks import choice

    task = choice.Choice()
    found, left_out, _ = read(task, Asked([str(shared("eval-lm") / f"{name}.jsonl.zst")]))
    assert (len(found), left_out) == (n, {})
    assert all(e.wanted is not None for e in found)
    told = choice.chance(found)
    assert told == (None if chance is None else pytest.approx(chance, abs=1e-4))


def test_bbh_is_written_or_chosen(shared: Callable[[str], Path]) -> None:
    from assay.finetune.judging import Asked, read
    from assay.tasks.choice import Choice
    from assay.tasks.exact import Exact

    path = str(shared("eval-lm") / "bbh.jsonl.zst")
    assert len(read(Exact(), Asked([path]))[0]) == 3500
    chosen, left_out, _ = read(Choice(), Asked([path], on_error="skip"))
    assert len(chosen) + sum(left_out.values()) == 3500
    assert set(left_out) == {"has no choices"}
    assert len({e.given["subject"] for e in chosen}) >= 8
