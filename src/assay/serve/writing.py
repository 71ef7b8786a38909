"""Completions and chat: a request -> rows of a lane -> pieces of text, as they become certain.

    fields -> settings, prompts -> `Asked` -> lane -> tokens -> `Piece`s -> chunks of a stream, or one answer

An answer is the one that `assay generate` writes with the same settings, whoever else is asking.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Any

import numpy as np

from assay.generation.opened import Prompt, Writer
from assay.generation.settings import Settings
from assay.generation.text import Answer, Piece, Speaking, asked_as
from assay.inference.batching import Asked
from assay.inference.generate import Token
from assay.inference.sampling import Shifts
from assay.serve.fields import Chat, Completion, Written
from assay.serve.metrics import Metrics
from assay.serve.registry import Model
from assay.web.errors import Refused

COMPLETION = 16  # tokens, where a completion says nothing: OpenAI's number
WHOLE = Settings(max_new_tokens=1)  # a conversation may fill the context, all but a token
FINISHED = {"stop": "stop", "length": "length", "full": "length"}


@dataclass(frozen=True)
class Limits:
    """What one request may ask for.

    Attributes:
        tokens: of an answer; prompt: of a prompt, where the model itself has no bound.
        seconds: until the last token.
    """

    tokens: int = 1024
    prompt: int = 8192
    seconds: float = 300.0


USUAL = Limits()


@dataclass(frozen=True)
class Job:
    """What a request asks of a model.

    Attributes:
        stops: texts that end an answer.
        scores: log-probabilities of tokens are told, and so many of the most likely ones in each place; None: none.
    """

    model: Model
    settings: Settings
    prompts: list[Prompt]
    asked: list[Asked]
    stops: tuple[str, ...]
    chat: bool
    scores: int | None = None
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    created: int = field(default_factory=lambda: int(time.time()))

    @property
    def writer(self) -> Writer:
        assert self.model.doing.writer is not None
        return self.model.doing.writer


def job(model: Model, body: Completion | Chat, limits: Limits) -> Job:
    """What is asked, checked.

    Raises:
        Refused, InputError: it cannot be.
    """
    writer = model.doing.writer
    if writer is None or model.writing is None:
        raise Refused(400, f"the model {model.name} does not write", "wrong_model", "model")
    settings = _settings(body, limits)
    if isinstance(body, Chat):
        if writer.chat is None:
            raise Refused(400, f"the model {model.name} holds no conversations -> use /v1/completions", "wrong_model")
        prompts = writer.prompts([[message.plain for message in body.messages]], WHOLE)
        if cut := prompts[0].turns_cut:
            raise _too_long(f"the conversation is longer than the model's context by {cut} messages", "messages")
        stops = (*settings.stop, *writer.chat.stops)
    else:
        prompts = [_prompt(writer, one) for one in _several(body.prompt)]
        stops = settings.stop
    for prompt in prompts:
        if len(prompt.ids) > limits.prompt and writer.positions is None:
            raise _too_long(f"a prompt of {len(prompt.ids)} tokens, and {limits.prompt} are read at most", "prompt")
    if not writer.is_translator and writer.positions is not None and body_tokens(body) is not None:
        longest = max(len(prompt.ids) for prompt in prompts)
        if longest + settings.max_new_tokens > writer.positions + 1:
            raise _too_long(
                f"a prompt of {longest} tokens and an answer of {settings.max_new_tokens}, and the model's context has"
                f" {writer.positions}", "max_tokens",
            )  # fmt: skip
    bounds, rules = asked_as(writer, settings, stops)
    shifts = Shifts(_bias(body, writer), body.presence_penalty, body.frequency_penalty)
    scores = body.scores
    asked = [
        Asked(prompt.ids, settings.sampling, bounds, rules, shifts, settings.n, settings.seed, scores or 0)
        for prompt in prompts
    ]
    return Job(model, settings, prompts, asked, stops, isinstance(body, Chat), scores)


def body_tokens(body: Written) -> int | None:
    """Tokens that an answer was asked to have at most."""
    return getattr(body, "max_completion_tokens", None) or body.max_tokens


def _settings(body: Completion | Chat, limits: Limits) -> Settings:
    most = body_tokens(body)
    if most is not None and most > limits.tokens:
        what = f"{most} tokens, and this server writes {limits.tokens} at most"
        raise Refused(400, what, "too_many_tokens", "max_tokens")
    new = most or (limits.tokens if isinstance(body, Chat) else min(COMPLETION, limits.tokens))
    stop = () if body.stop is None else (body.stop,) if isinstance(body.stop, str) else tuple(body.stop)
    drawn = body.temperature > 0
    return Settings(
        new, min(body.min_tokens, new), body.temperature, body.top_k,
        body.top_p if body.top_p < 1 else None, body.min_p, n=body.n, repetition=body.repetition_penalty,
        no_repeat=body.no_repeat_ngram, stop=stop, choices=tuple(body.choices), regex=body.regex,
        json_schema=_schema(body), seed=body.seed if body.seed is not None else secrets.randbits(48) if drawn else 0,
    )  # fmt: skip


def _schema(body: Completion | Chat) -> dict[str, Any] | None:
    wanted = body.response_format if isinstance(body, Chat) else None
    if wanted is None or wanted.type == "text":
        return None
    return {"type": "object"} if wanted.json_schema is None else wanted.json_schema.content


def _several(prompt: Any) -> list[str | list[int]]:
    return prompt if isinstance(prompt, list) and not isinstance(prompt[0], int) else [prompt]


def _prompt(writer: Writer, prompt: str | list[int]) -> Prompt:
    if isinstance(prompt, str):
        found = writer.prompts([prompt], WHOLE, raw=True)[0]
    else:
        found = Prompt(tuple(prompt), alone=writer.is_translator)
    if writer.positions is not None and len(found.ids) > writer.positions:
        raise _too_long(
            f"a prompt of {len(found.ids)} tokens, and the model's context has {writer.positions}", "prompt"
        )
    return found


def _too_long(what: str, param: str) -> Refused:
    return Refused(400, f"{what} -> send less", "context_length_exceeded", param)


def _bias(body: Written, writer: Writer) -> tuple[tuple[int, float], ...]:
    found = []
    for token, bias in body.logit_bias.items():
        if not token.isascii() or not token.isdigit() or int(token) >= writer.encoder.vocabulary:
            what = f"{token[:20]!r} is no token id of the model's -> give 0 to {writer.encoder.vocabulary - 1}"
            raise Refused(400, what, "invalid_value", "logit_bias")
        found.append((int(token), bias))
    return tuple(found)


async def pieces(asked: Job, metrics: Metrics, seconds: float) -> AsyncIterator[Piece]:
    """Text of the answers as it comes, of several mixed. Whoever stops to iterate must close this: then the rows
    leave."""
    lane, name, n = asked.model.writing, asked.model.name, asked.settings.n
    assert lane is not None
    began = time.monotonic()
    until = asyncio.get_running_loop().time() + seconds
    metrics.tokens.labels(name, "prompt").inc(sum(len(prompt.ids) for prompt in asked.prompts))
    answers = metrics.tokens.labels(name, "answer")
    speaking = [Speaking(asked.writer, prompt, asked.stops) for prompt in asked.prompts for _ in range(n)]
    left = len(speaking)
    with lane.asking(asked.asked) as mail:
        try:
            first = True
            while left:
                async with asyncio.timeout_at(until):
                    number, token = await mail.next()
                if first:
                    metrics.first.labels(name).observe(time.monotonic() - began)
                    first = False
                answers.inc()
                text, answer = speaking[number].told(token)
                left -= answer is not None
                yield Piece(number // n, number % n, text, (token,), answer)
        except TimeoutError:
            metrics.left.labels(name, "timeout").inc()
            what = f"the answer took more than {seconds:g} s -> ask for fewer tokens, or try again later"
            raise Refused(408, what, "timeout", headers={"x-should-retry": "false"}) from None
        except (asyncio.CancelledError, GeneratorExit):
            metrics.left.labels(name, "client").inc()
            raise


# What is sent


@dataclass
class Choice:
    """One answer on its way to the client: what was not sent yet."""

    index: int
    scores: int | None
    chat: bool
    writer: Writer
    text: list[str] = field(default_factory=list)
    tokens: list[Token] = field(default_factory=list)
    sent: int = 0  # characters

    def take(self, piece: Piece) -> tuple[str, Any]:
        """(text, log-probabilities) since the last time; they wait for text to go with."""
        self.text.append(piece.text)
        self.tokens += self._kept(piece)
        text = "".join(self.text)
        if not text and piece.answer is None:
            return "", None
        scores = self._told() if self.scores is not None else None
        self.sent += len(text)
        self.text, self.tokens = [], []
        return text, scores

    @staticmethod
    def _kept(piece: Piece) -> Sequence[Token]:
        """Tokens without what stopped them."""
        answer = piece.answer
        if answer is not None and len(answer.ids) > answer.tokens:
            return piece.tokens[: max(0, len(piece.tokens) - (len(answer.ids) - answer.tokens))]
        return piece.tokens

    def _told(self) -> dict[str, Any]:
        own = [self._spelled(token.id, token.log_probability) for token in self.tokens]
        beside = [[self._spelled(*one) for one in token.likeliest] for token in self.tokens]
        if self.chat:
            content = [{**one, "top_logprobs": others} for one, others in zip(own, beside, strict=True)]
            return {"content": content, "refusal": None}
        # OpenAI's older form: the likeliest by their names, and the chosen one always among them.
        tops = [
            {_named(other): other["logprob"] for other in (*others, one)}
            for one, others in zip(own, beside, strict=True)
        ]
        ends = accumulate((len(one["token"]) for one in own), initial=self.sent)
        return {
            "tokens": [_named(one) for one in own], "token_logprobs": [one["logprob"] for one in own],
            "top_logprobs": tops if self.scores else None, "text_offset": [*ends][:-1],
        }  # fmt: skip

    def _spelled(self, token: int, score: float) -> dict[str, Any]:
        raw = token_bytes(self.writer, token)
        return {"token": raw.decode("utf-8", "replace"), "logprob": score, "bytes": list(raw)}


def _named(token: dict[str, Any]) -> str:
    """A token's text, or its bytes where these are a part of a character: by both, tokens are told apart."""
    raw, text = bytes(token["bytes"]), str(token["token"])
    return text if text.encode() == raw else "bytes:" + "".join(f"\\x{byte:02x}" for byte in raw)


def token_bytes(writer: Writer, token: int) -> bytes:
    """What a token spells, by itself."""
    encoder = writer.encoder
    names = {i: name for name, i in encoder.special.items()}
    if token in names:
        return names[token].encode()
    if encoder.lossless:
        return bytes(encoder.surface.spelled[token])
    return encoder.decode(np.array([token], dtype=np.int64)).encode()


def choices_of(asked: Job) -> list[Choice]:
    n = len(asked.prompts) * asked.settings.n
    return [Choice(i, asked.scores, asked.chat, asked.writer) for i in range(n)]


def usage(asked: Job, answers: Sequence[Answer]) -> dict[str, int]:
    read, wrote = sum(len(prompt.ids) for prompt in asked.prompts), sum(answer.tokens for answer in answers)
    return {"prompt_tokens": read, "completion_tokens": wrote, "total_tokens": read + wrote}


def head(asked: Job, kind: str) -> dict[str, Any]:
    """What every answer and every chunk begins with."""
    prefix = "chatcmpl" if asked.chat else "cmpl"
    return {
        "id": f"{prefix}-{asked.id}", "object": kind, "created": asked.created, "model": asked.model.name,
        "system_fingerprint": f"fp_{asked.model.doing.digest[:12]}",
    }  # fmt: skip


async def whole(asked: Job, found: AsyncIterator[Piece]) -> dict[str, Any]:
    """All of an answer."""
    choices = choices_of(asked)
    texts: list[list[str]] = [[] for _ in choices]
    kept: list[list[Token]] = [[] for _ in choices]
    answers: dict[int, Answer] = {}
    async with contextlib.aclosing(found):  # type: ignore[type-var]
        async for piece in found:
            number = piece.prompt * asked.settings.n + piece.number
            texts[number].append(piece.text)
            kept[number] += piece.tokens
            if piece.answer is not None:
                answers[number] = piece.answer
    told = []
    for i, choice in enumerate(choices):
        last = replace(Piece(0, 0, "".join(texts[i]), tuple(kept[i])), answer=answers[i])
        text, scores = choice.take(last)
        own: dict[str, Any] = {"message": {"role": "assistant", "content": text}} if asked.chat else {"text": text}
        told.append({"index": i, **own, "logprobs": scores, "finish_reason": FINISHED[answers[i].end]})
    kind = "chat.completion" if asked.chat else "text_completion"
    return {**head(asked, kind), "choices": told, "usage": usage(asked, [*answers.values()])}


async def chunks(asked: Job, found: AsyncIterator[Piece], with_usage: bool) -> AsyncIterator[dict[str, Any]]:
    """An answer as a stream: a chunk whenever there is text, and one at each end."""
    kind = "chat.completion.chunk" if asked.chat else "text_completion"
    start, choices, answers = head(asked, kind), choices_of(asked), []
    no_usage = {"usage": None} if with_usage else {}

    def chunk(index: int, content: str | None, scores: Any, end: str | None, role: bool = False) -> dict[str, Any]:
        if asked.chat:
            delta = {**({"role": "assistant"} if role else {}), **({} if content is None else {"content": content})}
            own: dict[str, Any] = {"delta": delta}
        else:
            own = {"text": content or ""}
        return {**start, "choices": [{"index": index, **own, "logprobs": scores, "finish_reason": end}], **no_usage}

    async with contextlib.aclosing(found):  # type: ignore[type-var]
        begun: set[int] = set()
        async for piece in found:
            index = piece.prompt * asked.settings.n + piece.number
            if asked.chat and index not in begun:
                begun.add(index)
                yield chunk(index, "", None, None, role=True)
            text, scores = choices[index].take(piece)
            if text or scores:
                yield chunk(index, text, scores, None)
            if piece.answer is not None:
                answers.append(piece.answer)
                yield chunk(index, None, None, FINISHED[piece.answer.end])
    if with_usage:
        yield {**start, "choices": [], "usage": usage(asked, answers)}
