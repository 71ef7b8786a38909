"""The front door: bad input and bad usage in one line with the right exit code, and nothing left behind.

Run in this process, where nothing but the work itself would differ; tests/test_study.py starts the real command.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from assay import cli, store
from assay.corpus.reading import formats
from command import TINY, Say, assay, one_line, write_texts


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_texts(tmp_path_factory.mktemp("corpus") / "texts")


# Bad input


def _empty(folder: Path) -> None:
    folder.mkdir()


def _binaries(folder: Path) -> None:
    folder.mkdir()
    (folder / "a.txt").write_bytes(bytes(range(256)) * 20)
    (folder / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))


def _broken_line(folder: Path) -> None:
    write_texts(folder, documents=20)
    path = folder / "letters.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines()
    lines[9] = '{"text": "half'
    path.write_text("\n".join(lines), encoding="utf-8")


def _cut_parquet(folder: Path) -> None:
    folder.mkdir()
    path = folder / "x.parquet"
    pl.DataFrame({"text": [f"row {i} of many" for i in range(5000)]}).write_parquet(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _misdeclared(folder: Path) -> None:
    folder.mkdir()
    (folder / "中文.txt").write_bytes("天地玄黄，宇宙洪荒。\n".encode() * 50 + "天地\n".encode("gb18030"))


@pytest.mark.parametrize(
    ("make", "place", "remedy"),
    [
        (_empty, "资料: the folder is empty", "give files of the kinds .txt .md .jsonl"),
        (_binaries, "(a.txt: binary data under a text file's name; b.png: not a kind", "give files of the kinds"),
        (_broken_line, "letters.jsonl:10:10: broken JSON", "mend the row or pass --on-error skip"),
        (_cut_parquet, "x.parquet: not a whole Parquet file", "copy or download it again"),
        (_misdeclared, "中文.txt:51: byte 1550 is not utf-8", "pass --encoding gb18030"),
    ],
)
def test_bad_input_is_told_in_one_line_and_leaves_nothing(
    say: Say, make: Callable[[Path], None], place: str, remedy: str
) -> None:
    make(Path("资料"))
    line = one_line(say("study", "资料", *TINY, "--out", "new/研究", "--json", "--lang", "zh"))
    assert place in line
    assert remedy in line.split(" -> ")[-1]
    assert not Path("new").exists()


def test_a_corrected_command_works_in_the_same_folder(say: Say, texts: Path) -> None:
    """What a person does next: mend the file, or the budget, or the field, and give the command again."""
    shutil.copytree(texts, "texts")
    good = Path("texts/letters.jsonl").read_text(encoding="utf-8")
    Path("texts/letters.jsonl").write_text(good + '{"text": 7}\n', encoding="utf-8")
    command = ["study", "texts", *TINY, "--out", "out", "--explain", "--json"]
    place = one_line(say(*command))
    assert "letters.jsonl:451: field 'text' is int, not a string" in place
    assert "domain" in one_line(say(*command, "--source-field", "domain"))
    code, out, _ = say(*command, "--on-error", "skip")
    assert code == 0
    assert json.loads(out)["values"]
    Path("texts/letters.jsonl").write_text(good, encoding="utf-8")
    line = one_line(say(*command, "--tokens", "10k"))
    assert line.startswith("assay: --tokens: the budget of 10,000 training tokens is too small for the smallest study")
    needed = line.split("give at least ")[1].split(" tokens")[0].replace(",", "")
    assert say(*command, "--tokens", needed)[0] == 0
    assert say(*command)[0] == 0


def test_a_corpus_too_small_says_how_much_is_needed(say: Say) -> None:
    write_texts(Path("small"), documents=60)
    line = one_line(say("study", "small", *TINY, "--out", "out"))
    assert line.startswith("assay: small: the corpus is too small")
    assert "give more text" in line
    Path("small/x.txt").write_bytes(bytes(900))
    line = one_line(say("study", "small", *TINY, "--out", "out"))
    assert "; files that were not read: 1, such as x.txt (binary data under a text file's name) -> " in line
    enough = write_texts(Path("enough"))
    (enough / "x.txt").write_bytes(bytes(900))
    line = one_line(say("study", enough, *TINY, "--tokens", "10k", "--out", "other"))
    assert "not read" not in line  # it is the budget that is too small


def test_bad_rows_that_are_skipped_are_counted_and_none_left_is_an_error(say: Say) -> None:
    _broken_line(Path("texts"))
    skip = ["--on-error", "skip", "--out", "out"]
    line = one_line(say("study", "texts", "--source-field", "domain", *skip))
    assert "all were skipped as broken; the first: " in line
    assert "letters.jsonl:1: no field 'domain' to name the source by" in line


def test_a_file_that_vanishes_while_read(say: Say, texts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(texts, "texts")
    read = formats.rows

    def vanish(*given: Any, **options: Any) -> Any:
        Path("texts/numbers.jsonl").unlink(missing_ok=True)
        return read(*given, **options)

    monkeypatch.setattr(formats, "rows", vanish)
    line = one_line(say("study", "texts", *TINY, "--out", "out"))
    assert "numbers.jsonl: the file was listed and has vanished since -> put it back" in line
    assert not Path("out").exists()


def test_a_full_disk_is_exit_code_1_and_earlier_work_stays(
    say: Say, texts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = store.write_manifest

    def full(folder: Path, body: Any) -> None:
        if body["stage"] == "duplicates":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))
        write(folder, body)

    command = ["study", texts, *TINY, "--out", "out", "--explain", "--json"]
    with monkeypatch.context() as patched:
        patched.setattr(store, "write_manifest", full)
        line = one_line(say(*command), code=1)
    assert "the disk is full -> free some space and run the same command again" in line
    assert {path.name for path in Path("out/artifacts").iterdir()} >= {"documents", "signals"}
    assert not list(Path("out").rglob(".staging-*"))
    assert say(*command)[0] == 0


# The folder of the study


def test_an_out_that_cannot_be_used(say: Say, texts: Path) -> None:
    Path("file").write_text("mine", encoding="utf-8")
    Path("full").mkdir()
    Path("full/mine.txt").write_text("mine", encoding="utf-8")
    command = ["study", texts, *TINY, "--out"]
    assert one_line(say(*command, "file")) == "assay: file: is not a folder -> choose another --out"
    assert one_line(say(*command, "file/below")) == "assay: file/below: cannot be written -> choose another --out"
    assert "full: holds files that are not a study's -> choose an empty or new folder" in one_line(
        say(*command, "full")
    )
    assert [path.name for path in Path("full").iterdir()] == ["mine.txt"]
    for out in ("/proc/none", "n" * 300):
        assert one_line(say(*command, out)).endswith(": cannot be written -> choose another --out")


# Bad usage


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--tokens", "lots"], "--tokens: 'lots' is not a number of tokens -> write it like 5e6 or 2M"),
        (["--tokens", "0"], "--tokens: '0' is not a number"),
        (["--tokens", "-5"], "--tokens: '-5' is not a number"),
        (["--tokens", "1.2.3"], "--tokens: '1.2.3' is not a number"),
        (["--budget", "soon"], "--budget: 'soon' is not a time -> write it like 90s, 10m or 1h"),
        (["--budget", "0m"], "--budget: '0m' is not a time"),
        (["--budget", "1m", "--tokens", "1M"], "--budget and --tokens are both given -> give one of them"),
        (["--set", "train.sedes=3"], "unknown key 'train.sedes' -> the nearest known one is 'train.seeds'"),
        (["--set", "train.seeds"], "'train.seeds' has no '=' -> write key=value"),
        (["--set", "train.width=33"], "train.width: input should be a multiple of 16"),
        (["--set", "train.seeds=["], "--set train.seeds: '[' is not a YAML value"),
        (["--encoding", "nonsense"], "--encoding: no encoding is called 'nonsense'"),
        (["--on-error", "hope"], "'--on-error': 'hope' is not one of 'stop', 'skip' -> see --help"),
        (["--lang", "fr"], "'--lang': 'fr' is not one of 'en', 'zh' -> see --help"),
        (["--recipe", "none.yaml"], "none.yaml: no such recipe"),
        (["--nope"], "No such option: --nope -> see --help"),
        (["--budget", ""], "--budget: '' is not a time"),
        (["--tokens", ""], "--tokens: '' is not a number"),
        (["--set", "sedes=3"], "unknown key 'sedes' -> the nearest known one is 'train.seeds'"),
        (
            ["--set", "design.axes=size"],
            "design.axes: should be a list, as in [a, b] (given: 'size') -> mend design.axes",
        ),
        (["--set", "design.axes=[]"], "design.axes: should hold one entry at least"),
        (["--set", "train.seeds=many"], "train.seeds: should be a whole number"),
    ],
)
def test_bad_usage_is_one_line_and_exit_code_2(say: Say, texts: Path, arguments: list[str], words: str) -> None:
    assert words in one_line(say("study", texts, *arguments))
    assert not Path("study").exists()


def test_a_source_that_is_no_file_and_no_folder(say: Say) -> None:
    assert "'': a source is empty -> name a file or a folder" in one_line(say("study", ""))
    os.mkfifo("pipe.jsonl")
    for uri in ("pipe.jsonl", "/dev/null"):
        assert f"{uri}: is a pipe or a device, not a file -> write what comes" in one_line(say("study", uri))
    assert not Path("study").exists()


def test_a_budget_that_is_gone_before_training_begins(say: Say, texts: Path) -> None:
    line = one_line(say("study", texts, "--budget", "3s", "--out", "out"))
    assert line.startswith("assay: --budget: 3 s are no time to train: reading took ")
    assert line.endswith("-> give 2m at least (what has been read is kept)")


def test_an_answer_that_nobody_can_take(say: Say) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full here")
    command = [sys.executable, "-c", "from assay import cli; cli.main()", "doctor", "env"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("assay: standard output: the disk is full -> free some space")
    with subprocess.Popen([*command, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as piped:
        assert piped.stdout is not None
        assert piped.stderr is not None
        piped.stdout.close()
        assert piped.stderr.read() == ""


def test_a_mistyped_source_names_the_near_one(say: Say) -> None:
    Path("texts").mkdir()
    assert one_line(say("study", "text")).endswith("there is no such file or folder -> did you mean texts?")
    assert not Path("study").exists()


def test_assay_alone_and_its_version(say: Say) -> None:
    code, out, err = say()
    assert (code, err) == (0, "")
    assert "study" in out
    assert "doctor" in out
    assert say("--version")[:2] == (0, f"assay {cli.__version__}\n")
    assert "No such command 'stduy'" in one_line(say("stduy"))


# Defects of our own


def test_an_unexpected_error_is_one_line_and_debug_shows_the_trace(monkeypatch: pytest.MonkeyPatch, say: Say) -> None:
    from assay import front

    def fail(**_: Any) -> None:
        raise ValueError("seven is not\na colour")

    monkeypatch.setattr(front, "doctor_env", fail)
    line = one_line(say("doctor", "env"), code=1)
    assert "test_cli.py:" in line
    assert "ValueError: seven is not a colour -> this is a defect of assay: run again with --debug" in line
    monkeypatch.setattr("sys.argv", ["assay", "doctor", "env", "--debug"])
    with pytest.raises(ValueError, match="seven"):
        cli.main()


def test_debug_shows_the_trace_of_bad_input_too(tmp_path: Path) -> None:
    done = assay("study", tmp_path / "none", "--out", tmp_path / "out", "--debug")
    assert done.returncode != 0
    assert "Traceback" in done.stderr
    assert "there is no such file or folder" in done.stderr


def test_an_out_that_points_nowhere_is_refused(say: Say, texts: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    told = one_line(say("study", texts, "--out", "link"))
    assert told == "assay: link: is not a folder -> choose another --out"


def test_a_terminal_of_another_encoding_gets_every_sentence() -> None:
    """U+2212, the minus of all figures, is not in GBK: a finished study must not end in an error."""
    code = (
        "import sys; from assay import cli; sys.argv = ['assay', '--version']\ntry: cli.main()\nexcept SystemExit: pass"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nprint('\u2212\u0030.2 bpb, 词元, \u20bf')"],
        env={**os.environ, "PYTHONIOENCODING": "gbk", "PYTHONUTF8": "0"}, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode("gbk").splitlines()[-1] == "-0.2 bpb, 词元, ?"


def test_pickled_weights_are_converted_and_others_refused_in_one_line(say: Say, tmp_path: Path) -> None:
    import torch

    torch.save({"weight": torch.ones(3, 2)}, tmp_path / "weights.pt")
    code, out, err = say("convert", "weights.pt", "--out", "model", "--json")
    answer = json.loads(out)
    assert (code, err) == (0, "")
    assert {"out": "model", "tensors": 1, "parameters": 6, "dtypes": ["float32"]}.items() <= answer.items()
    assert answer.keys() >= {"files", "assay_version", "fingerprint"}
    code, out, err = say("convert", "weights.pt", "--out", "model")
    assert (code, err) == (0, "")
    assert out.splitlines()[-1] == "model"
    (tmp_path / "weights.pt").write_bytes(b"no weights")
    assert "is no file of PyTorch" in one_line(say("convert", "weights.pt", "--out", "other"))
    assert not (tmp_path / "other").exists()
    assert "--out" in one_line(say("convert", "weights.pt"))


def test_a_panic_of_a_library_is_one_line_and_a_ctrl_c_within_it_is_a_ctrl_c(
    say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    class PanicException(BaseException):
        """As libraries in Rust raise it."""

    def broken(**_: Any) -> None:
        raise PanicException("index out of bounds")

    def stopped(**_: Any) -> None:
        cli.interrupted.set()
        raise PanicException("KeyboardInterrupt")

    def end(code: int) -> None:
        raise SystemExit(code)

    monkeypatch.setattr(cli, "end_now", end)
    monkeypatch.setattr("assay.front.doctor_env", broken)
    assert "PanicException: index out of bounds" in one_line(say("doctor", "env"), 1)
    monkeypatch.setattr("assay.front.doctor_env", stopped)
    assert "stopped" in one_line(say("doctor", "env"), 130)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_a_schedulers_signal_leave_nothing_half_written(
    say: Say, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, number: int
) -> None:
    def written(**_: Any) -> None:
        with store.staged(tmp_path / "out") as folder:
            (folder / "half").write_text("x")
            os.kill(os.getpid(), number)
            time.sleep(10)  # where the signal is heeded

    monkeypatch.setattr(cli, "end_now", sys.exit)
    monkeypatch.setattr("assay.front.doctor_env", written)
    signal.signal(number, signal.SIG_DFL)  # where the tests run in the background, Ctrl-C is ignored
    assert "stopped" in one_line(say("doctor", "env"), 130)
    assert list(tmp_path.iterdir()) == []
