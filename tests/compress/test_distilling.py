"""Students: losses against the formula, what they begin as, what a teacher says of texts, runs that end alike."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional

from assay import front
from assay.compress.training import spaced
from assay.errors import InputError
from assay.models.build import build
from assay.models.distilled import DistilledConfig
from assay.models.heads import HeadConfig
from assay.models.protocol import Penalties
from assay.recipe.finetune import DistillRecipe
from assay.store import Store
from assay.tasks.opened import Opened
from assay.tokens.tokenizer import Encoder
from compressed import CONFIGS, TEXTS, awake, batch, language_model, texts
from labelled import reviews, sentences, write
from tunings import CNN, finetune, said

TAUGHT = Penalties(taught=0.7, temperature=2.0, hidden=0.3)


@pytest.mark.parametrize("kind", ["class", "labels", "value", "tags", "span", "vector"])
def test_what_a_head_is_taught_is_the_formula_of_its_kind(kind: Any) -> None:
    outputs = {"class": 3, "labels": 3, "value": 1, "tags": 4, "span": 2, "vector": 8}[kind]
    config = replace(CONFIGS["headed"], head=HeadConfig(kind, outputs, dropout=0.0))
    model, given = awake(config), batch("headed", rows=4)
    generator = torch.Generator().manual_seed(3)
    whole = kind not in ("tags", "span")
    marks = torch.rand(given.inputs_BT.shape, generator=generator) < 0.6
    targets = {
        "class": torch.tensor([[0], [2], [1], [-1]]), "labels": torch.tensor([[0, 1, 1]] * 4),
        "value": torch.zeros(4, 1, dtype=torch.int64), "vector": torch.zeros(4, 1, dtype=torch.int64),
        "tags": torch.where(marks, 2, -1), "span": torch.tensor([[0, 3]] * 4),
    }[kind]  # fmt: skip
    given = replace(given, targets_BT=targets, marks_BT=marks if kind == "tags" else None,
                    values_BN=torch.ones(4, 1) if kind == "value" else None)  # fmt: skip
    length = 1 if whole else given.inputs_BT.shape[1]
    width = 32 if kind == "vector" else outputs
    theirs = torch.randn(4, length, width, generator=generator)
    states = torch.randn(4, length, 32, generator=generator)
    plain = model.loss(given)
    loss = model.loss(replace(given, taught_BNL=theirs, states_BND=states), TAUGHT)
    x, found = model.read(given), model(given)
    own, found = (x[:, None], found[:, None]) if whole else (x, found)
    assert torch.equal(loss.losses_BT, plain.losses_BT)

    def kl(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
        return (p * (p.log() - q.log())).sum(-1)

    match kind:
        case "class" | "tags":
            apart = 4 * kl((theirs / 2).softmax(-1), (found / 2).softmax(-1))
        case "span":
            apart = 4 * kl((theirs / 2).softmax(1).transpose(1, 2), (found / 2).softmax(1).transpose(1, 2))
        case "labels":
            p, q = (theirs / 2).sigmoid(), (found / 2).sigmoid()
            apart = 4 * (p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()).sum(-1)
        case _:
            apart = (theirs - found).square().sum(-1)
    far = (own - states).square().mean(-1) / states.var()
    if kind == "tags":
        apart, far = apart[marks], far[marks]
    wanted = 0.3 * plain.mean + 0.7 * apart.mean() + 0.3 * far.mean()
    torch.testing.assert_close(loss.mean, wanted, atol=1e-5, rtol=1e-4)
    assert torch.equal(model.loss(replace(given, taught_BNL=theirs)).mean, plain.mean)  # evaluation asks for labels


@pytest.mark.parametrize("name", ["standard", "bert", "transformer", "proxy"])
def test_a_language_model_is_taught_by_the_formula(name: str) -> None:
    config = CONFIGS[name]
    both = build(DistilledConfig(config, config), torch.Generator().manual_seed(0))
    with torch.no_grad():
        for seed, side in enumerate((both.student, both.teacher)):  # type: ignore[union-attr]
            for mine, theirs in zip(side.parameters(), awake(config, seed).parameters(), strict=True):
                mine.copy_(theirs)
    both.eval()
    given = batch(name)
    if name == "bert":
        given = replace(given, targets_BT=torch.where(torch.arange(12) % 3 == 0, given.targets_BT, -1))
    loss = both.loss(given, TAUGHT)
    call = (lambda m: m(given.source_BS, given.inputs_BT)) if name == "transformer" else (lambda m: m(given.inputs_BT))
    mine, theirs = call(both.student), call(both.teacher).detach()  # type: ignore[union-attr]
    wanted_BT = given.targets_BT >= 0
    mine, theirs, targets = mine[wanted_BT], theirs[wanted_BT], given.targets_BT[wanted_BT]
    p = (theirs / 2).softmax(-1)
    apart = 4 * (p * (p.log() - (mine / 2).log_softmax(-1))).sum(-1).mean()
    wanted = 0.3 * functional.cross_entropy(mine, targets) + 0.7 * apart
    torch.testing.assert_close(loss.mean, wanted, atol=1e-4, rtol=1e-4)
    loss.mean.backward()
    gradient = dict(both.student.named_parameters())["embedding"].grad.clone()  # type: ignore[union-attr]
    both.zero_grad()
    wanted.backward()
    torch.testing.assert_close(gradient, both.student.embedding.grad, atol=1e-5, rtol=1e-3)  # type: ignore[union-attr]
    assert all(parameter.grad is None for parameter in both.teacher.parameters())  # type: ignore[union-attr]
    assert torch.equal(both.loss(given).mean, both.student.loss(given).mean)  # type: ignore[union-attr]


def test_layers_of_a_student_are_evenly_spaced_up_to_the_last() -> None:
    assert spaced(6, 2) == [2, 5]
    assert spaced(6, 3) == [1, 3, 5]
    assert spaced(12, 4) == [2, 5, 8, 11]
    assert spaced(6, 6) == list(range(6))
    assert spaced(6, (0, 5)) == [0, 5]
    for asked in (0, 7, (6,), ()):
        with pytest.raises(InputError, match="the teacher has 6 layers"):
            spaced(6, asked)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The run of a classifier of two layers, and the folder of its data."""
    folder = tmp_path_factory.mktemp("teacher")
    data = folder / "reviews"
    for seed, (part, n) in enumerate({"train": 120, "dev": 40, "test": 40}.items()):
        write(data / f"{part}.jsonl", reviews(n, seed))
    finetune("classification", [str(data)], folder / "run", "model.layers=2", "budget.epochs=6", "tune.rate=3e-3",
             "floor=false")  # fmt: skip
    return folder / "run", data


def _distilled(teacher: Path, data: Path, out: Path, *overrides: str, **more: Any) -> Any:
    asked = {"share": None, "temperature": None, "hidden": None, "unlabelled": (), "copies": None}
    training = {"dev": (), "test": (), "epochs": 2.0, "rate": 1e-3, "seed": 0}
    given: dict[str, Any] = {
        "layers": "1",
        "student": None,
        **{k: v for k, v in more.items() if k in ("layers", "student")},
    }
    return said(
        front.compress_distill, teacher=teacher, out=out, data=[str(data)], **given,
        taught=asked | {k: v for k, v in more.items() if k in asked},
        training=training | {k: v for k, v in more.items() if k in training}, recipe=None,
        overrides=["train.batch_rows=8", *overrides], measure=False, threads=1,
    )  # fmt: skip


def test_a_student_begins_as_its_teachers_layers_and_head_and_ends_the_same_again(
    teacher: tuple[Path, Path], tmp_path: Path
) -> None:
    run, data = teacher
    answer = _distilled(run, data, tmp_path / "a", copies=1, hidden=0.1)
    whole, start = (load_file(f / "model.safetensors") for f in (run / "model", tmp_path / "a" / "start"))
    assert torch.equal(start["body.blocks.0.mlp.up.weight"], whole["body.blocks.1.mlp.up.weight"])
    assert torch.equal(start["output.weight"], whole["output.weight"])
    assert answer["what"] == "distill"
    assert answer["layers"] == [1]
    assert answer["parameters"]["after_inside"] < answer["parameters"]["before_inside"]
    assert answer["scores"]["n"] == 40
    assert answer["scores"]["part"] == "test"
    assert {"assay_version", "fingerprint", "found"} <= answer.keys()
    opened = Opened.load(tmp_path / "a")
    assert len(opened.model.body.blocks) == 1  # type: ignore[union-attr]
    assert (tmp_path / "a" / "model" / "compress.json").is_file()
    assert "学生" in (tmp_path / "a" / "model" / "README.md").read_text(encoding="utf-8")
    _distilled(run, data, tmp_path / "b", copies=1, hidden=0.1)
    both = [load_file(tmp_path / name / "model" / "model.safetensors") for name in "ab"]
    assert all(torch.equal(both[0][name], both[1][name]) for name in both[0])
    assert _distilled(run, data, tmp_path / "a", copies=1, hidden=0.1)["found"]


def test_a_teacher_says_of_texts_without_labels_what_it_says_when_asked(
    teacher: tuple[Path, Path], tmp_path: Path
) -> None:
    from assay.finetune.teaching import Teacher

    run, _ = teacher
    more = write(tmp_path / "more.jsonl", [{"text": row["text"]} for row in reviews(12, 9)])
    opened = Opened.load(run)
    train = [opened.task.read(row, str(i)) for i, row in enumerate(reviews(10, 5))]
    recipe = DistillRecipe(teacher=str(run), unlabelled=(str(more),), copies=2, drop=0.5, hidden=1.0)
    taught = Teacher.of(recipe, opened.task, "cpu", 0, Store(tmp_path / "store"))
    examples, items = taught.taught(opened.task, train, opened.coder, 16)  # type: ignore[arg-type]
    assert examples[:10] == train
    assert 22 < len(examples) <= 42
    assert len(items) == len(examples)
    answers = opened.answers(examples)
    for item, example, answer in zip(items, examples, answers, strict=True):
        logits = torch.from_numpy(item.taught[0])  # type: ignore[index]
        chances = dict(zip(opened.task.labels, logits.softmax(0).tolist(), strict=True))  # type: ignore[attr-defined]
        assert chances == pytest.approx(answer["probabilities"], abs=1e-5)
        label = example.wanted or answer["label"]
        assert opened.task.labels[int(item.targets[0])] == label  # type: ignore[attr-defined]
        assert item.states.shape == (1, 16)  # type: ignore[union-attr]
    wider = taught.taught(opened.task, train, opened.coder, 20)[1]  # type: ignore[arg-type]
    assert (wider[0].states[:, 16:] == 0).all()  # type: ignore[index]
    narrow = taught.taught(opened.task, train, opened.coder, 8)[1]  # type: ignore[arg-type]
    whole, short = (torch.from_numpy(own[3].states - own[4].states) for own in (items, narrow))  # type: ignore[operator]
    assert short.norm() <= whole.norm() * 1.0001


def test_tags_are_taught_word_by_word(tmp_path: Path) -> None:
    data = tmp_path / "names"
    for seed, (part, n) in enumerate({"train": 60, "dev": 20}.items()):
        write(data / f"{part}.jsonl", sentences(n, seed))
    finetune("tagging", [str(data)], tmp_path / "run", "model.layers=2", "budget.epochs=1", "floor=false")
    more = write(tmp_path / "more.jsonl", [{"tokens": row["tokens"]} for row in sentences(10, 7)])
    answer = _distilled(tmp_path / "run", data, tmp_path / "small", unlabelled=(str(more),), epochs=1.0)
    assert answer["scores"]["best"] == "micro_f1"
    assert answer["task"] == "tagging"


def test_what_is_written_is_learned_from_what_the_teacher_writes(tmp_path: Path) -> None:
    """Sequence-level: of a translator, the targets are the teacher's."""
    from assay.finetune.teaching import Teacher

    rows = [{"source": f"一 {i} a b", "target": f"b a {i}"} for i in range(40)]
    for part, own in {"train": rows[:32], "dev": rows[32:]}.items():
        write(tmp_path / "pairs" / f"{part}.jsonl", own)
    finetune("translation", [str(tmp_path / "pairs")], tmp_path / "run", "budget.epochs=4", "tune.rate=1e-2",
             "task.beams=1", "task.new=6", model="transformer")  # fmt: skip
    opened = Opened.load(tmp_path / "run")
    train = [opened.task.read(row, "") for row in rows[:5]]
    taught = Teacher.of(DistillRecipe(teacher=str(tmp_path / "run")), opened.task, "cpu", 0, Store(tmp_path / "store"))
    written = [answer["text"] for answer in opened.answers(train)]
    found = [e.wanted for e in taught.wrote(train)]
    assert found == [text or e.wanted for text, e in zip(written, train, strict=True)]
    answer = _distilled(tmp_path / "run", tmp_path / "pairs", tmp_path / "small", epochs=1.0)
    assert answer["what"] == "distill"
    assert answer["scores"]["best"] == "bleu"
    with pytest.raises(InputError, match="copies changes nothing where the teacher writes"):
        _distilled(tmp_path / "run", tmp_path / "pairs", tmp_path / "other", copies=2)


def test_a_language_model_teaches_on_text(tmp_path: Path) -> None:
    """And the student is nearer to it afterwards than it was when it began."""
    teacher = language_model(tmp_path / "teacher")
    data = texts(tmp_path / "texts.jsonl", TEXTS * 2)
    answer = _distilled(teacher, data, tmp_path / "small", "budget.steps=30", "train.row_tokens=16",
                        "keep.eval_tokens=300", "optimizer.matrix_lr=0.01", "optimizer.embedding_lr=0.01",
                        "optimizer.head_lr=0.01", "train.dtype=float32", layers="2", epochs=None, rate=None,
                        share=1.0, test=(str(data),))  # fmt: skip
    assert answer["scores"]["best"] == "perplexity"
    from assay.models import interop

    vocabulary = Encoder.load(teacher).vocabulary
    ids = torch.randint(0, vocabulary, (8, 16), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        theirs, begun, ended = (
            interop.load(f)(ids).log_softmax(-1)
            for f in (teacher, tmp_path / "small" / "start", tmp_path / "small" / "model")
        )
    apart = [float((theirs.exp() * (theirs - own)).sum(-1).mean()) for own in (begun, ended)]
    assert apart[1] < 0.8 * apart[0]
    names = load_file(tmp_path / "small" / "model" / "model.safetensors")
    assert not any("teacher" in name for name in names)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"layers": "9"}, "the teacher has 2 layers"), ({"layers": "two"}, "no numbers of layers"),
        ({"layers": None}, "nothing says what the student is"), ({"share": 2.0}, "share"),
        ({"layers": None, "student": "missing"}, "holds no model|no model directory"),
    ],
)  # fmt: skip
def test_bad_input_leaves_nothing_behind(
    teacher: tuple[Path, Path], tmp_path: Path, change: dict[str, Any], match: str
) -> None:
    if "student" in change:
        change = change | {"student": tmp_path / "missing"}
    with pytest.raises(InputError, match=match):
        _distilled(*teacher, tmp_path / "out", **change)
    assert not (tmp_path / "out").exists()


def test_a_teacher_of_other_labels_is_refused(teacher: tuple[Path, Path], tmp_path: Path) -> None:
    rows = [{"text": row["text"], "label": row["label"] + "!"} for row in reviews(60)]
    data = write(tmp_path / "other.jsonl", rows)
    with pytest.raises(InputError, match="has the labels neg, pos, and the examples have neg!, pos!"):
        _distilled(teacher[0], data, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(InputError, match="changes nothing"):
        finetune("classification", [str(data)], tmp_path / "alone", *CNN, "distill.copies=2")


def test_a_pruned_model_is_trained_on_and_its_zeros_stay(teacher: tuple[Path, Path], tmp_path: Path) -> None:
    run, data = teacher
    answer = said(
        front.compress_prune, model=run, out=tmp_path / "half", method="magnitude", sparsity="0.5", within=None,
        parts={"layers": None, "heads": None, "width": None}, shown={"calibrate": [], "rows": 8, "seed": 0},
        retrain=[str(data)], overrides=["budget.epochs=1"], judged={"data": [], "measure": False, "threads": 1},
    )  # fmt: skip
    assert answer["zeros"] == pytest.approx(0.5, abs=0.01)
    found = load_file(tmp_path / "half" / "model" / "model.safetensors")
    begun = load_file(tmp_path / "half" / "start" / "model.safetensors")
    blocks = [name for name in found if ".blocks." in name and found[name].dim() == 2]
    for name in blocks:
        assert torch.equal(found[name] == 0, begun[name] == 0)
        assert not torch.equal(found[name], begun[name])
    stated = json.loads((tmp_path / "half" / "model" / "compress.json").read_text(encoding="utf-8"))
    assert stated["scores"]["n"] == 40
