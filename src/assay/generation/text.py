"""Prompts -> answers as text, all at once or as they come.

    generate(writer, asked, settings)   -> answers to each prompt
    stream(writer, asked, settings)     -> an iterator: pieces of text, as they become certain

    asked -> ids (opened) -> tokens of a search (inference) -> text without what stops it (decoding)

What is streamed is what is generated: the pieces of an answer, put together, are its text. Which search it is, the
settings say. Beams are known at their end alone, so their pieces are whole answers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from assay.errors import InputError
from assay.generation.constrained import constraint
from assay.generation.decoding import Held, Spoken, stopping
from assay.generation.opened import Asked, Prompt, Writer
from assay.generation.settings import Settings
from assay.inference import generate as search
from assay.inference.beam import beam_search
from assay.inference.contrastive import Contrast, contrastive_stream
from assay.inference.generate import ROWS, Token
from assay.inference.limits import End, Limits, Written
from assay.inference.sampling import Rules
from assay.inference.speculative import speculative_stream


@dataclass(frozen=True)
class Answer:
    """What a model wrote.

    Attributes:
        end: stop: the model ended it, or a stop string did, or a constraint is met; length: it has as many tokens as
            there may be; full: the model's context is.
        tokens: that were written, without what stopped them.
        prompt_tokens: that they go on from.
        log_probability: of all that was written, in nats, as the model has it.
        stopped_by: the stop string; None: none did.
        ids, log_probabilities: of each token, with what stopped them.
        turns_cut: messages of the conversation that had no room, the oldest.
    """

    text: str
    end: End
    tokens: int
    prompt_tokens: int
    log_probability: float
    stopped_by: str | None = None
    ids: tuple[int, ...] = field(default=(), repr=False)
    log_probabilities: tuple[float, ...] = field(default=(), repr=False)
    turns_cut: int = 0


@dataclass(frozen=True)
class Piece:
    """Text of one answer that has become certain; it may be empty.

    Attributes:
        prompt, number: the prompt, and which of its answers, from 0 on.
        tokens: that came since the piece before.
        answer: the whole, with its last piece.
    """

    prompt: int
    number: int
    text: str
    tokens: tuple[Token, ...]
    answer: Answer | None = None


def generate(
    writer: Writer,
    asked: Sequence[Asked | Prompt],
    settings: Settings | None = None,
    *,
    draft: Writer | None = None,
    raw: bool = False,
    rows: int = ROWS,
) -> list[list[Answer]]:
    """Answers to each prompt, `settings.n` of them, of beams the best first.

    Args:
        asked: texts, conversations (lists of messages with role and content), or prompts as `Writer.prompts` makes
            them.
        settings: None: the model's own.
        draft: a small model of the same tokenizer that proposes tokens: the same answers, sooner.
        raw: texts are put to the model as they are, whatever it was trained for.
        rows: that are written together at most; the answers do not depend on it.

    Raises:
        InputError: a prompt is not valid or longer than the context, or the settings cannot be met.
    """
    found: dict[tuple[int, int], Answer] = {}
    for piece in stream(writer, asked, settings, draft=draft, raw=raw, rows=rows):
        if piece.answer is not None:
            found[piece.prompt, piece.number] = piece.answer
    numbers = range(max((n for _, n in found), default=-1) + 1)
    return [[found[i, n] for n in numbers if (i, n) in found] for i in range(len(asked))]


def stream(
    writer: Writer,
    asked: Sequence[Asked | Prompt],
    settings: Settings | None = None,
    *,
    draft: Writer | None = None,
    raw: bool = False,
    rows: int = ROWS,
) -> Iterator[Piece]:
    """`generate` as it goes: a piece for each token of each answer. Whoever has enough stops to iterate.

    Raises:
        InputError: as `generate`; what is wrong with prompts and settings before the first piece.
    """
    settings = writer.usual if settings is None else settings
    stops = settings.stop
    talks = writer.chat is not None and any(writer.is_talk(one, raw=raw) for one in asked)
    stops = (*stops, *writer.chat.stops) if talks and writer.chat is not None else stops
    prompts = writer.prompts(asked, settings, raw=raw)
    how = _How(*asked_as(writer, settings, stops), rows)
    if draft is not None:
        _check_draft(writer, draft, settings)
    if settings.search == "beams":
        return _whole(writer, prompts, settings, how, stops)
    return _spoken(writer, prompts, settings.n, _tokens(writer, prompts, settings, how, draft), stops)


def asked_as(writer: Writer, settings: Settings, stops: Sequence[str]) -> tuple[Limits, Rules]:
    """Limits and rules as `inference` takes them.

    Raises:
        InputError: the form that answers are to have cannot be met.
    """
    when, form = stopping(writer.encoder, stops), constraint(writer, settings)
    limits = Limits(settings.max_new_tokens, settings.min_new_tokens, writer.stops, when=when)
    return limits, Rules(settings.repetition, settings.no_repeat, constraint=form)


@dataclass(frozen=True)
class _How:
    """Settings as `inference` takes them."""

    limits: Limits
    rules: Rules
    rows: int


def _check_draft(writer: Writer, draft: Writer, settings: Settings) -> None:
    if settings.search not in ("greedy", "sampling"):
        what = f"a draft is of no use to {settings.search}"
        raise InputError(what, where="draft", remedy="leave it out, or decode greedily, or draw")
    if writer.encoder.content != draft.encoder.content or writer.is_translator != draft.is_translator:
        what = f"{draft.name} has another tokenizer, or is of another kind, than {writer.name}"
        raise InputError(what, where="draft", remedy="give a draft that was trained with the same tokenizer")


def _tokens(
    writer: Writer, prompts: Sequence[Prompt], settings: Settings, how: _How, draft: Writer | None
) -> Iterator[list[Token]]:
    """What the search writes, as it does."""
    ids, limits, rules = [prompt.ids for prompt in prompts], how.limits, how.rules
    if settings.search == "contrastive":
        assert settings.alpha is not None
        contrast = Contrast(settings.alpha, settings.candidates)
        return contrastive_stream(writer.model, ids, contrast, limits, rules, rows=how.rows)
    drawn: dict[str, Any] = {"returns": settings.n, "seed": settings.seed}
    if draft is not None:
        return speculative_stream(writer.model, draft.model, ids, settings.sampling, limits, rules, **drawn)
    return search.stream(writer.model, ids, settings.sampling, limits, rules, rows=how.rows, **drawn)


class Speaking:
    """One answer on its way from tokens to text."""

    def __init__(self, writer: Writer, prompt: Prompt, stops: Sequence[str]) -> None:
        self._prompt = prompt
        self._spoken = Spoken(writer.encoder, () if prompt.alone else prompt.ids)
        self._held = Held(stops)
        self._tokens: list[tuple[int, float]] = []
        self._text: list[str] = []

    def told(self, token: Token) -> tuple[str, Answer | None]:
        """(text that is certain, the whole answer with its last token)."""
        self._tokens.append((token.id, token.log_probability))
        text = "" if token.stopped_by else self._spoken.push(token.id)
        if token.end is None:
            self._text.append(self._held.push(text))
            return self._text[-1], None
        by_text = token.end == "stop" and not token.stopped_by
        last, by = self._held.end(text + self._spoken.rest(), stopped=by_text)
        self._text.append(last)
        ids, scores = zip(*self._tokens, strict=True)
        answer = Answer(
            "".join(self._text), token.end, len(ids) - token.stopped_by, len(self._prompt.ids), sum(scores), by,
            ids, scores, self._prompt.turns_cut,
        )  # fmt: skip
        return last, answer


def _spoken(
    writer: Writer, prompts: Sequence[Prompt], n: int, steps: Iterator[list[Token]], stops: Sequence[str]
) -> Iterator[Piece]:
    speaking: dict[int, Speaking] = {}
    for tokens in steps:
        for token in tokens:
            if token.row not in speaking:
                speaking[token.row] = Speaking(writer, prompts[token.row // n], stops)
            text, answer = speaking[token.row].told(token)
            yield Piece(token.row // n, token.row % n, text, (token,), answer)
            if answer is not None:
                del speaking[token.row]


def _whole(
    writer: Writer, prompts: Sequence[Prompt], settings: Settings, how: _How, stops: Sequence[str]
) -> Iterator[Piece]:
    """Answers of beams: known at their end alone."""
    ids = [prompt.ids for prompt in prompts]
    found = beam_search(writer.model, ids, settings.beam, how.limits, how.rules, rows=how.rows)
    for i, own in enumerate(found):
        for number, written in enumerate(own):
            answer = _answered(writer, prompts[i], written, stops)
            told = zip(answer.ids, answer.log_probabilities, strict=True)
            yield Piece(i, number, answer.text, tuple(Token(number, *one) for one in told), answer)


def _answered(writer: Writer, prompt: Prompt, written: Written, stops: Sequence[str]) -> Answer:
    speaking, answer = Speaking(writer, prompt, stops), None
    last = len(written.ids) - 1
    for at, (token, score) in enumerate(zip(written.ids, written.log_probabilities, strict=True)):
        end: Any = (written.end, written.stopped_by) if at == last else ()
        _, answer = speaking.told(Token(0, token, score, *end))
    assert answer is not None
    return answer
