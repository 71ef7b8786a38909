"""Token ids as a person reads them: one label a token, and stretches of text that no character is cut in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from assay.tokens.tokenizer import Encoder


@dataclass(frozen=True)
class Stretch:
    """Tokens that together spell whole characters.

    Attributes:
        first, end: which tokens.
        special: it is one token that stands for no text.
    """

    text: str
    first: int
    end: int
    special: bool = False


def label(encoder: Encoder, token: int) -> str:
    """What a token spells; half a character as its bytes; of tokens that lack their spaces, their name."""
    names = encoder.surface.names
    if token in encoder.special.values() or not encoder.lossless:
        return names.get(token, f"#{token}")
    if token >= len(encoder.surface.spelled):  # a row of the model that the tokenizer does not use
        return f"#{token}"
    spelled = encoder.surface.spelled[token]
    try:
        return spelled.decode("utf-8")
    except UnicodeDecodeError:
        return "·".join(f"{byte:02x}" for byte in spelled)


def stretches(encoder: Encoder, ids: Sequence[int]) -> Iterator[Stretch]:
    """The text of some ids in the shortest stretches of whole characters."""
    special, held, first = set(encoder.special.values()), b"", 0
    for i, token in enumerate(ids):
        if token in special or not encoder.lossless:
            if held:
                yield Stretch(held.decode("utf-8", "replace"), first, i)
                held = b""
            yield Stretch(label(encoder, token), i, i + 1, token in special)
            first = i + 1
            continue
        if not held:
            first = i
        held += encoder.surface.spelled[token] if token < len(encoder.surface.spelled) else b""
        try:
            text = held.decode("utf-8")
        except UnicodeDecodeError as error:
            if error.end < len(held) or error.reason != "unexpected end of data":  # no later byte mends it
                yield Stretch(held.decode("utf-8", "replace"), first, i + 1)
                held = b""
            continue
        yield Stretch(text, first, i + 1)
        held = b""
    if held:
        yield Stretch(held.decode("utf-8", "replace"), first, len(ids))
