"""Token ids -> text as it comes: never half a character, and nothing of what may become a stop string.

    Spoken.push(id)  -> the text that is certain by now     bytes of half a character are held back
    Held.push(text)  -> the text that no stop string has     the end of a text that may begin one is held back
    stopping(...)    -> tells the search that a stop string is complete, by the last tokens alone

What has been handed out, put together, is what the ids spell at the end, but for half of a character there.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Sequence

import numpy as np

from assay.tokens.tokenizer import Encoder

BROKEN = "\ufffd"
SEEN_BEFORE = 6  # tokens before the new ones that decide how these are spelled (spaces at the beginning of a word)


class Spoken:
    """The text of one answer, token by token.

    Args:
        before: ids that the answer goes on from, so that a space at its beginning is kept; empty where it stands alone.
    """

    def __init__(self, encoder: Encoder, before: Sequence[int] = ()) -> None:
        self._encoder = encoder
        self._silent = silent(encoder)
        self._bytes = codecs.getincrementaldecoder("utf-8")("replace") if encoder.lossless else None
        self._ids = [i for i in before if i not in self._silent][-SEEN_BEFORE:]
        self._begin, self._read = 0, len(self._ids)  # what is between both is said already

    def push(self, token: int) -> str:
        """What is certain once this token has come."""
        if token in self._silent:
            return ""
        if self._bytes is not None:
            return self._bytes.decode(self._encoder.surface.spelled[token])
        self._ids.append(token)
        said, now = self._text(self._ids[self._begin : self._read]), self._text(self._ids[self._begin :])
        if now.endswith(BROKEN) or len(now) <= len(said):
            return ""
        self._begin, self._read = self._read, len(self._ids)
        if self._begin > SEEN_BEFORE:  # no more than what decides is kept
            del self._ids[: self._begin]
            self._begin, self._read = 0, self._read - self._begin
        return now[len(said) :]

    def rest(self) -> str:
        """What was held back, at the end, without half of a character that was never completed."""
        if self._bytes is not None:
            return ""
        said, now = self._text(self._ids[self._begin : self._read]), self._text(self._ids[self._begin :])
        return now[len(said) :].rstrip(BROKEN)

    def _text(self, ids: list[int]) -> str:
        return self._encoder.decode(np.array(ids, dtype=np.int64)) if ids else ""


def silent(encoder: Encoder) -> frozenset[int]:
    """Ids that stand for no text: special tokens."""
    return frozenset(encoder.special.values())


class Held:
    """The text of one answer, without what may become a stop string, and without what follows one."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stops)
        self._held = ""

    def push(self, text: str) -> str:
        """What no stop string can begin in."""
        whole = self._held + text
        keep = max((_overlap(whole, stop) for stop in self._stops), default=0)
        self._held = whole[len(whole) - keep :]
        return whole[: len(whole) - keep]

    def end(self, text: str, *, stopped: bool) -> tuple[str, str | None]:
        """(the last text, the stop string that ended it): of a stop string, what stands before it.

        Args:
            stopped: the search was told that a stop string is complete.
        """
        whole, self._held = self._held + text, ""
        found = min(((whole.find(stop), -len(stop), stop) for stop in self._stops if stop in whole), default=None)
        if not stopped or found is None:
            return whole, None
        return whole[: found[0]], found[2]


def _overlap(text: str, stop: str) -> int:
    """Characters at the end of a text that a stop string begins with, all of it aside."""
    for n in range(min(len(text), len(stop) - 1), 0, -1):
        if text.endswith(stop[:n]):
            return n
    return 0


def stopping(encoder: Encoder, stops: Sequence[str]) -> Callable[[Sequence[int]], bool] | None:
    """Whether the last of some ids completes a stop string; None where there is none. For `Limits.when`."""
    if not stops:
        return None
    quiet, longest = silent(encoder), max(len(stop.encode("utf-8", "surrogatepass")) for stop in stops)

    def text_of(ids: list[int]) -> str:
        return encoder.decode(np.array(ids, dtype=np.int64)) if ids else ""

    def when(ids: Sequence[int]) -> bool:
        # Every token has a byte at least, so these reach back far enough.
        last = [i for i in ids[-longest - SEEN_BEFORE - 1 :] if i not in quiet]
        if not last or ids[-1] in quiet:
            return False
        whole = text_of(last)
        there = [stop for stop in stops if stop in whole]
        before = text_of(last[:-1]) if there else ""
        return any(whole.rfind(stop) > before.rfind(stop) for stop in there)

    return when
