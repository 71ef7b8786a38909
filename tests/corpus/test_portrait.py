"""What is said of a corpus as a whole is what counting by hand says, in whatever order its files are."""

from __future__ import annotations

import itertools
import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from corpus_texts import chinese, english
from portrait_corpus import scanned

from assay.corpus.cleaning import personal, select
from assay.corpus.cleaning.rules import PACKS
from assay.corpus.portrait import copies, draw, figures, packs, table
from assay.corpus.portrait.table import Scanned

TRADITIONAL = "這是一個關於臺灣經濟發展與國際貿易關係的報導，內容討論產業轉型問題。" * 4
CODE = "def f(x):\n    return x + 1\n\nfor i in range(10):\n    print(f(i))\n" * 5


@pytest.fixture(scope="module")
def rows() -> list[tuple[str, str, int]]:
    """(text, source, cluster)"""
    draw_ = random.Random(4)
    made = []
    for i in range(60):
        source = draw_.choice("abc")
        text = chinese(i, draw_.randint(20, 400)) if i % 3 == 0 else english(i, draw_.randint(5, 300))
        made.append((text, source, draw_.randint(0, 30)))
    return [*made, (TRADITIONAL, "c", 100), (CODE, "a", 101), (CODE, "b", 101), ("", "b", 102)]


@pytest.fixture(scope="module")
def corpus(rows: list[tuple[str, str, int]], tmp_path_factory: pytest.TempPathFactory) -> Scanned:
    return scanned(tmp_path_factory.mktemp("corpus"), *zip(*rows, strict=True))


def told(corpus: Scanned) -> tuple[dict[str, Any], dict[str, Any], list[table.Group], pl.DataFrame]:
    corpus.scratch.joinpath("corpus.duckdb").unlink(missing_ok=True)
    with table.opened(corpus) as (connection, groups):
        n = len(groups)
        return figures.figures(connection, groups), copies.copies(connection, n), groups, draw.drawn(connection, n)


def joined(corpus: Scanned) -> pl.DataFrame:
    frame = pl.concat(
        [pl.read_parquet(list(corpus.texts)), pl.read_parquet(list(corpus.signals)).drop("doc_id")], how="horizontal"
    )
    return frame.join(pl.read_parquet(list(corpus.twins)), on="doc_id")


def test_amounts_and_quantiles_are_those_of_counting(corpus: Scanned) -> None:
    found, _, groups, _ = told(corpus)
    frame = joined(corpus)
    sizes = [sum(frame.filter(source=group.name)["n_bytes"]) for group in groups]
    assert sizes == sorted(sizes, reverse=True)
    for own, rows in [(found["all"], frame), *((f, frame.filter(source=f["name"])) for f in found["sources"])]:
        assert own["documents"] == len(rows)
        assert own["bytes"] == rows["n_bytes"].sum()
        assert own["near_copies"] == rows["is_near_duplicate"].sum()
        assert own["short"] == (rows["n_chars"] < 200).sum()
        assert own["code"] == (rows["code_lines"] >= 0.5).sum()
        assert own["chinese"] == rows["traditional"].drop_nulls().len()
        values = sorted(rows["n_chars"])
        expected = [values[max(math.ceil(q * len(values)) - 1, 0)] for q in figures.QUANTILES]
        assert own["lengths"]["quantiles"] == expected
        for bin_, count in own["lengths"]["bins"]:
            if bin_ >= 0:
                low, high = 10 ** (bin_ / figures.BINS), 10 ** ((bin_ + 1) / figures.BINS)
                assert count == sum(low <= n < high for n in values)
        assert sum(count for _, count in own["lengths"]["bins"]) == len(rows)
        assert sum(own["languages"].values()) == sum(own["scripts"].values()) == len(rows)
    assert sum(f["share"] for f in found["sources"]) == pytest.approx(1)
    assert found["all"]["traditional"] == 1
    assert found["all"]["code"] == 2


def test_clusters_and_overlap_are_those_of_brute_force(corpus: Scanned, rows: list[tuple[str, str, int]]) -> None:
    _, found, groups, _ = told(corpus)
    number = {group.name: g for g, group in enumerate(groups)}
    members: dict[int, list[int]] = {}
    for _, source, cluster in rows:
        members.setdefault(cluster, []).append(number[source])
    several = [own for own in members.values() if len(own) > 1]
    assert found["clusters"] == len(several)
    assert sum(documents for *_, documents in found["sizes"]) == sum(map(len, several))
    for least, most, clusters, _ in found["sizes"]:
        assert clusters == sum(least <= len(own) <= (most or 10**9) for own in several)
    overlap = np.zeros((3, 3), dtype=int)
    for own in several:
        for a, b in itertools.product(range(3), repeat=2):
            for i, group in enumerate(own):
                overlap[a, b] += group == a and any(other == b for j, other in enumerate(own) if j != i)
    assert found["overlap"] == overlap.tolist()
    assert [one["documents"] for one in found["largest"]] == sorted(map(len, several), reverse=True)[: copies.LARGEST]
    for one in found["largest"]:
        assert sum(n for _, n in one["sources"]) == one["documents"]


def test_packs_drop_what_select_drops(corpus: Scanned, tmp_path: Path) -> None:
    numbers = {"a": 0, "b": 1, "c": 2}
    found = packs.packs(corpus.texts, corpus.signals, numbers, [])
    any_of = set[str]()
    dropped = {}
    for name, rules in PACKS.items():
        counts = select.decide(corpus.texts, corpus.signals, corpus.twins, list(rules), tmp_path)
        own = found["packs"][name]
        assert own["all"]["drops"] == counts["documents"] - counts["kept"]
        assert own["all"]["drops_bytes"] == counts["bytes"] - counts["kept_bytes"]
        assert own["all"]["asked"] == counts["documents"] - counts["not_asked"]
        for source, g in numbers.items():
            part = counts["sources"][source]
            assert own["sources"][g]["drops"] == part["documents"] - part["kept"]
        for code, part in counts["languages"].items():
            assert own["languages"][code]["drops"] == part["documents"] - part["kept"]
        for rule, counted in counts["rules"].items():
            told_ = own["rules"][rule]
            assert told_["all"] == {"asked": counted["asked"], "drops": counted["alone"], "only": counted["only"]}
            for key in ("asked", "drops", "only"):
                assert told_["all"][key] == sum(source[key] for source in told_["sources"])
        decisions = pl.read_parquet(tmp_path / "decisions.parquet")
        dropped[name] = set(decisions.filter(~pl.col("keep"))["doc_id"])
        any_of |= dropped[name]
    assert found["together"]["all"]["drops"] == len(any_of)
    for name, own_ in dropped.items():
        others = set[str]().union(*(ids for other, ids in dropped.items() if other != name))
        assert found["packs"][name]["all"]["only"] == len(own_ - others)


def test_documents_at_a_bound_are_the_nearest_ones(corpus: Scanned) -> None:
    shown = ["gopher-quality", "zh", "fineweb"]
    found = packs.packs(corpus.texts, corpus.signals, {"a": 0, "b": 1, "c": 2}, shown)["margins"]
    frame = joined(corpus)
    assert set(found) == {rule.name for pack in shown for rule in PACKS[pack]}
    some = 0
    for rule in (rule for pack in shown for rule in PACKS[pack]):
        kept = frame.select("doc_id", rule.signal, keep=rule.kept()).drop_nulls()
        bounds = [bound for bound in (rule.low, rule.high) if bound is not None]
        for side, keeps in (("kept", True), ("dropped", False)):
            rows = kept.filter(pl.col("keep") == keeps)
            away = sorted(
                (min(abs(value - bound) for bound in bounds), doc_id)
                for doc_id, value in zip(rows["doc_id"], rows[rule.signal].cast(pl.Float64), strict=True)
            )
            expected = [doc_id for _, doc_id in away[: packs.EXAMPLES]]
            assert [one["doc_id"] for one in found[rule.name][side]] == expected, rule.name
            some += len(expected)
            for one in found[rule.name][side]:
                assert one["distance"] == pytest.approx(abs(one["value"] - one["bound"]))
    assert some > 50


def test_nothing_depends_on_the_order_of_files(corpus: Scanned, rows: list[tuple[str, str, int]]) -> None:
    turned = Scanned(corpus.texts[::-1], corpus.signals[::-1], corpus.twins, corpus.scratch)
    first, second = told(corpus), told(turned)
    assert first[:3] == second[:3]
    assert first[3].equals(second[3])
    numbers = {"a": 0, "b": 1, "c": 2}
    whole = [packs.packs(one.texts, one.signals, numbers, ["zh"]) for one in (corpus, turned)]
    assert whole[0] == whole[1]
    samples = [draw.read(one.texts, first[3]) for one in (corpus, turned)]
    assert samples[0] == samples[1]


def test_a_sample_has_one_document_of_a_cluster_and_leaves_personal_data_out(corpus: Scanned) -> None:
    *_, drawn = told(corpus)
    assert drawn["doc_id"].to_list() == sorted(set(pl.read_parquet(list(corpus.twins))["cluster"]))
    words = draw.words_of("Write to Joe@Example.org or 415-555-2671, PLEASE: by 42 o'clock!")
    assert words == ["write", "to", "or", "please", "by", "o'clock"]
    assert draw.words_of("请联系王小明，电话13812345678，谢谢！") == ["请", "联系", "王小明", "电话", "谢谢"]
    assert draw.words_of("") == draw.words_of("12 !? 3") == []


def test_many_sources_are_taken_together(tmp_path: Path) -> None:
    n = table.MOST_GROUPS + 5
    texts = [english(i, 20 + 3 * (i % 7)) for i in range(n)]
    corpus = scanned(tmp_path, texts, [f"s{i:02d}" for i in range(n)], list(range(n)))
    found, _, groups, _ = told(corpus)
    assert len(groups) == len(found["sources"]) == table.MOST_GROUPS
    assert [group.name for group in groups].count(None) == 1
    assert found["sources"][-1]["merged"] == 6
    assert sum(own["documents"] for own in found["sources"]) == found["all"]["documents"] == n
    assert len({source for group in groups for source in group.sources}) == n


def test_shown_texts_are_masked_before_they_are_cut(tmp_path: Path) -> None:
    key = "-----BEGIN RSA PRIVATE KEY-----\n" + "QUJD" * 3000 + "\n-----END RSA PRIVATE KEY-----"
    texts = [f"{'x' * 50} joe.longname@example.org and more", f"a\n\n\n b {key} end", "短。电话13812345678"]
    corpus = scanned(tmp_path, texts, ["a"] * 3, [0, 1, 2])
    ids = pl.read_parquet(list(corpus.texts))["doc_id"].to_list()
    shown = draw.masked(corpus.texts, ids, 60)
    held = [shown[i] for i in ids]
    assert held[0]["text"] == "x" * 50 + " <EMAIL>"[:10].rstrip() + " a"[: 60 - 58]
    assert held[1]["text"] == "a\n b <SECRET> end"
    assert held[2]["text"] == "短。电话<PHONE>"
    assert [one["cut"] for one in held] == [True, False, False]
    assert not any(personal.find(str(one["text"])) for one in held)
