"""What a person sees while they wait: honest estimates, quiet when asked, plain lines in a log."""

from __future__ import annotations

import io
import re

import pytest

from assay.errors import interrupted
from assay.present import progress as room
from assay.present.progress import Progress


class Clock:
    """A clock that the test winds."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(room, "time", clock)
    return clock


def test_the_time_left_comes_from_this_run_alone(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    """Half is found done; a tenth takes 40 s, so the other four tenths take 160 s."""
    with Progress() as progress:
        progress.stage("fleet", 100)
        progress.advance(50, found=True)
        clock.now += 40
        progress.advance(10)
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["Training the fleet ...", "Training the fleet: 60% 2 min 40 s left"]


def test_work_of_a_later_stage_is_counted(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("zh") as progress:
        progress.stage("fleet", 100, after=100)
        clock.now += 30
        progress.advance(50)
    assert re.search(r"50% .*1 分 30 秒", capsys.readouterr().err)


def test_nothing_is_estimated_from_nothing(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with Progress() as progress:
        progress.stage("fleet", 100)
        clock.now += 30
        progress.advance(40, found=True)
    assert capsys.readouterr().err.splitlines()[-1].strip() == "Training the fleet: 40%"


def test_a_log_gets_few_lines_and_no_control_characters(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with Progress() as progress:
        progress.stage("fleet", 10_000)
        for _ in range(10_000):
            clock.now += 0.011
            progress.advance(1)
    told = capsys.readouterr()
    assert told.out == ""
    assert len(told.err.splitlines()) == 1 + int(110 / room.LOG_EVERY_SECONDS)
    assert "\x1b" not in told.err
    assert "\r" not in told.err


def test_quiet_says_nothing(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(quiet=True) as progress:
        progress.stage("fleet", 10)
        clock.now += 60
        progress.advance(5)
    assert capsys.readouterr() == ("", "")


def test_a_terminal_gets_a_bar_that_does_not_lie_about_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    def shown(error: Exception | None) -> str:
        screen = Terminal()
        monkeypatch.setattr("sys.stderr", screen)
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("COLUMNS", "120")
        try:
            with Progress() as progress:
                progress.stage("fleet", 100)
                progress.advance(30)
                if error:
                    raise error
        except KeyError:
            pass
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.getvalue())

    assert "100%" in shown(None)
    stopped = shown(KeyError())
    assert "30%" in stopped
    assert "100%" not in stopped


def test_seconds_are_taken_once(clock: Clock) -> None:
    with Progress(quiet=True) as progress:
        progress.stage("tokens")
        clock.now += 3
        progress.stage("fleet", 10)
        clock.now += 5
        assert progress.take_seconds() == {"tokens": 3, "fleet": 5}
        clock.now += 2
        progress.stage("report")
        clock.now += 1
    assert progress.take_seconds() == {"fleet": 2, "report": 1}


def test_a_ctrl_c_that_was_lost_is_raised_again_at_the_next_word_of_progress() -> None:
    progress = Progress("en", quiet=True)
    try:
        with progress:
            progress.stage("documents", 10)
            interrupted.set()
            with pytest.raises(KeyboardInterrupt):
                progress.advance(1)
            with pytest.raises(KeyboardInterrupt):
                progress.to("signals", 1, 2)
            progress.take_seconds()  # what is told at the end
    finally:
        interrupted.clear()
