"""Forms that an answer has to have -> what may come next, token by token, for `Rules.constraint`.

    choices                       one of some texts: a tree of their tokens, for any tokenizer
    regex, json_schema, grammar   by llguidance, over the bytes that each token spells

Where the form is whole and may still go on, the model may end the answer with one of its stop ids; where nothing may
follow, the answer ends by itself. JSON is written without free white space, so that a small model cannot lose itself in
it. What cannot be met (a schema that contradicts itself, a pattern that is none) is told before anything is written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from assay.errors import InputError, WorkError, needs
from assay.generation.opened import Ids, Writer
from assay.generation.settings import Settings
from assay.inference.constraint import Constraint
from assay.inference.steppers import stepper
from assay.tokens.tokenizer import Encoder

_SPACED = {"WordPiece", "WordLevel"}  # kinds of tokenizers whose tokens do not say where spaces stand


def constraint(writer: Writer, settings: Settings) -> Callable[[], Constraint] | None:
    """What makes the form of each answer; None where any text will do.

    Raises:
        InputError: the form is none, cannot be met, or the tokenizer cannot spell it; llguidance is not installed.
    """
    if not settings.constrained:
        return None
    vocabulary = stepper(writer.model).vocabulary
    if settings.choices:
        tree = _tree(writer, settings.choices)
        return lambda: _Choosing(tree, writer.stops, vocabulary)
    what, made = _grammar(settings)
    matcher = _matcher(writer.encoder, made, what)
    return lambda: _Matching(matcher.deep_copy(), writer.encoder.vocabulary, writer.stops, vocabulary, what)


# One of some texts


class _Node(dict[int, "_Node"]):
    """What may follow, by token; `whole`: a choice ends here."""

    whole = False


def _tree(writer: Writer, choices: Sequence[str]) -> _Node:
    root = _Node()
    for text, ids in zip(choices, writer.ids(choices), strict=True):
        if not ids or writer.encoder.unknown in ids:
            what = f"the tokenizer cannot spell the choice {text!r}"
            raise InputError(what, where="choices", remedy="take it out, or give another model")
        at = root
        for token in ids:
            at = at.setdefault(token, _Node())
        at.whole = True
    return root


class _Choosing:
    def __init__(self, node: _Node, stops: Ids, vocabulary: int) -> None:
        self._node, self._stops, self._vocabulary = node, stops, vocabulary

    def allowed(self) -> Tensor:
        mask = torch.zeros(self._vocabulary, dtype=torch.bool)
        mask[[*self._node, *(self._stops if self._node.whole else ())]] = True
        return mask

    def tell(self, token: int) -> None:
        self._node = self._node.get(token, _Node())  # a stop id ends the answer

    def copy(self) -> _Choosing:
        return _Choosing(self._node, self._stops, self._vocabulary)

    @property
    def done(self) -> bool:
        return not self._node


# Regular expressions, schemas, grammars


def _grammar(settings: Settings) -> tuple[str, str]:
    """(the setting, the grammar in llguidance's own form)."""
    needs("llguidance", "constrained", "regular expressions, schemas and grammars")
    from llguidance import LLMatcher

    if settings.regex is not None:
        return "regex", str(LLMatcher.grammar_from_regex(settings.regex))
    if settings.grammar is not None:
        return "grammar", str(LLMatcher.grammar_from_lark(settings.grammar))
    schema = json.dumps(_schema(settings.json_schema))
    return "json_schema", str(LLMatcher.grammar_from_json_schema(schema, _WRITTEN))


# As Python and most JSON in texts is written; no other white space.
_WRITTEN: Any = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}


def _schema(given: str | Mapping[str, Any] | None) -> Any:
    try:
        found = json.loads(given) if isinstance(given, str) else given
    except ValueError as error:
        raise InputError(f"is no JSON ({error})", where="json_schema", remedy="give a JSON schema") from error
    if found is True:
        return {}
    if not isinstance(found, Mapping):
        raise InputError("is no JSON schema", where="json_schema", remedy='give an object: {"type": "object"}, say')
    return found


def _matcher(encoder: Encoder, grammar: str, what: str) -> Any:
    from llguidance import LLMatcher

    if encoder.surface.kind in _SPACED:
        said = f"tokens of this tokenizer ({encoder.surface.kind}) do not say where spaces stand: it can only choose"
        raise InputError(said, where=what, remedy="give choices, or a model with a tokenizer of bytes or pieces")
    tokenizer = _tokenizer(encoder)
    if error := LLMatcher.validate_grammar(grammar, tokenizer):
        raise InputError(_one_line(error), where=what, remedy=_REMEDIES[what])
    made = LLMatcher(tokenizer, grammar, log_level=0)
    first = np.frombuffer(made.compute_bitmask(), dtype=np.uint8)
    if made.is_error() or not first.any():
        raise InputError("no text can be of this form", where=what, remedy=_REMEDIES[what])
    return made


_REMEDIES = {
    "regex": "mend the regular expression; look-around and back-references are not known",
    "json_schema": "mend the schema",
    "grammar": 'mend the grammar: start: "yes" | "no", say',
}


def _one_line(error: str) -> str:
    """The library draws a picture of the place below its first line."""
    lines = [line.strip() for line in error.strip().splitlines()]
    found = next((line for line in lines if line.startswith("error:")), None)
    first = re.sub(r"^(at )?\d+\(\d+\): ", "", lines[0].split(" (in regex)")[0])
    return f"{first} ({found.removeprefix('error: ')})" if found else first


@lru_cache(maxsize=4)
def _tokenizer(encoder: Encoder) -> Any:
    """llguidance's view of a tokenizer: the bytes of every id, and one more id for the end."""
    from llguidance import LLTokenizer, TokenizerWrapper

    return LLTokenizer(TokenizerWrapper(_Bytes(encoder)))


class _Bytes:
    """What llguidance asks of a tokenizer."""

    bos_token_id = None

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self.eos_token_id = encoder.vocabulary
        self.tokens = [*encoder.surface.spelled, b"<end>"]
        unknown = [] if encoder.unknown is None else [encoder.unknown]
        self.special_token_ids = [*encoder.special.values(), *unknown, encoder.vocabulary]

    def __call__(self, text: bytes | str) -> list[int]:
        found = text.decode() if isinstance(text, bytes) else text
        ids: list[int] = self._encoder.encode([found])[0].tolist()
        return ids


class _Matching:
    """A form as llguidance follows it.

    Args:
        end: the library's id for the end of an answer, which stands for all stop ids.
        what: the setting, for errors.
    """

    def __init__(self, matcher: Any, end: int, stops: Ids, vocabulary: int, what: str) -> None:
        self._matcher, self._end, self._stops = matcher, end, stops
        self._vocabulary, self._what = vocabulary, what

    def allowed(self) -> Tensor:
        bits = np.unpackbits(np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8), bitorder="little")
        self._check()
        mask = np.zeros(self._vocabulary, dtype=bool)
        mask[: self._end] = bits[: self._end]
        mask[list(self._stops)] = bool(bits[self._end])
        return torch.from_numpy(mask)

    def tell(self, token: int) -> None:
        self._matcher.consume_token(self._end if token in self._stops else token)
        self._check()

    def copy(self) -> _Matching:
        return _Matching(self._matcher.deep_copy(), self._end, self._stops, self._vocabulary, self._what)

    @property
    def done(self) -> bool:
        return bool(self._matcher.is_stopped())

    def _check(self) -> None:
        if self._matcher.is_error():
            said = f"the form can be followed no further ({_one_line(self._matcher.get_error())})"
            raise WorkError(said, where=self._what, remedy="give a simpler one")
