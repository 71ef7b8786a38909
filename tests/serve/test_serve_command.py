"""`assay serve` as a person runs it: what it prints, how it stops, what it refuses in one line."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from assay.errors import InputError
from assay.serve.verb import Request, ready
from assay.serve.writing import Limits
from command import Running, assay

KEY = "a-key-that-somebody-chose"


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.delenv("ASSAY_KEY", raising=False)


@contextlib.contextmanager
def started(log: Path, *arguments: Any) -> Iterator[Running]:
    run = Running(log, "serve", *arguments, "--port", 0)
    try:
        yield run
    finally:
        if run.process.poll() is None:
            run.signal(signal.SIGKILL)
        run.process.wait(30)


@pytest.fixture
def running(models: dict[str, Path], tmp_path: Path) -> Iterator[tuple[Running, dict[str, Any]]]:
    """A server, and what it said."""
    given = (models["gpt"], f"slow={models['lstm']}", "--json", "--max-tokens", 100_000, "--drain", 20)
    with started(tmp_path / "log", *given) as run:
        yield run, json.loads(run.process.stdout.readline())  # type: ignore[union-attr]


def stream(told: dict[str, Any], tokens: int) -> tuple[threading.Thread, dict[str, Any]]:
    """An answer that is being read by a thread; what came of it is in the dictionary, bit by bit."""
    found: dict[str, Any] = {"lines": []}
    body = {
        "model": "slow",
        "prompt": "A",
        "max_tokens": tokens,
        "min_tokens": tokens,
        "temperature": 0,
        "stream": True,
    }

    def read() -> None:
        try:
            with httpx.stream("POST", f"{told['url']}/v1/completions", json=body, timeout=60,
                              headers={"Authorization": f"Bearer {told['key']}"}) as answer:  # fmt: skip
                found["lines"] += (line for line in answer.iter_lines() if line)
        except httpx.TransportError as error:
            found["error"] = error

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    return thread, found


def begun(found: dict[str, Any], run: Running) -> None:
    """Wait until the answer is being written."""
    end = time.monotonic() + 20
    while "POST" not in run.log.read_text() and not found["lines"] and time.monotonic() < end:
        time.sleep(0.02)
    time.sleep(0.3)


def test_it_says_once_where_it_listens_and_ctrl_c_finishes_what_is_being_answered(
    running: tuple[Running, dict[str, Any]],
) -> None:
    run, told = running
    assert set(told) == {"url", "key", "models", "assay_version", "fingerprint"}
    assert told["url"].startswith("http://127.0.0.1:") and len(told["key"]) > 40
    assert [model["name"] for model in told["models"]] == ["gpt", "slow"]
    answer = httpx.get(f"{told['url']}/health", headers={"Authorization": f"Bearer {told['key']}"})
    assert answer.status_code == 200 and httpx.get(f"{told['url']}/health").status_code == 401
    run.wait_for("GET /health 401")
    assert told["key"] not in run.log.read_text()
    thread, found = stream(told, 1500)
    begun(found, run)
    run.signal(signal.SIGINT)
    thread.join(40)
    assert found["lines"][-1] == "data: [DONE]" and "error" not in found
    assert run.end(20) == (0, []) and not run.left_over()


def test_a_second_ctrl_c_ends_at_once(running: tuple[Running, dict[str, Any]]) -> None:
    run, told = running
    thread, found = stream(told, 100_000)
    begun(found, run)
    run.signal(signal.SIGINT)
    run.wait_for("Stopping")
    began = time.monotonic()
    run.signal(signal.SIGINT)
    code, _ = run.end(10)
    assert code == 130 and time.monotonic() - began < 5
    thread.join(10)
    assert "[DONE]" not in str(found["lines"])


def test_in_chinese_with_a_key_of_ones_own_until_it_is_terminated(
    models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASSAY_KEY", KEY)
    with started(tmp_path / "log", f"诗={models['gpt']}", "--lang", "zh") as run:
        said = [run.process.stdout.readline().strip() for _ in range(3)]  # type: ignore[union-attr]
        assert "提供服务：诗" in said[0] and said[1] == "可以这样试一下：" and KEY not in str(said)
        assert said[2].startswith("curl http://127.0.0.1:") and "你好" in said[2]
        if shutil.which("curl"):  # as somebody would copy it
            done = subprocess.run(["sh", "-c", f"{said[2]} -s -m 30"], capture_output=True, text=True, timeout=60)
            answer = json.loads(done.stdout)
            assert answer["model"] == "诗" and answer["choices"][0]["message"]["role"] == "assistant"
        run.signal(signal.SIGTERM)
        assert run.end(20) == (0, [])
        assert "正在停止" in run.log.read_text()


def test_a_port_in_use_is_one_line_and_exit_code_2(models: dict[str, Path]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = assay("serve", models["gpt"], "--port", port, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    said = f"assay: 127.0.0.1:{port}: the port is in use -> give another one with --port, or 0 for a free one\n"
    assert done.stderr == said


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"port": 99999}, "there is no port 99999"),
        ({"host": "203.0.113.7"}, "203.0.113.7:0: cannot be listened on"),
        ({"host": "no such host"}, "is no address of this machine"),
        ({"models": ("none",)}, "none: there is no such directory"),
        ({"models": ()}, "no model is given"),
        ({"key_file": Path("none")}, "none: cannot be read"),
        ({"key_file": Path("short")}, "short: a key of 3 characters"),
        ({"key_file": Path("binary")}, "cannot be read \\(it is no text\\)"),
        ({"limits": Limits(seconds=0)}, "--timeout: 0 is not above 0"),
        ({"limits": Limits(seconds=float("nan"))}, "--timeout: nan is not above 0"),
    ],
)
def test_what_cannot_be_served_is_told_and_leaves_no_port_taken(
    models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("short").write_text("abc\n")
    Path("binary").write_bytes(b"\xff\xfe\x00" * 9)
    with pytest.raises(InputError, match=said) as caught:
        ready(Request(**{"models": (str(models["gpt"]),), "port": 0, **given}))
    assert "\n" not in caught.value.line() and caught.value.remedy


def test_without_its_libraries_it_says_what_to_install(
    models: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(InputError, match="uvicorn, which is not installed") as caught:
        ready(Request((str(models["gpt"]),), port=0))
    assert caught.value.remedy == 'pip install "assay[serve]"'
