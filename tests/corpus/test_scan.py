"""The whole room: stages are found again and resumed, equal input gives equal output."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from corpus_texts import chinese, english

from assay.corpus import scan as room
from assay.corpus.scan import Corpus, ReadOptions, SplitOptions, scan
from assay.errors import InputError
from assay.impact.results import SourceProfile
from assay.store import Store


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "texts"
    root.mkdir()
    for name, write in (("english", english), ("chinese", chinese)):
        rows = [{"text": write(i % 190, 400)} for i in range(200)]  # type: ignore[operator]
        lines = [json.dumps(row, ensure_ascii=False) for row in rows]
        (root / f"{name}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    (root / "README.md").write_text("about")
    return root


def scanned(folder: Path, store: Path, **options: object) -> Corpus:
    return scan([str(folder)], ReadOptions(**options), SplitOptions(), Store(store))  # type: ignore[arg-type]


def test_a_corpus_is_whole(folder: Path, tmp_path: Path) -> None:
    told: list[tuple[str, float, float]] = []
    store = Store(tmp_path / "store")
    corpus = scan([str(folder)], ReadOptions(), SplitOptions(), store, lambda *a: told.append(a))
    assert corpus.sources == ["chinese", "english"]
    assert corpus.skipped == [("README.md", {"en": "no data, by its name", "zh": "从文件名看不是数据"})]
    assert sum(row["documents"] for row in corpus.profile) == 400
    assert not [path for path in (tmp_path / "store").rglob("*") if path.name.startswith("tmp")]
    assert {stage for stage, _, _ in told} == {"documents", "signals", "duplicates"}
    assert all(0 <= done <= total for _, done, total in told)
    for row in corpus.profile:
        SourceProfile(**row)
        assert row["exact_duplicates"] == pytest.approx(0.05)
        assert 20 <= row["eval_documents"] <= 25 and 20 <= row["test_documents"] <= 25
    assert sum(row["share"] for row in corpus.profile) == pytest.approx(1)


def test_every_document_is_read_in_exactly_one_split(folder: Path, tmp_path: Path) -> None:
    corpus = scanned(folder, tmp_path / "store")
    seen: list[str] = []
    for name in ("train", "eval", "test", "dropped"):
        batches = list(corpus.read(name))
        rows = pa.Table.from_batches(batches).to_pylist() if batches else []
        assert all(row["split"] == name for row in rows)
        for source in corpus.sources:
            size = sum(row["n_bytes"] for row in rows if row["source"] == source)
            assert corpus.bytes(source, name) == size
        seen += [row["doc_id"] for row in rows]
    assert len(seen) == len(set(seen)) == 400


def test_a_share_of_a_source_is_stable_and_nested(folder: Path, tmp_path: Path) -> None:
    corpus = scanned(folder, tmp_path / "store")

    def ids(**below: float) -> set[str]:
        batches = corpus.read(columns=["doc_id"], below=below)
        return {i for batch in batches for i in batch.column("doc_id").to_pylist()}

    everything, half, tenth = ids(), ids(english=0.5), ids(english=0.1)
    assert tenth < half < everything
    english_ids = {
        i for b in corpus.read(columns=["doc_id"], sources=["english"]) for i in b.column("doc_id").to_pylist()
    }
    assert len(half & english_ids) == pytest.approx(len(english_ids) / 2, rel=0.3)
    assert everything - english_ids == half - english_ids


def test_columns_are_those_asked_for(folder: Path, tmp_path: Path) -> None:
    batch = next(scanned(folder, tmp_path / "store").read("eval", columns=["text", "split"]))
    assert batch.schema.names == ["text", "split"]
    assert pc.unique(batch.column("split")).to_pylist() == ["eval"]


def test_done_work_is_found_and_equal_work_is_equal(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = scanned(folder, tmp_path / "a")
    second = scanned(folder, tmp_path / "b")
    assert first.fingerprint == second.fingerprint
    assert first.profile == second.profile
    for artifact in ("documents", "signals", "duplicates", "splits"):
        files = [getattr(c, artifact).manifest["files"] for c in (first, second)]
        assert files[0] == files[1]
    monkeypatch.setattr(room, "_documents", pytest.fail)
    assert scanned(folder, tmp_path / "a").profile == first.profile


def test_a_run_that_was_cut_off_goes_on(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(room, "_splits", stopped)
        with pytest.raises(KeyboardInterrupt):
            scanned(folder, tmp_path / "store")
    with monkeypatch.context() as patched:
        patched.setattr(room, "_documents", pytest.fail)
        assert sum(row["documents"] for row in scanned(folder, tmp_path / "store").profile) == 400
    assert not list((tmp_path / "store").glob("*/.staging*"))


def test_damage_is_repaired(folder: Path, tmp_path: Path) -> None:
    first = scanned(folder, tmp_path / "store")
    part = first.documents.files(".parquet")[0]
    part.write_bytes(part.read_bytes()[:-10])
    assert scanned(folder, tmp_path / "store").fingerprint == first.fingerprint


def test_broken_rows_are_counted_and_told(folder: Path, tmp_path: Path) -> None:
    with (folder / "english.jsonl").open("a") as file:
        file.write('\n{"text": \n{"no": 1}\n')
    with pytest.raises(InputError):
        scanned(folder, tmp_path / "store")
    assert not list((tmp_path / "store").rglob("*.parquet"))
    corpus = scanned(folder, tmp_path / "store", on_error="skip")
    assert (corpus.bad_rows, corpus.bad_files) == (2, 0)
    (folder / "half.parquet").write_bytes(b"PAR1")
    corpus = scanned(folder, tmp_path / "store", on_error="skip")
    assert (corpus.bad_rows, corpus.bad_files) == (2, 1)
    (notice,) = [notice for notice in corpus.notices if "english.jsonl:201" in notice["zh"]]
    assert "broken JSON" in notice["en"]
    assert "--on-error" not in notice["en"] + notice["zh"]


def test_what_a_study_writes_below_its_sources_is_not_read(folder: Path, tmp_path: Path) -> None:
    first = scanned(folder, tmp_path / "store")
    (folder / "out").mkdir()
    (folder / "out" / "results.json").write_text('{"text": "what was found"}')
    again = scan([str(folder)], ReadOptions(), SplitOptions(), Store(tmp_path / "store"), without=folder / "out")
    assert again.fingerprint == first.fingerprint
    assert [origin for origin, _ in again.skipped] == ["README.md", "out"]


def test_declared_test_text_is_never_trained_on(tmp_path: Path) -> None:
    for source, write in (("news", english), ("law", chinese)):
        for name, begin in (("train", 0), ("test", 500)):
            path = tmp_path / "s" / source / name / "a.jsonl"
            path.parent.mkdir(parents=True)
            rows = [json.dumps({"text": write(begin + i, 400)}) + "\n" for i in range(100)]  # type: ignore[operator]
            path.write_text("".join(rows))
    corpus = scanned(tmp_path / "s", tmp_path / "store")
    assert corpus.sources == ["law", "news"]
    origins = {o for b in corpus.read("train", ["origin"]) for o in b.column("origin").to_pylist()}
    assert origins == {"law/train/a.jsonl", "news/train/a.jsonl"}


def test_what_does_not_fit_in_memory_spills_into_the_stage(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    connect = duckdb.connect

    def noted(*args: Any, config: dict[str, str], **more: Any) -> Any:
        asked.append(config["temp_directory"])
        return connect(*args, config=config, **more)

    monkeypatch.setattr("duckdb.connect", noted)
    scanned(folder, tmp_path / "store")
    stages = [Path(place).relative_to(tmp_path / "store").parts[0] for place in asked]
    assert sorted(stages) == ["duplicates", "profile"]


def test_nothing_but_empty_documents_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": " "}\n')
    with pytest.raises(InputError, match="no documents"):
        scanned(tmp_path, tmp_path / "store")


@pytest.mark.parametrize(("name", "language"), [("mix-en", "en"), ("mix-zh", "zh")])
def test_real_mixtures(name: str, language: str, shared: Callable[[str], Path], tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    for path in sorted(shared(name).glob("*.valid.jsonl.zst")):  # under names that declare nothing
        (tmp_path / "texts" / path.name.replace(".valid", "")).symlink_to(path)
    corpus = scanned(tmp_path / "texts", tmp_path / "store", source_field="domain")
    assert len(corpus.sources) == len(list((tmp_path / "texts").iterdir()))
    main = [max(row["languages"], key=row["languages"].__getitem__) for row in corpus.profile]
    assert main == [language] * len(main)
    assert sum(row["eval_documents"] for row in corpus.profile) > 100
