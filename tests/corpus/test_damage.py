"""Defects by name: the dose, determinism, what is left alone, and each kind against an oracle."""

from __future__ import annotations

import html
import math
from collections import Counter
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xxhash
from corpus_texts import batch_of, chinese, english
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.corpus import documents
from assay.corpus.altering import boilerplate, damage, defects, distortions, edits, planted, pools
from assay.corpus.altering.damage import DEFECTS, PLANTED, Damage, damaged
from assay.corpus.documents import DOCUMENTS
from assay.corpus.text import characters as ch
from assay.errors import InputError

TEXT = st.text(alphabet="ab é\n,.。中文字カ，“0lrn&<", max_size=60)
ITEMS = pa.table({"item_id": ["q:0", "q:1"], "text": ["What is two and two?", "天为什么是蓝的？"]})


def labelled(texts: list[str]) -> pa.RecordBatch:
    """Documents with a language, of two sources."""
    batch = batch_of(texts)
    languages = ["zh" if any("一" <= c <= "鿿" for c in text) else "en" for text in texts]
    values = {"language": pa.array(languages), "source": pa.array(["ab"[i % 2] for i in range(len(texts))])}
    return pa.record_batch([values.get(name, batch.column(name)) for name in DOCUMENTS.names], schema=DOCUMENTS)


CORPUS = labelled(
    [
        f"Text, {english(i, 60)}\n{english(i + 50, 20)}’s" if i % 3 else f"A{chinese(i, 200)}。\n{chinese(i, 50)}"
        for i in range(60)
    ]
)


@pytest.fixture(scope="module")
def made_pools(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pools")
    part = folder / "documents.parquet"
    pq.write_table(pa.Table.from_batches([CORPUS]), part)
    for label in ("language", "source"):
        table = pools.gathered(partial(documents.read, [part]), label, 0, lambda done: None)  # type: ignore[arg-type]
        pq.write_table(table, folder / f"{label}.parquet")
    pq.write_table(planted.hosts([part], ITEMS, 1.0, 4, 0), folder / "items.parquet")
    return {name: folder / f"{name}.parquet" for name in ("language", "source", "items")}


def how(name: str, dose: float, seed: int, made_pools: dict[str, Path], **more: int) -> Damage:
    needs = DEFECTS[name].needs
    return Damage(name, dose, seed, pool=made_pools[needs] if needs else None, **more)


@pytest.mark.parametrize("name", DEFECTS)
def test_the_same_however_batched_and_ordered(name: str, made_pools: dict[str, Path]) -> None:
    asked = how(name, 0.5, 3, made_pools)
    whole, counts = damaged(CORPUS, asked)
    single = [damaged(CORPUS.slice(i, 1), asked)[0] for i in range(len(CORPUS))]
    assert whole.schema == PLANTED
    assert whole.to_pylist() == [row for part in single for row in part.to_pylist()]
    backwards, again = damaged(CORPUS.take(pa.array(range(len(CORPUS) - 1, -1, -1))), asked)
    assert sorted(whole.to_pylist(), key=str) == sorted(backwards.to_pylist(), key=str)
    assert counts == {name: again[name] for name in counts}


@pytest.mark.parametrize("name", [name for name in DEFECTS if DEFECTS[name].needs != "items"])  # hosts: test_hosts
def test_every_seed_damages_other_documents_or_places(name: str, made_pools: dict[str, Path]) -> None:
    first, second = (damaged(CORPUS, how(name, 0.5, seed, made_pools))[0] for seed in (1, 2))
    assert first.column("doc_id").to_pylist() != second.column("doc_id").to_pylist()


@pytest.mark.parametrize("name", DEFECTS)
def test_nothing_else_of_a_document_changes(name: str, made_pools: dict[str, Path]) -> None:
    before = {row["doc_id"]: row for row in CORPUS.to_pylist()}
    made, counts = damaged(CORPUS, how(name, 0.4, 5, made_pools))
    rows = made.to_pylist()
    planted_rows = [row for row in rows if row["defect"] is not None]
    assert planted_rows
    assert len({row["doc_id"] for row in rows}) == len(rows)
    for row in rows:
        plain = {k: row[k] for k in DOCUMENTS.names}
        if row["defect"] is None:
            assert plain == before[row["doc_id"]]
            assert row["what"] is None
            continue
        parent = before[row["parent_id"]]
        changed = {"doc_id", "content_hash", "parent_id", "text", "n_bytes"}
        assert {k: v for k, v in plain.items() if k not in changed} == {
            k: v for k, v in parent.items() if k not in changed
        }
        assert row["n_bytes"] == len(row["text"].encode())
        assert row["defect"] == name
        bags = Counter(parent["text"]), Counter(row["text"])
        assert (row["removed"], row["added"]) == ((bags[0] - bags[1]).total(), (bags[1] - bags[0]).total())
    origins = [row["parent_id"] or row["doc_id"] for row in rows]
    assert list(dict.fromkeys(origins)) == CORPUS.column("doc_id").to_pylist()  # in place
    total = {key: sum(part[key] for part in counts.values()) for key in counts["a"]}
    assert total["damaged"] == len(planted_rows)
    assert total["documents"] == len(CORPUS)


def many(n: int) -> pa.RecordBatch:
    return labelled([f"Document number {i}, “quoted” with a word or two." for i in range(n)])


@pytest.mark.parametrize("dose", [0.0, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("name", ["lower_case", "truncated", "exact_duplicates", "mojibake", "boilerplate"])
def test_the_dose_is_hit(name: str, dose: float) -> None:
    """Within four standard deviations of a binomial."""
    n = 4000
    _, counts = damaged(many(n), Damage(name, dose, 7))
    chosen = sum(part["chosen"] for part in counts.values())
    assert abs(chosen - n * dose) <= 4 * math.sqrt(n * dose * (1 - dose))
    hit = sum(part["damaged"] for part in counts.values())
    assert hit == chosen - sum(part["spared"] for part in counts.values())


def test_one_seed_chooses_the_same_documents_for_every_defect_and_larger_doses_more() -> None:
    batch = many(500)

    def parents(name: str, dose: float) -> set[str]:
        return set(filter(None, damaged(batch, Damage(name, dose, 1))[0].column("parent_id").to_pylist()))

    assert parents("truncated", 0.2) == parents("boilerplate", 0.2) < parents("truncated", 0.4)


def test_the_three_defects_that_studies_store_are_what_they_were() -> None:
    """Bytes of stored artifacts: a change here is a new version of the stages that use them."""
    texts = [english(i, 150) for i in range(4)] + [chinese(i, 300) for i in range(4)]
    texts += ["\n".join(english(i, 8) for i in range(40)), "", "中", "a\n\nb 文"]
    batch = batch_of(texts)
    made = [defects.character_noise(batch, 0.1, 3), defects.near_duplicates(batch, 2, 0.05, 3)]
    made.append(defects.shuffle_words(batch, 3))
    told = ["\0".join(f"{row['doc_id']}{row['parent_id']}{row['text']}" for row in one.to_pylist()) for one in made]
    assert [xxhash.xxh3_128_hexdigest(text.encode()) for text in told] == [
        "fcb05b030e44846e0742f3a11f84460e", "45c559c0f4128f3182022babb5ce213d", "8914dadd21102ad51ad7cc9d5afef7eb",
    ]  # fmt: skip


@pytest.mark.parametrize("name", DEFECTS)
def test_empty_documents_and_empty_batches(name: str, made_pools: dict[str, Path]) -> None:
    asked = how(name, 1.0, 1, made_pools)
    made, _ = damaged(labelled(["", "a", "中", "\n"]), asked)
    assert {"", "a", "中", "\n"} & set(made.column("text").to_pylist()) or name in ("boilerplate", "joined")
    made, counts = damaged(CORPUS.slice(0, 0), asked)
    assert (len(made), counts) == (0, {})


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"defect": "mojibak"}, "did you mean mojibake"),
        ({"defect": "lower-case"}, "did you mean lower_case"),
        ({"defect": "typhoon"}, "defects are"),
        ({"dose": 1.5}, "--dose is 1.5"),
        ({"dose": -0.1}, "--dose is -0.1"),
        ({"dose": math.nan}, "--dose is nan"),
        ({"copies": 0}, "--copies is 0"),
        ({"order": 99}, "--order is 99"),
    ],
)
def test_bad_options_are_told(values: dict[str, object], says: str) -> None:
    with pytest.raises(InputError, match=says):
        Damage(**{"defect": "truncated", "dose": 0.1, **values})  # type: ignore[arg-type]


# Each kind


def replacing(text: str, encoding: str) -> bytes:
    return text.encode(encoding, "replace")


def cp1252(octets: bytes) -> str:
    return "".join(
        octets[i : i + 1].decode("cp1252", "ignore") or octets[i : i + 1].decode("latin-1") for i in range(len(octets))
    )


ORACLES: dict[str, Callable[[str], str]] = {
    "utf8-as-gbk": lambda text: text.encode().decode("gbk", "replace"),
    "utf8-as-latin1": lambda text: cp1252(text.encode()),
    "gbk-as-latin1": lambda text: cp1252(replacing(text, "gbk")),
    "gbk-as-utf8-as-gbk": lambda text: (
        replacing(text, "gbk").decode("utf-8", "replace").encode().decode("gbk", "replace")
    ),
}


@settings(max_examples=150)
@given(st.lists(st.text(max_size=30) | st.text(alphabet="中文，é’€😀a ", max_size=30), max_size=5), st.integers(0, 99))
def test_mojibake_is_what_python_makes_of_the_wrong_encoding(texts: list[str], seed: int) -> None:
    made, modes = distortions.mojibake(batch_of(texts), seed)
    for before, after, mode in zip(texts, made.column("text").to_pylist(), modes, strict=True):
        assert after == ORACLES[mode](before), mode


def test_mojibake_of_chinese_takes_every_way_and_of_english_those_that_english_has() -> None:
    _, modes = distortions.mojibake(batch_of([chinese(i, 50) for i in range(80)]), 1)
    assert set(modes) == set(distortions.MODES)
    _, modes = distortions.mojibake(batch_of([f"{english(i)} “café”" for i in range(40)]), 1)
    assert set(modes) == set(distortions.MODES[:2])


def test_misreading_puts_doubles_in_their_places() -> None:
    texts = ["modern corner clear vvow burn", "未来的人已经入土，治理准备", "xxxx", ""]
    made, what = distortions.misread(batch_of(texts), 1.0, 1)
    first, second, third, fourth = made.column("text").to_pylist()
    assert first != texts[0] and third == "xxxx" and fourth == ""
    assert [a for a, b in zip(texts[1], second, strict=True) if a != b] == list("未人已入土，治准")
    assert what[2] == "0 places"
    for seed in range(30):
        (only,) = distortions.misread(batch_of(["rn"]), 1.0, seed)[0].column("text").to_pylist()
        assert only in ("m", "ru")  # r by itself is never misread


def test_truncation_keeps_a_beginning() -> None:
    texts = [english(i) for i in range(50)] + [chinese(i) for i in range(50)]
    made, what = distortions.truncated(batch_of(texts), 1)
    shares = []
    for before, after, told in zip(texts, made.column("text").to_pylist(), what, strict=True):
        assert before.startswith(after)
        assert told == f"{len(after)} of {len(before)} characters"
        shares.append(len(after) / len(before))
    assert 0.19 < min(shares) < 0.3
    assert 0.7 < max(shares) < 0.82


@settings(max_examples=100)
@given(st.text(alphabet="ab \n中，", max_size=120), st.integers(10, 20))
def test_wrapped_lines_are_short_and_hold_the_same_words(text: str, width: int) -> None:
    made, _ = distortions.hard_wrapped(batch_of([text]), width, 1)
    (out,) = made.column("text").to_pylist()
    assert out.replace("\n", "").replace(" ", "") == text.replace("\n", "").replace(" ", "")
    for line in out.split("\n"):
        cells = sum(2 if c == "中" else 1 for c in line.rstrip(" "))
        # longer only where there is no place to break: no space within, no Chinese character beyond
        if cells > width:
            assert " " not in line.strip(" ")
            assert sum(2 if c == "中" else 1 for c in line[: line.rfind("中") + 1]) <= width


@settings(max_examples=100)
@given(st.lists(TEXT, min_size=1, max_size=5), st.integers(0, 50))
def test_html_residue_is_the_text_again_without_its_tags(texts: list[str], seed: int) -> None:
    made, _ = distortions.html_residue(batch_of(texts), seed)
    for before, residue in zip(texts, made.column("text").to_pylist(), strict=True):
        after = residue
        for tag in distortions._TAGS[:7]:
            after = after.replace(tag, "")
        assert html.unescape(after).replace("\xa0", " ") == before
        assert "<" not in after


def test_boilerplate_stands_around_the_text_in_its_language() -> None:
    texts = [english(1), chinese(1)]
    made, what = boilerplate.boilerplate(batch_of(texts), 1)
    for text, out, told, language in zip(texts, made.column("text").to_pylist(), what, ("en", "zh"), strict=True):
        head, foot = out.split(text)
        assert head.rstrip("\n") in boilerplate.HEADERS[language]
        assert foot.lstrip("\n") in boilerplate.FOOTERS[language]
        assert told.startswith(language)


def test_another_languages_text_comes_from_a_document_of_that_language(made_pools: dict[str, Path]) -> None:
    texts = {row["doc_id"]: row for row in CORPUS.to_pylist()}
    made, what = pools.of_another(CORPUS, pools.opened(made_pools["language"]), "language", 1)
    for row, told in zip(made.to_pylist(), what, strict=True):
        donor, parent = texts[told.removeprefix("text of ")], texts[row["parent_id"]]
        assert donor["language"] != parent["language"]
        assert row["text"] in donor["text"]
        assert len(row["text"]) == len(donor["text"]) or abs(row["n_bytes"] / parent["n_bytes"] - 1) < 0.05
    assert len(set(what)) > 10


def test_joined_documents_are_two_of_a_source(made_pools: dict[str, Path]) -> None:
    texts = {row["doc_id"]: row for row in CORPUS.to_pylist()}
    made, what = pools.joined(CORPUS, pools.opened(made_pools["source"]), 1)
    for row, told in zip(made.to_pylist(), what, strict=True):
        other, parent = texts[told.removeprefix("with ")], texts[row["parent_id"]]
        assert row["text"] == f"{parent['text']}\n{other['text']}"
        assert other["source"] == parent["source"]
        assert other["doc_id"] != parent["doc_id"]
    alone = labelled(["only one"])
    table = pa.table({"doc_id": alone.column("doc_id"), "label": ["a"], "text": ["only one"]}, schema=pools.POOL)
    made, _ = pools.joined(alone, pools.pool_of(table), 1)
    assert made.column("text").to_pylist() == ["only one"]


@pytest.mark.parametrize("order", [1, 2, 3])
def test_a_markov_chain_says_only_what_it_has_read(order: int) -> None:
    """Of k + 1 words in a row, each stands in the text that was counted; and it says other things than that text."""
    texts = [english(i, 200) for i in range(20)]
    table = pa.table({"doc_id": [str(i) for i in range(20)], "label": ["en"] * 20, "text": texts}, schema=pools.POOL)
    models = pools.chains(pools.pool_of(table), order)
    batch = labelled([english(99, 150)])
    made, what = pools.markov_text(batch, models, order, 5)
    (out,) = made.column("text").to_pylist()
    assert len(out) == len(batch.column("text")[0].as_py())
    words = [w for text in texts for w in (*text.split(" ")[:-1], text.split(" ")[-1] + "\n")]
    grams = {tuple(words[i : i + order + 1]) for i in range(len(words) - order)}
    said = out.replace("\n", "\n ").split(" ")[1:-1]  # the last one may be cut off
    said = [word for word in said if word]
    assert {tuple(said[i : i + order + 1]) for i in range(len(said) - order)} <= grams
    assert out not in " ".join(texts)
    assert what == [f"order {order}, en"]


def test_a_markov_chain_follows_the_frequencies_that_it_has_read() -> None:
    """After a: b in three of four places. Within four standard deviations."""
    text = "天地天地天地天人" * 50
    table = pa.table({"doc_id": ["1"], "label": ["zh"], "text": [text]}, schema=pools.POOL)
    batch = labelled(["天" * 4000])
    (out,) = pools.markov_text(batch, pools.chains(pools.pool_of(table), 1), 1, 1)[0].column("text").to_pylist()
    follow = Counter(b for a, b in pairwise(out) if a == "天")
    n = follow.total()
    assert abs(follow["地"] - 0.75 * n) < 4 * math.sqrt(n * 0.75 * 0.25)


def test_hosts(tmp_path: Path) -> None:
    """Copies of an item are in different documents, whatever the order of files; a dose takes a share of the items."""
    rows = many(300)
    for name, batch in (("a", rows.slice(0, 100)), ("b", rows.slice(100))):
        pq.write_table(pa.Table.from_batches([batch]), tmp_path / name)
    there, back = (
        planted.hosts([tmp_path / name for name in names], ITEMS, 1.0, 20, 3) for names in (("a", "b"), ("b", "a"))
    )
    assert there.equals(back)
    assert len(there) == 40
    for item in ITEMS.column("item_id").to_pylist():
        keys = [row["key"] for row in there.to_pylist() if row["item_id"] == item]
        assert len(set(keys)) == len(keys) == 20
    items = pa.table({"item_id": [str(i) for i in range(400)], "text": ["x"] * 400})
    some = planted.hosts([tmp_path / "a"], items, 0.25, 1, 3)
    assert abs(len(some) - 100) < 4 * math.sqrt(400 * 0.25 * 0.75)
    assert planted.hosts([tmp_path / "a"], items, 0.25, 1, 4).column("item_id") != some.column("item_id")
    full = planted.hosts([tmp_path / "a"], items, 1.0, 1, 3)  # more than there are documents
    assert len(full) == 400 and len(set(full.column("key").to_pylist())) == 100


def test_items_are_written_into_their_hosts_as_lines(made_pools: dict[str, Path]) -> None:
    made, _ = damaged(CORPUS, how("contamination", 1.0, 0, made_pools))
    before = {row["doc_id"]: row["text"] for row in CORPUS.to_pylist()}
    text_of = dict(zip(*(ITEMS.column(name).to_pylist() for name in ("item_id", "text")), strict=True))
    found: Counter[str] = Counter()
    for row in made.to_pylist():
        if row["defect"]:
            lines = row["text"].split("\n")
            for item in row["what"].split(", "):
                found[item] += 1
                lines.remove(text_of[item])
            assert lines == before[row["parent_id"]].split("\n")
    assert found == {"q:0": 4, "q:1": 4}


def test_a_pool_does_not_depend_on_the_order_of_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "LEAST_BYTES", 3000)
    for i in range(6):
        pq.write_table(pa.Table.from_batches([CORPUS.slice(10 * i, 10)]), tmp_path / f"{i}")
    there, back = (
        pools.gathered(
            partial(documents.read, [tmp_path / f"{i}" for i in order]), "source", 1, lambda done: None, 6000
        )
        for order in (range(6), range(5, -1, -1))
    )
    assert there.equals(back)
    assert 4 < len(there) < 20
    other = pools.gathered(
        partial(documents.read, [tmp_path / f"{i}" for i in range(6)]), "source", 2, lambda done: None, 6000
    )
    assert not other.equals(there)


@settings(max_examples=100)
@given(st.lists(st.text(alphabet="abc中", max_size=12), min_size=1, max_size=5), st.data())
def test_splicing_is_what_slices_of_strings_are(texts: list[str], data: st.DataObject) -> None:
    snippets = ["", "X", "YY", "字字字"]
    want, document, begins, lengths, which = [], [], [], [], []
    at = 0
    for i, text in enumerate(texts):
        cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
        cuts = cuts[: len(cuts) // 2 * 2]
        out, done = "", 0
        for a, b in zip(cuts[::2], cuts[1::2], strict=True):
            snippet = data.draw(st.integers(0, 3))
            out, done = out + text[done:a] + snippets[snippet], b
            document.append(i)
            begins.append(at + a)
            lengths.append(b - a)
            which.append(snippet)
        want.append(out + text[done:])
        at += len(text)
    arrays = (np.array(values, dtype=np.int64) for values in (document, begins, lengths, which))
    made = edits.spliced(*ch.points_of(pa.array(texts)), edits.Edits(*arrays), ch.points_of(pa.array(snippets)))
    assert ch.text_of(*made).to_pylist() == want


def test_every_defect_has_words_in_both_languages() -> None:
    from assay.present.words import both

    for name, defect in damage.DEFECTS.items():
        assert len(set(both(f"corpus.defect.{name}").values())) == 2 or name == "mojibake"
        assert both(f"corpus.dose.{defect.unit}", defect="x", dose="1", seed=0)
