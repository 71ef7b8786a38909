"""A run stops between two steps: Ctrl-C, or a scheduler's SIGTERM, is heeded once the step at work is done."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from assay.errors import interrupted


@contextmanager
def between_steps() -> Iterator[None]:
    """Within, the first Ctrl-C or SIGTERM only sets `errors.interrupted`, which whoever tells of progress raises.

    Where the program has a handler of its own for Ctrl-C, that is called: it decides what a second one does.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def heed(number: int, frame: FrameType | None) -> None:
        interrupted.set()
        handler = before[signal.SIGINT]
        if number == signal.SIGINT and callable(handler):
            with suppress(KeyboardInterrupt):
                handler(number, frame)

    for number, handler in before.items():
        if handler is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, heed)
    try:
        yield
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is heed:
                signal.signal(number, handler or signal.SIG_DFL)
