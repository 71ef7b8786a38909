"""The routes: what the page is told is what was stored; who may ask, and for how much."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("fastapi")
pytest.importorskip("httpx")
from starlette.testclient import TestClient

from assay.explore.app import app
from assay.fits import calibration
from assay.present.words import words
from assay.web.keys import Keys

KEY = "a key of this test"


@pytest.fixture(scope="module")
def client(workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ASSAY_CACHE", str(tmp_path_factory.mktemp("cache")))
        with TestClient(app([workspace], Keys(KEY)), headers={"authorization": f"Bearer {KEY}"}) as made:
            yield made


@pytest.fixture(scope="module")
def ids(client: TestClient) -> dict[tuple[str, str], str]:
    entries = client.get("/api/catalog").json()["entries"]
    return {(one["kind"], one["name"]): one["id"] for one in entries}


def told(answer: Any) -> Any:
    assert answer.status_code == 200, answer.text
    return answer.json()


# Who may ask


def test_nobody_without_the_key_is_told_anything(workspace: Path) -> None:
    stranger = TestClient(app([workspace], Keys(KEY)))
    for path in ("/", "/main.js", "/page.css", "/api/catalog", "/api/words", "/nowhere"):
        answer = stranger.get(path)
        assert answer.status_code == 401
        assert set(answer.json()) == {"error"}


def test_the_link_opens_the_page_once(workspace: Path) -> None:
    keys = Keys(KEY)
    browser, other = (TestClient(app([workspace], keys)) for _ in range(2))
    link = keys.link()
    assert "<!DOCTYPE html>" in browser.get(link).text
    assert browser.get("/api/catalog").status_code == 200
    assert other.get(link).status_code == 401


def test_pages_run_no_foreign_and_no_inline_script(client: TestClient) -> None:
    page = client.get("/")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in page.text.replace("http-equiv", "")
    for name in ("main.js", "dom.js", "explore.css", "page.css"):
        answer = client.get(f"/{name}")
        assert answer.status_code == 200
        assert "//" not in answer.headers["content-type"]
        assert "https://" not in answer.text


def test_words_are_all_of_the_pages_in_both_languages(client: TestClient) -> None:
    found = told(client.get("/api/words"))
    assert found["language"] == "en"
    for language, own in found["words"].items():
        assert own == {key: words(language)[key] for key in own}
        assert "explore.nav.models" in own
    assert found["words"]["en"].keys() == found["words"]["zh"].keys()


# What is told


def test_a_study_is_told_as_it_was_stored(client: TestClient, ids: dict[tuple[str, str], str], workspace: Path) -> None:
    stored = json.loads((workspace / "study" / "results.json").read_text(encoding="utf-8"))
    found = told(client.get(f"/api/studies/{ids['study', 'study']}"))
    for name in ("claims", "curves", "law", "mixtures", "level"):
        assert found[name] == stored[name]
    page = client.get(f"/api/studies/{ids['study', 'study']}/page")
    assert page.content == (workspace / "study" / "report.html").read_bytes()
    assert page.headers["content-security-policy"].startswith("sandbox allow-scripts;")


def test_runs_are_told_side_by_side(client: TestClient, ids: dict[tuple[str, str], str], workspace: Path) -> None:
    names = ("gpt", "gpt-slow")
    found = told(client.get("/api/runs", params={"ids": [ids["training", name] for name in names]}))
    assert [one["name"] for one in found["runs"]] == list(names)
    different = {row["key"]: row["values"] for row in found["different"]}
    assert different["optimizer.matrix_lr"] == [None, 0.001]
    assert set(different) == {"optimizer.matrix_lr", "model.layers", "train.row_tokens"}
    lines = [
        json.loads(line) for line in (workspace / "gpt" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    expected = [[row["step"], row["loss"]] for row in lines if row["kind"] == "train"]
    assert found["runs"][0]["curves"]["training: loss"] == expected
    result = json.loads((workspace / "gpt" / "result.json").read_text(encoding="utf-8"))
    score = found["runs"][0]["scores"]["test"]["bits_per_byte"]
    assert score["value"] == result["evaluations"]["test"]["bits_per_byte"]["value"]
    fine = told(client.get("/api/runs", params={"ids": [ids["finetuning", "sentiment"]]}))
    assert 0 <= fine["runs"][0]["scores"]["test"]["accuracy"]["value"] <= 1


def test_sliders_say_what_the_study_registered(
    client: TestClient, ids: dict[tuple[str, str], str], workspace: Path
) -> None:
    """The held-out mixture's prediction was written down by the study; here it is computed anew."""
    ident = ids["study", "study"]
    plan = json.loads((workspace / "study" / "plan.json").read_text(encoding="utf-8"))
    registered = json.loads((workspace / "study" / "predictions.json").read_text(encoding="utf-8"))
    (cell,) = [cell for cell in plan["cells"] if cell["axis"] == "distribution" and not cell["fitted"]]
    found = told(client.post(f"/api/mixtures/{ident}", json={"shares": cell["weights"]}))
    changes = {row["target"]: row["change"] for row in found["rows"]}
    own = {one["target"]: one["change"] for one in registered if one["cell"] == cell["name"]}
    assert len(own) == 3
    for target, change in own.items():
        assert changes[target] == pytest.approx(change, rel=1e-9)

    about = told(client.get(f"/api/mixtures/{ident}"))
    stored = json.loads((workspace / "study" / "results.json").read_text(encoding="utf-8"))["mixtures"]
    assert about["baseline"] == pytest.approx(stored["baseline_bpb"])
    scaled = {name: 10 * share for name, share in about["natural"].items()}
    natural = told(client.post(f"/api/mixtures/{ident}", json={"shares": scaled}))
    for row in natural["rows"]:
        assert row["change"][0] == pytest.approx(0, abs=1e-9)
        assert row["loss"][1] < row["natural"] < row["loss"][2]
    assert natural["beyond"] == []
    far = told(client.post(f"/api/mixtures/{ident}", json={"shares": {"letters": 1}}))
    assert far["beyond"] == ["letters", "numbers"]


def test_calibration_is_that_of_the_verb(client: TestClient, workspace: Path) -> None:
    found, verb = told(client.get("/api/calibration")), calibration.run([workspace])
    assert found["n"] == verb["n"]
    assert found["table"] == json.loads(json.dumps(verb["table"]))
    assert {one["claim"] for one in found["predictions"]} == {one["claim"] for one in verb["predictions"]}


def test_documents_are_paged_and_read(client: TestClient, ids: dict[tuple[str, str], str]) -> None:
    corpus = f"/api/corpora/{ids['corpus', 'scored']}"
    about = told(client.get(corpus))
    assert about["facets"]["documents"] == 904
    assert {"letters", "n_bytes", "n_words"} <= set(about["numbers"])
    first = told(client.post(f"{corpus}/documents", json={"order": "n_words", "size": 10}))
    second = told(client.post(f"{corpus}/documents", json={"order": "n_words", "size": 10, "after": first["after"]}))
    values = [one["value"] for one in (*first["documents"], *second["documents"])]
    assert values == sorted(values)
    assert len({one["row"] for one in (*first["documents"], *second["documents"])}) == 20
    chinese = told(client.post(f"{corpus}/documents", json={"text": "非常名", "size": 5}))
    assert chinese["found"] == 2
    row = chinese["documents"][0]["row"]
    assert "非常名" in told(client.get(f"{corpus}/documents/{row}"))["text"]
    spread = told(client.post(f"{corpus}/spread", json={"name": "letters"}))
    assert sum(spread["counts"]) == spread["n"] <= 904
    losses = told(client.get(f"{corpus}/documents/{row}/losses", params={"model": ids["model", "gpt"]}))
    assert "".join(one["text"] for one in losses["stretches"]) in told(client.get(f"{corpus}/documents/{row}"))["text"]


def test_a_model_writes_line_by_line(client: TestClient, ids: dict[tuple[str, str], str]) -> None:
    path = f"/api/models/{ids['model', 'gpt']}/write"
    wanted = {"prompt": "道可道", "max_new_tokens": 6, "temperature": 1.0, "seed": 7}
    with client.stream("POST", path, json=wanted) as answer:
        events = [json.loads(line) for line in answer.iter_lines()]
    assert events[0]["event"] == "prompt"
    assert events[-1]["event"] == "end"
    assert sum(len(event.get("tokens", [])) for event in events if event["event"] == "tokens") >= 1
    again = [json.loads(line) for line in client.post(path, json=wanted).text.splitlines()]
    assert again == events


def test_a_model_is_looked_into(client: TestClient, ids: dict[tuple[str, str], str]) -> None:
    gpt, sentiment = (f"/api/models/{ids['model', name]}" for name in ("gpt", "sentiment"))
    assert told(client.get(gpt))["writes"] is True
    found = told(client.post(f"{gpt}/attention", json={"text": "some letters", "layer": 1}))
    H, T, S = found["shape"]
    weights = np.frombuffer(base64.b64decode(found["weights"]), np.uint8).reshape(H, T, S) / 255
    assert (len(found["queries"]), len(found["keys"])) == (T, S)
    assert weights.sum(-1) == pytest.approx(np.ones((H, T)), abs=0.05)
    assert told(client.get(sentiment))["labels"]
    answer = told(client.post(f"{sentiment}/answer", json={"fields": {"text": "好电影"}}))["answer"]
    assert sum(answer["probabilities"].values()) == pytest.approx(1)
    why = told(client.post(f"{sentiment}/matter", json={"fields": {"text": "好电影"}, "method": "occlusion"}))
    assert why["answer"]["label"] == answer["label"]


# For how much


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/api/studies/..%2F..%2Fetc", None, 404),
        ("GET", "/api/studies/nobody", None, 400),
        ("GET", "/api/models/{study}", None, 400),
        ("GET", "/api/runs", None, 400),
        ("GET", "/api/runs?ids=" + "&ids=".join(["x"] * 13), None, 400),
        ("GET", "/api/nowhere", None, 404),
        ("GET", "/..%2f..%2fapi.py", None, 404),
        ("DELETE", "/api/catalog", None, 405),
        ("GET", "/api/corpora/{corpus}/documents/-1", None, 400),
        ("GET", "/api/corpora/{corpus}/documents/99999999", None, 400),
        ("GET", "/api/corpora/{corpus}/documents/1/losses?model=../x", None, 400),
        ("POST", "/api/corpora/{corpus}/documents", {"size": 10**6}, 400),
        ("POST", "/api/corpora/{corpus}/documents", {"order": "1; DROP TABLE documents"}, 400),
        ("POST", "/api/corpora/{corpus}/documents", {"text": "x" * 501}, 400),
        ("POST", "/api/corpora/{corpus}/documents", {"other": 1}, 400),
        ("POST", "/api/corpora/{corpus}/documents", {"after": [None, None]}, 400),
        ("POST", "/api/corpora/{corpus}/documents", {"after": ["a", 1.5]}, 400),
        ("POST", "/api/mixtures/{study}", {"shares": {}}, 400),
        ("POST", "/api/mixtures/{study}", {"shares": {"nowhere": 1}}, 400),
        ("POST", "/api/mixtures/{study}", {"shares": {"letters": -1}}, 400),
        ("POST", "/api/models/{gpt}/write", {"prompt": "a", "max_new_tokens": 10**6}, 400),
        ("POST", "/api/models/{gpt}/write", {"prompt": "a", "temperature": -1}, 400),
        ("POST", "/api/models/{gpt}/write", {"prompt": "word " * 3000}, 400),
        ("POST", "/api/models/{gpt}/write", {"prompt": "x" * 30_000}, 400),
        ("POST", "/api/models/{gpt}/answer", {"fields": {"text": "a"}}, 400),
        ("POST", "/api/models/{sentiment}/answer", {"fields": {}}, 400),
        ("POST", "/api/models/{sentiment}/answer", {"fields": {"text": ""}}, 400),
        ("POST", "/api/models/{sentiment}/write", {"prompt": "a"}, 400),
        ("POST", "/api/models/{gpt}/matter", {"text": "a", "method": "magic"}, 400),
        ("POST", "/api/models/{gpt}/matter", {"text": "a", "token": 10**9}, 400),
        ("POST", "/api/models/{gpt}/attention", {"text": "a", "layer": 99}, 400),
    ],
)
def test_what_cannot_be_asked_is_refused_in_one_form(
    client: TestClient, ids: dict[tuple[str, str], str], workspace: Path, method: str, path: str, body: Any, status: int
) -> None:
    names = {"study": ("study", "study"), "corpus": ("corpus", "scored"), "gpt": ("model", "gpt"),
             "sentiment": ("model", "sentiment")}  # fmt: skip
    answer = client.request(method, path.format(**{name: ids[one] for name, one in names.items()}), json=body)
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]["message"]
    assert str(workspace) not in answer.text


def test_bodies_are_small(client: TestClient, ids: dict[tuple[str, str], str]) -> None:
    answer = client.post(f"/api/models/{ids['model', 'gpt']}/write", json={"prompt": "x" * 300_000})
    assert answer.status_code == 413


def test_a_damaged_work_is_told_and_the_others_stay(workspace: Path, tmp_path: Path) -> None:
    """Links to good works beside damaged ones: the page goes on."""
    (tmp_path / "good").symlink_to(workspace / "study")
    for name, files in {
        "cut": {"study.json": "{", "results.json": "{"},
        "old": {"study.json": "{}", "results.json": "{}", "claims.json": "{}"},
        "claimless": {"study.json": "{}", "results.json": "[]", "claims.json": "nothing"},
        "run": {"training.json": "{}", "result.json": "{"}, "scan": {"corpus.json": "{}"},
    }.items():  # fmt: skip
        (tmp_path / name).mkdir()
        for file, content in files.items():
            (tmp_path / name / file).write_text(content, encoding="utf-8")
    model = tmp_path / "broken"
    model.mkdir()
    (model / "config.json").write_text('{"model_type": "gpt2"}', encoding="utf-8")
    (model / "model.safetensors").write_bytes(b"nothing")
    with TestClient(app([tmp_path], Keys(KEY)), headers={"authorization": f"Bearer {KEY}"}) as client:
        entries = {one["name"]: one for one in told(client.get("/api/catalog"))["entries"]}
        assert entries["cut"]["damaged"] == "study.json"
        assert entries["good"]["summary"]["claims"] > 0
        told(client.get(f"/api/studies/{entries['good']['id']}"))
        assert told(client.get("/api/calibration"))["n"] > 0
        for name, path in {
            "old": "/api/studies/{}", "claimless": "/api/studies/{}", "run": "/api/runs?ids={}",
            "scan": "/api/corpora/{}", "broken": "/api/models/{}", "cut": "/api/mixtures/{}",
        }.items():  # fmt: skip
            answer = client.get(path.format(entries[name]["id"]))
            assert answer.status_code == 400, (name, answer.text)
            assert str(tmp_path) not in answer.text
