"""Questions with answers, and marked spans: every variant gives one shape, and places are what they say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from task_files import fields, read, refused

from assay.errors import InputError
from assay.metrics import tagging
from assay.tasks.reading.spans import Scheme, character_tags

CONTEXT = "光荣和ω-force开发了战国无双3。光荣是一家公司。"
SPAN = {"text": ["光荣"], "answer_start": [17]}


def squad(answers: Any, context: str = CONTEXT, **more: Any) -> dict[str, Any]:
    asked = {"id": "q1", "question": "谁?", "answers": answers, **more}
    return {"version": "v2.0", "data": [{"title": "战国", "paragraphs": [{"context": context, "qas": [asked]}]}]}


def nested(path: Path, value: Any, **how: Any) -> list[dict[str, Any]]:
    return fields(read(path, json.dumps(value, ensure_ascii=False, indent=1), **how))


def test_variants_of_squad_give_one_shape(tmp_path: Path) -> None:
    start = CONTEXT.index("光荣是")
    wanted = {
        "id": "q1", "context": CONTEXT, "question": "谁?", "answers": {"text": ["光荣"], "answer_start": [start]},
        "is_impossible": False, "title": "战国",
    }  # fmt: skip
    assert nested(tmp_path / "s.json", squad([{"text": "光荣", "answer_start": start}])) == [wanted]
    drcd = squad([{"id": "1", "text": "光荣", "answer_start": start}])
    drcd["data"][0]["paragraphs"][0]["id"] = "1147-1"
    assert nested(tmp_path / "d.json.gz", drcd) == [wanted]
    cmrc = [{
        "context_id": "D", "context_text": CONTEXT, "title": "战国",
        "qas": [{"query_id": "q1", "query_text": "谁?", "answers": ["光荣是一家公司"]}],
    }]  # fmt: skip
    found = nested(tmp_path / "c.json", cmrc)[0]
    assert found["answers"] == {"text": ["光荣是一家公司"], "answer_start": [start]} and found["id"] == "q1"
    flat = {"id": "q1", "title": "战国", "context": CONTEXT, "question": "谁?", "answers": wanted["answers"]}
    assert fields(read(tmp_path / "f.jsonl", [flat])) == [wanted]
    flat["answers"] = [{"text": "光荣", "start": start}]
    assert fields(read(tmp_path / "g.jsonl", [flat])) == [wanted]


def test_questions_without_an_answer(tmp_path: Path) -> None:
    made = squad([], is_impossible=True, plausible_answers=[{"text": "光荣", "answer_start": 0}])
    assert nested(tmp_path / "i.json", made)[0]["is_impossible"] is True
    assert nested(tmp_path / "n.json", squad([]))[0]["answers"] == {"text": [], "answer_start": []}


def test_an_answer_elsewhere_is_mended_and_counted(tmp_path: Path) -> None:
    rows = read(tmp_path / "m.json", json.dumps(squad([{"text": "光荣", "answer_start": 15}])))
    start = CONTEXT.index("光荣是")  # the nearer one of both
    assert rows[0].fields["answers"]["answer_start"] == [start]
    assert rows.mended == {"an answer is not at its place": 1} and f"at 15, found at {start}" in rows.places[0]


def test_an_answer_that_is_nowhere_is_told(tmp_path: Path) -> None:
    made = json.dumps(squad([{"text": "任天堂", "answer_start": 3}]))
    said = refused(tmp_path / "w.json", made)
    assert "w.json: value 1, article 1, paragraph 1, question 1: an answer is not at its place: at 3 stands" in said
    both = squad([{"text": "任天堂", "answer_start": 3}, {"text": "光荣", "answer_start": 0}])
    rows = read(tmp_path / "b.json", json.dumps(both), on_error="skip")
    assert rows[0].fields["answers"]["text"] == ["光荣"] and rows.mended == {"an answer is left out": 1}
    rows = read(tmp_path / "s.jsonl", [json.loads(made), both], on_error="skip")
    assert len(rows) == 1 and rows.skipped == {"an answer is not at its place": 1}


def test_what_questions_lack_is_named(tmp_path: Path) -> None:
    row = {"id": "1", "context": "a b", "answers": [], "ask": "?"}
    said = refused(tmp_path / "f.jsonl", [row], format="squad")
    assert "f.jsonl:1: no field 'question': there are id, context, answers, ask" in said
    row = {"context": "a b", "question": "?", "answers": {"text": ["a"], "answer_start": []}}
    assert "1 answers have 0 places" in refused(tmp_path / "l.jsonl", [row])


CLUENER = {"text": "浙商银行叶老桂则", "label": {"name": {"叶老桂": [[4, 6]]}, "company": {"浙商银行": [[0, 3]]}}}
SPANS = [[0, 4, "company"], [4, 7, "name"]]


@pytest.mark.parametrize(
    "row",
    [
        CLUENER,
        {"text": CLUENER["text"], "entities": [
            {"start": 4, "end": 7, "label": "name"}, {"start": 0, "end": 4, "label": "company"},
        ]},
        {"text": CLUENER["text"], "label": [[4, 7, "name"], [0, 4, "company"]]},
        {"text": CLUENER["text"], "spans": SPANS},
        {"text": CLUENER["text"], "entities": [
            {"start_idx": 0, "end_idx": 3, "type": "company", "entity": "浙商银行"},
            {"start_idx": 4, "end_idx": 6, "type": "name", "entity": "叶老桂"},
        ]},
    ],
)  # fmt: skip
def test_marked_spans_have_exclusive_ends(row: dict[str, Any], tmp_path: Path) -> None:
    rows = read(tmp_path / "c.jsonl", [row])
    assert rows.format == "spans" and fields(rows) == [{"text": CLUENER["text"], "spans": SPANS}]


def test_a_mention_elsewhere_is_mended(tmp_path: Path) -> None:
    rows = read(tmp_path / "c.jsonl", [{"text": "叶老桂则", "label": {"name": {"叶老桂": [[1, 3]]}}}])
    assert rows[0].fields["spans"] == [[0, 3, "name"]] and rows.mended == {"a span is not at its place": 1}
    row = {"text": "叶老桂则", "label": {"name": {"任天堂": [[1, 3]]}}}
    assert "a span is not at its place: '老桂则', not '任天堂'" in refused(tmp_path / "d.jsonl", [row])
    row = {"text": "abc", "entities": [{"start": 1, "end": 9, "label": "X"}]}
    assert "e.jsonl:1: a span is not in its text: [1, 9) of 3 characters" in refused(tmp_path / "e.jsonl", [row])
    assert "no field with spans: there are text, id" in refused(
        tmp_path / "f.jsonl", [{"text": "a", "id": 1}], format="spans"
    )


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4), st.sampled_from(["PER", "B-X", "地名"])), max_size=8),
    st.sampled_from(["BIO", "BIOES", "BMES"]),
)
def test_spans_become_tags_and_spans_again(steps: list[tuple[int, int, str]], scheme: Scheme) -> None:
    place, spans = 0, []
    for gap, length, label in steps:
        spans.append((place + gap, place + gap + length, label))
        place += gap + length
    tags = character_tags(place + 1, spans, scheme)
    assert len(tags) == place + 1
    assert [(begin, end, label) for label, begin, end in tagging.spans(tags)] == spans


def test_spans_that_overlap_have_no_tags() -> None:
    with pytest.raises(InputError, match="spans overlap"):
        character_tags(5, [(0, 3, "A"), (2, 4, "B")])
