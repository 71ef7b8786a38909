"""Conversations, preferences and single judgements: every dialect gives one shape."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from task_files import fields, read, refused

Q, A = {"role": "user", "content": "你好"}, {"role": "assistant", "content": "您好！"}
S = {"role": "system", "content": "be kind"}
HH = "\n\nHuman: 你好\n\nAssistant: 您好！"

TALKS: dict[str, tuple[dict[str, Any], list[dict[str, str]]]] = {
    "alpaca": ({"instruction": "你好", "input": "", "output": "您好！"}, [Q, A]),
    "alpaca, all of it": (
        {"instruction": "你", "input": "好", "output": "您好！", "system": "be kind", "history": [["你好", "您好！"]]},
        [S, Q, A, {"role": "user", "content": "你\n好"}, A],
    ),
    "sharegpt": (
        {"conversations": [{"from": "human", "value": "你好"}, {"from": "gpt", "value": "您好！"}],
         "system": "be kind"},
        [S, Q, A],
    ),
    "messages": ({"messages": [S, Q, A]}, [S, Q, A]),
    "another key": ({"id": 3, "talk": [Q, A]}, [Q, A]),
    "nested": ({"body": {"messages": [Q, A]}}, [Q, A]),
    "parts": ({"messages": [{"role": "developer", "content": "be kind"}, {"role": "user", "content": [
        {"type": "text", "text": "你"}, {"type": "text", "text": "好"}]}, A]}, [S, Q, A]),
    "dialogue": ({"id": "1", "turns": [{"role": "usr", "text": "你好"}, {"role": "sys", "text": "您好！"}]}, [Q, A]),
    "pair": ({"prompt": "你好", "completion": "您好！"}, [Q, A]),
    "hh-rlhf": ({"chosen": HH}, [Q, A]),
    "instances": ({"instruction": "你好", "instances": [{"input": "", "output": "您好！"}]}, [Q, A]),
}  # fmt: skip


@pytest.mark.parametrize("name", TALKS)
def test_conversations(name: str, tmp_path: Path) -> None:
    row, wanted = TALKS[name]
    rows = read(tmp_path / "c.jsonl", [row, row])
    assert rows.format == "chat" and fields(rows) == [{"messages": wanted}] * 2


GOOD, BAD = "您好！", "走开"
PREFERRED: dict[str, dict[str, Any]] = {
    "sharegpt": {
        "conversations": [{"from": "human", "value": "你好"}],
        "chosen": {"from": "gpt", "value": GOOD}, "rejected": {"from": "gpt", "value": BAD},
    },
    "alpaca": {"instruction": "你好", "input": "", "chosen": GOOD, "rejected": BAD},
    "hh-rlhf": {"chosen": HH, "rejected": HH.replace(GOOD, BAD)},
    "texts": {"prompt": "你好", "chosen": GOOD, "rejected": BAD},
    "messages": {"prompt": [Q], "chosen": [A], "rejected": [{"role": "assistant", "content": BAD}]},
    "whole": {"prompt": "你好", "chosen": [Q, A], "rejected": [Q, {"role": "assistant", "content": BAD}]},
    "implicit": {"chosen": [Q, A], "rejected": [Q, {"role": "assistant", "content": BAD}]},
}  # fmt: skip


@pytest.mark.parametrize("name", PREFERRED)
def test_preferences(name: str, tmp_path: Path) -> None:
    rows = read(tmp_path / "p.jsonl", [PREFERRED[name]])
    assert rows.format == "preference"
    assert fields(rows) == [{"messages": [Q], "chosen": GOOD, "rejected": BAD}]


@pytest.mark.parametrize(
    "row",
    [
        {"messages": [Q, A], "label": True},
        {"conversations": [{"from": "human", "value": "你好"}, {"from": "gpt", "value": "您好！"}], "kto_tag": True},
        {"prompt": "你好", "completion": "您好！", "label": True},
        {"prompt": [Q], "completion": [A], "label": True},
        {"instruction": "你好", "input": "", "output": "您好！", "kto_tag": True},
    ],
)
def test_single_judgements(row: dict[str, Any], tmp_path: Path) -> None:
    rows = read(tmp_path / "k.jsonl", [row])
    assert rows.format == "kto" and fields(rows) == [{"messages": [Q], "completion": "您好！", "good": True}]


WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "role": ({"messages": [{"role": "narrator", "content": "x"}, A]}, "chat", "an unknown role: 'narrator'"),
    "end": ({"messages": [Q, A, Q]}, "chat", "the conversation does not end with an assistant"),
    "empty": ({"instruction": "x", "output": " "}, "chat", "the last answer is empty"),
    "history": ({"instruction": "x", "output": "y", "history": 3}, "chat", "history is no list: it is a number"),
    "none": ({"messages": []}, "chat", "no conversation: there are messages"),
    "picture": ({"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "chat", "a message is no text"),
    "field": ({"instruction": "x", "answer": "y"}, "chat", "the conversation does not end with an assistant"),
    "prompt": (
        {"chosen": HH, "rejected": HH.replace("你", "我")}, "preference", "the two answers do not share their prompt",
    ),
    "asked": ({"prompt": [Q, A], "chosen": "x", "rejected": "y"}, "preference", "the prompt does not end with a user"),
    "lacks": ({"prompt": "x", "chosen": "y"}, "preference", "no field 'rejected': there are prompt, chosen"),
    "judged": ({"messages": [Q, A], "label": "yes"}, "kto", "field 'label' is not true or false: it is a text"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_conversation_is_one_line_or_counted(name: str, tmp_path: Path) -> None:
    row, format, said = WRONG[name]
    good = {
        "chat": {"messages": [Q, A]}, "preference": PREFERRED["texts"], "kto": {"messages": [Q, A], "label": False},
    }[format]  # fmt: skip
    assert f"w.jsonl:2: {said}" in refused(tmp_path / "w.jsonl", [good, row], format=format)
    rows = read(tmp_path / "w.jsonl", [good, row], format=format, on_error="skip")
    assert len(rows) == 1 and rows.skipped == {said.partition(":")[0]: 1}
