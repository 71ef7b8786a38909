"""For all tests: no network beyond loopback, and the shared data sets where this machine has them."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from command import Say

TESTS = Path(__file__).parent
OFFLINE = TESTS / "offline"
SHARED = TESTS.parent.parent / "shared" / "data"

# Before anything that a test imports can open a socket; and for the programs and fleet workers that tests start.
sys.path.insert(0, str(OFFLINE))
sys.modules.pop("sitecustomize", None)
import sitecustomize  # noqa: E402, F401

sys.path.remove(str(OFFLINE))
os.environ["PYTHONPATH"] = os.pathsep.join([str(OFFLINE), *filter(None, [os.environ.get("PYTHONPATH")])])

# The same examples in every run, so that a run says something about the change that it was made for, and no deadline,
# since this machine may be busy. `make test PYTEST_ARGS=--hypothesis-profile=explore` looks for new ones.
settings.register_profile("fixed", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None, max_examples=500)
settings.load_profile("fixed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, so that two processes end together."""
    longest = ("test_study.py", "test_parallel.py", "test_train_resume.py", "test_train_run.py", "test_fleet.py")
    items.sort(key=lambda item: longest.index(item.path.name) if item.path.name in longest else len(longest))


@pytest.fixture
def shared() -> Callable[[str], Path]:
    """`shared("mix-en")`: a data set that lies beside the repository; the test is skipped where it does not."""

    def find(name: str) -> Path:
        path = SHARED / name
        if not path.exists():
            pytest.skip(f"needs the data set {name} in {SHARED.parent.name}/{SHARED.name} beside the repository")
        return path

    return find


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Iterator[Say]:
    """`say(arguments, typed=...)`: exit code, stdout, and stderr without the lines of progress; in an empty folder."""
    from assay import cli

    monkeypatch.chdir(tmp_path)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def run(*arguments: Any, typed: str | bytes = "") -> tuple[int, str, str]:
        data = typed.encode() if isinstance(typed, str) else typed
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"))
        monkeypatch.setattr("sys.argv", ["assay", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        told = capsys.readouterr()
        lines = [line for line in told.err.splitlines(keepends=True) if not line.endswith("...\n")]
        return int(end.value.code or 0), told.out, "".join(lines)

    yield run
    for number, handler in handlers.items():
        signal.signal(number, handler)
    cli.interrupted.clear()  # of this process, in which other tests run
