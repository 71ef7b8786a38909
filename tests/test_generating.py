"""`assay generate` and `assay chat` through the front door: what is printed, what is written, what is refused."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from asked import model
from assay import cli
from assay.generation import files, session
from assay.generation.opened import Writer
from assay.generation.settings import Settings
from assay.generation.text import generate
from command import Say, one_line

PROMPTS = ["The farmer", "农民说", "What?", "答案：", "one"]


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model(tmp_path_factory.mktemp("models") / "gpt2")


def answers(folder: Path, prompts: list[str], **given: Any) -> list[list[str]]:
    found = generate(Writer.load(folder), prompts, Settings().but(**given))
    return [[answer.text for answer in own] for own in found]


def test_one_prompt_is_gone_on_with_and_the_speed_told_aside(say: Say, gpt2: Path) -> None:
    code, out, err = say("generate", gpt2, "农民说猫", "--max-new-tokens", "12", "--lang", "zh")
    assert (code, out) == (0, answers(gpt2, ["农民说猫"], max_new_tokens=12)[0][0] + "\n")
    assert err.startswith("12 个词元，用时 ")


def test_many_prompts_from_wherever_are_one_object(say: Say, gpt2: Path, tmp_path: Path) -> None:
    wanted = answers(gpt2, PROMPTS, max_new_tokens=6, temperature=0.9, n=2, seed=5)
    how = ("--max-new-tokens", 6, "--temperature", 0.9, "-n", 2, "--seed", 5, "--json")
    (tmp_path / "p.txt").write_text("\ufeff" + "\r\n".join(PROMPTS) + "\n\n", encoding="utf-8")
    rows = [json.dumps({"q": p, "text": "no"}) for p in PROMPTS]
    (tmp_path / "p.jsonl").write_text("\n".join(rows), encoding="utf-8")
    fingerprints = set()
    for told in (
        say("generate", gpt2, *PROMPTS, *how), say("generate", gpt2, "--file", "p.txt", *how),
        say("generate", gpt2, "--file", "p.jsonl", "--field", "q", *how),
        say("generate", gpt2, "-", *how, typed="\n".join(PROMPTS)),
    ):  # fmt: skip
        assert told[0] == 0, told
        found = json.loads(told[1])
        assert [[a["text"] for a in row["answers"]] for row in found["answers"]] == wanted
        assert [row["prompt"] for row in found["answers"]] == PROMPTS
        assert found["settings"] == {"max_new_tokens": 6, "temperature": 0.9, "n": 2, "seed": 5}
        assert found["assay_version"]
        fingerprints.add(found["fingerprint"])
    assert len(fingerprints) == 1
    other = json.loads(say("generate", gpt2, *PROMPTS, *how[:-2], 6, "--json")[1])
    assert other["fingerprint"] not in fingerprints


def test_what_was_stopped_goes_on_and_ends_as_if_it_had_not(
    say: Say, gpt2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "AT_ONCE", 2)
    how = ("--file", "p.txt", "--max-new-tokens", 5, "--out")
    (tmp_path / "p.txt").write_text("\n".join(PROMPTS), encoding="utf-8")
    assert say("generate", gpt2, *how, "whole.jsonl")[0] == 0
    asked: list[list[Any]] = []

    def counted(writer: Writer, some: list[Any], *more: Any, **named: Any) -> Any:
        asked.append(list(some))
        if len(asked) == 2:
            raise KeyboardInterrupt
        return generate(writer, some, *more, **named)

    monkeypatch.setattr(files, "generate", counted)
    monkeypatch.setattr(cli, "end_now", sys.exit)
    code, _, err = say("generate", gpt2, *how, "out.jsonl")
    assert code == 130
    assert "run the same command again" in err
    assert not (tmp_path / "out.jsonl").exists()
    with (tmp_path / ".unfinished-out.jsonl").open("a") as file:
        file.write('{"half": ')
    assert say("generate", gpt2, *how, "out.jsonl")[0] == 0
    assert asked == [PROMPTS[:2], PROMPTS[2:4], PROMPTS[2:4], PROMPTS[4:]]
    assert (tmp_path / "out.jsonl").read_text() == (tmp_path / "whole.jsonl").read_text()
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [line["prompt"] for line in lines] == PROMPTS
    assert [[a["text"] for a in line["answers"]] for line in lines] == answers(gpt2, PROMPTS, max_new_tokens=5)
    assert {path.name for path in tmp_path.iterdir()} == {"p.txt", "out.jsonl", "whole.jsonl"}


def test_an_unfinished_file_of_other_settings_is_begun_anew(say: Say, gpt2: Path, tmp_path: Path) -> None:
    (tmp_path / ".unfinished-out.jsonl").write_text('{"of":"another"}\n{"prompt":"x","answers":[]}\n')
    assert say("generate", gpt2, "one", "--max-new-tokens", 3, "--out", "out.jsonl")[0] == 0
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 1


def test_forms_are_read_from_files_and_from_what_is_typed(say: Say, gpt2: Path, tmp_path: Path) -> None:
    pytest.importorskip("llguidance")
    (tmp_path / "s.json").write_text('{"enum": ["是", "no"]}', encoding="utf-8")
    for schema in ("s.json", '{"enum": ["是", "no"]}'):
        assert json.loads(say("generate", gpt2, "x", "--json-schema", schema)[1]) in ("是", "no")
    assert say("generate", gpt2, "x", "--grammar", 'start: "a" "b"')[1] == "ab\n"
    assert say("generate", gpt2, "x", "--choice", "水", "--choice", "one")[1] in ("水\n", "one\n")
    text = say("generate", gpt2, "x", "--regex", "[a-c]{3}\n[a-c]{3}", "--stop", r"\n")[1]
    assert (len(text), text[-1]) == (4, "\n")


def test_what_is_wrong_is_one_line(say: Say, gpt2: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.txt").write_bytes(b"fine\n\xff\xfe\n")
    (tmp_path / "bad.jsonl").write_text('{"prompt": "a"}\n{"other": "b"}\n')
    (tmp_path / "worse.jsonl").write_text('{"prompt": "a"}\n{"prompt": 3}\nnonsense\n')
    (tmp_path / "roles.jsonl").write_text('{"messages": [{"role": "tool", "content": "x"}]}\n')
    (tmp_path / "empty.txt").write_text("\n\n")
    assert "no prompt is given" in one_line(say("generate", gpt2))
    assert "bad.txt:2: is no valid UTF-8" in one_line(say("generate", gpt2, "--file", "bad.txt"))
    assert "bad.jsonl:2: has no field 'prompt'" in one_line(say("generate", gpt2, "--file", "bad.jsonl"))
    assert "neither a text nor messages" in one_line(say("generate", gpt2, "--file", "worse.jsonl"))
    assert "an unknown role: 'tool'" in one_line(say("generate", gpt2, "--file", "roles.jsonl"))
    assert "holds no prompts" in one_line(say("generate", gpt2, "--file", "empty.txt"))
    assert "standard input: holds no prompts" in one_line(say("generate", gpt2, "-"))
    assert "cannot be read" in one_line(say("generate", gpt2, "--file", "nowhere.txt"))
    assert "holds no model" in one_line(say("generate", tmp_path, "x"))
    assert "the model's context has 128" in one_line(say("generate", gpt2, "x" * 3000, "--out", "o.jsonl"))
    assert "give one of both" in one_line(say("generate", tmp_path, "x", "--beams", 2, "--temperature", 1))
    assert "cannot be read as text" in one_line(say("generate", gpt2, "x", "--json-schema", "nowhere.json"))
    assert not list(tmp_path.glob("*o.jsonl*"))
    assert not list(tmp_path.glob(".unfinished*"))


def test_a_conversation_without_a_terminal(say: Say, gpt2: Path, tmp_path: Path) -> None:
    """Every line is a message; commands are none; what was saved is gone on with."""
    how = ("--temperature", 0, "--max-new-tokens", 6, "--lang", "zh")
    typed = "你好\n/system 简洁\n猫在哪里\n//x\n/what\n/save\n/save talk.json\n/quit\nnever"
    code, out, err = say("chat", gpt2, *how, typed=typed)
    assert code == 0, err
    assert "没有命令 /what" in err
    assert "请给出文件名" in err
    saved = json.loads((tmp_path / "talk.json").read_text())
    assert [m["role"] for m in saved["messages"]] == ["system", "user", "assistant", "user", "assistant"]
    assert [m["content"] for m in saved["messages"]][::3] == ["简洁", "/x"]
    writer, usual = Writer.load(gpt2), Settings(6)
    for at in (2, 4):
        (answer,) = generate(writer, [saved["messages"][:at]], usual)[0]
        assert saved["messages"][at]["content"] == answer.text.strip()
        assert answer.text.lstrip() in out
    code, out, _ = say("chat", gpt2, "--from", "talk.json", "--json", *how, typed="再见\n")
    found = json.loads(out)
    assert found["messages"][:5] == saved["messages"]
    assert found["messages"][5] == {"role": "user", "content": "再见"}
    assert found["fingerprint"]
    assert json.loads(say("chat", gpt2, "--json")[1])["messages"] == []


def test_what_is_wrong_in_a_conversation_is_one_line(say: Say, gpt2: Path, tmp_path: Path) -> None:
    (tmp_path / "roles.json").write_text('{"messages": [{"role": "tool", "content": "x"}]}')
    (tmp_path / "none.json").write_text("[]")
    assert "an unknown role: 'tool'" in one_line(say("chat", gpt2, "--from", "roles.json"))
    assert "is no saved conversation" in one_line(say("chat", gpt2, "--from", "none.json"))
    assert "is no valid UTF-8" in one_line(say("chat", gpt2, typed=b"\xff\n"))
    assert "the model's context has 128" in one_line(say("chat", gpt2, typed="x" * 3000))
    marian = model(tmp_path / "marian", "marian")
    assert "holds no conversations" in one_line(say("chat", marian, typed="x"))


def test_a_schedulers_signal_ends_the_conversation(say: Say, gpt2: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def terminated(*_: Any, **__: Any) -> Iterator[Any]:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10)
        yield from ()

    monkeypatch.setattr(session, "stream", terminated)
    monkeypatch.setattr(cli, "end_now", sys.exit)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    assert "stopped" in one_line(say("chat", gpt2, "--json", typed="水\n一\n"), 130)


def test_ctrl_c_stops_an_answer_and_not_the_conversation(say: Say, gpt2: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the middle of an answer; what was said until then is part of the conversation."""
    real = session.stream

    def interrupted_once(*given: Any, **named: Any) -> Iterator[Any]:
        monkeypatch.setattr(session, "stream", real)
        for n, piece in enumerate(real(*given, **named)):
            if n == 3:
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(0.1)
            yield piece

    monkeypatch.setattr(session, "stream", interrupted_once)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    how = ("--json", "--temperature", 0, "--max-new-tokens", 20)
    code, out, err = say("chat", gpt2, *how, typed="水\n一\n")
    assert code == 0
    assert "(stopped)" in err
    messages = json.loads(out)["messages"]
    assert [m["role"] for m in messages] == ["user", "assistant", "user", "assistant"]
    (whole,) = generate(Writer.load(gpt2), [[{"role": "user", "content": "水"}]], Settings(20))[0]
    assert whole.text.strip().startswith(messages[1]["content"])
    assert messages[1]["content"] != whole.text.strip()


def test_a_conversation_on_a_terminal(gpt2: Path, tmp_path: Path) -> None:
    """Lines are edited: wide characters are rubbed out whole, and the arrow brings the last line back."""
    file = tmp_path / "talk.json"
    master, slave = pty.openpty()
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "TERM": "xterm", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "assay", "chat", str(gpt2), "--temperature", "0", "--max-new-tokens", "3"]
    process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=environment, close_fds=True)
    os.close(slave)
    said = b""

    def until(words: str, times: int = 1) -> None:
        nonlocal said
        end = time.monotonic() + 60
        while said.count(words.encode()) < times:
            assert time.monotonic() < end, said.decode("utf-8", "replace")
            if select.select([master], [], [], 0.2)[0]:
                said += os.read(master, 65536)

    try:
        until("you>")
        os.write(master, "你好水\x7f\n".encode())
        until("a second)")
        os.write(master, b"\x1b[A\n")
        until("a second)", 2)
        os.write(master, f"/save {file}\n/quit\n".encode())
        until("Saved in")
        assert process.wait(30) == 0
        users = [m["content"] for m in json.loads(file.read_text())["messages"] if m["role"] == "user"]
        assert users == ["你好", "你好"]
    finally:
        process.kill()
        os.close(master)
