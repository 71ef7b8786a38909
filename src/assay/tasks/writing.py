"""Tasks whose answer is written: translation, summaries, text after a prompt, conversations.

    decoder, recurrent   [begin] what is given ... [answer] [end]     asked about the answers alone
    encoder-decoder      source [end]  ->  [answer] [end]

A task says what is given and what is to be written as turns, in order; the last turn is the answer. Tokens of a turn
are those of its text by itself, so an answer has the same tokens whatever stands before it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

import numpy as np
import torch

from assay.generation.conversation import PLAIN, Template, turns_of
from assay.inference.beam import Beams, beam_search
from assay.inference.generate import generate
from assay.inference.limits import Limits, Written
from assay.inference.sampling import GREEDY, Rules
from assay.metrics.generation import generation
from assay.metrics.scores import Measure, together
from assay.metrics.summaries import summaries
from assay.metrics.translation import translation
from assay.models.protocol import Model, check_ids
from assay.tasks.baseline.copying import Lead
from assay.tasks.coding import WIDE, Coder
from assay.tasks.feed import by_length, collated
from assay.tasks.protocol import Answer, Answering, Example, Fields, Item, Task, register, text_of
from assay.tasks.reading import chat as reading_chat


class Turn(NamedTuple):
    """A stretch of text; `asked`: the model is to write it."""

    text: str
    asked: bool


@dataclass(frozen=True, kw_only=True)
class WritingTask(Task):
    """A task that a language model answers by writing.

    Attributes:
        new: tokens that are written at most.
        beams: beam search of so many; 1: the likeliest token at each step.
        penalty: exponent of the length that a beam's log-probability is divided by.
        no_repeat: no stretch of so many tokens is written twice; 0: it may be.
    """

    new: int = 128
    beams: int = 1
    penalty: float = 1.0
    no_repeat: int = 0

    @abstractmethod
    def turns(self, example: Example) -> list[Turn]:
        """What is given, and answers to earlier questions; without the answer that is wanted."""

    def source(self, example: Example) -> str:
        """What an encoder-decoder reads."""
        return "".join(turn.text for turn in self.turns(example)).strip()

    def items(self, examples: Sequence[Example], coder: Coder) -> Iterator[Item]:
        """One row an example."""
        if coder.start is not None:
            yield from self._pairs(examples, coder)
            return
        turns = [[*self.turns(e), *([Turn(e.wanted, True)] if e.wanted is not None else [])] for e in examples]
        ids = iter(coder.ids([turn.text for own in turns for turn in own]))
        for i, own in enumerate(turns):
            yield _row(i, [(next(ids), turn.asked) for turn in own], coder)

    def _pairs(self, examples: Sequence[Example], coder: Coder) -> Iterator[Item]:
        sources = coder.ids([self.source(e) for e in examples])
        targets = coder.ids([e.wanted or "" for e in examples])
        assert coder.start is not None
        for i, (example, given, wanted) in enumerate(zip(examples, sources, targets, strict=True)):
            source = np.append(given[: coder.most - 1], coder.end)
            if example.wanted is None:
                yield Item(i, np.array([coder.start]), np.array([-1]), source=source)
                continue
            target = np.append(wanted, coder.end)[: coder.most - 1]  # a longer one has no end
            yield Item(i, np.append(coder.start, target[:-1]), target, source=source)

    def prompts(self, examples: Sequence[Example], coder: Coder) -> list[np.ndarray]:
        """What the model goes on from."""
        if coder.start is not None:
            return [np.append(s[: coder.most - 1], coder.end) for s in coder.ids([self.source(e) for e in examples])]
        turns = [self.turns(e) for e in examples]
        ids = iter(coder.ids([turn.text for own in turns for turn in own]))
        made = []
        for own in turns:
            parts = [_with_end(next(ids), coder.end, turn.asked) for turn in own]
            flat = np.concatenate(parts) if parts else np.zeros(0, np.int64)
            room = coder.most - 1 - min(self.new, coder.most // 2)
            made.append(np.append(coder.begin, flat[-room:]))
        return made

    def told(self, example: Example, text: str, written: Written) -> Answer:
        """The answer as JSON."""
        return {"text": text, "stopped": written.end == "stop", "tokens": len(written.kept)}

    def answers(self, examples: Sequence[Example], model: Any, coder: Coder, rows: int = 32) -> list[Answer]:
        """What the model writes; it does not depend on how many are written at a time."""
        prompts = [prompt.tolist() for prompt in self.prompts(examples, coder)]
        limits = Limits(new=self.new, stop=(coder.end,))
        rules = Rules(no_repeat=self.no_repeat)
        if self.beams > 1:
            made = beam_search(model, prompts, Beams(self.beams, 1, self.penalty), limits, rules, rows=rows)
        else:
            made = generate(model, prompts, GREEDY, limits, rules, rows=rows)
        special = set(coder.encoder.special.values())
        found = []
        for example, (one, *_) in zip(examples, made, strict=True):
            ids = np.array([i for i in one.kept if i not in special], dtype=np.int64)
            text = coder.encoder.decode(ids).strip() if len(ids) else ""
            found.append(self.told(example, text, one))
        return found

    def floor(self, examples: Sequence[Example]) -> Answering:
        """What copying is worth."""
        model = Lead.fit([self.source(e) for e in examples], [e.wanted for e in examples])
        return lambda asked: [{"text": text} for text in model.predict([self.source(e) for e in asked])]


def _with_end(ids: np.ndarray, end: int, asked: bool) -> np.ndarray:
    return np.append(ids, end) if asked else ids


def _row(example: int, turns: list[tuple[np.ndarray, bool]], coder: Coder) -> Item:
    """A row of a model that reads and writes in one; what is too long loses its beginning, and a longer answer its
    end."""
    ids = np.concatenate([_with_end(own, coder.end, asked) for own, asked in turns]) if turns else np.zeros(0, np.int64)
    wanted = np.concatenate([np.full(len(own) + asked, asked) for own, asked in turns]) if turns else ids.astype(bool)
    last = len(turns[-1][0]) + 1 if turns and turns[-1][1] else 0
    if len(ids) > coder.most:
        begin = len(ids) - coder.most if last <= coder.most else len(ids) - last
        ids, wanted = ids[begin : begin + coder.most], wanted[begin : begin + coder.most]
    inputs = np.append(coder.begin, ids[:-1])
    return Item(example, inputs, np.where(wanted, ids, -1))


@torch.inference_mode()
def losses(model: Model, items: Sequence[Item], rows: int = 32) -> tuple[np.ndarray, np.ndarray]:
    """Of each item (n,) the summed loss of its answers' tokens in nats, and how many these are.

    Raises:
        InputError: there are token ids that the model has not.
    """
    module = cast(torch.nn.Module, model)
    device = next(module.parameters()).device
    was, _ = module.training, module.eval()
    nll, n = np.zeros(len(items)), np.zeros(len(items), int)
    for numbers in by_length(items, rows):
        batch = collated([items[i] for i in numbers.tolist()], causal=True)
        check_ids(model, int(batch.inputs_BT.min()), int(batch.inputs_BT.max()), "text")
        batch = batch.to(device)
        nll[numbers] = model.loss(batch).losses_BT.double().sum(1).cpu().numpy()
        n[numbers] = (batch.targets_BT >= 0).sum(1).cpu().numpy()
    module.train(was)
    return nll, n


@register
@dataclass(frozen=True, kw_only=True)
class Translation(WritingTask):
    """Translation.

    Attributes:
        source_field, target: names of the fields.
        language: of the target, for BLEU's tokens: en, de, zh, ja ...; told by the references when not given.
        prompt: how a decoder is asked: {source} is put in.
    """

    name = "translation"
    best = "bleu"
    shown = ("bleu", "chrf", "chrf++")

    source_field: str = "source"
    target: str = "target"
    language: str | None = None
    prompt: str = "{source}\n"
    beams: int = 4

    def read(self, fields: Fields, where: str) -> Example:
        wanted = fields.get(self.target)
        given = {self.source_field: text_of(fields, self.source_field, where)}
        return Example(given, None if wanted is None else text_of(fields, self.target, where), where)

    def turns(self, example: Example) -> list[Turn]:
        return [Turn(self.prompt.replace("{source}", example.given[self.source_field]), False)]

    def source(self, example: Example) -> str:
        return str(example.given[self.source_field])

    def measure(self, examples: Sequence[Example], answers: Sequence[Answer]) -> Measure:
        return translation([e.wanted for e in examples], [a["text"] for a in answers], language=self.language)


@register
@dataclass(frozen=True, kw_only=True)
class Summarization(WritingTask):
    """Summaries, titles, headlines.

    Attributes:
        text, target: names of the fields.
        prompt: how a decoder is asked: {text} is put in.
    """

    name = "summarization"
    best = "rougeL"
    shown = ("rouge1", "rouge2", "rougeL")

    text: str = "text"
    target: str = "summary"
    prompt: str = "{text}\n\n"
    beams: int = 4
    new: int = 96

    def read(self, fields: Fields, where: str) -> Example:
        wanted = fields.get(self.target)
        given = {self.text: text_of(fields, self.text, where)}
        return Example(given, None if wanted is None else text_of(fields, self.target, where), where)

    def turns(self, example: Example) -> list[Turn]:
        return [Turn(self.prompt.replace("{text}", example.given[self.text]), False)]

    def source(self, example: Example) -> str:
        return str(example.given[self.text])

    def measure(self, examples: Sequence[Example], answers: Sequence[Answer]) -> Measure:
        return summaries([e.wanted for e in examples], [a["text"] for a in answers])


@dataclass(frozen=True, kw_only=True)
class _Free(WritingTask):
    """Text to which no one answer is right: judged by what it is like, and how likely the wanted one is."""

    best = "rougeL"
    shown = ("rougeL", "stopped", "same_language", "distinct_2", "repeated_4", "mean_length")

    def measure(self, examples: Sequence[Example], answers: Sequence[Answer]) -> Measure:
        texts = [a["text"] for a in answers]
        same = [float(chinese(a["text"]) == chinese(self.source(e))) for e, a in zip(examples, answers, strict=True)]
        whole = all("stopped" in a for a in answers)
        free = generation(
            texts, stopped=[a["stopped"] for a in answers] if whole else None,
            lengths=[a["tokens"] for a in answers] if whole else None, columns={"same_language": same},
        )  # fmt: skip
        return together(summaries([e.wanted for e in examples], texts), free)


def chinese(text: str) -> bool:
    """Whether a text is in Chinese (or Japanese) rather than in letters: by its characters, punctuation aside."""
    wide, letters = len(WIDE.findall(text)), sum(c.isalpha() and c.isascii() for c in text)
    return 4 * wide > letters


@register
@dataclass(frozen=True, kw_only=True)
class Completion(_Free):
    """Text after a prompt.

    Attributes:
        prompt, target: names of the fields.
    """

    name = "completion"

    prompt: str = "prompt"
    target: str = "completion"

    def read(self, fields: Fields, where: str) -> Example:
        wanted = fields.get(self.target)
        given = {self.prompt: text_of(fields, self.prompt, where)}
        return Example(given, None if wanted is None else text_of(fields, self.target, where), where)

    def turns(self, example: Example) -> list[Turn]:
        return [Turn(example.given[self.prompt], False)]


@register
@dataclass(frozen=True, kw_only=True)
class Instruction(_Free):
    """Conversations and instructions: the model writes the assistant's turns, and is asked about these alone.

    Attributes:
        template: what stands around a message.
        system: a message that every conversation without one begins with.
    """

    name = "instruction"

    template: Template = field(default=PLAIN)
    system: str | None = None

    def read(self, fields: Fields, where: str) -> Example:
        messages = reading_chat.messages(fields, where) if "messages" in fields else None
        if messages is None:
            text = text_of(fields, "text" if "text" in fields else "prompt", where)
            messages = [{"role": "user", "content": text}]
        wanted = messages.pop()["content"] if messages[-1]["role"] == "assistant" else None
        if self.system is not None and messages and messages[0]["role"] != "system":
            messages.insert(0, {"role": "system", "content": self.system})
        return Example({"messages": messages}, wanted, where)

    def turns(self, example: Example) -> list[Turn]:
        return [Turn(text, asked) for text, asked in turns_of(example.given["messages"], self.template)]

    def source(self, example: Example) -> str:
        return "\n".join(message["content"] for message in example.given["messages"])
