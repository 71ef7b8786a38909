"""`assay explore` from the command line: it says where, opens once, and ends with 0 when it is told to."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from http.cookiejar import CookieJar
from pathlib import Path

import pytest

from command import ASSAY, assay, heed_ctrl_c

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")


def test_it_listens_opens_once_and_ends_with_0(tmp_path: Path) -> None:
    command = [ASSAY, "explore", str(tmp_path), "--no-browser", "--json", "--lang", "zh"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=heed_ctrl_c,  # noqa: PLW1509 (one system call, and no lock)
    )  # fmt: skip
    try:
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())
        assert {"url", "address", "folders", "assay_version", "fingerprint"} == set(said)
        assert said["address"].startswith("http://127.0.0.1:")
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        assert b"<!DOCTYPE html>" in browser.open(said["url"], timeout=20).read()
        words = json.loads(browser.open(said["address"] + "/api/words", timeout=20).read())
        assert words["language"] == "zh"
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(said["url"], timeout=20)
        os.killpg(process.pid, signal.SIGINT)  # Ctrl-C
        out, err = process.communicate(timeout=20)
        assert (process.returncode, out, err) == (0, "", "")
    finally:
        process.kill()
        process.wait()


def test_bad_input_is_one_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for arguments, said in (
            ([tmp_path / "nowhere"], "is not a folder"),
            ([tmp_path, "--port", port], "the port is in use"),
            ([tmp_path, "--port", 70_000], "there is no port"),
            ([tmp_path, "--host", "nowhere.invalid"], "is no address of this machine"),
        ):
            done = assay("explore", "--no-browser", *arguments, timeout=60)
            assert done.returncode == 2, done.stderr
            assert said in done.stderr
            assert len(done.stderr.strip().splitlines()) == 1
            assert done.stdout == ""


def test_both_pages_of_the_docs_say_the_same_commands() -> None:
    docs = Path(__file__).parents[2] / "docs"
    english, chinese = ((docs / name).read_text(encoding="utf-8") for name in ("explore.md", "explore.zh-CN.md"))
    assert english.split("```")[1::2] == chinese.split("```")[1::2]
    done = assay("explore", "--help", timeout=60)
    for option in re.findall(r"--[a-z-]+", "".join(english.split("```")[1::2])):
        assert option in done.stdout, option
